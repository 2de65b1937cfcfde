"""How OpenAI spells Live, as a spelling of the simulated provider.

Sources: the types of the ``openai`` package (``openai.types.live``), and what users measured: sound comes all the time
at the pace of speech, while the client's does; ``commentary`` is spoken as it stands. Unknown keys are refused.
"""

from __future__ import annotations

import base64
import copy
from typing import Any

import attrs

from voxpipe.testing import provider_ga as ga
from voxpipe.testing.provider_answer import Answer
from voxpipe.testing.provider_dialogue import ALIVE, CHANGE, LEAVE, RESPOND, SPEAK
from voxpipe.testing.provider_schema import (
    Anything,
    Check,
    Choice,
    Flag,
    ListOf,
    Nullable,
    Number,
    Refusal,
    Table,
    Tagged,
    Text,
    missing,
)
from voxpipe.testing.provider_spelling import Json, Spelling

APPEND = "session.input_audio.append"
DELTA = "session.output_audio.delta"
FOR_ALL_TIME = "From now on"
"""Instructions that begin so are taken, and not answered."""
LIFE_S = 7_200
RATES_HZ: dict[str, tuple[int, ...]] = {"audio/pcm": (16_000, 24_000), "audio/pcmu": (8_000,), "audio/pcma": (8_000,)}

_FORMAT = Table({"type": Choice(tuple(RATES_HZ)), "rate": Number(8_000, 24_000, whole=True)}, ("type", "rate"))
_FUNCTION = Tagged("type", {"function": Table({**ga.FUNCTION_TOOL.keys, "strict": Flag()}, ("name",))})
_BACKEND = Table(
    {
        "model": Text(),
        "instructions": Text(),
        "max_output_tokens": Number(1, 2**31, whole=True),
        "parallel_tool_calls": Flag(),
        "reasoning": Anything(),
        "service_tier": Text(),
        "text": Anything(),
        "tool_choice": Anything(),
        "tools": ListOf(_FUNCTION),
    },
    ("model",),
)
_DELEGATION = Tagged(
    "type",
    {
        "client": Table({"type": Text(), "acknowledgement_delay_ms": Number(0, 60_000, whole=True)}),
        "responses": Table(
            {"type": Text(), "responses": _BACKEND, "acknowledgement_delay_ms": Number(0, 60_000, whole=True)},
            ("responses",),
        ),
    },
)
_SESSION = Table(
    {
        "model": Text(),
        "instructions": Text(),
        "audio": Table({"format": _FORMAT, "output": Table({"voice": ga.VOICE})}),
        "delegation": Nullable(_DELEGATION),
        "input": ListOf(Anything(), longest=128),
        "safety_identifier": Text(),
        "store": Flag(),
        "triggers": ListOf(Anything()),
    },
    ("model",),
)
_UPDATE = Table({key: _SESSION.keys[key] for key in ("delegation", "triggers")})
_APPENDED: dict[str, Check] = {"content": Text(), "delegation_id": Nullable(Text())}
_WORDS = ga.event(_APPENDED, ("content", "delegation_id"))
_OUTPUT = Table({"type": Text(), "call_id": Text(), "output": Text()}, ("call_id", "output"))
CLIENT_EVENTS: dict[str, Check] = {
    "session.start": ga.event({"session": _SESSION}, ("session",)),
    APPEND: ga.event({"audio": Text()}, ("audio",)),
    "session.update": ga.event({"session": _UPDATE}, ("session",)),
    "session.input_audio.mute": ga.event({}),
    "session.input_audio.unmute": ga.event({}),
    "session.instructions.append": _WORDS,
    "session.thinking.append": _WORDS,
    "session.commentary.append": _WORDS,
    "response.item.create": ga.event({"item": Tagged("type", {"function_call_output": _OUTPUT})}, ("item",)),
    "response.create": ga.event({}),
    "session.close": ga.event({}),
}
SESSION_DEFAULTS: Json = copy.deepcopy(ga.SESSION_DEFAULTS)
SESSION_DEFAULTS["audio"]["input"]["transcription"] = {"model": "live"}
SESSION_DEFAULTS["audio"]["input"]["turn_detection"]["silence_duration_ms"] = 500


@attrs.frozen
class LiveSpelling(Spelling):
    """See the module's docstring."""

    def refuse(self, event: Json, *, configured: bool) -> Refusal | None:
        """See ``Spelling``."""
        kind = event["type"]
        if (kind == "session.start") == configured and kind != "session.close":
            text = "The session was started before." if configured else f"Expected session.start first, got {kind}."
            return Refusal("invalid_state", text)
        if refusal := super().refuse(event, configured=configured):
            return refusal
        return _refuse_format(event["session"].get("audio", {})) if kind == "session.start" else None

    def read(self, event: Json) -> list[Json]:
        """See ``Spelling``."""
        event_id = event.get("event_id")
        match event["type"]:
            case "session.input_audio.append":
                return [{"type": "input_audio_buffer.append", "audio": event["audio"]}]
            case "session.start":
                return [{"type": "session.update", "session": _session(event["session"]), "event_id": event_id}]
            case "session.instructions.append" | "session.thinking.append" | "session.commentary.append" as kind:
                appended: Json = {"type": CHANGE, "what": f"{kind}ed", "session": {}, "event_id": event_id}
                return [appended, *_reaction(kind, event["content"])]
            case "session.update":
                return [{"type": CHANGE, "what": "session.updated", "session": event["session"], "event_id": event_id}]
            case "session.input_audio.mute" | "session.input_audio.unmute" as kind:
                muted = {"muted": kind == "session.input_audio.mute"}
                return [{"type": CHANGE, "what": f"{kind}d", "session": muted, "event_id": event_id}]
            case "response.item.create":
                return [{"type": "conversation.item.create", "item": event["item"]}]
            case "response.create":
                return [{"type": RESPOND, "strict": True}]
            case "session.close":
                return [{"type": LEAVE, "event_id": event_id}]
        return [{"type": ALIVE}]

    def write(self, event: Json, answer: Answer | None = None, now_ms: int = 0) -> list[Json | bytes]:
        """See ``Spelling``."""
        span = {"start_ms": now_ms, "end_ms": now_ms}
        match event["type"]:
            case "session.updated":
                return [{"type": "session.started", **_told(event), "session": _resource(event["session"])}]
            case "change" if event["what"] == "session.updated":
                return [{"type": event["what"], **_told(event), "session": _resource(event["session"])}]
            case "change":
                return [{"type": event["what"], **_told(event), **(span if event["what"].endswith("appended") else {})}]
            case "leave":
                ended = {"reason": "close_requested", "session": _resource(event["session"])}
                return [{"type": "session.closed", **_told(event), **ended, "usage": {"seconds": now_ms / 1000}}]
            case "conversation.item.input_audio_transcription.completed":
                start_ms, end_ms = event["range_ms"]
                said = {"delta": event["transcript"], "start_ms": start_ms, "end_ms": end_ms}
                return [{"type": "session.input_transcript.delta", **said}]
            case "response.output_audio_transcript.delta":
                return [{"type": "session.output_transcript.delta", "delta": event["delta"], **span}]
            case "response.output_audio.delta":
                return [{"type": DELTA, "delta": event["delta"]}]
            case "hum":
                return [{"type": DELTA, "delta": base64.b64encode(event["bytes"]).decode()}]
            case "response.output_item.added" if event["item"]["type"] == "function_call":
                delegation = {"id": _delegation(event), "type": "delegation", "target": "responses"}
                return [{"type": "session.delegation.created", "offset_ms": now_ms, "delegation": delegation}]
            case "response.output_item.done" if event["item"]["type"] == "function_call":
                item = {key: value for key, value in event["item"].items() if key != "object"}
                nested = {"type": event["type"], "output_index": 0, "sequence_number": 0, "item": item}
                return [{"type": "response.event", "delegation_id": _delegation(event), "event": nested}]
            case "error":
                return [self._error(event["error"], now_ms)]
        return [] if event["type"].startswith(KNOWN) else [event]

    def param(self, path: tuple[str, ...]) -> str:
        """See ``Spelling``; one format serves both directions."""
        return "session.audio.format.type"

    def _error(self, error: Json, now_ms: int) -> Json:
        if error["code"] == "session_expired":
            session = _resource({**copy.deepcopy(SESSION_DEFAULTS), "id": "live_vp", "model": "gpt-live-1"})
            ended = {"reason": "expired", "session": session, "usage": {"seconds": now_ms / 1000}}
            return {"type": "session.closed", **ended}
        told = {"type": error["type"], "code": error["code"] or "server_error", "message": error["message"]}
        detail = {**told, "param": error["param"], "client_event_id": error["event_id"]}
        return {"type": "error", "client_event_id": error["event_id"], "error": detail}


KNOWN = ("session.created", "conversation.", "input_audio_buffer.", "rate_limits.", "response.", SPEAK)
"""Events of GA for which there is no other."""


def _reaction(kind: str, content: str) -> list[Json]:
    if kind == "session.commentary.append":
        return [{"type": SPEAK, "words": content, "behavior": "queue"}]
    if kind == "session.thinking.append" or content.startswith(FOR_ALL_TIME):
        return []
    body = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": content}]}
    return [{"type": "conversation.item.create", "item": body}, {"type": RESPOND}]


def _told(event: Json) -> Json:
    return {"client_event_id": event["client_event_id"]} if event.get("client_event_id") else {}


def _delegation(event: Json) -> str:
    return f"delegation_{event['item']['id']}"


def _refuse_format(audio: Json) -> Refusal | None:
    if "format" not in audio:
        return missing("session.audio.format")
    wire = audio["format"]
    if wire["rate"] in RATES_HZ[wire["type"]]:
        return None
    text = f"Invalid value: {wire['rate']}. Supported values for {wire['type']} are: {RATES_HZ[wire['type']]}."
    return Refusal("invalid_value", text, "session.audio.format.rate")


def _session(asked: Json) -> Json:
    format_ = asked["audio"]["format"]
    wire = format_ if format_["type"] == "audio/pcm" else {"type": format_["type"]}
    output: dict[str, Any] = {"format": wire, **asked["audio"].get("output", {})}
    known = {key: value for key, value in asked.items() if key != "audio"}
    return {**known, "audio": {"input": {"format": wire}, "output": output}}


def _resource(session: Json) -> Json:
    output = session["audio"]["output"]
    audio: Json = {"output": {"voice": output["voice"]}}
    if (wire := output.get("format")) is not None:
        audio["format"] = {**wire, "rate": wire.get("rate", 8_000)}
    kept = ("delegation", "input", "safety_identifier", "store", "triggers", "instructions")
    told = {key: session[key] for key in kept if key in session}
    identity = {"id": session["id"], "model": session["model"], "status": "active"}
    return {**identity, "expires_at": session.get("expires_at", LIFE_S), **told, "audio": audio}


LIVE = LiveSpelling(
    "openai-live",
    CLIENT_EVENTS,
    SESSION_DEFAULTS,
    path="/v1/live/sessions",
    needs_model=False,
    audio_type=APPEND,
    nameless=frozenset({DELTA}),
    transcribes_after_s=0.1,
    continuous=True,
    plain_url=True,
    limit_s=LIFE_S,
)
