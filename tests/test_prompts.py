"""Prompts: WAV files that the caller is played besides the agent's words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import trio
from trio.testing import MockClock
from virtual_call import CallMaker, Script, silence, tone

from voxpipe import AudioError, Gateway
from voxpipe.actors.leg_control import LegControl
from voxpipe.config import Config, structure_config
from voxpipe.errors import ConfigError


def write(path: Path, rate_hz: int = 8000, seconds: float = 1.0) -> str:
    """A file of a constant, which no answer of the parrot's is."""
    soundfile.write(path, np.full(round(rate_hz * seconds), 0.25), rate_hz, subtype="PCM_16")
    return str(path)


@pytest.mark.every_dialect
async def test_the_caller_is_welcomed_before_the_agent_speaks(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """leg.welcome_wav is heard at once, the greeting behind it, and neither is cut."""
    call = await make_call(
        Script(audio=silence(6000)),
        leg={"welcome_wav": write(tmp_path / "hello.wav")},
        session={"greeting": "Say hello."},
    )
    started = [data["item_id"] for data in call.data("playout.started")]
    assert started[0] == "welcome"
    assert len(started) == 2
    assert call.phone.spoken[0] < 0.1
    assert call.data("leg.welcome_wav") == [{"path": str(tmp_path / "hello.wav"), "duration_ms": 1000.0}]
    assert call.outcome.summary["playout"]["dropped_samples"] == 0
    greeting = call.of("playout.started")[1]
    assert greeting.t_ns / 1e9 == pytest.approx(call.phone.spoken[0] + 1.0, abs=0.1)


@pytest.mark.every_dialect
async def test_the_caller_may_speak_over_the_welcome(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """It falls silent within a frame, and the provider is told nothing of an item it never had."""
    script = Script(audio=silence(1000) + tone(1000) + silence(3000))
    call = await make_call(script, leg={"welcome_wav": write(tmp_path / "hello.wav", seconds=5)})
    (cut,) = call.data("playout.cut")
    assert cut["begun"][0]["part"]["item_id"] == "welcome"
    assert not call.of("conversation.item.truncate", "conversation.item.delete", "response.cancel", direction="sent")
    assert call.session.complaints == []
    assert call.of("response.created")


@pytest.mark.every_dialect
@pytest.mark.parametrize("rate_hz", [8000, 24_000, 44_100])
async def test_a_program_plays_a_file_in_mid_call(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path, rate_hz: int
) -> None:
    """play() returns when the file was heard, whatever its rate."""
    path, told = write(tmp_path / "note.wav", rate_hz), list[tuple[float, bool]]()

    async def act(control: LegControl) -> None:
        await trio.sleep(1)
        told.append((trio.current_time(), await control.play(path)))
        told.append((trio.current_time(), True))

    call = await make_call(Script(audio=silence(4000)), on_start=act)
    assert [heard for _, heard in told] == [True, True]
    assert told[1][0] == pytest.approx(2.0, abs=0.06)
    assert len(call.phone.spoken) == pytest.approx(50, abs=2)


@pytest.mark.every_dialect
async def test_a_file_the_caller_spoke_over_was_not_heard(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """play() returns False, when the caller begins to speak."""
    path, told = write(tmp_path / "note.wav", seconds=5), list[tuple[float, bool]]()

    async def act(control: LegControl) -> None:
        heard = await control.play(path)
        told.append((trio.current_time(), heard))

    call = await make_call(Script(audio=silence(2000) + tone(1000) + silence(2000)), on_start=act)
    ((time_s, heard),) = told
    assert not heard
    first_word_s = call.seen("input_audio_buffer.speech_started")[0].t_ns / 1e9
    assert time_s == pytest.approx(first_word_s, abs=0.03)
    assert first_word_s == pytest.approx(2.1, abs=0.1) or call.dialect.full_duplex  # there it is a word, not a sound


@pytest.mark.every_dialect
async def test_a_file_that_the_call_does_not_outlast_was_not_heard(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """The caller hangs up: who waits is told, and not left waiting."""
    path, told = write(tmp_path / "note.wav", seconds=5), list[bool]()

    async def act(control: LegControl) -> None:
        told.append(await control.play(path))

    await make_call(Script(audio=silence(2000)), on_start=act)
    assert told == [False]


@pytest.mark.every_dialect
async def test_a_file_that_is_none_is_an_error_and_not_the_end_of_the_call(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """The error names the file; the call goes on."""

    async def act(control: LegControl) -> None:
        with pytest.raises(AudioError, match=r"missing\.wav"):
            await control.play(tmp_path / "missing.wav")

    call = await make_call(Script(audio=tone(1000) + silence(3000)), on_start=act)
    assert call.outcome.error is None
    assert call.phone.spoken


@pytest.mark.every_dialect
async def test_a_file_that_finds_no_room_was_not_heard(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """play() returns False at once, the log says so, and the next file is heard."""
    long, short, told = write(tmp_path / "long.wav", seconds=3), write(tmp_path / "short.wav"), list[bool]()

    async def act(control: LegControl) -> None:
        for path in (long, short):
            told.append(await control.play(path))

    call = await make_call(Script(audio=silence(4000)), on_start=act, limits={"ledger_s": 2})
    assert told == [False, True]
    assert call.data("playout.overrun") == [{"response_id": "voxpipe:prompt", "bytes": 48_000}]
    assert [data["path"] for data in call.data("leg.prompt")] == [short]
    assert len(call.phone.spoken) == 50


@pytest.mark.every_dialect
async def test_a_file_for_a_call_that_is_over_is_not_heard(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """Nothing is written behind the last record."""
    controls: list[LegControl] = []

    async def keep(control: LegControl) -> None:
        controls.append(control)

    call = await make_call(Script(audio=silence(1000)), on_start=keep)
    assert not await controls[0].play(write(tmp_path / "note.wav"))
    with pytest.raises(AudioError, match=r"missing\.wav"):
        await controls[0].play(tmp_path / "missing.wav")
    assert call.outcome.log is not None
    assert len(call.outcome.log.read_bytes().splitlines()) == len(call.records)


@pytest.mark.parametrize("key", ["welcome_wav", "reconnect_wav", "failure_wav"])
def test_a_configured_file_that_cannot_be_played_is_told_at_the_start(tmp_path: Path, key: str) -> None:
    """Before any call, with the key and the reason."""
    (tmp_path / "no.wav").write_bytes(b"RIFF")
    base = {"provider": {"url": "ws://provider.test"}, "leg": {key: str(tmp_path / "no.wav")}}
    config: Config = structure_config(base)
    with pytest.raises(ConfigError, match=f"leg.{key}: .*no\\.wav"):
        Gateway(config)
