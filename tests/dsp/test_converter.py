"""From format to format, G.711 and resampling combined."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpipe import dsp
from voxpipe.audio import ALAW8, FORMATS, SLIN8, SLIN16, SLIN24, ULAW8, AudioFormat
from voxpipe.dsp import Converter, Resampler
from voxpipe.errors import AudioError

NOISE = np.random.default_rng(8).integers(0, 256, 2 * 24_000 // 5, dtype=np.uint8).tobytes()


def names(formats: tuple[AudioFormat, AudioFormat]) -> str:
    """Name a pair of formats."""
    return f"{formats[0]}-{formats[1]}"


@pytest.mark.parametrize("format_", FORMATS, ids=str)
def test_equal_formats_return_the_data_itself(format_: AudioFormat) -> None:
    """Where nothing is to be done nothing is copied."""
    converter = Converter(format_, format_)
    frame = bytes(format_.frame_bytes)
    assert converter.convert(frame) is frame
    assert converter.flush() == b""
    assert converter.delay_s == 0


@pytest.mark.parametrize("formats", list(itertools.product((SLIN8, SLIN24, ULAW8, ALAW8), repeat=2)), ids=names)
def test_whole_duration_comes_out(formats: tuple[AudioFormat, AudioFormat]) -> None:
    """Five frames in, five frames' worth of bytes out, once flushed."""
    source, target = formats
    converter = Converter(source, target)
    data = NOISE[: 5 * source.frame_bytes]
    assert len(converter.convert(data) + converter.flush()) == 5 * target.frame_bytes


def test_mu_law_to_a_law_goes_through_linear() -> None:
    """One law becomes the other code by code, with nothing held back."""
    expected = dsp.alaw_encode(dsp.ulaw_decode(NOISE))
    assert Converter(ULAW8, ALAW8).convert(NOISE) == expected


def test_mu_law_to_linear_24_khz_is_decoding_then_resampling() -> None:
    """The uplink of a mu-law leg: the same bytes as both steps by hand."""
    resampler = Resampler(8_000, 24_000)
    linear = dsp.ulaw_decode(NOISE)
    converter = Converter(ULAW8, SLIN24)
    assert converter.convert(NOISE) == resampler.process(linear)
    assert converter.flush() == resampler.flush()


def test_linear_24_khz_to_mu_law_is_resampling_then_encoding() -> None:
    """The downlink of a mu-law leg: the same bytes as both steps by hand, the tail encoded too."""
    resampler = Resampler(24_000, 8_000)
    converter = Converter(SLIN24, ULAW8)
    assert converter.convert(NOISE) == dsp.ulaw_encode(resampler.process(NOISE))
    tail = converter.flush()
    assert tail == dsp.ulaw_encode(resampler.flush())
    assert len(tail) == resampler.delay_samples


@pytest.mark.parametrize(
    ("formats", "delay_ms"),
    [((ULAW8, SLIN24), 62 / 24), ((SLIN24, ALAW8), 21 / 8), ((SLIN16, SLIN24), 38 / 24)],
    ids=str,
)
def test_delay_is_the_resampler_s(formats: tuple[AudioFormat, AudioFormat], delay_ms: float) -> None:
    """G.711 adds no delay; the filter's is stated in seconds."""
    assert Converter(*formats).delay_s == pytest.approx(delay_ms / 1000)


def test_reset_forgets_the_stream() -> None:
    """After a reset a converter gives what a new one gives."""
    converter = Converter(SLIN24, SLIN8)
    expected = converter.convert(NOISE)
    converter.reset()
    assert converter.convert(NOISE) == expected


@given(st.lists(st.integers(0, 700), max_size=12))
def test_chunks_do_not_matter(sizes: list[int]) -> None:
    """A stream converted in chunks of any length equals the same stream converted at once."""
    converter, whole = Converter(ULAW8, SLIN16), Converter(ULAW8, SLIN16)
    ends = [0, *itertools.accumulate(sizes)]
    parts = [converter.convert(NOISE[begin:end]) for begin, end in itertools.pairwise(ends)]
    assert b"".join(parts) + converter.flush() == whole.convert(NOISE[: ends[-1]]) + whole.flush()


@pytest.mark.parametrize("target", [SLIN24, SLIN8, ULAW8], ids=str)
def test_half_a_sample_is_an_error(target: AudioFormat) -> None:
    """An odd number of bytes is refused by name of the format, equal formats included, and nothing is taken."""
    converter = Converter(SLIN24, target)
    message = r"^expected whole samples of slin24 \(2 bytes each\), got 961 bytes$"
    with pytest.raises(AudioError, match=message):
        converter.convert(bytes(961))
    assert converter.flush() == b""
