"""Run a recorded call between the peers of its tape."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import attrs
import trio
import trio.testing

from voxpipe.actors.leg_control import LegControl
from voxpipe.actors.monotonic import sleep_until_ns
from voxpipe.call import Surroundings
from voxpipe.errors import SessionError
from voxpipe.leg import run_leg
from voxpipe.replay.compare import Replay, compare
from voxpipe.replay.peers import TapedPace, TapedPhone, TapedProvider, taped_tools
from voxpipe.replay.tape import Request, Tape, read_tape
from voxpipe.sansio.records import AudioMode, Record

GRACE_S = 30.0
"""Virtual seconds by which the call of now may outlast that of then, before it is ended."""


def replay_log(path: str | Path) -> Replay:
    """Go through a recorded call again, and hold what comes out against its log.

    Runs a Trio loop of its own, in virtual time. ``NotReplayable`` (a ``RecordError``) for a log that does not hold
    what it takes; ``RecordError`` for a line that is no record; ``AudioError`` and ``OSError`` for the audio beside it.
    """
    tape = read_tape(Path(path))
    with tempfile.TemporaryDirectory(prefix="voxpipe-replay-") as folder:
        clock = trio.testing.MockClock(autojump_threshold=0)
        records = trio.run(_run, tape, folder, clock=clock)
    return compare(tape.records, tape.line_nos, records)


async def _run(tape: Tape, folder: str) -> list[Record]:
    records: list[Record] = []
    pace = TapedPace(tape)

    def observe(record: Record) -> None:
        records.append(record)
        if record.event_type == "audiosocket.sent":
            pace.note_written()

    # The same digests as then, and no files for the audio.
    mode: AudioMode = "inline" if tape.config.log.audio == "inline" else "digest"
    config = attrs.evolve(tape.config, log=attrs.evolve(tape.config.log, dir=folder, audio=mode))
    await _align()
    async with trio.open_nursery() as nursery:
        provider = TapedProvider(tape, nursery)
        drain = trio.Event()
        if tape.drained_ns is not None:
            nursery.start_soon(_set_at, drain, tape.drained_ns)

        def start(control: LegControl) -> None:
            for request in tape.requests:
                nursery.start_soon(_ask, control, request)

        line, leg = trio.testing.memory_stream_pair()
        phone = TapedPhone(tape, line)
        nursery.start_soon(phone.listen)
        nursery.start_soon(phone.speak)
        given = Surroundings(
            dial=provider.dial,
            drain=drain,
            on_record=observe,
            on_start=start,
            tools=taped_tools(tape),
            pace=pace.wait,
        )
        with trio.move_on_after(tape.records[-1].t_ns / 1e9 + GRACE_S):
            await run_leg(leg, config, given)
        nursery.cancel_scope.cancel()
    return records


async def _align() -> None:
    """Begin at 0 of the clock, so that times of the call are times of the clock."""
    await trio.lowlevel.checkpoint()
    assert trio.current_time() == 0


async def _set_at(event: trio.Event, t_ns: int) -> None:
    await sleep_until_ns(t_ns)
    event.set()


async def _ask(control: LegControl, request: Request) -> None:
    await sleep_until_ns(request.t_ns)
    with contextlib.suppress(SessionError):  # then as now, it may be refused
        match request.what:
            case "say":
                await control.say(request.text)
            case "instruct":
                await control.instruct(request.text)
            case "hang_up":
                await control.hang_up()
