"""What ``voxpipe analyze`` and ``voxpipe check`` print: tables for a terminal, plain columns for anything else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from voxpipe.analysis.checks import faults
from voxpipe.analysis.latency import PART_WORDS, PARTS
from voxpipe.analysis.legible import legible
from voxpipe.analysis.overview import LATENCY_WORDS
from voxpipe.analysis.rows import CallRow, Totals
from voxpipe.analysis.verdict import FAILS, HOLDS, UNKNOWN, Verdict
from voxpipe.audio import NS_PER_S
from voxpipe.command_files import let_go

UNSEEN_COLUMNS = 200
"""Width where there is no terminal: a pipe has no edge, and a wrapped line is hard to search."""
Data = dict[str, Any]


class Paper(Console):
    """A console that does not end the process when nobody reads on: the exit status is the verdict's."""

    def on_broken_pipe(self) -> None:
        """Go on, to nobody."""
        self.quiet = True
        let_go()


def make_console() -> Console:
    """Open standard output: in colour and with frames only where somebody looks at it."""
    console = Paper(highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Paper(highlight=False, width=UNSEEN_COLUMNS)


def make_table(console: Console, title: str, *columns: str | Column) -> Table:
    """Begin a table; without columns it has no header."""
    style = box.ROUNDED if console.is_terminal else None
    return Table(
        *columns, title=title, title_justify="left", show_header=bool(columns), box=style, pad_edge=console.is_terminal
    )


def show(value: Any, unit: str = "") -> str:
    """Write a value as a cell; what is not known is said to be unknown, not left empty."""
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        return ", ".join(f"{name} {show(item)}" for name, item in value.items() if item is not None) or "none"
    if isinstance(value, float):
        value = f"{value:.3f}".rstrip("0").rstrip(".")
    return escape(legible(str(value))) + unit


def print_overview(console: Console, data: Data) -> None:
    """Print everything about one call."""
    call, log = data["call"], data["log"]
    head = make_table(console, "Call")
    head.add_row("log", f"{show(log['path'])} ({show(log['shape'])}, {log['lines']} lines)")
    head.add_row("began", show(call["started_at"]))
    head.add_row("lasted", show(call["duration_s"], " s"))
    head.add_row("ended because", show(call["ended_because"]))
    flaws = _flaws(log)
    if flaws:
        head.add_row("the log itself", f"[yellow]{flaws}[/]")
    console.print(head)
    _print_session(console, data["session"], data["successions"])
    _print_audio(console, data["audio"])
    _print_turns(console, data["turns"])
    _print_latencies(console, data)
    _print_troubles(console, data)


def _flaws(log: Data) -> str:
    told = (
        "torn last line" if log["torn_last_line"] else "",
        f"{log['skipped_lines']} lines skipped: {show('; '.join(log['skipped_because']))}"
        if log["skipped_lines"]
        else "",
        f"{log['missing_lines']} lines missing" if log["missing_lines"] else "",
        f"its clock went back {log['clock_steps_back']} times" if log["clock_steps_back"] else "",
        "no summary at its end" if log["has_summary"] is False else "",
    )
    return ", ".join(words for words in told if words)


def _print_session(console: Console, session: Data, successions: dict[str, int] | None) -> None:
    table = make_table(console, "Session", "", "requested", "confirmed")
    confirmed = session["confirmed"]
    if confirmed is None and session["requested"] is None and session["provider_defaults"] is not None:
        table = make_table(console, "Session (nothing was asked for)", "", "requested", "provider's defaults")
        confirmed = session["provider_defaults"]
    both = (session["requested"], confirmed)
    for name in ("model", "voice"):
        table.add_row(name, *(show(facts[name]) if facts else "nothing" for facts in both))
    for side in ("uplink", "downlink"):
        table.add_row(side, *(_format(facts[side]) if facts else "nothing" for facts in both))
    for name in ("turn_detection", "transcription", "modalities"):
        table.add_row(name.replace("_", " "), *(show(facts[name]) if facts else "nothing" for facts in both))
    table.add_row("line", *(str(facts["line_no"]) if facts else "none" for facts in both))
    if successions is not None and any(successions.values()):
        table.add_row("sessions", "", _successions(session["sessions"], successions))
    for change in session["format_changes"]:
        words = ", ".join(f"{side} {_format(change[side])}" for side in ("uplink", "downlink"))
        table.add_row("[red]changed[/]", "", f"[red]{words}[/] (line {change['line']})")
    console.print(table)


def _successions(opened: int, counts: dict[str, int]) -> str:
    lost = f"{counts['lost']} lost in mid-call, {counts['recovered']} of them made good"
    return f"{opened} opened, {counts['renewed']} renewed, {lost}; above is the last that served"


def _format(format_: Data) -> str:
    if format_["rate_hz"] is None:
        return show(format_["name"])
    return f"{format_['name']}: {format_['encoding']}, {format_['byte_order']}, {format_['rate_hz']} Hz"


def _print_audio(console: Console, audio: Data) -> None:
    names = ("", "format", "chunks", "bytes", "seconds", "x real time", "gaps", "longest gap", "at line")
    table = make_table(console, "Audio", *names)
    for flow in audio["flows"]:
        if flow["chunks"] is None:
            table.add_row(flow["name"], *["unknown"] * 5, "", "", "")
            continue
        if not flow["chunks"]:
            table.add_row(flow["name"], show(flow["format"]), "0", "0", "0", "", "", "", "")
            continue
        table.add_row(
            flow["name"],
            show(flow["format"]),
            str(flow["chunks"]),
            str(flow["bytes"]) + (f" + {flow['unsized_chunks']} chunks unknown" if flow["unsized_chunks"] else ""),
            show(flow["seconds"]),
            show(flow["real_time_factor"]),
            str(flow["gaps"]) if flow["seconds"] is not None else "unknown",
            show(flow["longest_gap_ms"], " ms") if flow["seconds"] is not None else "unknown",
            "" if flow["longest_gap_line"] is None else str(flow["longest_gap_line"]),
        )
    console.print(table)
    heard = make_table(
        console, "Sound", "", "seconds", "of speech", "loudest", "peak", "clipped", "DC offset", "suspect"
    )
    for side, facts in audio["heard"].items():
        if not facts["seconds"]:
            heard.add_row(side, "0", *["unknown"] * 6)
            continue
        heard.add_row(
            side,
            str(facts["seconds"]),
            str(facts["active_seconds"]),
            "silence" if facts["loudest_dbfs"] is None else f"{facts['loudest_dbfs']:.1f} dBFS",
            "silence" if facts["peak_dbfs"] is None else f"{facts['peak_dbfs']:.1f} dBFS",
            str(facts["clipped_samples"]),
            show(facts["dc_offset_lsb"]),
            show("; ".join(f"{found['name']} (line {found['line']})" for found in facts["suspicions"]) or "no"),
        )
    console.print(heard)


def _print_turns(console: Console, turns: Sequence[Data]) -> None:
    table = make_table(console, "Conversation", "from", "to", "who", "words", "answered after", "", "line")
    for turn in turns:
        caller = turn["speaker"] == "caller"
        if caller:
            note = "" if turn["transcription"] == "completed" else f"transcription: {turn['transcription']}"
        else:
            status = "" if turn["status"] == "completed" else show(turn["status"])
            reason = f" ({show(turn['reason'])})" if turn["reason"] else ""
            note = ", ".join(word for word in ("cut" if turn["cut"] else "", status + reason) if word)
        words = "no transcript" if turn["transcript"] is None else turn["transcript"]
        who = f"[blue]{turn['speaker']}[/]" if caller else f"[cyan]{turn['speaker']}[/]"
        times = (_clock(turn["begin_s"]), _clock(turn["end_s"]))
        table.add_row(*times, who, escape(legible(words, 300)), _whole(turn), note, str(turn["line"]))
    if turns:
        console.print(table)


def _whole(turn: Data) -> str:
    """A caller's latency, or which of its parts the log does not tell."""
    if turn["speaker"] != "caller":
        return ""
    latency = turn["latency"]
    if latency["whole_ns"] is not None:
        return f"{latency['whole_ns'] / 1e6:.1f} ms"
    missing = latency["missing"]
    return "unknown" if len(missing) == len(PARTS) else f"unknown ({', '.join(missing).replace('_', ' ')})"


def _clock(time_s: float | None) -> str:
    return "unknown" if time_s is None else f"{time_s:.3f}"


def _print_latencies(console: Console, data: Data) -> None:
    table = make_table(console, "Latencies (ms)", "", "count", "unknown", "median", "p95", "max", "from -> to")
    whole = ("acknowledgement", "turn")
    rows = {name: LATENCY_WORDS[name] for name in whole} | PART_WORDS | LATENCY_WORDS  # the parts below their sum
    for name, words in rows.items():
        found = data["latencies_ms"][name]
        if not found["count"] and not found["unknown"]:
            continue
        numbers = (found["median_ms"], found["p95_ms"], found["max_ms"])
        shown = [f"{number:.1f}" if number is not None else "unknown" for number in numbers]
        label = f"  {name}" if name in PART_WORDS else name
        table.add_row(label.replace("_", " "), str(found["count"]), str(found["unknown"]), *shown, words)
    console.print(table)


def _print_troubles(console: Console, data: Data) -> None:
    table = make_table(console, "Events", "", "count", "", "lines")
    for found in data["interruptions"]:
        silence = "unknown" if found["silence_ns"] is None else f"{found['silence_ns'] / 1e6:.1f} ms"
        heard = ", ".join(f"{item} at {played} ms" for item, played in found["played_ms"].items())
        told = ", ".join(f"{item} at {told} ms" for item, told in found["truncated_ms"].items())
        words = f"silent after {silence}; heard {show(heard or 'unknown')}; truncated {show(told or 'nothing')}"
        table.add_row("interruption", "1", words, str(found["line"]))
    for use in data["tools"]:
        took = "unknown" if use["duration_ns"] is None else f"{use['duration_ns'] / 1e6:.1f} ms"
        table.add_row("tool", "1", f"{show(use['name'])}: {show(use['outcome'])} after {took}", str(use["line"]))
    losses = [loss for loss in data["losses"] or [] if loss["records"]]
    if not losses:
        table.add_row("losses", "unknown" if data["losses"] is None else "0", "dropped, refused, stale or late", "")
    for loss in losses:
        words = f"{loss['total']} {loss['unit']}"
        table.add_row(f"[yellow]{loss['name']}[/]", str(loss["records"]), words, _lines(loss["lines"]))
    for error in data["errors"]:
        recovered = {True: "the call went on", False: "not recovered"}.get(error["recovered"], "recovery unknown")
        message = f": {show(error['message'])}" if error["message"] else ""
        words = f"{show(error['code'])}{message} ({'harmless, ' if error['harmless'] else ''}{recovered})"
        table.add_row(f"[red]{show(error['kind'])}[/]", str(error["count"]), words, _lines(error["lines"]))
    sums = data["tokens"]["sums"]
    told = f"{data['tokens']['responses_told']} responses told, {data['tokens']['responses_untold']} did not"
    table.add_row("tokens", "unknown" if sums is None else str(sums.get("total_tokens", "unknown")), told, "")
    if sums:
        table.add_row("", "", ", ".join(f"{show(name)} {count}" for name, count in sums.items()), "")
    console.print(table)


def _lines(lines: Sequence[int]) -> str:
    return ", ".join(map(str, lines))


def print_rows(console: Console, rows: Sequence[CallRow]) -> None:
    """Print a row for each call, and their totals."""
    names = (
        "log",
        "s",
        "turns",
        "cut",
        "answer median / p95 (ms)",
        "errors",
        "underruns",
        "lost frames",
        "tokens",
        "end",
    )
    table = make_table(console, "Calls", Column("log", overflow="fold"), *names)
    for row in rows:
        answer = row.to_json()["answer_ms"]
        table.add_row(
            show(row.log),
            f"{row.duration_ns / NS_PER_S:.1f}",
            f"{row.caller_turns} + {row.agent_turns}",
            str(row.interruptions),
            f"{show(answer['median_ms'])} / {show(answer['p95_ms'])}",
            f"[red]{row.errors}[/]" if row.errors else "0",
            show(row.underruns),
            show(row.lost_frames),
            show(row.tokens),
            escape(legible(row.ended_because, 60)),
        )
    totals = Totals.of(rows)
    table.add_section()
    table.add_row(
        f"{totals.calls} calls",
        f"{totals.duration_ns / NS_PER_S:.1f}",
        f"{totals.caller_turns} + {totals.agent_turns}",
        str(totals.interruptions),
        f"{show(totals.answer.median_ms)} / {show(totals.answer.p95_ms)} ({totals.answer.unknown} unknown)",
        str(totals.errors),
        _of(totals.underruns, totals.unknown_losses),
        _of(totals.lost_frames, totals.unknown_losses),
        _of(totals.tokens, totals.unknown_tokens),
        "",
    )
    console.print(table)


def _of(total: int, unknown: int) -> str:
    return f"{total} ({unknown} unknown)" if unknown else str(total)


MARKS = {HOLDS: "[green]holds[/]", FAILS: "[red]FAILS[/]", UNKNOWN: "[yellow]unknown[/]"}


def print_verdicts(console: Console, title: str, verdicts: Sequence[Verdict], *, only_failures: bool = False) -> None:
    """Print the checklist of one log, the classic faults above it."""
    for fault in faults(list(verdicts)):
        console.print(f"[bold red]{escape(fault)}[/]", soft_wrap=True)
    table = make_table(console, escape(title), "", "check", "evidence", "lines")
    for verdict in verdicts:
        if only_failures and verdict.status != FAILS:
            continue
        evidence = escape(legible(verdict.evidence, 400))
        if verdict.status == FAILS and verdict.advice:
            evidence += f"\n[dim]-> {escape(verdict.advice)}[/]"
        table.add_row(MARKS[verdict.status], f"{verdict.group}: {verdict.name}", evidence, _lines(verdict.lines))
    console.print(table)
    counts = [sum(verdict.status == status for verdict in verdicts) for status in (HOLDS, FAILS, UNKNOWN)]
    console.print(f"{counts[0]} hold, {counts[1]} fail, {counts[2]} unknown")
