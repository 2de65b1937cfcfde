"""Tools of a gateway: every leg has them, each with its own context, and they are checked before it listens."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock
from virtual_call import Script, silence, virtual_config
from virtual_gateway import GatewayMaker

from voxpipe.config import Config
from voxpipe.errors import ConfigError
from voxpipe.gateway import Gateway
from voxpipe.terminal import KEY_EVENTS
from voxpipe.testing.scenario import CallTool, Scenario, Step, Trigger
from voxpipe.tools import Tool, ToolContext

CALLERS = [UUID(int=number) for number in (1, 2)]
ASKS = Scenario("asks", "calls a tool", (Step(Trigger.READY, 0.1, CallTool("transfer")),))


async def test_each_leg_calls_tools_with_its_own_context(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """Two calls at a time run the same function; each is sent where its own context says, and the logs say so."""
    seen: list[UUID] = []

    async def transfer(context: ToolContext) -> None:
        """Send the caller on."""
        seen.append(context.uuid)
        context.send_to("sales" if context.uuid == CALLERS[0] else "support")
        context.hang_up()

    tools = {"send_to": ["sales", "support"]}
    async with run_gateway(ASKS, own_tools=[Tool(transfer, replies=False)], tools=tools) as it:
        for uuid in CALLERS:
            it.call(Script(audio=silence(5000), uuid=uuid))
        await trio.sleep(10)
        it.gateway.drain()
        await it.stopped.wait()
    assert sorted(seen) == CALLERS
    assert [it.outcomes[uuid].next for uuid in CALLERS] == ["sales", "support"]
    assert {data["uuid"]: data["next"] for data in it.of("leg.ended")} == {
        str(CALLERS[0]): "sales",
        str(CALLERS[1]): "support",
    }
    for record in it.leg_log(CALLERS[0]):
        if record.event_type.startswith("tool."):
            assert "transfer" in KEY_EVENTS[record.event_type][1](record.event_data)


async def test_a_gateway_refuses_tools_that_do_not_go_together(tmp_path: Path) -> None:
    """A name that is taken by a built-in tool is an error when the gateway is made, not in its first call."""

    async def wait() -> None:
        """Wait."""

    config: Config = virtual_config(tmp_path, "openai", {"tools": {"builtin": ["wait"]}})
    with pytest.raises(ConfigError, match="expected tools of different names, got two named wait"):
        Gateway(config, tools=[Tool(wait)])


async def test_an_announcement_allows_some_of_the_tools(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """A call has the tools it was announced with and no others; where its agent sent it is asked for by its UUID."""
    called: list[UUID] = []

    async def transfer(context: ToolContext) -> None:
        """Send the caller on."""
        called.append(context.uuid)
        context.send_to("sales")

    tools = {"send_to": ["sales"], "builtin": ["wait"]}
    async with run_gateway(ASKS, own_tools=[Tool(transfer, replies=False)], tools=tools) as it:
        reception = it.gateway.reception
        reception.announce(CALLERS[0], {"tools": ["transfer"]})
        reception.announce(CALLERS[1], {"tools": ["wait"]})
        with pytest.raises(ConfigError, match="tools: expected transfer, wait, got 'dial'"):
            reception.announce(UUID(int=3), {"tools": ["dial"]})
        for uuid in CALLERS:
            it.call(Script(audio=silence(5000), uuid=uuid))
        ended = [(await reception.outcome(uuid, 20))[1] for uuid in CALLERS]
        it.gateway.drain()
        await it.stopped.wait()
    assert called == [CALLERS[0]]
    assert [how.next for how in ended if how is not None] == ["sales", ""]
    (failed,) = [record for record in it.leg_log(CALLERS[1]) if record.event_type == "tool.failed"]
    assert "expected a tool of wait, got transfer" in failed.event_data["message"]
