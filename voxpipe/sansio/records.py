"""The log's records: one JSON object per line.

Every line has ``timestamp`` (ISO 8601, UTC, microseconds), ``event_type`` and ``event_data``, which for provider events
are the wire type and the wire message, so that scripts written for plain Realtime logs keep working. Besides: ``v``
(schema version), ``seq`` (gapless unless records were lost), ``t_ns`` (monotonic, from the leg's start), ``leg``
(UUID), ``direction``, and ``session`` (2, 3 ...) on the lines of a session after the leg's first. Events of our own
have dotted names in the same style.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

import attrs
import cattrs
import orjson
import pybase64

from voxpipe.audio import NS_PER_S, AudioFormat
from voxpipe.errors import RecordError

SCHEMA_VERSION = 1

Direction: TypeAlias = Literal["sent", "received", "local"]
AudioMode: TypeAlias = Literal["digest", "inline", "sidecar"]

REDACTED = "[redacted]"
TOO_DEEP = "[nested too deep]"
MAX_DEPTH = 64
"""Levels of a record that are kept. No message of a provider has ten, and orjson writes no more than 254."""
SECRET_KEYS = frozenset(
    {"authorization", "api_key", "api-key", "apikey", "token", "secret", "password", "client_secret"}
)
_SCALARS = frozenset({int, float, bool, type(None)})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class Record:
    """One line of the log."""

    seq: int
    t_ns: int
    timestamp: str
    leg: str | None
    direction: Direction
    event_type: str
    event_data: dict[str, Any]
    v: int = SCHEMA_VERSION
    session: int | None = None
    """Which of the leg's sessions it belongs to, from the second on; ``None`` for the first and for the leg's own."""

    def to_line(self) -> bytes:
        """Write the record as one line of JSON, newline included."""
        line = {
            "timestamp": self.timestamp,
            "event_type": self.event_type,
            "event_data": self.event_data,
            "v": self.v,
            "seq": self.seq,
            "t_ns": self.t_ns,
            "leg": self.leg,
            "direction": self.direction,
        }
        if self.session is not None:
            line["session"] = self.session
        return orjson.dumps(
            line,
            option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS,
        )


_CONVERTER = cattrs.Converter()
_CONVERTER.register_structure_hook(int, lambda value, _: _exactly(int, value))
_CONVERTER.register_structure_hook(str, lambda value, _: _exactly(str, value))


def _exactly(expected: type, value: Any) -> Any:
    if type(value) is not expected:
        raise TypeError(f"expected {expected.__name__}, got {value!r}")
    return value


def parse_object(line: bytes | str, line_no: int = 1) -> dict[str, Any]:
    """Read one line as a JSON object, a record or not; ``RecordError`` when it is none."""
    try:
        tree = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise RecordError(line_no, f"expected JSON: {error}") from None
    if not isinstance(tree, dict):
        raise RecordError(line_no, f"expected a JSON object, got {type(tree).__name__}")
    return tree


def parse_line(line: bytes | str, line_no: int = 1) -> Record:
    """Read one line; ``RecordError`` when it is not a record."""
    tree = parse_object(line, line_no)
    try:
        record = _CONVERTER.structure(tree, Record)
    except cattrs.BaseValidationError as group:
        raise RecordError(line_no, "; ".join(cattrs.transform_error(group))) from None
    if record.v != SCHEMA_VERSION:
        raise RecordError(line_no, f"expected schema version {SCHEMA_VERSION}, got {record.v}")
    return record


def format_timestamp(unix_ns: int) -> str:
    """Write an instant as ISO 8601 in UTC with microseconds."""
    second, rest_ns = divmod(unix_ns, NS_PER_S)
    return f"{_format_second(second)}.{rest_ns // 1000:06d}+00:00"


@functools.lru_cache(maxsize=16)  # a hundred records of a call share a second
def _format_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).replace(tzinfo=None).isoformat(timespec="seconds")


def digest_audio(audio: bytes, format_: AudioFormat | None) -> dict[str, Any]:
    """Say what identifies a stretch of audio without holding it: bytes, milliseconds and a BLAKE2b hash of 64 bits."""
    digest: dict[str, Any] = {"bytes": len(audio), "blake2b": hashlib.blake2b(audio, digest_size=8).hexdigest()}
    if format_ is not None:
        digest["duration_ms"] = round(format_.duration_ms(len(audio)), 3)
    return digest


def audio_evidence(
    audio: bytes, format_: AudioFormat | None, mode: AudioMode, offset_samples: int | None = None
) -> str | dict[str, Any]:
    """Return what stands for audio in a record: base64 when ``inline``, else a digest; ``sidecar`` adds the offset."""
    if mode == "inline":
        return pybase64.b64encode_as_string(audio)
    digest = digest_audio(audio, format_)
    return digest if offset_samples is None else {**digest, "offset_samples": offset_samples}


def redact(value: Any, secrets: frozenset[str] = frozenset(), depth: int = MAX_DEPTH) -> Any:
    """Copy JSON data without secrets: values of keys such as ``authorization``, all headers, known secrets.

    What is nested deeper than ``depth`` is cut off and said to be.
    """
    kind = type(value)
    if kind is str:
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, REDACTED)
        return value
    if kind in _SCALARS:
        return value
    if isinstance(value, Mapping):
        if not depth:
            return TOO_DEEP
        return {name: _redact_key(str(name), item, secrets, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item, secrets, depth - 1) for item in value] if depth else TOO_DEEP
    return value


def _redact_key(name: str, value: Any, secrets: frozenset[str], depth: int) -> Any:
    if value is None:
        return None
    lower = name.lower()
    if lower in SECRET_KEYS:
        if not isinstance(value, Mapping):
            return REDACTED
        # A table of that name may be the schema of a tool's parameter, which is evidence; a secret is its value.
        value = {inner: REDACTED if inner == "value" else item for inner, item in value.items()}
    if lower == "headers" and isinstance(value, Mapping):
        return dict.fromkeys(value, REDACTED)
    return redact(value, secrets, depth)
