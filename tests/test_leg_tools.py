"""Tools in whole calls: what the agent calls is run beside the voice, and nothing a tool does ends the leg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from virtual_call import CALL, CallMaker, Script, VirtualCall, silence, tone

from voxpipe.errors import ConfigError
from voxpipe.sansio.command_words import CancelResponse
from voxpipe.sansio.tool_words import SendToolResult
from voxpipe.testing.scenario import CallTool, Say, Scenario, Step, Trigger
from voxpipe.tools import Tool, ToolContext

QUIET = Script(audio=silence(9000))
HANGUP = ["hang_up"]


def asks(*calls: CallTool, says: bool = False, trigger: Trigger = Trigger.READY) -> Scenario:
    """A provider that calls tools once it is configured, after words of its own or without any."""
    words = (Step(Trigger.READY, 0.1, Say()),) if says else ()
    after = Trigger.FIRST_AUDIO if says else trigger
    return Scenario("asks", "calls tools", (*words, *(Step(after, 0.1, call) for call in calls)))


def outputs(call: VirtualCall) -> list[str]:
    """What the model was told, in order."""
    made = [event["item"] for event in call.session.understood if event["type"] == "conversation.item.create"]
    return [item["output"] for item in made if item["type"] == "function_call_output"]


def replies(call: VirtualCall) -> int:
    """How many responses we asked for; that a result is answered unasked does not count."""
    meanings = [[meaning["type"] for meaning in message.meaning] for message in call.session.messages]
    return meanings.count(["response.create"])


def owed(call: VirtualCall) -> int:
    """How many we are to ask for when all results are there."""
    return 0 if call.dialect.answers(SendToolResult) else 1


def spoken(call: VirtualCall) -> int:
    """How often the agent spoke."""
    return sum(answer.audio_bytes > 0 for answer in call.session.answers)


async def look_up(context: ToolContext, number: int) -> dict[str, Any]:
    """Look up an order."""
    await trio.sleep(1)
    return {"number": number, "leg": str(context.uuid)}


async def slow() -> str:
    """Take three seconds."""
    await trio.sleep(3)
    return "slow"


async def broken() -> None:
    """Break."""
    raise LookupError("no such order")


async def talkative() -> str:
    """Say a lot."""
    return "ä" * 500


async def strange() -> object:
    """Give what JSON cannot carry."""
    return object()


TOOLS: Sequence[Tool] = [Tool(look_up), Tool(slow, timeout_s=2.0), Tool(broken), Tool(talkative), Tool(strange)]


@pytest.mark.every_dialect
async def test_a_tool_is_called_and_spoken_about(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The function runs with its leg and arguments, the model has the result, and one response speaks about it."""
    scenario = asks(CallTool("look_up", '{"number":7}', hold_s=2.5))
    call = await make_call(QUIET, scenario, own_tools=TOOLS)
    assert call.outcome.error is None
    assert call.session.complaints == []
    assert outputs(call) == [f'{{"number":7,"leg":"{CALL}"}}']
    assert (replies(call), spoken(call)) == (owed(call), 1)
    (answered,) = call.data("tool.answered")
    assert (answered["name"], answered["duration_ms"]) == ("look_up", pytest.approx(1000, abs=50))
    assert call.data("tool.called")[0]["arguments"] == '{"number":7}'
    if call.dialect.supports(CancelResponse):  # its responses are told: the next waits for the end of the one before
        done, created = call.of("response.done")[0], call.of("response.create")[0]
        assert done.seq < created.seq
    assert call.phone.spoken != []
    assert call.outcome.summary["tools"] == {"called": 1, "answered": 1, "failed": 0, "cancelled": 0}
    assert call.outcome.summary["session"]["commands_unanswered"] == 0


@pytest.mark.every_dialect
async def test_calls_run_side_by_side_and_are_spoken_about_once(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Three calls of a second each take a second, and there is one response after the last."""
    calls = [CallTool("look_up", f'{{"number":{n}}}') for n in range(3)]
    call = await make_call(QUIET, asks(*calls), own_tools=TOOLS)
    assert call.session.complaints == []
    times = [record.t_ns / 1e9 for record in call.of("tool.answered")]
    assert len(times) == 3
    assert max(times) - min(times) < 0.1
    assert (replies(call), spoken(call)) == (owed(call), 1)


@pytest.mark.every_dialect
async def test_one_call_too_many_is_not_made(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Beyond the bound the model is told so at once, and the others are answered as ever."""
    calls = [CallTool("look_up", f'{{"number":{n}}}') for n in range(3)]
    call = await make_call(QUIET, asks(*calls), own_tools=TOOLS, tools={"max_calls": 2})
    assert outputs(call)[0] == "not called: expected at most 2 calls at a time, got one more"
    assert call.outcome.summary["tools"] == {"called": 2, "answered": 2, "failed": 1, "cancelled": 0}
    assert call.session.complaints == []


WRONG = [
    ("look_up", '{"number":"7"}', "not called: Expected `int`, got `str` - at `$.number`. Expected {"),
    ("look_up", "{}", "not called: Object missing required field `number`"),
    ("look_up", "number 7", "not called: JSON is malformed"),
    ("look_down", "{}", "not called: expected a tool of look_up, slow, broken, talkative, strange, got look_down"),
    ("broken", "{}", "failed: LookupError: no such order"),
    ("slow", "{}", "failed: expected a result within 2 s, got none"),
    ("strange", "{}", "failed: TypeError: Encoding objects of type object is unsupported"),
]


@pytest.mark.every_dialect
@pytest.mark.parametrize(("name", "arguments", "told"), WRONG, ids=[row[2][:40] for row in WRONG])
async def test_what_goes_wrong_is_told_to_the_model_and_recorded(
    autojump_clock: MockClock, make_call: CallMaker, name: str, arguments: str, told: str
) -> None:
    """Wrong arguments, an unknown name, an exception, a timeout: the model hears of it, the leg goes on."""
    call = await make_call(QUIET, asks(CallTool(name, arguments)), own_tools=TOOLS)
    assert call.outcome.error is None
    (output,) = outputs(call)
    assert output.startswith(told)
    (failed,) = call.data("tool.failed")
    assert failed["name"] == name
    assert failed["message"] in output
    assert (call.data("tool.called") == []) is told.startswith("not called")
    assert (replies(call), spoken(call)) == (owed(call), 1)
    assert call.session.complaints == []


@pytest.mark.every_dialect
async def test_a_long_result_is_cut_off(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The model gets as much as is configured, whole letters, and knows that there was more."""
    call = await make_call(QUIET, asks(CallTool("talkative")), own_tools=TOOLS, tools={"result_bytes": 65})
    assert outputs(call) == ["ä" * 32 + " [cut off: 65 of 1000 bytes]"]


@pytest.mark.every_dialect
async def test_a_barge_in_cancels_what_may_be_cancelled(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The caller speaks while two tools run: one is cancelled, the other finishes, the model is told of both."""

    async def book() -> str:
        """Book a table."""
        await trio.sleep(4)
        return "booked"

    tools = [Tool(slow, cancellable=True), Tool(book)]
    script = Script(audio=silence(1500) + tone(1000) + silence(9000))
    call = await make_call(script, asks(CallTool("slow"), CallTool("book")), own_tools=tools)
    assert outputs(call) == ["cancelled: the caller spoke", "booked"]
    (cancelled,) = call.data("tool.cancelled")
    assert (cancelled["name"], cancelled["because"]) == ("slow", "the caller spoke")
    assert [complaint.code for complaint in call.session.complaints] == []
    assert call.outcome.summary["tools"] == {"called": 2, "answered": 1, "failed": 0, "cancelled": 1}


async def test_a_cancelled_call_is_not_spoken_about(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Where the provider does not answer by itself, a barge-in is not answered with words about the cancelled tool."""
    script = Script(audio=silence(1500) + tone(1000) + silence(4000))
    session = {"turn_detection": {"create_response": False}}
    call = await make_call(script, asks(CallTool("slow")), own_tools=[Tool(slow, cancellable=True)], session=session)
    assert outputs(call) == ["cancelled: the caller spoke"]
    assert replies(call) == 0


@pytest.mark.every_dialect
async def test_a_call_that_runs_when_the_leg_ends_is_cancelled(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The caller hangs up: the tool is cancelled with the leg, and the log says so."""
    call = await make_call(Script(audio=silence(2000)), asks(CallTool("slow")), own_tools=[Tool(slow)])
    (cancelled,) = call.data("tool.cancelled")
    assert cancelled["because"] == "the leg ended"
    assert call.records[-1].event_type == "leg.summary"
    assert [(complaint.code, complaint.harmless) for complaint in call.session.complaints] == [
        ("tool_never_answered", True)
    ]


@pytest.mark.every_dialect
async def test_hang_up_ends_the_leg_after_the_goodbye(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The two seconds of goodbye are heard to their end, then the leg hangs up, and nothing more is said."""
    script = Script(stays=True)
    call = await make_call(script, asks(CallTool("hang_up"), says=True), tools={"builtin": HANGUP})
    assert call.outcome.error is None
    assert (call.outcome.reason, call.outcome.next) == ("hung up by the agent", None)
    assert call.phone.hung_up
    playout = call.outcome.summary["playout"]
    assert playout["played_samples"] == playout["received_samples"] >= 2 * 8000
    assert replies(call) == 0
    assert call.session.complaints == []
    assert len(outputs(call)) == 1


@pytest.mark.every_dialect
async def test_a_goodbye_longer_than_the_drain_timeout_is_heard(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Providers speak faster than real time: the goodbye waits in the ledger, and none of its 14 s are lost."""
    goodbye = Say(tone(14_000, rate_hz=24_000))
    steps = (Step(Trigger.READY, 0.1, goodbye), Step(Trigger.FIRST_AUDIO, 0.1, CallTool("hang_up")))
    call = await make_call(Script(stays=True), Scenario("asks", "says a lot", steps), tools={"builtin": HANGUP})
    assert call.outcome.reason == "hung up by the agent"
    assert call.outcome.summary["playout"]["played_samples"] >= 14 * 8000


@pytest.mark.every_dialect
async def test_send_to_ends_the_leg_with_a_destination(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """What the agent chose is in the outcome and in the log; the schema offers the configured ones only."""
    tools = {"builtin": ["send_to"], "send_to": ["sales", "support"]}
    scenario = asks(CallTool("send_to", '{"next":"sales"}'), says=True)
    call = await make_call(Script(stays=True), scenario, tools=tools)
    assert (call.outcome.reason, call.outcome.next) == ("sent to sales", "sales")
    assert call.outcome.summary["next"] == call.data("leg.summary")[0]["next"] == "sales"
    assert call.outcome.summary["playout"]["played_samples"] >= 2 * 8000
    assert call.session.complaints == []
    (tool,) = call.seen("session.update")[0].data["session"]["tools"]
    assert tool["parameters"]["properties"]["next"] == {"enum": ["sales", "support"], "description": "who takes over"}


@pytest.mark.every_dialect
async def test_a_destination_that_is_not_configured_is_refused(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The model is told, may speak about it, and the leg goes on."""
    tools = {"builtin": ["send_to"], "send_to": ["sales"]}
    call = await make_call(QUIET, asks(CallTool("send_to", '{"next":"moon"}')), tools=tools)
    assert call.outcome.next is None
    assert outputs(call)[0].startswith("not called: Invalid enum value 'moon'")
    assert (replies(call), spoken(call)) == (owed(call), 1)


@pytest.mark.every_dialect
async def test_wait_keeps_the_agent_silent_until_the_caller_speaks(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """No response is asked for; the caller's next turn is answered as ever.

    A provider that answers results unasked is told by this one to be silent.
    """
    script = Script(audio=silence(3000) + tone(1000) + silence(4000))
    call = await make_call(script, asks(CallTool("wait")), tools={"builtin": ["wait"]})
    assert replies(call) == 0
    assert outputs(call) == ["You are silent until the caller speaks."]
    if not call.dialect.answers(SendToolResult):
        assert min(call.phone.spoken) > 4.0
    assert max(call.phone.spoken) > 4.0
    assert call.session.complaints == []


@pytest.mark.every_dialect
async def test_without_tools_none_is_sent(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """By default the agent can only speak, and the configuration says nothing of tools."""
    call = await make_call(QUIET)
    assert all("tools" not in data["session"] for data in call.data("session.update"))
    assert call.session.configuration is not None
    assert call.session.configuration["tools"] == []


MISTAKES = [
    ({"builtin": ["send_to"]}, [], "tools.send_to: expected at least one destination for the tool send_to, got none"),
    ({}, [Tool(slow), Tool(slow)], "tools.builtin: expected tools of different names, got two named slow"),
]


@pytest.mark.every_dialect
@pytest.mark.parametrize(("tools", "own", "message"), MISTAKES, ids=["no destination", "one name twice"])
async def test_tools_that_do_not_go_together_are_refused(
    autojump_clock: MockClock, make_call: CallMaker, tools: dict[str, Any], own: list[Tool], message: str
) -> None:
    """Before anything is answered: the program that runs the leg is told."""
    with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match=message)):
        await make_call(QUIET, own_tools=own, tools=tools)
