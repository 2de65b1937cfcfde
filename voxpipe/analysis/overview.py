"""The overview of a call as data: what ``voxpipe analyze`` prints and gives to machines."""

from __future__ import annotations

from typing import Any

import attrs

from voxpipe.analysis.call import Call
from voxpipe.analysis.flow import FlowStatistics
from voxpipe.analysis.latency import PARTS, Distribution
from voxpipe.analysis.legible import path_text
from voxpipe.analysis.turns import AgentTurn, CallerTurn, seconds
from voxpipe.audio import NS_PER_S

LATENCY_WORDS = {
    "acknowledgement": "session.update sent -> session.updated received",
    "turn": "the caller's last word -> first frame played (the sum of the parts below)",
    "answer": "speech_stopped -> first frame played",
    "first_audio": "speech_stopped -> first audio received",
    "barge_in": "speech_started, a key, or a voice heard here -> the agent silent",
    "tool": "tool call asked for -> its result sent",
}
"""The latencies besides the parts of a turn (``latency.PART_WORDS``)."""


def latencies(call: Call) -> dict[str, Distribution]:
    """Sum up every latency of a call; a turn whose marks are not all in the log counts as unknown."""
    return {name: Distribution.of(values_ns) for name, values_ns in latency_values(call).items()}


def latency_values(call: Call) -> dict[str, list[int | None]]:
    """Every single latency of a call, by name, in nanoseconds; ``None`` is unknown."""
    accounts = call.accounts
    marks = [turn.marks for turn in accounts.caller.turns]
    acks: list[int | None] = [*accounts.configuration.ack_ns, *[None] * accounts.configuration.unanswered]
    parts = [one.parts() for one in marks]
    return {
        "acknowledgement": acks,
        "turn": [one.whole_ns for one in marks],
        **{name: [part[name] for part in parts] for name in PARTS},
        "answer": [one.between("stopped", "played") for one in marks],
        "first_audio": [one.between("stopped", "received") for one in marks],
        "barge_in": [one.silence_ns for one in accounts.interruptions.found],
        "tool": [use.duration_ns for use in accounts.tools.found],
    }


def turns_in_order(call: Call) -> list[CallerTurn | AgentTurn]:
    """All turns of both sides by the time at which they were heard, or else by their line."""

    def when(turn: CallerTurn | AgentTurn) -> tuple[int, int]:
        if isinstance(turn, CallerTurn):
            begin_ns = turn.started_ns if turn.started_ns is not None else turn.ended_ns
        else:
            begin_ns = turn.begin_ns if turn.begin_ns is not None else turn.created_ns
        return begin_ns or 0, turn.line_no

    return sorted([*call.accounts.caller.turns, *call.accounts.agent.turns], key=when)


@attrs.frozen
class DeadAir:
    """A stretch in which neither side spoke, with the lines of the turns around it."""

    begin_ns: int
    end_ns: int
    lines: tuple[int, ...]

    @property
    def duration_s(self) -> float:
        """How long it was."""
        return (self.end_ns - self.begin_ns) / NS_PER_S


def dead_air(call: Call, longer_than_s: float) -> list[DeadAir]:
    """Find the stretches of silence of a call; none in a log that tells of no turns."""
    spoken: list[tuple[int, int, int]] = []
    for turn in turns_in_order(call):
        if isinstance(turn, CallerTurn):
            begin_ns = turn.started_ns if turn.started_ns is not None else turn.ended_ns
            end_ns = turn.ended_ns if turn.ended_ns is not None else call.duration_ns
        else:
            begin_ns, end_ns = turn.begin_ns, turn.end_ns if turn.end_ns is not None else call.duration_ns
        if begin_ns is not None:
            spoken.append((begin_ns, end_ns, turn.line_no))
    if not spoken:
        return []
    found: list[DeadAir] = []
    last_ns, last_line = 0, 1
    for begin_ns, end_ns, line_no in [*sorted(spoken), (call.duration_ns, call.duration_ns, call.lines)]:
        if begin_ns - last_ns > longer_than_s * NS_PER_S:
            found.append(DeadAir(last_ns, begin_ns, (last_line, line_no)))
        if end_ns >= last_ns:
            last_ns, last_line = end_ns, line_no
    return found


def overview_of(call: Call) -> dict[str, Any]:
    """Put everything that is known of a call into JSON data; null, or the word ``unknown``, is what is not."""
    accounts = call.accounts
    configuration = accounts.configuration
    facts = {
        "requested": configuration.requested,
        "confirmed": configuration.confirmed,
        "provider_defaults": configuration.defaults,
    }
    return {
        "log": _log(call),
        "call": {
            "started_at": call.started_at,
            "duration_s": seconds(call.duration_ns),
            "ended_because": accounts.because or "unknown",
            "digits": accounts.digits if call.own or call.leg_uplink.chunks else None,
        },
        "session": {
            "sessions": configuration.sessions,
            **{name: found.to_json() if found is not None else None for name, found in facts.items()},
            "format_changes": [{"line": change.line_no, **change.to_json()} for change in configuration.changes],
        },
        "audio": {
            "flows": [_flow(call, flow) for flow in call.flows],
            "silence_frames": accounts.silence_frames if call.own else None,
            "heard": {side: heard.to_json() for side, heard in call.heard.items()},
        },
        "turns": [turn.to_json() for turn in turns_in_order(call)],
        "latencies_ms": {name: found.to_json() for name, found in latencies(call).items()},
        "interruptions": [found.to_json() for found in accounts.interruptions.found],
        "tools": [use.to_json() for use in accounts.tools.found],
        "successions": dict(accounts.successions) if call.own else None,
        "losses": _losses(call),
        "errors": [trouble.to_json() for trouble in call.troubles],
        "tokens": accounts.agent.tokens.to_json(),
    }


def _flow(call: Call, flow: FlowStatistics) -> dict[str, Any]:
    # A plain log need not tell of every stream, so there no chunk is not the same as no audio.
    data = flow.to_json()
    return data if call.own or flow.chunks else {**dict.fromkeys(data), "name": flow.name}


def _losses(call: Call) -> list[dict[str, Any]] | None:
    """The losses of a call; ``None`` for a plain log that has none, since it would not tell of them."""
    losses = list(call.accounts.troubles.losses.values())
    return [loss.to_json() for loss in losses] if call.own or any(loss.records for loss in losses) else None


def _log(call: Call) -> dict[str, Any]:
    return {
        "path": path_text(call.path),
        "shape": call.shape,
        "lines": call.lines,
        "torn_last_line": call.torn,
        "skipped_lines": call.skipped,
        "skipped_because": call.skipped_faults,
        "missing_lines": call.missing_lines if call.own else None,
        "clock_steps_back": call.steps_back,
        "has_summary": call.accounts.summary is not None if call.own else None,
    }
