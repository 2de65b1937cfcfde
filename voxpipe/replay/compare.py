"""What came out of a call then and now, lane by lane, and the first difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import attrs

from voxpipe.replay.peers import SLIP_NS
from voxpipe.replay.tape import SUMMARY
from voxpipe.sansio.records import Record

UNTIMED = frozenset({"ack_ms", "duration_ms", "after_s", "held_ms", "message", "path"})
"""What differs from run to run, or says what the system said."""
EVENTS = (
    "session.", "playout.started", "playout.finished", "playout.cut", "playout.held", "playout.resumed",
    "response.", "tool.", "digits.", "audio.refused", "audio.stale", "truncation.", "command.", "timer.", "turn.",
)  # fmt: skip


FRAME = "audiosocket.sent"


def _lanes(append: str) -> dict[str, Callable[[Record], bool]]:
    return {
        "commands to the provider": lambda r: r.direction == "sent" and r.event_type not in (append, FRAME),
        "caller audio to the provider": lambda r: r.direction == "sent" and r.event_type == append,
        "agent audio to the caller": lambda r: r.event_type == FRAME,
        "events": lambda r: r.direction == "local" and r.event_type.startswith(EVENTS),
    }


@attrs.frozen
class Difference:
    """Where what comes out now is not what came out then."""

    lane: str
    number: int
    line_no: int | None
    t_ns: int
    then: str
    now: str

    def __str__(self) -> str:
        where = "behind the end of the log" if self.line_no is None else f"line {self.line_no}"
        place = f"{where}, {self.t_ns / 1e9:.3f} s, {self.lane}, number {self.number}"
        return f"{place}:\n  then {self.then}\n  now  {self.now}"


@attrs.frozen
class Replay:
    """A call gone through again: how much of it was held against the log, and the first difference in time."""

    duration_s: float
    counts: dict[str, int]
    difference: Difference | None
    whole: bool = True
    """Whether the log has its end; behind that of a process that was killed nothing is compared."""

    @property
    def identical(self) -> bool:
        """Whether everything was sent and played as it was then."""
        return self.difference is None


def compare(then: Sequence[Record], line_nos: Sequence[int], now: Sequence[Record], append: str) -> Replay:
    """Hold the records of a replay against those of the log; ``append`` is the type of caller audio on the wire."""
    whole = then[-1].event_type == SUMMARY
    # Of a process that was killed the log lacks the end, and what it did at its last moment may have been late.
    behind_ns = math.inf if whole else then[-1].t_ns - SLIP_NS
    counts: dict[str, int] = {}
    differences: list[Difference] = []
    for lane, belongs in _lanes(append).items():
        before = [(line_no, record) for line_no, record in zip(line_nos, then, strict=True) if belongs(record)]
        after = [record for record in now if belongs(record)]
        while len(after) > len(before) and after[-1].t_ns >= behind_ns:
            after.pop()
        # A frame that was due at the instant the call ended left before or behind its end by chance.
        if len(after) == len(before) + 1 and after[-1].event_type == FRAME and after[-1].t_ns >= then[-1].t_ns:
            after.pop()
        # Each session has tasks of its own, and which of them goes first at one instant is Trio's to throw dice for.
        before.sort(key=lambda numbered: numbered[1].session or 1)
        after.sort(key=lambda record: record.session or 1)
        counts[lane] = len(before)
        for number, (old, new) in enumerate(zip_longest(before, after), 1):
            told = None if old is None else _essence(old[1])
            found = None if new is None else _essence(new)
            if told != found:
                t_ns = min(record.t_ns for record in ((old or (0, None))[1], new) if record is not None)
                differences.append(
                    Difference(lane, number, None if old is None else old[0], t_ns, _show(told), _show(found))
                )
                break
    duration_s = then[-1].t_ns / 1e9
    return Replay(duration_s, counts, min(differences, key=_place, default=None), whole)


def _place(difference: Difference) -> tuple[int, float]:
    return difference.t_ns, math.inf if difference.line_no is None else difference.line_no


def _essence(record: Record) -> tuple[Any, ...]:
    return record.session, record.event_type, _without_times(record.event_data)


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        # Where a log has the offset of audio in its file, another has none: the digest is what counts.
        return {name: _without_times(item) for name, item in value.items() if name not in UNTIMED | {"offset_samples"}}
    return [_without_times(item) for item in value] if isinstance(value, list | tuple) else value


def _show(essence: tuple[Any, ...] | None) -> str:
    if essence is None:
        return "nothing"
    session, event_type, data = essence
    return f"{event_type} {data}" + (f" in session {session}" if session else "")
