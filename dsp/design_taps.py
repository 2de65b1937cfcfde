"""Design the low-pass filter of each pair of rates and write ``taps.h``: ``python dsp/design_taps.py``.

The header holds five numbers a pair; the taps are computed from them when a pair is first used (see README.md, "The
filters"). With ``--verify`` nothing is written: each filter of the header is measured, and a miss is an error.
"""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

RATES_HZ = (8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000)
PASS_HZ = {
    8_000: 3_400,  # the telephone band, ITU-T G.712
    12_000: 5_200,
    16_000: 7_000,  # the wideband telephone band, ITU-T G.722
    24_000: 10_500,
    32_000: 14_000,
    44_100: 17_500,  # 32 taps a phase
    48_000: 20_000,  # the full band, ITU-T G.719
    96_000: 40_000,
}
"""The edge of the passband by the lower rate of a pair; the stopband begins at that rate less this edge."""

STOP_DB = 96.5
"""Attenuation the window is chosen for: about what 16 bits can tell. The ripple of the passband is as small."""
MEASURED_STOP_DB = 93.0
"""What every finished filter must reach, after each phase was scaled to a gain of 1 and rounded to float32."""
MEASURED_RIPPLE_DB = 0.001
"""What the passband of every finished filter may deviate: an error of -79 dB at worst."""

# J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window function" (1974): the window's parameter,
# and the width of a transition, for an attenuation.
BETA = round(0.1102 * (STOP_DB - 8.7), 4)
WIDTH = (STOP_DB - 7.95) / (2.285 * 2 * math.pi)

HEADER = Path(__file__).with_name("taps.h")


@attrs.frozen
class Design:
    """One filter: ``2 * half + 1`` taps at ``phases * source_hz``, applied to every ``step``-th of its outputs."""

    source_hz: int
    target_hz: int
    phases: int
    step: int
    half: int

    @property
    def rate_hz(self) -> int:
        """The lowest common multiple of both rates, where the prototype lives."""
        return self.phases * self.source_hz

    @property
    def edges_hz(self) -> tuple[int, int]:
        """Where the passband ends and where the stopband begins."""
        lower_hz = min(self.source_hz, self.target_hz)
        return PASS_HZ[lower_hz], lower_hz - PASS_HZ[lower_hz]

    def taps(self) -> NDArray[np.float64]:
        """The prototype: a sinc under a Kaiser window, every phase scaled to a gain of 1 at 0 Hz.

        The sinc's half-gain point is half the lower rate, so all but one of every ``max(phases, step)``-th taps are 0.
        """
        time = np.arange(-self.half, self.half + 1)
        window = np.i0(BETA * np.sqrt(1 - (time / (self.half + 1)) ** 2)) / np.i0(BETA)
        period = max(self.phases, self.step)
        taps = np.asarray(np.sinc(time / period) * window, dtype=np.float64)
        taps[(time % period == 0) & (time != 0)] = 0
        for phase in range(self.phases):
            taps[phase :: self.phases] /= taps[phase :: self.phases].sum()
        return taps


def design(source_hz: int, target_hz: int) -> Design:
    """Choose the length by Kaiser's formula: from the edge of the passband to that of the stopband.

    The half length is a multiple of the step, so that the delay is a whole number of samples at the target rate.
    """
    divisor = math.gcd(source_hz, target_hz)
    phases, step = target_hz // divisor, source_hz // divisor
    lower_hz = min(source_hz, target_hz)
    transition_hz = lower_hz - 2 * PASS_HZ[lower_hz]
    return Design(source_hz, target_hz, phases, step, math.ceil(WIDTH / transition_hz / 2 * target_hz) * step)


def designs() -> list[Design]:
    """All ordered pairs of different rates, in ascending order."""
    return [design(source_hz, target_hz) for source_hz, target_hz in itertools.permutations(RATES_HZ, 2)]


def measure(design_: Design) -> tuple[float, float]:
    """The largest deviation in the passband and the largest gain in the stopband, in dB, of the taps in float32."""
    taps = design_.taps().astype(np.float32).astype(np.float64) / design_.phases
    size = 1 << (16 * taps.size - 1).bit_length()
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(taps, size)) + 1e-12)
    frequency_hz = np.fft.rfftfreq(size, 1 / design_.rate_hz)
    pass_hz, stop_hz = design_.edges_hz
    return float(np.abs(gain_db[frequency_hz <= pass_hz]).max()), float(gain_db[frequency_hz >= stop_hz].max())


def render() -> str:
    """The text of ``taps.h``."""
    rows = "\n".join(
        f"    {{{d.source_hz}, {d.target_hz}, {d.phases}, {d.step}, {d.half}}},  "
        f"/* {1000 * d.half / d.rate_hz:.3f} ms */"
        for d in designs()
    )
    return f"""/* Made by `python dsp/design_taps.py`: change that file, not this one. README.md has the columns. */

#ifndef VOXPIPE_TAPS_H
#define VOXPIPE_TAPS_H

typedef struct {{
    int source_hz, target_hz;
    int phases, step;  /* target : source, in lowest terms */
    int half;          /* taps on each side of the middle one, at phases * source_hz */
}} taps_design;

#define TAPS_BETA {BETA!r}

static const taps_design TAPS_DESIGNS[] = {{
{rows}
}};

#define TAPS_DESIGN_COUNT ((int)(sizeof TAPS_DESIGNS / sizeof TAPS_DESIGNS[0]))

#endif
"""


def verify() -> list[str]:
    """One line for each filter that misses its figures."""
    misses = []
    for each in designs():
        ripple_db, stop_db = measure(each)
        if ripple_db > MEASURED_RIPPLE_DB or stop_db > -MEASURED_STOP_DB:
            misses.append(
                f"{each.source_hz} to {each.target_hz} Hz: expected a ripple of at most {MEASURED_RIPPLE_DB} dB and a "
                f"stopband below -{MEASURED_STOP_DB} dB, got {ripple_db:.4f} dB and {stop_db:.1f} dB"
            )
    return misses


if __name__ == "__main__":
    if "--verify" in sys.argv[1:]:
        sys.exit("\n".join(verify()) or 0)
    HEADER.write_text(render(), encoding="ascii")
