"""WAV files: the writer against libsndfile and the standard library, the reader against files of libsndfile's."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxpipe.audio import ALAW8, FORMATS, SLIN8, SLIN24, ULAW8, AudioFormat, Encoding
from voxpipe.errors import AudioError
from voxpipe.wav import WavWriter, read_wav, write_wav

AUDIO = np.arange(-1000, 1000, dtype="<i2").tobytes()


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_every_format_is_what_libsndfile_says_it_is(tmp_path: Path, format: AudioFormat) -> None:
    """The header of each of our formats is read by libsndfile as its encoding, rate and length, mono."""
    write_wav(tmp_path / "a.wav", AUDIO, format)
    info = soundfile.info(tmp_path / "a.wav")
    subtype = {Encoding.SLIN: "PCM_16", Encoding.ULAW: "ULAW", Encoding.ALAW: "ALAW"}[format.encoding]
    assert (info.format, info.subtype, info.channels) == ("WAV", subtype, 1)
    assert (info.samplerate, info.frames) == (format.rate_hz, format.samples(len(AUDIO)))


def test_linear_audio_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    """All 65 536 sample values come back as they were, by our reader and by the standard library's."""
    audio = np.arange(-32768, 32768).astype("<i2").tobytes()
    write_wav(tmp_path / "a.wav", audio, SLIN24)
    assert read_wav(tmp_path / "a.wav") == (audio, SLIN24)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.readframes(100_000) == audio


@pytest.mark.parametrize(("format", "silent"), [(ULAW8, 0xFF), (ALAW8, 0xD5)], ids=str)
def test_g711_is_stored_as_it_came(tmp_path: Path, format: AudioFormat, silent: int) -> None:
    """The codes are in the file unchanged, and an odd number of them is padded without being counted."""
    codes = bytes(range(256)) + bytes([silent])
    write_wav(tmp_path / "a.wav", codes, format)
    data = (tmp_path / "a.wav").read_bytes()
    assert data.endswith(b"data" + (257).to_bytes(4, "little") + codes + b"\0")
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert len(samples) == 257
    assert abs(int(samples[-1])) <= 8


def test_the_file_is_valid_after_every_flush(tmp_path: Path) -> None:
    """A process that is killed after a flush leaves a WAV with everything flushed; what is not flushed is not there."""
    writer = WavWriter(tmp_path / "a.wav", SLIN8)
    for frames in range(1, 6):
        writer.write(bytes(320))
        assert soundfile.info(tmp_path / "a.wav").frames == 160 * (frames - 1)
        writer.flush()
        assert soundfile.info(tmp_path / "a.wav").frames == 160 * frames
        assert writer.samples == 160 * frames
    writer.close()


def test_samples_counts_what_waits_for_a_flush(tmp_path: Path) -> None:
    """``samples`` is the offset at which the next write begins, flushed or not."""
    with WavWriter(tmp_path / "a.wav", ULAW8) as writer:
        assert writer.samples == 0
        writer.write(bytes(160))
        assert writer.samples == 160
    writer.close()
    assert soundfile.info(tmp_path / "a.wav").frames == 160


def test_half_a_sample_is_refused(tmp_path: Path) -> None:
    """The writer takes whole samples only, and the refused bytes leave no trace."""
    with WavWriter(tmp_path / "a.wav", SLIN8) as writer, pytest.raises(AudioError, match="got 3 bytes"):
        writer.write(b"abc")
    assert soundfile.info(tmp_path / "a.wav").frames == 0


@pytest.mark.parametrize(
    ("container", "subtype", "tolerance"),
    [("WAV", "PCM_16", 0), ("WAV", "PCM_24", 0), ("WAV", "FLOAT", 0), ("FLAC", "PCM_16", 0), ("WAV", "PCM_U8", 256)],
)
def test_containers_and_widths_are_all_read_as_int16(
    tmp_path: Path, container: str, subtype: str, tolerance: int
) -> None:
    """Any width gives the same samples, up to its own resolution; floating point is scaled, not truncated to zero."""
    samples = np.array([0, 1, -1, 12345, -12345, 32767, -32768], np.int16)
    soundfile.write(tmp_path / "a", samples / 32768, 16_000, format=container, subtype=subtype)
    audio, format = read_wav(tmp_path / "a")
    assert format.name == "slin16"
    assert np.abs(np.frombuffer(audio, "<i2").astype(int) - samples).max() <= tolerance


def test_floating_point_beyond_full_scale_is_clipped(tmp_path: Path) -> None:
    """Samples beyond full scale stay at it; they do not wrap around."""
    soundfile.write(tmp_path / "a.wav", np.array([1.5, -1.5]), 8_000, subtype="FLOAT")
    assert np.frombuffer(read_wav(tmp_path / "a.wav")[0], "<i2").tolist() == [32767, -32768]


def test_stereo_is_refused_with_its_channels(tmp_path: Path) -> None:
    """Two channels are not mixed in silence."""
    soundfile.write(tmp_path / "a.wav", np.zeros((10, 2)), 8_000)
    with pytest.raises(AudioError, match=r"a\.wav: expected 1 channel, got 2"):
        read_wav(tmp_path / "a.wav")


def test_an_unknown_rate_is_refused_with_the_path(tmp_path: Path) -> None:
    """A rate without an AudioSocket kind is an error that names the file, the rates and the rate."""
    soundfile.write(tmp_path / "a.wav", np.zeros(10), 22_050)
    with pytest.raises(AudioError, match=r"a\.wav: expected a rate of 8000 or .* Hz for slin, got 22050"):
        read_wav(tmp_path / "a.wav")


def test_a_file_that_is_no_sound_is_refused(tmp_path: Path) -> None:
    """Anything else gives an error with the path, what was expected and what libsndfile said."""
    (tmp_path / "a.wav").write_text("not a sound")
    with pytest.raises(AudioError, match=r"a\.wav: expected a sound file .*, got one that libsndfile cannot read"):
        read_wav(tmp_path / "a.wav")


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    """A file that is not there is told as such, not as a bad format."""
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "none.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    """A float file can hold what is no sound."""
    soundfile.write(tmp_path / "f.wav", np.array([0.0, value, 0.5]), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match="expected numbers for samples, got NaN or infinity"):
        read_wav(tmp_path / "f.wav")


def test_a_full_disk_is_told_with_the_file() -> None:
    """A program writes many files; the error names the one."""
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        write_wav("/dev/full", bytes(16_000), SLIN8)
