"""Files that a command writes: whole or not at all, and never in the place of what it reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
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
