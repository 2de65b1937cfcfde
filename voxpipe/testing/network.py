"""A bad network, written down: a stream that delays, stalls, splits and cuts by lists, so that it repeats exactly.

Wrap one end of a connection; "outgoing" is what that end sends, "incoming" what it receives. Everything runs on
trio's clock, so also in virtual time. Instants are counted from the moment of wrapping.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TypeVar

import attrs
import trio


@attrs.frozen
class Direction:
    """What happens to the bytes of one direction.

    ``delay_s`` is added to every piece, and the ``jitter_s`` list, repeated without end, on top of it piece by piece;
    bytes never overtake each other. During a stall ``(at_s, for_s)`` nothing arrives. ``split_bytes``, repeated
    without end, are the sizes into which the bytes are cut up.
    """

    delay_s: float = 0.0
    jitter_s: tuple[float, ...] = ()
    stalls: tuple[tuple[float, float], ...] = ()
    split_bytes: tuple[int, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.delay_s < 0 or any(jitter_s < -self.delay_s for jitter_s in self.jitter_s):
            raise ValueError(f"expected a delay of 0 s or more, got {self.delay_s} s with jitter {self.jitter_s}")
        if any(size < 1 for size in self.split_bytes):
            raise ValueError(f"expected sizes of at least 1 byte, got {self.split_bytes}")

    def due_s(self, entered_s: float, jitter_s: float) -> float:
        """When a piece that entered the network at one instant leaves it."""
        due_s = entered_s + self.delay_s + jitter_s
        for at_s, for_s in self.stalls:
            if at_s <= due_s < at_s + for_s:
                due_s = at_s + for_s
        return due_s


@attrs.frozen
class Network:
    """Both directions, and the instant at which the connection is cut without a word (None: never)."""

    outgoing: Direction = attrs.field(factory=Direction)
    incoming: Direction = attrs.field(factory=Direction)
    cut_at_s: float | None = None


PERFECT = Network()
T = TypeVar("T")

IN_FLIGHT_PIECES = 256
RECEIVE_BYTES = 65_536


class NetworkStream(trio.abc.Stream):
    """A stream behind a bad network.

    Owns the stream it wraps, and two pumps in ``nursery`` which end with it. At most ``IN_FLIGHT_PIECES`` pieces are
    on their way in each direction; then the sender waits, as with a full socket. After the cut, reading and writing
    raise ``BrokenResourceError`` here, and the far end sees the end of the stream.
    """

    def __init__(self, stream: trio.abc.Stream, network: Network, nursery: trio.Nursery) -> None:
        self._stream = stream
        self._network = network
        self._start_s = trio.current_time()
        self._out_send, self._out_receive = trio.open_memory_channel[tuple[float, bytes]](IN_FLIGHT_PIECES)
        self._in_send, self._in_receive = trio.open_memory_channel[tuple[float, bytes]](IN_FLIGHT_PIECES)
        self._outgoing_jitter = _repeat(network.outgoing.jitter_s, 0.0)
        self._incoming_jitter = _repeat(network.incoming.jitter_s, 0.0)
        self._outgoing_sizes = _repeat(network.outgoing.split_bytes, RECEIVE_BYTES)
        self._incoming_sizes = _repeat(network.incoming.split_bytes, RECEIVE_BYTES)
        self._rest = b""
        self._last_due_s = 0.0
        self._broken = False
        self._scope = trio.CancelScope()
        nursery.start_soon(self._run)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Hand bytes to the network; returns before they arrive."""
        view = memoryview(bytes(data))
        if not view:
            await trio.lowlevel.checkpoint()
        while view:
            size = next(self._outgoing_sizes)
            due_s = self._network.outgoing.due_s(self._elapsed_s(), next(self._outgoing_jitter))
            self._check()
            try:
                await self._out_send.send((due_s, bytes(view[:size])))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._check()
                raise
            view = view[size:]

    async def wait_send_all_might_not_block(self) -> None:
        """As trio's; the network always takes a little more."""
        self._check()
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes to come out of the network; ``b""`` at the end of the stream."""
        if not self._rest:
            try:
                due_s, data = await self._in_receive.receive()
            except trio.EndOfChannel:
                self._check()
                return b""
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._check()
                raise
            self._last_due_s = max(self._last_due_s, due_s)
            await trio.sleep_until(self._start_s + self._last_due_s)
            self._check()
            self._rest = data
        else:
            await trio.lowlevel.checkpoint()
        size = len(self._rest) if max_bytes is None else max_bytes
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    async def aclose(self) -> None:
        """Close the stream; what is still on its way out is lost."""
        self._scope.cancel()
        self._out_send.close()
        self._in_receive.close()
        await self._stream.aclose()

    def _elapsed_s(self) -> float:
        return trio.current_time() - self._start_s

    def _check(self) -> None:
        if self._broken:
            raise trio.BrokenResourceError("the network cut the connection")

    async def _run(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump_out)
                nursery.start_soon(self._pump_in)
                if self._network.cut_at_s is not None:
                    await trio.sleep_until(self._start_s + self._network.cut_at_s)
                    self._broken = True
                    self._in_send.close()
                    self._out_receive.close()
                    await trio.aclose_forcefully(self._stream)
                    nursery.cancel_scope.cancel()

    async def _pump_out(self) -> None:
        last_due_s = 0.0
        with self._out_receive:
            try:
                async for due_s, piece in self._out_receive:
                    last_due_s = max(last_due_s, due_s)
                    await trio.sleep_until(self._start_s + last_due_s)
                    await self._stream.send_all(piece)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # The far end is gone: whoever sends next is told by the closed channel.
                return

    async def _pump_in(self) -> None:
        with self._in_send:
            try:
                while data := await self._stream.receive_some(RECEIVE_BYTES):
                    view = memoryview(bytes(data))
                    while view:
                        size = next(self._incoming_sizes)
                        due_s = self._network.incoming.due_s(self._elapsed_s(), next(self._incoming_jitter))
                        await self._in_send.send((due_s, bytes(view[:size])))
                        view = view[size:]
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._broken = True


def _repeat(values: tuple[T, ...], otherwise: T) -> Iterator[T]:
    return itertools.cycle(values or (otherwise,))
