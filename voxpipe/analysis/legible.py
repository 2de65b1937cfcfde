"""Text from a log as it may be shown: what a peer said must not steer a terminal, break a line or a file."""

from __future__ import annotations

import os


def legible(text: str, longest: int = 0) -> str:
    """Return a line of printable text; with ``longest``, cut off to so many letters, and said to be."""
    line = " ".join(text.split())
    line = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in line)
    return line if not longest or len(line) <= longest else f"{line[: longest - 3]}..."


def path_text(path: str | os.PathLike[str]) -> str:
    """Return a path as text that JSON can hold: bytes of a name that are not UTF-8 stand as ``\\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
