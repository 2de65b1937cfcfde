"""What the gateway's own log must never hold."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock
from virtual_call import Script
from virtual_gateway import GatewayMaker

from voxpipe.testing.scenario import SCENARIOS, Refuse, Scenario

KEY = "sk-very-secret-0123456789"
TOKEN = "tok-in-a-header-0123456789"


async def test_a_key_that_the_provider_repeats_is_in_no_log(
    autojump_clock: MockClock, run_gateway: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal that quotes the key it got is told without it, in the leg's log and in the gateway's."""
    refusal = Refuse("invalid_api_key", f"Incorrect API key provided: {KEY}, {TOKEN}.")
    monkeypatch.setitem(SCENARIOS, "echo", Scenario("echo", "repeats the key", on_update=refusal))
    provider = {"api_key": KEY, "headers": {"X-Token": f"Token {TOKEN}"}}
    async with run_gateway("echo", provider=provider) as it:
        it.call(Script(stays=True))
        await trio.sleep(5)
        it.gateway.drain()
        await it.stopped.wait()
    (ended,) = it.of("leg.ended")
    assert "Incorrect API key provided: [redacted]" in ended["because"]
    logs = list(it.folder.glob("*.jsonl"))
    assert len(logs) == 2
    for log in logs:
        assert KEY not in log.read_text()
        assert TOKEN not in log.read_text()
