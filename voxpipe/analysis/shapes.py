"""The shapes of a log's lines: our own schema, and plain Realtime logs as others write them.

====================== ==============================================================================================
shape                  keys of a line
====================== ==============================================================================================
voxpipe                ``timestamp event_type event_data`` and ``v seq t_ns leg direction`` (``sansio/records.py``)
plain (event_type)     ``timestamp event_type event_data``, and whatever else
plain (eventType)      ``timestamp eventType eventData``, and whatever else
====================== ==============================================================================================

A plain log has neither direction nor monotonic time: the first is told by the event's name, the second by timestamps,
with or without a zone, which are not let go back. Without one they are of any zone, which may not be that of the others
in the same log, and which changes by an hour in an autumn night.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson

from voxpipe.analysis.events import LOCAL, LogEvent
from voxpipe.analysis.spelling import APPEND, NEW_NAMES, read_name
from voxpipe.errors import RecordError
from voxpipe.sansio.records import SCHEMA_VERSION, parse_line

LONGEST_NS = 1 << 62
"""146 years. A time beyond that is none, and no JSON could hold the sums."""
ZONES = timedelta(minutes=15)
"""Zones differ by multiples of this."""
FARTHEST_ZONES = timedelta(hours=26)
DIRECTIONS = frozenset({"sent", "received", "local"})


class Shape(Protocol):
    """How the lines of one log are read, and what they told besides."""

    name: str
    missing_lines: int
    steps_back: int

    def read(self, tree: dict[str, Any], line_no: int) -> LogEvent:
        """Read one line; ``RecordError`` when it is none of this shape."""


class OwnShape:
    """The lines of our own logs. ``missing_lines`` counts the numbers that are missing in ``seq``."""

    name = "voxpipe"

    def __init__(self) -> None:
        self.missing_lines = 0
        self.steps_back = 0
        self._next_seq = 0
        self._t_ns = self._told_ns = 0

    def read(self, tree: dict[str, Any], line_no: int) -> LogEvent:
        """See ``Shape``."""
        seq, t_ns, data = tree.get("seq"), tree.get("t_ns"), tree.get("event_data")
        name, direction, leg = tree.get("event_type"), tree.get("direction"), tree.get("leg")
        # What cattrs would check, in a tenth of its time; it is asked only for the words of a refusal.
        if (
            type(seq) is not int
            or type(t_ns) is not int
            or type(name) is not str
            or type(data) is not dict
            or type(tree.get("timestamp")) is not str
            or direction not in DIRECTIONS
            or not (leg is None or type(leg) is str)
            or tree.get("v") != SCHEMA_VERSION
        ):
            parse_line(orjson.dumps(tree), line_no)
            raise RecordError(line_no, "expected a record of our schema, got a value of another type")
        if abs(t_ns) > LONGEST_NS:
            raise RecordError(line_no, f"expected t_ns in nanoseconds since the call began, got {t_ns}")
        if seq > self._next_seq:
            self.missing_lines += seq - self._next_seq
        self._next_seq = seq + 1
        if t_ns < self._told_ns:
            self.steps_back += 1
        self._told_ns = t_ns
        self._t_ns = t_ns = max(t_ns, self._t_ns)
        session = tree.get("session")
        number = session if type(session) is int else 1
        return LogEvent(line_no, t_ns, direction, NEW_NAMES.get(name, name), data, number)


class PlainShape:
    """The lines of a plain Realtime log. ``steps_back`` counts where its clock went back."""

    def __init__(self, type_key: str, data_key: str) -> None:
        self.name = f"plain ({type_key})"
        self.missing_lines = 0
        self.steps_back = 0
        self._type_key = type_key
        self._data_key = data_key
        self._start: datetime | None = None
        self._told: datetime | None = None
        self._shifts: dict[bool, timedelta] = {}
        """What brings stamps with a zone, and those without, onto one clock."""
        self._t_ns = self._told_ns = 0
        self._append_name = ""

    def read(self, tree: dict[str, Any], line_no: int) -> LogEvent:
        """See ``Shape``."""
        name, data = tree.get(self._type_key), tree.get(self._data_key)
        if not isinstance(name, str):
            raise RecordError(line_no, f"expected {self._type_key} to be text, got {name!r:.80}")
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise RecordError(line_no, f"expected {self._data_key} to be a table, got {data!r:.80}")
        event_type, direction = read_name(name)
        if event_type == APPEND:
            self._append_name = self._append_name or name
            if name != self._append_name:  # one chunk told under two names is still one
                event_type, direction = f"again.{name}", LOCAL
        if event_type == "session.update" and "session" not in data:
            data = {"session": data}  # a client that logs the configuration without the message around it
        return LogEvent(line_no, self._read_time(tree.get("timestamp"), line_no), direction, event_type, data)

    def _read_time(self, stamp: Any, line_no: int) -> int:
        try:
            time = datetime.fromisoformat(stamp)
        except (ValueError, TypeError):
            raise RecordError(line_no, f"expected timestamp in ISO 8601, got {stamp!r:.80}") from None
        try:
            time = self._place(time)
        except OverflowError:
            raise RecordError(line_no, f"expected a timestamp of our days, got {stamp!r:.80}") from None
        if self._start is None:
            self._start = time
        t_ns = (time - self._start) // timedelta(microseconds=1) * 1000
        if t_ns > LONGEST_NS:
            raise RecordError(line_no, f"expected a timestamp near the first one, {self._start}, got {stamp!r:.80}")
        if t_ns < self._told_ns:
            self.steps_back += 1
        self._told_ns = t_ns
        self._t_ns = max(t_ns, self._t_ns)
        return self._t_ns

    def _place(self, time: datetime) -> datetime:
        """Put a stamp on the clock of the first one: whichever zone it is of, only differences are used."""
        zoned = time.tzinfo is not None
        if not zoned:
            time = time.replace(tzinfo=UTC)
        before = self._told if self._told is not None else time
        shift = self._shifts.get(zoned, timedelta())
        step = time + shift - before
        # A line is written soon after the one before; what is hours from it is of another zone.
        suspect = zoned not in self._shifts or (not zoned and step < -ZONES / 2)
        if suspect and abs(step) <= FARTHEST_ZONES:
            shift -= round(step / ZONES) * ZONES
        self._shifts[zoned] = shift
        self._told = time + shift
        return self._told


def recognise(tree: dict[str, Any], line_no: int) -> Shape:
    """Tell a log's shape by the keys of its first line; ``RecordError`` for any other."""
    if "v" in tree and "t_ns" in tree:
        return OwnShape()
    for type_key, data_key in (("event_type", "event_data"), ("eventType", "eventData")):
        if type_key in tree and "timestamp" in tree:
            return PlainShape(type_key, data_key)
    keys = ", ".join(map(repr, list(tree)[:8])) or "none"
    raise RecordError(line_no, f"expected the keys timestamp and event_type or eventType, got {keys:.200}")
