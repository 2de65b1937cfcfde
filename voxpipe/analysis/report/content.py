"""Everything a page tells, as data: the overview and the verdicts as the commands give them, and what is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
import pybase64

from voxpipe.analysis.call import Call, CallAccounts
from voxpipe.analysis.checks import check, faults, passed
from voxpipe.analysis.events import LogEvent
from voxpipe.analysis.latency import PART_WORDS, PARTS
from voxpipe.analysis.legible import path_text
from voxpipe.analysis.overview import LATENCY_WORDS, overview_of
from voxpipe.analysis.reader import LogReader
from voxpipe.analysis.report.event_rows import EventRows
from voxpipe.analysis.report.lanes import lanes_of, line_to_json
from voxpipe.analysis.report.peaks import FACTOR, NO_WAVE, TOO_LONG, Wave, wave_of_levels
from voxpipe.analysis.report.placing import Piece
from voxpipe.analysis.report.sound import LONGEST_WAVE_NS, draw_and_record
from voxpipe.analysis.report.tracks import Sidecar, Track, Tracks, open_source
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.timeline import Line, timeline_of

Progress = Callable[[int], None]
LEGEND = {"parts": list(PARTS), "words": {**LATENCY_WORDS, **PART_WORDS}}
"""What the parts of a latency are, for every page."""


def ignore(_done: int) -> None:
    """Show nobody how far it is."""


@attrs.frozen
class Content:
    """A page's data and its sound (Ogg Vorbis), if it has one."""

    data: dict[str, Any]
    sound: bytes | None


@attrs.frozen
class Material:
    """One log, read once: the call, its story, its events, and its audio until this context ends."""

    call: Call
    story: list[Line]
    rows: EventRows
    tracks: Tracks

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tracks.close()


def gather(log: Path, *, lenient: bool = False, on_progress: Progress = ignore) -> Material:
    """Read a log. ``RecordError`` and ``OSError`` as in ``read_call``."""
    reader = LogReader(log, lenient=lenient, on_progress=on_progress)
    accounts, rows = CallAccounts(), EventRows()
    tracks = Tracks(accounts)

    def tell(events: Iterable[LogEvent]) -> Iterator[LogEvent]:
        for event in events:
            accounts.take(event)
            tracks.take(event)
            rows.take(event)
            yield event

    with ExitStack() as stack:
        stack.callback(tracks.close)
        story = list(timeline_of(tell(reader)))
        stack.pop_all()
    return Material(Call(reader, accounts), story, rows, tracks)


def content_of(
    material: Material, slo: Slo | None = None, *, audio: bool = True, on_progress: Progress = ignore
) -> Content:
    """Make a page's data of a log; ``on_progress`` is told the nanoseconds of the call that are drawn. Blocks."""
    verdicts = check(material.call, slo or Slo())
    drawn, sound = draw_call(material, slo, audio=audio, on_progress=on_progress)
    data = {
        "calls": [drawn],
        "verdicts": [verdict.to_json() for verdict in verdicts],
        "passed": passed(verdicts),
        "faults": faults(verdicts),
        "events": material.rows.to_json(),
        **LEGEND,
    }
    return Content(data, sound)


def draw_call(
    material: Material, slo: Slo | None = None, *, audio: bool = True, on_progress: Progress = ignore
) -> tuple[dict[str, Any], bytes | None]:
    """Make of a log what a timeline shows, and its sound (Ogg Vorbis); as ``content_of`` else."""
    call = material.call
    overview = overview_of(call)
    overview["log"]["path"] = path_text(call.path.name)  # where it lies is the reader's business, and changes
    waves, sound = _draw(material, audio=audio, on_progress=on_progress)
    drawn = {
        "overview": overview,
        "duration_ns": call.duration_ns,
        "lanes": lanes_of(call, slo or Slo(), material.tracks.strange),
        "story": [line_to_json(line) for line in material.story],
        "waves": {side: _wave(wave) for side, wave in waves.items()},
    }
    return drawn, sound


def _draw(material: Material, *, audio: bool, on_progress: Progress) -> tuple[dict[str, Wave], bytes | None]:
    call, tracks = material.call, material.tracks
    if call.duration_ns > LONGEST_WAVE_NS:
        return {tracks.caller.side: TOO_LONG, tracks.agent.side: TOO_LONG}, None
    pieces = tracks.settle()
    both = tracks.caller, tracks.agent
    sources = [open_source(track, call.path) for track in both]
    try:
        sides = (sources[0], pieces[0]), (sources[1], pieces[1])
        waves, sound = draw_and_record(sides, call.duration_ns, audio=audio, on_progress=on_progress)
    finally:
        for source in sources:
            if isinstance(source, Sidecar):
                source.close()
    found = {
        track.side: wave if wave.kind != "none" else _levels(track, placed, call.duration_ns)
        for track, placed, wave in zip(both, pieces, waves, strict=True)
    }
    return found, sound


def _levels(track: Track, pieces: list[Piece], duration_ns: int) -> Wave:
    if track.format is None or not track.levels:
        return NO_WAVE
    return wave_of_levels(track.levels, pieces, track.format.rate_hz, duration_ns)


def _wave(wave: Wave) -> dict[str, Any]:
    pyramid = [pybase64.b64encode_as_string(level) for level in wave.pyramid]
    return {"kind": wave.kind, "bin_ms": wave.bin_ms, "factor": FACTOR, "pyramid": pyramid}
