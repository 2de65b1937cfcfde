"""What the command ``report`` does: read a log, make its page, and write it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from voxpipe.analysis.report import content_of, gather, page_of
from voxpipe.analysis.slo import load_slo
from voxpipe.errors import ConfigError, RecordError
from voxpipe.log_commands import GATEWAY_LOG

PRIVATE = 0o640
"""As private as the log: it is what people said."""


def write_report(log: Path, output: Path | None, *, audio: bool, slo: Path | None, lenient: bool) -> int:
    """Write the page of a log and tell where it is; return the exit status."""
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
        with material:
            if material.call.accounts.gateway:
                raise ConfigError(str(log), GATEWAY_LOG)
            drawn = progress("drawing", material.call.duration_ns)
            page = page_of(content_of(material, limits, audio=audio, on_progress=drawn))
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
