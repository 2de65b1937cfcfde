"""The log's records: what a line has, what never gets into one, and what is no line."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpipe.audio import SLIN8, SLIN24, ULAW8
from voxpipe.errors import RecordError
from voxpipe.sansio.records import Record, audio_evidence, digest_audio, format_timestamp, parse_line, redact

RECORD = Record(
    seq=7,
    t_ns=1_234_567_890,
    timestamp="2027-01-15T08:00:01.234567+00:00",
    leg="aaaabbbb-cccc-dddd-eeee-ffff00001111",
    direction="received",
    event_type="session.updated",
    event_data={"type": "session.updated", "session": {"voice": "Zoë", "turn_detection": None}},
)
LINE = (
    '{"timestamp":"2027-01-15T08:00:01.234567+00:00","event_type":"session.updated",'
    '"event_data":{"type":"session.updated","session":{"voice":"Zoë","turn_detection":null}},'
    '"v":1,"seq":7,"t_ns":1234567890,"leg":"aaaabbbb-cccc-dddd-eeee-ffff00001111","direction":"received"}\n'
)


def test_a_line_is_exactly_so() -> None:
    """One line of JSON with these eight keys; scripts read the first three, the rest is ours."""
    assert RECORD.to_line().decode() == LINE


def test_a_line_is_read_back_as_it_was() -> None:
    """What was written is what is read, as bytes and as text."""
    assert parse_line(RECORD.to_line()) == RECORD
    assert parse_line(LINE) == RECORD


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates have no UTF-8: neither the socket nor orjson lets one in.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    data=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=4),
    leg=st.none() | st.just("x"),
)
def test_any_data_makes_one_line_and_comes_back(data: dict[str, Any], leg: str | None) -> None:
    """Line breaks, quotes and control characters within the data never break a line in two."""
    record = Record(0, 0, "t", leg, "local", "leg.started", data)
    line = record.to_line()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert len(line.decode().splitlines()) >= 1
    assert parse_line(line) == record


def without(key: str) -> str:
    """The line without one key."""
    tree = json.loads(LINE)
    del tree[key]
    return json.dumps(tree)


def altered(**keys: Any) -> str:
    """The line with keys changed."""
    return json.dumps({**json.loads(LINE), **keys})


NO_RECORDS = [
    (LINE[:60], "expected JSON: "),
    ("", "expected JSON: "),
    ("[]", "expected a JSON object, got list"),
    ("5", "expected a JSON object, got int"),
    (without("event_type"), "required field missing @ $.event_type"),
    (without("seq"), "required field missing @ $.seq"),
    (without("direction"), "required field missing @ $.direction"),
    (altered(seq="7"), "invalid value for type, expected int @ $."),
    (altered(seq=True), "invalid value for type, expected int @ $."),
    (altered(t_ns=1.5), "invalid value for type, expected int @ $."),
    (altered(timestamp=5), "invalid value for type, expected str @ $.timestamp"),
    (altered(direction="up"), ""),
    (altered(event_data=5), ""),
    (altered(v=2), "expected schema version 1, got 2"),
]


@pytest.mark.parametrize(("line", "reason"), NO_RECORDS, ids=lambda value: repr(value)[-40:])
def test_what_is_no_record_is_refused_by_its_line(line: str, reason: str) -> None:
    """A torn line, a missing or mistyped key, a schema of another version: the error has the line's number."""
    with pytest.raises(RecordError) as caught:
        parse_line(line, 42)
    assert caught.value.line_no == 42
    assert str(caught.value).startswith(f"line 42: {reason}")


def test_every_torn_line_is_refused() -> None:
    """Wherever a killed process left off, what there is of the line is not taken for a record."""
    line = RECORD.to_line().rstrip(b"\n")
    for size in range(len(line)):
        with pytest.raises(RecordError):
            parse_line(line[:size], 1)


def test_a_key_from_a_later_version_is_no_error() -> None:
    """A line may have more keys than we know."""
    assert parse_line(altered(mark="x")) == RECORD


TIMES = [
    (0, "1970-01-01T00:00:00.000000+00:00"),
    (999, "1970-01-01T00:00:00.000000+00:00"),
    (1_800_000_000_000_000_000, "2027-01-15T08:00:00.000000+00:00"),
    (1_800_000_000_123_456_789, "2027-01-15T08:00:00.123456+00:00"),
    (1_709_210_096_999_999_999, "2024-02-29T12:34:56.999999+00:00"),
]


@pytest.mark.parametrize(("unix_ns", "text"), TIMES)
def test_an_instant_is_written_in_utc_with_microseconds(unix_ns: int, text: str) -> None:
    """Always six digits, always UTC, never rounded up into the future."""
    assert format_timestamp(unix_ns) == text


# --- audio ------------------------------------------------------------------------------------------------------------

AUDIO = bytes(range(256)) + bytes(64)


def test_audio_is_a_count_a_duration_and_a_digest() -> None:
    """The digest is BLAKE2b of 64 bits, so that anybody can check a recording against the log."""
    digest = hashlib.blake2b(AUDIO, digest_size=8).hexdigest()
    assert digest_audio(AUDIO, SLIN8) == {"bytes": 320, "duration_ms": 20.0, "blake2b": digest}
    assert digest_audio(AUDIO, SLIN24)["duration_ms"] == 6.667
    assert digest_audio(AUDIO, ULAW8)["duration_ms"] == 40.0


def test_audio_of_unknown_format_has_no_duration() -> None:
    """Before the acknowledgement nobody knows how long so many bytes are, and nobody says it."""
    assert set(digest_audio(AUDIO, None)) == {"bytes", "blake2b"}


def test_the_modes_of_audio() -> None:
    """Inline is the audio itself; digest and sidecar hold none of it, and sidecar says where it is."""
    assert audio_evidence(AUDIO, SLIN8, "inline") == base64.b64encode(AUDIO).decode()
    assert audio_evidence(AUDIO, SLIN8, "digest") == digest_audio(AUDIO, SLIN8)
    assert audio_evidence(AUDIO, SLIN8, "sidecar", 480) == {**digest_audio(AUDIO, SLIN8), "offset_samples": 480}


# --- secrets ----------------------------------------------------------------------------------------------------------

REDACTIONS: list[tuple[Any, Any]] = [
    ({"authorization": "Bearer x"}, {"authorization": "[redacted]"}),
    ({"Authorization": "Bearer x"}, {"Authorization": "[redacted]"}),
    ({"api-key": "x", "api_key": "y"}, {"api-key": "[redacted]", "api_key": "[redacted]"}),
    ({"a": [{"password": 5}]}, {"a": [{"password": "[redacted]"}]}),
    ({"token": None}, {"token": None}),
    (
        {"client_secret": {"value": "ek_1", "expires_at": 5}},
        {"client_secret": {"value": "[redacted]", "expires_at": 5}},
    ),
    (
        {"parameters": {"properties": {"password": {"type": "string"}}}},
        {"parameters": {"properties": {"password": {"type": "string"}}}},
    ),
    ({"headers": {"X-Tenant": "7"}}, {"headers": {"X-Tenant": "[redacted]"}}),
    ({"message": "no sk-1 here, sk-1"}, {"message": "no [redacted] here, [redacted]"}),
    ({"url": "wss://h/?k=sk-1"}, {"url": "wss://h/?k=[redacted]"}),
    (["sk-1", ("sk-1", 1)], ["[redacted]", ["[redacted]", 1]]),
    ({"max_output_tokens": 5, "usage": {"total_tokens": 7}}, {"max_output_tokens": 5, "usage": {"total_tokens": 7}}),
    (None, None),
    (5, 5),
]


@pytest.mark.parametrize(("value", "expected"), REDACTIONS, ids=lambda value: repr(value)[:40])
def test_secrets_are_taken_out(value: Any, expected: Any) -> None:
    """By the name of their key, by being a header, or by being known; evidence beside them stays."""
    assert redact(value, frozenset({"sk-1"})) == expected


def test_what_is_redacted_is_a_copy() -> None:
    """The message that goes over the wire keeps its secret."""
    message = {"authorization": "x", "a": {"token": "y"}}
    redact(message)
    assert message == {"authorization": "x", "a": {"token": "y"}}


def test_data_nested_without_end_is_cut_off() -> None:
    """A message of a thousand levels makes a line like any other, and the line says that it was cut."""
    deep: Any = "end"
    for _ in range(1000):
        deep = {"a": [deep]}
    record = Record(0, 0, "t", None, "received", "x", redact({"type": "x", "deep": deep}))
    assert b"[nested too deep]" in record.to_line()
    assert parse_line(record.to_line()) == record
