"""The command ``voxpipe report``: a call as one page. Exit status: 0 it is written, 2 it could not run as asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from voxpipe.analysis.report import content_of, gather, page_of
from voxpipe.analysis.slo import load_slo
from voxpipe.cli_analysis import GATEWAY_LOG, Flag
from voxpipe.errors import ConfigError, RecordError

PRIVATE = 0o640
"""As private as the log: it is what people said."""


def register(app: App) -> None:
    """Add the command to the command."""
    app.command(report_command, name="report")


def report_command(
    log: Path,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    no_audio: Flag = False,
    slo: Path | None = None,
    lenient: Flag = False,
) -> int:
    """Write a call as one HTML page, to look at and to listen to; it needs no network and no other file.

    It shows the verdicts of `voxpipe check`, both sides' waveforms over time with turns, words, cuts, latencies and
    faults, the table of turns, and every event of the log. Audio comes from the two WAV files beside the log
    (log.audio = "sidecar") or from the log itself ("inline"); where there is none, levels are drawn. An hour's page has
    about 25 MB with audio and 2 MB without.

    Parameters
    ----------
    log
        Log of a call: ours, or a plain Realtime log.
    output
        File to write; by default the log's name with .html.
    no_audio
        Leave out the audio, not the waveforms.
    slo
        TOML file with the limits for the verdicts, as for `voxpipe check`.
    lenient
        Skip lines that are no records, and count them.
    """
    out = log.with_suffix(".html") if output is None else output
    if not log.is_file():
        raise ConfigError(str(log), "expected the log of a call, found " + ("a folder" if log.is_dir() else "no file"))
    if out.exists() and out.samefile(log):
        raise ConfigError("--output", f"expected another file than the log, got {out}")
    if not out.parent.is_dir():
        raise ConfigError("--output", f"expected a folder to write to, found none at {out.parent}")
    limits = load_slo(slo)
    with _progress() as progress:
        try:
            material = gather(log, lenient=lenient, on_progress=progress("reading", log.stat().st_size))
        except RecordError as error:
            raise ConfigError(str(log), f"{error} (--lenient skips such lines)") from error
        if material.call.accounts.gateway:
            raise ConfigError(str(log), GATEWAY_LOG)
        drawn = progress("drawing", material.call.duration_ns)
        page = page_of(content_of(material, limits, audio=not no_audio, on_progress=drawn))
    _write(out, page)
    Console(highlight=False).print(f"{out} ({len(page) / 1e6:.1f} MB)", markup=False, soft_wrap=True)
    return 0


def _write(path: Path, page: bytes) -> None:
    """Write the page beside its place and move it there, so that no half of one is ever found."""
    unfinished = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "wb") as file:
        file.write(page)
    unfinished.replace(path)


@contextmanager
def _progress() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
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
