"""Several calls side by side: a row for each, and their totals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from voxpipe.analysis.call import Call
from voxpipe.analysis.latency import Distribution, Marks
from voxpipe.analysis.legible import path_text


@attrs.frozen
class CallRow:
    """What one call comes to in a list of calls; its latencies are kept, so that totals are of turns, not of calls."""

    log: str
    started_at: str
    duration_ns: int
    caller_turns: int
    agent_turns: int
    interruptions: int
    answer_ns: tuple[int | None, ...]
    turn_ns: tuple[int | None, ...]
    errors: int
    underruns: int | None
    lost_frames: int | None
    tokens: int | None
    ended_because: str

    @classmethod
    def of(cls, call: Call) -> CallRow:
        """Take a call's row."""
        accounts, losses = call.accounts, call.accounts.troubles.losses
        marks = [turn.marks for turn in accounts.caller.turns]
        return cls(
            log=path_text(call.path.name),
            started_at=call.started_at,
            duration_ns=call.duration_ns,
            caller_turns=len(accounts.caller.turns),
            agent_turns=len(accounts.agent.turns),
            interruptions=len(accounts.interruptions.found),
            answer_ns=tuple(answer_ns(one) for one in marks),
            turn_ns=tuple(one.whole_ns for one in marks),
            errors=sum(trouble.count for trouble in call.troubles if not trouble.harmless),
            underruns=losses["playout.underrun"].total if call.own else None,
            lost_frames=losses["uplink.overrun"].total if call.own else None,
            tokens=accounts.agent.tokens.sums.get("total_tokens"),
            ended_because=accounts.because or "unknown",
        )

    def to_json(self) -> dict[str, Any]:
        """Write the row as JSON data."""
        return {
            **attrs.asdict(self, filter=lambda field, _value: field.name not in ("answer_ns", "turn_ns")),
            "answer_ms": Distribution.of(self.answer_ns).to_json(),
            "turn_ms": Distribution.of(self.turn_ns).to_json(),
        }


def answer_ns(marks: Marks) -> int | None:
    """From the end of a turn to the first frame played, or, in a log without playout, to the first audio received."""
    return marks.between("stopped", "received" if marks.played is None else "played")


@attrs.frozen
class Totals:
    """The sums of several calls; ``unknown_*`` count the calls whose logs do not tell."""

    calls: int
    duration_ns: int
    caller_turns: int
    agent_turns: int
    interruptions: int
    answer: Distribution
    turn: Distribution
    errors: int
    underruns: int
    lost_frames: int
    unknown_losses: int
    tokens: int
    unknown_tokens: int

    @classmethod
    def of(cls, rows: Sequence[CallRow]) -> Totals:
        """Sum up rows."""
        return cls(
            calls=len(rows),
            duration_ns=sum(row.duration_ns for row in rows),
            caller_turns=sum(row.caller_turns for row in rows),
            agent_turns=sum(row.agent_turns for row in rows),
            interruptions=sum(row.interruptions for row in rows),
            answer=Distribution.of(value for row in rows for value in row.answer_ns),
            turn=Distribution.of(value for row in rows for value in row.turn_ns),
            errors=sum(row.errors for row in rows),
            underruns=sum(row.underruns or 0 for row in rows),
            lost_frames=sum(row.lost_frames or 0 for row in rows),
            unknown_losses=sum(row.underruns is None for row in rows),
            tokens=sum(row.tokens or 0 for row in rows),
            unknown_tokens=sum(row.tokens is None for row in rows),
        )

    def to_json(self) -> dict[str, Any]:
        """Write the totals as JSON data."""
        return attrs.asdict(self)
