"""How loud a stretch of audio is."""

from __future__ import annotations

import math

import attrs

from voxpipe.dsp._level import tally
from voxpipe.dsp.buffer import Buffer

FULL_SCALE = 32_768
"""0 dBFS: a square wave over the whole range, as in ITU-T G.100.1 (dBov); the largest sine has -3.01 dBFS rms."""


@attrs.frozen
class Level:
    """The level of 16-bit samples; of none, the same as of silence."""

    rms_dbfs: float
    """Root mean square, offset included; ``-inf`` for digital silence."""
    peak_dbfs: float
    """The largest magnitude; ``-inf`` for digital silence."""
    dc_offset_lsb: float
    """The mean of all samples, in steps of 16 bits."""
    clipped_samples: int
    """How many are at -32 768 or 32 767, where louder audio was, or may have been, cut off."""
    zero_run_samples: int = 0
    """The longest run of samples that are exactly 0: a gap filled in, or digital silence."""


def measure_level(data: Buffer) -> Level:
    """Measure whole 16-bit samples; half a sample is an ``AudioError``."""
    return level_of(*tally(data))


def level_of(samples: int, total: int, squares: int, peak: int, clipped: int, zero_run: int) -> Level:
    """Make a level of the exact sums of ``tally``."""
    if not peak:
        return Level(-math.inf, -math.inf, 0.0, 0, zero_run)
    return Level(
        rms_dbfs=10 * math.log10(squares / samples / FULL_SCALE**2),
        peak_dbfs=20 * math.log10(peak / FULL_SCALE),
        dc_offset_lsb=total / samples,
        clipped_samples=clipped,
        zero_run_samples=zero_run,
    )
