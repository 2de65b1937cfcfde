"""Connections that say nothing: they take no caller's place, and make room for one another."""

from __future__ import annotations

from uuid import UUID

import trio
import trio.testing
from trio.testing import MockClock
from virtual_call import HELLO_AND_WAIT, Script, silence, tone
from virtual_gateway import GatewayMaker

from voxpipe.gateway import SILENT_LIMIT

HANG_UP = b"\x00\x00\x00"


async def test_silent_connections_take_no_place_of_a_leg(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """A scanner that opens more connections than there are places keeps no caller out."""
    async with run_gateway(gateway={"max_legs": 2}) as it:
        scanner = [it.listener.connect() for _ in range(3 * SILENT_LIMIT)]
        await trio.testing.wait_all_tasks_blocked()
        phone = it.call(HELLO_AND_WAIT)
        await trio.sleep(6)
        assert phone.spoken
        assert it.gateway.statistics.legs == 1
        for stream in scanner:
            assert await stream.receive_some(10) == HANG_UP
        it.gateway.drain()
        await it.stopped.wait()
    refusals = it.of("leg.refused")
    assert len(refusals) == 2 * SILENT_LIMIT + 1
    assert refusals[0] == {"because": "expected the UUID, got nothing from the oldest of 64 silent connections"}
    told = [data for data in it.of("leg.ended") if data["because"] == "expected the UUID within 5 s, got nothing"]
    assert len(told) == SILENT_LIMIT - 1


async def test_who_says_its_uuid_when_the_places_are_taken_is_refused(
    autojump_clock: MockClock, run_gateway: GatewayMaker
) -> None:
    """The place counts from the UUID on: the one who connected first and spoke last is hung up on, and recorded."""
    async with run_gateway(gateway={"max_legs": 1}) as it:
        slow = it.listener.connect()
        await trio.sleep(1)
        it.call(Script(audio=tone(1000) + silence(2000), uuid=UUID(int=5)))
        await trio.sleep(0.5)
        await slow.send_all(b"\x01\x00\x10" + bytes(16))
        assert await slow.receive_some(10) == HANG_UP
        assert await slow.receive_some(10) == b""
        await trio.sleep(5)
        it.gateway.drain()
        await it.stopped.wait()
    assert it.of("leg.refused") == [{"because": "expected fewer than 1 legs, got 1"}]
    assert it.gateway.statistics.legs == 1
    assert [data["uuid"] for data in it.of("leg.ended")] == [str(UUID(int=5))]
