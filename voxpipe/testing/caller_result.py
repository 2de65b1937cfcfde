"""What one call was: counts, gaps, the audio heard, and the faults for which Asterisk would have dropped it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias
from uuid import UUID

import attrs
import numpy as np

from voxpipe.audio import NS_PER_S, PTIME_MS, AudioFormat, Encoding

EndedBy: TypeAlias = Literal["caller", "hang-up", "eof", "error"]

VOICED_DB = -45.0
"""RMS above which a frame counts as speech: speech on the telephone is near -26 dBFS, comfort noise below -50."""

BURST_MS = PTIME_MS / 4
"""A frame that comes sooner than this after the one before was not paced."""


@attrs.frozen
class Spread:
    """How a set of durations in milliseconds is spread."""

    p50_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, durations_s: Sequence[float]) -> Spread | None:
        """Sum up durations in seconds; ``None`` when there are none."""
        if not durations_s:
            return None
        p50, p99, most = np.percentile(np.asarray(durations_s) * 1000, (50, 99, 100))
        return cls(round(float(p50), 3), round(float(p99), 3), round(float(most), 3))


@attrs.frozen(kw_only=True)
class CallResult:
    """One call as the caller's side saw it. Instants are seconds since the UUID was sent, on the caller's clock."""

    call_id: UUID
    format: AudioFormat
    """Of the leg: what the caller spoke in."""
    heard_format: AudioFormat
    """What the caller was played: the leg's format, or slin8 on a G.711 leg."""
    frames_sent: int
    frames_heard: int
    """Audio messages received, whatever their length."""
    digits_sent: str
    heard: bytes = attrs.field(repr=False)
    """All the audio that was played, as it came, without the time between."""
    arrivals_s: array[float] = attrs.field(repr=False)
    """When each audio message arrived."""
    sizes_bytes: array[int] = attrs.field(repr=False)
    """How long each audio message was."""
    send_late_s: array[float] = attrs.field(repr=False)
    """How late after its due time each frame was sent: the caller's own punctuality."""
    speech_end_s: float | None
    """When the last frame above ``VOICED_DB`` of the caller's speech had been sent; ``None`` without one."""
    first_answer_s: float | None
    """When the first frame above ``VOICED_DB`` arrived."""
    answer_delay_s: float | None
    """From the end of the caller's speech to the agent's next speech; ``None`` when it spoke already, or never."""
    ended_by: EndedBy
    faults: tuple[str, ...]
    """What Asterisk would have dropped the call for; expected and actual in words."""
    duration_s: float

    @property
    def gaps(self) -> Spread | None:
        """Time between one audio message and the next."""
        return Spread.of(np.diff(np.asarray(self.arrivals_s)).tolist())

    @property
    def bursts(self) -> int:
        """How many audio messages came less than ``BURST_MS`` after the one before."""
        return int(np.count_nonzero(np.diff(np.asarray(self.arrivals_s)) * 1000 < BURST_MS))

    def recording(self) -> bytes:
        """Lay the audio on the call's time line, from the UUID to the end, as a recording on Asterisk's side has it.

        Audio that comes before the audio ahead of it has been played waits for its turn; a gap of less than a frame
        is jitter and closed up; any longer one is silence.
        """
        jitter_samples = self.heard_format.frame_samples
        line = bytearray()
        start = 0
        for arrival_s, size_bytes in zip(self.arrivals_s, self.sizes_bytes, strict=True):
            arrival = round(arrival_s * self.heard_format.rate_hz)
            if arrival - len(line) // 2 > jitter_samples:
                line += bytes(2 * arrival - len(line))
            line += self.heard[start : start + size_bytes]
            start += size_bytes
        end_bytes = 2 * round(self.duration_s * self.heard_format.rate_hz)
        return bytes(line) + bytes(max(0, end_bytes - len(line)))

    def to_json(self) -> dict[str, Any]:
        """Everything but the audio and the lists, ready for ``json``."""
        gaps, late = self.gaps, Spread.of(self.send_late_s)
        return {
            "call_id": str(self.call_id),
            "format": self.format.name,
            "heard_format": self.heard_format.name,
            "ended_by": self.ended_by,
            "faults": list(self.faults),
            "duration_s": round(self.duration_s, 6),
            "frames_sent": self.frames_sent,
            "frames_heard": self.frames_heard,
            "heard_bytes": len(self.heard),
            "heard_ms": self.heard_format.duration_ms(len(self.heard)),
            "digits_sent": self.digits_sent,
            "gaps": attrs.asdict(gaps) if gaps else None,
            "send_late": attrs.asdict(late) if late else None,
            "bursts": self.bursts,
            "speech_end_s": _rounded(self.speech_end_s),
            "first_answer_s": _rounded(self.first_answer_s),
            "answer_delay_s": _rounded(self.answer_delay_s),
        }


def level_db(audio: bytes, encoding: Encoding) -> float:
    """Loudness (RMS) in dBFS, minus infinity for digital silence; half a sample at the end is left out."""
    samples = _linear(audio, encoding)
    power = float(samples @ samples) / len(samples) if len(samples) else 0.0
    return 10 * float(np.log10(power)) - 20 * float(np.log10(32_768)) if power else -np.inf


def _linear(audio: bytes, encoding: Encoding) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    # The signs of G.711 are left out: only power is asked for. Expansion after ITU-T G.711, tables 1a and 2a.
    if encoding is Encoding.SLIN:
        return np.frombuffer(audio, "<i2", len(audio) // 2).astype(np.float32)
    codes = np.frombuffer(audio, np.uint8).astype(np.int32)
    codes = (codes ^ (0xFF if encoding is Encoding.ULAW else 0x55)) & 0x7F
    segments, steps = codes >> 4, codes & 0x0F
    if encoding is Encoding.ULAW:
        magnitudes = (((steps << 3) + 0x84) << segments) - 0x84
    else:
        magnitudes = np.where(segments == 0, (steps << 4) + 8, ((steps << 4) + 0x108) << np.maximum(segments - 1, 0))
    return magnitudes.astype(np.float32)


def _rounded(instant_s: float | None) -> float | None:
    return None if instant_s is None else round(instant_s * NS_PER_S) / NS_PER_S
