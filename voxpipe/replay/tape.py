"""What came into a call, and when: read from its log and the audio beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs

from voxpipe.audio import AudioFormat
from voxpipe.config import Config, structure_config
from voxpipe.dialects import get_dialect
from voxpipe.errors import ConfigError, RecordError
from voxpipe.sansio.audiosocket import HANGUP, KIND_DTMF, KIND_ERROR, KIND_UUID, KINDS
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.records import REDACTED, Record, parse_line
from voxpipe.wav import read_payload

GATEWAY_DRAINS = "gateway drains"


class NotReplayable(RecordError):
    """A log that does not hold what a replay needs."""


@attrs.frozen
class Input:
    """Something that came in at a time of the call; ``payload`` is a message, or ``None`` for the end of them."""

    t_ns: int
    payload: bytes | str | None = attrs.field(repr=False)


@attrs.define
class TapedConnection:
    """One connection to the provider: when it was open, what came, and how it ended if the provider ended it."""

    opened_ns: int | None = None
    failed_ns: int | None = None
    messages: list[Input] = attrs.field(factory=list)
    closed: tuple[int, int, str] | None = None
    """When, with what code, for what reason."""


@attrs.frozen
class TapedTool:
    """One call of a program's own tool: what was told the model, when; ``error`` is the name of what it raised."""

    name: str
    call_id: str
    ended_ns: int | None
    output: str
    error: str | None
    replies: bool


@attrs.frozen
class Request:
    """What a program asked of the running call: ``say``, ``instruct`` or ``hang_up``."""

    t_ns: int
    what: str
    text: str


@attrs.frozen(kw_only=True)
class Tape:
    """All that came into a call."""

    uuid: UUID
    config: Config
    records: tuple[Record, ...]
    line_nos: tuple[int, ...]
    phone: tuple[Input, ...]
    connections: tuple[TapedConnection, ...]
    tools: tuple[TapedTool, ...]
    schemas: tuple[dict[str, Any], ...]
    requests: tuple[Request, ...]
    drained_ns: int | None
    frames_ns: tuple[int, ...]
    """When each frame of the agent's was written."""


def read_tape(path: Path) -> Tape:
    """Read a log of ours with its sidecar files; ``NotReplayable`` says what is missing, and on which line."""
    numbered = list(_read(path))
    if not numbered:
        raise NotReplayable(1, "expected a log, got none")
    line_nos, records = (tuple(column) for column in zip(*numbered, strict=True))
    started = records[0]
    if started.event_type != "leg.started" or "config" not in started.event_data:
        raise NotReplayable(1, f"expected leg.started with the configuration, got {started.event_type}")
    if started.event_data["config"]["log"]["audio"] == "digest" and any(_audio(record) for record in records):
        raise NotReplayable(1, 'expected audio beside the log (log.audio = "sidecar") or in it, got digests only')
    try:
        config = structure_config(started.event_data["config"])
    except ConfigError as error:
        raise NotReplayable(1, f"expected a configuration this version knows: {error}") from error
    dialect = get_dialect(config.provider.dialect)
    audio = _Audio(path)
    uuid = UUID(str(started.leg))
    return Tape(
        uuid=uuid,
        config=config,
        records=records,
        line_nos=line_nos,
        phone=tuple(_phone(uuid, records, audio)),
        connections=tuple(_connections(records, dialect, audio)),
        tools=tuple(_tools(records, set(config.tools.builtin))),
        schemas=_schemas(records),
        requests=tuple(_requests(records)),
        drained_ns=_drained_ns(records),
        frames_ns=tuple(r.t_ns for r in records if r.event_type == "audiosocket.sent"),
    )


def _read(path: Path) -> Iterator[tuple[int, Record]]:
    lines = path.read_bytes().splitlines(keepends=True)
    for line_no, line in enumerate(lines, 1):
        if line_no == len(lines) and not line.endswith(b"\n"):
            return  # torn by the end of the process
        yield line_no, parse_line(line, line_no)


def _audio(record: Record) -> bool:
    return record.event_type == "audiosocket.received" and record.event_data.get("message_type") == "audio"


class _Audio:
    """The audio of a log, wherever it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sides: dict[str, memoryview] = {}

    def of(self, evidence: Any, side: str, sample_bytes: int) -> bytes:
        """Return the audio a record stands for; of what nobody kept, since it was refused, only the length."""
        if isinstance(evidence, str):
            return base64.b64decode(evidence)
        if "offset_samples" not in evidence:
            return bytes(evidence["bytes"])
        if side not in self._sides:
            self._sides[side] = read_payload(self._path.with_suffix(f".{side}.wav"))
        start = evidence["offset_samples"] * sample_bytes
        piece = bytes(self._sides[side][start : start + evidence["bytes"]])
        if len(piece) < evidence["bytes"]:
            raise NotReplayable(1, f"expected {evidence['bytes']} bytes at {start} of the {side}, got {len(piece)}")
        return piece


def _message(kind: int, payload: bytes) -> bytes:
    return bytes((kind,)) + len(payload).to_bytes(2, "big") + payload


def _phone(uuid: UUID, records: tuple[Record, ...], audio: _Audio) -> Iterator[Input]:
    yield Input(0, _message(KIND_UUID, uuid.bytes))
    learnt = next((r for r in records if r.event_type == "leg.format"), None)
    format_ = None if learnt is None else AudioFormat.parse(learnt.event_data["uplink"])
    for record in records:
        data, t_ns = record.event_data, record.t_ns
        if record.event_type == "audiosocket.closed":
            yield Input(t_ns, None)
        elif record.event_type == "audiosocket.received":
            match data["message_type"]:
                case "audio":
                    assert format_ is not None
                    yield Input(t_ns, _message(KINDS[format_], audio.of(data["audio"], "uplink", format_.sample_bytes)))
                case "dtmf":
                    if data["digit"] == REDACTED:
                        raise NotReplayable(
                            1, "expected the caller's digits in the log (digits.log), got them redacted"
                        )
                    yield Input(t_ns, _message(KIND_DTMF, data["digit"].encode()))
                case "hangup":
                    yield Input(t_ns, HANGUP)
                case "error":
                    yield Input(t_ns, _message(KIND_ERROR, bytes((data["code"],))))
                case "unknown":
                    yield Input(t_ns, _message(int(data["kind"], 16), bytes(data["length"])))


def _connections(records: tuple[Record, ...], dialect: Dialect, audio: _Audio) -> list[TapedConnection]:
    found: dict[int, TapedConnection] = {}
    for record in records:
        number = record.session or 1
        if record.event_type == "connection.opening":
            found[number] = TapedConnection()
        connection = found.get(number)
        if connection is None:
            continue
        data = record.event_data
        if record.event_type == "connection.opened":
            connection.opened_ns = record.t_ns
        elif record.event_type == "session.failed" and connection.opened_ns is None:
            connection.failed_ns = record.t_ns
        elif record.event_type == "connection.closed":
            connection.closed = (record.t_ns, data["code"], data["reason"])
        elif record.direction == "received" and data.get("type") == record.event_type:
            connection.messages.append(Input(record.t_ns, _wire(record, dialect, audio)))
    return list(found.values())


def _wire(record: Record, dialect: Dialect, audio: _Audio) -> str:
    data = dict(record.event_data)
    key = dialect.audio_keys.get(record.event_type)
    if key is not None and key in data:
        data[key] = base64.b64encode(audio.of(data[key], "downlink", _sample_bytes(data[key]))).decode()
    return dialect.serialize(data)


def _sample_bytes(evidence: Any) -> int:
    if not isinstance(evidence, dict) or not evidence.get("duration_ms"):
        return 1
    # Linear audio has 48 bytes a millisecond at 24 kHz, G.711 has 8.
    return 2 if evidence["bytes"] / evidence["duration_ms"] > 12 else 1


def _tools(records: tuple[Record, ...], builtin: set[str]) -> Iterator[TapedTool]:
    ends = {
        record.event_data["call_id"]: record
        for record in records
        if record.event_type in ("tool.answered", "tool.failed", "tool.cancelled")
    }
    for record in records:
        data = record.event_data
        if record.event_type != "tool.called" or data["name"] in builtin:
            continue
        end = ends.get(data["call_id"])
        ended_ns = None if end is None or end.event_type == "tool.cancelled" else end.t_ns
        told = {} if end is None else end.event_data
        text = told.get("output", told.get("message", ""))
        yield TapedTool(data["name"], data["call_id"], ended_ns, text, told.get("error"), data["replies"])


def _schemas(records: tuple[Record, ...]) -> tuple[dict[str, Any], ...]:
    update = next((r for r in records if r.event_type == "session.update" and r.direction == "sent"), None)
    return () if update is None else tuple(update.event_data["session"].get("tools", ()))


def _requests(records: tuple[Record, ...]) -> Iterator[Request]:
    for record in records:
        if record.event_type.startswith("control."):
            what = record.event_type.partition(".")[2]
            yield Request(record.t_ns, what, record.event_data.get("text", ""))


def _drained_ns(records: tuple[Record, ...]) -> int | None:
    return next(
        (
            record.t_ns
            for record in records
            if record.event_type in ("session.draining", "session.closed")
            and record.event_data.get("because") == GATEWAY_DRAINS
        ),
        None,
    )
