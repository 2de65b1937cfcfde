"""Gaps: where the reference speaks and the recording is silent."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

COMPARED_HZ = 8_000
SHORTEST_GAP_S = 0.004
FRAME_S = 0.005
ACTIVE_LSB = 100.0
"""RMS from which speech is missed: -50 dBFS."""
DROPOUT = 0.05
"""A stretch is a dropout that has less than this (-26 dB) of the level that was expected."""
DROPOUT_S = 0.015


@attrs.frozen
class Gap:
    """A stretch of the recording in which the reference is not heard."""

    at_s: float
    duration_ms: float
    digital: bool
    """Every sample is the same, to the sample; otherwise it is merely too quiet, in steps of 5 ms."""


def find_gaps(
    heard: bytes, heard_hz: int, expected: Floats, narrow: Floats, inside: Mask
) -> tuple[tuple[Gap, ...], Mask]:
    """Find the gaps; return, too, which samples at 8 kHz they are.

    ``expected`` is what should be heard and ``narrow`` what is, both at 8 kHz; ``inside`` where there is a reference.
    """
    samples = np.frombuffer(heard, "<i2")
    muted = np.zeros(len(expected), dtype=np.bool_)
    gaps = []
    for begin, end in _runs(np.diff(samples) == 0):
        end += 1  # of n equal differences n + 1 samples are alike
        low, high = (round(place * COMPARED_HZ / heard_hz) for place in (begin, end))
        if end - begin >= SHORTEST_GAP_S * heard_hz and _speaks(expected[low:high], inside[low:high]):
            gaps.append(Gap(begin / heard_hz, (end - begin) * 1000 / heard_hz, digital=True))
            muted[low:high] = True
    frame = round(FRAME_S * COMPARED_HZ)
    begins = np.arange(0, len(expected), frame)
    wanted, got = (np.add.reduceat(signal**2, begins) / frame for signal in (expected * inside, narrow))
    quiet = (wanted > ACTIVE_LSB**2) & (got < wanted * DROPOUT**2) & ~np.logical_or.reduceat(muted, begins)
    for first, last in _runs(quiet):
        if (last - first) * FRAME_S >= DROPOUT_S:
            gaps.append(Gap(first * FRAME_S, (last - first) * FRAME_S * 1000, digital=False))
            muted[first * frame : last * frame] = True
    # The filters of a path and of this comparison ring beside an edge.
    ring = round(0.003 * COMPARED_HZ)
    beside = np.convolve(muted, np.ones(2 * ring + 1), mode="same") > 0 if muted.any() else muted
    return tuple(sorted(gaps, key=lambda gap: gap.at_s)), beside


def _speaks(expected: Floats, inside: Mask) -> bool:
    """Whether the reference is there, and not silent itself."""
    return bool(len(expected) and inside.all() and np.sqrt(np.mean(expected**2)) > ACTIVE_LSB)


def _runs(mask: Mask) -> list[tuple[int, int]]:
    """Begin and end of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2], strict=True)]
