"""What the command ``report`` does: read a log, make its page, and write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from voxpipe.analysis.legible import path_text
from voxpipe.analysis.report import Material, content_of, gather, page_of
from voxpipe.analysis.slo import load_slo
from voxpipe.command_files import refuse_place, write_whole
from voxpipe.errors import ConfigError
from voxpipe.log_commands import refuse_gateway, refusing

Begin = Callable[[str, int], Callable[[int], None]]
"""Begins a bar of that name and length; what it returns is told how much is done."""


def write_report(log: Path, output: Path | None, *, audio: bool, slo: Path | None, lenient: bool) -> int:
    """Write the page of a log and tell where it is; return the exit status."""
    out = log.with_suffix(".html") if output is None else output
    if log.is_dir() or not log.exists():
        raise ConfigError(str(log), "expected the log of a call, found " + ("a folder" if log.is_dir() else "no file"))
    refuse_place("--output", out, [log])
    limits = load_slo(slo)
    with page_progress() as progress, gather_call(log, lenient, progress) as material:
        drawn = progress("drawing", material.call.duration_ns)
        page = page_of(content_of(material, limits, audio=audio, on_progress=drawn))
    write_whole(out, [page])
    Console(highlight=False).print(f"{path_text(out)} ({len(page) / 1e6:.1f} MB)", markup=False, soft_wrap=True)
    return 0


def gather_call(log: Path, lenient: bool, progress: Begin) -> Material:
    """Read the log of a call with all that a timeline shows; ``ConfigError`` where it is none."""
    with refusing(log, lenient=lenient):
        material = gather(log, lenient=lenient, on_progress=progress(f"reading {log.name}", log.stat().st_size))
    try:
        refuse_gateway(material.call)
    except ConfigError:
        material.tracks.close()
        raise
    return material


@contextmanager
def page_progress() -> Iterator[Begin]:
    """Show how far it is, on standard error, where somebody looks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _what, _total: lambda _done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:

        def begin(what: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(what, total=max(1, total))
            return lambda done: bars.update(task, completed=done)

        yield begin
