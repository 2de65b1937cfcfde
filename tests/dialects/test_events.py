"""What the dialects make of a provider's events: built of the vendor's own types, changed, cut short and mistyped."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vendor_types import decode, ga_session, unknown_keys, vendor_names, vendor_parse

from voxpipe.dialects import get_dialect
from voxpipe.errors import RemoteProtocolError
from voxpipe.sansio.dialect import Wire
from voxpipe.sansio.realtime import (
    AudioCleared,
    AudioCommitted,
    AudioCompleted,
    AudioReceived,
    ErrorReported,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemTruncated,
    OutputItemAdded,
    OutputItemDone,
    ProviderEvent,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptionCompleted,
    TranscriptionFailed,
    TranscriptReceived,
    UnknownEvent,
)
from voxpipe.sansio.tool_words import ToolCallRequested

VECTORS = Path(__file__).parents[1] / "vectors"
BOTH = pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
MESSAGE: Wire = {"id": "item_1", "type": "message", "role": "assistant", "content": []}
ITEM: Wire = {"item": MESSAGE, "previous_item_id": None}
CALL: Wire = {"id": "item_2", "type": "function_call", "name": "f", "call_id": "call_1", "arguments": '{"a":1}'}
OUTPUT: Wire = {"id": "item_3", "type": "function_call_output", "call_id": "call_1", "output": "done"}
PLACE: Wire = {"response_id": "resp_1", "output_index": 1}
CONTENT: Wire = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 1}
# The vendor types a session that comes by the request that asked for it, which has no identity yet.
SERVER_ONLY = {".session.id", ".session.object"}
HEARD = "conversation.item.input_audio_transcription"
TOKENS = {"type": "tokens", "input_tokens": 1, "output_tokens": 1, "total_tokens": 2}


def response(**keys: Any) -> Wire:
    """A response."""
    return {"response": {"id": "resp_1", "object": "realtime.response", **keys}}


EVENTS: list[tuple[str, Wire, ProviderEvent]] = [
    (
        "error",
        {"error": {"type": "invalid_request_error", "code": "c", "message": "m", "param": "p", "event_id": "vx_1"}},
        ErrorReported("c", "m", "p", "vx_1"),
    ),
    (
        "error",
        {"error": {"type": "server_error", "code": None, "message": "m", "param": None, "event_id": None}},
        ErrorReported("no code", "m", None, None),
    ),
    ("error", {"error": {"type": "server_error", "message": "m"}}, ErrorReported("no code", "m", None, None)),
    (
        "input_audio_buffer.speech_started",
        {"item_id": "item_1", "audio_start_ms": 1500},
        SpeechStarted("item_1", 1500),
    ),
    ("input_audio_buffer.speech_stopped", {"item_id": "item_1", "audio_end_ms": 0}, SpeechStopped("item_1", 0)),
    ("input_audio_buffer.committed", {"item_id": "item_1", "previous_item_id": None}, AudioCommitted("item_1")),
    ("input_audio_buffer.cleared", {}, AudioCleared()),
    ("conversation.item.created", ITEM, ItemAdded("item_1")),
    ("conversation.item.created", {"item": OUTPUT, "previous_item_id": "item_2"}, ItemAdded("item_3", "call_1")),
    (
        "conversation.item.truncated",
        {"item_id": "item_1", "content_index": 0, "audio_end_ms": 1420},
        ItemTruncated("item_1", 1420),
    ),
    ("conversation.item.deleted", {"item_id": "item_1"}, ItemDeleted("item_1")),
    (
        f"{HEARD}.completed",
        {"item_id": "item_1", "content_index": 0, "transcript": "Guten Tag", "usage": TOKENS},
        TranscriptionCompleted("item_1", "Guten Tag"),
    ),
    (
        f"{HEARD}.failed",
        {"item_id": "item_1", "content_index": 0, "error": {"type": "t", "code": "c", "message": "too noisy"}},
        TranscriptionFailed("item_1", "too noisy"),
    ),
    ("response.created", response(status="in_progress"), ResponseCreated("resp_1")),
    ("response.done", response(status="completed"), ResponseDone("resp_1", "completed", None)),
    (
        "response.done",
        response(status="cancelled", status_details={"type": "cancelled", "reason": "turn_detected"}),
        ResponseDone("resp_1", "cancelled", "turn_detected"),
    ),
    (
        "response.done",
        response(
            status="failed", status_details={"type": "failed", "error": {"code": "server_error", "message": "Sorry."}}
        ),
        ResponseDone("resp_1", "failed", None, "Sorry."),
    ),
    (
        "response.output_item.added",
        {"response_id": "resp_1", "output_index": 0, "item": MESSAGE},
        OutputItemAdded("resp_1", "item_1", "message"),
    ),
    (
        "response.output_item.added",
        {
            "response_id": "resp_1",
            "output_index": 1,
            "item": {"id": "item_2", "type": "function_call", "name": "f", "call_id": "call_1", "arguments": "{}"},
        },
        OutputItemAdded("resp_1", "item_2", "function_call"),
    ),
    (
        "response.output_item.done",
        {**PLACE, "item": {**MESSAGE, "status": "completed"}},
        OutputItemDone("resp_1", "item_1", "message"),
    ),
    (
        "response.output_item.done",
        {**PLACE, "item": {**CALL, "status": "completed"}},
        ToolCallRequested("call_1", "item_2", "resp_1", "f", '{"a":1}'),
    ),
    (
        "response.output_item.done",
        {**PLACE, "item": {**CALL, "arguments": '{"a', "status": "incomplete"}},
        OutputItemDone("resp_1", "item_2", "function_call"),
    ),
    (
        "response.output_audio.delta",
        {**CONTENT, "delta": "+/8A/g=="},
        AudioReceived("resp_1", "item_1", 1, b"\xfb\xff\0\xfe"),
    ),
    ("response.output_audio.delta", {**CONTENT, "delta": ""}, AudioReceived("resp_1", "item_1", 1, b"")),
    ("response.output_audio.done", CONTENT, AudioCompleted("resp_1", "item_1", 1)),
    (
        "response.output_audio_transcript.delta",
        {**CONTENT, "delta": " für"},
        TranscriptReceived("resp_1", "item_1", " für"),
    ),
    (
        "response.output_audio_transcript.done",
        {**CONTENT, "transcript": "Ja."},
        TranscriptCompleted("resp_1", "item_1", "Ja."),
    ),
]
GA_EVENTS: list[tuple[str, Wire, ProviderEvent]] = [
    ("session.created", {"session": ga_session({"type": "audio/pcm", "rate": 24000}, {})}, SessionCreated("sess_1")),
    ("conversation.item.added", ITEM, ItemAdded("item_1")),
    ("conversation.item.added", {"item": OUTPUT, "previous_item_id": "item_2"}, ItemAdded("item_3", "call_1")),
    (
        "response.function_call_arguments.done",
        {**PLACE, "item_id": "item_2", "call_id": "call_1", "name": "f", "arguments": "{}"},
        ToolCallRequested("call_1", "item_2", "resp_1", "f", "{}"),
    ),
    ("conversation.item.done", ITEM, ItemDone("item_1")),
]
BETA_EVENTS: list[tuple[str, Wire, ProviderEvent]] = [
    ("session.created", {"session": {"id": "sess_1", "input_audio_format": "pcm16"}}, SessionCreated("sess_1")),
    (
        "response.function_call_arguments.done",
        {**PLACE, "item_id": "item_2", "call_id": "call_1", "arguments": "{}"},
        ToolCallRequested("call_1", "item_2", "resp_1", None, "{}"),
    ),
]
TOOLS_AND_OTHERS = {"response.output_item.done": {OutputItemDone, ToolCallRequested}}
"""The one type that is two events of ours."""
OLD_NAMES = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}


def rows() -> Iterator[tuple[str, Wire, ProviderEvent]]:
    """Every row with its dialect, as the dialect's own server would send it."""
    for wire_type, body, expected in EVENTS + GA_EVENTS:
        yield "openai", {"type": wire_type, "event_id": "event_1", **body}, expected
    for wire_type, body, expected in EVENTS + BETA_EVENTS:
        yield "openai-beta", {"type": OLD_NAMES.get(wire_type, wire_type), "event_id": "event_1", **body}, expected


ROWS = list(rows())
EACH = pytest.mark.parametrize(
    ("dialect", "message", "expected"), ROWS, ids=lambda v: v.get("type") if isinstance(v, dict) else str(v)[:40]
)


@EACH
def test_an_event_of_the_vendors_types_is_understood(dialect: str, message: Wire, expected: ProviderEvent) -> None:
    """What the vendor's own type takes, and knows every key of, is this event of ours."""
    assert set(unknown_keys(vendor_parse(dialect, "server", message))) <= SERVER_ONLY
    assert decode(dialect, message) == expected


@EACH
def test_keys_from_the_future_change_nothing(dialect: str, message: Wire, expected: ProviderEvent) -> None:
    """Providers add keys weekly: more of them at every level of an event leave it what it was."""

    def grown(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: grown(item) for name, item in value.items()} | {"added_last_week": {"type": ["x"]}}
        return value

    assert decode(dialect, grown(copy.deepcopy(message))) == expected


@BOTH
def test_every_word_of_a_dialect_is_tested(dialect: str) -> None:
    """Each event the dialect knows is in a table here; the acknowledgement has a table of its own."""
    known = set(get_dialect(dialect).events)
    tested = {message["type"] for name, message, _ in ROWS if name == dialect}
    # The other shape's names are read, too: servers in between mix them, and they are no one else's.
    other = {"openai": "openai-beta", "openai-beta": "openai"}[dialect]
    mixed = known - vendor_names(dialect, "server")
    assert known - mixed == tested - mixed | {"session.updated"}
    assert mixed == set(get_dialect(other).events) - vendor_names(dialect, "server")


@BOTH
def test_the_words_of_the_other_shape_are_read_alike(dialect: str) -> None:
    """What a server in between sends under the other shape's name is the event of that name there."""
    other = {"openai": "openai-beta", "openai-beta": "openai"}[dialect]
    mixed = [row for row in ROWS if row[0] == other and row[1]["type"] not in vendor_names(dialect, "server")]
    assert len({message["type"] for _, message, _ in mixed}) >= 4
    for _, message, expected in mixed:
        assert decode(dialect, message) == expected


@BOTH
def test_every_other_word_of_the_vendor_is_harmless(dialect: str) -> None:
    """A type without an entry, of the vendor's list or from the future, is an event that nobody acts upon."""
    for wire_type in vendor_names(dialect, "server") - set(get_dialect(dialect).events) | {"session.weather", ""}:
        assert decode(dialect, {"type": wire_type, "delta": 5}) == UnknownEvent(wire_type)


@pytest.mark.parametrize(
    ("dialect", "file"), [("openai", "openai_ga.jsonl"), ("openai-beta", "openai_beta.jsonl")], ids=str
)
def test_every_vector_is_read(dialect: str, file: str) -> None:
    """Every server message of the vectors decodes, to the event class of its type or to one that nobody acts upon."""
    events = get_dialect(dialect).events
    for row in map(json.loads, (VECTORS / file).read_text().splitlines()):
        if row["direction"] == "server":
            event = decode(dialect, row["event"])
            spelling = events.get(row["type"])
            classes = {spelling.event} if spelling else {UnknownEvent}
            assert type(event) in TOOLS_AND_OTHERS.get(row["type"], classes), row["type"]


# --- what is no event -------------------------------------------------------------------------------------------------

NO_EVENTS: list[tuple[str | bytes, str]] = [
    (b"\x00\x01", "expected a text message, got a binary one of 2 bytes"),
    ("", "expected JSON, got '': "),
    ("hello", "expected JSON, got 'hello': "),
    ('{"type":"error"', 'expected JSON, got \'{"type":"error"\': '),
    ("[" * 2000, "expected JSON, got '[[["),
    ("null", "expected a JSON object with a type, got 'null'"),
    ('["type"]', "expected a JSON object with a type, got '[\"type\"]'"),
    ("{}", "expected a JSON object with a type, got '{}'"),
    ('{"type":null}', "expected a JSON object with a type, got '{\"type\":null}'"),
    ('{"type":7}', "expected a JSON object with a type, got '{\"type\":7}'"),
]


@BOTH
@pytest.mark.parametrize(("received", "text"), NO_EVENTS, ids=lambda value: repr(value)[:24])
def test_what_is_no_event_is_the_peers_error(dialect: str, received: str | bytes, text: str) -> None:
    """Text that is no JSON object with a type is refused with what was expected and what came."""
    with pytest.raises(RemoteProtocolError) as caught:
        get_dialect(dialect).parse(received)
    assert str(caught.value).startswith(text)
    assert len(str(caught.value)) < 300


DELTA = {"type": "response.output_audio.delta", **CONTENT, "delta": "AAAA"}
BAD_KEYS: list[tuple[str, Any, str]] = [
    ("delta", ..., "expected delta in 'response.output_audio.delta', got a message without it"),
    ("delta", None, "expected delta in 'response.output_audio.delta', got a message without it"),
    ("delta", 5, "delta in 'response.output_audio.delta': expected base64 text, got int"),
    ("delta", "AA?A", "delta in 'response.output_audio.delta': expected base64, got text which is none: "),
    ("delta", "AAA", "delta in 'response.output_audio.delta': expected base64, got text which is none: "),
    ("delta", "ÄAAA", "delta in 'response.output_audio.delta': "),
    ("response_id", ..., "expected response_id in 'response.output_audio.delta', got a message without it"),
    ("item_id", {"id": 1}, "item_id in 'response.output_audio.delta': expected text, got {'id': 1}"),
    ("content_index", "one", "content_index in 'response.output_audio.delta': expected a number, got 'one'"),
    ("content_index", True, "content_index in 'response.output_audio.delta': expected a number, got True"),
]


@pytest.mark.parametrize(("key", "value", "text"), BAD_KEYS, ids=lambda value: repr(value)[:20])
def test_a_key_that_is_missing_or_of_no_use_is_named(key: str, value: Any, text: str) -> None:
    """An event which cannot be what its type says is refused with the key's path, what was expected and what came."""
    message = {name: item for name, item in {**DELTA, key: value}.items() if item is not ...}
    with pytest.raises(RemoteProtocolError) as caught:
        decode("openai", message)
    assert str(caught.value).startswith(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(row=st.sampled_from(ROWS), path=st.randoms(use_true_random=False), junk=JSON)
def test_junk_in_any_place_of_an_event_is_read_or_refused(row: Any, path: Any, junk: Any) -> None:
    """Whatever stands at whatever place of an event, there is an event without surprises in it, or a refusal."""
    dialect, message, _ = row
    message = copy.deepcopy(message)
    place = message
    while isinstance(place.get(key := path.choice(sorted(place))), dict) and place[key] and path.random() < 0.8:
        place = place[key]
    place[key] = junk
    try:
        event = get_dialect(dialect).decode(message) if isinstance(message["type"], str) else UnknownEvent("")
    except RemoteProtocolError:
        return
    hash(event)
