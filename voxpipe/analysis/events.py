"""The neutral stream: what any log becomes before anything is made of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from voxpipe.audio import NS_PER_S

SENT, RECEIVED, LOCAL = "sent", "received", "local"


class LogEvent(NamedTuple):
    """One line of a log. A tuple, since an hour of a call has half a million of them.

    ``t_ns`` counts from the beginning of the log and never goes back. ``type`` is OpenAI's GA name where the event is a
    provider's or for one, whatever the log calls it; other names are the log's own. ``data`` is left as it was found.
    ``session`` numbers the sessions of a leg in our own logs; in a plain one, and for what is of no session, it is 1.
    """

    line_no: int
    t_ns: int
    direction: str
    type: str
    data: dict[str, Any]
    session: int = 1

    @property
    def time_s(self) -> float:
        """Seconds from the beginning of the log."""
        return self.t_ns / NS_PER_S


def dig(tree: Any, path: str) -> Any:
    """Return what is at ``a.b.c`` in nested tables, or ``None`` where there is no such place."""
    for key in path.split("."):
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree


def text_at(tree: Any, path: str) -> str | None:
    """Return the text at ``a.b.c``, or ``None`` where there is none."""
    value = dig(tree, path)
    return value if isinstance(value, str) else None


def count_at(tree: Any, path: str) -> int | None:
    """Return the number at ``a.b.c`` as a whole one, or ``None`` where there is none that is not below zero."""
    return as_count(dig(tree, path))


def as_count(value: Any) -> int | None:
    """Take a number that is not below zero as a whole one; anything else is ``None``."""
    if type(value) is int:  # which almost all are, a hundred a second
        return value if 0 <= value < 1 << 53 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 53:
        return None
    return int(value)
