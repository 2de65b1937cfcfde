"""Reading a call's records along with it: what a reader gets, what a slow one loses, and that the call never waits."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from virtual_call import HELLO_AND_WAIT, CallMaker, Script, VirtualCall, silence

from voxpipe.actors.leg_control import LegControl
from voxpipe.sansio.records import Record

LIMIT_S = 1e6
"""Virtual seconds after which a stream that does not end is a failure."""


class Reader:
    """A reader of records, which takes ``pause_s`` over each."""

    def __init__(self, pause_s: float = 0.0, capacity: int | None = None, starts_after_s: float = 0.0) -> None:
        self.read: list[Record] = []
        self.times: list[float] = []
        self.ended = trio.Event()
        self._pause_s = pause_s
        self._capacity = capacity
        self._starts_after_s = starts_after_s

    async def __call__(self, control: LegControl) -> None:
        """Begin a while after the call did, and read to the end."""
        await trio.sleep(self._starts_after_s)
        await self.follow(control.records() if self._capacity is None else control.records(self._capacity))

    async def follow(self, records: AsyncIterator[Record]) -> None:
        """Read to the end."""
        with trio.fail_after(LIMIT_S):
            async for record in records:
                self.read.append(record)
                self.times.append(trio.current_time())
                await trio.sleep(self._pause_s)
        self.ended.set()

    @property
    def lost(self) -> list[int]:
        """What the stream told of its losses."""
        return [record.event_data["records"] for record in self.read if record.event_type == "records.lost"]


async def nothing() -> None:
    """What is left to do for a function that did its work when it was called."""


async def call_with(
    make_call: CallMaker, *readers: Reader, scenario: str = "parrot", **tables: dict[str, Any]
) -> VirtualCall:
    """Make a call whose records these read; return when all have come to their end."""
    async with trio.open_nursery() as nursery:

        def start(control: LegControl) -> Awaitable[None]:
            # At once, and not when the task gets its turn; the tasks outlive the call.
            for reader in readers[1:]:
                nursery.start_soon(reader, control)
            nursery.start_soon(readers[0].follow, control.records())
            return nothing()

        call = await make_call(HELLO_AND_WAIT, scenario, on_start=start, **tables)
        for reader in readers:
            await reader.ended.wait()
    return call


def after(reader: Reader, lines: Sequence[Record]) -> list[Record]:
    """The lines of the log from the first one that a reader got."""
    return [line for line in lines if line.seq >= reader.read[0].seq]


@pytest.mark.every_dialect
async def test_a_reader_gets_the_lines_of_the_file(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """All from ``on_start`` on, in order, each at the time it happened, the summary last; then the stream ends."""
    reader = Reader()
    call = await call_with(make_call, reader)
    assert reader.read == call.records[1:]
    assert call.records[0].event_type == "leg.started"
    assert reader.read[-1].event_type == "leg.summary"
    assert [round(time_s * 1e9) for time_s in reader.times] == [record.t_ns for record in reader.read]


@pytest.mark.every_dialect
async def test_readers_do_not_take_from_one_another(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A second reader, and one that comes in the middle of the call, get what happens from their beginning on."""
    first, second, late = Reader(), Reader(), Reader(starts_after_s=2.0)
    call = await call_with(make_call, first, second, late)
    assert first.read == call.records[1:]
    assert second.read == after(second, call.records)
    assert second.read[0].seq <= 3
    assert late.read == after(late, call.records)
    assert late.read[0].t_ns >= 2_000_000_000
    assert len(late.read) > 100


@pytest.mark.every_dialect
async def test_a_slow_reader_loses_the_oldest_and_is_told(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Lost and read records together are the file's lines, each loss is told in its place, and the summary comes."""
    slow, quick = Reader(pause_s=0.5, capacity=10), Reader()
    call = await call_with(make_call, quick, slow)
    read = [record for record in slow.read if record.event_type != "records.lost"]
    assert sum(slow.lost) > 100
    assert sum(slow.lost) + len(read) == len(after(slow, call.records))
    assert [record for record in read if record not in call.records] == []
    position = slow.read[0].seq
    for record in slow.read:
        position += record.event_data["records"] - 1 if record.event_type == "records.lost" else 0
        assert record.seq == position
        position += 1
    assert slow.read[-1] == call.records[-1]
    assert quick.read == call.records[1:]


async def test_no_reader_delays_the_call(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """With a reader that takes for ever the caller hears the same frames at the same times, and nothing is lost."""
    without = await make_call(HELLO_AND_WAIT)
    call = await call_with(make_call, Reader(pause_s=60))
    heard = [(round(time_s, 6), frame) for time_s, frame in call.phone.frames]
    assert heard == [(round(time_s, 6), frame) for time_s, frame in without.phone.frames]
    assert call.outcome.summary["records"] == without.outcome.summary["records"]


@pytest.mark.every_dialect
async def test_a_reader_that_stops_is_forgotten(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Cancelled in mid-call: the call goes on, other readers read on, and the stream is held by nobody."""
    other = Reader()
    held: list[weakref.ref[object]] = []
    count = 0

    async def read_for_a_second(control: LegControl) -> None:
        nonlocal count
        nursery.start_soon(other, control)
        with trio.move_on_after(1.0):
            records = control.records()
            held.append(weakref.ref(records))
            async for _ in records:
                count += 1

    async with trio.open_nursery() as nursery:
        call = await make_call(HELLO_AND_WAIT, on_start=read_for_a_second)
    assert count > 50
    assert held[0]() is None
    assert other.read == after(other, call.records)
    assert call.outcome.error is None


@pytest.mark.every_dialect
async def test_waiting_for_one_record_can_be_given_up(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A wait with a timeout takes nothing from the stream: reading goes on where it was."""
    read: list[Record] = []

    async def impatient(control: LegControl) -> None:
        records = control.records()
        while (not read or read[-1].event_type != "leg.summary") and trio.current_time() < 60:
            with trio.move_on_after(0.0071):
                read.append(await anext(records))

    async with trio.open_nursery() as nursery:

        async def start(control: LegControl) -> None:
            nursery.start_soon(impatient, control)

        call = await make_call(HELLO_AND_WAIT, on_start=start)
    assert read == call.records[read[0].seq :]


@pytest.mark.every_dialect
@pytest.mark.parametrize("scenario", ["wrong-format", "vanish", "no-created"])
async def test_a_leg_that_fails_ends_the_stream_too(
    autojump_clock: MockClock, make_call: CallMaker, scenario: str
) -> None:
    """The failure is read, then the summary that names it, then nothing."""
    reader = Reader()
    call = await call_with(make_call, reader, scenario=scenario, provider={"reconnect_s": 0.0})
    assert call.outcome.error is not None
    assert reader.read == call.records[1:]
    assert "session.failed" in [record.event_type for record in reader.read]
    assert reader.read[-1].event_data["because"] == call.outcome.reason


@pytest.mark.every_dialect
async def test_a_leg_that_is_cancelled_ends_the_stream_too(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """However a leg ends, a reader outside of it is not left waiting."""
    reader = Reader()
    async with trio.open_nursery() as nursery:

        def start(control: LegControl) -> Awaitable[None]:
            nursery.start_soon(reader.follow, control.records())
            return nothing()

        with trio.move_on_after(1.5):
            await make_call(Script(stays=True), on_start=start)
    assert reader.read[-1].event_type == "leg.summary"
    assert reader.read[-1].event_data["because"] == "cancelled"


@pytest.mark.every_dialect
async def test_after_the_call_there_is_nothing_to_read(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A stream that is asked for after the leg's end is at its end."""
    controls: list[LegControl] = []

    async def keep(control: LegControl) -> None:
        controls.append(control)

    await make_call(Script(audio=silence(300)), on_start=keep)
    with trio.fail_after(1):
        assert [record async for record in controls[0].records()] == []


@pytest.mark.every_dialect
async def test_a_stream_of_no_records_is_refused(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The error says what was expected and what was given."""
    errors: list[str] = []

    async def ask(control: LegControl) -> None:
        try:
            control.records(0)
        except ValueError as error:
            errors.append(str(error))

    await make_call(Script(audio=silence(300)), on_start=ask)
    assert errors == ["expected a capacity of 1 record or more, got 0"]
