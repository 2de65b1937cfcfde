"""The words of a session about tools: what the model may call, what it calls, and what a call came to."""

from __future__ import annotations

import enum
from typing import Any

import attrs


@attrs.frozen
class ToolSchema:
    """What the model is told of a tool; ``parameters`` is a JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


@attrs.frozen
class SendToolResult:
    """Tell the model what a tool call came to; ``name`` is the tool's."""

    call_id: str
    output: str
    name: str = ""


@attrs.frozen
class ToolCallRequested:
    """The model calls a tool; ``arguments`` is JSON as the model wrote it, ``name`` is missing in some messages."""

    call_id: str
    item_id: str | None
    response_id: str
    name: str | None
    arguments: str


class After(enum.Enum):
    """What the agent does after a tool call."""

    REPLY = "speak about it"
    SILENCE = "stay silent until the caller speaks, whatever other calls of the response ask for"
    NOTHING = "whatever the other calls of the response ask for"


@attrs.frozen
class ToolAnswered:
    """The answer to ``CallTool``: what the model is told, and what comes after it."""

    call_id: str
    output: str
    after: After
