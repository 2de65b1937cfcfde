"""Run a recorded call between the peers of its tape."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs
import trio
import trio.testing

from voxpipe.audio import NS_PER_S
from voxpipe.call import Surroundings
from voxpipe.dialects import get_dialect
from voxpipe.errors import ConfigError
from voxpipe.leg import run_leg
from voxpipe.replay.compare import Replay, compare
from voxpipe.replay.peers import SLIP_NS, TapedPace, TapedPeers
from voxpipe.replay.prompts import Prompts
from voxpipe.replay.tape import Tape, read_tape
from voxpipe.replay.wire import Line
from voxpipe.sansio.records import AudioMode, Record

GRACE_S = 30.0
"""Virtual seconds by which the call of now may outlast that of then, before it is ended."""
PROVIDER_URL = "ws://provider.invalid/"


def replay_log(path: str | Path, *, on_progress: Callable[[float], None] = lambda _share: None) -> Replay:
    """Go through a recorded call again, and hold what comes out against its log.

    ``on_progress`` is told, once a second of the call, what share of it was gone through.

    Runs a Trio loop of its own, in virtual time. ``NotReplayable`` (a ``RecordError``) for a log that does not hold
    what it takes; ``RecordError`` for a line that is no record; ``AudioError`` and ``OSError`` for the audio beside it;
    ``ConfigError`` for a call that cannot be made here, since a package is missing.
    """
    tape = read_tape(Path(path))
    prompts = Prompts(Path(path), tape.records, tape.line_nos)
    with tempfile.TemporaryDirectory(prefix="voxpipe-replay-") as folder:
        clock = trio.testing.MockClock(autojump_threshold=0)
        records = trio.run(_run, tape, prompts, folder, on_progress, clock=clock)
    return compare(tape.records, tape.line_nos, records, get_dialect(tape.config.provider.dialect).audio_type)


async def _run(tape: Tape, prompts: Prompts, folder: str, on_progress: Callable[[float], None]) -> list[Record]:
    records: list[Record] = []
    end_ns, told_ns = max(tape.records[-1].t_ns, 1), 0
    leg = Line()
    pace = TapedPace(tape, leg)

    def observe(record: Record) -> None:
        nonlocal told_ns
        records.append(record)
        if record.t_ns - told_ns >= NS_PER_S:
            told_ns = record.t_ns
            on_progress(min(told_ns / end_ns, 1.0))
        if record.event_type == "audiosocket.sent":
            pace.note_written()

    # The same digests as then, and no files for the audio.
    mode: AudioMode = "inline" if tape.config.log.audio == "inline" else "digest"
    config = attrs.evolve(
        prompts.configured(tape.config),
        log=attrs.evolve(tape.config.log, dir=folder, audio=mode),
        # The peer of now has no certificate, and what was secret in a URL or a header is not in the log.
        provider=attrs.evolve(tape.config.provider, url=PROVIDER_URL, query={}, headers={}),
    )
    async with trio.open_nursery() as nursery:
        peers = TapedPeers(tape, leg, nursery, prompts.of)
        nursery.start_soon(peers.conduct)
        given = Surroundings(
            dial=peers.dial,
            drain=peers.drain,
            on_record=observe,
            on_start=peers.start,
            tools=peers.tools,
            pace=pace.wait,
        )
        refusal: ConfigError | None = None
        with trio.move_on_after(end_ns / NS_PER_S + (GRACE_S if tape.whole else SLIP_NS / NS_PER_S)):
            try:
                await run_leg(leg, config, given)
            except ConfigError as error:
                refusal = error
        nursery.cancel_scope.cancel()
    if refusal is not None:  # outside of the nursery, which would make a group of it
        raise refusal
    return records
