"""Whole calls in virtual time that go well, and barge-in: what each side sends, hears and finds in the log."""

from __future__ import annotations

from itertools import pairwise

import pytest
from trio.testing import MockClock
from virtual_call import HELLO_AND_WAIT, CallMaker, Script, silence, tone

from voxpipe.testing.scenario import Acknowledge, Pace, Scenario


@pytest.mark.every_dialect
async def test_a_call_is_answered(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The caller speaks, the provider hears it after its acknowledgement, and the caller hears the answer."""
    call = await make_call(HELLO_AND_WAIT)
    assert call.outcome.error is None
    assert call.outcome.reason == "leg closed by the peer"
    assert call.session.complaints == []
    assert call.seen("session.updated")[0].line_no < call.seen("input_audio_buffer.append")[0].line_no
    summary = call.outcome.summary
    assert summary["formats"]["confirmed"] == {"uplink": "slin24", "downlink": "slin24"}
    assert summary["turns"] == {"caller": 1, "agent": 1, "cut": 0}
    assert summary["uplink"]["append_chunks"] == summary["uplink"]["messages"] == 225
    assert summary["playout"]["played_samples"] == summary["playout"]["received_samples"] > 8 * 1000
    assert len(call.phone.spoken) >= 50


@pytest.mark.every_dialect
async def test_frames_leave_every_20_ms_and_the_first_of_an_answer_at_once(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The caller gets one frame a ptime from the start to the end, and an answer begins with its first chunk."""
    call = await make_call(HELLO_AND_WAIT)
    times = [time_s for time_s, _ in call.phone.frames]
    gaps = [round(b - a, 6) for a, b in pairwise(times)]
    assert max(gaps) <= 0.02
    assert sum(gap != 0.02 for gap in gaps) <= 1
    first_chunk = call.seen("response.output_audio.delta")[0]
    started = call.of("playout.started")[0]
    assert started.t_ns - first_chunk.t_ns < 1_000_000
    assert all(len(frame) == 320 for _, frame in call.phone.frames)


@pytest.mark.every_dialect
async def test_a_provider_that_is_slower_than_speech_gets_no_frame_out_of_turn(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Chunks that come after their tick wait for the next one: sent at once, the phone would get two frames a ptime."""
    slow = Scenario("slow", "speaks slower than real time", pace=Pace(speed=0.985, chunk_ms=(20.0,)))
    call = await make_call(Script(audio=tone(2000) + silence(4000)), slow)
    times = [time_s for time_s, _ in call.phone.frames]
    gaps = [round(b - a, 6) for a, b in pairwise(times)]
    assert max(gaps) <= 0.02
    assert sum(gap != 0.02 for gap in gaps) <= 1
    assert len(call.phone.spoken) >= 100
    assert call.outcome.summary["playout"]["underruns"] < 6


@pytest.mark.every_dialect
async def test_a_quiet_call_is_kept_up_by_silence(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A caller who says nothing gets silence all the while, so that Asterisk's two-second rule never ends the call."""
    call = await make_call(Script(audio=silence(8000)))
    assert len(call.phone.frames) >= 395
    assert call.phone.spoken == []
    assert sum(data["frames"] for data in call.data("playout.silence")) >= 350


@pytest.mark.every_dialect
async def test_the_agent_speaks_first_when_told_to(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A greeting is asked for right after the acknowledgement, and heard; words that are to be said, too."""
    for session in ({"greeting": "Say hello."}, {"greeting_words": "Hello."}):
        call = await make_call(Script(audio=silence(4000)), session=session)
        asked = call.seen("session.update", "response.create", "input_audio_buffer.append", direction="sent")
        assert [event.type for event in asked][:2] == ["session.update", "response.create"]
        assert call.phone.spoken
        assert call.outcome.summary["turns"]["agent"] == 1
        assert call.session.complaints == []


@pytest.mark.every_dialect
async def test_the_callers_first_word_waits_for_the_acknowledgement(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """What is said within the second that the uplink holds goes out after the acknowledgement, in order."""
    slow = Scenario("slow", "acknowledges after 0.8 s", on_update=Acknowledge(delay_s=0.8))
    call = await make_call(HELLO_AND_WAIT, slow)
    assert call.outcome.summary["uplink"]["overrun_frames"] == 0
    assert call.outcome.summary["uplink"]["append_chunks"] == 225
    assert call.outcome.summary["channels_peak"]["uplink"] >= 38
    assert call.session.complaints == []
    assert call.outcome.summary["turns"]["agent"] == 1


@pytest.mark.every_dialect
async def test_a_late_acknowledgement_costs_the_oldest_words_and_is_recorded(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Beyond a second the oldest give way: the first loss is told at once, the rest by the second, all counted."""
    call = await make_call(HELLO_AND_WAIT, "slow-ack")
    lost = call.outcome.summary["uplink"]["overrun_frames"]
    assert 20 <= lost <= 30
    losses = call.data("uplink.overrun")
    assert losses[0] == {"frames": 1, "total_frames": 1}
    assert len(losses) == 2
    assert sum(data["frames"] for data in losses) == losses[-1]["total_frames"] == lost
    assert call.outcome.summary["uplink"]["append_chunks"] == 225 - lost


@pytest.mark.every_dialect
async def test_digits_and_unknown_messages_are_recorded(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """DTMF is in the log with its digit, an unknown kind once, and the call goes on."""
    extra = ((0.1, b"\x03\x00\x015"), (0.2, b"\x42\x00\x02ab"), (0.3, b"\x42\x00\x00"))
    call = await make_call(Script(audio=silence(1000), extra=extra), digits={"to": "off", "log": True})
    messages = [data for data in call.data("audiosocket.received") if data["message_type"] not in ("audio", "uuid")]
    assert messages == [
        {"message_type": "dtmf", "digit": "5"},
        {"message_type": "unknown", "kind": "0x42", "length": 2},
    ]
    assert call.outcome.error is None


@pytest.mark.every_dialect
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


@pytest.mark.every_dialect
async def test_the_agent_falls_silent_when_the_caller_speaks(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """It is cut within a frame of the provider's word, or where it listens while it speaks falls silent by itself."""
    call = await make_call(Script(audio=tone(2000) + silence(1500) + tone(1200) + silence(3500)))
    assert call.outcome.error is None
    assert call.session.complaints == []
    heard = call.outcome.summary["playout"]["played_samples"]
    second_s = 3.5 + 0.06  # when the provider hears it
    if call.dialect.full_duplex:
        assert call.of("playout.cut") == []
        assert not any(second_s + 0.3 < time_s < 5.0 for time_s in call.phone.spoken)
    else:
        (cut,) = [record for record in call.of("playout.cut") if record.event_data["begun"]]
        assert cut.t_ns == pytest.approx(second_s * 1e9, abs=30_000_000)
        assert not any(cut.t_ns / 1e9 + 0.02 < time_s < 5.0 for time_s in call.phone.spoken)
    assert any(time_s > 5.0 for time_s in call.phone.spoken)
    assert 0 < heard < 8 * (2500 + 1700 + 1000)


async def test_what_the_caller_heard_before_the_cut_is_what_was_counted(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The milliseconds told to the provider are those of the frames on the wire."""
    call = await make_call(Script(audio=tone(2000) + silence(1500) + tone(1200) + silence(200)))
    (truncate,) = call.of("conversation.item.truncate")
    played = [r for r in call.of("audiosocket.sent") if r.seq < truncate.seq]
    assert truncate.event_data["audio_end_ms"] == sum(r.event_data["samples"] for r in played) // 8
    assert len(call.phone.spoken) == len(played)
