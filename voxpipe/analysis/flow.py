"""The audio of a call as it flowed: how much, how fast, and where it paused, without keeping any of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from voxpipe.audio import NS_PER_MS, NS_PER_S, AudioFormat

GAP_NS = 100 * NS_PER_MS
"""A pause beyond this counts as a gap: five frames, more than any jitter on a sound network."""


@attrs.frozen
class FlowStatistics:
    """One stream of audio; what the log does not say is ``None``.

    ``real_time_factor`` is seconds of audio for each second of time from the first chunk to the end of the last one,
    pauses between answers left out; ``rate_factor`` is the same for the typical second of a stream without them, and
    ``steady`` the share of seconds within a tenth of that one. ``span_s`` is the time from the first chunk to the last.
    ``unsized_chunks`` are those whose size is not in the log.
    """

    name: str
    format: str | None
    chunks: int
    unsized_chunks: int
    bytes: int
    seconds: float | None
    span_s: float | None
    real_time_factor: float | None
    rate_factor: float | None
    bytes_per_s: float | None
    steady: float | None
    gaps: int
    gap_total_ms: float
    longest_gap_ms: float
    longest_gap_line: int | None
    first_line: int | None
    last_line: int | None

    def to_json(self) -> dict[str, Any]:
        """Write the statistics as JSON data."""
        return attrs.asdict(self)


class Flow:
    """The accounts of one stream. ``begin`` names a new stretch: what passed since the last chunk was no gap."""

    def __init__(self, name: str, *, continuous: bool) -> None:
        self.name = name
        self.format: AudioFormat | None = None
        self.chunks = 0
        self.bytes = 0
        self.audio_ns = 0
        self.first_ns: int | None = None
        self.last_ns = 0
        self.first_line: int | None = None
        self.last_line: int | None = None
        self.longest_gap_ns = 0
        self.longest_gap_line: int | None = None
        self.gaps = 0
        self.gap_total_ns = 0
        self._continuous = continuous
        self._stretches = 0
        self._unsized = 0
        self._due_ns: int | None = None
        self._begun_ns = 0
        self._span_ns = 0
        self._timed_ns = 0
        self._stretch_audio_ns = 0
        self._second = -1
        self._second_ns = 0
        self._second_bytes = 0
        self._seconds_ms: Counter[int] = Counter()
        self._seconds_bytes: Counter[int] = Counter()

    def begin(self) -> None:
        """Begin a new stretch with the next chunk."""
        self._close()
        self._due_ns = None

    def add(self, t_ns: int, size_bytes: int | None, line_no: int) -> None:
        """Take a chunk; ``None`` for a size that the log does not tell."""
        self.chunks += 1
        if self.first_ns is None:
            self.first_ns, self.first_line = t_ns, line_no
        if self._due_ns is None:
            self._due_ns = self._begun_ns = t_ns
        self.last_ns, self.last_line = t_ns, line_no
        late_ns = t_ns - self._due_ns
        if late_ns > GAP_NS:
            self.gaps += 1
            self.gap_total_ns += late_ns
            if late_ns > self.longest_gap_ns:
                self.longest_gap_ns, self.longest_gap_line = late_ns, line_no
        duration_ns = self._measure(size_bytes)
        if t_ns // NS_PER_S != self._second:
            self._tell_second(t_ns // NS_PER_S)
        self._second_ns += duration_ns
        self._second_bytes += size_bytes or 0
        self._stretch_audio_ns += duration_ns
        self._due_ns = max(self._due_ns, t_ns) + duration_ns

    def _measure(self, size_bytes: int | None) -> int:
        if size_bytes is None:
            self._unsized += 1
            return 0
        self.bytes += size_bytes
        if self.format is None:
            return 0
        duration_ns = size_bytes * NS_PER_S // (self.format.sample_bytes * self.format.rate_hz)
        self.audio_ns += duration_ns
        return duration_ns

    def _tell_second(self, second: int) -> None:
        if self._second >= 0:
            self._seconds_ms[self._second_ns // NS_PER_MS] += 1
            self._seconds_bytes[self._second_bytes] += 1
        self._second, self._second_ns, self._second_bytes = second, 0, 0

    def _close(self) -> None:
        if self._due_ns is not None and self.last_ns > self._begun_ns:
            # A stretch of one chunk has no speed; a continuous one ends when its last chunk has been spoken.
            end_ns = max(self._due_ns, self.last_ns) if self._continuous else self.last_ns
            self._span_ns += end_ns - self._begun_ns
            self._timed_ns += self._stretch_audio_ns
            self._stretches += 1
        self._stretch_audio_ns = 0

    def statistics(self) -> FlowStatistics:
        """Sum the stream up; call it once, at the end of the log."""
        self._close()
        known = self.format is not None and not self._unsized and self.chunks > 0
        steady = self._continuous and self._stretches == 1
        typical_ms, typical_bytes = _median(self._seconds_ms), _median(self._seconds_bytes)
        return FlowStatistics(
            name=self.name,
            format=None if self.format is None else self.format.name,
            chunks=self.chunks,
            unsized_chunks=self._unsized,
            bytes=self.bytes,
            seconds=round(self.audio_ns / NS_PER_S, 3) if known or not self.chunks else None,
            span_s=None if self.first_ns is None else round((self.last_ns - self.first_ns) / NS_PER_S, 3),
            real_time_factor=round(self._timed_ns / self._span_ns, 4) if known and self._span_ns else None,
            rate_factor=typical_ms / 1000 if known and steady and typical_ms else None,
            bytes_per_s=typical_bytes if steady and typical_bytes and not self._unsized else None,
            steady=_share_near(self._seconds_bytes, typical_bytes) if steady and typical_bytes else None,
            gaps=self.gaps,
            gap_total_ms=self.gap_total_ns / NS_PER_MS,
            longest_gap_ms=self.longest_gap_ns / NS_PER_MS,
            longest_gap_line=self.longest_gap_line,
            first_line=self.first_line,
            last_line=self.last_line,
        )


def _median(counted: Counter[int]) -> int | None:
    """The lower median of counted values; ``None`` for fewer than three, of which the first is seldom whole."""
    total = counted.total()
    if total < 3:
        return None
    passed = 0
    for value in sorted(counted):
        passed += counted[value]
        if 2 * passed >= total:
            return value
    return None


def _share_near(counted: Counter[int], typical: int) -> float:
    near = sum(count for value, count in counted.items() if abs(value - typical) * 10 <= typical)
    return round(near / counted.total(), 3)
