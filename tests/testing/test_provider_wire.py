"""What the simulated provider sends and takes, against the vendor's own types and the vectors."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import trio
from vendor_types import unknown_keys, vendor_parse

from voxpipe.testing.provider import Provider
from voxpipe.testing.scenario import SCENARIOS
from voxpipe.websocket import WebSocketClosed

VECTORS = Path(__file__).parents[1] / "vectors"
SERVER_ONLY = {"id", "object", "expires_at"}
GA_FULL = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "instructions": "Be brief.",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "gpt-transcribe"},
            "noise_reduction": {"type": "near_field"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
        },
        "output": {"format": {"type": "audio/pcmu"}, "voice": "cedar", "speed": 1.1},
    },
    "tools": [{"type": "function", "name": "hang_up", "description": "End.", "parameters": {"type": "object"}}],
}
BETA_FULL = {
    "modalities": ["audio", "text"],
    "voice": "alloy",
    "input_audio_format": "pcm16",
    "output_audio_format": "g711_alaw",
    "input_audio_transcription": {"model": "whisper-1"},
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
    "temperature": 0.7,
    "max_response_output_tokens": 900,
}
FULL = {"openai": GA_FULL, "openai-beta": BETA_FULL}
AUDIO_DELTA = {"openai": "response.output_audio.delta", "openai-beta": "response.audio.delta"}


def assert_vendor_takes(dialect, event):
    """The event constructs the vendor's type for it, and leaves nothing unknown."""
    parsed = vendor_parse(dialect, "server", event)
    allowed = {f".session.{key}" for key in SERVER_ONLY}
    assert [path for path in unknown_keys(parsed) if path not in allowed] == [], event


def rows(dialect, direction):
    """The vectors of one dialect and direction."""
    name = {"openai": "openai_ga.jsonl", "openai-beta": "openai_beta.jsonl"}[dialect]
    return [row for row in map(json.loads, (VECTORS / name).read_text().splitlines()) if row["direction"] == direction]


@pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
async def test_every_event_of_a_call_is_the_vendors_own_type(autojump_clock, connect, utterance, dialect):
    """A call with turns, a barge-in, a text response, items, cuts and errors leaves no field unknown to the vendor."""
    client = await connect(Provider(dialect))
    await client.configure(FULL[dialect])
    await client.append(utterance, len(utterance))
    await client.until("response.done")
    item_id = client.of("response.done")[0]["response"]["output"][0]["id"]
    await client.append(utterance)
    await client.until(AUDIO_DELTA[dialect], len(client.of(AUDIO_DELTA[dialect])) + 1)
    await client.append(utterance, len(utterance))
    modalities = "output_modalities" if dialect == "openai" else "modalities"
    text_only = {modalities: ["text"], "conversation": "none", "metadata": {"k": "v"}}
    for event in (
        {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": 500},
        {"type": "conversation.item.retrieve", "item_id": item_id},
        {"type": "conversation.item.delete", "item_id": item_id},
        {"type": "conversation.item.delete", "item_id": item_id},
        {"type": "response.create", "response": text_only},
        {"type": "input_audio_buffer.clear"},
        {"type": "response.cancel"},
        {"type": "no.such"},
    ):
        await client.send(event)
    await trio.sleep(10)
    statuses = {event["response"]["status"] for event in client.of("response.done")}
    assert statuses == {"completed", "cancelled"}
    for event in client.events:
        assert_vendor_takes(dialect, event)
    assert len(set(client.types())) >= (28 if dialect == "openai" else 26)


@pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
async def test_a_beta_event_is_never_spelled_in_ga_nor_the_reverse(autojump_clock, connect, utterance, dialect):
    """Each dialect has its own names for audio, transcripts and items."""
    client = await connect(Provider(dialect))
    await client.configure(FULL[dialect])
    await client.append(utterance)
    await client.until("response.done")
    foreign = {
        "openai": ("response.audio.", "response.audio_transcript.", "conversation.item.created"),
        "openai-beta": ("response.output_audio", "conversation.item.added", "conversation.item.done"),
    }[dialect]
    assert [kind for kind in client.types() if kind.startswith(foreign)] == []
    assert len(client.audio(AUDIO_DELTA[dialect])) > 8000


def name_of(value):
    """The name of a test's parameter."""
    return value if isinstance(value, str) else f"{value['type']}-{value['variant']}"


CLIENT_ROWS = [(dialect, row) for dialect in FULL for row in rows(dialect, "client")]
ANSWERS = {
    "session.update": "session.updated",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.delete": "conversation.item.deleted",
    "response.create": "response.created",
}
REFUSED = {
    ("session.update", "transcription"): None,
    ("transcription_session.update", "only"): "invalid_value",
    ("output_audio_buffer.clear", "webrtc_sip_only"): "invalid_value",
    ("output_audio_buffer.clear", "only"): "invalid_value",
    ("input_audio_buffer.commit", "only"): "input_audio_buffer_commit_empty",
    ("conversation.item.truncate", "only"): "item_truncate_invalid_item_id",
    ("conversation.item.create", "function_call_output"): "invalid_tool_call_id",
    ("response.cancel", "only"): "response_cancel_not_active",
}


@pytest.mark.parametrize(("dialect", "row"), CLIENT_ROWS, ids=name_of)
async def test_every_client_message_of_the_vectors_is_answered(autojump_clock, connect, dialect, row):
    """Each one gets its confirmation, or the error the real server gives in this situation."""
    client = await connect(Provider(dialect))
    await client.until("session.created")
    seed = {"type": "message", "id": "item_u1", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    await client.send({"type": "conversation.item.create", "item": seed})
    await client.send(row["event"])
    await trio.sleep(5)
    key = (row["type"], row["variant"])
    created = "conversation.item.added" if dialect == "openai" else "conversation.item.created"
    if key in REFUSED:
        assert [event["error"]["code"] for event in client.of("error")] == [REFUSED[key]]
        assert client.of("error")[0]["error"]["event_id"] == row["event"].get("event_id")
    else:
        assert client.of("error") == []
        if row["type"] == "conversation.item.create":
            assert len(client.of(created)) == 2
        elif row["type"] != "input_audio_buffer.append":
            assert len(client.of(ANSWERS[row["type"]])) == 1
    for event in client.events:
        assert_vendor_takes(dialect, event)


async def test_an_update_is_confirmed_in_full_and_merged(autojump_clock, connect):
    """Only the present keys change, null clears, and session.updated names no event of the client."""
    client = await connect(Provider())
    first = await client.configure(GA_FULL)
    assert first["audio"]["output"] == GA_FULL["audio"]["output"]
    assert first["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }
    cleared = {"turn_detection": None, "transcription": None, "noise_reduction": None}
    second = await client.configure({"type": "realtime", "instructions": "", "audio": {"input": cleared}})
    assert second["audio"]["output"] == first["audio"]["output"]
    assert second["audio"]["input"] == {"format": {"type": "audio/pcm", "rate": 24000}, **cleared}
    assert second["instructions"] == ""
    assert second["tools"] == first["tools"]
    assert all(event["event_id"] != "mine" for event in client.events)


async def test_the_session_is_created_with_the_servers_defaults(autojump_clock, connect):
    """PCM at 24 kHz both ways, server VAD with 200 ms of silence, an end an hour away."""
    client = await connect(Provider())
    created = (await client.until("session.created"))["session"]
    expected = next(row for row in rows("openai", "server") if row["variant"] == "defaults")["event"]["session"]
    for key in expected.keys() - {"id", "expires_at", "instructions"}:
        assert created[key] == expected[key], key
    assert created.keys() == expected.keys()


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"unknown-events", "garbage"}))
@pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
async def test_whatever_the_scenario_the_events_are_the_vendors(autojump_clock, connect, utterance, dialect, name):
    """Trouble is in what happens, not in how it is spelled."""
    client = await connect(Provider(dialect, SCENARIOS[name]))
    await client.send({"type": "session.update", "session": {} if dialect == "openai-beta" else {"type": "realtime"}})
    with trio.move_on_after(10), contextlib.suppress(WebSocketClosed):
        await client.append(utterance)
        await client.until_closed()
    for event in client.events:
        assert_vendor_takes(dialect, event)
