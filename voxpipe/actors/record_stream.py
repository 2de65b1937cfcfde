"""A leg's records as they are made, for a program that reads along: ``LegControl.records``.

Bounded, and the call never waits for a reader. The oldest record gives way, as with the uplink: who follows a call
wants to know what is, and the last record, the leg's summary, must come. What was lost is told in its place, as the log
tells its own losses.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Self

import attrs
import trio

from voxpipe.sansio.records import Record

RECORDS_CAPACITY = 1_000
"""About five seconds of a call that speaks both ways."""


class RecordStream:
    """An asynchronous iterator of records, in the log's order; ends behind the leg's last one.

    Where the reader was too slow there is a ``records.lost`` with the count, under the number and the time of the last
    record that it stands for; so ``seq`` goes on growing. To stop reading, forget it: it is held by its reader only.
    """

    def __init__(self, capacity: int) -> None:
        self._waiting: deque[Record] = deque()
        self._capacity = capacity
        self._lost = 0
        self._last_lost: Record | None = None
        self._ended = False
        self._changed = trio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Record:
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._changed = trio.Event()
            await self._changed.wait()
        if self._last_lost is not None:
            told = attrs.evolve(
                self._last_lost, direction="local", event_type="records.lost", event_data={"records": self._lost}
            )
            self._lost, self._last_lost = 0, None
            return told
        return self._waiting.popleft()

    def put(self, record: Record) -> None:
        """Give the reader a record; when it has too many already, its oldest is lost and counted."""
        if len(self._waiting) >= self._capacity:
            self._last_lost = self._waiting.popleft()
            self._lost += 1
        self._waiting.append(record)
        self._changed.set()

    def end(self) -> None:
        """Say that there are no more."""
        self._ended = True
        self._changed.set()


class RecordStreams:
    """The readers of one log."""

    def __init__(self) -> None:
        self._streams: list[weakref.ref[RecordStream]] = []
        self._ended = False

    def open(self, capacity: int) -> RecordStream:
        """Begin to keep records for one more reader; when the log has ended, the stream is at its end."""
        if capacity < 1:
            raise ValueError(f"expected a capacity of 1 record or more, got {capacity}")
        stream = RecordStream(capacity)
        if self._ended:
            stream.end()
        else:
            self._streams.append(weakref.ref(stream, self._streams.remove))
        return stream

    def put(self, record: Record) -> None:
        """Give a record to every reader."""
        for held in tuple(self._streams):  # a collection of garbage may forget one meanwhile
            if (stream := held()) is not None:
                stream.put(record)

    def end(self) -> None:
        """Tell every reader that there are no more."""
        self._ended = True
        for held in tuple(self._streams):
            if (stream := held()) is not None:
                stream.end()
