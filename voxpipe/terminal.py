"""What a person sees of running calls: one line a key event, in colour where the terminal has it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voxpipe.sansio.records import Record

Data = dict[str, Any]


def _formats(data: Data) -> str:
    return " · ".join(f"{side} {name}" for side, name in data.items())


def _cut(data: Data) -> str:
    heard = ", ".join(f"{part['part']['item_id']} at {part['played_ms']} ms" for part in data["begun"])
    return f"{heard or 'nothing begun'} · {data['dropped_samples']} samples dropped"


def _audio(data: Data) -> str:
    return f"{data['bytes']} bytes · {data['because']}" if "because" in data else f"{data['bytes']} bytes"


def _fault(data: Data) -> str:
    error = data.get("error")
    if not isinstance(error, dict):
        return str(error)
    return ": ".join(str(error[name]) for name in ("type", "code", "message") if error.get(name))


def _unlogged(data: Data) -> str:
    # A leg with a log of its own has told already; one that never said its UUID, or whose log cannot be written, not.
    return str(data["because"]) if data["error"] and not data["log"] else ""


KEY_EVENTS: dict[str, tuple[str, Callable[[Data], str]]] = {
    "gateway.started": ("green", lambda data: f"listening on {data['listen']}"),
    "gateway.draining": ("yellow", lambda data: f"{data['active']} legs left, at most {data['timeout_s']:g} s"),
    "gateway.drain_timeout": ("red", lambda data: f"{data['active']} legs cut off"),
    "gateway.stopped": (
        "green",
        lambda data: f"{data['legs']} legs, {data['failed']} failed, {data['refused']} refused",
    ),
    "context.started": ("green", lambda data: f"calls are announced at http://{data['listen']}"),
    "context.refused": ("yellow", lambda data: data["because"]),
    "context.expired": ("yellow", lambda data: f"announced call {data['uuid']} did not come"),
    "context.crashed": ("red", lambda data: data["message"]),
    "leg.refused": ("red", lambda data: data["because"]),
    "leg.ended": ("red", _unlogged),
    "leg.started": ("bold", lambda data: f"log {data['log']}"),
    "leg.format": ("", _formats),
    "leg.failed": ("red", lambda data: data["message"]),
    "leg.failure_wav": ("yellow", lambda data: data.get("message") or f"playing {data['path']}"),
    "leg.crashed": ("red", lambda data: data["message"]),
    "connection.opened": ("", lambda data: data["url"]),
    "session.requested": ("", lambda data: f"requested {_formats(data['requested'])}"),
    "session.ready": (
        "green",
        lambda data: f"confirmed {_formats(data['confirmed'])} · acknowledged after {data['ack_ms']:g} ms",
    ),
    "session.retrying": ("yellow", lambda data: f"{data['refused']} did not work, trying {data['next']}"),
    "session.draining": ("yellow", lambda data: data["because"]),
    "session.failed": ("red", lambda data: data["message"]),
    "session.closed": ("", lambda data: data["because"]),
    "command.refused": ("yellow", lambda data: f"{data['command']}: {data['code']}: {data['message']}"),
    "command.unanswered": ("yellow", lambda data: f"{data['command']}: no {data['expected']}"),
    "provider.warned": ("yellow", lambda data: f"{data['code']}: {data['message']}"),
    "audio.refused": ("red", _audio),
    "audio.suspect": ("yellow", lambda data: f"{data['side']}: {data['message']}"),
    "playout.started": ("cyan", lambda data: f"agent speaks, item {data['item_id']}"),
    "playout.finished": ("cyan", lambda data: "agent has spoken"),
    "playout.cut": ("magenta", _cut),
    "playout.underrun": ("yellow", lambda data: "nothing to play inside an answer"),
    "playout.overrun": ("red", _audio),
    "playout.slip": ("yellow", lambda data: f"{data['slipped_ns'] / 1e6:.0f} ms late"),
    "tool.called": ("cyan", lambda data: f"{data['name']} {data['arguments']}"),
    "tool.answered": ("cyan", lambda data: f"{data['name']} after {data['duration_ms']:.0f} ms"),
    "tool.failed": ("yellow", lambda data: f"{data['name']}: {data['message']}"),
    "tool.cancelled": ("yellow", lambda data: f"{data['name']}: {data['because']}"),
    "uplink.overrun": ("yellow", lambda data: f"{data['total_frames']} frames of the caller dropped"),
    "records.lost": ("red", lambda data: f"{data['records']} records"),
}
"""The records of our own worth a line, each with its style and its words; no line where there are no words."""
PROVIDER_EVENTS: dict[str, tuple[str, Callable[[Data], str]]] = {
    "error": ("yellow", _fault),
    "error.parsing": ("red", lambda data: str(data.get("message"))),
    "input_audio_buffer.speech_started": ("blue", lambda data: "caller speaks"),
    "input_audio_buffer.speech_stopped": ("blue", lambda data: "caller has spoken"),
    "conversation.item.input_audio_transcription.completed": ("blue", lambda data: f"caller: {data.get('transcript')}"),
    "response.output_audio_transcript.done": ("cyan", lambda data: f"agent: {data.get('transcript')}"),
    "response.audio_transcript.done": ("cyan", lambda data: f"agent: {data.get('transcript')}"),
}
"""What a provider said, or was taken to say, that is worth a line; of what it holds nothing can be relied upon."""
STORMY = frozenset({"uplink.overrun", "playout.overrun", "playout.underrun", "playout.slip", "audio.refused"})
"""What may come fifty times a second while something is wrong: a line a second of each will do."""
STORM_INTERVAL_NS = 1_000_000_000
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"}
"""What a peer says must not steer the terminal."""


class Outlet(Console):
    """A console that does not end the process when nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        """Go on: rich would exit, and take every call with it."""


class Terminal:
    """Prints the key records as they come. Text goes to standard error, so that standard output stays for results."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Outlet(stderr=True, highlight=False)
        self._told_ns: dict[tuple[str | None, str], int] = {}

    def show(self, record: Record) -> None:
        """Print a line for a key record; the others are in the log."""
        if record.event_type == "leg.summary":
            self._forget(record.leg)
        # A provider may well use a name of ours for something else.
        known = PROVIDER_EVENTS.get(record.event_type)
        if known is None and record.direction == "local":
            known = KEY_EVENTS.get(record.event_type)
        if known is None or record.direction == "sent" or self._is_storm(record):
            return
        style, words = known
        text = words(record.event_data)
        if text:
            leg = record.leg[:8] if record.leg else "gateway"
            self.tell(record.t_ns / 1e9, leg, record.event_type, text, style)

    def tell(self, at_s: float, who: str, name: str, words: str, style: str = "") -> None:
        """Print one line: seconds since its beginning, who it is about, what happened."""
        shown = name.removeprefix("input_audio_buffer.").removeprefix("conversation.item.").removeprefix("response.")
        line = " ".join(words.split())
        self._print(
            Text.assemble((f"{at_s:9.3f}  {who:8}  ", "dim"), (f"{shown:24} ", style), line.translate(CONTROLS))
        )

    def say(self, text: str) -> None:
        """Print a line as it is."""
        self._print(Text(text.translate(CONTROLS)))

    def warn(self, text: str) -> None:
        """Print what an operator should know."""
        self._print(Text(text.translate(CONTROLS), style="bold red"))

    def _print(self, text: Text) -> None:
        # Whoever looked may be gone (``| head``), or the disk behind it full: no reason to end anybody's call. Captured
        # first, since a console keeps what it could not write, and tries it all again the next time.
        with contextlib.suppress(OSError):
            with self.console.capture() as captured:
                self.console.print(text, soft_wrap=True)
            self.console.file.write(captured.get())
            self.console.file.flush()

    def _is_storm(self, record: Record) -> bool:
        if record.event_type not in STORMY:
            return False
        key = (record.leg, record.event_type)
        told_ns = self._told_ns.get(key)
        if told_ns is not None and record.t_ns - told_ns < STORM_INTERVAL_NS:
            return True
        self._told_ns[key] = record.t_ns
        return False

    def _forget(self, leg: str | None) -> None:
        for event_type in STORMY:
            self._told_ns.pop((leg, event_type), None)


def summary_table(summary: Data, title: str = "Summary of the call") -> Table:
    """Lay the last record of a leg out for reading."""
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="dim")
    table.add_column()
    uplink, downlink, playout = summary["uplink"], summary["downlink"], summary["playout"]
    formats = summary["formats"]
    table.add_row("ended because", summary["because"])
    table.add_row("duration", f"{summary['duration_s']:.1f} s")
    table.add_row("leg", _formats(formats["leg"]) if formats["leg"] else "format never known")
    table.add_row("requested", ", then ".join(formats["requested"]))
    table.add_row("confirmed", _formats(formats["confirmed"]) if formats["confirmed"] else "nothing")
    table.add_row("acknowledged after", "never" if summary["ack_ms"] is None else f"{summary['ack_ms']:g} ms")
    table.add_row(
        "caller to provider",
        f"{uplink['messages']} messages, {uplink['seconds'] or 0:.2f} s received · {uplink['append_chunks']} appends, "
        f"{uplink['append_seconds'] or 0:.2f} s sent · {uplink['overrun_frames']} frames dropped",
    )
    table.add_row(
        "provider to caller",
        f"{downlink['chunks']} chunks, {downlink['seconds'] or 0:.2f} s · {downlink['refused_chunks']} refused, "
        f"{downlink['stale_chunks']} stale",
    )
    if playout:
        table.add_row(
            "played",
            f"{playout['frames']} frames and {playout['silence_frames']} of silence · "
            f"{playout['underruns']} underruns, {playout['cuts']} cuts, {playout['clock']['slips']} slips, "
            f"late by at most {playout['clock']['late_max_ns'] / 1e6:.1f} ms",
        )
    turns = summary["turns"]
    table.add_row("turns", f"{turns['caller']} of the caller, {turns['agent']} of the agent, {turns['cut']} cut")
    sessions = summary["sessions"]
    if sessions["opened"] > 1:
        counts = f"{sessions['renewed']} replaced in time, {sessions['lost']} lost, {sessions['recovered']} recovered"
        table.add_row("sessions", f"{sessions['opened']} opened, {counts}")
    table.add_row("peak of channels", ", ".join(f"{name} {peak}" for name, peak in summary["channels_peak"].items()))
    table.add_row("records", f"{summary['records']['records']} written, {summary['records']['lost']} lost")
    return table
