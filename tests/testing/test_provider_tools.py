"""The simulated provider asks for tools as the real one does, and is strict about what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from vendor_types import unknown_keys, vendor_parse

from voxpipe.testing.provider import Provider
from voxpipe.testing.scenario import CallTool, Say, Scenario, Step, Trigger

BOTH = pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
ASKS = Scenario("asks", "calls a tool", (Step(Trigger.READY, 0.1, CallTool("look_up", '{"n":1}', hold_s=1.0)),))
SAYS_AND_ASKS = Scenario(
    "says and asks",
    "speaks, and calls two tools",
    (Step(Trigger.READY, 0.1, Say()), *(Step(Trigger.FIRST_AUDIO, 0.0, CallTool(name)) for name in "ab")),
)
SESSIONS: dict[str, dict[str, Any]] = {"openai": {"type": "realtime"}, "openai-beta": {"voice": "alloy"}}
Connect = Callable[..., Any]


def result(call_id: str) -> dict[str, Any]:
    """The message that answers a call."""
    return {
        "type": "conversation.item.create",
        "item": {"type": "function_call_output", "call_id": call_id, "output": "done"},
    }


@BOTH
async def test_a_call_is_told_in_the_vendors_words(autojump_clock: MockClock, connect: Connect, dialect: str) -> None:
    """Each message is one of the vendor's types, and the call is the same in all of them."""
    provider = Provider(dialect, ASKS)
    client = await connect(provider)
    await client.configure(SESSIONS[dialect])
    arguments = await client.until("response.function_call_arguments.done")
    item = (await client.until("response.output_item.done"))["item"]
    assert (item["call_id"], item["name"], item["arguments"]) == (arguments["call_id"], "look_up", '{"n":1}')
    assert ("name" in arguments) is (dialect == "openai")
    await client.send(result(item["call_id"]))
    done = await client.until("response.done")
    assert [output["type"] for output in done["response"]["output"]] == ["function_call"]
    await client.send({"type": "response.create"})
    await client.until("response.created", 2)
    for event in client.events:
        assert set(unknown_keys(vendor_parse(dialect, "server", event))) <= {".session.id", ".session.object"} or (
            event["type"].startswith("session.")
        )
    assert provider.complaints == []


@BOTH
async def test_calls_follow_the_words_of_an_answer(autojump_clock: MockClock, connect: Connect, dialect: str) -> None:
    """A running answer is spoken to its end, then its calls are made, then it is done."""
    client = await connect(Provider(dialect, SAYS_AND_ASKS))
    await client.configure(SESSIONS[dialect])
    done = await client.until("response.done")
    assert [output["type"] for output in done["response"]["output"]] == ["message", "function_call", "function_call"]
    items = [event["item"] for event in client.of("response.output_item.done")]
    assert [item.get("name") for item in items] == [None, "a", "b"]
    assert [event["output_index"] for event in client.of("response.output_item.added")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (result("call_of_nobody"), "invalid_tool_call_id"),
        ({"type": "response.create"}, "conversation_already_has_active_response"),
    ],
    ids=["unknown call", "response while one runs"],
)
async def test_a_wrong_answer_is_refused(
    autojump_clock: MockClock, connect: Connect, message: dict[str, Any], code: str
) -> None:
    """A result for a call nobody made, and a response while one runs, are errors and complaints."""
    provider = Provider("openai", ASKS)
    client = await connect(provider)
    await client.configure()
    await client.until("response.output_item.done")
    await client.send(message)
    assert (await client.until("error"))["error"]["code"] == code
    assert [complaint.code for complaint in provider.complaints] == [code]


async def test_a_response_before_the_results_and_a_second_result_are_refused(
    autojump_clock: MockClock, connect: Connect
) -> None:
    """The model cannot speak about what it does not know, and knows a result after the first time."""
    provider = Provider("openai", ASKS)
    client = await connect(provider)
    await client.configure()
    call_id = (await client.until("response.output_item.done"))["item"]["call_id"]
    await client.until("response.done")
    for message in ({"type": "response.create"}, result(call_id), result(call_id)):
        await client.send(message)
    await client.until("error", 2)
    assert [complaint.code for complaint in provider.complaints] == [
        "tool_calls_unanswered",
        "tool_call_already_answered",
    ]


@pytest.mark.parametrize(("wait_s", "harmless"), [(5, True), (60, False)])
async def test_a_call_that_is_never_answered_is_complained_of(
    autojump_clock: MockClock, connect: Connect, wait_s: float, harmless: bool
) -> None:
    """At the end of the session; it may end while a tool runs, but no tool runs for ever."""
    provider = Provider("openai", ASKS)
    client = await connect(provider)
    await client.configure()
    await trio.sleep(wait_s)
    await client.websocket.aclose(1000)
    await trio.sleep(1)
    assert [(complaint.code, complaint.harmless) for complaint in provider.complaints] == [
        ("tool_never_answered", harmless)
    ]
