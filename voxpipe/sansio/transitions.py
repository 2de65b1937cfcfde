"""The session machine's table: the states, what each event does in each, and which event confirms which command.

What the states mean and why it is so is told in ``session.py``, which runs this table. The figure in the README is
drawn from it by ``draw_states``.
"""

from __future__ import annotations

import enum
from typing import Final

import attrs

from voxpipe.sansio.command_words import (
    AddMessage,
    AddToolCall,
    CancelResponse,
    ChangeVoice,
    ClearAudio,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    DeleteItem,
    InstructSession,
    RecallConversation,
    SpeakWords,
    TruncateItem,
)
from voxpipe.sansio.digit_words import DigitPressed, DigitsEntered
from voxpipe.sansio.realtime import (
    AudioCleared,
    AudioCommitted,
    AudioCompleted,
    AudioReceived,
    CommandAcknowledged,
    Connected,
    ConnectionLost,
    ConversationGiven,
    DrainRequested,
    ErrorReported,
    InstructionsRequested,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    LegEnded,
    OutputItemAdded,
    PlayoutCut,
    PlayoutFinished,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechRequested,
    SpeechStarted,
    SpeechStopped,
    Superseded,
    TalkPressed,
    TookOver,
    ToolCallWithdrawn,
    TranscriptionCompleted,
    TranscriptionFailed,
    TurnGivenUp,
    VoiceRequested,
    WarningDue,
    WarningReported,
)
from voxpipe.sansio.tool_words import SendToolResult, ToolAnswered, ToolCallRequested
from voxpipe.sansio.voice_words import HoldOver, VoiceStarted, VoiceStopped


class State(enum.Enum):
    """Where a session is in its life."""

    CONNECTING = enum.auto()
    CONFIGURING = enum.auto()
    STANDBY = enum.auto()
    READY = enum.auto()
    DRAINING = enum.auto()
    CLOSED = enum.auto()
    FAILED = enum.auto()


CONNECTING, CONFIGURING, STANDBY, READY, DRAINING, CLOSED, FAILED = State


@attrs.frozen
class Transition:
    """What an event does in a state: the reaction's name, and the states in which it may leave the machine."""

    reaction: str
    targets: tuple[State, ...]


def _stay(state: State, reaction: str) -> Transition:
    return Transition(reaction, (state,))


def _audio(state: State) -> dict[type, Transition]:
    """What happens to answers while audio flows."""
    return {
        SpeechStarted: _stay(state, "_take_turn"),
        PlayoutCut: _stay(state, "_take_turn"),
        ResponseCreated: _stay(state, "_begin_response"),
        OutputItemAdded: _stay(state, "_take_audio"),
        AudioReceived: Transition("_take_audio", (state, FAILED)),
        AudioCompleted: _stay(state, "_take_audio"),
        ToolCallRequested: _stay(state, "_follow"),
        ToolCallWithdrawn: _stay(state, "_follow"),
        ToolAnswered: _stay(state, "_follow"),
        ItemAdded: _stay(state, "_acknowledge"),
        ItemTruncated: _stay(state, "_acknowledge"),
        ItemDeleted: _stay(state, "_acknowledge"),
        AudioCommitted: _stay(state, "_answer_turn"),
        SpeechStopped: _stay(state, "_take_turn"),
        AudioCleared: _stay(state, "_acknowledge"),
        CommandAcknowledged: _stay(state, "_acknowledge"),
        WarningReported: _stay(state, "_warn"),
        SessionUpdated: Transition("_compare", (state, FAILED)),
        ErrorReported: Transition("_survive", (state, FAILED)),
        ConnectionLost: Transition("_lose", (FAILED,)),
        LegEnded: Transition("_end", (CLOSED,)),
        Superseded: Transition("_end", (CLOSED,)),
    }


def _unconfirmed(state: State) -> dict[type, Transition]:
    """What happens while no format is confirmed."""
    return {
        ResponseCreated: _stay(state, "_begin_unconfirmed"),
        ResponseDone: _stay(state, "_finish_unconfirmed"),
        AudioReceived: _stay(state, "_refuse"),
        WarningReported: _stay(state, "_warn"),
        ConnectionLost: Transition("_lose", (FAILED,)),
        LegEnded: Transition("_end", (CLOSED,)),
        DrainRequested: Transition("_end", (CLOSED,)),
    }


TRANSITIONS: Final[dict[State, dict[type, Transition]]] = {
    CONNECTING: {
        Connected: _stay(CONNECTING, "_await_created"),
        SessionCreated: Transition("_configure", (CONFIGURING,)),
        ErrorReported: Transition("_refused", (FAILED,)),
        **_unconfirmed(CONNECTING),
    },
    CONFIGURING: {
        SessionUpdated: Transition("_compare", (READY, STANDBY, FAILED)),
        ErrorReported: Transition("_refused", (CONFIGURING, FAILED)),
        **_unconfirmed(CONFIGURING),
    },
    STANDBY: {
        ConversationGiven: _stay(STANDBY, "_restore"),
        ItemAdded: _stay(STANDBY, "_restore"),
        CommandAcknowledged: _stay(STANDBY, "_restore"),
        TookOver: Transition("_take_over", (READY,)),
        SessionUpdated: Transition("_compare", (STANDBY, FAILED)),
        ErrorReported: Transition("_survive", (STANDBY, FAILED)),
        **_unconfirmed(STANDBY),
    },
    READY: {
        ResponseDone: _stay(READY, "_finish_response"),
        TalkPressed: _stay(READY, "_take_turn"),
        VoiceStarted: _stay(READY, "_take_turn"),
        VoiceStopped: _stay(READY, "_take_turn"),
        HoldOver: _stay(READY, "_take_turn"),
        TranscriptionCompleted: _stay(READY, "_take_turn"),
        TranscriptionFailed: _stay(READY, "_take_turn"),
        DigitPressed: _stay(READY, "_take_turn"),
        DigitsEntered: _stay(READY, "_take_turn"),
        TurnGivenUp: _stay(READY, "_take_turn"),
        SpeechRequested: _stay(READY, "_take_turn"),
        InstructionsRequested: _stay(READY, "_take_turn"),
        VoiceRequested: _stay(READY, "_take_turn"),
        WarningDue: _stay(READY, "_take_turn"),
        PlayoutFinished: _stay(READY, "_note_playout"),
        DrainRequested: Transition("_drain", (DRAINING,)),
        **_audio(READY),
    },
    DRAINING: {
        ResponseDone: _stay(DRAINING, "_finish_response"),
        PlayoutFinished: Transition("_note_playout", (DRAINING, CLOSED)),
        **_audio(DRAINING),
    },
    CLOSED: {},
    FAILED: {},
}

EXPIRIES: Final[dict[State, dict[str, State]]] = {
    CONNECTING: {"no session.created in time": FAILED},
    CONFIGURING: {"no acknowledgement in time": FAILED},
    READY: {"session limit": DRAINING},
    DRAINING: {"drain timeout": CLOSED},
}
"""What a passed deadline does in each state."""

ACKS: Final[dict[type, type]] = {
    ConfigureSession: SessionUpdated,
    InstructSession: SessionUpdated,
    CreateResponse: ResponseCreated,
    SpeakWords: ResponseCreated,
    ChangeVoice: CommandAcknowledged,
    RecallConversation: CommandAcknowledged,
    CancelResponse: ResponseDone,
    CommitAudio: AudioCommitted,
    ClearAudio: AudioCleared,
    TruncateItem: ItemTruncated,
    DeleteItem: ItemDeleted,
    AddMessage: ItemAdded,
    AddToolCall: ItemAdded,
    SendToolResult: ItemAdded,
}
"""The event that confirms a command, unless the dialect says otherwise.

Where both name an item, a response or a tool call, it must be the same one."""


def draw_states() -> str:
    """Draw the table as a Mermaid state diagram; events that only leave the machine where it is are left out."""
    lines = ["stateDiagram-v2", "    [*] --> CONNECTING"]
    for state, row in TRANSITIONS.items():
        events: dict[State, list[str]] = {}
        for event, transition in row.items():
            for target in transition.targets:
                if target is not state:
                    events.setdefault(target, []).append(event.__name__)
        lines += [f"    {state.name} --> {target.name}: {', '.join(names)}" for target, names in events.items()]
        lines += [f"    {state.name} --> {target.name}: {why}" for why, target in EXPIRIES.get(state, {}).items()]
    lines += ["    CLOSED --> [*]", "    FAILED --> [*]"]
    return "\n".join(lines)
