"""The stages between leg and session: each turns audio from one side's format into the other's, and never guesses one.

Both begin when both formats are confirmed: the leg's by its audio, the session's by its acknowledgement. Until then
caller audio waits in ``uplink``, where the oldest gives way.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from voxpipe.actors.chunk_queue import ChunkQueue
from voxpipe.actors.ear import Ear
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.playout import Playout
from voxpipe.actors.sink import CallLog
from voxpipe.audio import FormatPair
from voxpipe.dsp import Converter
from voxpipe.sansio.effects import AwaitPlayout, Chunk, FinishResponse, Play
from voxpipe.sansio.ledger import CutPoint, Part
from voxpipe.sansio.leg import LegFormatConfirmed


async def transcode_uplink(
    uplink: trio.MemoryReceiveChannel[bytes],
    appends: trio.MemorySendChannel[bytes],
    leg_formats: OneShot[LegFormatConfirmed],
    session_formats: OneShot[FormatPair],
    pass_on: Callable[[bytes], list[bytes]] = lambda frame: [frame],
) -> None:
    """Convert frame by frame from the leg's format to the session's, and send what ``pass_on`` makes of them.

    Owns its ends of ``uplink`` and ``appends``. Ends when either is closed at its other end. Waits on the session:
    back-pressure ends in ``uplink``.
    """
    async with uplink, appends:
        target = (await session_formats.get()).uplink
        source = (await leg_formats.get()).uplink
        converter = Converter(source, target)
        async for frame in uplink:
            audio = converter.convert(frame)
            for chunk in pass_on(audio) if audio else []:
                try:
                    await appends.send(chunk)
                except trio.BrokenResourceError:
                    return  # The session is over before the leg is.


@attrs.define(eq=False)
class DownlinkStage:
    """The converter of one leg's downlink, and the marks of the answer that runs through it."""

    converter: Converter
    ear: Ear
    log: CallLog
    playout: Playout
    on_played: Callable[[], None]
    part: Part | None = None
    epoch: int = 0

    def take(self, chunk: Chunk) -> None:
        """Convert a chunk into the ledger; the end of a part gives the filter's tail."""
        if isinstance(chunk, AwaitPlayout):
            self.playout.tell_when_idle(self.on_played)
            return
        if chunk.epoch != self.epoch:
            self.epoch = chunk.epoch
            self._begin(None)
        if isinstance(chunk, Play):
            if chunk.part != self.part:
                self._flush()
                self._begin(chunk.part)
            self.ear.hear(chunk.audio)
            self._add(chunk.part, self.converter.convert(chunk.audio))
        elif isinstance(chunk, FinishResponse):
            if self.part is not None and self.part.response_id == chunk.response_id:
                self._flush()
            self.playout.ledger.finish(chunk.response_id, chunk.epoch)
        else:
            if chunk.part == self.part:
                self._flush()
            self.playout.ledger.complete(chunk.part, chunk.epoch)
        self.playout.wake()

    def _begin(self, part: Part | None) -> None:
        self.converter.reset()
        self.part = part

    def _flush(self) -> None:
        if self.part is not None:
            self._add(self.part, self.converter.flush())
            self.part = None

    def _add(self, part: Part, audio: bytes) -> None:
        if self.playout.ledger.add(part, audio, self.epoch):
            return
        stale = self.epoch != self.playout.ledger.epoch
        self.log.record(
            "audio.stale" if stale else "playout.overrun", {"response_id": part.response_id, "bytes": len(audio)}
        )


def drop_unconverted(downlink: ChunkQueue, point: CutPoint, log: CallLog) -> CutPoint:
    """Drop what a cut finds on its way to the ledger, recorded; return the cut with what the ledger did not know."""
    waiting = downlink.cut()
    for response_id in dict.fromkeys(chunk.part.response_id for chunk in waiting):
        size_bytes = sum(len(chunk.audio) for chunk in waiting if chunk.part.response_id == response_id)
        log.record("audio.stale", {"response_id": response_id, "bytes": size_bytes})
    return point.with_unheard(chunk.part for chunk in waiting)


async def transcode_downlink(
    downlink: ChunkQueue,
    leg_formats: OneShot[LegFormatConfirmed],
    session_formats: OneShot[FormatPair],
    playout: OneShot[Playout],
    log: CallLog,
    on_played: Callable[[], None],
) -> None:
    """Convert what the provider sent into the ledger, and wake the playout; ``on_played`` answers ``AwaitPlayout``.

    Takes from ``downlink``. Ends when cancelled. Never waits on the playout: the ledger holds the long queue.
    """
    source = (await session_formats.get()).downlink
    target = (await leg_formats.get()).downlink
    stage = DownlinkStage(Converter(source, target), Ear("downlink", source, log), log, await playout.get(), on_played)
    while True:
        await downlink.wait()
        chunk = downlink.take_nowait()
        if chunk is not None:
            stage.take(chunk)
