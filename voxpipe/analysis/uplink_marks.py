"""Where in the caller's audio the provider heard the end of a turn, and when that audio was read and sent.

The provider names an instant of the audio it was sent (``audio_end_ms``, which includes the configured silence). Each
chunk of a log has a time and a size, so their sums tell when that instant passed through.
"""

from __future__ import annotations

from collections import deque

from voxpipe.analysis.latency import Marks
from voxpipe.audio import NS_PER_MS, NS_PER_S, PTIME_MS

REMEMBERED = 2_000
"""Chunks that are looked back on: 40 s of frames. An end of speech is told within seconds of it."""
UNSETTLED_NS = NS_PER_S + NS_PER_S // 10
"""Losses are told once a second, so a place in the audio is sure only so long after them."""


class Positions:
    """How much audio had passed, by time."""

    def __init__(self) -> None:
        self.total_ns = 0
        self.sized = True
        self._passed: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)

    def add(self, t_ns: int, duration_ns: int | None) -> None:
        """Take a chunk; one of unknown size makes all later places unknown."""
        self.sized = self.sized and duration_ns is not None
        self.total_ns += duration_ns or 0
        self._passed.append((self.total_ns, t_ns))

    def when(self, position_ns: int) -> int | None:
        """Tell when the chunk with this place in it passed; ``None`` if it did not, or too long ago."""
        found: int | None = None
        if not self.sized or position_ns < 0:
            return None
        for total_ns, t_ns in reversed(self._passed):
            if total_ns < position_ns:
                return found
            found = t_ns
        return found if self._passed and len(self._passed) < REMEMBERED else None


class UplinkMarks:
    """The caller's audio at the leg and at the provider, for the early marks of a turn."""

    def __init__(self) -> None:
        self._read = Positions()
        self._sent = Positions()
        self._lost_ns = 0
        self._lost_at_ns = -UNSETTLED_NS
        self._sessions = 0
        self._latest: Marks | None = None

    def read(self, t_ns: int, duration_ns: int | None) -> None:
        """Take audio that was read from the leg."""
        self._read.add(t_ns, duration_ns)

    def sent(self, t_ns: int, duration_ns: int | None) -> None:
        """Take audio that was sent to the provider."""
        self._sent.add(t_ns, duration_ns)

    def begin_session(self) -> None:
        """Count anew: the provider's own count begins with its session."""
        if self._sent.total_ns:
            self._sessions += 1
        self._sent = Positions()

    def lose(self, t_ns: int, frames: int | None) -> None:
        """Take note of frames that were read and never sent."""
        self._lost_ns += (frames or 0) * PTIME_MS * NS_PER_MS
        self._lost_at_ns = t_ns
        if self._latest is not None and self._latest.stopped is not None:
            if t_ns - self._latest.stopped < UNSETTLED_NS:
                self._latest.spoken = None
            self._latest = None

    def mark(self, marks: Marks, audio_end_ms: int | None, silence_ms: int | None) -> None:
        """Fill in ``spoken``, ``sent`` and ``silence`` of a turn whose end was just told, as far as they are known."""
        if audio_end_ms is None or marks.stopped is None:
            return
        end_ns = audio_end_ms * NS_PER_MS
        marks.silence = self._sent.when(end_ns)
        if silence_ms is None or silence_ms > audio_end_ms:
            return
        place_ns = end_ns - silence_ms * NS_PER_MS
        marks.sent = self._sent.when(place_ns)
        settled = marks.stopped - self._lost_at_ns >= UNSETTLED_NS
        if marks.sent is not None and settled and not self._sessions:
            spoken = self._read.when(place_ns + self._lost_ns)
            marks.spoken = spoken if spoken is None or spoken <= marks.sent else None
            self._latest = marks
