"""The wires of a replay: what the gateway's ends of its lines see, and what is answered for the provider."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from voxpipe.replay.wire import Line, ProviderLine
from voxpipe.websocket import WebSocket, WebSocketClosed, connect_websocket


async def test_what_was_said_comes_before_the_end() -> None:
    """In pieces as large as asked for; then nothing, and nobody can be written to."""
    line = Line()
    line.say(b"abc")
    line.end()
    line.say(b"too late")
    assert await line.receive_some(2) == b"ab"
    assert await line.receive_some() == b"c"
    assert await line.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await line.send_all(b"x")


async def test_whoever_waits_is_woken(autojump_clock: MockClock) -> None:
    """By bytes, and by closing the line from this end."""
    line, got = Line(), list[bytes]()

    async def read() -> None:
        got.append(await line.receive_some())
        with pytest.raises(trio.ClosedResourceError):
            await line.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        line.say(b"a")
        await wait_all_tasks_blocked()
        await line.aclose()
    assert got == [b"a"]
    with pytest.raises(trio.ClosedResourceError):
        await line.send_all(b"x")


async def connect(nursery: trio.Nursery, line: ProviderLine) -> WebSocket:
    """Open the gateway's WebSocket on a line."""

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        return line

    return await connect_websocket(nursery, "ws://provider.test/", dial=dial)


async def test_the_provider_is_a_websocket(autojump_clock: MockClock) -> None:
    """It accepts, says text and bytes, answers pings, and hears nothing of what is said to it."""
    line = ProviderLine()
    line.say_message("before it is open")
    async with trio.open_nursery() as nursery:
        websocket = await connect(nursery, line)
        await websocket.send_message("a" * 70_000)
        await websocket.send_message(b"b")
        with trio.fail_after(1):
            await websocket.ping()
        line.say_message("text")
        line.say_message(b"bytes")
        assert await websocket.get_message() == "text"
        assert await websocket.get_message() == b"bytes"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("code", [1000, 1011])
async def test_the_provider_closes_as_it_did(autojump_clock: MockClock, code: int) -> None:
    """With its code and reason; twice is once."""
    line = ProviderLine()
    async with trio.open_nursery() as nursery:
        websocket = await connect(nursery, line)
        line.close(code, "enough")
        line.close(code, "enough")
        with pytest.raises(WebSocketClosed) as closed:
            await websocket.get_message()
        assert (closed.value.code, closed.value.reason) == (code, "enough")
        nursery.cancel_scope.cancel()


async def test_the_gateway_closes_without_waiting(autojump_clock: MockClock) -> None:
    """Its closing handshake is answered at once."""
    line = ProviderLine()
    async with trio.open_nursery() as nursery:
        websocket = await connect(nursery, line)
        start_s = trio.current_time()
        await websocket.aclose()
        assert trio.current_time() == start_s
        nursery.cancel_scope.cancel()


async def test_a_line_that_broke_is_a_lost_connection(autojump_clock: MockClock) -> None:
    """Without a closing handshake it is code 1006."""
    line = ProviderLine()
    async with trio.open_nursery() as nursery:
        websocket = await connect(nursery, line)
        line.end()
        with pytest.raises(WebSocketClosed) as closed:
            await websocket.get_message()
        assert closed.value.code == 1006
        nursery.cancel_scope.cancel()
