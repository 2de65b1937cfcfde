"""The end of a leg over a real socket: the peer reads the hang-up before anything is closed under it."""

from __future__ import annotations

import pytest
import trio

from voxpipe.actors.audiosocket_leg import LINGER_S, AudioSocketLeg
from voxpipe.audio import SLIN8

pytestmark = pytest.mark.sockets
FRAME = b"\x10\x01\x40" + bytes(320)


async def connected(nursery: trio.Nursery) -> tuple[AudioSocketLeg, trio.SocketStream]:
    """A leg, and Asterisk's end of its connection."""
    accepted, taken = trio.open_memory_channel[trio.SocketStream](1)

    async def accept(stream: trio.SocketStream) -> None:
        await accepted.send(stream)
        await trio.sleep_forever()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, accept, listeners)
    asterisk = await trio.open_tcp_stream("127.0.0.1", listeners[0].socket.getsockname()[1])
    return AudioSocketLeg(await taken.receive(), SLIN8, write_timeout_s=1.0), asterisk


async def test_a_peer_that_is_slow_to_read_the_hang_up_is_not_reset() -> None:
    """It goes on sending frames for a while: every one is taken, then it reads the hang-up, and then the end."""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            leg, asterisk = await connected(nursery)
            for _ in range(20):
                await asterisk.send_all(FRAME)  # nobody reads them
            done = trio.Event()

            async def hang_up() -> None:
                await leg.hang_up()
                done.set()

            nursery.start_soon(hang_up)
            for _ in range(5):
                await trio.sleep(0.01)
                await asterisk.send_all(FRAME)
            assert await asterisk.receive_some() == b"\x00\x00\x00"
            assert not done.is_set()
            await asterisk.send_eof()
            assert await asterisk.receive_some() == b""
            await done.wait()
            await asterisk.aclose()
            nursery.cancel_scope.cancel()


async def test_a_peer_that_never_closes_is_not_waited_for_long() -> None:
    """The leg is closed after LINGER_S at the latest."""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            leg, asterisk = await connected(nursery)
            start_s = trio.current_time()
            await leg.hang_up()
            assert LINGER_S <= trio.current_time() - start_s < LINGER_S + 2.0
            assert await asterisk.receive_some() == b"\x00\x00\x00"
            assert await asterisk.receive_some() == b""
            await asterisk.aclose()
            nursery.cancel_scope.cancel()
