"""The loops for each instruction set give the same bytes, so that a call sounds, and replays, the same everywhere."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Iterator

import numpy as np
import pytest

from voxpipe.audio import LINEAR_RATES_HZ
from voxpipe.dsp import Resampler, _resample

NOISE = np.random.default_rng(5).integers(-32_768, 32_768, 9_000).astype("<i2").tobytes()


@pytest.fixture(autouse=True)
def fastest() -> Iterator[None]:
    """Leave the process with the path it had."""
    yield
    _resample.use_path(_resample.paths()[-1])


@pytest.mark.parametrize("pair", list(itertools.permutations(LINEAR_RATES_HZ, 2)))
def test_every_path_of_this_machine_gives_the_same_bytes(pair: tuple[int, int]) -> None:
    """Loud noise, in chunks of odd lengths, through every path: not a sample differs."""
    outputs = {}
    for name in _resample.paths():
        _resample.use_path(name)
        resampler = Resampler(*pair)
        sizes = itertools.cycle([2, 1_918, 320, 14, 642])
        at, out = 0, b""
        while at < len(NOISE):
            size = next(sizes)
            out += resampler.process(NOISE[at : at + size])
            at += size
        outputs[name] = out + resampler.flush()
    assert len(set(outputs.values())) == 1, {name: len(out) for name, out in outputs.items()}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="expected x86-64, got " + platform.machine())
def test_the_fast_paths_are_used_where_the_machine_has_them() -> None:
    """A machine with AVX2 or AVX-512 by its own account gets the loops for it."""
    with open("/proc/cpuinfo", encoding="ascii") as lines:
        flags = next(set(line.split()) for line in lines if line.startswith("flags"))
    assert ("avx2" in _resample.paths()) == ("avx2" in flags)
    assert ("avx512" in _resample.paths()) == ({"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags)


def test_another_path_is_refused() -> None:
    """A path the machine or the build has not is an error that names those it has."""
    with pytest.raises(ValueError, match=r"^expected baseline.*, got 'abacus'$"):
        _resample.use_path("abacus")
