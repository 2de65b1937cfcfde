"""Checks of the conversation: answers, their latency, interruptions, silence."""

from __future__ import annotations

from collections.abc import Sequence

from voxpipe.analysis.call import Call
from voxpipe.analysis.latency import Distribution
from voxpipe.analysis.overview import dead_air, latencies
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.turns import CallerTurn, Interruption
from voxpipe.analysis.verdict import Judge, Verdict
from voxpipe.audio import NS_PER_MS, NS_PER_S, PTIME_MS

GROUP = "conversation"
PATIENCE_NS = NS_PER_S
"""An answer that would have come later than the log's end, or than the caller's next words, is not missing."""
UNSIZED = "how long the answers lasted is not in the log"
UNHEARD_MS = 500
"""Audio that the caller surely had not heard when an estimate says so."""


def turns_answered(call: Call, slo: Slo) -> Verdict:
    """Each turn of the caller is followed by a response."""
    judge = Judge(GROUP, "turns are answered")
    due = _due(call)
    if not due:
        return judge.unknown("no turn of the caller ended in time for an answer")
    missing = [turn for turn in due if turn.marks.created is None]
    words = f"{len(due) - len(missing)} of {len(due)} turns were answered"
    if len(missing) > slo.unanswered_turns:
        advice = "see turn_detection.create_response, or send response.create; look for errors right after these lines"
        return judge.fails(words, [turn.stopped_line for turn in missing], advice)
    return judge.holds(words, [turn.stopped_line for turn in due])


def _due(call: Call) -> list[CallerTurn]:
    """The turns that were answered, or had the time to be, oldest first."""
    found: list[CallerTurn] = []
    end_ns = call.duration_ns
    for turn in reversed(call.accounts.caller.turns):
        in_time = turn.ended_ns is not None and end_ns - turn.ended_ns >= PATIENCE_NS
        if turn.ended_ns is not None and (turn.marks.created is not None or in_time):
            found.append(turn)
        end_ns = min(end_ns, turn.started_ns if turn.started_ns is not None else end_ns)
    return found[::-1]


def turn_latency(call: Call, slo: Slo) -> Verdict:
    """The agent is heard soon after the caller's last word."""
    judge = Judge(GROUP, "turn latency")
    found = latencies(call)["turn"]
    lines = [turn.line_no for turn in _slowest(call, "spoken", "played")]
    return _within(judge, found, slo.turn_p95_ms, "p95", lines, "the parts of a turn's latency say where it was spent")


def answer_latency(call: Call, slo: Slo) -> Verdict:
    """The agent is heard soon after the provider told the turn's end; where no playout is logged, its audio comes."""
    judge = Judge(GROUP, "answer latency")
    every = latencies(call)
    end = "played" if every["answer"].count else "received"
    found = every["answer"] if every["answer"].count else every["first_audio"]
    lines = [turn.stopped_line for turn in _slowest(call, "stopped", end)]
    advice = f"to the first audio {end}: compare the parts response, generation and playout"
    return _within(judge, found, slo.answer_p95_ms, "p95", lines, advice)


def tool_latency(call: Call, slo: Slo) -> Verdict:
    """Tools answer while the caller still waits."""
    judge = Judge(GROUP, "tool latency")
    uses = [use for use in call.accounts.tools.found if use.duration_ns is not None]
    uses.sort(key=lambda use: -(use.duration_ns or 0))
    advice = "give the tool a timeout, or let the agent say that it is looking"
    return _within(judge, latencies(call)["tool"], slo.tool_ms, "max", [use.line_no for use in uses[:3]], advice)


def _slowest(call: Call, begin: str, end: str) -> list[CallerTurn]:
    known = [turn for turn in call.accounts.caller.turns if turn.marks.between(begin, end) is not None]
    return sorted(known, key=lambda turn: -(turn.marks.between(begin, end) or 0))[:3]


def _within(
    judge: Judge, found: Distribution, limit_ms: float, which: str, lines: Sequence[int | None], advice: str
) -> Verdict:
    value_ms = found.p95_ms if which == "p95" else found.max_ms
    if value_ms is None:
        return judge.unknown(f"none known, {found.unknown} unknown")
    words = f"median {found.median_ms:.0f} ms, {which} {value_ms:.0f} ms of {found.count}, {found.unknown} unknown"
    if value_ms > limit_ms:
        return judge.fails(f"{words}; expected {which} of at most {limit_ms:g} ms", lines, advice)
    return judge.holds(words, lines)


def interruptions_exact(call: Call, slo: Slo) -> Verdict:
    """When the caller speaks over the agent, it falls silent, and the provider is told exactly what was heard."""
    judge = Judge(GROUP, "interruptions are exact")
    accounts = call.accounts.interruptions
    if accounts.impossible:
        item_id, told_ms, came_ms, line = accounts.impossible[0]
        words = f"{item_id} was truncated at {told_ms} ms, and only {came_ms:g} ms of it ever came"
        advice = "truncate at what was played, counted in samples, not at the time since the answer began"
        return judge.fails(words, [line], advice)
    if not accounts.found:
        unsure = not call.accounts.agent.tells_playout and _has_unsized(call)
        return judge.unknown(UNSIZED if unsure else "nobody spoke over the agent")
    lines = [found.line_no for found in accounts.found]
    for found in accounts.found:
        fault = _inexact(found, slo)
        if fault is not None:
            return judge.fails(fault[0], [found.line_no, found.silent_line, *_told(found)], fault[1])
    unknown = sum(found.silence_ns is None for found in accounts.found)
    if unknown == len(accounts.found):
        return judge.unknown(f"{unknown} interruptions; what was played is not in the log", lines)
    slowest_ms = max(found.silence_ns or 0 for found in accounts.found) / NS_PER_MS
    words = f"{len(accounts.found)} interruptions, silent after {slowest_ms:.1f} ms at most, {unknown} unknown"
    return judge.holds(words, lines)


def _inexact(found: Interruption, slo: Slo) -> tuple[str, str] | None:
    told = {item_id: told_ms for item_id, told_ms, _ in reversed(found.truncations)}  # the first one of each item
    if found.silence_ns is not None and found.silence_ns / NS_PER_MS > slo.barge_in_ms:
        silence_ms = found.silence_ns / NS_PER_MS
        words = f"the agent was silent {silence_ms:.0f} ms after the caller spoke, expected {slo.barge_in_ms:g}"
        return words, "drop what waits at speech_started, before anything else is done"
    if found.late_frames > 1:
        return f"{found.late_frames} frames were played after the cut", "nothing of a cut answer may be played"
    for item_id, played_ms in found.played_ms.items():
        written_ms = found.written_ms.get(item_id, played_ms)
        if abs(written_ms - played_ms) > PTIME_MS:
            words = f"{item_id}: the accounts say {played_ms} ms, the frames in the log {written_ms} ms"
            return words, "the ledger and the leg disagree: report it, with this log"
        if told.get(item_id) != played_ms and item_id not in found.foreign_items:
            words = f"{item_id}: {played_ms} ms were played, the provider was told {told.get(item_id, 'nothing')}"
            return words, "send conversation.item.truncate with what was played"
    if not found.played_ms and not told and found.waiting_ns > UNHEARD_MS * NS_PER_MS:
        words = f"{found.waiting_ns / NS_PER_MS:.0f} ms of the answer were unheard, and the provider was not told"
        return words, "send conversation.item.truncate, or the agent believes that all of it was heard"
    return None


def _has_unsized(call: Call) -> bool:
    return any(turn.begin_ns is not None and turn.end_ns is None for turn in call.accounts.agent.turns)


def _told(found: Interruption) -> list[int]:
    return [line for _, _, line in found.truncations]


def no_dead_air(call: Call, slo: Slo) -> Verdict:
    """Somebody speaks, most of the time."""
    judge = Judge(GROUP, "no dead air")
    if not call.accounts.caller.turns and not call.accounts.agent.turns:
        return judge.unknown("no turns in the log")
    if _has_unsized(call):
        return judge.unknown(UNSIZED)
    silences = dead_air(call, slo.dead_air_s)
    if silences:
        longest = max(silences, key=lambda silence: silence.duration_s)
        words = (
            f"{len(silences)} silences, the longest {longest.duration_s:.1f} s from {longest.begin_ns / NS_PER_S:.1f} s"
        )
        advice = "see what was waited for between these lines; leg.idle_timeout_s lets the agent speak up"
        return judge.fails(words, [line for silence in silences for line in silence.lines], advice)
    return judge.holds(f"none longer than {slo.dead_air_s:g} s")


CHECKS = (turns_answered, turn_latency, answer_latency, tool_latency, interruptions_exact, no_dead_air)
