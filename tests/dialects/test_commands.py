"""What the dialects put on the wire: exact JSON, which the vendor's own types take without a key unknown to them."""

from __future__ import annotations

import base64
import json
import typing
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from vendor_types import unknown_keys, vendor_parse

from voxpipe.audio import ALAW8, PCM24, ULAW8, FormatPair
from voxpipe.config import SessionConfig, structure_config
from voxpipe.dialects import DIALECTS, get_dialect
from voxpipe.sansio.command_words import (
    AddMessage,
    AddToolCall,
    CancelResponse,
    ChangeVoice,
    ClearAudio,
    Command,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    DeleteItem,
    InstructSession,
    RecallConversation,
    SpeakWords,
    TruncateItem,
)
from voxpipe.sansio.dialect import Wire
from voxpipe.sansio.tool_words import SendToolResult, ToolSchema

PCM = FormatPair(PCM24, PCM24)
BOTH = pytest.mark.parametrize("dialect", ["openai", "openai-beta"])


def encode(dialect: str, command: Command) -> Wire:
    """Spell a command, and have the vendor's types read what would go over the socket."""
    spelling = get_dialect(dialect)
    message: Wire = json.loads(spelling.serialize(spelling.encode(command, "vx_7")))
    assert list(unknown_keys(vendor_parse(dialect, "client", message))) == []
    assert message.pop("event_id") == "vx_7"
    return message


def session_config(tree: dict[str, Any]) -> SessionConfig:
    """A session configuration as a file would give it."""
    return structure_config({"session": tree}).session


def configure(dialect: str, tree: dict[str, Any], formats: FormatPair = PCM) -> Wire:
    """The session object that goes out for a configuration."""
    message = encode(dialect, ConfigureSession(session_config(tree), formats))
    assert message["type"] == "session.update"
    session: Wire = message["session"]
    return session


# --- commands without configuration -----------------------------------------------------------------------------------

PLAIN: list[tuple[Command, Wire]] = [
    (CommitAudio(), {"type": "input_audio_buffer.commit"}),
    (ClearAudio(), {"type": "input_audio_buffer.clear"}),
    (CreateResponse(), {"type": "response.create"}),
    (
        CreateResponse('Say "hello", für Zoë.\n'),
        {"type": "response.create", "response": {"instructions": 'Say "hello", für Zoë.\n'}},
    ),
    (
        SpeakWords("It is noon."),
        {
            "type": "response.create",
            "response": {
                "instructions": "Say exactly these words, in their own language, and nothing before or after them: "
                "It is noon."
            },
        },
    ),
    (CancelResponse("resp_1"), {"type": "response.cancel", "response_id": "resp_1"}),
    (
        TruncateItem("item_1", 2, 1420),
        {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 2, "audio_end_ms": 1420},
    ),
    (
        TruncateItem("item_1", 0, 0),
        {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 0},
    ),
    (DeleteItem("item_1"), {"type": "conversation.item.delete", "item_id": "item_1"}),
    (
        SendToolResult("call_1", '{"open":"täglich"}'),
        {
            "type": "conversation.item.create",
            "item": {"type": "function_call_output", "call_id": "call_1", "output": '{"open":"täglich"}'},
        },
    ),
    (
        AddToolCall("vx_item_3", "call_1", "look_up", '{"what":"tide"}'),
        {
            "type": "conversation.item.create",
            "item": {
                "id": "vx_item_3",
                "type": "function_call",
                "call_id": "call_1",
                "name": "look_up",
                "arguments": '{"what":"tide"}',
            },
        },
    ),
    (
        AddMessage("vx_item_1", "caller", "Is it open?"),
        {
            "type": "conversation.item.create",
            "item": {
                "id": "vx_item_1",
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Is it open?"}],
            },
        },
    ),
]
AGENT_CONTENT = {"openai": "output_text", "openai-beta": "text"}
INSTRUCTED: dict[str, Wire] = {
    "openai": {"type": "session.update", "session": {"type": "realtime", "instructions": "Be kind."}},
    "openai-beta": {"type": "session.update", "session": {"instructions": "Be kind."}},
}


@BOTH
@pytest.mark.parametrize(("command", "expected"), PLAIN, ids=lambda value: type(value).__name__)
def test_a_command_is_spelled_exactly_so(dialect: str, command: Command, expected: Wire) -> None:
    """Each command is this JSON and no other, with our id beside it."""
    assert encode(dialect, command) == expected


@BOTH
def test_instructions_are_changed_alone(dialect: str) -> None:
    """Nothing but the instructions is in it, and what GA cannot do without."""
    assert encode(dialect, InstructSession("Be kind.")) == INSTRUCTED[dialect]


@BOTH
def test_every_command_has_a_word(dialect: str) -> None:
    """Only a voice cannot be changed; a conversation is recalled as items. Each of the others is in the tables here."""
    commands = set(typing.get_args(Command)) - {ChangeVoice, RecallConversation}
    assert {command for command in typing.get_args(Command) if get_dialect(dialect).supports(command)} == commands
    assert {type(command) for command, _ in PLAIN} | {ConfigureSession, InstructSession} == commands


@BOTH
@pytest.mark.parametrize("audio", [b"", b"\x00", b"\xfb\xff\xfe", bytes(range(256)) * 4], ids=len)
def test_caller_audio_is_appended_byte_for_byte(dialect: str, audio: bytes) -> None:
    """The message that is written by hand is the vendor's JSON, and holds exactly the audio."""
    message = json.loads(get_dialect(dialect).encode_audio(audio))
    assert list(unknown_keys(vendor_parse(dialect, "client", message))) == []
    assert message == {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}


# --- the configuration ------------------------------------------------------------------------------------------------

GA_DEFAULT: Wire = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "instructions": "You are a friendly assistant on the telephone. Be brief.",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "turn_detection": {
                "type": "server_vad",
                "create_response": True,
                "interrupt_response": True,
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 500,
            },
            "transcription": {"model": "gpt-transcribe"},
            "noise_reduction": None,
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}},
    },
    "max_output_tokens": "inf",
}
BETA_DEFAULT: Wire = {
    "modalities": ["audio", "text"],
    "instructions": "You are a friendly assistant on the telephone. Be brief.",
    "input_audio_format": "pcm16",
    "output_audio_format": "pcm16",
    "input_audio_transcription": {"model": "gpt-transcribe"},
    "input_audio_noise_reduction": None,
    "turn_detection": GA_DEFAULT["audio"]["input"]["turn_detection"],
    "max_response_output_tokens": "inf",
}
DEFAULT = {"openai": GA_DEFAULT, "openai-beta": BETA_DEFAULT}


@BOTH
def test_the_default_configuration_is_spelled_exactly_so(dialect: str) -> None:
    """Without a configuration file the provider gets this session object: its voice and speed are its own defaults."""
    assert configure(dialect, {}) == DEFAULT[dialect]


FORMATS = [
    (PCM24, {"type": "audio/pcm", "rate": 24000}, "pcm16"),
    (ULAW8, {"type": "audio/pcmu"}, "g711_ulaw"),
    (ALAW8, {"type": "audio/pcma"}, "g711_alaw"),
]


@pytest.mark.parametrize("uplink", FORMATS, ids=lambda row: row[2])
@pytest.mark.parametrize("downlink", FORMATS, ids=lambda row: row[2])
def test_formats_are_asked_for_by_side(uplink: Any, downlink: Any) -> None:
    """Each side's format is in its own place, PCM with the rate that the service insists on."""
    formats = FormatPair(uplink[0], downlink[0])
    audio = configure("openai", {}, formats)["audio"]
    assert (audio["input"]["format"], audio["output"]["format"]) == (uplink[1], downlink[1])
    flat = configure("openai-beta", {}, formats)
    assert (flat["input_audio_format"], flat["output_audio_format"]) == (uplink[2], downlink[2])


GA_VAD, BETA_VAD = "audio.input.turn_detection", "turn_detection"
GA_HEARD, BETA_HEARD = "audio.input.transcription", "input_audio_transcription"
SEMANTIC = {"type": "semantic_vad", "create_response": True, "interrupt_response": True, "eagerness": "auto"}
# Key of the configuration, other keys it needs, its value, and where GA and beta have it with which value.
KEYS: list[tuple[str, dict[str, Any], Any, str, str, Any]] = [
    ("instructions", {}, "Grüße.", "instructions", "instructions", "Grüße."),
    ("voice", {}, "marin", "audio.output.voice", "voice", "marin"),
    ("speed", {}, 1.25, "audio.output.speed", "speed", 1.25),
    ("max_output_tokens", {}, 900, "max_output_tokens", "max_response_output_tokens", 900),
    (
        "noise_reduction",
        {},
        "far_field",
        "audio.input.noise_reduction",
        "input_audio_noise_reduction",
        {"type": "far_field"},
    ),
    ("turn_detection.type", {}, "none", GA_VAD, BETA_VAD, None),
    ("turn_detection.type", {}, "semantic_vad", GA_VAD, BETA_VAD, SEMANTIC),
    ("turn_detection.threshold", {}, 0.0, f"{GA_VAD}.threshold", f"{BETA_VAD}.threshold", 0.0),
    ("turn_detection.prefix_padding_ms", {}, 0, f"{GA_VAD}.prefix_padding_ms", f"{BETA_VAD}.prefix_padding_ms", 0),
    (
        "turn_detection.silence_duration_ms",
        {},
        1200,
        f"{GA_VAD}.silence_duration_ms",
        f"{BETA_VAD}.silence_duration_ms",
        1200,
    ),
    ("turn_detection.idle_timeout_ms", {}, 6000, f"{GA_VAD}.idle_timeout_ms", "", 6000),
    (
        "turn_detection.eagerness",
        {"turn_detection": {"type": "semantic_vad"}},
        "low",
        f"{GA_VAD}.eagerness",
        f"{BETA_VAD}.eagerness",
        "low",
    ),
    ("turn_detection.create_response", {}, False, f"{GA_VAD}.create_response", f"{BETA_VAD}.create_response", False),
    (
        "turn_detection.interrupt_response",
        {},
        False,
        f"{GA_VAD}.interrupt_response",
        f"{BETA_VAD}.interrupt_response",
        False,
    ),
    ("transcription.model", {}, "", GA_HEARD, BETA_HEARD, None),
    ("transcription.model", {}, "whisper-1", f"{GA_HEARD}.model", f"{BETA_HEARD}.model", "whisper-1"),
    ("transcription.language", {}, "de", f"{GA_HEARD}.language", f"{BETA_HEARD}.language", "de"),
    ("transcription.prompt", {}, "voxpipe", f"{GA_HEARD}.prompt", f"{BETA_HEARD}.prompt", "voxpipe"),
    ("extra", {}, {"tool_choice": "none"}, "tool_choice", "tool_choice", "none"),
]


def put(tree: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a tree with one value set."""
    first, _, rest = path.partition(".")
    return {**tree, first: put(tree.get(first, {}), rest, value) if rest else value}


def look_up(tree: Any, path: str) -> Any:
    """The value at a path; ``KeyError`` when there is none."""
    for name in path.split("."):
        tree = tree[name]
    return tree


PLACES = [("openai", row[3], row) for row in KEYS] + [("openai-beta", row[4], row) for row in KEYS if row[4]]


@pytest.mark.parametrize(("dialect", "path", "row"), PLACES, ids=str)
def test_a_key_of_the_configuration_reaches_its_place(dialect: str, path: str, row: Any) -> None:
    """A configured value is where the provider looks for it, and nothing else of the session changes."""
    key, others, value, *_, expected = row
    before = configure(dialect, others)
    after = configure(dialect, put(others, key, value))
    assert look_up(after, path) == expected
    assert after == put(before, path, expected)


def config_keys(model: type, path: str = "") -> Iterator[str]:
    """The path of every key of a table."""
    for field in attrs.fields(model):
        if attrs.has(field.type):
            yield from config_keys(field.type, f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}"


def test_no_key_of_the_session_is_forgotten() -> None:
    """Every key under [session] is in the table above; the greeting and the key to talk are no part of its wire."""
    assert {row[0] for row in KEYS} | {"greeting", "greeting_words", "resume_instructions", "push_to_talk"} == set(
        config_keys(SessionConfig)
    )


@BOTH
def test_what_a_shape_cannot_spell_is_named(dialect: str) -> None:
    """The keys which a dialect says it has no word for are exactly those without a place in its session object."""
    column = {"openai": 3, "openai-beta": 4}[dialect]
    assert {f"session.{row[0]}" for row in KEYS if not row[column]} == set(get_dialect(dialect).unknown_keys)


def test_an_extra_key_within_audio_leaves_the_formats_alone() -> None:
    """A voice given as an object, which only session.extra can do, does not replace the formats and turn detection."""
    extra: Wire = {"audio": {"output": {"voice": {"id": "voice_9f"}}}, "tracing": None, "include": []}
    session = configure("openai", {"extra": extra, "voice": "marin"})
    expected = put(put(put(GA_DEFAULT, "audio.output.voice", {"id": "voice_9f"}), "tracing", None), "include", [])
    assert session == expected


def test_an_extra_key_within_a_flat_session_leaves_its_neighbours_alone() -> None:
    """The same in the old shape, with a table inside."""
    session = configure("openai-beta", {"extra": {"turn_detection": {"threshold": 0.9}, "temperature": 0.7}})
    assert session == put(put(BETA_DEFAULT, "turn_detection.threshold", 0.9), "temperature", 0.7)


def test_an_extra_table_replaces_what_is_no_table() -> None:
    """Tables are laid over tables; over a null or a word the given value stands as it is."""
    extra: Wire = {"audio": {"input": {"noise_reduction": {"type": "near_field"}, "turn_detection": None}}}
    audio = configure("openai", {"extra": extra})["audio"]["input"]
    assert audio["noise_reduction"] == {"type": "near_field"}
    assert audio["turn_detection"] is None


def test_the_dialects_are_known_by_name() -> None:
    """Each dialect is found under the name it gives itself."""
    assert {"openai", "openai-beta", "deepgram"} <= set(DIALECTS)
    assert {name: dialect.name for name, dialect in DIALECTS.items()} == {name: name for name in DIALECTS}


# --- tools ------------------------------------------------------------------------------------------------------------

SCHEMA: Wire = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
OTHER: Wire = {"type": "function", "name": "other"}


@BOTH
def test_tools_are_told_in_the_configuration(dialect: str) -> None:
    """Each tool is a function with its schema, the same in both shapes, and the rest of the session is as without."""
    command = ConfigureSession(SessionConfig(), PCM, (ToolSchema("look_up", "Look it up.", SCHEMA),))
    session = encode(dialect, command)["session"]
    assert session.pop("tools") == [
        {"type": "function", "name": "look_up", "description": "Look it up.", "parameters": SCHEMA}
    ]
    assert session == configure(dialect, {})


@BOTH
def test_without_tools_there_is_no_key(dialect: str) -> None:
    """A provider that knows no tools is not asked for none, and tools given by hand in ``extra`` stay."""
    assert "tools" not in configure(dialect, {})
    assert configure(dialect, {"extra": {"tools": [OTHER]}})["tools"] == [OTHER]


@BOTH
def test_what_the_agent_has_said_is_an_item_of_the_assistant(dialect: str) -> None:
    """The content of such an item has another type in each shape."""
    message = encode(dialect, AddMessage("vx_item_2", "agent", "Every day."))
    assert message["item"] == {
        "id": "vx_item_2",
        "type": "message",
        "role": "assistant",
        "content": [{"type": AGENT_CONTENT[dialect], "text": "Every day."}],
    }
