"""What both sides sound like is in the log, and what sounds misread is told without touching a byte."""

from __future__ import annotations

import numpy as np
import pytest
from trio.testing import MockClock
from virtual_call import CallMaker, Script, VirtualCall, silence

from voxpipe.audio import SLIN8, SLIN24, ULAW8
from voxpipe.dsp import Converter, alaw_encode
from voxpipe.testing import load_speech
from voxpipe.testing.caller_run import SPEECH


def speech(repeats: int = 1) -> bytes:
    """The caller's words at 8 kHz, and time for an answer."""
    return (load_speech(SPEECH, SLIN8) + silence(1000)) * repeats


def suspected(call: VirtualCall) -> list[tuple[str, str]]:
    """What was told, in order."""
    return [(data["side"], data["name"]) for data in call.data("audio.suspect")]


@pytest.mark.every_dialect
async def test_each_second_of_each_side_has_its_level(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Levels come once a second of audio, silence as null, and a call that is well raises no suspicion."""
    call = await make_call(Script(audio=speech(2) + silence(4000)))
    levels = call.data("audio.level")
    uplink = [data for data in levels if data["side"] == "uplink"]
    downlink = [data for data in levels if data["side"] == "downlink"]
    assert len(uplink) == len(call.session.uplink) // 48_000
    # A window ends with the chunk that completes it.
    assert 2 < len(downlink) <= call.outcome.summary["downlink"]["bytes"] // 48_000
    assert uplink[0]["rms_dbfs"] == pytest.approx(-22, abs=3)
    assert uplink[-1]["rms_dbfs"] is None
    assert uplink[-1]["zero_run_samples"] == 8_000
    assert suspected(call) == []
    assert call.outcome.summary["suspicions"] == []


@pytest.mark.every_dialect
async def test_swapped_bytes_are_told_and_passed_on_as_they_are(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The log says what it sounds like and the summary repeats it; the provider gets the bytes as the leg said."""
    swapped = np.frombuffer(speech(3), "<i2").byteswap().tobytes()
    call = await make_call(Script(audio=swapped))
    assert ("uplink", "byte-swapped") in suspected(call)
    assert "uplink byte-swapped" in call.outcome.summary["suspicions"]
    converter = Converter(SLIN8, SLIN24)
    expected = converter.convert(swapped[: len(swapped) // 320 * 320])
    assert bytes(call.session.uplink[: len(expected)]) == expected


@pytest.mark.every_dialect
async def test_the_wrong_law_on_a_g711_leg_may_be_told(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A leg configured as mu-law whose channel sends A-law: the message says which it sounds like."""
    audio = alaw_encode(speech(6))
    frames = [audio[at : at + 160].ljust(160, b"\xd5") for at in range(0, len(audio), 160)]
    extra = tuple((0.02 * number, b"\x10\x00\xa0" + frame) for number, frame in enumerate(frames))
    call = await make_call(
        Script(format=ULAW8, extra=extra, audio=b"", stays=True), leg={"format": "ulaw8"}, drain_after_s=45
    )
    assert ("uplink", "alaw") in suspected(call)
