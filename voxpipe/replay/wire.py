"""The wires of a replay: what is said comes at once, and what is answered is not listened to.

All that the gateway says is in its records already, so nobody need read it: only what the peer of a WebSocket has to
answer is taken in. No task stands at the far end. A minute of a call is 3 000 frames each way, and with a task for each
to wake, as ``trio.testing`` has it, that minute took half as long again.
"""

from __future__ import annotations

import trio

from voxpipe.actors.monotonic import now_ns, sleep_until_ns
from voxpipe.websocket import DeafServer


class Line(trio.abc.Stream):
    """The gateway's end of a stream; whoever replays says what comes out of it, and when it ends."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._ended = False
        self._closed = False
        self._lot = trio.lowlevel.ParkingLot()
        self.busy_until_ns = 0
        """What is written before this instant is gone only then."""

    def say(self, data: bytes) -> None:
        """Let these bytes come, unless the line has ended."""
        if not self._ended:
            self._waiting += data
            self._lot.unpark_all()

    def end(self) -> None:
        """Close the far end: behind what waits comes nothing more, and nothing can be written."""
        self._ended = True
        self._lot.unpark_all()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; none at the end."""
        await trio.lowlevel.checkpoint()
        while not (self._waiting or self._ended or self._closed):
            await self._lot.park()
        if self._closed:
            raise trio.ClosedResourceError
        data = bytes(self._waiting[:max_bytes])
        del self._waiting[:max_bytes]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes, for nobody."""
        if self.busy_until_ns > now_ns():
            await sleep_until_ns(self.busy_until_ns)
        else:
            await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError
        if self._ended:
            raise trio.BrokenResourceError

    async def wait_send_all_might_not_block(self) -> None:
        """Return: it never blocks."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close this end."""
        self._closed = True
        self._lot.unpark_all()
        await trio.lowlevel.checkpoint()


class ProviderLine(Line):
    """A line to the provider, which is a WebSocket's server."""

    def __init__(self) -> None:
        super().__init__()
        self._server = DeafServer()

    def say_message(self, message: str | bytes) -> None:
        """Let a message come, if the WebSocket is open."""
        self.say(self._server.message(message))

    def close(self, code: int, reason: str) -> None:
        """Begin to close, if the WebSocket is open; the line ends with the gateway's answer."""
        self.say(self._server.close(code, reason))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Answer what needs an answer. A WebSocket sends each of its frames in one piece, as the server wants it."""
        await super().send_all(data)
        self.say(self._server.take(bytes(data)))
        if self._server.closed:
            self.end()
