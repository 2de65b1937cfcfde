"""Suspicions: misread speech is named within seconds, and speech read rightly is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import voxpipe.testing
from voxpipe.audio import ALAW8, SLIN8, SLIN24, ULAW8, AudioFormat
from voxpipe.dsp import Converter, alaw_encode, ulaw_encode
from voxpipe.dsp.diagnosis import Diagnosis, Second
from voxpipe.testing import load_speech
from voxpipe.testing.signals import silence, tone

SLIN16, SLIN48 = AudioFormat.parse("slin16"), AudioFormat.parse("slin48")
FOLDER = Path(voxpipe.testing.__file__).parent


def speech(format: AudioFormat, repeats: int = 4) -> bytes:
    """Synthetic speech with its pauses, about half a minute in four repeats."""
    both = [load_speech(FOLDER / name, format) for name in ("caller.wav", "apology.wav")]
    return b"".join(both) * repeats


def swapped(audio: bytes) -> bytes:
    """Each sample's bytes exchanged."""
    return np.frombuffer(audio, "<i2").byteswap().tobytes()


def listen(format: AudioFormat, audio: bytes, chunk_bytes: int = 0) -> tuple[list[Second], list[str]]:
    """Feed a stream in frames, or in chunks of another size; return its seconds and the names of its suspicions."""
    diagnosis = Diagnosis(format)
    size = chunk_bytes or format.frame_bytes
    pieces = [audio[at : at + size] for at in range(0, len(audio), size)]
    seconds = [second for piece in pieces if (second := diagnosis.add(piece)) is not None]
    return seconds, [suspicion.name for second in seconds for suspicion in second.suspicions]


@pytest.mark.parametrize("format", [SLIN8, SLIN16, SLIN24, SLIN48, ULAW8, ALAW8], ids=str)
@pytest.mark.parametrize("noise_db", [-120, -40, -20])
def test_speech_read_rightly_is_not_suspected(format: AudioFormat, noise_db: int) -> None:
    """Clean, on a noisy line or on a very noisy one: no suspicion in half a minute."""
    audio = np.frombuffer(speech(SLIN24), "<i2").astype(np.float64)
    noise = np.random.default_rng(6).normal(0, audio.std() * 10 ** (noise_db / 20), audio.size)
    mixed = np.rint(audio + noise).clip(-32_768, 32_767).astype("<i2").tobytes()
    seconds, names = listen(format, Converter(SLIN24, format).convert(mixed))
    assert len(seconds) >= 25
    assert names == []


MISREAD: list[tuple[str, AudioFormat, AudioFormat, Callable[[bytes], bytes], str]] = [
    ("byte-swapped, 8 kHz", SLIN8, SLIN8, swapped, "byte-swapped"),
    ("byte-swapped, 24 kHz", SLIN24, SLIN24, swapped, "byte-swapped"),
    ("mu-law as linear", SLIN8, SLIN8, ulaw_encode, "ulaw"),
    ("mu-law as linear at 24 kHz", SLIN8, SLIN24, ulaw_encode, "ulaw"),
    ("A-law as linear", SLIN8, SLIN8, alaw_encode, "alaw"),
    ("linear as mu-law", SLIN8, ULAW8, bytes, "slin"),
    ("linear as A-law", SLIN8, ALAW8, bytes, "slin"),
    ("8 kHz as 24 kHz", SLIN8, SLIN24, bytes, "fast"),
    ("24 kHz as 8 kHz", SLIN24, SLIN8, bytes, "slow"),
    ("16 kHz as 8 kHz", SLIN16, SLIN8, bytes, "slow"),
]


@pytest.mark.parametrize(
    ("true", "told", "spoil", "name"), [row[1:] for row in MISREAD], ids=[row[0] for row in MISREAD]
)
def test_misread_speech_is_named(
    true: AudioFormat, told: AudioFormat, spoil: Callable[[bytes], bytes], name: str
) -> None:
    """Bytes of one format taken for another are told for what they sound like, before anything else they sound like."""
    _, names = listen(told, spoil(speech(true, 8)))
    assert names[0] == name
    assert set(names) <= {name, "offset"}


@pytest.mark.parametrize("spoil", [swapped, ulaw_encode, alaw_encode])
def test_a_misread_encoding_is_told_within_four_seconds(spoil: Callable[[bytes], bytes]) -> None:
    """Speech from the start: the second window in a row that sounds wrong is enough."""
    seconds, names = listen(SLIN8, spoil(speech(SLIN8, 2)))
    assert len(names) >= 1
    assert next(number for number, second in enumerate(seconds, 1) if second.suspicions) <= 4


def test_silence_about_another_value_than_0_is_told() -> None:
    """A-law silence taken for linear is a loud constant that nobody hears and every detector trips over."""
    _, names = listen(SLIN8, alaw_encode(silence(SLIN8, 6)))
    assert names == ["offset"]
    seconds, names = listen(SLIN8, silence(SLIN8, 6))
    assert names == []
    assert {second.level.zero_run_samples for second in seconds} == {8_000}


def test_a_suspicion_says_expected_and_actual() -> None:
    """The message names the format told, what it sounds like, and both figures."""
    seconds, _ = listen(SLIN8, swapped(speech(SLIN8)))
    message = next(suspicion.message for second in seconds for suspicion in second.suspicions)
    assert message.startswith("expected slin8, got what sounds like byte-swapped: neighbouring samples correlate by ")


@pytest.mark.parametrize("chunk_bytes", [2, 480, 9_600, 96_000])
def test_chunks_of_any_size_are_heard(chunk_bytes: int) -> None:
    """A provider's chunks are longer or shorter than a frame; the verdict is the same."""
    _, names = listen(SLIN24, swapped(speech(SLIN24, 3)), chunk_bytes)
    assert "byte-swapped" in names


def test_each_second_has_its_level() -> None:
    """A tone's level is told once a second of audio, and a change of it in its second."""
    audio = tone(SLIN8, 1_000, 2, level_db=-20) + tone(SLIN8, 1_000, 2, level_db=-40)
    seconds, _ = listen(SLIN8, audio)
    assert [second.level.rms_dbfs for second in seconds] == pytest.approx([-23, -23, -43, -43], abs=0.1)
