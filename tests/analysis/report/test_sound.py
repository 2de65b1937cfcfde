"""The sound and the waveforms of a page, held against what the caller said and heard in whole calls."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from judged import TALK, log_of
from report_page import content_of_log
from virtual_call import CallMaker, VirtualCall

from voxpipe.analysis.report import Content
from voxpipe.analysis.report.ogg import checksum, with_serial
from voxpipe.analysis.report.peaks import MAX_BINS, PeakMeter, bin_width_ms
from voxpipe.audio import NS_PER_S, SLIN16
from voxpipe.wav import write_wav

FRAME_S = 0.02
LOUD = 1_000


def heard_by(call: VirtualCall) -> np.ndarray:
    """What the phone heard, as 16-bit samples at 8 kHz, each frame where it arrived."""
    samples = np.zeros(round(call.duration_s * 8_000) + 800, np.int16)
    for time_s, frame in call.phone.frames:
        at = round(time_s * 8_000)
        samples[at : at + 160] = np.frombuffer(frame, "<i2")
    return samples


def sound_of(content: Content) -> tuple[np.ndarray, int]:
    """The page's sound as int16 samples of two channels, and its rate."""
    assert content.sound is not None
    return soundfile.read(io.BytesIO(content.sound), dtype="int16")


def loud_frames(samples: np.ndarray, rate_hz: int) -> set[int]:
    """The numbers of the frames that are loud, from the beginning of the call on."""
    size = round(rate_hz * FRAME_S)
    whole = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    return {int(number) for number in np.flatnonzero(np.sqrt((whole**2).mean(axis=1)) > LOUD)}


def near(ours: set[int], theirs: set[int], frames: int = 2) -> None:
    """Assert that each loud frame of either has one of the other so near."""
    assert ours
    for one, other in ((ours, theirs), (theirs, ours)):
        far = {number for number in one if not other & set(range(number - frames, number + frames + 1))}
        assert far == set()


@pytest.fixture
async def talk(make_call: CallMaker, audio: str) -> VirtualCall:
    """A call with a barge-in, its audio kept as ``audio`` says."""
    return await make_call(TALK, log={"audio": audio})


@pytest.fixture
def audio() -> str:
    """How the log keeps audio, unless a test says otherwise."""
    return "sidecar"


@pytest.mark.parametrize("audio", ["sidecar", "inline"])
async def test_the_page_plays_what_caller_and_agent_said_when_the_caller_heard_it(
    talk: VirtualCall, autojump_clock: Any
) -> None:
    """The left channel is the caller; the right is what reached the phone, silent from the cut on as the phone was."""
    content = content_of_log(log_of(talk))
    samples, rate_hz = sound_of(content)
    assert rate_hz == 24_000
    assert len(samples) / rate_hz == pytest.approx(content.data["calls"][0]["duration_ns"] / NS_PER_S, abs=1)
    near(loud_frames(samples[:, 1], rate_hz), loud_frames(heard_by(talk), 8_000))
    spoken = loud_frames(np.frombuffer(TALK.audio, "<i2"), 8_000)
    near(loud_frames(samples[:, 0], rate_hz), spoken)


@pytest.mark.parametrize("audio", ["sidecar", "inline"])
async def test_waveforms_are_loud_where_the_sound_is(talk: VirtualCall, autojump_clock: Any, audio: str) -> None:
    """Each side's bins, at every level of the pyramid, have the peaks of the sound at that time."""
    content = content_of_log(log_of(talk), audio=False)
    assert content.sound is None
    expected = {"uplink": np.frombuffer(TALK.audio, "<i2"), "downlink": heard_by(talk)}
    for side, wave in waves_of(content):
        assert wave["kind"] == audio
        bins = wave["levels"][0]
        assert wave["bin_ms"] == 2
        assert len(bins) == -(-content.data["calls"][0]["duration_ns"] // 2_000_000)
        frames = {int(number) // 10 for number in np.flatnonzero(bins[:, 0] > 60)}
        near(frames, loud_frames(expected[side], 8_000))
        for narrow, wide in zip(wave["levels"], wave["levels"][1:], strict=False):
            assert len(wide) == -(-len(narrow) // 4)
            for number, peak in enumerate(wide[:, 0]):
                assert peak == narrow[4 * number : 4 * number + 4, 0].max()


def waves_of(content: Content) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each side's wave, its levels as arrays of peak and RMS."""
    for side, wave in content.data["calls"][0]["waves"].items():
        levels = [np.frombuffer(base64.b64decode(level), np.uint8).reshape(-1, 2) for level in wave["pyramid"]]
        yield side, {**wave, "levels": levels}


@pytest.mark.parametrize("audio", ["digest"])
async def test_without_audio_the_levels_are_drawn_where_their_seconds_were_heard(
    talk: VirtualCall, autojump_clock: Any
) -> None:
    """A log of digests has no sound; its waves are the levels of each second, the agent's at the time of playout."""
    content = content_of_log(log_of(talk))
    assert content.sound is None
    waves = dict(waves_of(content))
    assert {wave["kind"] for wave in waves.values()} == {"levels"}
    heard = loud_frames(heard_by(talk), 8_000)
    drawn = {int(number) for number in np.flatnonzero(waves["downlink"]["levels"][0][:, 0] > 60)}
    assert drawn
    assert all(heard & set(range(5 * number - 50, 5 * number + 55)) for number in drawn)
    assert waves["uplink"]["levels"][0][:10, 0].min() > 60


@pytest.mark.parametrize("damage", ["gone", "torn", "other rate", "no sound file"])
async def test_audio_that_is_not_what_the_log_says_is_not_played(
    talk: VirtualCall, autojump_clock: Any, damage: str
) -> None:
    """A missing or strange WAV file leaves the levels; a torn one is heard as far as it goes."""
    log = log_of(talk)
    path = log.with_suffix(".uplink.wav")
    whole = path.read_bytes()
    path.unlink()
    if damage == "torn":
        path.write_bytes(whole[: 44 + 8_000])
    elif damage == "other rate":
        write_wav(path, bytes(3_200), SLIN16)
    elif damage == "no sound file":
        path.write_bytes(b"{}" * 100)
    content = content_of_log(log)
    samples, _ = sound_of(content)
    assert np.abs(samples[:, 1]).max() > LOUD
    wave = dict(waves_of(content))["uplink"]
    if damage == "torn":
        assert wave["kind"] == "sidecar"
        assert wave["levels"][0][:240, 0].min() > 60
        assert wave["levels"][0][260:, 0].max() == 0
    else:
        assert wave["kind"] == "levels"
        assert np.abs(samples[:, 0]).max() < 10


async def test_the_same_log_makes_the_same_content(talk: VirtualCall, autojump_clock: Any, tmp_path: Path) -> None:
    """Made twice, and from a copy elsewhere, data and sound are equal to the byte."""
    log = log_of(talk)
    copies = tmp_path / "copies"
    copies.mkdir()
    for path in log.parent.glob(f"{log.stem}*"):
        (copies / path.name).write_bytes(path.read_bytes())
    first, second, third = (content_of_log(path) for path in (log, log, copies / log.name))
    assert first == second == third


def test_bins_are_as_narrow_as_their_number_allows() -> None:
    """Two milliseconds in a short call, 20 in an hour; never more bins than the bound, but for days of audio."""
    assert [bin_width_ms(seconds * NS_PER_S) for seconds in (10, 520, 600, 3_600, 86_400)] == [2, 2, 4, 20, 500]
    for seconds in (1, 700, 5_000, 40_000):
        assert seconds * 1_000 / bin_width_ms(seconds * NS_PER_S) <= MAX_BINS


def test_a_bin_has_its_peak_and_its_rms() -> None:
    """By the square root of the amplitude: full scale is 255, a quarter of it 128, silence 0."""
    meter = PeakMeter(4)
    meter.take(np.array([0, 0, 0, 0, -32_768, 0, 0, 0, 8_192, -8_192, 8_192, -8_192], np.int16))
    (level,) = meter.wave("sidecar", 2, 3).pyramid
    assert list(level) == [0, 0, 255, 180, 128, 128]


def test_an_ogg_file_keeps_its_audio_under_another_serial_number() -> None:
    """Every page has the new number and a right checksum, and the decoder finds the same samples."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8_000, 2, format="OGG", subtype="VORBIS") as sound:
        for second in range(40):
            sound.write(np.full((8_000, 2), (second - 20) * 500, np.int16))
    made = with_serial(file.getvalue(), 77)
    pages = [page for page in made.split(b"OggS") if page]
    assert len(pages) > 3
    for page in (b"OggS" + page for page in pages):
        assert struct.unpack_from("<I", page, 14) == (77,)
        told = struct.unpack_from("<I", page, 22)[0]
        assert checksum(page[:22] + bytes(4) + page[26:]) == told
    before, after = (soundfile.read(io.BytesIO(data), dtype="int16")[0] for data in (file.getvalue(), made))
    assert np.array_equal(before, after)


def test_what_is_no_ogg_file_is_refused() -> None:
    """Bytes that are no page are never passed on as one."""
    with pytest.raises(ValueError, match="expected an Ogg page at byte 0, got b'RIFF'"):
        with_serial(b"RIFF" + bytes(40), 1)
