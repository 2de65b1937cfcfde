"""The neutral words of a session for what happened: events. Those for what we ask are in ``command_words.py``.

Past participles; a dialect spells them. Events that begin on our side of the wire (the connection opened, the playout
was cut, the leg ended) are events like the others: the session machine has one way in.
"""

from __future__ import annotations

import attrs

from voxpipe.audio import AudioFormat
from voxpipe.sansio.command_words import Command
from voxpipe.sansio.digit_words import KeypadEvent
from voxpipe.sansio.ledger import CutPoint
from voxpipe.sansio.tool_words import ToolAnswered, ToolCallRequested
from voxpipe.sansio.voice_words import VoiceEvent

UNTOLD = "no format"
"""What a confirmation says of a format that it does not name."""

# --- events from the provider -----------------------------------------------------------------------------------------


@attrs.frozen
class SessionCreated:
    """The provider opened a session, with its own defaults."""

    session_id: str | None


@attrs.frozen
class SessionUpdated:
    """The configuration in effect; a format no name is known for is given in the provider's words, or is ``UNTOLD``."""

    uplink: AudioFormat | str
    downlink: AudioFormat | str
    instructions: str | None = None


@attrs.frozen
class ErrorReported:
    """The provider reported an error; ``command_id`` names our command, where it does.

    ``counted_ms`` is the length of an item's audio by the provider's own count, where a truncation exceeds it.
    ``refuses`` are the kinds of command one of which it means, where it names none. After a ``fatal`` one the session
    is of no use.
    """

    code: str
    message: str
    param: str | None
    command_id: str | None
    counted_ms: int | None = None
    refuses: tuple[type, ...] = ()
    fatal: bool = False


@attrs.frozen
class WarningReported:
    """The provider says that something is not as it should be, and goes on."""

    code: str
    message: str


@attrs.frozen
class CommandAcknowledged:
    """The provider confirms a command, by our id or as the oldest of these kinds."""

    command_id: str | None = None
    commands: tuple[type, ...] = ()


@attrs.frozen
class SpeechStarted:
    """The provider hears the caller."""

    item_id: str | None
    audio_start_ms: int | None


@attrs.frozen
class SpeechStopped:
    """The caller's turn has ended."""

    item_id: str | None
    audio_end_ms: int | None


@attrs.frozen
class AudioCommitted:
    """The caller's turn became an item."""

    item_id: str | None


@attrs.frozen
class AudioCleared:
    """The caller's audio was forgotten."""


@attrs.frozen
class ItemAdded:
    """An item entered the conversation; ``call_id`` is that of the tool call it belongs to, if it does."""

    item_id: str | None
    call_id: str | None = None


@attrs.frozen
class ItemDone:
    """An item is final."""

    item_id: str | None


@attrs.frozen
class ItemTruncated:
    """The provider cut an item as asked."""

    item_id: str | None
    audio_end_ms: int | None


@attrs.frozen
class ItemDeleted:
    """The provider removed an item as asked."""

    item_id: str | None


@attrs.frozen
class TranscriptionCompleted:
    """What the caller said."""

    item_id: str | None
    transcript: str | None


@attrs.frozen
class TranscriptionFailed:
    """The caller's words could not be written down."""

    item_id: str | None
    message: str | None


@attrs.frozen
class ResponseCreated:
    """The agent begins an answer."""

    response_id: str


@attrs.frozen
class ResponseDone:
    """The answer has been generated (``completed``) or was ended (``cancelled``, ``failed``, ``incomplete``)."""

    response_id: str
    status: str | None
    reason: str | None
    error: str | None = None


@attrs.frozen
class OutputItemAdded:
    """The answer has a further item; ``item_type`` is ``message`` for speech."""

    response_id: str
    item_id: str
    item_type: str | None


@attrs.frozen
class OutputItemDone:
    """An item of the answer is complete, or was ended; what is not a tool call."""

    response_id: str
    item_id: str | None
    item_type: str | None


@attrs.frozen
class ToolCallWithdrawn:
    """The model does not want the result of a tool call any more: the caller went on speaking."""

    call_id: str


@attrs.frozen
class AudioReceived:
    """Agent audio of any length, in the session's downlink format."""

    response_id: str
    item_id: str
    content_index: int
    audio: bytes = attrs.field(repr=False)


@attrs.frozen
class AudioCompleted:
    """No more audio of this content comes."""

    response_id: str
    item_id: str
    content_index: int


@attrs.frozen
class TranscriptReceived:
    """Some of the agent's words."""

    response_id: str | None
    item_id: str | None
    delta: str


@attrs.frozen
class TranscriptCompleted:
    """The agent's words."""

    response_id: str | None
    item_id: str | None
    transcript: str | None


@attrs.frozen
class UnknownEvent:
    """A type this dialect has no word for; providers add some weekly."""

    wire_type: str


# --- events of our own ------------------------------------------------------------------------------------------------


@attrs.frozen
class Connected:
    """The WebSocket is open."""


@attrs.frozen
class ConnectionLost:
    """The WebSocket was closed by the provider, or is gone."""

    code: int
    reason: str


@attrs.frozen
class PlayoutCut:
    """The answer to ``CutPlayout``."""

    cut_point: CutPoint


@attrs.frozen
class PlayoutFinished:
    """The answer to ``AwaitPlayout``: the caller has heard everything."""


@attrs.frozen
class ConversationGiven:
    """The session is to know what was said before it: items, oldest first."""

    commands: tuple[Command, ...]


@attrs.frozen
class TookOver:
    """The session serves the leg from now on.

    ``epoch`` is that of the cuts so far; ``open_calls`` are tool calls of an earlier session that are not answered yet;
    ``foreign`` are its responses, some of which the caller may still hear; ``instructions`` are what the agent goes by
    by then; ``resume``, if any, is what it is told for an answer at once.
    """

    epoch: int
    open_calls: tuple[str, ...] = ()
    foreign: frozenset[str] = frozenset()
    instructions: str | None = None
    resume: str | None = None


@attrs.frozen
class Superseded:
    """Another session serves the leg."""

    reason: str


@attrs.frozen
class LegEnded:
    """The caller is gone."""

    reason: str


@attrs.frozen
class TalkPressed:
    """The caller pressed the key to talk; what it means depends on whether the agent is being heard."""

    agent_speaks: bool


@attrs.frozen
class TurnGivenUp:
    """Nobody told the end of the caller's turn, and it is not waited for any more."""


@attrs.frozen
class SpeechRequested:
    """The agent is to speak, when nobody else does: by ``instructions`` for this answer only, or just ``words``."""

    instructions: str | None
    ticket: int | None = None
    words: str | None = None


@attrs.frozen
class VoiceRequested:
    """The agent is to speak with another voice from now on."""

    voice: str
    ticket: int | None = None


@attrs.frozen
class InstructionsRequested:
    """The agent is to go by other instructions from now on."""

    instructions: str
    ticket: int | None = None


@attrs.frozen
class WarningDue:
    """The agent is to know something besides its instructions."""

    text: str


@attrs.frozen
class DrainRequested:
    """Finish what waits, then close; with ``to_the_end`` what is said is played however long it takes."""

    reason: str
    to_the_end: bool = False


LocalEvent = (
    Connected
    | ConnectionLost
    | PlayoutCut
    | PlayoutFinished
    | ConversationGiven
    | TookOver
    | Superseded
    | LegEnded
    | TalkPressed
    | TurnGivenUp
    | SpeechRequested
    | InstructionsRequested
    | VoiceRequested
    | WarningDue
    | VoiceEvent
    | ToolAnswered
    | KeypadEvent
    | DrainRequested
)
ProviderEvent = (
    SessionCreated
    | SessionUpdated
    | ErrorReported
    | WarningReported
    | CommandAcknowledged
    | SpeechStarted
    | SpeechStopped
    | AudioCommitted
    | AudioCleared
    | ItemAdded
    | ItemDone
    | ItemTruncated
    | ItemDeleted
    | TranscriptionCompleted
    | TranscriptionFailed
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | ToolCallRequested
    | ToolCallWithdrawn
    | AudioReceived
    | AudioCompleted
    | TranscriptReceived
    | TranscriptCompleted
    | UnknownEvent
)
Event = ProviderEvent | LocalEvent
