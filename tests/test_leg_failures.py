"""Whole calls in virtual time with a provider that fails: nothing on a guess, and the dialplan goes on."""

from __future__ import annotations

from typing import Any

import pytest
import soundfile
from trio.testing import MockClock
from virtual_call import HELLO_AND_WAIT, CallMaker, Script, no_audio_passed, silence, tone

from voxpipe.errors import AckTimeout, CommandRefused, FormatMismatch, SessionError, SessionLost

FAILURES: list[tuple[str, type[Exception], str]] = [
    (
        "wrong-format",
        FormatMismatch,
        "the provider confirmed other formats than the requested ones: expected uplink slin24 and downlink slin24, "
        "got uplink slin24 and downlink ulaw8",
    ),
    ("no-ack", AckTimeout, "expected SessionUpdated in answer to ConfigureSession within 2 s, got nothing"),
    ("no-created", AckTimeout, "expected session.created in answer to the connection within 2 s, got nothing"),
    (
        "refused",
        CommandRefused,
        "expected the provider to accept ConfigureSession, got refusal unknown_parameter: "
        "Unknown parameter: 'session.audio'. (param session.audio)",
    ),
    (
        "refused-anonymous",
        CommandRefused,
        "expected the provider to accept ConfigureSession, got refusal invalid_value: The session cannot be updated.",
    ),
]


@pytest.mark.parametrize(("scenario", "error", "text"), FAILURES, ids=[row[0] for row in FAILURES])
async def test_without_a_matching_acknowledgement_no_audio_passes(
    autojump_clock: MockClock, make_call: CallMaker, scenario: str, error: type[Exception], text: str
) -> None:
    """The session fails, the log says expected and actual, and the leg is hung up: the dialplan goes on."""
    call = await make_call(Script(audio=tone(1000), stays=True), scenario)
    assert isinstance(call.outcome.error, error)
    assert str(call.outcome.error) == text
    assert call.data("session.failed")[0]["message"] == text
    no_audio_passed(call)
    assert call.phone.hung_up
    assert call.records[-1].event_type == "leg.summary"
    assert call.records[-1].event_data["error"]["message"] == text


@pytest.mark.every_dialect
async def test_audio_before_the_acknowledgement_is_refused(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """None of it is played, not even what comes after the acknowledgement; it is counted and in the log."""
    call = await make_call(HELLO_AND_WAIT, "early-audio")
    summary = call.outcome.summary
    assert summary["downlink"]["refused_chunks"] == len(call.of("audio.refused")) > 0
    first_heard = call.phone.spoken[0] if call.phone.spoken else None
    assert first_heard is None or first_heard > 1.0  # not before the acknowledgement
    assert call.session.complaints == []


async def test_formats_that_change_in_mid_call_end_it(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A session.updated with other formats under us is a mismatch, at once."""
    call = await make_call(Script(audio=tone(1000), stays=True), "format-drift")
    assert isinstance(call.outcome.error, FormatMismatch)
    assert call.phone.hung_up


@pytest.mark.every_dialect
@pytest.mark.parametrize("accepted", [False, True], ids=["strictly", "accepted"])
async def test_an_acknowledgement_without_formats_is_taken_only_where_that_is_wanted(
    autojump_clock: MockClock, make_call: CallMaker, accepted: bool
) -> None:
    """Nothing is guessed, unless the dialect's vendor never tells them or the configuration says so; it is recorded."""
    call = await make_call(HELLO_AND_WAIT, "silent-ack", provider={"accept_silent_ack": accepted})
    if not (accepted or call.dialect.silent_ack):
        assert isinstance(call.outcome.error, FormatMismatch)
        assert set(call.outcome.error.confirmed) == {"no format"}
        no_audio_passed(call)
        return
    assert call.outcome.error is None
    assert call.data("session.ready")[0]["echoed"] is False
    assert call.phone.spoken


@pytest.mark.every_dialect
async def test_the_next_format_of_the_list_is_tried_on_a_new_session(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A provider that refuses the first format gets the second one on a new connection, and the call is answered."""
    call = await make_call(HELLO_AND_WAIT, "second-format-only", provider={"formats": ["pcm24", "ulaw8"]})
    assert call.outcome.error is None
    assert len(call.provider.sessions) == 2
    assert call.data("session.retrying") == [{"refused": "slin24", "next": "ulaw8"}]
    assert call.outcome.summary["formats"]["requested"] == ["slin24", "ulaw8"]
    assert call.outcome.summary["formats"]["confirmed"] == {"uplink": "ulaw8", "downlink": "ulaw8"}
    assert call.phone.spoken


@pytest.mark.every_dialect
async def test_the_last_refusal_of_the_list_is_the_one_told(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """When every format fails, as many sessions were tried as formats were listed."""
    call = await make_call(Script(stays=True), "no-ack", provider={"formats": ["pcm24", "ulaw8", "alaw8/pcm24"]})
    assert isinstance(call.outcome.error, AckTimeout)
    assert len(call.provider.sessions) == 3
    no_audio_passed(call)


@pytest.mark.parametrize(
    ("scenario", "text"),
    [
        ("vanish", "expected the session to go on, got the connection closed with code 1006"),
        ("close-1011", "expected the session to go on, got the connection closed with code 1011"),
        ("expired", "the provider ended the session: session_expired"),
    ],
)
async def test_a_provider_lost_in_mid_call_ends_it_with_its_reason(
    autojump_clock: MockClock, make_call: CallMaker, scenario: str, text: str
) -> None:
    """Where none is to replace it, a dropped connection, a close code and the 60-minute end each end the leg."""
    call = await make_call(Script(audio=tone(1000), stays=True), scenario, provider={"reconnect_s": 0.0})
    assert isinstance(call.outcome.error, SessionLost)
    assert str(call.outcome.error).startswith(text)
    assert call.phone.hung_up
    assert call.records[-1].event_type == "leg.summary"


@pytest.mark.every_dialect
async def test_a_provider_that_stalls_makes_underruns_not_noise(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A gap inside an answer is silence on the line and an underrun in the log; the answer goes on after it."""
    call = await make_call(Script(audio=tone(3000) + silence(15_000)), "stall")
    assert call.outcome.error is None
    assert call.outcome.summary["playout"]["underruns"] >= 1
    assert call.of("playout.underrun")
    assert call.outcome.summary["playout"]["played_samples"] == call.outcome.summary["playout"]["received_samples"]


@pytest.mark.every_dialect
async def test_no_connection_to_the_provider_hangs_up(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Where no WebSocket can be opened, the reason is in the log and the caller is not left hanging."""
    call = await make_call(Script(audio=tone(500), stays=True), refuse_connections=[1])
    assert isinstance(call.outcome.error, SessionError)
    assert "no connection to provider.test:80: all attempts to connect failed" in str(call.outcome.error)
    assert call.phone.hung_up
    assert call.duration_s < 1


@pytest.mark.every_dialect
async def test_a_wav_is_played_before_hanging_up(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Any
) -> None:
    """With leg.failure_wav the caller hears it in full, resampled for the leg, and then the leg ends."""
    wav = tmp_path / "sorry.wav"
    soundfile.write(wav, [0.25] * 12_000, 24_000, subtype="PCM_16")
    call = await make_call(Script(stays=True), "refused", leg={"failure_wav": str(wav)})
    assert 24 <= len(call.phone.spoken) <= 27
    assert call.phone.hung_up
    assert call.data("leg.failure_wav")[0]["duration_ms"] == 500.0
