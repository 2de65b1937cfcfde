"""Levels of 16-bit audio."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpipe.dsp import _level, measure_level, reference
from voxpipe.errors import AudioError


def pcm(*samples: int) -> bytes:
    """Pack samples as slin."""
    return np.array(samples, dtype="<i2").tobytes()


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ((), (-math.inf, -math.inf, 0, 0, 0)),
        ((0,) * 160, (-math.inf, -math.inf, 0, 0, 160)),
        ((-32_768,) * 8, (0, 0, -32_768, 8, 0)),
        ((32_767, -32_768), (-0.0001, 0, -0.5, 2, 0)),
        ((16_384, -16_384), (-6.0206, -6.0206, 0, 0, 0)),
        ((1, 1, 1, 1), (-90.3090, -90.3090, 1, 0, 0)),
        ((32_766, -32_767), (-0.0004, -0.0003, -0.5, 0, 0)),
        ((0, 0, 5, -5, 0, 0, 0, 5, -5, 0), (-80.3090, -76.3296, 0, 0, 3)),
    ],
)
def test_levels_of_known_samples(samples: tuple[int, ...], expected: tuple[float, ...]) -> None:
    """Silence, the ends of the range and one step of it have the levels the definition gives."""
    assert attrs.astuple(measure_level(pcm(*samples))) == pytest.approx(expected, rel=0, abs=1e-4)


def test_the_largest_sine_has_3_db_less_than_full_scale() -> None:
    """0 dBFS is a square wave, so a sine at full scale has an rms level of -3.01 dBFS."""
    sine = np.rint(32_767 * np.sin(2 * np.pi * np.arange(8_000) / 8)).astype("<i2")
    level = measure_level(sine.tobytes())
    assert level.rms_dbfs == pytest.approx(-3.0106, abs=1e-3)
    assert level.peak_dbfs == pytest.approx(0.0, abs=1e-3)
    assert level.dc_offset_lsb == 0


SAMPLES = st.one_of(st.integers(-32_768, 32_767), st.sampled_from([0, 0, 0, 1, -32_768, 32_767]))


@given(st.lists(SAMPLES))
def test_sums_equal_plain_python(samples: list[int]) -> None:
    """The compiled sums are exact for any samples."""
    assert _level.tally(pcm(*samples)) == reference.tally(pcm(*samples))


def test_sums_of_long_loud_audio_do_not_overflow() -> None:
    """A minute of full scale at 48 kHz has the square sum it should."""
    count = 48_000 * 60
    assert _level.tally(pcm(-32_768) * count) == (count, -32_768 * count, 2**30 * count, 32_768, count, 0)


@pytest.mark.parametrize("tally", [_level.tally, reference.tally, measure_level])
def test_half_a_sample_is_an_error(tally: Callable[[bytes], object]) -> None:
    """An odd number of bytes cannot be 16-bit samples."""
    with pytest.raises(AudioError, match=r"^expected whole 16-bit samples \(2 bytes each\), got 3 bytes$"):
        tally(b"abc")
