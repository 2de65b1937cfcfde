"""A session near its limit, and another that takes its place before it."""

from __future__ import annotations

import pytest
import trio
from succession import ONE_TURN, RESUME, asked, given, no_complaints, renewed_after
from trio.testing import MockClock
from virtual_call import (
    CallMaker,
    Script,
    silence,
    tone,
    wire_types,
)

from voxpipe.actors.leg_control import LegControl
from voxpipe.testing.scenario import SCENARIOS, Pace, Scenario, Step, Trigger, Vanish


@pytest.mark.every_dialect(but="openai-live")
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


@pytest.mark.every_dialect(but="openai-live")
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


@pytest.mark.every_dialect(but="openai-live")
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


@pytest.mark.every_dialect(but="openai-live")
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


@pytest.mark.every_dialect(but="openai-live")
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


@pytest.mark.every_dialect(but="openai-live")
async def test_the_limit_of_the_call_is_none_of_the_session(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A call that is over at leg.max_call_s is over, whoever stands by."""
    call = await make_call(Script(audio=tone(20_000)), provider=renewed_after(3.0), leg={"max_call_s": 6.0})
    assert call.outcome.reason == "call limit reached"
    assert call.duration_s == pytest.approx(6.0, abs=0.1)
    assert not call.of("session.took_over")


@pytest.mark.every_dialect(but="openai-live")
async def test_a_call_that_ends_takes_its_successor_with_it(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A session that stands by is closed with the leg, not left to the provider."""
    call = await make_call(Script(audio=tone(6000)), provider=renewed_after(2.0))
    assert [session.closed for session in call.provider.sessions] == [(1000, ""), (1000, "")]
    assert not call.of("session.took_over")
    assert call.outcome.error is None


@pytest.mark.every_dialect
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
