"""What the gateway's own log must hold, and what never."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock
from virtual_call import Script, silence, tone
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


async def test_a_hook_that_fails_ends_no_other_leg(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """A program's own on_outcome that raises is recorded like any crash; the neighbours go on."""

    def fail(outcome: object) -> None:
        raise ZeroDivisionError(f"a hook met {type(outcome).__name__}")

    async with run_gateway() as it:
        it.gateway._on_outcome = fail
        well = it.call(Script(audio=tone(1000) + silence(3500)))
        it.call(Script(audio=silence(100)))
        await trio.sleep(6)
        assert well.spoken
        it.gateway.drain()
        await it.stopped.wait()
    assert [crash["message"] for crash in it.of("leg.crashed")] == ["a hook met LegOutcome"] * 2
