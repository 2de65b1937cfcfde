"""How Deepgram spells its Voice Agent (v1), as a spelling of the simulated provider.

Sources: the types of the ``deepgram-sdk`` package (``deepgram.agent.v1.types``) and the vendor's guides. Text messages
are JSON, audio is binary. Every error ends the session. There are no responses or items: what the simulated provider
knows of these is left out, and what is left keeps its order.
"""

from __future__ import annotations

import base64
import copy
from typing import Any

import attrs

from voxpipe.testing import provider_ga as ga
from voxpipe.testing.provider_answer import Answer
from voxpipe.testing.provider_dialogue import ALIVE, CHANGE, END_TURN, RESPOND, SPEAK, WARN
from voxpipe.testing.provider_schema import (
    Anything,
    Check,
    Choice,
    Either,
    Flag,
    ListOf,
    Number,
    Refusal,
    Table,
    Text,
    TextMap,
)
from voxpipe.testing.provider_speaker import GREETING
from voxpipe.testing.provider_spelling import Json, Spelling
from voxpipe.testing.scenario import Close

AUDIO = "Audio"
"""What the evidence calls a binary message."""
PATIENCE_S = 10.0
TRANSCRIBES_AFTER_S = 0.1
PROMPT_LIMIT = 25_000
LIMIT_S, WARNS_S = 7_200.0, 300.0
FLUX = "v2"
"""The version of listening whose turns can be ended by hand."""
CODES = {
    "session_expired": "MAXIMUM_SESSION_LENGTH_REACHED",
    "invalid_tool_call_id": "NON_EXISTENT_FUNCTION_CALLED",
    "tool_call_already_answered": "NON_EXISTENT_FUNCTION_CALLED",
    "invalid_audio": "USER_AUDIO_FORMAT",
    "audio_above_max_length": "USER_AUDIO_FORMAT",
}
RATES_HZ = {"linear16": (8_000, 16_000, 24_000, 32_000, 48_000), "mulaw": (8_000,), "alaw": (8_000,)}
DEFAULT_RATES_HZ = {"linear16": 24_000, "mulaw": 8_000, "alaw": 8_000}
GA_NAMES = {"linear16": "audio/pcm", "mulaw": "audio/pcmu", "alaw": "audio/pcma"}

_PROVIDER: dict[str, Check] = {key: Text() for key in ("type", "version", "model", "language")}
_ENDPOINT = Table({"url": Text(), "headers": TextMap()}, ("url",))
_LISTEN_KEYS: dict[str, Check] = {
    "keyterms": ListOf(Text()),
    "smart_format": Flag(),
    "language_hints": ListOf(Text()),
    "eot_threshold": Number(0.5, 1.0),
    "eager_eot_threshold": Number(0.3, 0.9),
    "eot_timeout_ms": Number(500, 60_000),
}
_LISTEN = Table({**_PROVIDER, **_LISTEN_KEYS}, ("type",))
_FUNCTION = Table(
    {
        "name": Text(),
        "description": Text(),
        "parameters": Anything(),
        "endpoint": Anything(),
        "defer_until_eot": Flag(),
    },
    ("name",),
)
_THINK = Table(
    {
        "provider": Table({**_PROVIDER, "temperature": Number(0, 2), "reasoning_mode": Text()}, ("type",)),
        "endpoint": _ENDPOINT,
        "prompt": Text(),
        "functions": ListOf(_FUNCTION),
        "context_length": Anything(),
    },
    ("provider",),
)
_SPEAK = Table(
    {
        "provider": Table({**_PROVIDER, "speed": Number(0.5, 1.5), "model_id": Text(), "voice": Anything()}, ("type",)),
        "endpoint": _ENDPOINT,
    },
    ("provider",),
)


@attrs.frozen
class OneOrMore:
    """An object, or a list of them in the order of preference."""

    each: Check

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        return (ListOf(self.each) if isinstance(value, list) else self.each).refuse(value, path)


@attrs.frozen
class Injection:
    """Words for the agent, or the wish that it finds some."""

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        words = ("is_dynamic",) if value.get("is_dynamic") else ("message",)
        keys: dict[str, Check] = {
            "is_dynamic": Flag(),
            "message": Text(),
            "behavior": Choice(("default", "queue", "interrupt")),
        }
        return _message(keys, words).refuse(value, path)


_AGENT = Either(
    Text(),
    Table(
        {
            "language": Text(),
            "listen": Table({"provider": _LISTEN}, ("provider",)),
            "think": OneOrMore(_THINK),
            "think_live": Anything(),
            "speak": OneOrMore(_SPEAK),
            "greeting": Text(),
            "context": Table({"messages": ListOf(Anything())}),
        }
    ),
)
_ENCODING: dict[str, Check] = {"encoding": Choice(tuple(RATES_HZ)), "sample_rate": Number(8_000, 48_000, whole=True)}
_SETTINGS = Table(
    {
        "type": Text(),
        "tags": ListOf(Text()),
        "experimental": Flag(),
        "mip_opt_out": Flag(),
        "flags": Table({"history": Flag()}),
        "audio": Table(
            {
                "input": Table(_ENCODING, ("encoding", "sample_rate")),
                "output": Table({**_ENCODING, "bitrate": Anything(), "container": Choice(("none",))}),
            }
        ),
        "agent": _AGENT,
    },
    ("audio", "agent"),
)


def _message(keys: dict[str, Check], required: tuple[str, ...] = ()) -> Table:
    return Table({"type": Text(), **keys}, required)


CLIENT_MESSAGES: dict[str, Check] = {
    "Settings": _SETTINGS,
    "KeepAlive": _message({}),
    "UpdatePrompt": _message({"prompt": Text()}, ("prompt",)),
    "UpdateSpeak": _message({"speak": OneOrMore(_SPEAK)}, ("speak",)),
    "UpdateListen": _message({"listen": Table({"provider": _LISTEN}, ("provider",))}, ("listen",)),
    "UpdateThink": _message({"think": OneOrMore(_THINK)}, ("think",)),
    "UpdateThink_Live": _message({"think_live": Anything()}, ("think_live",)),
    "InjectAgentMessage": Injection(),
    "InjectUserMessage": _message({"content": Text()}, ("content",)),
    "FunctionCallResponse": _message({"id": Text(), "name": Text(), "content": Text()}, ("id", "name", "content")),
    "ForceEndTurn": _message({}),
    "__customToThinkProvider": _message({"content": Anything()}, ("content",)),
    AUDIO: Anything(),
}
SESSION_DEFAULTS: Json = copy.deepcopy(ga.SESSION_DEFAULTS)
SESSION_DEFAULTS["audio"]["input"]["transcription"] = {"model": "nova-3"}
SESSION_DEFAULTS["audio"]["input"]["turn_detection"]["silence_duration_ms"] = 500

LEFT_OUT = frozenset(
    {
        "conversation.created",
        "conversation.item.added",
        "conversation.item.deleted",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "input_audio_buffer.committed",
        "input_audio_buffer.speech_stopped",
        "rate_limits.updated",
        "response.content_part.done",
        "response.created",
        "response.function_call_arguments.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.output_item.added",
        "response.output_item.done",
    }
)
"""Events of GA for which there is no message."""


@attrs.frozen
class DeepgramSpelling(Spelling):
    """See the module's docstring."""

    def parse(self, message: str | bytes) -> Json | Refusal:
        """See ``Spelling``."""
        if isinstance(message, bytes):
            return {"type": AUDIO, "audio": message}
        parsed = super().parse(message)
        return attrs.evolve(parsed, code="UNPARSABLE_CLIENT_MESSAGE") if isinstance(parsed, Refusal) else parsed

    def refuse(self, event: Json, *, configured: bool) -> Refusal | None:
        """See ``Spelling``."""
        kind = event["type"]
        if kind == "Settings" and configured:
            return Refusal("SETTINGS_ALREADY_APPLIED", "Settings were sent before.")
        if kind != "Settings" and not configured:
            return Refusal("NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", f"Expected Settings first, got {kind}.")
        if refusal := self.client[kind].refuse(event, ""):
            code = "INVALID_SETTINGS" if kind == "Settings" else "UNPARSABLE_CLIENT_MESSAGE"
            return attrs.evolve(refusal, code=code)
        return _refuse_rates(event["audio"]) if kind == "Settings" else None

    def read(self, event: Json) -> list[Json]:
        """See ``Spelling``."""
        match event["type"]:
            case "Audio":
                return [{"type": "input_audio_buffer.append", "audio": event["audio"]}]
            case "Settings":
                session = _session(event)
                return [{"type": "session.update", "session": session}, *_too_long(session["instructions"])]
            case "UpdatePrompt":
                prompt = event["prompt"]
                return [*_too_long(prompt), _change("PromptUpdated", {"instructions": prompt[:PROMPT_LIMIT]})]
            case "UpdateThink":
                thought = _thought(event["think"])
                return [*_too_long(thought["instructions"]), _change("ThinkUpdated", thought)]
            case "UpdateThink_Live":
                return [_change("ThinkLiveUpdated", {})]
            case "UpdateListen":
                return [_change("ListenUpdated", _listening(event["listen"]))]
            case "UpdateSpeak":
                return [_change("SpeakUpdated", {"audio": {"output": {"voice": _voice(event["speak"])}}})]
            case "InjectAgentMessage":
                words, behavior = event.get("message", GREETING), event.get("behavior", "default")
                return [{"type": SPEAK, "words": words, "behavior": behavior}]
            case "InjectUserMessage":
                content = [{"type": "input_text", "text": event["content"]}]
                return [_create({"type": "message", "role": "user", "content": content}), {"type": RESPOND}]
            case "FunctionCallResponse":
                result = {"type": "function_call_output", "call_id": event["id"], "output": event["content"]}
                return [_create(result), {"type": RESPOND}]
            case "ForceEndTurn":
                text = "ForceEndTurn needs a listen provider of version v2."
                return [{"type": END_TURN, "code": "FORCE_END_TURN_UNSUPPORTED", "message": text}]
        return [{"type": ALIVE}]

    def write(self, event: Json, answer: Answer | None = None, now_ms: int = 0) -> list[Json | bytes]:
        """See ``Spelling``."""
        match event["type"]:
            case "session.created":
                return [{"type": "Welcome", "request_id": event["session"]["id"]}]
            case "session.updated":
                return [{"type": "SettingsApplied"}]
            case "change":
                return [{"type": event["what"]}]
            case "warn":
                return [{"type": "Warning", "code": event["code"], "description": event["message"]}]
            case "speak":
                return [{"type": "InjectionRefused", "message": event["refused"]}]
            case "input_audio_buffer.speech_started":
                return [{"type": "UserStartedSpeaking"}]
            case "conversation.item.input_audio_transcription.completed":
                return [_text("user", event["transcript"])]
            case "response.content_part.added" if answer is not None:
                latencies = {"total_latency": 0.9, "tts_latency": 0.2, "ttt_latency": 0.3}
                started = {"type": "AgentStartedSpeaking", **latencies}
                report = {"type": "LatencyReport", "stt_latency": 0.2, "ttt_token_latency": 0.3, "tts_latency": 0.2}
                return [_text("assistant", answer.transcript), started, report]
            case "response.output_audio.delta":
                return [base64.b64decode(event["delta"])]
            case "response.function_call_arguments.done":
                call = {"id": event["call_id"], "name": event["name"], "arguments": event["arguments"]}
                return [{"type": "FunctionCallRequest", "functions": [{**call, "client_side": True}]}]
            case "response.done":
                spoken = answer is not None and answer.sent_bytes > 0 and answer.status == "completed"
                return [{"type": "AgentAudioDone"}] if spoken else []
            case "error":
                return [_error(event["error"])]
        return [] if event["type"] in LEFT_OUT else [event]


def _refuse_rates(audio: Json) -> Refusal | None:
    for way, wire in audio.items():
        encoding = wire.get("encoding", "linear16")
        rate_hz = wire.get("sample_rate", DEFAULT_RATES_HZ[encoding])
        if rate_hz not in RATES_HZ[encoding]:
            return Refusal("INVALID_SETTINGS", f"audio.{way}.sample_rate of {rate_hz} is not supported with {encoding}")
    return None


def _session(settings: Json) -> Json:
    agent = settings["agent"] if isinstance(settings["agent"], dict) else {}
    session: Json = {"type": "realtime", **_thought(agent.get("think", {})), **_listening(agent.get("listen", {}))}
    if agent.get("greeting"):
        session["greeting"] = agent["greeting"]
    audio: Json = {
        "input": {"format": _format(settings["audio"].get("input", {}))},
        "output": {"format": _format(settings["audio"].get("output", {}))},
    }
    if "speak" in agent:
        audio["output"]["voice"] = _voice(agent["speak"])
    return {**session, "audio": audio}


def _thought(think: Any) -> Json:
    think = (think or [{}])[0] if isinstance(think, list) else think
    functions = [{"type": "function", **function} for function in think.get("functions", [])]
    return {"instructions": think.get("prompt", ""), "tools": functions}


def _listening(listen: Json) -> Json:
    version = listen.get("provider", {}).get("version")
    return {} if version is None else {"ends_turns_by_hand": version == FLUX}


def _too_long(prompt: str) -> list[Json]:
    if len(prompt) <= PROMPT_LIMIT:
        return []
    text = f"The prompt was cut to {PROMPT_LIMIT} characters, from {len(prompt)}."
    return [{"type": WARN, "code": "PROMPT_TOO_LONG", "message": text}]


def _format(wire: Json) -> Json:
    name = GA_NAMES[wire.get("encoding", "linear16")]
    return {"type": name, "rate": wire.get("sample_rate", 24_000)} if name == "audio/pcm" else {"type": name}


def _voice(speak: Any) -> str:
    provider = (speak[0] if isinstance(speak, list) else speak)["provider"]
    return str(provider.get("model", provider.get("model_id", "")))


def _change(what: str, session: Json) -> Json:
    return {"type": CHANGE, "what": what, "session": session}


def _create(item: Json) -> Json:
    return {"type": "conversation.item.create", "item": item}


def _text(role: str, content: str) -> Json:
    return {"type": "ConversationText", "role": role, "content": content, "conversational_behavior": "default"}


def _error(error: Json) -> Json:
    code = error["code"] or "INTERNAL_SERVER_ERROR"
    known = CODES.get(code, code if code.isupper() else "INVALID_SETTINGS")
    told = "The session reached its maximum length." if code == "session_expired" else error["message"]
    return {"type": "Error", "code": known, "description": told}


DEEPGRAM = DeepgramSpelling(
    "deepgram",
    CLIENT_MESSAGES,
    SESSION_DEFAULTS,
    formats={name: encoding for encoding, name in GA_NAMES.items()},
    path="/v1/agent/converse",
    scheme="Token ",
    needs_model=False,
    has_ids=False,
    audio_type=AUDIO,
    closes=Close(1000),
    transcribes_after_s=TRANSCRIBES_AFTER_S,
    patience_s=PATIENCE_S,
    limit_s=LIMIT_S,
    warns_s=WARNS_S,
)
