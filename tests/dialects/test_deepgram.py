"""Deepgram: exact messages, the vendor's own types as their judge, and what a sequence of its messages means."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import pytest
from vendor_types import decode, unknown_keys, vendor_names, vendor_parse

from voxpipe.audio import ALAW8, SLIN8, SLIN16, SLIN24, SLIN48, ULAW8, AudioFormat, FormatPair
from voxpipe.config import SessionConfig, structure_config
from voxpipe.dialects import get_dialect
from voxpipe.errors import RemoteProtocolError
from voxpipe.sansio.command_words import (
    AddMessage,
    ChangeVoice,
    Command,
    ConfigureSession,
    CreateResponse,
    InstructSession,
    RecallConversation,
    SpeakWords,
)
from voxpipe.sansio.dialect import Mark, Wire
from voxpipe.sansio.realtime import (
    UNTOLD,
    AudioCommitted,
    AudioCompleted,
    AudioReceived,
    CommandAcknowledged,
    ErrorReported,
    OutputItemAdded,
    ProviderEvent,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCallWithdrawn,
    TranscriptCompleted,
    TranscriptionCompleted,
    TranscriptReceived,
    UnknownEvent,
    WarningReported,
)
from voxpipe.sansio.tool_words import SendToolResult, ToolCallRequested, ToolSchema

DEEPGRAM = get_dialect("deepgram")
VECTORS = Path(__file__).parents[1] / "vectors" / "deepgram.jsonl"
ROWS = [json.loads(line) for line in VECTORS.read_text().splitlines()]
LINEAR = {"encoding": "linear16", "sample_rate": 24000}
DEFAULT: Wire = {
    "type": "Settings",
    "flags": {"history": False},
    "audio": {"input": LINEAR, "output": {**LINEAR, "container": "none"}},
    "agent": {
        "listen": {"provider": {"type": "deepgram", "model": "nova-3"}},
        "think": {
            "provider": {"type": "open_ai", "model": "gpt-4o-mini"},
            "prompt": "You are a friendly assistant on the telephone. Be brief.",
        },
        "speak": {"provider": {"type": "deepgram", "version": "v1", "model": "aura-2-thalia-en"}},
    },
}


def encode(command: Command) -> Wire:
    """Spell a command, and have the vendor's types read what would go over the socket."""
    message: Wire = json.loads(DEEPGRAM.serialize(DEEPGRAM.encode(command, "vx_7")))
    assert list(unknown_keys(vendor_parse("deepgram", "client", message))) == []
    assert "event_id" not in message
    return message


def settings(tree: dict[str, Any], format_: AudioFormat = SLIN24, tools: tuple[ToolSchema, ...] = ()) -> Wire:
    """The settings that go out for a configuration."""
    session: SessionConfig = structure_config({"session": tree}).session
    return encode(ConfigureSession(session, FormatPair(format_, format_), tools, "gpt-4o-mini"))


PLAIN: list[tuple[Command, Wire]] = [
    (InstructSession("Be kind."), {"type": "UpdatePrompt", "prompt": "Be kind."}),
    (
        InstructSession("Be kind.", ("caller: Hello.",)),
        {"type": "UpdatePrompt", "prompt": "Be kind.\n\nWhat was said in this call so far:\ncaller: Hello."},
    ),
    (
        RecallConversation("Be kind.", ("caller: Hello.",), ("agent: Hello, too.",)),
        {
            "type": "UpdatePrompt",
            "prompt": "Be kind.\n\nWhat was said in this call so far:\ncaller: Hello.\nagent: Hello, too.",
        },
    ),
    (
        ChangeVoice("aura-2-asteria-en"),
        {
            "type": "UpdateSpeak",
            "speak": {"provider": {"type": "deepgram", "version": "v1", "model": "aura-2-asteria-en"}},
        },
    ),
    (SpeakWords("One moment."), {"type": "InjectAgentMessage", "message": "One moment."}),
    (CreateResponse("Say hello."), {"type": "InjectUserMessage", "content": "Say hello."}),
    (CreateResponse(), {"type": "InjectUserMessage", "content": "Please go on."}),
    (AddMessage("vx_item_1", "caller", "42"), {"type": "InjectUserMessage", "content": "42"}),
    (
        SendToolResult("fc_1", "4 m", "look_up"),
        {"type": "FunctionCallResponse", "id": "fc_1", "name": "look_up", "content": "4 m"},
    ),
]


@pytest.mark.parametrize(("command", "expected"), PLAIN, ids=lambda value: type(value).__name__)
def test_a_command_is_spelled_exactly_so(command: Command, expected: Wire) -> None:
    """Each command is this JSON and no other."""
    assert encode(command) == expected


def test_every_command_that_has_a_word_is_here() -> None:
    """What the vendor has no word for is not in the table: nothing can be cut, committed or deleted."""
    assert set(DEEPGRAM.commands) == {type(command) for command, _ in PLAIN} | {ConfigureSession}
    assert set(DEEPGRAM.commands) < set(typing.get_args(Command))


def test_the_default_settings_are_spelled_exactly_so() -> None:
    """Without a configuration file the provider gets these settings."""
    assert settings({}) == DEFAULT


@pytest.mark.parametrize(
    ("format_", "wire"),
    [
        (SLIN8, {"encoding": "linear16", "sample_rate": 8000}),
        (SLIN16, {"encoding": "linear16", "sample_rate": 16000}),
        (SLIN48, {"encoding": "linear16", "sample_rate": 48000}),
        (ULAW8, {"encoding": "mulaw", "sample_rate": 8000}),
        (ALAW8, {"encoding": "alaw", "sample_rate": 8000}),
    ],
    ids=str,
)
def test_formats_are_encodings_with_their_rates(format_: AudioFormat, wire: Wire) -> None:
    """Without a container: a WAV header would be a click."""
    audio = settings({}, format_)["audio"]
    assert audio == {"input": wire, "output": {**wire, "container": "none"}}
    assert decode("deepgram", {"type": "SettingsApplied", "audio": audio}) == SessionUpdated(format_, format_)


def test_configuration_reaches_its_place() -> None:
    """Instructions, voice, speed, the caller's language, and tools of ours, which have no endpoint."""
    tool = ToolSchema("look_up", "Look it up.", {"type": "object", "properties": {}})
    made = settings(
        {"instructions": "Grüße.", "voice": "flux-kit-en", "speed": 1.1, "transcription": {"language": "de"}},
        tools=(tool,),
    )["agent"]
    assert made["think"]["prompt"] == "Grüße."
    assert made["think"]["functions"] == [
        {"name": "look_up", "description": "Look it up.", "parameters": {"type": "object", "properties": {}}}
    ]
    assert made["speak"]["provider"] == {"type": "deepgram", "version": "v2", "model": "flux-kit-en", "speed": 1.1}
    assert made["listen"]["provider"] == {"type": "deepgram", "model": "nova-3", "language": "de"}


def test_further_keys_are_laid_over_ours() -> None:
    """Another model of the same provider keeps the rest; a provider of another kind is taken whole."""
    extra = {
        "tags": ["shop"],
        "agent": {
            "listen": {"provider": {"model": "flux-general-en", "version": "v2"}},
            "think": {"provider": {"temperature": 0.4}},
            "speak": {"provider": {"type": "eleven_labs", "model_id": "eleven_turbo_v2_5"}},
        },
    }
    made = settings({"extra": extra})
    assert made["tags"] == ["shop"]
    assert made["agent"]["listen"]["provider"] == {"type": "deepgram", "model": "flux-general-en", "version": "v2"}
    assert made["agent"]["think"]["provider"] == {"type": "open_ai", "model": "gpt-4o-mini", "temperature": 0.4}
    assert made["agent"]["speak"]["provider"] == {"type": "eleven_labs", "model_id": "eleven_turbo_v2_5"}


def test_audio_is_a_binary_message() -> None:
    """Byte for byte, both ways."""
    assert DEEPGRAM.encode_audio(b"\x01\x02") == b"\x01\x02"
    assert DEEPGRAM.parse(b"\x01\x02") == {"type": "Audio", "audio": b"\x01\x02"}
    assert DEEPGRAM.rewrite({"type": "Audio"}, b"\x01\x02") == b"\x01\x02"


def test_every_message_of_the_vendor_is_read() -> None:
    """Those of the vectors, and every type there is, are events, marks, or harmless."""
    for row in ROWS:
        if row["direction"] == "server":
            decoded = decode("deepgram", row["event"])
            known = row["type"] in DEEPGRAM.events
            assert isinstance(decoded, UnknownEvent) is not known, row["type"]
    for wire_type in vendor_names("deepgram", "server") - set(DEEPGRAM.events):
        assert decode("deepgram", {"type": wire_type}) == UnknownEvent(wire_type)


def test_text_does_not_pass_for_audio() -> None:
    """A JSON message that calls itself what we call a binary one is refused."""
    with pytest.raises(RemoteProtocolError, match="expected a binary message, got str"):
        decode("deepgram", {"type": "Audio", "audio": "AAAA"})


# --- what messages mean, one after the other --------------------------------------------------------------------------

USER = {"type": "UserStartedSpeaking"}
ASKED = {"type": "ConversationText", "role": "user", "content": "How high is it?"}
TOLD = {"type": "ConversationText", "role": "assistant", "content": "Four metres."}
STARTED = {"type": "AgentStartedSpeaking", "total_latency": 0.9, "tts_latency": 0.2, "ttt_latency": 0.4}
DONE = {"type": "AgentAudioDone"}
SOUND = b"\x01\x02"
BEGUN: list[ProviderEvent] = [
    ResponseCreated("response_1"),
    OutputItemAdded("response_1", "answer_1", "message"),
]
HEARD = AudioReceived("response_1", "answer_1", 0, SOUND)
WORDS = TranscriptReceived("response_1", "answer_1", "Four metres. ")


def ended(status: str, words: str = "Four metres.") -> list[ProviderEvent]:
    """The end of the first response."""
    reason = None if status == "completed" else "the caller spoke"
    told = [TranscriptCompleted("response_1", "answer_1", words)] if words else []
    return [AudioCompleted("response_1", "answer_1", 0), *told, ResponseDone("response_1", status, reason)]


def turn(number: int, words: str = "How high is it?") -> list[ProviderEvent]:
    """The end of a turn of the caller's, with its words."""
    item_id = f"turn_{number}"
    return [SpeechStopped(item_id, None), AudioCommitted(item_id), TranscriptionCompleted(item_id, words)]


def read(*messages: Wire | bytes) -> list[ProviderEvent]:
    """What a session's messages mean, all of them from its beginning."""
    reader = DEEPGRAM.reader(1)
    events = reader.begin()
    for message in messages:
        decoded = DEEPGRAM.decode(DEEPGRAM.parse(message if isinstance(message, bytes) else json.dumps(message)))
        events += reader.read(decoded)
    assert not any(isinstance(event, Mark) for event in events)
    return events


CALLS = {
    "type": "FunctionCallRequest",
    "functions": [
        {"id": "fc_1", "name": "look_up", "arguments": '{"what":"tide"}', "client_side": True},
        {"id": "fc_2", "name": "theirs", "arguments": "{}", "client_side": False},
    ],
}
CALL = ToolCallRequested("fc_1", None, "response_1_calls", "look_up", '{"what":"tide"}')
SEQUENCES: list[tuple[str, list[Wire | bytes], list[ProviderEvent]]] = [
    ("a session opens", [{"type": "Welcome", "request_id": "r1"}], [SessionCreated("r1")]),
    ("it is confirmed without an echo", [{"type": "SettingsApplied"}], [SessionUpdated(UNTOLD, UNTOLD)]),
    (
        "it is confirmed with one",
        [{"type": "SettingsApplied", "audio": {"input": LINEAR, "output": {"encoding": "mulaw", "sample_rate": 8000}}}],
        [SessionUpdated(SLIN24, ULAW8)],
    ),
    (
        "it is confirmed with a format of no name",
        [{"type": "SettingsApplied", "audio": {"input": {"encoding": "linear16", "sample_rate": 11025}}}],
        [SessionUpdated("{'encoding': 'linear16', 'sample_rate': 11025}", UNTOLD)],
    ),
    (
        "a turn and its answer",
        [USER, ASKED, TOLD, STARTED, SOUND, DONE],
        [SpeechStarted("turn_1", None), *turn(1), *BEGUN, WORDS, HEARD, *ended("completed")],
    ),
    (
        "an answer that begins with its audio",
        [SOUND, TOLD, DONE],
        [*BEGUN, HEARD, WORDS, *ended("completed")],
    ),
    (
        "the caller speaks over the answer, and what is still on its way is the old one's",
        [TOLD, SOUND, USER, SOUND, ASKED],
        [*BEGUN, WORDS, HEARD, SpeechStarted("turn_1", None), *ended("cancelled"), HEARD, *turn(1)],
    ),
    (
        "the caller speaks while the answer is still played: it was sent whole",
        [TOLD, SOUND, DONE, USER],
        [*BEGUN, WORDS, HEARD, *ended("completed"), SpeechStarted("turn_1", None)],
    ),
    (
        "the end of an answer that was cut may come or not",
        [SOUND, USER, DONE],
        [*BEGUN, HEARD, SpeechStarted("turn_1", None), *ended("cancelled", "")],
    ),
    (
        "thinking ends the turn, and its words follow",
        [USER, {"type": "AgentThinking", "content": "Look it up."}, ASKED],
        [SpeechStarted("turn_1", None), *turn(1)],
    ),
    (
        "a function is called after some words, and those of the server are its own business",
        [TOLD, SOUND, CALLS],
        [*BEGUN, WORDS, HEARD, *ended("completed"), CALL],
    ),
    (
        "a call is withdrawn",
        [{"type": "FunctionCallCancelled", "functions": [{"id": "fc_1", "name": "look_up"}]}],
        [ToolCallWithdrawn("fc_1")],
    ),
    (
        "a prompt is acknowledged, and a voice",
        [{"type": "PromptUpdated"}, {"type": "SpeakUpdated"}],
        [
            CommandAcknowledged(commands=(InstructSession, RecallConversation)),
            CommandAcknowledged(commands=(ChangeVoice,)),
        ],
    ),
    (
        "an injection is refused",
        [{"type": "InjectionRefused", "message": "The user is speaking."}],
        [ErrorReported("injection_refused", "The user is speaking.", None, None, refuses=(SpeakWords, CreateResponse))],
    ),
    (
        "a warning, and an error that ends the session",
        [
            {"type": "Warning", "code": "SLOW_THINK_REQUEST", "description": "Slow."},
            {"type": "Error", "code": "USER_AUDIO_FORMAT", "description": "No."},
        ],
        [
            WarningReported("SLOW_THINK_REQUEST", "Slow."),
            ErrorReported("USER_AUDIO_FORMAT", "No.", None, None, fatal=True),
        ],
    ),
]


@pytest.mark.parametrize(("messages", "events"), [row[1:] for row in SEQUENCES], ids=[row[0] for row in SEQUENCES])
def test_what_a_sequence_of_messages_means(messages: list[Wire | bytes], events: list[ProviderEvent]) -> None:
    """Messages are read in the light of those before."""
    assert read(*messages) == events


def test_answers_are_told_apart() -> None:
    """Each has an id of its own, and so has each turn."""
    events = read(TOLD, SOUND, DONE, USER, ASKED, TOLD, SOUND, DONE)
    assert [event.response_id for event in events if isinstance(event, ResponseCreated)] == ["response_1", "response_2"]
    assert [event.item_id for event in events if isinstance(event, AudioReceived)] == ["answer_1", "answer_2"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "FunctionCallRequest", "functions": {}}, "expected a list of functions, got {}"),
        ({"type": "FunctionCallRequest", "functions": [{"name": "f"}]}, "expected text, got None"),
        ({"type": "ConversationText", "role": "user"}, "expected content in 'ConversationText'"),
    ],
    ids=str,
)
def test_a_message_of_no_use_is_the_peers_error(message: Wire, text: str) -> None:
    """What was expected and what came is told."""
    with pytest.raises(RemoteProtocolError) as caught:
        decode("deepgram", message)
    assert text in str(caught.value)
