"""The bad network, in virtual time: what enters, what leaves, and exactly when."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from voxpipe.testing.network import PERFECT, Direction, Network, NetworkStream
from voxpipe.testing.provider import Provider
from voxpipe.websocket import connect_websocket


async def test_a_perfect_network_changes_nothing(autojump_clock, nursery):
    """Bytes go through both ways, at once."""
    near, far = trio.testing.memory_stream_pair()
    stream = NetworkStream(near, PERFECT, nursery)
    await stream.send_all(b"out")
    assert await far.receive_some() == b"out"
    await far.send_all(b"in")
    assert await stream.receive_some(1) == b"i"
    assert await stream.receive_some() == b"n"
    assert trio.current_time() == 0
    await far.aclose()
    assert await stream.receive_some() == b""
    await stream.aclose()


async def test_delay_and_jitter_repeat_exactly_and_keep_the_order(autojump_clock, nursery):
    """Each piece is late by delay plus its jitter, and none overtakes another."""
    near, far = trio.testing.memory_stream_pair()
    late = Direction(delay_s=0.1, jitter_s=(0.0, 0.3, 0.0))
    stream = NetworkStream(near, Network(outgoing=late), nursery)
    for piece in (b"a", b"b"):
        await stream.send_all(piece)
    got = [(await far.receive_some(1), round(trio.current_time(), 6)) for _ in range(2)]
    await stream.send_all(b"c")
    got.append((await far.receive_some(1), round(trio.current_time(), 6)))
    assert got == [(b"a", 0.1), (b"b", 0.4), (b"c", 0.5)]
    await stream.aclose()


async def test_incoming_pieces_are_late_and_split(autojump_clock, nursery):
    """Sizes repeat; each piece has its own delay."""
    near, far = trio.testing.memory_stream_pair()
    incoming = Direction(delay_s=0.2, jitter_s=(0.0, 0.1), split_bytes=(3, 1))
    stream = NetworkStream(near, Network(incoming=incoming), nursery)
    await far.send_all(b"abcdefgh")
    got = [(bytes(await stream.receive_some()), round(trio.current_time(), 6)) for _ in range(4)]
    assert got == [(b"abc", 0.2), (b"d", 0.3), (b"efg", 0.3), (b"h", 0.3)]
    await stream.aclose()


async def test_a_stall_holds_everything_and_loses_nothing(autojump_clock, nursery):
    """What is due during the stall comes at its end; what comes later is on time again."""
    near, far = trio.testing.memory_stream_pair()
    stream = NetworkStream(near, Network(outgoing=Direction(stalls=((1.0, 2.0),))), nursery)
    got = []

    async def receive():
        for _ in range(4):
            got.append((await far.receive_some(1), round(trio.current_time(), 6)))

    nursery.start_soon(receive)
    for piece in (b"a", b"b", b"c", b"d"):
        await stream.send_all(piece)
        await trio.sleep(1.0)
    assert got == [(b"a", 0.0), (b"b", 3.0), (b"c", 3.0), (b"d", 3.0)]
    await stream.aclose()


async def test_a_cut_ends_both_sides(autojump_clock, nursery):
    """At the instant of the cut reading breaks here and ends there, and later writing breaks."""
    near, far = trio.testing.memory_stream_pair()
    stream = NetworkStream(near, Network(cut_at_s=2.5), nursery)
    with pytest.raises(trio.BrokenResourceError, match="the network cut the connection"):
        await stream.receive_some()
    assert trio.current_time() == 2.5
    assert await far.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"late")
    await stream.aclose()


async def test_a_full_network_makes_the_sender_wait(autojump_clock, nursery):
    """Nothing is gathered without limit while the far end is unreachable."""
    near, _far = trio.testing.memory_stream_pair()
    stream = NetworkStream(near, Network(outgoing=Direction(stalls=((0.0, 100.0),))), nursery)
    sent = 0
    with trio.move_on_after(10):
        while True:
            await stream.send_all(b"x" * 1000)
            sent += 1
    assert 250 <= sent <= 260
    await stream.aclose()


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"delay_s": -1.0}, "expected a delay of 0 s or more"),
        ({"delay_s": 0.1, "jitter_s": (-0.2,)}, "expected a delay of 0 s or more"),
        ({"split_bytes": (0,)}, "expected sizes of at least 1 byte"),
    ],
)
def test_impossible_networks_are_refused(keys, text):
    """Nothing arrives before it was sent, and no piece is empty."""
    with pytest.raises(ValueError, match=text):
        Direction(**keys)


async def test_a_call_survives_a_network_that_splits_everything(autojump_clock, nursery):
    """A WebSocket through pieces of 1, 2 and 700 bytes with 80 ms of delay each way opens, and is answered in time."""
    provider = Provider()
    near, far = trio.testing.memory_stream_pair()
    nursery.start_soon(provider.serve_stream, far)
    awkward = Direction(delay_s=0.08, jitter_s=(0.0, 0.01, 0.004), split_bytes=(1, 2, 700))

    async def dial(host: str, port: int) -> trio.abc.Stream:
        return NetworkStream(near, Network(awkward, awkward), nursery)

    websocket = await connect_websocket(nursery, "ws://p.test/v1/realtime?model=m", dial=dial)
    assert '"session.created"' in await websocket.get_message()
    assert 0.16 < trio.current_time() < 0.2
    await websocket.aclose()


async def test_the_network_ends_with_its_nursery(autojump_clock):
    """An error in the caller's nursery comes out, and nothing hangs on to the stream."""
    near, far = trio.testing.memory_stream_pair()
    with pytest.RaisesGroup(KeyError):
        async with trio.open_nursery() as nursery:
            NetworkStream(near, Network(outgoing=Direction(delay_s=5.0)), nursery)
            raise KeyError
    await far.aclose()
