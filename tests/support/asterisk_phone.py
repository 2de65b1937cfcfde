"""A telephone on the far side of Asterisk: it is dialled by the channel driver, speaks, and keeps what it hears.

What it says and hears is known to the sample, and both by one clock. The two files of a MixMonitor are not: they begin
some tens of milliseconds apart.
"""

from __future__ import annotations

import struct
import time

import trio

from voxpipe.audio import PTIME_MS, AudioFormat

HEADER = struct.Struct("!BH")
HANGUP, UUID_KIND = 0x00, 0x01
KINDS = {8_000: 0x10, 16_000: 0x12, 24_000: 0x13}


class Phone:
    """Takes one call in a linear format, says ``speech`` in frames of 20 ms, and hangs up."""

    def __init__(self, format_: AudioFormat, speech: bytes) -> None:
        self.heard = bytearray()
        """What was heard, one frame after the other."""
        self.arrivals: list[tuple[int, int]] = []
        """When each piece of it was there (UNIX time, ns), and how many bytes were heard with it."""
        self.said_ns: list[int] = []
        """When each frame of the speech was handed to the socket (UNIX time, ns)."""
        self._format = format_
        self._speech = speech

    async def serve(self, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Wait for the call and hold it; started with the port it listens on."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with listener:
            task_status.started(listener.socket.getsockname()[1])
            stream = await listener.accept()
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, stream)
            await self._speak(stream)
            await stream.send_all(HEADER.pack(HANGUP, 0))
            nursery.cancel_scope.cancel()

    async def _speak(self, stream: trio.SocketStream) -> None:
        kind, size = KINDS[self._format.rate_hz], self._format.frame_bytes
        start_s = trio.current_time()
        for number in range(len(self._speech) // size):
            await trio.sleep_until(start_s + number * PTIME_MS / 1000)
            frame = self._speech[number * size : (number + 1) * size]
            self.said_ns.append(time.time_ns())
            await stream.send_all(HEADER.pack(kind, size) + frame)

    async def _listen(self, stream: trio.SocketStream) -> None:
        unread = bytearray()
        async for data in stream:
            unread += data
            while len(unread) >= HEADER.size:
                kind, size = HEADER.unpack_from(unread)
                if len(unread) < HEADER.size + size:
                    break
                payload = bytes(unread[HEADER.size : HEADER.size + size])
                del unread[: HEADER.size + size]
                if kind != UUID_KIND:
                    assert kind == KINDS[self._format.rate_hz], f"kind 0x{kind:02x}"
                    self.heard += payload
                    self.arrivals.append((time.time_ns(), len(self.heard)))

    def word_ns(self, offset_bytes: int) -> int:
        """When the frame that holds an offset of the speech came to Asterisk."""
        return self.said_ns[offset_bytes // self._format.frame_bytes]

    def heard_ns(self, begin_bytes: int, end_bytes: int) -> int:
        """When the caller has heard a stretch of what came, to its end.

        It is played without a gap from the arrival of its first piece on: audio that comes ahead of its time waits.
        """
        return max(self._played_ns(begin_bytes, end_bytes), self._played_ns(end_bytes - 1, end_bytes))

    def _played_ns(self, from_bytes: int, to_bytes: int) -> int:
        """When ``to_bytes`` has been played, if the piece that holds ``from_bytes`` is played as it arrives."""
        before = 0
        for arrived_ns, until in self.arrivals:
            if until > from_bytes:
                return arrived_ns + round(self._format.duration_ms(to_bytes - before) * 1e6)
            before = until
        raise ValueError(f"expected an offset within {len(self.heard)} bytes, got {from_bytes}")
