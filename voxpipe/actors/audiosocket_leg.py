"""A leg over AudioSocket: its socket, its decoder, and the one rule of sending to it.

``Leg`` is the interface that the other actors use; Asterisk's WebSocket channel would be another implementation.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from voxpipe.audio import AudioFormat
from voxpipe.errors import RemoteProtocolError
from voxpipe.sansio.audiosocket import HANGUP, Decoder, DecoderStatistics, encode_audio
from voxpipe.sansio.leg import LegEvent

RECEIVE_BYTES = 16 * 1024
HANGUP_TIMEOUT_S = 1.0
LINGER_S = 0.25
"""So long the peer may take to read the hang-up; Asterisk, which closes then, takes a frame or two."""


class Leg(Protocol):
    """Frames in, frames out, and an end."""

    async def receive(self) -> list[LegEvent] | None:
        """Wait for events; ``None`` at the end of the connection."""

    async def write_frame(self, format_: AudioFormat, audio: bytes) -> None:
        """Write one frame for the caller."""

    async def hang_up(self) -> None:
        """End the leg so that the dialplan goes on."""

    def statistics(self) -> DecoderStatistics:
        """Count what was received."""


class AudioSocketLeg:
    """The leg of one AudioSocket connection. One task receives, one task writes."""

    def __init__(self, stream: trio.abc.Stream, format_: AudioFormat | None, *, write_timeout_s: float) -> None:
        self._stream = stream
        self._decoder = Decoder(format_)
        self._write_timeout_s = write_timeout_s
        self._pushed_back: list[LegEvent] = []
        self._torn = False

    async def receive(self) -> list[LegEvent] | None:
        """Wait for events; ``RemoteProtocolError`` for what Asterisk would never send."""
        if self._pushed_back:
            events, self._pushed_back = self._pushed_back, []
            return events
        try:
            data = await self._stream.receive_some(RECEIVE_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # A reset is how a call ends when the peer is killed; a torn message would say no more than that.
            return None
        if not data:
            self._decoder.receive_eof()
            return None
        return self._decoder.receive(data)

    def push_back(self, events: Iterable[LegEvent]) -> None:
        """Give events back, for the next ``receive``."""
        self._pushed_back.extend(events)

    async def write_frame(self, format_: AudioFormat, audio: bytes) -> None:
        """Write one frame. A peer that does not read for ``write_timeout_s`` has ended the leg.

        Cancelling waits for the frame: after half of one, nothing could be said to the peer any more.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self._torn = True
        with trio.move_on_after(self._write_timeout_s, shield=True) as scope:
            await self._stream.send_all(encode_audio(format_, audio))
            self._torn = False
        if scope.cancelled_caught:
            raise RemoteProtocolError(
                f"expected the peer to read a frame within {self._write_timeout_s:g} s, got a full socket"
            )

    async def hang_up(self) -> None:
        """Say that the call is over, and close. After a frame that is half out, closing is all that can be said.

        A socket that is closed with audio unread resets the connection, and Asterisk, whose next frame finds it reset
        before it has read the hang-up, hangs up itself instead of going on with the dialplan: so we read until it
        closes.
        """
        if not self._torn:
            with (
                trio.move_on_after(HANGUP_TIMEOUT_S),
                contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError),
            ):
                await self._stream.send_all(HANGUP)
                await self._linger()
        await trio.aclose_forcefully(self._stream)

    async def _linger(self) -> None:
        if isinstance(self._stream, trio.SocketStream):  # nothing else is reset by being closed
            with trio.move_on_after(LINGER_S):
                while await self._stream.receive_some(RECEIVE_BYTES):
                    pass

    def statistics(self) -> DecoderStatistics:
        """Count what was received."""
        return self._decoder.statistics()


@asynccontextmanager
async def aclosing_leg(leg: AudioSocketLeg) -> AsyncIterator[None]:
    """Hang up at the end, however it comes."""
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await leg.hang_up()
