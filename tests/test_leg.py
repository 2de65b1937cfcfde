"""Whole calls in virtual time: what the provider does, what the caller hears, what goes out, what the log says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import soundfile
import trio
import trio.testing
from trio.testing import MockClock
from virtual_call import CallMaker, Script, VirtualCall, silence, tone, virtual_config, wire_types

from voxpipe.audio import SLIN24
from voxpipe.errors import AckTimeout, CommandRefused, FormatMismatch, RemoteProtocolError, SessionError
from voxpipe.leg import run_leg

HELLO_AND_WAIT = Script(audio=tone(1000) + silence(3500))


def appends(call: VirtualCall) -> int:
    """How many messages of caller audio went out."""
    return len(call.of("input_audio_buffer.append", direction="sent"))


def no_audio_passed(call: VirtualCall) -> None:
    """Assert that nothing went out to the provider and nothing but silence came to the caller."""
    assert appends(call) == 0
    assert call.session.complaints == []
    assert call.phone.spoken == []


# --- calls that go well -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
async def test_a_call_is_answered(autojump_clock: MockClock, make_call: CallMaker, dialect: str) -> None:
    """The caller speaks, the provider hears it after its acknowledgement, and the caller hears the answer."""
    call = await make_call(HELLO_AND_WAIT, dialect=dialect)
    assert call.outcome.error is None
    assert call.outcome.reason == "leg closed by the peer"
    assert call.session.complaints == []
    assert call.of("session.updated")[0].seq < call.of("input_audio_buffer.append")[0].seq
    summary = call.outcome.summary
    assert summary["formats"]["confirmed"] == {"uplink": "slin24", "downlink": "slin24"}
    assert summary["turns"] == {"caller": 1, "agent": 1, "cut": 0}
    assert summary["uplink"]["append_chunks"] == summary["uplink"]["messages"] == 225
    assert summary["playout"]["played_samples"] == summary["playout"]["received_samples"] > 8 * 1000
    assert len(call.phone.spoken) >= 50


async def test_frames_leave_every_20_ms_and_the_first_of_an_answer_at_once(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The caller gets one frame a ptime from the start to the end, and an answer begins with its first chunk."""
    call = await make_call(HELLO_AND_WAIT)
    times = [time_s for time_s, _ in call.phone.frames]
    gaps = [round(b - a, 6) for a, b in pairwise(times)]
    assert max(gaps) <= 0.02
    assert sum(gap != 0.02 for gap in gaps) <= 1
    first_chunk = call.of("response.output_audio.delta")[0]
    started = call.of("playout.started")[0]
    assert started.t_ns - first_chunk.t_ns < 1_000_000
    assert all(len(frame) == 320 for _, frame in call.phone.frames)


async def test_a_quiet_call_is_kept_up_by_silence(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A caller who says nothing gets silence all the while, so that Asterisk's two-second rule never ends the call."""
    call = await make_call(Script(audio=silence(8000)))
    assert len(call.phone.frames) >= 395
    assert call.phone.spoken == []
    assert sum(data["frames"] for data in call.data("playout.silence")) >= 350


async def test_the_agent_speaks_first_when_told_to(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A greeting is asked for right after the acknowledgement, and heard."""
    call = await make_call(Script(audio=silence(4000)), session={"greeting": "Say hello."})
    assert wire_types(call.records, "sent")[:2] == ["session.update", "response.create"]
    assert call.phone.spoken
    assert call.outcome.summary["turns"]["agent"] == 1


async def test_the_callers_first_word_waits_for_the_acknowledgement(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """What is said within the second that the uplink holds goes out after the acknowledgement, in order."""
    from voxpipe.testing.scenario import Acknowledge, Scenario

    slow = Scenario("slow", "acknowledges after 0.8 s", on_update=Acknowledge(delay_s=0.8))
    call = await make_call(HELLO_AND_WAIT, slow)
    assert call.outcome.summary["uplink"]["overrun_frames"] == 0
    assert call.outcome.summary["uplink"]["append_chunks"] == 225
    assert call.outcome.summary["channels_peak"]["uplink"] >= 38
    assert call.session.complaints == []
    assert call.outcome.summary["turns"]["agent"] == 1


async def test_a_late_acknowledgement_costs_the_oldest_words_and_is_recorded(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Beyond a second the oldest frames give way; each loss is in the log and the sum in the summary."""
    call = await make_call(HELLO_AND_WAIT, "slow-ack")
    lost = call.outcome.summary["uplink"]["overrun_frames"]
    assert 20 <= lost <= 30
    assert len(call.of("uplink.overrun")) == lost
    assert call.outcome.summary["uplink"]["append_chunks"] == 225 - lost


async def test_digits_and_unknown_messages_are_recorded(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """DTMF is in the log with its digit, an unknown kind once, and the call goes on."""
    extra = ((0.1, b"\x03\x00\x015"), (0.2, b"\x42\x00\x02ab"), (0.3, b"\x42\x00\x00"))
    call = await make_call(Script(audio=silence(1000), extra=extra))
    messages = [data for data in call.data("audiosocket.received") if data["message_type"] not in ("audio", "uuid")]
    assert messages == [
        {"message_type": "dtmf", "digit": "5"},
        {"message_type": "unknown", "kind": "0x42", "length": 2},
    ]
    assert call.outcome.error is None


async def test_strange_events_and_text_are_recorded_and_survived(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Events without a word of ours, extra keys and messages that are no JSON leave the call alone."""
    strange = await make_call(HELLO_AND_WAIT, "unknown-events")
    assert strange.of("session.weather.updated")
    assert strange.outcome.summary["turns"]["agent"] == 1
    garbled = await make_call(HELLO_AND_WAIT, "garbage")
    assert garbled.of("error.parsing")
    assert garbled.outcome.error is None
    assert garbled.outcome.summary["turns"]["agent"] == 1


async def test_an_error_in_mid_call_is_recorded_and_survived(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Most errors leave the session alive; so do we."""
    call = await make_call(HELLO_AND_WAIT, "error-mid")
    assert call.of("error", direction="received")
    assert call.outcome.error is None
    assert call.outcome.summary["session"]["errors"] >= 1
    assert call.phone.spoken


# --- barge-in ---------------------------------------------------------------------------------------------------------


async def test_barge_in_stops_the_agent_and_tells_what_was_heard(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The answer stops within a frame, and the item is truncated to what was played, to the millisecond."""
    speech = tone(2000) + silence(1500) + tone(1200) + silence(3500)
    call = await make_call(Script(audio=speech))
    (cut,) = [data for data in call.data("playout.cut") if data["begun"]]
    (truncate,) = call.data("conversation.item.truncate")
    (part,) = cut["begun"]
    assert truncate["audio_end_ms"] == part["played_ms"] == part["played_samples"] // 8
    assert 0 < truncate["audio_end_ms"] < 2000
    assert cut["dropped_samples"] > 0
    assert call.session.complaints == []
    when = next(r.t_ns for r in call.of("playout.cut") if r.event_data["begun"])
    after = [r for r in call.of("audiosocket.sent") if r.t_ns > when and r.t_ns < when + 300_000_000]
    assert after == []
    assert call.of("conversation.item.truncated")
    assert call.outcome.summary["turns"] == {"caller": 2, "agent": 2, "cut": 1}


async def test_what_the_caller_heard_before_the_cut_is_what_was_counted(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The milliseconds told to the provider are those of the frames on the wire."""
    call = await make_call(Script(audio=tone(2000) + silence(1500) + tone(1200) + silence(200)))
    (truncate,) = call.of("conversation.item.truncate")
    played = [r for r in call.of("audiosocket.sent") if r.seq < truncate.seq]
    assert truncate.event_data["audio_end_ms"] == sum(r.event_data["samples"] for r in played) // 8
    assert len(call.phone.spoken) == len(played)


# --- sessions that fail -----------------------------------------------------------------------------------------------


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
    """The session fails loudly, the log says expected and actual, and the leg is hung up so that the dialplan goes on."""
    call = await make_call(Script(audio=tone(1000), stays=True), scenario)
    assert isinstance(call.outcome.error, error)
    assert str(call.outcome.error) == text
    assert call.data("session.failed")[0]["message"] == text
    no_audio_passed(call)
    assert call.phone.hung_up
    assert call.records[-1].event_type == "leg.summary"
    assert call.records[-1].event_data["error"]["message"] == text


async def test_audio_before_the_acknowledgement_is_refused(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """None of it is played, not even what comes after the acknowledgement; it is counted and in the log."""
    call = await make_call(HELLO_AND_WAIT, "early-audio")
    summary = call.outcome.summary
    assert summary["downlink"]["refused_chunks"] == len(call.of("audio.refused")) > 0
    refused = {data["response_id"] for data in call.data("audio.refused")}
    assert refused.isdisjoint(data["response_id"] for data in call.data("playout.started"))


async def test_formats_that_change_in_mid_call_end_it(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A session.updated with other formats under us is a mismatch, at once."""
    call = await make_call(Script(audio=tone(1000), stays=True), "format-drift")
    assert isinstance(call.outcome.error, FormatMismatch)
    assert call.phone.hung_up


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
    """A connection that drops, a close code and the 60-minute end each end the leg, and the log is complete."""
    call = await make_call(Script(audio=tone(1000), stays=True), scenario)
    assert isinstance(call.outcome.error, SessionError)
    assert str(call.outcome.error).startswith(text)
    assert call.phone.hung_up
    assert call.records[-1].event_type == "leg.summary"


async def test_a_provider_that_stalls_makes_underruns_not_noise(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A gap inside an answer is silence on the line and an underrun in the log; the answer goes on after it."""
    call = await make_call(Script(audio=tone(3000) + silence(15_000)), "stall")
    assert call.outcome.error is None
    assert call.outcome.summary["playout"]["underruns"] >= 1
    assert call.of("playout.underrun")
    assert call.outcome.summary["playout"]["played_samples"] == call.outcome.summary["playout"]["received_samples"]


async def test_no_connection_to_the_provider_hangs_up(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Where no WebSocket can be opened, the reason is in the log and the caller is not left hanging."""
    call = await make_call(Script(audio=tone(500), stays=True), refuse_connection=True)
    assert isinstance(call.outcome.error, SessionError)
    assert "no connection to provider.test:80: all attempts to connect failed" in str(call.outcome.error)
    assert call.phone.hung_up
    assert call.duration_s < 1


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


# --- the ends of a leg ------------------------------------------------------------------------------------------------


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


async def test_g711_on_an_auto_leg_is_an_error_that_says_what_to_configure(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """No kind tells the law, so nobody guesses it; no audio goes to the provider."""
    call = await make_call(Script(extra=((0.0, G711_FRAME),), stays=True))
    assert isinstance(call.outcome.error, RemoteProtocolError)
    assert "configure leg.format as ulaw8 or alaw8" in call.data("leg.failed")[0]["message"]
    assert appends(call) == 0
    assert call.phone.closed


async def test_a_leg_that_changes_its_format_ends_alone(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """G.711 after linear audio is an error with expected and actual; the session is closed in order."""
    call = await make_call(Script(extra=((0.5, G711_FRAME),), stays=True))
    assert isinstance(call.outcome.error, RemoteProtocolError)
    assert "expected 320 bytes" in str(call.outcome.error)
    assert "got 160" in str(call.outcome.error)
    assert call.session.closed is not None
    assert call.session.closed[0] == 1000


async def test_a_leg_without_audio_cannot_tell_its_format(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """In auto mode a leg which sends nothing is ended after the deadline with what to configure."""
    call = await make_call(Script(stays=True, speaks_after_s=30))
    assert isinstance(call.outcome.error, RemoteProtocolError)
    assert str(call.outcome.error) == (
        "expected audio within 5 s to learn the leg's format, got none: configure leg.format"
    )
    assert call.phone.hung_up


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


# --- the log ----------------------------------------------------------------------------------------------------------


async def test_the_log_is_gapless_and_in_order(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Sequence numbers have no gap, times never go back, and every line has what plain scripts want."""
    call = await make_call(HELLO_AND_WAIT)
    assert [record.seq for record in call.records] == list(range(len(call.records)))
    assert all(a.t_ns <= b.t_ns for a, b in pairwise(call.records))
    assert call.records[0].timestamp == "2027-01-15T08:00:00.000000+00:00"
    assert {record.leg for record in call.records} == {"aaaabbbb-cccc-dddd-eeee-ffff00001111"}


async def test_no_secret_reaches_the_log(
    autojump_clock: MockClock, make_call: CallMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key from the environment, and secrets in the session's own keys, are in no line."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")
    tools = [{"type": "mcp", "server_label": "crm", "authorization": "tok-5555", "headers": {"X-Key": "hdr-7777"}}]
    call = await make_call(
        HELLO_AND_WAIT,
        session={"instructions": "The key is sk-very-secret-0123456789.", "extra": {"tools": tools}},
        provider={"query": {"k": "{api_key}"}},
    )
    assert call.session.headers["authorization"] == "Bearer sk-very-secret-0123456789"
    assert call.outcome.log is not None
    text = call.outcome.log.read_text()
    for secret in ("sk-very-secret", "tok-5555", "hdr-7777"):
        assert secret not in text
    assert "[redacted]" in text


async def test_audio_is_digested_inlined_or_put_beside(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The three modes keep the same lines; sidecar files hold the bytes at the offsets the lines name."""
    digest = await make_call(HELLO_AND_WAIT)
    inline = await make_call(HELLO_AND_WAIT, log={"audio": "inline"})
    sidecar = await make_call(HELLO_AND_WAIT, log={"audio": "sidecar"})
    (one, *_), (two, *_), (three, *_) = (
        [data for data in call.data("audiosocket.received") if data["message_type"] == "audio"]
        for call in (digest, inline, sidecar)
    )
    assert one["audio"]["bytes"] == 320
    assert one["audio"]["duration_ms"] == 20.0
    assert isinstance(two["audio"], str)
    assert three["audio"] == {**one["audio"], "offset_samples": 0}
    assert sidecar.outcome.log is not None
    uplink, rate_hz = soundfile.read(sidecar.outcome.log.with_suffix(".uplink.wav"), dtype="int16")
    assert rate_hz == 8000
    assert uplink.astype("<i2").tobytes() == HELLO_AND_WAIT.audio
    downlink, rate_hz = soundfile.read(sidecar.outcome.log.with_suffix(".downlink.wav"), dtype="int16")
    assert rate_hz == 24_000
    assert 2 * len(downlink) == sidecar.outcome.summary["downlink"]["bytes"]


async def test_linear_legs_of_the_models_rate_pass_untouched(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """On a slin24 leg the provider gets the caller's very bytes."""
    speech = tone(1000, 24_000) + silence(2500, 24_000)
    call = await make_call(Script(audio=speech, format=SLIN24))
    assert bytes(call.session.uplink) == speech
    assert all(len(frame) == 960 for _, frame in call.phone.frames)
