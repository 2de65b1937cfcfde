"""OpenAI Live (dialect ``openai-live``): the agent listens while it speaks.

Names and required fields: package ``openai`` 3.57, ``openai.types.live``. The client begins, with ``session.start``;
one format serves both directions, and ``rate`` is required in all three. There are no turns, responses or items:
``openai_live_turns`` makes them of the sound and of the transcripts. Nothing can be cut: the model falls silent by
itself.

Instructions cannot be replaced once the session has begun, only added to. Words that are to be spoken go as
``commentary``, which was seen to be spoken as it stands. Tools are called by a second model, to which the first one
delegates (``delegation`` of type ``responses``); its events come wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voxpipe.audio import ALAW8, SLIN16, SLIN24, ULAW8, AudioFormat
from voxpipe.dialects.openai import ADVICE
from voxpipe.dialects.openai_live_turns import (
    AgentWords,
    CallerWords,
    Closed,
    Sound,
    Started,
    Turns,
)
from voxpipe.sansio.command_words import (
    AddMessage,
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
    View,
    Wire,
    as_number,
    base64_bytes,
    optional_text,
    overlay,
    text,
)
from voxpipe.sansio.realtime import (
    UNTOLD,
    CommandAcknowledged,
    ErrorReported,
    ResponseCreated,
)
from voxpipe.sansio.tool_words import SendToolResult, ToolCallRequested

FORMATS: dict[AudioFormat, Wire] = {
    SLIN24: {"type": "audio/pcm", "rate": 24000},
    SLIN16: {"type": "audio/pcm", "rate": 16000},
    ULAW8: {"type": "audio/pcmu", "rate": 8000},
    ALAW8: {"type": "audio/pcma", "rate": 8000},
}
BACKEND = "gpt-6-luna"
"""The model that calls tools, unless ``session.extra`` names another; the vendor's guides use it."""
RECALLED = "Earlier in this call, before the connection was renewed:"
APPEND = "session.input_audio.append"
DELTA = "session.output_audio.delta"


def read_format(wire: object) -> AudioFormat | str:
    """Read a confirmed format: type and rate."""
    if isinstance(wire, dict):
        for format_, spelling in FORMATS.items():
            if (wire.get("type"), wire.get("rate")) == (spelling["type"], spelling["rate"]):
                return format_
    return repr(wire)


class Other(Mark):
    """An event of the second model that means nothing here."""


def _nested(call_id: str | None, name: str | None, arguments: str, kind: str | None, item_type: str | None) -> Decoded:
    if kind == "response.output_item.done" and item_type == "function_call" and call_id and name:
        return ToolCallRequested(call_id, None, f"delegation {call_id}", name, arguments)
    return Other()


ACKNOWLEDGED = EventSpelling(CommandAcknowledged, {"command_id": optional_text("client_event_id")})
RANGE = {"start_ms": Key("start_ms", as_number, default=None), "end_ms": Key("end_ms", as_number, default=None)}
FORMAT = Key("session.audio.format", read_format, default=UNTOLD)

EVENTS: dict[str, EventSpelling] = {
    "session.started": EventSpelling(Started, {"format": FORMAT}),
    "session.updated": EventSpelling(Started, {"format": FORMAT}),
    "session.closed": EventSpelling(Closed, {"reason": Key("reason", str, default="no reason")}),
    "session.instructions.appended": ACKNOWLEDGED,
    "session.thinking.appended": ACKNOWLEDGED,
    "session.commentary.appended": ACKNOWLEDGED,
    "session.input_transcript.delta": EventSpelling(CallerWords, {"words": text("delta"), **RANGE}),
    "session.output_transcript.delta": EventSpelling(AgentWords, {"words": text("delta"), **RANGE}),
    DELTA: EventSpelling(Sound, {"audio": Key("delta", base64_bytes)}),
    "response.event": EventSpelling(
        _nested,
        {
            "kind": optional_text("event.type"),
            "item_type": optional_text("event.item.type"),
            "call_id": optional_text("event.item.call_id"),
            "name": optional_text("event.item.name"),
            "arguments": Key("event.item.arguments", str, default="{}"),
        },
    ),
    "error": EventSpelling(
        ErrorReported,
        {
            "code": Key("error.code", str, default="no code"),
            "message": Key("error.message", str, default=""),
            "param": Key("error.param", str, default=None),
            "command_id": Key("error.client_event_id", str, default=None),
        },
    ),
}


def _start(command: ConfigureSession) -> Wire:
    session = command.session
    audio: Wire = {"format": FORMATS[command.formats.uplink]}
    if session.voice:
        audio["output"] = {"voice": session.voice}
    wire: Wire = {"model": command.model, "instructions": session.instructions, "audio": audio}
    if command.tools:
        functions = [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in command.tools
        ]
        backend = {"model": BACKEND, "instructions": session.instructions, "tools": functions}
        wire["delegation"] = {"type": "responses", "responses": backend}
    return {"type": "session.start", "session": overlay(wire, session.extra)}


def _append(kind: str, content: Callable[[Any], str]) -> Callable[[Any], Wire]:
    return lambda command: {"type": f"session.{kind}.append", "delegation_id": None, "content": content(command)}


def _respond(command: CreateResponse) -> Wire:
    if command.instructions is None:  # results are there: the second model goes on
        return {"type": "response.create"}
    return {"type": "session.instructions.append", "delegation_id": None, "content": command.instructions}


COMMANDS: dict[type, Any] = {
    ConfigureSession: _start,
    InstructSession: _append("instructions", lambda command: f"From now on: {command.instructions}"),
    RecallConversation: _append("thinking", lambda command: "\n".join([RECALLED, *command.lines])),
    SpeakWords: _append("commentary", lambda command: command.words),
    AddMessage: _append("instructions", lambda command: command.text),
    CreateResponse: _respond,
    SendToolResult: lambda command: {
        "type": "response.item.create",
        "item": {"type": "function_call_output", "call_id": command.call_id, "output": command.output},
    },
}


def _seen_session(wire: Wire, _asked: Wire) -> Wire:
    session = wire.get("session", {})
    audio = session.get("audio", {})
    format_, voice = audio.get("format"), audio.get("output", {}).get("voice")
    uplink = {"format": format_, "turn_detection": OWN_TURNS, "transcription": {"model": "its own"}}
    downlink = {"format": format_, "voice": voice}
    tools = session.get("delegation", {}).get("responses", {}).get("tools", [])
    return {
        "session": {**session, "audio": {"input": uplink, "output": downlink}} | ({"tools": tools} if tools else {})
    }


OWN_TURNS = {"type": "the model's own", "silence_duration_ms": 0}
"""The caller's turn ends with its last word: no silence is waited for."""

VIEWS = {
    "session.start": View("session.update", _seen_session),
    "session.started": View("session.updated", _seen_session),
    "session.closed": View("session.ended"),
    "session.instructions.append": View("response.create"),
    "session.commentary.append": View("response.create"),
    "response.item.create": View("conversation.item.create"),
}

EXPIRED = frozenset({"closed: expired", "closed: connection_lost"})

OPENAI_LIVE = Dialect(
    name="openai-live",
    url="wss://api.openai.com/v1/live/sessions",
    query={},
    headers={"Authorization": "Bearer {api_key}"},
    default_model="gpt-live-1",
    api_key_env="OPENAI_API_KEY",
    formats=tuple(FORMATS),
    events=EVENTS,
    commands=COMMANDS,
    audio_type=APPEND,
    audio_keys={APPEND: "audio", DELTA: "delta"},
    fatal_codes=frozenset({"insufficient_quota", "invalid_api_key", "account_deactivated"}),
    unknown_keys=frozenset(
        {
            "session.max_output_tokens",
            "session.noise_reduction",
            "session.push_to_talk",
            "session.speed",
            "session.transcription.language",
            "session.transcription.model",
            "session.transcription.prompt",
            "voice.detect",
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
    busy_codes=frozenset({"function_call_outputs_required"}),
    expired_codes=EXPIRED,
    acks={
        InstructSession: CommandAcknowledged,
        RecallConversation: CommandAcknowledged,
        AddMessage: ResponseCreated,
        SendToolResult: None,
    },
    answer_s=10.0,
    tells_speech_end=False,
    full_duplex=True,
    session_limit_s=7100.0,
    fills_gaps_s=0.2,
    one_format=True,
    recall_chars=1_500,
    farewell={"type": "session.close"},
    farewell_answer="session.closed",
    reader=Turns,
    views=VIEWS,
    format_names={format_: spelling["type"] for format_, spelling in FORMATS.items()},
    advice=ADVICE,
)
"""``fills_gaps_s``: the model speaks only while audio comes in. ``recall_chars``: 500 tokens are the limit.
``session_limit_s``: sessions were seen to end after two hours."""
