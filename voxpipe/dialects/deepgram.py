"""Deepgram Voice Agent, v1 (dialect ``deepgram``): tables, and the reader that makes responses of what has none.

Names and required fields: package ``deepgram-sdk`` 7.17, ``deepgram.agent.v1.types``. Audio goes in binary messages.
``SettingsApplied`` has no field but its type: it confirms what was asked for, and the log says that nothing was echoed;
a compatible server which does name formats is held to them.

There are no responses, items or truncation here. A response begins with the agent's first words or audio after the end
of the one before, and ends with ``AgentAudioDone``, with the caller's next word, which makes the server fall silent by
itself, or with a function call. Nothing tells when the caller has stopped speaking: the first message about that turn
does. Audio that comes between the caller's word and such a message is the rest of an answer that was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from voxpipe.audio import ALAW8, SLIN8, SLIN16, SLIN24, SLIN32, SLIN48, ULAW8, AudioFormat, Encoding
from voxpipe.config import SessionConfig
from voxpipe.errors import AudioError
from voxpipe.sansio.command_words import (
    AddMessage,
    ChangeVoice,
    ConfigureSession,
    CreateResponse,
    InstructSession,
    RecallConversation,
    SpeakWords,
)
from voxpipe.sansio.dialect import (
    Decoded,
    Dialect,
    EventSpelling,
    Key,
    Mark,
    Reader,
    Wire,
    as_text,
    optional_text,
    overlay,
    text,
)
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
    WarningReported,
)
from voxpipe.sansio.tool_words import SendToolResult, ToolCallRequested

FORMATS = (SLIN24, SLIN16, SLIN8, SLIN48, SLIN32, ULAW8, ALAW8)
ENCODINGS = {Encoding.SLIN: "linear16", Encoding.ULAW: "mulaw", Encoding.ALAW: "alaw"}
AUDIO = "Audio"
"""What a log calls a binary message, which has no type."""
VOICE = "aura-2-thalia-en"
LISTEN_MODEL = "nova-3"
CONTINUE = "Please go on."
RECALLED = "What was said in this call so far:"

# --- what the server says ---------------------------------------------------------------------------------------------


@attrs.frozen
class CallerBegan(Mark):
    """The caller speaks; the server's own answer, if any, has ended."""


@attrs.frozen
class Said(Mark):
    """Words of the caller's or the agent's."""

    role: str
    words: str


@attrs.frozen
class Thinks(Mark):
    """The caller's turn is over."""


@attrs.frozen
class AgentBegins(Mark):
    """Audio of an answer follows."""


@attrs.frozen
class AgentEnds(Mark):
    """All audio of an answer was sent."""


@attrs.frozen
class Sound(Mark):
    """Agent audio."""

    audio: bytes = attrs.field(repr=False)


@attrs.frozen
class FunctionCalls(Mark):
    """The model calls tools of ours: id, name and arguments of each."""

    calls: tuple[tuple[str, str, str], ...]


@attrs.frozen
class CallsWithdrawn(Mark):
    """The caller went on speaking: these results are not wanted."""

    call_ids: tuple[str, ...]


def _as_bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"expected a binary message, got {type(value).__name__}")
    return value


def _functions(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError(f"expected a list of functions, got {value!r:.80}")
    return value


def _as_calls(value: object) -> tuple[tuple[str, str, str], ...]:
    ours = [each for each in _functions(value) if each.get("client_side", True)]
    return tuple((as_text(each.get("id")), as_text(each.get("name")), each.get("arguments") or "{}") for each in ours)


def _as_call_ids(value: object) -> tuple[str, ...]:
    return tuple(as_text(each.get("id")) for each in _functions(value))


def read_format(wire: object) -> AudioFormat | str:
    """Read a format that a compatible server confirms: its encoding and its rate."""
    if isinstance(wire, dict):
        for encoding, name in ENCODINGS.items():
            if wire.get("encoding") == name:
                try:
                    return AudioFormat(encoding, wire.get("sample_rate", 0))
                except AudioError:
                    break
    return repr(wire)


def _error(code: str, message: str) -> ErrorReported:
    return ErrorReported(code, message, None, None, fatal=True)


def _refusal(message: str) -> ErrorReported:
    return ErrorReported("injection_refused", message, None, None, refuses=(SpeakWords, CreateResponse))


def _acknowledges(command: type) -> EventSpelling:
    return EventSpelling(lambda: CommandAcknowledged(command=command))


EVENTS: dict[str, EventSpelling] = {
    "Welcome": EventSpelling(SessionCreated, {"session_id": optional_text("request_id")}),
    "SettingsApplied": EventSpelling(
        SessionUpdated,
        {
            "uplink": Key("audio.input", read_format, default=UNTOLD),
            "downlink": Key("audio.output", read_format, default=UNTOLD),
        },
    ),
    "Error": EventSpelling(
        _error, {"code": Key("code", str, default="no code"), "message": Key("description", str, default="")}
    ),
    "Warning": EventSpelling(
        WarningReported, {"code": Key("code", str, default="no code"), "message": Key("description", str, default="")}
    ),
    "InjectionRefused": EventSpelling(_refusal, {"message": Key("message", str, default="")}),
    "PromptUpdated": _acknowledges(InstructSession),
    "SpeakUpdated": _acknowledges(ChangeVoice),
    "UserStartedSpeaking": EventSpelling(CallerBegan),
    "ConversationText": EventSpelling(Said, {"role": text("role"), "words": text("content")}),
    "AgentThinking": EventSpelling(Thinks),
    "AgentStartedSpeaking": EventSpelling(AgentBegins),
    "AgentAudioDone": EventSpelling(AgentEnds),
    "FunctionCallRequest": EventSpelling(FunctionCalls, {"calls": Key("functions", _as_calls)}),
    "FunctionCallCancelled": EventSpelling(CallsWithdrawn, {"call_ids": Key("functions", _as_call_ids)}),
    AUDIO: EventSpelling(Sound, {"audio": Key("audio", _as_bytes)}),
}


class Responses(Reader):
    """Makes turns and responses of one session's messages; see the module's docstring."""

    def __init__(self) -> None:
        self._responses = 0
        self._items = 0
        self._open = False
        self._cut = False
        """The caller has spoken since, and nothing was said about that turn yet."""
        self._caller: str | None = None
        self._words: list[str] = []

    def read(self, decoded: Decoded) -> list[ProviderEvent]:
        """See ``Reader``."""
        match decoded:
            case CallerBegan():
                return self._begin_turn()
            case Said("user", words):
                item_id = self._caller or self._next_item()
                stopped = self._end_turn()
                return [*stopped, AudioCommitted(item_id), TranscriptionCompleted(item_id, words)]
            case Said(_, words):
                self._words.append(words)
                return [*self._begin(), TranscriptReceived(self._response_id, self._item_id, f"{words} ")]
            case Thinks():
                return self._end_turn()
            case AgentBegins():
                return self._begin()
            case AgentEnds():
                return self._finish("completed") if self._open else []
            case Sound(audio):
                begun = [] if self._cut and self._responses and not self._open else self._begin()
                return [*begun, AudioReceived(self._response_id, self._item_id, 0, audio)]
            case FunctionCalls(calls):
                before = [*self._end_turn(), *(self._finish("completed") if self._open else [])]
                asked = f"{self._response_id}_calls"
                return [*before, *(ToolCallRequested(id_, None, asked, name, args) for id_, name, args in calls)]
            case CallsWithdrawn(call_ids):
                return [ToolCallWithdrawn(call_id) for call_id in call_ids]
        return super().read(decoded)

    @property
    def _response_id(self) -> str:
        return f"response_{self._responses}"

    @property
    def _item_id(self) -> str:
        return f"answer_{self._responses}"

    def _next_item(self) -> str:
        self._items += 1
        return f"turn_{self._items}"

    def _begin_turn(self) -> list[ProviderEvent]:
        self._caller = self._next_item()
        started: list[ProviderEvent] = [SpeechStarted(self._caller, None)]
        ended = self._finish("cancelled") if self._open else []
        self._cut = True
        return [*started, *ended]

    def _end_turn(self) -> list[ProviderEvent]:
        item_id, self._caller, self._cut = self._caller, None, False
        return [] if item_id is None else [SpeechStopped(item_id, None)]

    def _begin(self) -> list[ProviderEvent]:
        stopped = self._end_turn()
        if self._open:
            return stopped
        self._open = True
        self._responses += 1
        return [
            *stopped,
            ResponseCreated(self._response_id),
            OutputItemAdded(self._response_id, self._item_id, "message"),
        ]

    def _finish(self, status: str) -> list[ProviderEvent]:
        self._open = False
        words, self._words = " ".join(self._words), []
        reason = None if status == "completed" else "the caller spoke"
        return [
            AudioCompleted(self._response_id, self._item_id, 0),
            *([TranscriptCompleted(self._response_id, self._item_id, words)] if words else []),
            ResponseDone(self._response_id, status, reason),
        ]


# --- what we say ------------------------------------------------------------------------------------------------------


def _format(format_: AudioFormat) -> Wire:
    return {"encoding": ENCODINGS[format_.encoding], "sample_rate": format_.rate_hz}


def _speak(voice: str, speed: float = 0.0) -> Wire:
    # Voices of the newer family are refused without its version.
    version = "v2" if voice.startswith("flux-") else "v1"
    provider: Wire = {"type": "deepgram", "version": version, "model": voice}
    return {"provider": provider | ({"speed": speed} if speed else {})}


def _agent(command: ConfigureSession) -> Wire:
    session = command.session
    language = session.transcription.language
    listen: Wire = {"type": "deepgram", "model": LISTEN_MODEL} | ({"language": language} if language else {})
    think: Wire = {"provider": {"type": "open_ai", "model": command.model}, "prompt": session.instructions}
    if command.tools:
        think["functions"] = [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in command.tools
        ]
    agent: Wire = {
        "listen": {"provider": listen},
        "think": think,
        "speak": _speak(session.voice or VOICE, session.speed),
    }
    for part, body in agent.items():
        if _names_provider(session, part):
            agent[part] = {key: value for key, value in body.items() if key != "provider"}
    return agent


def _names_provider(session: SessionConfig, part: str) -> bool:
    """Whether ``session.extra`` names the kind of a provider: then no key of ours may be mixed with its own."""
    place: Any = session.extra
    for key in ("agent", part, "provider", "type"):
        place = place.get(key) if isinstance(place, Mapping) else None
    return place is not None


def _settings(command: ConfigureSession) -> Wire:
    wire: Wire = {
        "type": "Settings",
        "flags": {"history": False},  # it would tell every word a second time
        "audio": {
            "input": _format(command.formats.uplink),
            "output": {**_format(command.formats.downlink), "container": "none"},
        },
        "agent": _agent(command),
    }
    return overlay(wire, command.session.extra)


def _prompt(instructions: str, lines: tuple[str, ...]) -> Wire:
    # Whether a prompt replaces the one before or adds to it is told both ways; all of it is right in either case.
    return {"type": "UpdatePrompt", "prompt": "\n".join([instructions, *(["", RECALLED, *lines] if lines else [])])}


COMMANDS: dict[type, Any] = {
    ConfigureSession: _settings,
    InstructSession: lambda command: _prompt(command.instructions, command.recalled),
    RecallConversation: lambda command: _prompt(command.instructions, command.earlier + command.lines),
    ChangeVoice: lambda command: {"type": "UpdateSpeak", "speak": _speak(command.voice)},
    SpeakWords: lambda command: {"type": "InjectAgentMessage", "message": command.words},
    # The model speaks when it is spoken to: what it is asked for is put to it as words of the caller's.
    CreateResponse: lambda command: {"type": "InjectUserMessage", "content": command.instructions or CONTINUE},
    AddMessage: lambda command: {"type": "InjectUserMessage", "content": command.text},
    SendToolResult: lambda command: {
        "type": "FunctionCallResponse",
        "id": command.call_id,
        "name": command.name,
        "content": command.output,
    },
}

EXPIRED = frozenset(
    {
        "ASR_CONNECTION_CLOSED",
        "ASR_DRIVER_TIMEOUT",
        "CLIENT_MESSAGE_TIMEOUT",
        "INTERNAL_SERVER_ERROR",
        "MAXIMUM_SESSION_LENGTH_REACHED",
        "SERVER_GOING_AWAY",
    }
)

DEEPGRAM = Dialect(
    name="deepgram",
    url="wss://agent.deepgram.com/v1/agent/converse",
    query={},
    headers={"Authorization": "Token {api_key}"},
    default_model="gpt-4o-mini",
    api_key_env="DEEPGRAM_API_KEY",
    formats=FORMATS,
    events=EVENTS,
    commands=COMMANDS,
    audio_type=AUDIO,
    audio_keys={AUDIO: "audio"},
    fatal_codes=EXPIRED | {"AGENT_ID_NOT_SUPPORTED", "INVALID_AGENT_ID", "SETTINGS_ALREADY_APPLIED"},
    unknown_keys=frozenset(
        {
            "session.max_output_tokens",
            "session.noise_reduction",
            "session.push_to_talk",
            "session.transcription.model",
            "session.transcription.prompt",
            *(
                f"session.turn_detection.{key}"
                for key in (
                    "type",
                    "threshold",
                    "prefix_padding_ms",
                    "silence_duration_ms",
                    "idle_timeout_ms",
                    "eagerness",
                    "create_response",
                    "interrupt_response",
                )
            ),
        }
    ),
    busy_codes=frozenset({"injection_refused"}),
    expired_codes=EXPIRED,
    command_id_key=None,
    binary_type=AUDIO,
    acks={
        InstructSession: CommandAcknowledged,
        RecallConversation: CommandAcknowledged,
        AddMessage: ResponseCreated,
        SendToolResult: ResponseCreated,
    },
    answer_s=10.0,
    silent_ack=True,
    tells_speech_end=False,
    session_limit_s=7100.0,
    keepalive={"type": "KeepAlive"},
    keepalive_s=5.0,
    reader=Responses,
)
"""``fatal_codes``: errors which other formats would not mend; all errors end a session here. ``session_limit_s``: the
server ends one after two hours. ``keepalive_s``: it wants one within 8 s, and was seen to close at 10."""
