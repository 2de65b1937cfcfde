"""A call as one row of a table of thousands: the columns, which are stable, and how a row is made of a log.

``COLUMNS`` is the whole schema; ``voxpipe index --schema`` prints it. A column may be added without another
``SCHEMA_VERSION``, which goes up when one is renamed, goes away or means something else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
import orjson

from voxpipe.analysis.call import Call, CallAccounts, take_all
from voxpipe.analysis.checks import check, faults
from voxpipe.analysis.configuration import UNKNOWN, SessionFacts, describe_format
from voxpipe.analysis.events import LogEvent, text_at
from voxpipe.analysis.latency import PART_WORDS, PARTS, Distribution
from voxpipe.analysis.legible import legible
from voxpipe.analysis.overview import LATENCY_WORDS, latencies
from voxpipe.analysis.reader import MAX_LINE_BYTES, LogReader
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.verdict import FAILS, Verdict
from voxpipe.audio import NS_PER_S
from voxpipe.errors import RecordError

SCHEMA_VERSION = 1
GATEWAY_LOG = "expected the log of a call, got that of a gateway"
LONGEST_TEXT = 500
MAX_BIGINT = (1 << 63) - 1
SUCCESSIONS = ("session.lost", "session.recovered", "session.renewed")
READ_BY = ("voxpipe.analysis", "voxpipe.dialects")
"""The packages that decide what a row says."""


@attrs.frozen
class Reading:
    """How logs are read and judged. ``version`` tells whether a row would come out the same today."""

    slo: Slo = attrs.field(factory=Slo)
    lenient: bool = False

    @property
    def version(self) -> str:
        """The release, and a digest of the code that reads and of these settings: a new one makes every row anew."""
        return _version(self)


@attrs.frozen
class LogFile:
    """A log as the folder lists it. The same path, size and time of change are taken for the same content."""

    path: str
    """Absolute; bytes that are not UTF-8 stand as ``\\xff``."""
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> LogFile:
        """Look at a file; ``OSError`` when there is none."""
        found = path.stat()
        name = os.path.abspath(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return cls(name, found.st_size, found.st_mtime_ns)


@attrs.frozen
class Source:
    """All that a row is made of."""

    file: LogFile
    reading: Reading
    call: Call
    leg: str | None
    dialect: str | None
    successions: dict[str, int]
    latencies: dict[str, Distribution]
    verdicts: list[Verdict]


Value = Callable[[Source], Any]


@attrs.frozen
class Column:
    """One column: name, SQL type, unit (empty: none), what it means, and how its value is found."""

    name: str
    type: str
    unit: str
    meaning: str
    value: Value = attrs.field(repr=False, eq=False)


def read_row(path: Path, reading: Reading) -> dict[str, Any]:
    """Read one log and make its row, as JSON data. ``RecordError`` where it is no log of a call; ``OSError``."""
    file = LogFile.of(path)
    reader, accounts = LogReader(path, lenient=reading.lenient), CallAccounts()
    noted = _Noted()
    take_all(noted.pass_on(reader), accounts)
    if accounts.gateway:
        raise RecordError(1, GATEWAY_LOG)
    call = Call(reader, accounts)
    source = Source(
        file=file,
        reading=reading,
        call=call,
        leg=_leg_of(path) if call.own else None,
        dialect=noted.dialect,
        successions=noted.successions,
        latencies=latencies(call),
        verdicts=check(call, reading.slo),
    )
    return {column.name: _fitting(column.value(source)) for column in COLUMNS}


def _fitting(value: Any) -> Any:
    return min(value, MAX_BIGINT) if type(value) is int else value  # a peer may count as far as it likes


class _Noted:
    """What the accounts of a call do not keep."""

    def __init__(self) -> None:
        self.dialect: str | None = None
        self.successions = dict.fromkeys(SUCCESSIONS, 0)

    def pass_on(self, events: Iterable[LogEvent]) -> Iterator[LogEvent]:
        for event in events:
            if event.type in self.successions:
                self.successions[event.type] += 1
            elif event.type == "leg.started":
                self.dialect = text_at(event.data, "dialect")
            yield event


def _leg_of(path: Path) -> str | None:
    """The leg that the first good line names."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            try:
                return _text(text_at(orjson.loads(line), "leg"))
            except orjson.JSONDecodeError:
                continue  # a lenient reader has skipped it, too
    return None


# --- values -----------------------------------------------------------------------------------------------------------


def _text(words: str | None) -> str | None:
    return None if words in (None, "", UNKNOWN) else legible(str(words), LONGEST_TEXT)


def _began(source: Source) -> str | None:
    try:
        began = datetime.fromisoformat(source.call.started_at)
    except ValueError:
        return None
    with suppress(OverflowError):  # in the first or the last hours of the calendar
        began = began if began.tzinfo is None else began.astimezone(UTC)
    # What has no zone is taken for UTC, as the reader of plain logs takes it.
    return began.replace(tzinfo=None).isoformat(" ")


def _model(source: Source) -> str | None:
    configuration = source.call.accounts.configuration
    told = (configuration.confirmed, configuration.requested, configuration.defaults)
    return next((model for facts in told if facts is not None and (model := _text(facts.model))), None)


def _session_format(which: str, side: str) -> Value:
    def value(source: Source) -> str | None:
        facts: SessionFacts | None = getattr(source.call.accounts.configuration, which)
        return None if facts is None else _text(str(describe_format(getattr(facts, side))["name"]))

    return value


def _leg_format(index: int) -> Value:
    def value(source: Source) -> str | None:
        format_ = (source.call.accounts.leg_uplink, source.call.accounts.leg_downlink)[index].format
        return None if format_ is None else format_.name

    return value


def _latency(name: str, figure: str) -> Value:
    return lambda source: getattr(source.latencies[name], figure)


def _own(value: Value) -> Value:
    """What a plain log would not tell of is unknown there, not none."""
    return lambda source: value(source) if source.call.own else None


def _loss(name: str) -> Value:
    return _own(lambda source: source.call.accounts.troubles.losses[name].total)


def _successions(name: str) -> Value:
    return _own(lambda source: source.successions[name])


def _tokens(name: str) -> Value:
    return lambda source: source.call.accounts.agent.tokens.sums.get(name)


def _interruptions(source: Source) -> int:
    return len(source.call.accounts.interruptions.found)


def _has_summary(source: Source) -> bool:
    return source.call.accounts.summary is not None


def _errors(source: Source) -> list[dict[str, Any]]:
    harmful = [trouble for trouble in source.call.troubles if not trouble.harmless]
    return [{"kind": one.kind, "code": _text(one.code), "count": one.count} for one in harmful]


def _failed(source: Source) -> list[str]:
    return [f"{verdict.group}: {verdict.name}" for verdict in source.verdicts if verdict.status == FAILS]


def _latency_columns() -> list[Column]:
    columns = []
    for name in ("turn", "answer", "first_audio", "barge_in", "tool", *PARTS):
        words = (LATENCY_WORDS | PART_WORDS)[name].partition(" (")[0]
        columns += [
            Column(f"{name}_median_ms", "DOUBLE", "ms", f"median of: {words}", _latency(name, "median_ms")),
            Column(f"{name}_p95_ms", "DOUBLE", "ms", f"p95 of: {words}", _latency(name, "p95_ms")),
        ]
    return columns


ERRORS_TYPE = "STRUCT(kind VARCHAR, code VARCHAR, count BIGINT)[]"
COLUMNS: Sequence[Column] = (
    Column("log", "VARCHAR", "", "absolute path of the log", lambda s: s.file.path),
    Column("leg", "VARCHAR", "", "UUID of the call", lambda s: s.leg),
    Column("began", "TIMESTAMP", "UTC", "time of the first record", _began),
    Column("lasted_s", "DOUBLE", "s", "from the first record to the last", lambda s: s.call.duration_ns / NS_PER_S),
    Column("because", "VARCHAR", "", "why the call ended", lambda s: _text(s.call.accounts.because)),
    Column("shape", "VARCHAR", "", "shape of the log: voxpipe, or a plain one", lambda s: s.call.shape),
    Column("dialect", "VARCHAR", "", "dialect of the provider", lambda s: _text(s.dialect)),
    Column("model", "VARCHAR", "", "model, as confirmed or else as asked for", _model),
    Column("leg_uplink", "VARCHAR", "", "format from the caller", _leg_format(0)),
    Column("leg_downlink", "VARCHAR", "", "format to the caller", _leg_format(1)),
    Column(
        "requested_uplink", "VARCHAR", "", "format asked for, to the provider", _session_format("requested", "uplink")
    ),
    Column(
        "requested_downlink",
        "VARCHAR",
        "",
        "format asked for, from the provider",
        _session_format("requested", "downlink"),
    ),
    Column(
        "confirmed_uplink", "VARCHAR", "", "format confirmed, to the provider", _session_format("confirmed", "uplink")
    ),
    Column(
        "confirmed_downlink",
        "VARCHAR",
        "",
        "format confirmed, from the provider",
        _session_format("confirmed", "downlink"),
    ),
    Column("ack_ms", "DOUBLE", "ms", "longest time to an acknowledgement", _latency("acknowledgement", "max_ms")),
    Column("sessions", "BIGINT", "", "sessions the provider opened", lambda s: s.call.accounts.configuration.sessions),
    Column("sessions_lost", "BIGINT", "", "sessions lost in mid-call", _successions("session.lost")),
    Column(
        "sessions_recovered", "BIGINT", "", "losses that another session made good", _successions("session.recovered")
    ),
    Column("sessions_renewed", "BIGINT", "", "sessions replaced before their limit", _successions("session.renewed")),
    Column("caller_turns", "BIGINT", "", "turns of the caller", lambda s: len(s.call.accounts.caller.turns)),
    Column("agent_turns", "BIGINT", "", "turns of the agent", lambda s: len(s.call.accounts.agent.turns)),
    Column("interruptions", "BIGINT", "", "times the caller spoke over the agent", _interruptions),
    Column("turns_timed", "BIGINT", "", "caller's turns whose latency is known", _latency("turn", "count")),
    *_latency_columns(),
    Column("underruns", "BIGINT", "", "times an answer ran dry while it was played", _loss("playout.underrun")),
    Column(
        "dropped_uplink_frames", "BIGINT", "frames", "caller audio dropped before it was sent", _loss("uplink.overrun")
    ),
    Column("overrun_bytes", "BIGINT", "bytes", "agent audio that found no room to wait", _loss("playout.overrun")),
    Column(
        "refused_bytes", "BIGINT", "bytes", "agent audio refused before the acknowledgement", _loss("audio.refused")
    ),
    Column("stale_bytes", "BIGINT", "bytes", "agent audio of answers already cut", _loss("audio.stale")),
    Column("slipped_ns", "BIGINT", "ns", "time by which the playout's clock was set anew", _loss("playout.slip")),
    Column("records_lost", "BIGINT", "", "records that found no room in the log", _loss("records.lost")),
    Column(
        "error_count", "BIGINT", "", "errors, harmless ones aside", lambda s: sum(one["count"] for one in _errors(s))
    ),
    Column("errors", ERRORS_TYPE, "", "the same by event and code", _errors),
    Column("failed", "VARCHAR[]", "", "checks that fail, as group: name", _failed),
    Column("faults", "VARCHAR[]", "", "classic faults found, the root first", lambda s: faults(s.verdicts)),
    Column("tokens", "BIGINT", "tokens", "tokens in all", _tokens("total_tokens")),
    Column("input_tokens", "BIGINT", "tokens", "tokens in", _tokens("input_tokens")),
    Column("output_tokens", "BIGINT", "tokens", "tokens out", _tokens("output_tokens")),
    Column("lines", "BIGINT", "", "lines of the log", lambda s: s.call.lines),
    Column("skipped_lines", "BIGINT", "", "lines that are no records (--lenient)", lambda s: s.call.skipped),
    Column("torn", "BOOLEAN", "", "whether the last line is torn", lambda s: s.call.torn),
    Column("complete", "BOOLEAN", "", "whether the log has its summary", _own(_has_summary)),
    Column("size_bytes", "BIGINT", "bytes", "size of the log when it was read", lambda s: s.file.size_bytes),
    Column("mtime_ns", "BIGINT", "ns", "its time of change, since 1970", lambda s: s.file.mtime_ns),
    Column("reader", "VARCHAR", "", "what has read and judged it", lambda s: s.reading.version),
)
"""Null is what a log does not tell."""


@cache
def _version(reading: Reading) -> str:
    settings = repr((SCHEMA_VERSION, reading.slo, reading.lenient))
    sources = [
        source.read_bytes()
        for package in READ_BY
        for source in sorted(files(package).iterdir(), key=lambda one: one.name)
        if source.name.endswith(".py")
    ]
    digest = hashlib.blake2b(digest_size=6)
    for part in (*sources, settings.encode()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"{version('voxpipe')}+{digest.hexdigest()}"
