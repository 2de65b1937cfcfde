"""The kernels in plain Python, slow and obvious: what the compiled ones are tested against.

G.711 is a search in the tables of the Recommendation and the resampler the sum of its definition, in double precision.
Nothing is shared with the kernels but the numbers a filter is designed by.
"""

from __future__ import annotations

import functools
import itertools
import struct
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxpipe.audio import LINEAR_RATES_HZ
from voxpipe.dsp._resample import design
from voxpipe.dsp.buffer import Buffer
from voxpipe.errors import AudioError

Floats = NDArray[np.float64]


def _unpack(data: Buffer) -> tuple[int, ...]:
    size_bytes = memoryview(data).nbytes
    if size_bytes % 2:
        raise AudioError(f"expected whole 16-bit samples (2 bytes each), got {size_bytes} bytes")
    return struct.unpack(f"<{size_bytes // 2}h", data)


# G.711, table 2a (mu-law, for 14 bits) and table 1a (A-law, for 13 bits): where each of the 128 intervals begins, and
# the value that stands for it, halfway to the next. Eight segments of 16 intervals, each with twice the step before.
_ULAW_STARTS = [max(0, (16 + j) * 2 ** (segment + 1) - 33) for segment in range(8) for j in range(16)]
_ULAW_VALUES = [(33 + 2 * j) * 2**segment - 33 for segment in range(8) for j in range(16)]
_ALAW_STARTS = [2 * j for j in range(32)] + [(16 + j) * 2**segment for segment in range(2, 8) for j in range(16)]
_ALAW_VALUES = [2 * j + 1 for j in range(32)] + [
    (33 + 2 * j) * 2 ** (segment - 1) for segment in range(2, 8) for j in range(16)
]


def ulaw_encode(data: Buffer) -> bytes:
    """Encode samples to mu-law codes: the number of the interval, inverted."""
    codes = []
    for sample in _unpack(data):
        interval = bisect_right(_ULAW_STARTS, abs(sample >> 2)) - 1
        codes.append((0x7F if sample < 0 else 0xFF) - interval)
    return bytes(codes)


def alaw_encode(data: Buffer) -> bytes:
    """Encode samples to A-law codes: the number of the interval, every other bit inverted."""
    codes = []
    for sample in _unpack(data):
        linear = sample >> 3
        interval = bisect_right(_ALAW_STARTS, -1 - linear if linear < 0 else linear) - 1
        codes.append((interval if linear < 0 else interval + 0x80) ^ 0x55)
    return bytes(codes)


def ulaw_decode(data: Buffer) -> bytes:
    """Decode mu-law codes to samples."""
    magnitudes = [4 * _ULAW_VALUES[0x7F - (code & 0x7F)] for code in bytes(data)]
    return b"".join(
        struct.pack("<h", magnitude if code & 0x80 else -magnitude)
        for code, magnitude in zip(bytes(data), magnitudes, strict=True)
    )


def alaw_decode(data: Buffer) -> bytes:
    """Decode A-law codes to samples."""
    magnitudes = [8 * _ALAW_VALUES[(code ^ 0x55) & 0x7F] for code in bytes(data)]
    return b"".join(
        struct.pack("<h", magnitude if code & 0x80 else -magnitude)
        for code, magnitude in zip(bytes(data), magnitudes, strict=True)
    )


@functools.lru_cache(maxsize=8)
def prototype(source_hz: int, target_hz: int) -> tuple[int, int, int, Floats]:
    """Return ``(phases, step, half, taps)``: the windowed sinc, each phase of it scaled to a sum of 1."""
    phases, step, half, beta = design(source_hz, target_hz)
    time = np.arange(-half, half + 1)
    window = np.i0(beta * np.sqrt(1 - (time / (half + 1)) ** 2)) / np.i0(beta)
    period = max(phases, step)
    taps = np.asarray(np.sinc(time / period) * window, dtype=np.float64)
    taps[(time % period == 0) & (time != 0)] = 0
    for phase in range(phases):
        taps[phase::phases] /= taps[phase::phases].sum()
    return phases, step, half, taps


class Resampler:
    """The compiled ``Resampler``, from its definition: keeps the whole stream and sums anew for each sample."""

    def __init__(self, source_hz: int, target_hz: int) -> None:
        for rate_hz in (source_hz, target_hz):
            if rate_hz not in LINEAR_RATES_HZ:
                raise AudioError(f"expected a rate of {' or '.join(map(str, LINEAR_RATES_HZ))} Hz, got {rate_hz}")
        self.source_hz = source_hz
        self.target_hz = target_hz
        if source_hz == target_hz:
            self._phases, self._step, self._half, self._taps = 1, 1, 0, np.ones(1)
        else:
            self._phases, self._step, self._half, self._taps = prototype(source_hz, target_hz)
        self.reset()

    @property
    def delay_samples(self) -> int:
        """Group delay in samples at the target rate."""
        return self._half // self._step

    @property
    def delay_s(self) -> float:
        """Group delay in seconds."""
        return self.delay_samples / self.target_hz

    def reset(self) -> None:
        """Forget the stream."""
        self._input: list[int] = []
        self._given = 0

    def process(self, data: Buffer) -> bytes:
        """Take samples and return every output whose newest input has come."""
        self._input += _unpack(data)
        output = bytearray()
        while self._newest(self._given) < len(self._input):
            output += self._sample(self._given)
            self._given += 1
        return bytes(output)

    def flush(self) -> bytes:
        """Return the outputs that belong to an instant before the end of the input, and reset."""
        total = -(-len(self._input) * self._phases // self._step)
        tail = b"".join(self._sample(number) for number in range(self._given, total))
        self.reset()
        return tail

    def _newest(self, output: int) -> int:
        return (output * self._step + self._half) // self._phases

    def _sample(self, output: int) -> bytes:
        """Sum over the input of ``input[i] * tap[output * step + half - i * phases]``, rounded and held to 16 bits."""
        newest = self._newest(output)
        taps = self._taps[(output * self._step + self._half) % self._phases :: self._phases]
        total = 0.0
        for tap, number in zip(taps, range(newest, newest - len(taps), -1), strict=True):
            if 0 <= number < len(self._input):
                total += tap * self._input[number]
        return struct.pack("<h", max(-32_768, min(32_767, round(total))))


def tally(data: Buffer) -> tuple[int, int, int, int, int, int]:
    """Return ``(samples, sum, sum of squares, peak, clipped, longest run of zeros)``."""
    samples = _unpack(data)
    return (
        len(samples),
        sum(samples),
        sum(sample * sample for sample in samples),
        max(map(abs, samples), default=0),
        sum(sample in (-32_768, 32_767) for sample in samples),
        max(
            (len(list(run)) for is_zero, run in itertools.groupby(samples, key=lambda each: each == 0) if is_zero),
            default=0,
        ),
    )


def neighbours(samples: Sequence[int], before: int = 0) -> int:
    """Return the sum of products of neighbours, the first one's being ``before``."""
    return sum(here * there for here, there in zip(samples, [before, *samples], strict=False))
