"""What came into a call, and when: read from its log and the audio beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs

from voxpipe.audio import AudioFormat
from voxpipe.config import Config, structure_config
from voxpipe.dialects import get_dialect
from voxpipe.errors import AudioError, ConfigError, RecordError
from voxpipe.sansio.audiosocket import HANGUP, KIND_DTMF, KIND_ERROR, KIND_UUID, KINDS
from voxpipe.sansio.dialect import Dialect, View
from voxpipe.sansio.records import REDACTED, Record, parse_line
from voxpipe.wav import read_payload

SUMMARY = "leg.summary"
GATEWAY_DRAINS = "gateway drains"
Numbered = Sequence[tuple[int, Record]]
"""Records with the numbers of their lines."""


class NotReplayable(RecordError):
    """A log that does not hold what a replay needs."""


@attrs.frozen
class PhoneSent:
    """The caller's side sent a message, or closed the leg (``None``)."""

    message: bytes | None = attrs.field(repr=False)


@attrs.frozen
class ProviderSent:
    """The provider sent a message in its connection of that number."""

    connection: int
    message: str | bytes = attrs.field(repr=False)


@attrs.frozen
class ProviderClosed:
    """The provider closed a connection."""

    connection: int
    code: int
    reason: str


@attrs.frozen
class ToolEnded:
    """A call of a program's own tool had its result; ``error`` is the name of what it raised."""

    call_id: str
    output: str
    error: str | None


@attrs.frozen
class Requested:
    """A program asked something of the running call: ``say``, ``instruct``, ``hang_up`` or ``play``."""

    what: str
    text: str


@attrs.frozen
class Drained:
    """The gateway was told to drain."""


Event = PhoneSent | ProviderSent | ProviderClosed | ToolEnded | Requested | Drained


@attrs.frozen
class Input:
    """Something that came in, when, and where it stood among what happened at one instant."""

    t_ns: int
    seq: int
    event: Event


@attrs.define
class TapedConnection:
    """When a connection was open, or when it had failed to open."""

    opened_ns: int | None = None
    failed_ns: int | None = None


@attrs.frozen
class TapedTool:
    """One call of a program's own tool; ``ends`` is false for one that was cancelled."""

    name: str
    call_id: str
    replies: bool
    ends: bool


@attrs.frozen(kw_only=True)
class Tape:
    """All that came into a call."""

    uuid: UUID
    config: Config
    records: tuple[Record, ...]
    line_nos: tuple[int, ...]
    inputs: tuple[Input, ...]
    connections: tuple[TapedConnection, ...]
    tools: tuple[TapedTool, ...]
    schemas: tuple[dict[str, Any], ...]
    frames_ns: tuple[int, ...]
    """When each frame of the agent's was written."""
    in_flight: frozenset[int]
    """The frames that were on their way when the playout was cut or held: taken before, and written after it."""
    stops_ns: dict[int, int]
    """When the playout was cut or held while the next frame, of that number, was due and not taken yet."""

    @property
    def whole(self) -> bool:
        """Whether the call was recorded to its end; the log of a process that was killed has no summary."""
        return self.records[-1].event_type == SUMMARY


def read_tape(path: Path) -> Tape:
    """Read a log of ours with its sidecar files; ``NotReplayable`` says what is missing, and on which line."""
    numbered = list(_read(path))
    if not numbered:
        raise NotReplayable(1, "expected a log, got none")
    line_nos, records = (tuple(column) for column in zip(*numbered, strict=True))
    started = records[0]
    if started.event_type != "leg.started" or "config" not in started.event_data:
        raise NotReplayable(1, f"expected leg.started with the configuration, got {started.event_type}")
    try:
        config = structure_config(started.event_data["config"])
        uuid = UUID(str(started.leg))
    except (ConfigError, TypeError, ValueError) as error:
        raise NotReplayable(1, f"expected a configuration and a leg this version knows: {error}") from error
    if config.log.audio == "digest" and any(_audio(record) for record in records):
        raise NotReplayable(1, 'expected audio beside the log (log.audio = "sidecar") or in it, got digests only')
    for line_no, record in numbered:
        if record.event_type == "leg.failed":
            reason = f"expected a leg that keeps to its protocol, got {record.event_data.get('message')}"
            raise NotReplayable(line_no, f"{reason}; the bytes of that are not in the log")
        if record.event_type == "records.lost":
            raise NotReplayable(line_no, f"expected all records, got {record.event_data.get('records')} lost here")
    dialect = get_dialect(config.provider.dialect)
    audio, stops = _Audio(path), list(_stops(records))
    return Tape(
        uuid=uuid,
        config=_allowed(config, numbered),
        records=records,
        line_nos=line_nos,
        inputs=tuple(_inputs(uuid, numbered, dialect, audio)),
        connections=tuple(_connections(numbered)),
        tools=tuple(_tools(numbered, set(config.tools.builtin))),
        schemas=_schemas(numbered, dialect),
        frames_ns=tuple(r.t_ns for r in records if r.event_type == "audiosocket.sent"),
        in_flight=frozenset(number for number, _, on_its_way in stops if on_its_way),
        stops_ns={number: stop_ns for number, stop_ns, on_its_way in stops if not on_its_way},
    )


@contextmanager
def _reading(line_no: int) -> Iterator[None]:
    """Name the line of a record that is one, and not as this version writes it."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        words = f"expected a record as this version writes it, got {type(error).__name__}: {error}"
        raise NotReplayable(line_no, words) from error


def _allowed(config: Config, numbered: Numbered) -> Config:
    """Leave out the built-in tools that an announcement did not allow to the call."""
    line_no, told = next(((n, r.event_data) for n, r in numbered if r.event_type == "leg.context"), (1, {}))
    if told.get("tools") is None:
        return config
    with _reading(line_no):
        builtin = tuple(name for name in config.tools.builtin if name in told["tools"])
    return attrs.evolve(config, tools=attrs.evolve(config.tools, builtin=builtin))


def _read(path: Path) -> Iterator[tuple[int, Record]]:
    lines = path.read_bytes().splitlines(keepends=True)
    for line_no, line in enumerate(lines, 1):
        if line_no == len(lines) and not line.endswith(b"\n"):
            return  # torn by the end of the process
        try:
            yield line_no, parse_line(line, line_no)
        except RecordError as error:
            if line_no > 1:
                raise
            raise NotReplayable(1, f"expected a log that voxpipe wrote: {error.reason}") from None


def _audio(record: Record) -> bool:
    return record.event_type == "audiosocket.received" and record.event_data.get("message_type") == "audio"


class _Audio:
    """The audio of a log, wherever it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sides: dict[str, memoryview] = {}

    def of(self, evidence: Any, side: str, sample_bytes: int, line_no: int) -> bytes:
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
            raise NotReplayable(
                line_no, f"expected {evidence['bytes']} bytes at {start} of the {side}, got {len(piece)}"
            )
        return piece


def _message(kind: int, payload: bytes) -> bytes:
    return bytes((kind,)) + len(payload).to_bytes(2, "big") + payload


def _inputs(uuid: UUID, numbered: Numbered, dialect: Dialect, audio: _Audio) -> Iterator[Input]:
    yield Input(0, -1, PhoneSent(_message(KIND_UUID, uuid.bytes)))
    line_no, learnt = next(((n, r) for n, r in numbered if r.event_type == "leg.format"), (1, None))
    try:
        format_ = None if learnt is None else AudioFormat.parse(str(learnt.event_data.get("uplink")))
    except AudioError as error:
        raise NotReplayable(line_no, str(error)) from error
    drained = False
    for line_no, record in numbered:
        with _reading(line_no):
            event = _event(record, format_, dialect, audio, line_no)
        if event is None or (drained and isinstance(event, Drained)):
            continue
        drained = drained or isinstance(event, Drained)
        yield Input(record.t_ns, record.seq, event)


def _event(record: Record, format_: AudioFormat | None, dialect: Dialect, audio: _Audio, line_no: int) -> Event | None:
    data, kind = record.event_data, record.event_type
    if kind == "audiosocket.closed":
        return PhoneSent(None)
    if kind == "audiosocket.received":
        return _phone_sent(data, format_, audio, line_no)
    if kind == "connection.closed":
        code, reason = data["code"], data["reason"]
        if code not in range(1000, 5000) or not isinstance(reason, str):
            raise ValueError(f"no way to close a WebSocket: {code!r}, {reason!r}")
        return ProviderClosed(record.session or 1, code, reason)
    if record.direction == "received" and data.get("type") == kind:
        return ProviderSent(record.session or 1, _wire(record, dialect, audio, line_no))
    if kind in ("tool.answered", "tool.failed"):
        return ToolEnded(data["call_id"], data.get("output", data.get("message", "")), data.get("error"))
    if kind.startswith("control."):
        return Requested(kind.partition(".")[2], data.get("text", ""))
    if kind == "leg.prompt" and "path" in data:
        return Requested("play", data["path"])
    if kind in ("session.draining", "session.closed") and data.get("because") == GATEWAY_DRAINS:
        return Drained()
    return None


def _phone_sent(data: dict[str, Any], format_: AudioFormat | None, audio: _Audio, line_no: int) -> PhoneSent | None:
    match data["message_type"]:
        case "audio":
            if format_ is None:
                raise NotReplayable(line_no, "expected leg.format in the log, got audio without it")
            payload = audio.of(data["audio"], "uplink", format_.sample_bytes, line_no)
            return PhoneSent(_message(KINDS[format_], payload))
        case "dtmf":
            if data["digit"] == REDACTED:
                raise NotReplayable(line_no, "expected digits in the log (digits.log), got them redacted")
            return PhoneSent(_message(KIND_DTMF, data["digit"].encode()))
        case "hangup":
            return PhoneSent(HANGUP)
        case "error":
            return PhoneSent(_message(KIND_ERROR, bytes((data["code"],))))
        case "unknown":
            return PhoneSent(_message(int(data["kind"], 16), bytes(data["length"])))
    return None  # the UUID


def _wire(record: Record, dialect: Dialect, audio: _Audio, line_no: int) -> str | bytes:
    data = record.event_data
    key = dialect.audio_keys.get(record.event_type)
    if key is None or key not in data:
        return dialect.rewrite(data, None)
    return dialect.rewrite(data, audio.of(data[key], "downlink", _sample_bytes(data[key]), line_no))


def _sample_bytes(evidence: Any) -> int:
    if not isinstance(evidence, dict) or not evidence.get("duration_ms"):
        return 1
    # Linear audio has 48 bytes a millisecond at 24 kHz, G.711 has 8.
    return 2 if evidence["bytes"] / evidence["duration_ms"] > 12 else 1


def _connections(numbered: Numbered) -> list[TapedConnection]:
    found: dict[int, TapedConnection] = {}
    for line_no, record in numbered:
        number = record.session or 1
        if record.event_type == "connection.opening":
            found[number] = TapedConnection()
        elif record.event_type == "connection.opened":
            with _reading(line_no):
                found[number].opened_ns = record.t_ns
        elif record.event_type == "session.failed" and number in found and found[number].opened_ns is None:
            found[number].failed_ns = record.t_ns
    return [found[number] for number in sorted(found)]


def _stops(records: Sequence[Record]) -> Iterator[tuple[int, int, bool]]:
    """Where the playout was cut or held: the next frame's number, when that was, and whether it was on its way."""
    number, stop_ns, over = 0, -1, False
    for record in records:
        if record.event_type in ("playout.cut", "playout.held") and stop_ns < 0:
            stop_ns, over = record.t_ns, False
        elif record.event_type in ("playout.started", "playout.resumed"):
            over = True
        elif record.event_type == "audiosocket.sent":
            if stop_ns >= 0:
                yield number, stop_ns, not over
            number, stop_ns = number + 1, -1
    if stop_ns >= 0:
        yield number, stop_ns, False


def _tools(numbered: Numbered, builtin: set[str]) -> Iterator[TapedTool]:
    ended = {r.event_data.get("call_id") for _, r in numbered if r.event_type in ("tool.answered", "tool.failed")}
    for line_no, record in numbered:
        data = record.event_data
        with _reading(line_no):
            own = record.event_type == "tool.called" and data["name"] not in builtin
            tool = TapedTool(data["name"], data["call_id"], data["replies"], data["call_id"] in ended) if own else None
        if tool is not None:
            yield tool


def _schemas(numbered: Numbered, dialect: Dialect) -> tuple[dict[str, Any], ...]:
    for line_no, record in numbered:
        view = dialect.views.get(record.event_type, View(record.event_type))
        if view.wire_type == "session.update" and record.direction == "sent":
            with _reading(line_no):
                schemas = tuple(view.make(record.event_data, {})["session"].get("tools", ()))
                for schema in schemas:
                    schema["name"], schema["description"], schema["parameters"]
                return schemas
    return ()
