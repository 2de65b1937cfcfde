"""The generated filter table, and the generator."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxpipe.audio import LINEAR_RATES_HZ
from voxpipe.dsp import _resample, reference
from voxpipe.errors import AudioError

DSP = Path(__file__).parents[2] / "dsp"


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    """Load the generator, which is a script and not a module of the package."""
    return runpy.run_path(str(DSP / "design_taps.py"))


def test_the_header_is_what_its_generator_writes(generator: dict[str, Any]) -> None:
    """Running the generator again changes nothing, so table and reasons cannot drift apart."""
    assert (DSP / "taps.h").read_text(encoding="ascii") == generator["render"]()


def test_every_filter_reaches_its_figures(generator: dict[str, Any]) -> None:
    """Passband and stopband of all 72 filters, rounded to single precision, are as flat and as deep as README says."""
    assert generator["verify"]() == []


def test_a_filter_too_short_is_reported(generator: dict[str, Any]) -> None:
    """The measurement behind that verdict sees the stopband of a filter of half the length rise."""
    good = generator["design"](8_000, 24_000)
    short = type(good)(8_000, 24_000, good.phases, good.step, good.half // 2)
    assert generator["measure"](good)[1] < -94
    assert generator["measure"](short)[1] > -60


def test_the_compiled_table_has_every_pair(generator: dict[str, Any]) -> None:
    """The kernel was built from this table, and the table covers every ordered pair of rates."""
    rows = {(each.source_hz, each.target_hz): each for each in generator["designs"]()}
    assert set(rows) == set(itertools.permutations(LINEAR_RATES_HZ, 2))
    for (source_hz, target_hz), row in rows.items():
        expected = (row.phases, row.step, row.half, generator["BETA"])
        assert _resample.design(source_hz, target_hz) == expected


def test_generator_and_reference_compute_the_same_taps(generator: dict[str, Any]) -> None:
    """The filter that was measured is the filter that is used."""
    np.testing.assert_array_equal(generator["design"](16_000, 24_000).taps(), reference.prototype(16_000, 24_000)[3])


@pytest.mark.parametrize(("source_hz", "target_hz"), [(8_000, 8_000), (8_000, 11_025), (0, 0)])
def test_there_is_no_design_for_other_pairs(source_hz: int, target_hz: int) -> None:
    """A pair without a filter is named in the error."""
    with pytest.raises(AudioError) as caught:
        _resample.design(source_hz, target_hz)
    assert str(caught.value) == (
        "expected two different rates of 8000 or 12000 or 16000 or 24000 or 32000 or 44100 or 48000 or 96000 or 192000 "
        f"Hz, got {source_hz} and {target_hz}"
    )
