"""A program that takes a hand in a call that runs: speaking, instructing, hanging up, in virtual time."""

from __future__ import annotations

import attrs
import pytest
import trio
from succession import asked
from trio.testing import MockClock
from virtual_call import CallMaker, Script, silence, tone

from voxpipe.actors.leg_control import LegControl
from voxpipe.dialects.openai import SAY
from voxpipe.errors import AckTimeout, CommandRefused, SessionError
from voxpipe.sansio.command_words import CancelResponse
from voxpipe.testing.scenario import SCENARIOS, Pace, Scenario, SendEvent, Stall, Step, Trigger

QUIET = Script(audio=silence(6000))


@pytest.mark.every_dialect
async def test_words_are_spoken_now(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """While nobody speaks, the request goes out at once, and is over when the answer has begun."""
    times: list[float] = []

    async def act(control: LegControl) -> None:
        await trio.sleep(1.0)
        await control.say("Your taxi is here.")
        times.append(trio.current_time())

    call = await make_call(QUIET, on_start=act)
    (words,) = asked(call.session)
    # Words that a provider has no command for are asked for by instructions; those that it has are confirmed by audio.
    has_responses = call.dialect.supports(CancelResponse)
    assert words == (SAY if has_responses else "") + "Your taxi is here."
    assert times == [pytest.approx(1.0 if has_responses else 1.3, abs=0.001)]
    assert 1.0 < call.phone.spoken[0] < 1.5
    assert call.session.complaints == []


async def test_words_wait_for_the_running_answer_and_for_the_caller(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Asked in mid-turn they come after the provider's answer to it, and in mid-answer after that, in order.

    The provider begins its answer while our request is on its way, refuses it, and is asked again.
    """

    async def act(control: LegControl) -> None:
        async with trio.open_nursery() as nursery:
            await trio.sleep(0.5)
            nursery.start_soon(control.say, "one")  # the caller speaks
            await trio.sleep(2.5)
            nursery.start_soon(control.say, "two")  # the agent answers

    slow = attrs.evolve(SCENARIOS["parrot"], pace=Pace(speed=1.2))
    call = await make_call(Script(audio=tone(1500) + silence(9000)), slow, on_start=act)
    answers = [data["response"]["id"] for data in call.data("response.done")]
    assert len(answers) == 3
    asked = [data["response"]["instructions"] for data in call.data("response.create")]
    assert asked == [SAY + "one", SAY + "one", SAY + "two"]
    assert [data["code"] for data in call.data("response.delayed")] == ["conversation_already_has_active_response"]
    assert [data["response"]["status"] for data in call.data("response.done")] == ["completed"] * 3
    assert call.outcome.summary["turns"] == {"caller": 1, "agent": 3, "cut": 0}
    assert {complaint.harmless for complaint in call.session.complaints} <= {True}


@pytest.mark.every_dialect(but="openai-live")
async def test_instructions_are_confirmed_in_mid_call(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The provider has the new ones in force when the call returns, and all else as before."""
    done: list[float] = []

    async def act(control: LegControl) -> None:
        await control.instruct("Speak French.")
        done.append(trio.current_time())

    call = await make_call(QUIET, on_start=act)
    assert done
    assert call.session.configuration is not None
    assert call.session.configuration["instructions"] == "Speak French."
    assert [data["confirmed"] for data in call.data("session.instructed")] == [True]
    assert call.session.complaints == []


UPDATED = {"type": "session.updated", "session": {"type": "realtime", "instructions": "Be rude.", "audio": {}}}
FORMAT = {"format": {"type": "audio/pcm", "rate": 24000}}


@pytest.mark.parametrize(
    ("step", "kind", "message"),
    [
        (
            SendEvent({**UPDATED, "session": {**UPDATED["session"], "audio": {"input": FORMAT, "output": FORMAT}}}),  # type: ignore[dict-item]
            CommandRefused,
            "expected the provider to accept InstructSession, got refusal not_confirmed: "
            "expected instructions 'Speak French.', got 'Be rude.'",
        ),
        (Stall(3.0), AckTimeout, "expected SessionUpdated in answer to InstructSession within 2 s, got nothing"),
    ],
    ids=["other instructions", "no answer"],
)
async def test_instructions_that_are_not_confirmed_raise(
    autojump_clock: MockClock, make_call: CallMaker, step: SendEvent | Stall, kind: type[SessionError], message: str
) -> None:
    """Other instructions in the acknowledgement, and none at all, are told to the program; the call goes on."""
    errors: list[SessionError] = []

    async def act(control: LegControl) -> None:
        await trio.sleep(1.0)
        try:
            await control.instruct("Speak French.")
        except SessionError as error:
            errors.append(error)

    scenario = Scenario("other", "confirms otherwise", (Step(Trigger.READY, 0.9999, step),))
    if isinstance(step, SendEvent):
        both = (Step(Trigger.UPDATE_RECEIVED, 0.0, step, once=False),)
        scenario = Scenario("other", "says other instructions are in force", both)
    call = await make_call(QUIET, scenario, on_start=act)
    assert [(type(error), str(error)) for error in errors] == [(kind, message)]
    assert call.outcome.error is None


@pytest.mark.every_dialect(but="openai-live")
async def test_hanging_up_plays_the_answer_to_its_end(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Goodbye is heard whole; then the leg is hung up, in peace."""

    async def act(control: LegControl) -> None:
        await trio.sleep(0.5)
        await control.say("Goodbye.")
        await control.hang_up()

    call = await make_call(Script(stays=True), on_start=act)
    assert call.outcome.reason == "hang-up requested"
    assert call.outcome.error is None
    assert call.phone.hung_up
    playout = call.outcome.summary["playout"]
    assert playout["played_samples"] == playout["received_samples"] == 8 * 2000


@pytest.mark.every_dialect
@pytest.mark.parametrize("when_s", [0.0, 1.0, 10.0])
async def test_a_call_that_is_over_cannot_be_asked(
    autojump_clock: MockClock, make_call: CallMaker, when_s: float
) -> None:
    """A request that the end of the call overtakes, or that comes after it, raises instead of waiting for ever."""
    errors: list[str] = []
    done = trio.Event()

    async def act(control: LegControl) -> None:
        await trio.sleep(when_s)
        for ask in (control.say, control.instruct):
            try:
                await ask("x")
            except SessionError as error:
                errors.append(str(error))
        done.set()

    async with trio.open_nursery() as nursery:
        controls: list[LegControl] = []

        async def keep(control: LegControl) -> None:
            controls.append(control)
            nursery.start_soon(act, control)

        await make_call(Script(audio=silence(500)), "no-created", on_start=keep)
        await done.wait()
    assert len(errors) == 2
    assert all("expected the session to go on" in error for error in errors)
