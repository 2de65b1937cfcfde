"""From one session to another within a call: lost in mid-call, or near its limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import soundfile
import trio
from trio.testing import MockClock
from virtual_call import (
    CallMaker,
    Script,
    VirtualCall,
    silence,
    tone,
    wire_types,
)

from voxpipe.actors.leg_control import LegControl
from voxpipe.config import Config
from voxpipe.errors import SessionError, SessionLost
from voxpipe.testing.provider_evidence import ProviderSession
from voxpipe.testing.scenario import SCENARIOS, CallTool, Close, Pace, Scenario, Step, Trigger, Vanish
from voxpipe.tools import Tool

RESUME = Config().session.resume_instructions
GONE = Scenario("gone", "drops the connection 5 s after it was configured", (Step(Trigger.READY, 5.0, Vanish()),))
ONE_TURN = tone(1000) + silence(4000)


def given(session: ProviderSession) -> list[tuple[str, str]]:
    """The items a session was given by us, in order: who said it, and what."""
    items = [message.body["item"] for message in session.messages if message.type == "conversation.item.create"]
    return [
        (item["role"], item["content"][0]["text"])
        if item["type"] == "message"
        else (item["type"], item.get("output", item.get("arguments")))
        for item in items
    ]


def asked(session: ProviderSession) -> list[Any]:
    """The instructions of the responses that a session was asked for."""
    bodies = [message.body for message in session.messages if message.type == "response.create"]
    return [body.get("response", {}).get("instructions") for body in bodies]


def no_complaints(call: VirtualCall) -> None:
    """No session had anything to object to."""
    assert [complaint for complaint in call.provider.complaints if not complaint.harmless] == []


def renewed_after(seconds: float) -> dict[str, float]:
    """The provider's table with which a session is to be replaced after so long."""
    return {"renew_before_s": 3000.0 - seconds, "session_limit_s": 3000.0}


# --- lost in mid-call -------------------------------------------------------------------------------------------------

LOSSES = ("vanish", "close-1011", "expired")


@pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
@pytest.mark.parametrize("loss", LOSSES)
async def test_a_call_outlives_its_session(
    autojump_clock: MockClock, make_call: CallMaker, loss: str, dialect: str
) -> None:
    """Another session is given the words so far and answers the caller's next turn; the leg never ends."""
    script = Script(audio=ONE_TURN + silence(3000) + ONE_TURN)
    call = await make_call(script, (loss, "parrot"), dialect=dialect)
    second = call.provider.sessions[1]
    assert call.outcome.error is None
    assert call.outcome.reason == "leg closed by the peer"
    assert given(second)[0] == ("user", "(1.5 s of speech)")
    assert given(second)[1][0] == "assistant"
    assert len(second.turns) == 1
    assert call.phone.spoken[-1] > 9.0
    assert call.outcome.summary["sessions"] == {"opened": 2, "renewed": 0, "lost": 1, "recovered": 1}
    assert [data["after_s"] for data in call.data("session.recovered")] == [0.0]
    no_complaints(call)


async def test_the_log_says_what_was_lost(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """An answer was under way, the words of every turn are known; the lines of the new session carry its number."""
    call = await make_call(Script(audio=ONE_TURN + silence(2000)), ("vanish", "parrot"))
    (lost,) = call.data("session.lost")
    assert lost == {
        "within_s": 10.0,
        "running_responses": 1,
        "caller_speaks": False,
        "unanswered_turn": False,
        "untranscribed_turns": 0,
        "forgotten_items": 0,
    }
    took_over = call.records.index(call.of("session.took_over")[0])
    later = [r for r in call.records[took_over:] if r.event_type.startswith(("response.", "session.took_over"))]
    assert {record.session for record in later} == {2}
    assert {r.session for r in call.records[:took_over] if r.event_type.startswith("response.")} == {None}


async def test_an_answer_that_was_cut_off_is_taken_up_again(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """What had come of it is played to its end; then the agent is told to go on, once."""
    call = await make_call(Script(audio=ONE_TURN + silence(4000)), ("vanish", "parrot"))
    assert asked(call.provider.sessions[1]) == [RESUME]
    started = [data["response_id"] for data in call.data("playout.started")]
    assert [name.startswith(first) for name, first in zip(started, ("resp_vp0001", "resp_vp0002"), strict=True)]
    playout = call.outcome.summary["playout"]
    assert playout["played_samples"] == playout["received_samples"]
    assert playout["dropped_samples"] == 0


async def test_a_loss_in_silence_is_not_heard(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Nothing was under way, so nothing is said about it; the next turn is answered."""
    call = await make_call(Script(audio=ONE_TURN + silence(3000) + ONE_TURN), (GONE, "parrot"))
    second = call.provider.sessions[1]
    assert asked(second) == []
    assert given(second) == [("user", "(1.5 s of speech)"), ("assistant", "(1.5 s of speech)")]
    assert len(second.turns) == 1
    no_complaints(call)


async def test_without_resume_instructions_nothing_is_said(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """With an empty text the new session waits for the caller, whatever was lost."""
    call = await make_call(Script(audio=ONE_TURN), ("vanish", "parrot"), session={"resume_instructions": ""})
    assert asked(call.provider.sessions[1]) == []


async def test_the_caller_is_heard_on_through_a_loss(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Lost in the middle of a turn: its rest is heard by the new session and answered, and the log tells of it."""
    script = Script(audio=silence(3500) + tone(4000) + silence(4000))
    call = await make_call(script, (GONE, "parrot"))
    (turn,) = call.provider.sessions[1].turns
    assert turn.end_ms - turn.start_ms > 2000
    assert call.data("session.lost")[0]["caller_speaks"]
    assert asked(call.provider.sessions[1]) == []
    assert call.phone.spoken


async def test_a_turn_without_an_answer_is_answered_by_the_next_session(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The provider goes between the caller's turn and its answer: the new session is asked to go on."""
    gone = Scenario("gone", "goes when a turn has ended", (Step(Trigger.SPEECH_STOPPED, 0.5, Vanish()),), parrot=False)
    call = await make_call(Script(audio=ONE_TURN), (gone, "parrot"))
    assert call.data("session.lost")[0]["unanswered_turn"]
    assert given(call.provider.sessions[1]) == [("user", "(1.5 s of speech)")]
    assert asked(call.provider.sessions[1]) == [RESUME]
    assert call.phone.spoken


async def test_words_that_were_cut_are_not_remembered(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """After a barge-in the new session is given what the caller heard of the answer, and not the rest."""
    gone = Scenario(
        "gone", "goes after a cut", (Step(Trigger.SPEECH_STARTED, 9.0, Vanish()),), pace=Pace(chunk_ms=(500.0,))
    )
    script = Script(audio=tone(4000) + silence(3000) + tone(500) + silence(6000))
    call = await make_call(script, (gone, "parrot"))
    (cut,) = [part for data in call.data("playout.cut") for part in data["begun"]]
    words = given(call.provider.sessions[1])
    assert [who for who, _ in words] == ["user", "assistant", "user", "assistant"]
    full = "(4.5 s of speech)"
    assert words[0] == ("user", full)
    assert full.startswith(words[1][1])
    assert len(words[1][1]) <= len(full) * cut["played_samples"] / cut["received_samples"]


@pytest.mark.parametrize("refused", [1, 3])
async def test_sessions_are_tried_until_one_can_be_opened(
    autojump_clock: MockClock, make_call: CallMaker, refused: int
) -> None:
    """A provider that is away for a while: each try is recorded with its reason, and the last one serves."""
    dials = range(2, 2 + refused)
    call = await make_call(
        Script(audio=ONE_TURN + silence(5000) + ONE_TURN), (GONE, "parrot"), refuse_connections=dials
    )
    failed = call.data("session.renewal_failed")
    assert [data["again_after_s"] for data in failed] == pytest.approx([0.1, 0.3, 0.9][:refused])
    assert all("all attempts to connect failed" in data["message"] for data in failed)
    assert call.outcome.error is None
    assert len(call.provider.sessions[1].turns) == 1
    if refused == 3:  # 1.3 s away: what the uplink could not hold is told
        assert call.data("uplink.overrun")[-1]["total_frames"] == pytest.approx(15, abs=3)


async def test_a_provider_that_stays_away_ends_the_call(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """After provider.reconnect_s the failure's WAV is played and the dialplan goes on, with the loss as its reason."""
    wav = tmp_path / "sorry.wav"
    soundfile.write(wav, [0.25] * 8000, 8000, subtype="PCM_16")
    call = await make_call(
        Script(audio=ONE_TURN, stays=True),
        GONE,
        refuse_connections=range(2, 99),
        provider={"reconnect_s": 3.0},
        leg={"failure_wav": str(wav)},
    )
    assert isinstance(call.outcome.error, SessionLost)
    (lost,), (given_up,) = call.of("session.lost"), call.of("session.not_recovered")
    assert given_up.t_ns - lost.t_ns == 3_000_000_000
    assert call.phone.hung_up
    assert call.phone.spoken[-1] == pytest.approx(given_up.t_ns / 1e9 + 1.0, abs=0.05)
    assert call.duration_s == pytest.approx(5.0 + 3.0 + 1.0, abs=0.1)


async def test_a_prompt_bridges_the_gap(autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path) -> None:
    """leg.reconnect_wav is heard behind what waits, and a barge-in into it tells the provider nothing."""
    wav = tmp_path / "moment.wav"
    soundfile.write(wav, [0.25] * 16000, 8000, subtype="PCM_16")
    script = Script(audio=ONE_TURN + silence(1000) + tone(1000) + silence(4000))
    call = await make_call(script, (GONE, "parrot"), refuse_connections=[2], leg={"reconnect_wav": str(wav)})
    (prompt,) = call.of("leg.reconnect_wav")
    assert prompt.event_data["duration_ms"] == 2000.0
    (cut,) = call.data("playout.cut")
    assert cut["begun"][0]["part"]["item_id"] == "reconnect"
    assert not call.of("conversation.item.truncate", "conversation.item.delete", direction="sent")
    assert len(call.provider.sessions[1].turns) == 1
    no_complaints(call)


async def test_what_the_caller_still_hears_of_the_lost_session_is_cut_for_nobody(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A barge-in over the rest of the old answer silences it; the new provider is not told of items it never had."""
    gone = Scenario(
        "gone", "goes early in a long answer", (Step(Trigger.MID_ANSWER, 0.0, Vanish()),), pace=Pace(speed=50)
    )
    script = Script(audio=tone(5000) + silence(1500) + tone(1000) + silence(5000))
    call = await make_call(script, (gone, "parrot"), session={"resume_instructions": ""})
    (cut,) = call.data("playout.cut")
    assert cut["begun"][0]["part"]["response_id"].startswith("resp_vp0001")
    assert not call.of("conversation.item.truncate", direction="sent")
    no_complaints(call)


@pytest.mark.parametrize("how", ["hang-up", "drain"])
async def test_the_end_of_the_call_does_not_wait_for_a_session(
    autojump_clock: MockClock, make_call: CallMaker, how: str
) -> None:
    """A caller who hangs up while none serves, and a gateway that drains, end the leg in peace, at once."""
    script = Script(audio=silence(6000), stays=how == "drain")
    call = await make_call(
        script,
        GONE,
        refuse_connections=range(2, 99),
        drain_after_s=6.0 if how == "drain" else None,
    )
    assert call.outcome.error is None
    assert call.outcome.reason == ("gateway drains" if how == "drain" else "leg closed by the peer")
    assert call.duration_s == pytest.approx(6.0, abs=0.1)
    assert not call.of("session.not_recovered", "session.recovered")


async def test_a_request_in_the_gap_waits_for_the_next_session(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """say() while no session serves is spoken by the next one; instructions of before go with it."""
    done: list[float] = []

    async def talk(control: LegControl) -> None:
        await trio.sleep(1)
        await control.instruct("Speak like a pirate.")
        await trio.sleep_until(5.2)
        await control.say("Ahoy.")
        done.append(trio.current_time())

    call = await make_call(Script(audio=silence(9000)), (GONE, "parrot"), refuse_connections=[2, 3, 4], on_start=talk)
    assert done == [pytest.approx(6.3, abs=0.05)]
    second = call.provider.sessions[1]
    assert "Ahoy." in asked(second)[0]
    (update,) = [message.body["session"] for message in second.messages if message.type == "session.update"]
    assert update["instructions"] == "Speak like a pirate."


async def test_a_request_in_the_gap_fails_with_the_call(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Where no session follows, who waits is told so."""
    errors: list[str] = []

    async def talk(control: LegControl) -> None:
        await trio.sleep(5.2)
        with pytest.raises(SessionError) as raised:
            await control.say("Ahoy.")
        errors.append(str(raised.value))

    await make_call(
        Script(audio=b"", stays=True),
        GONE,
        refuse_connections=range(2, 99),
        on_start=talk,
        provider={"reconnect_s": 2.0},
    )
    assert errors == ["expected the session to go on, got it failed"]


CALLS_TOOL = (Step(Trigger.READY, 1.0, CallTool("look_up", '{"what":"tide"}')), Step(Trigger.READY, 2.0, Vanish()))


@pytest.mark.parametrize(("takes_s", "expected"), [(1.5, "in the gap"), (4.0, "after it")])
async def test_the_result_of_a_tool_reaches_the_session_that_serves_then(
    autojump_clock: MockClock, make_call: CallMaker, takes_s: float, expected: str
) -> None:
    """A call outlives the session that asked for it: the new one is told of it, gets the result, and speaks."""

    async def look_up(what: str) -> str:
        """Look something up."""
        await trio.sleep(takes_s)
        return f"{what}: high"

    call = await make_call(
        Script(audio=silence(9000)),
        (Scenario("gone", "goes during a tool call", CALLS_TOOL, parrot=False), "parrot"),
        own_tools=[Tool(look_up)],
        refuse_connections=[2, 3, 4],
        session={"resume_instructions": ""},
    )
    second = call.provider.sessions[1]
    assert given(second) == [("function_call", '{"what":"tide"}'), ("function_call_output", "tide: high")]
    assert call.data("session.took_over")[0]["open_calls"] == ([] if expected == "in the gap" else [given_id(call)])
    assert len(asked(second)) == (0 if expected == "in the gap" else 1)
    no_complaints(call)


def given_id(call: VirtualCall) -> str:
    """The id of the only tool call."""
    return str(call.data("tool.called")[0]["call_id"])


async def test_a_session_lost_again_and_again_is_replaced_again_and_again(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Each loss has its own time to recover; the conversation grows, and each item is given to each session once."""
    turn = tone(1000) + silence(4500)
    call = await make_call(Script(audio=turn * 3), (GONE, GONE, GONE, "parrot"))
    assert call.outcome.summary["sessions"]["recovered"] == 3
    said = given(call.provider.sessions[3])
    turns = [("user", "(1.5 s of speech)"), ("assistant", "(1.5 s of speech)")]
    assert said == turns + 2 * [(who, words.replace("1.5", "1.8")) for who, words in turns]  # with their padding
    no_complaints(call)


@pytest.mark.parametrize("loss_ms", [1700, 1800, 1900, 2050, 2300, 2700, 3100, 3333, 3700])
async def test_wherever_it_is_lost_nothing_that_came_is_swallowed(
    autojump_clock: MockClock, make_call: CallMaker, loss_ms: int
) -> None:
    """Every sample received is played, by whichever session, and the call ends as the caller wants."""
    gone = Scenario("gone", "goes then", (Step(Trigger.READY, loss_ms / 1000, Close(1011)),))
    call = await make_call(Script(audio=ONE_TURN + silence(4000)), (gone, "parrot"))
    playout = call.outcome.summary["playout"]
    assert playout["received_samples"] == playout["played_samples"] > 0
    assert call.outcome.error is None
    assert call.outcome.summary["sessions"]["recovered"] == 1


# --- near the limit ---------------------------------------------------------------------------------------------------


async def test_a_session_near_its_limit_is_replaced_in_a_pause(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The new one stands by, knows all that was said, takes over when nobody speaks; the caller hears nothing of it."""
    script = Script(audio=ONE_TURN * 4)
    call = await make_call(script, provider=renewed_after(11.0))
    plain = await make_call(script)
    first, second = call.provider.sessions[:2]
    assert call.outcome.summary["sessions"] == {"opened": 2, "renewed": 1, "lost": 0, "recovered": 0}
    heard = [frame for time_s, frame in call.phone.frames if time_s < 15]
    assert heard == [frame for time_s, frame in plain.phone.frames if time_s < 15]
    assert len(call.phone.spoken) == pytest.approx(len(plain.phone.spoken), abs=1)
    assert call.phone.spoken[-1] == pytest.approx(plain.phone.spoken[-1], abs=0.02)
    assert (len(first.turns), len(second.turns)) == (3, 1)
    assert [who for who, _ in given(second)] == ["user", "assistant"] * 3
    assert asked(second) == []
    assert first.closed == (1000, "")
    no_complaints(call)


async def test_what_is_said_before_the_pause_is_known_to_the_successor(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Opened in the middle of a turn, it is given what was said before, and the rest before it takes over."""
    call = await make_call(Script(audio=ONE_TURN * 2), provider=renewed_after(5.5))
    opened, took_over = call.of("session.ready")[1], call.of("session.took_over")[0]
    assert took_over.t_ns - opened.t_ns > 2_000_000_000
    assert took_over.event_data == {"items": 4, "open_calls": []}
    wire = [r for r in call.records if r.session == 2 and r.direction == "sent"]
    assert wire_types(wire, "sent")[:2] == ["session.update", "conversation.item.create"]
    assert not [r for r in wire if r.t_ns < took_over.t_ns and r.event_type == "input_audio_buffer.append"]


async def test_a_word_that_begins_at_the_change_is_heard_whole(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The successor is given the caller's last 600 ms before it took over: the old one had not noticed the word."""
    calm = await make_call(Script(audio=ONE_TURN + silence(1000)), provider=renewed_after(2.5))
    change_ms = calm.of("session.took_over")[0].t_ns // 1_000_000
    audio = ONE_TURN[: 16 * (change_ms - 60)] + tone(1060) + silence(600)
    call = await make_call(Script(audio=audio), provider=renewed_after(2.5))
    assert call.of("session.took_over")[0].t_ns // 1_000_000 == change_ms
    assert len(call.provider.sessions[0].turns) == 1
    (turn,) = call.provider.sessions[1].turns
    assert turn.end_ms - turn.start_ms == pytest.approx(1060 + 500 + 300, abs=45)  # with its silence and its padding
    second = [r for r in call.of("input_audio_buffer.append", direction="sent") if r.session == 2]
    assert len([r for r in second if r.t_ns - second[0].t_ns < 10_000_000]) == 31  # 30 frames and that of the moment


async def test_where_no_pause_comes_the_limit_decides(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A caller who never stops speaking is handed over at the limit, in the middle of the turn."""
    script = Script(audio=tone(8000) + silence(1000))
    call = await make_call(script, provider={"renew_before_s": 1.0, "session_limit_s": 6.0})
    took_over = call.of("session.took_over")[0]
    assert took_over.t_ns == pytest.approx(6e9, abs=2e7)
    (turn,) = call.provider.sessions[1].turns
    assert turn.end_ms > 3000
    (renewed,) = call.data("session.renewed")
    assert renewed == {"running_responses": 0, "caller_speaks": True, "unanswered_turn": False}
    assert call.outcome.error is None


async def test_a_request_at_the_limit_waits_for_a_successor_that_is_late(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The old session drains, the new one is not there yet: who asks is heard by that one."""
    done: list[float] = []

    async def talk(control: LegControl) -> None:
        await trio.sleep(6.2)
        await control.say("Ahoy.")
        done.append(trio.current_time())

    slow = SCENARIOS["parrot"], SCENARIOS["slow-ack"]
    call = await make_call(
        Script(audio=tone(2000) + silence(500) + tone(5500)),
        slow,
        provider={"renew_before_s": 1.0, "session_limit_s": 6.0},
        on_start=talk,
    )
    assert call.of("session.took_over")[0].t_ns == pytest.approx(6.5e9, abs=1e7)
    assert "Ahoy." in asked(call.provider.sessions[1])[-1]
    assert call.outcome.error is None


async def test_an_answer_at_the_limit_is_taken_up_by_the_successor(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """What came of it is played; the new session is asked to go on."""
    slow = Scenario("slow", "speaks as fast as one hears", pace=Pace(speed=1.0))
    script = Script(audio=tone(5000) + silence(9000))
    call = await make_call(script, (slow, "parrot"), provider={"renew_before_s": 6.0, "session_limit_s": 8.0})
    assert asked(call.provider.sessions[1]) == [RESUME]
    playout = call.outcome.summary["playout"]
    assert playout["played_samples"] == playout["received_samples"]


async def test_a_successor_that_fails_is_replaced_while_the_call_goes_on(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Two refusals and a missing acknowledgement are heard of in the log only."""
    call = await make_call(
        Script(audio=ONE_TURN * 3), ("parrot", "no-ack", "refused", "parrot"), provider=renewed_after(9.0)
    )
    assert [data["error"] for data in call.data("session.renewal_failed")] == ["AckTimeout", "CommandRefused"]
    assert call.outcome.summary["sessions"] == {"opened": 4, "renewed": 1, "lost": 0, "recovered": 0}
    assert [len(session.turns) for session in call.provider.sessions] == [3, 0, 0, 0]
    assert call.outcome.error is None


@pytest.mark.parametrize("lost_s", [6.2, 7.0])
async def test_a_session_lost_while_its_successor_stands_by_is_replaced_at_once(
    autojump_clock: MockClock, make_call: CallMaker, lost_s: float
) -> None:
    """In the middle of a turn or of an answer the one that stands by takes over, and no further session is opened."""
    gone = Scenario("gone", "goes in its second answer", (Step(Trigger.READY, lost_s, Vanish()),))
    call = await make_call(Script(audio=ONE_TURN * 2), (gone, "parrot"), provider=renewed_after(5.5))
    assert len(call.provider.sessions) == 2
    assert call.outcome.summary["sessions"] == {"opened": 2, "renewed": 0, "lost": 1, "recovered": 1}
    assert asked(call.provider.sessions[1]) == ([RESUME] if lost_s == 7.0 else [])
    assert len(call.of("session.lost", "session.recovered")) == 2


async def test_instructions_of_the_last_minute_go_with_the_call(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Changed while the successor stands by: it is told when it takes over."""

    async def act(control: LegControl) -> None:
        await trio.sleep(6.0)
        await control.instruct("Speak like a pirate.")

    call = await make_call(Script(audio=ONE_TURN * 2), provider=renewed_after(5.5), on_start=act)
    assert call.of("session.ready")[1].t_ns < 6e9 < call.of("session.took_over")[0].t_ns
    second = call.provider.sessions[1]
    assert second.configuration is not None
    assert second.configuration["instructions"] == "Speak like a pirate."


async def test_the_limit_of_the_call_is_none_of_the_session(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A call that is over at leg.max_call_s is over, whoever stands by."""
    call = await make_call(Script(audio=tone(20_000)), provider=renewed_after(3.0), leg={"max_call_s": 6.0})
    assert call.outcome.reason == "call limit reached"
    assert call.duration_s == pytest.approx(6.0, abs=0.1)
    assert not call.of("session.took_over")


async def test_a_call_that_ends_takes_its_successor_with_it(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A session that stands by is closed with the leg, not left to the provider."""
    call = await make_call(Script(audio=tone(6000)), provider=renewed_after(2.0))
    assert [session.closed for session in call.provider.sessions] == [(1000, ""), (1000, "")]
    assert not call.of("session.took_over")
    assert call.outcome.error is None


async def test_renewal_can_be_switched_off(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """With provider.renew_before_s = 0 the call ends with its session, as the session's limit says."""
    call = await make_call(Script(audio=ONE_TURN, stays=True), provider={"renew_before_s": 0.0, "session_limit_s": 7.0})
    assert call.outcome.reason == "session limit reached"
    assert len(call.provider.sessions) == 1


@pytest.mark.parametrize(("renew_after_s", "turns"), [(4.0, [2, 0]), (2.2, [1, 1, 0])])
async def test_a_push_to_talk_call_changes_when_the_agent_has_spoken(
    autojump_clock: MockClock, make_call: CallMaker, renew_after_s: float, turns: list[int]
) -> None:
    """Without turn detection the pause is that after an answer: no turn of the caller's is torn in two."""
    press = b"\x03\x00\x01#"
    script = Script(audio=tone(7000), extra=((1.0, press), (6.4, press)))
    call = await make_call(
        script,
        SCENARIOS["parrot"],
        provider=renewed_after(renew_after_s),
        session={"push_to_talk": "#", "turn_detection": {"type": "none"}},
    )
    assert [len(session.turns) for session in call.provider.sessions] == turns
    spoken = [turn for session in call.provider.sessions for turn in session.turns][-1]
    assert spoken.end_ms - spoken.start_ms > 4000
    assert not call.of("command.refused")
