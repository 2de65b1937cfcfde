"""The words of a session for what we ask of the provider: commands, in imperatives. A dialect spells them."""

from __future__ import annotations

from typing import Literal

import attrs

from voxpipe.audio import FormatPair
from voxpipe.config import SessionConfig
from voxpipe.sansio.tool_words import SendToolResult, ToolSchema


@attrs.frozen
class ConfigureSession:
    """Ask for formats, voice, instructions, turn detection and tools; ``model`` where it is no part of the URL."""

    session: SessionConfig
    formats: FormatPair
    tools: tuple[ToolSchema, ...] = ()
    model: str = ""


@attrs.frozen
class InstructSession:
    """Replace the instructions in mid-call, and nothing else: a voice that was heard cannot be sent again.

    ``recalled`` is what the session was told of the conversation before it, if it was told in words.
    """

    instructions: str
    recalled: tuple[str, ...] = ()


@attrs.frozen
class CommitAudio:
    """End the caller's turn by hand (without server turn detection)."""


@attrs.frozen
class ClearAudio:
    """Forget the caller's audio since the last turn."""


@attrs.frozen
class CreateResponse:
    """Ask the agent to speak; ``instructions`` for this response only."""

    instructions: str | None = None


@attrs.frozen
class SpeakWords:
    """Ask the agent to speak just these words."""

    words: str


@attrs.frozen
class ChangeVoice:
    """Speak with another voice from now on."""

    voice: str


@attrs.frozen
class RecallConversation:
    """Tell in words what was said before this session, to a provider that takes no items of ours.

    ``lines`` are contributions not told yet, oldest first; ``earlier`` are those told before; ``instructions`` are what
    the agent goes by.
    """

    instructions: str
    earlier: tuple[str, ...]
    lines: tuple[str, ...]


@attrs.frozen
class CancelResponse:
    """Stop the response that is being generated."""

    response_id: str


@attrs.frozen
class TruncateItem:
    """Tell how much of an item the caller heard; ``corrected`` to the provider's count after it refused ours."""

    item_id: str
    content_index: int
    audio_end_ms: int
    corrected: bool = False


@attrs.frozen
class DeleteItem:
    """Remove an item from the conversation."""

    item_id: str


@attrs.frozen
class AddMessage:
    """Put words into the conversation as an item of ours: what the caller did or said, or what the agent has said."""

    item_id: str
    speaker: Literal["caller", "agent"]
    text: str


@attrs.frozen
class AddToolCall:
    """Put a tool call of an earlier session into the conversation; its result follows as ``SendToolResult``."""

    item_id: str
    call_id: str
    name: str
    arguments: str


Command = (
    ConfigureSession
    | InstructSession
    | CommitAudio
    | ClearAudio
    | CreateResponse
    | SpeakWords
    | ChangeVoice
    | RecallConversation
    | CancelResponse
    | TruncateItem
    | DeleteItem
    | AddMessage
    | AddToolCall
    | SendToolResult
)
