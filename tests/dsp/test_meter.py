"""The meter: exact sums of a stream, however it is cut up, and of its slices."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpipe.dsp import _level, reference, ulaw_decode
from voxpipe.errors import AudioError

SAMPLES = st.lists(st.one_of(st.integers(-32_768, 32_767), st.just(0)), max_size=300)


def pack(samples: list[int]) -> bytes:
    """Pack samples as slin."""
    return struct.pack(f"<{len(samples)}h", *samples)


@given(samples=SAMPLES, slice_samples=st.integers(1, 50), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_a_stream_in_pieces_is_the_stream(samples: list[int], slice_samples: int, cuts: list[int]) -> None:
    """Sums and slices are those of plain Python over the whole, wherever the pieces end."""
    meter = _level.Meter(slice_samples)
    ends = sorted({0, len(samples), *(cut for cut in cuts if cut < len(samples))})
    complete = 0
    for begin, end in pairwise(ends):
        complete = meter.add(pack(samples[begin:end]))
    sums, energies, lags = meter.take()
    assert sums == reference.tally(pack(samples))
    whole = len(samples) // slice_samples
    expected = [samples[i * slice_samples : (i + 1) * slice_samples] for i in range(whole)]
    before = [0, *(part[-1] for part in expected)]
    if whole <= 128:
        assert complete == whole
        assert energies == [sum(sample**2 for sample in part) for part in expected]
        assert lags == [reference.neighbours(part, last) for part, last in zip(expected, before, strict=False)]


@given(first=SAMPLES, second=SAMPLES)
def test_taking_begins_anew_and_loses_nothing(first: list[int], second: list[int]) -> None:
    """What was taken is not counted again, and a slice begun before is finished after."""
    meter = _level.Meter(7)
    meter.add(pack(first))
    one = meter.take()
    meter.add(pack(second))
    two = meter.take()
    both = first + second
    assert one[0][:3] == reference.tally(pack(first))[:3]
    assert two[0][:3] == reference.tally(pack(second))[:3]
    slices = [both[i : i + 7] for i in range(0, len(both) // 7 * 7, 7)]
    if len(first) // 7 <= 128:
        assert (one[1] + two[1])[:128] == [sum(sample**2 for sample in part) for part in slices][:128]


def test_more_slices_than_fit_are_kept_in_the_last() -> None:
    """A very long piece is still counted to the last sample."""
    meter = _level.Meter(10)
    assert meter.add(pack([3]) * 10 * 200) == 128
    sums, energies, _ = meter.take()
    assert sums[2] == 9 * 2_000
    assert sum(energies) == 9 * 2_000


def test_half_a_sample_takes_nothing() -> None:
    """An odd number of bytes is an error, and the stream goes on as if it had not come."""
    meter = _level.Meter(2)
    meter.add(pack([1, 2, 3]))
    with pytest.raises(AudioError, match=r"^expected whole 16-bit samples \(2 bytes each\), got 3 bytes$"):
        meter.add(b"abc")
    assert meter.take()[0][0] == 3
    with pytest.raises(ValueError, match=r"^expected a slice of at least one sample, got 0$"):
        _level.Meter(0)


@given(st.binary(max_size=400))
def test_bytes_are_read_as_they_are_told(data: bytes) -> None:
    """Each reading gives the sums of what those bytes would be."""
    readings = {
        "slin": np.frombuffer(data[: len(data) // 2 * 2], "<i2"),
        "byte-swapped": np.frombuffer(data[: len(data) // 2 * 2], ">i2"),
        "ulaw": np.frombuffer(ulaw_decode(data), "<i2"),
        "alaw": np.frombuffer(reference.alaw_decode(data), "<i2"),
    }
    for name, values in readings.items():
        samples = [int(value) for value in values]
        expected = (len(samples), sum(samples), sum(s * s for s in samples), reference.neighbours(samples))
        assert _level.correlate(data, name) == expected
    with pytest.raises(ValueError, match=r"^expected slin, byte-swapped, ulaw or alaw, got 'opus'$"):
        _level.correlate(data, "opus")
