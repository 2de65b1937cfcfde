"""What a command writes: files whole or not at all, never in the place of what it reads, and its standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from voxpipe.errors import ConfigError

PRIVATE = 0o640
"""As private as a log: it is what people said."""
SHARED = 0o666
"""Whatever the process lets others see: it goes to another program."""


def refuse_place(option: str, out: Path, logs: Sequence[Path]) -> None:
    """Refuse a place where a log would be overwritten, or nothing can be written, before anything is read."""
    if out.exists() and any(log.exists() and out.samefile(log) for log in logs):
        raise ConfigError(option, f"expected another file than the log, got {out}")
    if out.is_dir():
        raise ConfigError(option, f"expected a file to write to, got the folder {out}")
    if not out.parent.is_dir():
        raise ConfigError(option, f"expected a folder to write to, found none at {out.parent}")


def write_whole(path: Path, parts: Iterable[bytes], mode: int = PRIVATE) -> None:
    """Write beside the place and move it there, so that no half of a file is ever found.

    What is no file, such as a pipe or ``/dev/stdout``, is written to as it is. ``OSError`` where that cannot be done.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            stream.writelines(parts)
        return
    path = path.resolve()  # what a link points to is replaced, not the link
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.writelines(parts)
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


@contextmanager
def for_readers() -> Iterator[None]:
    """Write to standard output for as long as somebody reads it: with ``| head`` the rest goes to nobody."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        let_go()


def let_go() -> None:
    """Send the rest of standard output nowhere, so that its end is no error of the interpreter's either."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
