"""OpenAI Realtime, GA (dialect ``openai``).

Names and required fields: package ``openai`` 3.52, ``openai.types.realtime``. Two facts are of behaviour, not of types:
``rate`` must be sent for ``audio/pcm`` although the types call it optional, and ``turn_detection: null`` must be
written as null, since an absent key leaves the server's own detection on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from voxpipe.audio import ALAW8, PCM24, ULAW8, AudioFormat
from voxpipe.config import SessionConfig, TurnDetectionConfig
from voxpipe.sansio.command_words import (
    AddMessage,
    AddToolCall,
    CancelResponse,
    ClearAudio,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    DeleteItem,
    InstructSession,
    SpeakWords,
    TruncateItem,
)
from voxpipe.sansio.dialect import (
    Dialect,
    EventSpelling,
    Key,
    Wire,
    as_number,
    as_text,
    base64_bytes,
    optional_number,
    optional_text,
    overlay,
    text,
)
from voxpipe.sansio.realtime import (
    UNTOLD,
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
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptionCompleted,
    TranscriptionFailed,
    TranscriptReceived,
)
from voxpipe.sansio.tool_words import SendToolResult, ToolCallRequested, ToolSchema

FORMATS: dict[AudioFormat, Wire] = {
    PCM24: {"type": "audio/pcm", "rate": 24000},
    ULAW8: {"type": "audio/pcmu"},
    ALAW8: {"type": "audio/pcma"},
}


def read_format(wire: object) -> AudioFormat | str:
    """Read a confirmed format: PCM must name its rate; G.711 may only name 8 000 Hz."""
    if isinstance(wire, dict):
        for format_, spelling in FORMATS.items():
            implied_hz = None if "rate" in spelling else format_.rate_hz
            if wire.get("type") == spelling["type"] and wire.get("rate", implied_hz) == format_.rate_hz:
                return format_
    return repr(wire)


def turn_detection(config: TurnDetectionConfig) -> Wire | None:
    """Spell the turn detection; ``None`` (an explicit null on the wire) switches it off."""
    if config.type == "none":
        return None
    wire: Wire = {
        "type": config.type,
        "create_response": config.create_response,
        "interrupt_response": config.interrupt_response,
    }
    if config.type == "semantic_vad":
        return {**wire, "eagerness": config.eagerness}
    wire |= {
        "threshold": config.threshold,
        "prefix_padding_ms": config.prefix_padding_ms,
        "silence_duration_ms": config.silence_duration_ms,
    }
    # Older deployments refuse the key: sent only when set.
    return wire | ({"idle_timeout_ms": config.idle_timeout_ms} if config.idle_timeout_ms else {})


def transcription(session: SessionConfig) -> Wire | None:
    """Spell the transcription of the caller's words; ``None`` switches it off."""
    config = session.transcription
    wire = {"model": config.model, "language": config.language, "prompt": config.prompt}
    return {key: value for key, value in wire.items() if value} if config.model else None


def noise_reduction(session: SessionConfig) -> Wire | None:
    """Spell the noise reduction; ``None`` switches it off."""
    return None if session.noise_reduction == "none" else {"type": session.noise_reduction}


def max_tokens(session: SessionConfig) -> int | str:
    """Spell the limit of an answer: a count, or ``inf``."""
    return session.max_output_tokens or "inf"


def tools(schemas: Sequence[ToolSchema]) -> Wire:
    """Spell the tools, the same in both shapes; no key at all where there are none, so that ``extra`` may have some."""
    functions = [
        {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in schemas
    ]
    return {"tools": functions} if functions else {}


def _session_update(command: ConfigureSession) -> Wire:
    session = command.session
    uplink: Wire = {
        "format": FORMATS[command.formats.uplink],
        "turn_detection": turn_detection(session.turn_detection),
        "transcription": transcription(session),
        "noise_reduction": noise_reduction(session),
    }
    downlink: Wire = {"format": FORMATS[command.formats.downlink], "voice": session.voice, "speed": session.speed}
    wire: Wire = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": session.instructions,
        "audio": {"input": uplink, "output": {key: value for key, value in downlink.items() if value}},
        "max_output_tokens": max_tokens(session),
        **tools(command.tools),
    }
    return {"type": "session.update", "session": overlay(wire, session.extra)}


def response_create(command: CreateResponse) -> Wire:
    """Spell ``response.create``, the same in both shapes."""
    if command.instructions is None:
        return {"type": "response.create"}
    return {"type": "response.create", "response": {"instructions": command.instructions}}


SAY = "Say exactly these words, in their own language, and nothing before or after them: "
"""How a model is made to speak words of ours; it is a wish."""


def speak_words(command: SpeakWords) -> Wire:
    """Spell words that are to be spoken: as instructions of one response."""
    return response_create(CreateResponse(SAY + command.words))


def add_message(agent_content: str) -> Callable[[AddMessage], Wire]:
    """Spell a message that enters the conversation as text; the type of an agent's content is the caller's to name."""

    def encode(command: AddMessage) -> Wire:
        role, kind = ("user", "input_text") if command.speaker == "caller" else ("assistant", agent_content)
        content = [{"type": kind, "text": command.text}]
        item = {"id": command.item_id, "type": "message", "role": role, "content": content}
        return {"type": "conversation.item.create", "item": item}

    return encode


COUNTED = re.compile(r"(\d+)(?:\.\d+)?\s*ms is (?:already )?shorter than", re.IGNORECASE)


def counted_ms(message: object) -> int | None:
    """Read the server's own count from its refusal to truncate: it is in no other field."""
    found = COUNTED.search(str(message))
    return int(found[1]) if found else None


INSTRUCTIONS = Key("session.instructions", str, default=None)


def item_done(item_type: str | None, status: str | None, **call: Any) -> OutputItemDone | ToolCallRequested:
    """Tell a tool call from other items; one that was interrupted is none, since half of its arguments is missing."""
    if item_type == "function_call" and status != "incomplete" and call["call_id"] is not None:
        return ToolCallRequested(**call)
    return OutputItemDone(call["response_id"], call["item_id"], item_type)


ITEM_ID = {"item_id": optional_text("item.id")}
ITEM_ADDED = EventSpelling(ItemAdded, {**ITEM_ID, "call_id": optional_text("item.call_id")})
CONTENT = {
    "response_id": text("response_id"),
    "item_id": text("item_id"),
    "content_index": Key("content_index", as_number, default=0),
}
TRANSCRIPT = {"response_id": optional_text("response_id"), "item_id": optional_text("item_id")}

EVENTS: dict[str, EventSpelling] = {
    "session.created": EventSpelling(SessionCreated, {"session_id": optional_text("session.id")}),
    "session.updated": EventSpelling(
        SessionUpdated,
        {
            "uplink": Key("session.audio.input.format", read_format, default=UNTOLD),
            "downlink": Key("session.audio.output.format", read_format, default=UNTOLD),
            "instructions": INSTRUCTIONS,
        },
    ),
    "error": EventSpelling(
        ErrorReported,
        {
            "code": Key("error.code", str, default="no code"),
            "message": Key("error.message", str, default=""),
            "param": Key("error.param", str, default=None),
            "command_id": Key("error.event_id", str, default=None),
            "counted_ms": Key("error.message", counted_ms, default=None),
        },
    ),
    "input_audio_buffer.speech_started": EventSpelling(
        SpeechStarted,
        {"item_id": optional_text("item_id"), "audio_start_ms": optional_number("audio_start_ms")},
    ),
    "input_audio_buffer.speech_stopped": EventSpelling(
        SpeechStopped,
        {"item_id": optional_text("item_id"), "audio_end_ms": optional_number("audio_end_ms")},
    ),
    "input_audio_buffer.committed": EventSpelling(AudioCommitted, {"item_id": optional_text("item_id")}),
    "input_audio_buffer.cleared": EventSpelling(AudioCleared),
    "conversation.item.added": ITEM_ADDED,
    "conversation.item.created": ITEM_ADDED,
    "conversation.item.done": EventSpelling(ItemDone, ITEM_ID),
    "conversation.item.truncated": EventSpelling(
        ItemTruncated, {"item_id": optional_text("item_id"), "audio_end_ms": optional_number("audio_end_ms")}
    ),
    "conversation.item.deleted": EventSpelling(ItemDeleted, {"item_id": optional_text("item_id")}),
    "conversation.item.input_audio_transcription.completed": EventSpelling(
        TranscriptionCompleted,
        {"item_id": optional_text("item_id"), "transcript": optional_text("transcript")},
    ),
    "conversation.item.input_audio_transcription.failed": EventSpelling(
        TranscriptionFailed,
        {"item_id": optional_text("item_id"), "message": optional_text("error.message")},
    ),
    "response.created": EventSpelling(ResponseCreated, {"response_id": text("response.id")}),
    "response.done": EventSpelling(
        ResponseDone,
        {
            "response_id": text("response.id"),
            "status": optional_text("response.status"),
            "reason": optional_text("response.status_details.reason"),
            "error": optional_text("response.status_details.error.message"),
        },
    ),
    "response.output_item.added": EventSpelling(
        OutputItemAdded,
        {
            "response_id": text("response_id"),
            "item_id": text("item.id"),
            "item_type": optional_text("item.type"),
        },
    ),
    "response.output_item.done": EventSpelling(
        item_done,
        {
            "response_id": text("response_id"),
            "item_id": optional_text("item.id"),
            "item_type": optional_text("item.type"),
            "status": optional_text("item.status"),
            "call_id": optional_text("item.call_id"),
            "name": optional_text("item.name"),
            "arguments": Key("item.arguments", as_text, default=""),
        },
    ),
    "response.function_call_arguments.done": EventSpelling(
        ToolCallRequested,
        {
            "response_id": text("response_id"),
            "item_id": optional_text("item_id"),
            "call_id": text("call_id"),
            "name": optional_text("name"),
            "arguments": text("arguments"),
        },
    ),
    "response.output_audio.delta": EventSpelling(AudioReceived, {**CONTENT, "audio": Key("delta", base64_bytes)}),
    "response.output_audio.done": EventSpelling(AudioCompleted, CONTENT),
    "response.output_audio_transcript.delta": EventSpelling(TranscriptReceived, {**TRANSCRIPT, "delta": text("delta")}),
    "response.output_audio_transcript.done": EventSpelling(
        TranscriptCompleted, {**TRANSCRIPT, "transcript": optional_text("transcript")}
    ),
}

RENAMED = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}
"""GA's names and what they were before: compatible servers mix them, and either is read."""
EVENTS |= {old: EVENTS[new] for new, old in RENAMED.items()}

COMMANDS: dict[type, Any] = {
    ConfigureSession: _session_update,
    InstructSession: lambda command: {
        "type": "session.update",
        "session": {"type": "realtime", "instructions": command.instructions},
    },
    CommitAudio: lambda _: {"type": "input_audio_buffer.commit"},
    ClearAudio: lambda _: {"type": "input_audio_buffer.clear"},
    CreateResponse: response_create,
    SpeakWords: speak_words,
    CancelResponse: lambda command: {"type": "response.cancel", "response_id": command.response_id},
    TruncateItem: lambda command: {
        "type": "conversation.item.truncate",
        "item_id": command.item_id,
        "content_index": command.content_index,
        "audio_end_ms": command.audio_end_ms,
    },
    DeleteItem: lambda command: {"type": "conversation.item.delete", "item_id": command.item_id},
    AddMessage: add_message("output_text"),
    AddToolCall: lambda command: {
        "type": "conversation.item.create",
        "item": {
            "id": command.item_id,
            "type": "function_call",
            "call_id": command.call_id,
            "name": command.name,
            "arguments": command.arguments,
        },
    },
    SendToolResult: lambda command: {
        "type": "conversation.item.create",
        "item": {"type": "function_call_output", "call_id": command.call_id, "output": command.output},
    },
}

ADVICE = {
    "HTTP 401": "no key was sent, or one that is not known: set provider.api_key or OPENAI_API_KEY",
    "HTTP 403": "the key may not use this: check its project and its permissions",
    "HTTP 404": "the URL leads nowhere: check provider.url, and the model in it",
    "invalid_api_key": "the key is not known: check provider.api_key or OPENAI_API_KEY (ephemeral keys end soon)",
    "insufficient_quota": "the account has no credit left: no other try will help",
    "model_not_found": "there is no such model for this key: check provider.model",
    "missing_model": "the URL names no model: set provider.model",
    "beta_api_shape_disabled": "this server speaks the present shape only: choose the dialect without -beta",
    "unknown_parameter": "the server does not know a key that was sent: look in session.extra for the one it names",
    "invalid_value": "the server does not take a value that was sent: look for the key that it names",
    "cannot_update_voice": "the voice cannot change once the agent has spoken",
    "rate_limit_exceeded": "too many sessions or tokens for this key just now",
}
"""What to do about what a server says, by its codes."""

OPENAI = Dialect(
    name="openai",
    url="wss://api.openai.com/v1/realtime",
    query={"model": "{model}"},
    headers={"Authorization": "Bearer {api_key}"},
    default_model="gpt-realtime-2.1",
    api_key_env="OPENAI_API_KEY",
    formats=tuple(FORMATS),
    events=EVENTS,
    commands=COMMANDS,
    audio_type="input_audio_buffer.append",
    audio_keys={
        "input_audio_buffer.append": "audio",
        "response.output_audio.delta": "delta",
        "response.audio.delta": "delta",
    },
    format_names={format_: spelling["type"] for format_, spelling in FORMATS.items()},
    advice=ADVICE,
    fatal_codes=frozenset(
        {
            "session_expired",
            "insufficient_quota",
            "invalid_api_key",
            "account_deactivated",
            "billing_hard_limit_reached",
            "beta_api_shape_disabled",
        }
    ),
    busy_codes=frozenset({"conversation_already_has_active_response"}),
    expired_codes=frozenset({"session_expired"}),
)
"""``fatal_codes``: errors after which the session is of no use, and which another try would not mend."""
