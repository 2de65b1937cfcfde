"""What the simulated provider refuses, and in which words."""

from __future__ import annotations

import base64
import json

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from voxpipe.testing.provider import SPELLINGS, Provider
from voxpipe.testing.provider_schema import Refusal

PCM = {"type": "audio/pcm", "rate": 24000}


def update(**session):
    """A session.update."""
    return {"type": "session.update", "session": session}


def audio(direction, **keys):
    """A session.update of one direction."""
    return update(type="realtime", audio={direction: keys})


REFUSED_UPDATES = [
    (update(type="realtime", voice="marin"), "unknown_parameter", "session.voice"),
    (update(type="realtime", modalities=["audio"]), "unknown_parameter", "session.modalities"),
    (update(instructions="x"), "missing_required_parameter", "session.type"),
    (update(type="bogus"), "invalid_value", "session.type"),
    (update(type="realtime", instructions=None), "invalid_type", "session.instructions"),
    (update(type="realtime", model="another"), "invalid_value", "session.model"),
    (
        update(type="realtime", output_modalities=["audio", "text"]),
        "array_above_max_length",
        "session.output_modalities",
    ),
    (update(type="realtime", max_output_tokens=0), "integer_below_min_value", "session.max_output_tokens"),
    (audio("output", format={"type": "audio/pcm"}), "missing_required_parameter", "session.audio.output.format.rate"),
    (audio("input", format={"type": "audio/pcm"}), "missing_required_parameter", "session.audio.input.format.rate"),
    (
        audio("input", format={"type": "audio/pcm", "rate": 8000}),
        "integer_below_min_value",
        "session.audio.input.format.rate",
    ),
    (
        audio("input", format={"type": "audio/pcm", "rate": 48000}),
        "integer_above_max_value",
        "session.audio.input.format.rate",
    ),
    (audio("input", format={"type": "pcm16"}), "invalid_value", "session.audio.input.format.type"),
    (audio("input", format="pcm16"), "invalid_type", "session.audio.input.format"),
    (audio("input", format={"rate": 24000}), "missing_required_parameter", "session.audio.input.format.type"),
    (
        audio("input", turn_detection={"type": "server_vad", "idle_timeout_ms": 60000}),
        "integer_above_max_value",
        "session.audio.input.turn_detection.idle_timeout_ms",
    ),
    (
        audio("input", turn_detection={"type": "semantic_vad", "threshold": 0.5}),
        "unknown_parameter",
        "session.audio.input.turn_detection.threshold",
    ),
    (audio("output", voice="bogus"), "invalid_value", "session.audio.output.voice"),
    (audio("output", speed=3), "decimal_above_max_value", "session.audio.output.speed"),
    ({"type": "session.update"}, "missing_required_parameter", "session"),
    ({"type": "session.update", "session": []}, "invalid_type", "session"),
]


@pytest.mark.parametrize(("event", "code", "param"), REFUSED_UPDATES)
async def test_a_bad_update_is_refused_whole(autojump_clock, connect, event, code, param):
    """The error names code, parameter and our event, and nothing of the update is in force afterwards."""
    provider = Provider()
    client = await connect(provider)
    if isinstance(event.get("session"), dict):
        event = {**event, "session": {"tool_choice": "none", **event["session"]}}
    await client.send({**event, "event_id": "u1"})
    error = (await client.until("error"))["error"]
    assert (error["type"], error["code"], error["param"], error["event_id"]) == (
        "invalid_request_error",
        code,
        param,
        "u1",
    )
    assert client.of("session.updated") == []
    assert (await client.configure())["tool_choice"] == "auto"
    assert [complaint.code for complaint in provider.complaints] == [code]


async def test_the_refusal_of_a_value_lists_what_is_supported(autojump_clock, connect):
    """In the real server's words."""
    client = await connect(Provider())
    await client.send(audio("input", format={"type": "pcm16"}))
    message = (await client.until("error"))["error"]["message"]
    assert message == "Invalid value: 'pcm16'. Supported values are: 'audio/pcm', 'audio/pcmu', and 'audio/pcma'."


REFUSED_MESSAGES = [
    ("{", "invalid_json"),
    (b"\0\0", "invalid_message"),
    ("[]", "missing_required_parameter"),
    ('{"no": 1}', "missing_required_parameter"),
    ('{"type": 7}', "missing_required_parameter"),
    ({"type": "session.close"}, "invalid_value"),
    ({"type": "response.create", "extra": 1}, "unknown_parameter"),
    ({"type": "input_audio_buffer.append"}, "missing_required_parameter"),
    ({"type": "input_audio_buffer.append", "audio": "no base64!"}, "invalid_value"),
    ({"type": "input_audio_buffer.append", "audio": "é"}, "invalid_value"),
    ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "invalid_audio"),
    ({"type": "conversation.item.delete", "item_id": "item_x"}, "item_delete_invalid_item_id"),
    ({"type": "conversation.item.retrieve", "item_id": "item_x"}, "item_retrieve_invalid_item_id"),
    (
        {"type": "conversation.item.truncate", "item_id": "item_x", "content_index": 0, "audio_end_ms": 1},
        "item_truncate_invalid_item_id",
    ),
    ({"type": "response.cancel", "response_id": "resp_x"}, "response_cancel_not_active"),
]


@pytest.mark.parametrize(("message", "code"), REFUSED_MESSAGES)
async def test_a_bad_message_is_answered_and_the_session_lives(autojump_clock, connect, message, code):
    """An error with the code, a complaint, and the next update is acknowledged."""
    provider = Provider()
    client = await connect(provider)
    await client.configure()
    await client.send(message)
    assert (await client.until("error"))["error"]["code"] == code
    await client.configure()
    assert [complaint.code for complaint in provider.complaints] == [code]


async def test_an_append_above_15_mib_is_refused(autojump_clock, connect):
    """None of it is kept."""
    provider = Provider()
    client = await connect(provider)
    await client.configure()
    too_much = base64.b64encode(bytes(15 * 1024 * 1024 + 2)).decode()
    await client.send({"type": "input_audio_buffer.append", "audio": too_much})
    assert (await client.until("error"))["error"]["code"] == "audio_above_max_length"
    assert provider.sessions[0].uplink_bytes == 0


async def test_five_minutes_without_a_commit_are_the_most(autojump_clock, connect):
    """Audio that nobody commits is refused loudly, not gathered for ever."""
    provider = Provider()
    client = await connect(provider)
    await client.configure({"type": "realtime", "audio": {"input": {"turn_detection": None}}})
    minute = base64.b64encode(bytes(60 * 48_000)).decode()
    for _ in range(6):
        await client.send({"type": "input_audio_buffer.append", "audio": minute})
    error = (await client.until("error"))["error"]
    assert error["message"] == "Invalid 'audio': expected at most 300 s of audio before a commit, got 360.0 s."
    assert provider.sessions[0].uplink_bytes == 300 * 48_000
    assert len(provider.sessions[0].uplink) == 8 * 1024 * 1024


async def test_the_voice_is_locked_by_the_first_audio(autojump_clock, connect):
    """Afterwards another voice is refused, in the session and in a response; the same voice is not."""
    client = await connect(Provider())
    await client.configure(audio("output", voice="cedar")["session"])
    await client.send({"type": "response.create", "response": {"instructions": "Greet."}})
    await client.until("response.done")
    await client.configure(audio("output", voice="cedar")["session"])
    await client.send({**audio("output", voice="ash"), "event_id": "v"})
    error = (await client.until("error"))["error"]
    assert (error["code"], error["param"], error["event_id"]) == ("cannot_update_voice", None, "v")
    await client.send({"type": "response.create", "response": {"audio": {"output": {"voice": "ash"}}}})
    assert (await client.until("error", 2))["error"]["code"] == "cannot_update_voice"


async def test_items_keep_their_order_and_their_ids(autojump_clock, connect):
    """An id may be used once, a predecessor must exist, ``root`` is the start."""
    client = await connect(Provider())
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    create = {"type": "conversation.item.create"}
    await client.send({**create, "item": {**item, "id": "a"}})
    await client.send({**create, "item": {**item, "id": "b"}, "previous_item_id": "root"})
    await client.send({**create, "item": {**item, "id": "c"}, "previous_item_id": "b"})
    await client.until("conversation.item.done", 3)
    assert [event["previous_item_id"] for event in client.of("conversation.item.added")] == [None, None, "b"]
    await client.send({**create, "item": {**item, "id": "a"}})
    assert (await client.until("error"))["error"]["code"] == "item_create_duplicate_item_id"
    await client.send({**create, "item": item, "previous_item_id": "nobody"})
    assert (await client.until("error", 2))["error"]["code"] == "item_create_invalid_previous_item_id"
    await client.send({"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": 1})
    message = (await client.until("error", 3))["error"]["message"]
    assert message == "Only model output audio messages can be truncated"


async def test_beta_refuses_in_beta_words(autojump_clock, connect):
    """A GA body on a beta session is unknown, and a beta enumeration lists beta names."""
    client = await connect(Provider("openai-beta"))
    await client.send(update(type="realtime"))
    assert (await client.until("error"))["error"]["param"] == "session.type"
    await client.send(update(input_audio_format="pcm8"))
    error = (await client.until("error", 2))["error"]
    assert error["param"] == "session.input_audio_format"
    assert error["message"].endswith("Supported values are: 'pcm16', 'g711_ulaw', and 'g711_alaw'.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


KINDS = sorted((name, kind) for name, spelling in SPELLINGS.items() for kind in spelling.client)


@given(kind=st.sampled_from(KINDS), body=st.dictionaries(st.text(max_size=10), JSON, max_size=5))
def test_any_json_is_judged_without_a_crash(kind, body):
    """Whatever the values, a check says yes or gives a refusal."""
    dialect, wire_type = kind
    check = SPELLINGS[dialect].client[wire_type]
    event = dict(zip(getattr(check, "keys", {}), body.values(), strict=False))
    refusal = check.refuse({**event, "type": wire_type}, "")
    assert refusal is None or isinstance(refusal, Refusal)


async def test_deep_and_odd_messages_do_not_end_the_session(autojump_clock, connect):
    """Nested a thousand deep, huge numbers, wrong types everywhere: each is an error, and the session lives."""
    client = await connect(Provider())
    odd = [
        "[" * 2000,
        '{"type":"response.create","response":' + '{"a":' * 1000 + "1" + "}" * 1001,
        '{"type":"conversation.item.truncate","item_id":"x","content_index":1e400,"audio_end_ms":1}',
        '{"type":"conversation.item.truncate","item_id":"x","content_index":0,"audio_end_ms":99999999999999999999}',
        json.dumps({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [7]}}),
        json.dumps({"type": "response.create", "response": {"input": [[], {"type": "x", "y": 1}]}}),
        json.dumps({"type": "session.update", "session": {"type": ["realtime"]}}),
        json.dumps({"type": "session.update", "event_id": 7, "session": {"type": "realtime"}}),
    ]
    for count, message in enumerate(odd, 1):
        await client.send(message)
        await client.until("error", count)
    await client.configure()
    await trio.sleep(1)
    assert client.closed is None
