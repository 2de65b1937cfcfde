"""The raw events for a page's table: each as it is in the log, but a hundred audio frames a second folded into runs.

A run is audio of one type and direction; it ends at the next event which is none, so that the order of rows is the
order of the log. What would make the page too large is left out and said to be: the log has it all.
"""

from __future__ import annotations

from typing import Any

import attrs
import orjson

from voxpipe.analysis.events import LOCAL, RECEIVED, SENT, LogEvent
from voxpipe.analysis.spelling import APPEND, AUDIO_KEYS, DELTA, NO_AUDIO, audio_bytes, leg_message

DIRECTIONS = (RECEIVED, SENT, LOCAL)
FOLDED = {
    "audiosocket.received": "audio",
    "audiosocket.sent": "audio",
    APPEND: AUDIO_KEYS[APPEND],
    DELTA: AUDIO_KEYS[DELTA],
    "audio.level": "",
    "playout.silence": "",
}
"""What is folded, with the key of its audio."""
LONGEST_TEXT = 2_000
LONGEST_LIST = 100
DEEPEST = 12
MAX_DATA_BYTES = 8 * 1024 * 1024
"""Events beyond this are listed without their data."""
MAX_ROWS = 150_000


@attrs.define
class Run:
    """Audio frames of one type."""

    line_no: int
    t_ns: int
    direction: str
    type: str
    last_line: int
    last_ns: int
    count: int = 0
    bytes: int = 0


class EventRows:
    """Takes every event; ``to_json`` gives the table."""

    def __init__(self) -> None:
        self._rows: list[list[Any]] = []
        self._names: dict[str, int] = {}
        self._runs: dict[tuple[str, str], Run] = {}
        self._data_bytes = 0
        self.left_out = 0
        """Rows beyond the largest number of them."""

    def take(self, event: LogEvent) -> None:
        """Take one event."""
        key = FOLDED.get(event.type)
        if key is None or (key == "audio" and leg_message(event.data) in NO_AUDIO):
            self._close()
            self._add(event.line_no, event.t_ns, event.direction, event.type, self._write(event.data))
            return
        place = event.direction, event.type
        run = self._runs.get(place)
        if run is None:
            run = self._runs[place] = Run(event.line_no, event.t_ns, *place, event.line_no, event.t_ns)
        run.count += 1
        run.last_line, run.last_ns = event.line_no, event.t_ns
        if key:
            run.bytes += audio_bytes(event.data, key) or 0

    def to_json(self) -> dict[str, Any]:
        """Return the table: names of types, and rows.

        A row is line, microseconds, direction, type and data as JSON text; that of a run has, in place of the data, how
        many it is, its bytes, its last line and the microseconds of that.
        """
        self._close()
        return {
            "directions": list(DIRECTIONS),
            "types": list(self._names),
            "rows": self._rows,
            "left_out": self.left_out,
        }

    def _close(self) -> None:
        for run in self._runs.values():
            tail = [run.count, run.bytes, run.last_line, run.last_ns // 1000]
            self._add(run.line_no, run.t_ns, run.direction, run.type, tail)
        self._runs.clear()

    def _add(self, line_no: int, t_ns: int, direction: str, name: str, content: str | list[int] | None) -> None:
        if len(self._rows) >= MAX_ROWS:
            self.left_out += 1
            return
        number = self._names.setdefault(name, len(self._names))
        self._rows.append([line_no, t_ns // 1000, DIRECTIONS.index(direction), number, content])

    def _write(self, data: dict[str, Any]) -> str | None:
        if self._data_bytes > MAX_DATA_BYTES:
            return None
        text = orjson.dumps(abridge(data), option=orjson.OPT_NON_STR_KEYS)
        self._data_bytes += len(text)
        return text.decode()


def abridge(value: Any, depth: int = DEEPEST) -> Any:
    """Copy JSON data with what is very long or deep cut off, and said to be."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}… ({len(value)} characters)"
    if isinstance(value, dict):
        if not depth:
            return "… (nested deeper)"
        shown = {name: abridge(item, depth - 1) for name, item in list(value.items())[:LONGEST_LIST]}
        return shown if len(value) <= LONGEST_LIST else {**shown, "…": f"{len(value)} keys"}
    if isinstance(value, list):
        if not depth:
            return "… (nested deeper)"
        shown_items = [abridge(item, depth - 1) for item in value[:LONGEST_LIST]]
        return shown_items if len(value) <= LONGEST_LIST else [*shown_items, f"… ({len(value)} in all)"]
    return value
