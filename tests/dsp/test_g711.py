"""G.711, both laws, over every sample and every code."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from voxpipe import dsp
from voxpipe.dsp import reference
from voxpipe.dsp.buffer import Buffer
from voxpipe.errors import AudioError

EVERY_SAMPLE = np.arange(-32_768, 32_768, dtype="<i2").tobytes()
EVERY_CODE = bytes(range(256))
CODECS = [dsp, reference]
LAWS = ["ulaw", "alaw"]


def pair(law: str, codec: object = dsp) -> tuple[Callable[[Buffer], bytes], Callable[[Buffer], bytes]]:
    """Return the encoder and the decoder of a law."""
    return getattr(codec, f"{law}_encode"), getattr(codec, f"{law}_decode")


@pytest.mark.parametrize("law", LAWS)
def test_every_sample_encodes_as_the_tables_say(law: str) -> None:
    """Each of the 65 536 samples gets the code of its interval in the Recommendation's table."""
    assert pair(law)[0](EVERY_SAMPLE) == pair(law, reference)[0](EVERY_SAMPLE)


@pytest.mark.parametrize("law", LAWS)
def test_every_code_decodes_as_the_tables_say(law: str) -> None:
    """Each of the 256 codes becomes the value that stands for its interval."""
    assert pair(law)[1](EVERY_CODE) == pair(law, reference)[1](EVERY_CODE)


@pytest.mark.parametrize("codec", CODECS, ids=["compiled", "reference"])
@pytest.mark.parametrize(("law", "suffix"), [("ulaw", "ulaw"), ("alaw", "alaw")])
def test_python_s_own_codec_agrees(codec: object, law: str, suffix: str) -> None:
    """Both implementations give what audioop gave while Python had it (up to 3.12)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            audioop = importlib.import_module("audioop")
        except ImportError:
            pytest.skip("this Python has no audioop")
    encode, decode = pair(law, codec)
    assert encode(EVERY_SAMPLE) == getattr(audioop, f"lin2{suffix}")(EVERY_SAMPLE, 2)
    assert decode(EVERY_CODE) == getattr(audioop, f"{suffix}2lin")(EVERY_CODE, 2)


# Table 2a, columns 6 and 8, and table 1a: code, value on the scale of 16 bits.
@pytest.mark.parametrize(
    ("law", "code", "value"),
    [
        ("ulaw", 0x80, 8031 * 4),
        ("ulaw", 0x8F, 4191 * 4),
        ("ulaw", 0xFE, 2 * 4),
        ("ulaw", 0xFF, 0),
        ("ulaw", 0x7F, 0),
        ("ulaw", 0x00, -8031 * 4),
        ("alaw", 0xD5, 1 * 8),
        ("alaw", 0x55, -1 * 8),
        ("alaw", 0xAA, 4032 * 8),
        ("alaw", 0x2A, -4032 * 8),
    ],
)
def test_values_printed_in_the_recommendation(law: str, code: int, value: int) -> None:
    """Codes at the ends of the scale decode to the values printed in G.711."""
    assert pair(law)[1](bytes([code])) == value.to_bytes(2, "little", signed=True)


@pytest.mark.parametrize("law", LAWS)
def test_codes_survive_a_trip_through_linear(law: str) -> None:
    """Decoding and encoding again changes no code, but for mu-law's negative zero, which becomes zero."""
    encode, decode = pair(law)
    expected = EVERY_CODE.replace(b"\x7f", b"\xff") if law == "ulaw" else EVERY_CODE
    assert encode(decode(EVERY_CODE)) == expected


@pytest.mark.parametrize("law", LAWS)
def test_any_contiguous_buffer_is_taken(law: str) -> None:
    """A bytearray, a slice at an odd address and an array of integers give what bytes give."""
    encode, decode = pair(law)
    expected = encode(EVERY_SAMPLE)
    assert encode(bytearray(EVERY_SAMPLE)) == expected
    assert encode(memoryview(b"x" + EVERY_SAMPLE)[1:]) == expected
    assert encode(memoryview(EVERY_SAMPLE).cast("h")) == expected
    assert decode(memoryview(b"x" + EVERY_CODE)[1:]) == decode(EVERY_CODE)


def test_a_buffer_is_given_back() -> None:
    """After a call, failed or not, a bytearray can be resized again."""
    data = bytearray(5)
    with pytest.raises(AudioError):
        dsp.ulaw_encode(data)
    dsp.ulaw_decode(data)
    data.append(0)
    assert len(dsp.ulaw_encode(data)) == 3


@pytest.mark.parametrize("law", LAWS)
def test_nothing_gives_nothing(law: str) -> None:
    """An empty buffer is a stream of no samples, not an error."""
    encode, decode = pair(law)
    assert encode(b"") == decode(b"") == b""


@pytest.mark.parametrize("codec", CODECS, ids=["compiled", "reference"])
@pytest.mark.parametrize("law", LAWS)
def test_half_a_sample_is_an_error(law: str, codec: object) -> None:
    """An odd number of bytes cannot be 16-bit samples."""
    with pytest.raises(AudioError, match=r"^expected whole 16-bit samples \(2 bytes each\), got 319 bytes$"):
        pair(law, codec)[0](bytes(319))


def test_a_buffer_in_pieces_is_an_error() -> None:
    """A strided view is refused by the interpreter's own rule, never read past its end."""
    with pytest.raises(BufferError):
        dsp.ulaw_encode(memoryview(EVERY_SAMPLE)[::2])
