"""The client's half of OpenAI Realtime GA as checks, and the session a server starts from.

From the types of the ``openai`` package 3.52 and, where the server is stricter than the types (``rate`` is required
for PCM both ways, ``session.type`` in every update), from public reports of its refusals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from voxpipe.testing.provider_schema import (
    Anything,
    Check,
    Choice,
    Either,
    Flag,
    ListOf,
    Nullable,
    Number,
    Refusal,
    Table,
    Tagged,
    Text,
    TextMap,
)

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
EFFORTS = Choice(("minimal", "low", "medium", "high", "xhigh"))
MAX_TOKENS = Either(Choice(("inf",)), Number(1, 4096, whole=True))

FORMAT = Tagged(
    "type",
    {
        "audio/pcm": Table({"type": Text(), "rate": Number(24000, 24000, whole=True)}, ("rate",)),
        "audio/pcmu": Table({"type": Text()}),
        "audio/pcma": Table({"type": Text()}),
    },
)
_VAD_FLAGS: dict[str, Check] = {"type": Text(), "create_response": Flag(), "interrupt_response": Flag()}
SERVER_VAD = Table(
    {
        **_VAD_FLAGS,
        "threshold": Number(0, 1),
        "prefix_padding_ms": Number(0, 5000, whole=True),
        "silence_duration_ms": Number(0, 10000, whole=True),
        "idle_timeout_ms": Nullable(Number(5000, 30000, whole=True)),
    }
)
SEMANTIC_VAD = Table({**_VAD_FLAGS, "eagerness": Choice(("low", "medium", "high", "auto"))})
TRANSCRIPTION = Table(
    {
        "model": Text(),
        "language": Nullable(Text()),
        "languages": Nullable(ListOf(Text())),
        "prompt": Nullable(Text()),
        "keywords": Nullable(ListOf(Text())),
        "delay": Nullable(EFFORTS),
    }
)
NOISE_REDUCTION = Table({"type": Choice(("near_field", "far_field")), "strength": Number(0, 1)})
VOICE = Either(Choice(VOICES), Table({"id": Text()}, ("id",)))
TRACING = Either(Choice(("auto",)), Table({"workflow_name": Text(), "group_id": Text(), "metadata": Anything()}))
METADATA = TextMap()

FUNCTION_TOOL = Table({"type": Text(), "name": Text(), "description": Text(), "parameters": Anything()}, ("name",))
MCP_TOOL = Table(
    {
        "type": Text(),
        "server_label": Text(),
        **{key: Text() for key in ("server_url", "connector_id", "tunnel_id", "authorization", "server_description")},
        **{key: Anything() for key in ("headers", "allowed_tools", "require_approval", "allowed_callers")},
        "defer_loading": Flag(),
    },
    ("server_label",),
)
TOOL_CHOICE = Either(
    Choice(("none", "auto", "required")),
    Tagged(
        "type",
        {
            "function": Table({"type": Text(), "name": Text()}, ("name",)),
            "mcp": Table({"type": Text(), "server_label": Text(), "name": Nullable(Text())}, ("server_label",)),
        },
    ),
)
_SHARED: dict[str, Check] = {
    "output_modalities": ListOf(Choice(("audio", "text")), longest=1),
    "instructions": Text(),
    "tools": ListOf(Tagged("type", {"function": FUNCTION_TOOL, "mcp": MCP_TOOL})),
    "tool_choice": TOOL_CHOICE,
    "parallel_tool_calls": Flag(),
    "reasoning": Nullable(Table({"effort": EFFORTS})),
    "max_output_tokens": MAX_TOKENS,
    "prompt": Nullable(Table({"id": Text(), "version": Nullable(Text()), "variables": Nullable(Anything())}, ("id",))),
}
SESSION = Table(
    {
        **_SHARED,
        "type": Text(),
        "model": Text(),
        "audio": Table(
            {
                "input": Table(
                    {
                        "format": FORMAT,
                        "transcription": Nullable(TRANSCRIPTION),
                        "noise_reduction": Nullable(NOISE_REDUCTION),
                        "turn_detection": Nullable(
                            Tagged("type", {"server_vad": SERVER_VAD, "semantic_vad": SEMANTIC_VAD})
                        ),
                    }
                ),
                "output": Table({"format": FORMAT, "voice": VOICE, "speed": Number(0.25, 1.5)}),
            }
        ),
        "tracing": Nullable(TRACING),
        "truncation": Either(
            Choice(("auto", "disabled")),
            Table(
                {
                    "type": Choice(("retention_ratio",)),
                    "retention_ratio": Number(0, 1),
                    "token_limits": Nullable(Table({"post_instructions": Number(0, 1_000_000, whole=True)})),
                },
                ("type", "retention_ratio"),
            ),
        ),
        "include": Nullable(ListOf(Choice(("item.input_audio_transcription.logprobs",)))),
    }
)


@attrs.frozen
class RealtimeOnly:
    """A session of type ``realtime``: a transcription session is another kind of connection."""

    def refuse(self, value: Any, path: str) -> Refusal | None:
        """See ``Check``."""
        if isinstance(value, dict) and value.get("type") == "transcription":
            text = "Passing a transcription session update event to a realtime session is not allowed."
            return Refusal(None, text)
        return Tagged("type", {"realtime": SESSION}).refuse(value, path)


ITEM_KEYS = ("id", "object", "status", "role", "content", "name", "call_id", "arguments", "output")
_ITEM: dict[str, Check] = {
    "type": Text(),
    "id": Text(longest=64),
    "object": Choice(("realtime.item",)),
    "status": Choice(("completed", "incomplete", "in_progress")),
}


def text_content(kind: str) -> dict[str, Check]:
    """A content part of text."""
    return {kind: Table({"type": Text(), "text": Text()}, ("text",))}


def audio_content(kind: str) -> dict[str, Check]:
    """A content part of audio."""
    return {kind: Table({"type": Text(), "audio": Text(), "transcript": Nullable(Text())}, ("audio",))}


def message(contents: dict[str, Check]) -> Table:
    """An item of type message with these kinds of content."""
    return Table({**_ITEM, "role": Text(), "content": ListOf(Tagged("type", contents))}, ("content",))


_IMAGE = Table({"type": Text(), "image_url": Text(), "detail": Choice(("auto", "low", "high"))}, ("image_url",))
FUNCTION_CALL = Table({**_ITEM, "name": Text(), "call_id": Text(), "arguments": Text()}, ("name", "arguments"))
FUNCTION_CALL_OUTPUT = Table({**_ITEM, "call_id": Text(), "output": Text()}, ("call_id", "output"))
ITEM = Tagged(
    "type",
    {
        "message": Tagged(
            "role",
            {
                "system": message(text_content("input_text")),
                "user": message({**text_content("input_text"), **audio_content("input_audio"), "input_image": _IMAGE}),
                "assistant": message(text_content("output_text")),
            },
        ),
        "function_call": FUNCTION_CALL,
        "function_call_output": FUNCTION_CALL_OUTPUT,
        "mcp_approval_response": Table(
            {**_ITEM, "approval_request_id": Text(), "approve": Flag(), "reason": Nullable(Text())},
            ("approval_request_id", "approve"),
        ),
    },
)
RESPONSE = Table(
    {
        **_SHARED,
        "audio": Table({"output": Table({"format": FORMAT, "voice": VOICE})}),
        "conversation": Choice(("auto", "none")),
        "metadata": Nullable(METADATA),
        "input": ListOf(Either(Text(), Table({"type": Text()} | {key: Anything() for key in ITEM_KEYS}, ("type",)))),
    }
)


def event(keys: Mapping[str, Check], required: tuple[str, ...] = ()) -> Table:
    """A client event: ``type``, ``event_id`` and these."""
    return Table({"type": Text(), "event_id": Nullable(Text(longest=512)), **keys}, required)


_ID = {"item_id": Text()}
_COUNT = Number(0, 2**31, whole=True)
CLIENT_EVENTS: dict[str, Check] = {
    "session.update": event({"session": RealtimeOnly()}, ("session",)),
    "input_audio_buffer.append": event({"audio": Text()}, ("audio",)),
    "input_audio_buffer.commit": event({}),
    "input_audio_buffer.clear": event({}),
    "conversation.item.create": event({"item": ITEM, "previous_item_id": Nullable(Text())}, ("item",)),
    "conversation.item.retrieve": event(_ID, ("item_id",)),
    "conversation.item.delete": event(_ID, ("item_id",)),
    "conversation.item.truncate": event(
        {**_ID, "content_index": _COUNT, "audio_end_ms": _COUNT}, ("item_id", "content_index", "audio_end_ms")
    ),
    "response.create": event({"response": Nullable(RESPONSE)}),
    "response.cancel": event({"response_id": Nullable(Text())}),
}

_SERVER_VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200}
_VAD_ANSWERS = {"create_response": True, "interrupt_response": True}
_PCM = {"type": "audio/pcm", "rate": 24000}
SESSION_DEFAULTS: dict[str, Any] = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "instructions": "You are a parrot: say back what you hear.",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "include": None,
    "audio": {
        "input": {
            "format": _PCM,
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": {**_SERVER_VAD, "idle_timeout_ms": None, **_VAD_ANSWERS},
        },
        "output": {"format": _PCM, "voice": "marin", "speed": 1.0},
    },
}
"""What ``session.created`` says before any update; 200 ms of silence as captured, not 500 as documented."""
BETA_SESSION_DEFAULTS: dict[str, Any] = {
    **{key: SESSION_DEFAULTS[key] for key in ("instructions", "tools", "tool_choice", "max_output_tokens", "tracing")},
    "output_modalities": ["audio", "text"],
    "temperature": 0.8,
    "audio": {
        "input": {**SESSION_DEFAULTS["audio"]["input"], "turn_detection": {**_SERVER_VAD, **_VAD_ANSWERS}},
        "output": {"format": _PCM, "voice": "alloy", "speed": 1.0},
    },
}
