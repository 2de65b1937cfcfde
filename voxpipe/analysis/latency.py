"""Latencies: the named parts that a turn's latency is the sum of, and how many such numbers are summed up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import attrs

from voxpipe.audio import NS_PER_MS

MARKS = ("spoken", "sent", "silence", "stopped", "created", "received", "played")
PARTS = ("uplink", "configured_silence", "detection", "response", "generation", "playout")
"""Each is the time from one mark to the next."""
PART_WORDS = {
    "uplink": "the caller's last word read from the leg -> sent to the provider (read, resample, send)",
    "configured_silence": "that word sent -> the silence that ends a turn sent",
    "detection": "silence sent -> speech_stopped received (network, the provider's decision)",
    "response": "speech_stopped -> response.created",
    "generation": "response.created -> first audio received (the model, and tools where it called some)",
    "playout": "first audio received -> first frame played (decode, resample, queue, pacing)",
}


@attrs.define
class Marks:
    """The instants of one caller's turn, in nanoseconds from the beginning of the log; ``None`` is unknown.

    ``spoken``: the caller's last word was read from the leg; ``sent``: that word was sent to the provider; ``silence``:
    so was the configured silence after it; ``stopped``: the provider told the turn's end; ``created``: the answer was
    begun; ``received``: its first audio came; ``played``: its first frame was written to the leg.
    """

    spoken: int | None = None
    sent: int | None = None
    silence: int | None = None
    stopped: int | None = None
    created: int | None = None
    received: int | None = None
    played: int | None = None

    def parts(self) -> dict[str, int | None]:
        """Name the parts, in nanoseconds; one that lacks a mark is ``None``. The known ones are never negative."""
        values = [getattr(self, name) for name in MARKS]
        return {
            part: None if begin is None or end is None or end < begin else end - begin
            for part, (begin, end) in zip(PARTS, pairwise(values), strict=True)
        }

    @property
    def whole_ns(self) -> int | None:
        """The latency that the caller felt: the sum of all parts, or ``None`` where any of them is unknown."""
        parts = list(self.parts().values())
        return None if None in parts else sum(part for part in parts if part is not None)

    @property
    def missing(self) -> tuple[str, ...]:
        """The parts that are not known."""
        return tuple(name for name, part in self.parts().items() if part is None)

    def between(self, begin: str, end: str) -> int | None:
        """The time from one mark to another; ``None`` where one is unknown, or the order is wrong."""
        begin_ns, end_ns = getattr(self, begin), getattr(self, end)
        return None if begin_ns is None or end_ns is None or end_ns < begin_ns else end_ns - begin_ns

    def to_json(self) -> dict[str, Any]:
        """Write parts and sum as JSON data, in nanoseconds; null is unknown."""
        return {"parts_ns": self.parts(), "whole_ns": self.whole_ns, "missing": list(self.missing)}


@attrs.frozen
class Distribution:
    """Several latencies as median, 95th percentile (nearest rank) and maximum; and how many are unknown."""

    count: int
    unknown: int
    median_ms: float | None
    p95_ms: float | None
    max_ms: float | None

    @classmethod
    def of(cls, values_ns: Iterable[int | None]) -> Distribution:
        """Sum up values in nanoseconds, ``None`` for an unknown one."""
        every = list(values_ns)
        known = sorted(value for value in every if value is not None)
        return cls(
            count=len(known),
            unknown=len(every) - len(known),
            median_ms=_rank(known, 0.5),
            p95_ms=_rank(known, 0.95),
            max_ms=_rank(known, 1.0),
        )

    def to_json(self) -> dict[str, Any]:
        """Write the numbers as JSON data."""
        return attrs.asdict(self)


def _rank(known: Sequence[int], share: float) -> float | None:
    """The smallest value that so large a share of all does not exceed."""
    return round(known[math.ceil(share * len(known)) - 1] / NS_PER_MS, 3) if known else None
