"""A session that is lost in mid-call, and another that takes its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import trio
from succession import GONE, ONE_TURN, RESUME, asked, given, no_complaints
from trio.testing import MockClock
from virtual_call import (
    CallMaker,
    Script,
    VirtualCall,
    silence,
    tone,
)

from voxpipe.actors.leg_control import LegControl
from voxpipe.errors import SessionError, SessionLost
from voxpipe.sansio.command_words import CancelResponse
from voxpipe.testing.scenario import CallTool, Close, Pace, Scenario, Step, Trigger, Vanish
from voxpipe.tools import Tool

LOSSES = ("vanish", "close-1011", "expired")


@pytest.mark.every_dialect
@pytest.mark.parametrize("loss", LOSSES)
async def test_a_call_outlives_its_session(autojump_clock: MockClock, make_call: CallMaker, loss: str) -> None:
    """Another session is given the words so far and answers the caller's next turn; the leg never ends."""
    script = Script(audio=ONE_TURN + silence(3000) + ONE_TURN)
    call = await make_call(script, (loss, "parrot"))
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


@pytest.mark.every_dialect
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


@pytest.mark.every_dialect
async def test_an_answer_that_was_cut_off_is_taken_up_again(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """What had come of it is played to its end; then the agent is told to go on, once."""
    call = await make_call(Script(audio=ONE_TURN + silence(4000)), ("vanish", "parrot"))
    assert asked(call.provider.sessions[1]) == [RESUME]
    first, second = call.of("playout.started")
    assert first.seq < call.of("session.took_over")[0].seq < second.seq
    assert first.event_data["response_id"] != second.event_data["response_id"]
    playout = call.outcome.summary["playout"]
    assert playout["played_samples"] == playout["received_samples"]
    assert playout["dropped_samples"] == 0


@pytest.mark.every_dialect
async def test_a_loss_in_silence_is_not_heard(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Nothing was under way, so nothing is said about it; the next turn is answered."""
    call = await make_call(Script(audio=ONE_TURN + silence(3000) + ONE_TURN), (GONE, "parrot"))
    second = call.provider.sessions[1]
    assert asked(second) == []
    assert given(second) == [("user", "(1.5 s of speech)"), ("assistant", "(1.5 s of speech)")]
    assert len(second.turns) == 1
    no_complaints(call)


@pytest.mark.every_dialect
async def test_without_resume_instructions_nothing_is_said(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """With an empty text the new session waits for the caller, whatever was lost."""
    call = await make_call(Script(audio=ONE_TURN), ("vanish", "parrot"), session={"resume_instructions": ""})
    assert asked(call.provider.sessions[1]) == []


@pytest.mark.every_dialect
async def test_the_caller_is_heard_on_through_a_loss(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Lost in the middle of a turn: its rest is heard by the new session and answered, and the log tells of it."""
    script = Script(audio=silence(3500) + tone(4000) + silence(4000))
    call = await make_call(script, (GONE, "parrot"))
    (turn,) = call.provider.sessions[1].turns
    assert turn.end_ms - turn.start_ms > 2000
    # Where the first sign of the caller is what was said, nobody knows yet.
    assert call.data("session.lost")[0]["caller_speaks"] is not call.dialect.full_duplex
    assert asked(call.provider.sessions[1]) == []
    assert call.phone.spoken


@pytest.mark.every_dialect
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


@pytest.mark.every_dialect
async def test_words_that_were_cut_are_not_remembered(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """After a barge-in the new session is given what the caller heard of the answer, and not the rest.

    A model that falls silent by itself has said no more than was heard.
    """
    gone = Scenario(
        "gone", "goes after a cut", (Step(Trigger.SPEECH_STARTED, 9.0, Vanish()),), pace=Pace(chunk_ms=(500.0,))
    )
    script = Script(audio=tone(4000) + silence(3000) + tone(500) + silence(6000))
    call = await make_call(script, (gone, "parrot"))
    cuts = [part for data in call.data("playout.cut") for part in data["begun"]]
    words = given(call.provider.sessions[1])
    assert [who for who, _ in words] == ["user", "assistant", "user", "assistant"]
    full = "(4.5 s of speech)"
    assert words[0] == ("user", full)
    assert full.startswith(words[1][1])
    assert len(cuts) == (0 if call.dialect.full_duplex else 1)
    for cut in cuts:
        assert len(words[1][1]) <= len(full) * cut["played_samples"] / cut["received_samples"]


@pytest.mark.every_dialect
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


@pytest.mark.every_dialect
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


@pytest.mark.every_dialect
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


@pytest.mark.every_dialect
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
    answer_s = 0.0 if call.dialect.supports(CancelResponse) else 0.3  # where nothing but the answer confirms a request
    assert done == [pytest.approx(6.3 + answer_s, abs=0.05)]
    second = call.provider.sessions[1]
    assert "Ahoy." in asked(second)[0]
    (update,) = [event["session"] for event in second.understood if event["type"] == "session.update"]
    assert update["instructions"] == "Speak like a pirate."


@pytest.mark.every_dialect
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


async def lost_while_a_tool_runs(make_call: CallMaker, takes_s: float) -> VirtualCall:
    """A call whose tool takes so long, and whose session goes after a second of that, to be replaced by the fifth."""

    async def look_up(what: str) -> str:
        """Look something up."""
        await trio.sleep(takes_s)
        return f"{what}: high"

    return await make_call(
        Script(audio=silence(9000)),
        (Scenario("gone", "goes during a tool call", CALLS_TOOL, parrot=False), "parrot"),
        own_tools=[Tool(look_up)],
        refuse_connections=[2, 3, 4],
        session={"resume_instructions": ""},
    )


@pytest.mark.parametrize(("takes_s", "expected"), [(1.5, "in the gap"), (4.0, "after it")])
async def test_the_result_of_a_tool_reaches_the_session_that_serves_then(
    autojump_clock: MockClock, make_call: CallMaker, takes_s: float, expected: str
) -> None:
    """A call outlives the session that asked for it: the new one is told of it, gets the result, and speaks."""
    call = await lost_while_a_tool_runs(make_call, takes_s)
    second = call.provider.sessions[1]
    assert given(second) == [("function_call", '{"what":"tide"}'), ("function_call_output", "tide: high")]
    assert call.data("session.took_over")[0]["open_calls"] == ([] if expected == "in the gap" else [given_id(call)])
    assert len(asked(second)) == (0 if expected == "in the gap" else 1)
    no_complaints(call)


@pytest.mark.every_dialect
@pytest.mark.parametrize("takes_s", [1.5, 4.0], ids=["in the gap", "after it"])
async def test_a_session_that_did_not_call_the_tool_speaks_about_its_result(
    autojump_clock: MockClock, make_call: CallMaker, takes_s: float
) -> None:
    """Whatever a provider can be told of an earlier session's calls: it hears of the result, and refuses nothing."""
    call = await lost_while_a_tool_runs(make_call, takes_s)
    assert len(call.provider.sessions) == 2
    told = [json.dumps(message.body) for message in call.provider.sessions[1].messages]
    assert [text.count("tide: high") for text in told if "tide: high" in text] == [1]
    assert call.phone.spoken or takes_s < 2
    no_complaints(call)


def given_id(call: VirtualCall) -> str:
    """The id of the only tool call."""
    return str(call.data("tool.called")[0]["call_id"])


@pytest.mark.every_dialect
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


@pytest.mark.every_dialect
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
