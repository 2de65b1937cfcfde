"""When the next frame is due.

Due times are ``anchor + n * ptime`` in integer nanoseconds, so that they never drift: a frame that is written late does
not move the later ones. After a gap of more than ``max_late_ns`` (the process was held up, the peer did not read) the
clock re-anchors, which is a *slip*: a burst of all that is late would overrun the phone's jitter buffer.
"""

from __future__ import annotations

import attrs

from voxpipe.audio import NS_PER_MS, PTIME_MS

PTIME_NS = PTIME_MS * NS_PER_MS
MAX_LATE_NS = 3 * PTIME_NS
"""Common jitter buffers on phones take 60 ms and more."""


@attrs.frozen
class ClockStatistics:
    """How punctual playout was: ticks, slips, and the lateness of a written frame against its tick."""

    ticks: int
    slips: int
    slipped_ns: int
    late_max_ns: int
    late_total_ns: int


class Clock:
    """The due times of one leg's frames."""

    def __init__(self, now_ns: int, *, ptime_ns: int = PTIME_NS, max_late_ns: int = MAX_LATE_NS) -> None:
        self._ptime_ns = ptime_ns
        self._max_late_ns = max_late_ns
        self._due_ns = now_ns
        self._ticks = self._slips = self._slipped_ns = self._late_max_ns = self._late_total_ns = 0

    @property
    def due_ns(self) -> int:
        """The instant at which the next frame should be written."""
        return self._due_ns

    def restart(self, now_ns: int) -> None:
        """Make the next frame due now: the first frame of an answer leaves at once."""
        self._due_ns = now_ns

    def tick(self, now_ns: int) -> int:
        """Take note that the due frame was written at ``now_ns``; return the nanoseconds slipped (0 if none)."""
        late_ns = max(0, now_ns - self._due_ns)
        self._ticks += 1
        self._late_total_ns += late_ns
        self._late_max_ns = max(self._late_max_ns, late_ns)
        self._due_ns += self._ptime_ns
        if late_ns <= self._max_late_ns:
            return 0
        self._slips += 1
        self._slipped_ns += late_ns
        self._due_ns = now_ns + self._ptime_ns
        return late_ns

    def statistics(self) -> ClockStatistics:
        """Tell ticks, slips and lateness so far."""
        return ClockStatistics(self._ticks, self._slips, self._slipped_ns, self._late_max_ns, self._late_total_ns)
