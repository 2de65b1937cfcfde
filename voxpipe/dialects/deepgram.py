"""Deepgram Voice Agent, v1 (dialect ``deepgram``).

Names and required fields: package ``deepgram-sdk`` 7.17, ``deepgram.agent.v1.types``. Audio goes in binary messages.
``SettingsApplied`` has no field but its type: it confirms what was asked for, and the log says that nothing was echoed;
a compatible server which does name formats is held to them.

There are no responses, items or truncation here: ``deepgram_turns`` makes them of what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxpipe.audio import ALAW8, SLIN8, SLIN16, SLIN24, SLIN32, SLIN48, ULAW8, AudioFormat, Encoding
from voxpipe.config import SessionConfig
from voxpipe.dialects.deepgram_turns import (
    AgentBegins,
    AgentEnds,
    CallerBegan,
    CallsWithdrawn,
    FunctionCalls,
    Responses,
    Said,
    Sound,
    Thinks,
)
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
    Dialect,
    EventSpelling,
    Key,
    View,
    Wire,
    as_text,
    optional_text,
    overlay,
    text,
)
from voxpipe.sansio.realtime import (
    UNTOLD,
    CommandAcknowledged,
    ErrorReported,
    ResponseCreated,
    SessionCreated,
    SessionUpdated,
    WarningReported,
)
from voxpipe.sansio.tool_words import SendToolResult

FORMATS = (SLIN24, SLIN16, SLIN8, SLIN48, SLIN32, ULAW8, ALAW8)
ENCODINGS = {Encoding.SLIN: "linear16", Encoding.ULAW: "mulaw", Encoding.ALAW: "alaw"}
AUDIO = "Audio"
"""What a log calls a binary message, which has no type."""
VOICE = "aura-2-thalia-en"
LISTEN_MODEL = "nova-3"
CONTINUE = "Please go on."
RECALLED = "What was said in this call so far:"

# --- what the server says ---------------------------------------------------------------------------------------------


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


def _acknowledges(*commands: type) -> EventSpelling:
    return EventSpelling(lambda: CommandAcknowledged(commands=commands))


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
    "PromptUpdated": _acknowledges(InstructSession, RecallConversation),
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

# --- how a log's reader sees it ---------------------------------------------------------------------------------------


def _seen_session(wire: Wire, _asked: Wire) -> Wire:
    audio, agent = wire.get("audio", {}), wire.get("agent", {})
    agent = agent if isinstance(agent, dict) else {}
    heard = _model(agent.get("listen"))
    uplink = {"format": seen_format(audio.get("input")), "transcription": {"model": heard} if heard else None}
    downlink = {"format": seen_format(audio.get("output")), "voice": _model(agent.get("speak"))}
    uplink["turn_detection"] = {"type": "the provider's own"}
    session = {"model": _model(agent.get("think")), "audio": {"input": uplink, "output": downlink}}
    return {"session": session | _seen_tools(agent.get("think"))}


def _seen_tools(think: Any) -> Wire:
    think = think[0] if isinstance(think, list) and think else think
    functions = think.get("functions") if isinstance(think, dict) else None
    found = [{"type": "function", **each} for each in functions or () if isinstance(each, dict)]
    return {"tools": found} if found else {}


def _model(part: Any) -> str | None:
    part = part[0] if isinstance(part, list) and part else part
    provider = part.get("provider", {}) if isinstance(part, dict) else {}
    return provider.get("model", provider.get("model_id")) if isinstance(provider, dict) else None


def seen_format(wire: Any) -> Wire | None:
    """Say in the reference's words what format is meant."""
    if not isinstance(wire, dict):
        return None
    names = {"linear16": "audio/pcm", "mulaw": "audio/pcmu", "alaw": "audio/pcma"}
    name = names.get(str(wire.get("encoding")), str(wire.get("encoding")))
    return {"type": name, "rate": wire.get("sample_rate")}


def _seen_confirmation(wire: Wire, asked: Wire) -> Wire:
    return _seen_session({**asked, **wire}, asked) if "audio" in wire else {"session": asked}


VIEWS = {
    "Settings": View("session.update", _seen_session),
    "SettingsApplied": View("session.updated", _seen_confirmation),
    "Welcome": View("session.opened"),
    "Error": View(
        "error",
        lambda wire, _: {
            "error": {"type": "error", "code": wire.get("code"), "message": wire.get("description")},
        },
    ),
    "InjectAgentMessage": View("response.create"),
    "InjectUserMessage": View("response.create"),
    "FunctionCallResponse": View(
        "conversation.item.create",
        lambda wire, _: {
            "item": {"type": "function_call_output", "call_id": wire.get("id"), "output": wire.get("content")}
        },
    ),
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

ADVICE = {
    "HTTP 401": "the key is not known: set provider.api_key or DEEPGRAM_API_KEY (a token needs another header)",
    "HTTP 402": "the account has no credit left: no other try will help",
    "HTTP 403": "the key may not use the Voice Agent: check its scopes",
    "HTTP 404": "the URL leads nowhere: check provider.url",
    "INVALID_SETTINGS": "the server does not take the settings: look for the key that it names, in session.extra, too",
    "UNPARSABLE_CLIENT_MESSAGE": "the server does not know a key that was sent: look in session.extra",
    "FAILED_TO_THINK": "the language model did not answer: check provider.model and agent.think in session.extra",
    "FAILED_TO_SPEAK": "the voice did not answer: check session.voice, session.speed and agent.speak in session.extra",
    "FAILED_TO_START_LISTENING": "the listening model did not begin: check agent.listen in session.extra",
    "USER_AUDIO_FORMAT": "the server does not hear what was declared: check provider.formats",
}

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
    views=VIEWS,
    format_names={format_: ENCODINGS[format_.encoding] for format_ in FORMATS},
    advice=ADVICE,
)
"""``fatal_codes``: errors which other formats would not mend; all errors end a session here. ``session_limit_s``: the
server ends one after two hours. ``keepalive_s``: it wants one within 8 s, and was seen to close at 10."""
