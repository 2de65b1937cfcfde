"""The parrot's ear and voice, without a network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpipe.audio import ALAW8, PCM24, ULAW8, Encoding
from voxpipe.errors import AudioError
from voxpipe.testing.parrot import (
    Hearing,
    Parrot,
    TurnBegan,
    TurnEnded,
    convert,
    decode,
    encode,
    level_dbfs,
    speech_like,
)

HEARING = Hearing(threshold=0.5, prefix_padding_ms=300, silence_duration_ms=500)


def tone(duration_ms, rate_hz=24_000, level_dbfs=-20.0, frequency_hz=400.0):
    """A sine of an RMS level."""
    time_s = np.arange(duration_ms * rate_hz // 1000) / rate_hz
    peak = 32768 * np.sqrt(2) * 10 ** (level_dbfs / 20)
    return np.round(peak * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.int16)


def scene(*parts, rate_hz=24_000):
    """Silence (a number of ms) and samples, one after the other, as bytes."""
    silent = [np.zeros(part * rate_hz // 1000, np.int16) if isinstance(part, int) else part for part in parts]
    return np.concatenate(silent).astype("<i2").tobytes()


def test_a_turn_has_its_padding_and_its_silence():
    """Speech from 1000 to 2000 ms is the turn from 700 to 2500 ms, with exactly those bytes."""
    audio = scene(1000, tone(1000), 1000)
    began, ended = Parrot(PCM24, HEARING).append(audio)
    assert began == TurnBegan(700)
    assert ended == TurnEnded(700, 2500, audio[700 * 48 : 2500 * 48])


@given(cuts=st.lists(st.integers(0, 60_000), max_size=12))
def test_the_chunking_of_the_audio_does_not_matter(cuts):
    """Any cutting of the same audio gives the same turns."""
    audio = scene(200, tone(300), 700, tone(400, level_dbfs=-30), 600)
    bounds = sorted({0, len(audio), *(cut * 2 for cut in cuts if cut * 2 < len(audio))})
    parrot = Parrot(PCM24, HEARING)
    heard = [what for start, end in itertools.pairwise(bounds) for what in parrot.append(audio[start:end])]
    assert heard == Parrot(PCM24, HEARING).append(audio)
    assert [type(what) for what in heard] == [TurnBegan, TurnEnded] * 2


def test_padding_does_not_reach_into_the_turn_before():
    """The second turn begins where the first ended, when it follows at once."""
    parrot = Parrot(PCM24, HEARING)
    heard = parrot.append(scene(100, tone(300), 500, tone(300), 600))
    assert heard[0] == TurnBegan(0)
    assert (heard[1].end_ms, heard[2]) == (900, TurnBegan(900))


@pytest.mark.parametrize(
    ("level_db", "threshold", "hears"), [(-38, 0.5, True), (-42, 0.5, False), (-42, 0.4, True), (-22, 1.0, False)]
)
def test_the_threshold_is_a_level(level_db, threshold, hears):
    """0.5 lies at -40 dBFS, and each 0.1 is 4 dB."""
    parrot = Parrot(PCM24, Hearing(threshold=threshold))
    assert bool(parrot.append(scene(200, tone(400, level_dbfs=level_db)))) is hears


def test_a_click_is_not_speech():
    """Two loud windows are not enough."""
    assert Parrot(PCM24, HEARING).append(scene(200, tone(40), 900)) == []


@pytest.mark.parametrize("format_", [ULAW8, ALAW8], ids=str)
def test_g711_is_heard_as_well(format_):
    """The same turn in 8 kHz G.711, in its own bytes."""
    audio = encode(np.frombuffer(scene(1000, tone(1000, 8000), 1000, rate_hz=8000), "<i2"), format_.encoding)
    assert Parrot(format_, HEARING).append(audio) == [TurnBegan(700), TurnEnded(700, 2500, audio[700 * 8 : 2500 * 8])]


def test_without_hearing_the_client_commits():
    """Nothing is heard; a commit takes everything, and the next turn begins at its end."""
    parrot = Parrot(PCM24, None)
    audio = scene(tone(400))
    assert parrot.append(audio) == []
    assert parrot.commit() == TurnEnded(0, 400, audio)
    assert parrot.buffered_ms == 0
    parrot.append(audio)
    assert parrot.commit().start_ms == 400


def test_a_quiet_hour_takes_no_memory():
    """Without speech only the padding is kept."""
    parrot = Parrot(PCM24, HEARING)
    for _ in range(3600):
        parrot.append(bytes(48_000))
    assert parrot.position_ms == 3_600_000
    assert parrot.buffered_ms == 360


def test_too_much_audio_and_half_samples_are_refused():
    """With expected and actual, and without taking any of it."""
    parrot = Parrot(PCM24, None, limit_s=1.0)
    with pytest.raises(AudioError, match=r"expected at most 1 s of audio before a commit, got 2\.0 s"):
        parrot.append(bytes(96_000))
    with pytest.raises(AudioError, match="expected whole samples"):
        parrot.append(b"\0\0\0")
    assert parrot.buffered_ms == 0


def test_time_goes_on_when_the_format_changes():
    """A turn after the change is counted from all the audio before it."""
    parrot = Parrot(PCM24, HEARING)
    parrot.append(scene(1000))
    parrot = parrot.relisten(ULAW8, HEARING)
    audio = encode(np.frombuffer(scene(1000, tone(500, 8000), rate_hz=8000), "<i2"), Encoding.ULAW)
    assert parrot.append(audio) == [TurnBegan(1700)]
    assert parrot.relisten(ULAW8, None) is parrot


def test_a_clear_ends_a_turn_without_a_word():
    """What was being said is forgotten."""
    parrot = Parrot(PCM24, HEARING)
    assert parrot.append(scene(tone(500))) == [TurnBegan(0)]
    parrot.clear()
    assert not parrot.speaking
    assert parrot.append(scene(1000)) == []


@pytest.mark.parametrize(
    ("encoding", "levels"),
    [
        (Encoding.ULAW, {0x00: -32124, 0x80: 32124, 0xFF: 0, 0x7F: 0, 0xEF: 132, 0xF0: 120}),
        (Encoding.ALAW, {0xD5: 8, 0x55: -8, 0x2A: -32256, 0xAA: 32256, 0xC5: 264}),
    ],
)
def test_g711_has_the_levels_of_the_recommendation(encoding, levels):
    """Spot values of ITU-T G.711, scaled to 16 bits; and each code is the one nearest to its own level."""
    codes = bytes(range(256))
    decoded = decode(codes, encoding)
    assert {code: int(decoded[code]) for code in levels} == levels
    assert (decode(encode(decoded, encoding), encoding) == decoded).all()


def test_equal_formats_are_the_same_bytes():
    """Nothing is converted that need not be."""
    audio = bytes(range(256)) * 3
    assert convert(audio, ULAW8, ULAW8) is audio


@pytest.mark.parametrize(("source", "target"), [(PCM24, ULAW8), (ULAW8, PCM24), (PCM24, ALAW8), (ALAW8, ULAW8)])
def test_a_conversion_keeps_duration_and_tone(source, target):
    """A tone of 1 kHz keeps its level within 0.5 dB and is 30 dB above everything else (G.711 allows no more)."""
    samples = tone(500, source.rate_hz, frequency_hz=1000.0)
    converted = decode(convert(encode(samples, source.encoding), source, target), target.encoding)
    assert converted.size == target.rate_hz // 2
    middle = converted[converted.size // 4 : -converted.size // 4].astype(np.float64)
    time_s = np.arange(middle.size) / target.rate_hz
    basis = np.stack([np.sin(2 * np.pi * 1000 * time_s), np.cos(2 * np.pi * 1000 * time_s)], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    assert level_dbfs(np.round(fitted).astype(np.int16)) == pytest.approx(-20, abs=0.5)
    assert np.sum(fitted**2) > 1000 * np.sum((middle - fitted) ** 2)


def test_the_greeting_is_loud_enough_to_be_a_turn_and_never_clips():
    """The parrot's own words would be heard by another parrot."""
    words = speech_like(2.0, 24_000)
    assert words.size == 48_000
    assert np.abs(words.astype(np.int32)).max() < 32_767
    assert -26 < level_dbfs(words) < -14
    assert TurnBegan(0) in Parrot(PCM24, HEARING).append(words.astype("<i2").tobytes())
