"""The ``downlink`` channel: chunks on their way to the converter.

Not a memory channel of Trio: that one hands a chunk to the task that waits for it before the task has run, and for so
long it is neither in the channel nor in the ledger. At a cut all that was received must be in one of the two.
"""

from __future__ import annotations

from collections import deque

import attrs
import trio

from voxpipe.sansio.effects import AwaitPlayout, Chunk, Play


@attrs.frozen
class ChunkQueueStatistics:
    """How much waits at most, and the most there was, in chunks."""

    max_buffer_size: int
    peak_buffer_used: int


class ChunkQueue:
    """Chunks in their order, bounded; one task sends, one task takes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._chunks: deque[Chunk] = deque()
        self._arrived = trio.Event()
        self._peak = 0

    def send_nowait(self, chunk: Chunk) -> None:
        """Put a chunk behind the others; ``trio.WouldBlock`` when the queue is full."""
        if len(self._chunks) >= self._capacity:
            raise trio.WouldBlock
        self._chunks.append(chunk)
        self._peak = max(self._peak, len(self._chunks))
        self._arrived.set()

    def take_nowait(self) -> Chunk | None:
        """Take the oldest chunk, or ``None`` when there is none."""
        return self._chunks.popleft() if self._chunks else None

    async def wait(self) -> None:
        """Wait until there is a chunk."""
        await trio.lowlevel.checkpoint()
        while not self._chunks:
            self._arrived = trio.Event()
            await self._arrived.wait()

    def cut(self) -> list[Play]:
        """Drop and return all audio that waits. Questions for the end of the playout stay, to be answered."""
        audio = [chunk for chunk in self._chunks if isinstance(chunk, Play)]
        self._chunks = deque(chunk for chunk in self._chunks if isinstance(chunk, AwaitPlayout))
        return audio

    def statistics(self) -> ChunkQueueStatistics:
        """Tell the bound and the peak."""
        return ChunkQueueStatistics(self._capacity, self._peak)
