"""How legs end, and what a leg may do wrong, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import trio
import trio.testing
from trio.testing import MockClock
from virtual_call import CallMaker, Script, appends, silence, tone, virtual_config

from voxpipe.errors import RemoteProtocolError
from voxpipe.leg import run_leg
from voxpipe.testing.network import Direction, Network, NetworkStream


@pytest.mark.every_dialect(but="openai-live")
async def test_hanging_up_in_mid_answer_closes_the_session_in_peace(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The provider sees a proper close, and the log says who ended the call."""
    call = await make_call(Script(audio=tone(2000) + silence(1300)))
    assert call.outcome.error is None
    assert call.data("session.closed") == [{"because": "leg closed by the peer"}]
    assert call.session.closed is not None
    assert call.session.closed[0] == 1000
    assert call.outcome.summary["playout"]["played_samples"] < call.outcome.summary["playout"]["received_samples"]


G711_FRAME = b"\x10\x00\xa0" + b"\xff" * 160


@pytest.mark.every_dialect
async def test_g711_on_an_auto_leg_is_an_error_that_says_what_to_configure(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """No kind tells the law, so nobody guesses it; no audio goes to the provider."""
    call = await make_call(Script(extra=((0.0, G711_FRAME),), stays=True))
    assert isinstance(call.outcome.error, RemoteProtocolError)
    assert "configure leg.format as ulaw8 or alaw8" in call.data("leg.failed")[0]["message"]
    assert appends(call) == 0
    assert call.phone.closed


@pytest.mark.every_dialect
async def test_a_leg_that_changes_its_format_ends_alone(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """G.711 after linear audio is an error with expected and actual; the session is closed in order."""
    call = await make_call(Script(extra=((0.5, G711_FRAME),), stays=True))
    assert isinstance(call.outcome.error, RemoteProtocolError)
    assert "expected 320 bytes" in str(call.outcome.error)
    assert "got 160" in str(call.outcome.error)
    assert call.session.closed is not None
    assert call.session.closed[0] == 1000


@pytest.mark.every_dialect
async def test_a_leg_without_audio_cannot_tell_its_format(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """In auto mode a leg which sends nothing is ended after the deadline with what to configure."""
    call = await make_call(Script(stays=True, speaks_after_s=30))
    assert isinstance(call.outcome.error, RemoteProtocolError)
    assert str(call.outcome.error) == (
        "expected audio within 5 s to learn the leg's format, got none: configure leg.format"
    )
    assert call.phone.hung_up


@pytest.mark.every_dialect
async def test_a_configured_leg_needs_no_audio_to_hear_the_agent(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """With the format configured, silence and the greeting are played though the channel sends nothing."""
    call = await make_call(
        Script(stays=True, speaks_after_s=4),
        leg={"format": "slin8"},
        session={"greeting": "Hello."},
        drain_after_s=3.9,
    )
    assert call.outcome.error is None
    assert call.phone.spoken


@pytest.mark.every_dialect
async def test_draining_plays_the_answer_to_its_end_and_hangs_up(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A drain in mid-answer cuts no word: all that the provider sent is played, then the leg ends."""
    call = await make_call(Script(audio=tone(3000), stays=True), drain_after_s=4.5)
    assert call.outcome.reason == "gateway drains"
    assert call.outcome.error is None
    assert call.phone.hung_up
    playout = call.outcome.summary["playout"]
    assert playout["played_samples"] == playout["received_samples"] > 8 * 2500


@pytest.mark.every_dialect
async def test_the_session_limit_ends_a_call_before_the_provider_does(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """At provider.session_limit_s the session is drained and the leg ends in peace."""
    call = await make_call(Script(stays=True), provider={"session_limit_s": 5.0})
    assert call.outcome.reason == "session limit reached"
    assert call.outcome.error is None


async def test_a_connection_that_never_says_its_uuid_is_ended(autojump_clock: MockClock, tmp_path: Path) -> None:
    """A port scanner is let go after the deadline, with no log of its own."""
    theirs, ours = trio.testing.memory_stream_pair()
    config = virtual_config(tmp_path, "openai", {"leg": {"uuid_timeout_s": 3.0}})
    outcome = await run_leg(ours, config)
    assert trio.current_time() == 3.0
    assert str(outcome.error) == "expected the UUID within 3 s, got nothing"
    assert outcome.log is None
    assert await theirs.receive_some(100) == b"\x00\x00\x00"
    assert await theirs.receive_some(100) == b""
    assert not (tmp_path / "logs").exists()


def slow(stream: trio.abc.Stream, nursery: trio.Nursery) -> trio.abc.Stream:
    """A provider half a second away."""
    return NetworkStream(stream, Network(Direction(delay_s=0.5), Direction(delay_s=0.5)), nursery)


@pytest.mark.every_dialect(but="deepgram")
async def test_hanging_up_between_two_sessions_opens_no_other(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """While a refused session is being closed, the end of the leg is the end of the call: nobody is left to talk to."""
    call = await make_call(
        Script(audio=silence(2500)), "second-format-only", shape=slow, provider={"formats": ["pcm24", "ulaw8"]}
    )
    assert call.outcome.reason == "leg closed by the peer"
    assert call.outcome.error is None
    assert len(call.provider.sessions) == 1
    assert call.duration_s < 5


@pytest.mark.every_dialect(but="openai-live")
async def test_the_caller_does_not_wait_for_the_closing_handshake(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A provider that never answers our close is left after two seconds; the caller was let go at once."""
    deaf = Network(incoming=Direction(stalls=((4.9, 60.0),)))
    call = await make_call(
        Script(stays=True), drain_after_s=5.0, shape=lambda stream, nursery: NetworkStream(stream, deaf, nursery)
    )
    assert call.outcome.reason == "gateway drains"
    assert call.phone.hung_up
    assert call.phone.frames[-1][0] == pytest.approx(5.0, abs=0.021)
    assert 6.9 < call.duration_s < 7.2
    uplink = call.outcome.summary["uplink"]
    assert uplink["overrun_frames"] == sum(data["frames"] for data in call.data("uplink.overrun")) == 0


@pytest.mark.every_dialect
async def test_a_dead_provider_is_apologised_for_at_once(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """No pong for ten seconds: the apology begins with that, though closing the connection takes two seconds more."""
    wav = tmp_path / "sorry.wav"
    soundfile.write(wav, [0.25] * 8000, 8000, subtype="PCM_16")
    deaf = Network(incoming=Direction(stalls=((1.0, 60.0),)), outgoing=Direction(stalls=((1.0, 60.0),)))
    call = await make_call(
        Script(stays=True),
        shape=lambda stream, nursery: NetworkStream(stream, deaf, nursery),
        leg={"failure_wav": str(wav)},
        provider={"ping_interval_s": 2.0, "reconnect_s": 0.0},
    )
    (failed,) = call.of("session.failed")
    assert "no pong within 2 s" in failed.event_data["message"]
    assert call.phone.hung_up
    assert len(call.phone.spoken) >= 50
    assert call.phone.spoken[0] - failed.t_ns / 1e9 < 0.03
    assert call.records[-1].event_type == "leg.summary"
