"""Waveforms as they are drawn: the peak and the RMS of each stretch of time, at several widths.

A value is one byte, ``round(255 * sqrt(amplitude))``: the root shows quiet speech beside loud. The narrowest bins are
2 ms wide in a short call and wider in a long one, so that their number, and the page, stays bounded; each following
level has a fourth of the bins, so a page draws any zoom from about as many bins as it has pixels.
"""

from __future__ import annotations

import attrs
import numpy as np

from voxpipe.analysis.report.placing import Piece
from voxpipe.audio import NS_PER_MS, NS_PER_S

BIN_WIDTHS_MS = (2, 4, 5, 10, 20, 40, 50, 100, 200, 500, 1000)
"""All of them divide a second."""
MAX_BINS = 1 << 18
"""At 20 ms, 87 minutes."""
FACTOR = 4
SMALLEST_BINS = 256
LEVEL_BIN_MS = 100
FULL_SCALE = 32_768


@attrs.frozen
class Wave:
    """One side's waveform. ``kind`` tells what it is made of: ``sidecar``, ``inline`` or ``levels``; without bins it is
    ``none`` or ``too long``.

    A level is bytes, peak and RMS in turn, bin by bin; the bins of level n are ``bin_ms * 4 ** n`` wide.
    """

    kind: str
    bin_ms: int
    pyramid: tuple[bytes, ...]


NO_WAVE = Wave("none", LEVEL_BIN_MS, ())
TOO_LONG = Wave("too long", LEVEL_BIN_MS, ())


def bin_width_ms(duration_ns: int) -> int:
    """Choose the narrowest bins that a call of this length may have."""
    fitting = (width for width in BIN_WIDTHS_MS if duration_ns <= width * NS_PER_MS * MAX_BINS)
    return next(fitting, BIN_WIDTHS_MS[-1])


class PeakMeter:
    """Takes the audio of one side, whole seconds at a time, and keeps its peaks."""

    def __init__(self, bin_samples: int) -> None:
        self._bin_samples = bin_samples
        self._peaks: list[np.ndarray] = []
        self._squares: list[np.ndarray] = []

    def take(self, block: np.ndarray) -> None:
        """Take int16 samples, a whole number of bins."""
        bins = block.reshape(-1, self._bin_samples).astype(np.float32) / FULL_SCALE
        self._peaks.append(np.abs(bins).max(axis=1))
        self._squares.append((bins * bins).mean(axis=1))

    def wave(self, kind: str, bin_ms: int, bins: int) -> Wave:
        """Return the first so many bins, with all levels above them."""
        peaks, squares = np.concatenate(self._peaks)[:bins], np.concatenate(self._squares)[:bins]
        return Wave(kind, bin_ms, _pyramid(peaks, squares))


def wave_of_levels(
    levels: list[tuple[int, float | None, float | None]], pieces: list[Piece], rate_hz: int, duration_ns: int
) -> Wave:
    """Draw a side of which only the level of each second is known: flat over what was heard of that second."""
    bin_ms = max(LEVEL_BIN_MS, bin_width_ms(duration_ns))
    bin_ns = bin_ms * NS_PER_MS
    bins = max(1, -(-duration_ns // bin_ns))
    peaks, squares = np.zeros(bins, np.float32), np.zeros(bins, np.float32)
    begins = np.array([piece.offset_samples for piece in pieces])
    ends = begins + np.array([piece.samples for piece in pieces])
    for end, rms_db, peak_db in levels:  # told at the end of its second; what came after the last has none of its own
        if rms_db is None or peak_db is None:
            continue
        begin = end - rate_hz
        for index in np.flatnonzero((begins < end) & (ends > begin)):
            piece = pieces[index]
            first, last = max(begin, piece.offset_samples), min(end, piece.offset_samples + piece.samples)
            at_ns = piece.at_ns + (first - piece.offset_samples) * NS_PER_S // rate_hz
            until_ns = piece.at_ns + (last - piece.offset_samples) * NS_PER_S // rate_hz
            span = slice(at_ns // bin_ns, -(-until_ns // bin_ns))
            peaks[span], squares[span] = 10 ** (peak_db / 20), 10 ** (rms_db / 10)
    return Wave("levels", bin_ms, _pyramid(peaks, squares))


def _pyramid(peaks: np.ndarray, squares: np.ndarray) -> tuple[bytes, ...]:
    levels = []
    while True:
        both = np.stack([peaks, np.sqrt(squares)], axis=1)
        levels.append(np.rint(255 * np.sqrt(np.minimum(both, 1))).astype(np.uint8).tobytes())
        if len(peaks) <= SMALLEST_BINS:
            return tuple(levels)
        padding = (0, -len(peaks) % FACTOR)
        peaks = np.pad(peaks, padding).reshape(-1, FACTOR).max(axis=1)
        squares = np.pad(squares, padding).reshape(-1, FACTOR).mean(axis=1)
