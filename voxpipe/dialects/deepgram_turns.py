"""Turns and responses of a Deepgram session, which tells of neither.

A response begins with the agent's first words or audio after the end of the one before, and ends with
``AgentAudioDone``, with the caller's next word, which makes the server fall silent by itself, or with a function call.
Nothing tells when the caller has stopped speaking: the first message about that turn does. Audio that comes between the
caller's word and such a message is the rest of an answer that was cut.
"""

from __future__ import annotations

import attrs

from voxpipe.sansio.dialect import Decoded, Mark, Reader
from voxpipe.sansio.realtime import (
    AudioCommitted,
    AudioCompleted,
    AudioReceived,
    OutputItemAdded,
    ProviderEvent,
    ResponseCreated,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    ToolCallWithdrawn,
    TranscriptCompleted,
    TranscriptionCompleted,
    TranscriptReceived,
)
from voxpipe.sansio.tool_words import ToolCallRequested


@attrs.frozen
class CallerBegan(Mark):
    """The caller speaks; the server's own answer, if any, has ended."""


@attrs.frozen
class Said(Mark):
    """Words of the caller's or the agent's."""

    role: str
    words: str


@attrs.frozen
class Thinks(Mark):
    """The caller's turn is over."""


@attrs.frozen
class AgentBegins(Mark):
    """Audio of an answer follows."""


@attrs.frozen
class AgentEnds(Mark):
    """All audio of an answer was sent."""


@attrs.frozen
class Sound(Mark):
    """Agent audio."""

    audio: bytes = attrs.field(repr=False)


@attrs.frozen
class FunctionCalls(Mark):
    """The model calls tools of ours: id, name and arguments of each."""

    calls: tuple[tuple[str, str, str], ...]


@attrs.frozen
class CallsWithdrawn(Mark):
    """The caller went on speaking: these results are not wanted."""

    call_ids: tuple[str, ...]


class Responses(Reader):
    """Makes turns and responses of one session's messages; see the module's docstring."""

    def __init__(self, number: int = 1) -> None:
        super().__init__(number)
        self._responses = 0
        self._items = 0
        self._open = False
        self._cut = False
        """The caller has spoken since, and nothing was said about that turn yet."""
        self._caller: str | None = None
        self._wordless: str | None = None
        """A turn that has ended, of which no words came yet."""
        self._words: list[str] = []

    def read(self, decoded: Decoded) -> list[ProviderEvent]:
        """See ``Reader``."""
        match decoded:
            case CallerBegan():
                return self._begin_turn()
            case Said("user", words):
                stopped = self._end_turn()
                item_id, self._wordless = self._wordless or self._next_item(), None
                return [*stopped, AudioCommitted(item_id), TranscriptionCompleted(item_id, words)]
            case Said(_, words):
                self._words.append(words)
                return [*self._begin(), TranscriptReceived(self._response_id, self._item_id, f"{words} ")]
            case Thinks():
                return self._end_turn()
            case AgentBegins():
                return self._begin()
            case AgentEnds():
                return self._finish("completed") if self._open else []
            case Sound(audio):
                begun = [] if self._cut and self._responses and not self._open else self._begin()
                return [*begun, AudioReceived(self._response_id, self._item_id, 0, audio)]
            case FunctionCalls(calls):
                before = [*self._end_turn(), *(self._finish("completed") if self._open else [])]
                asked = f"{self._response_id}_calls"
                return [*before, *(ToolCallRequested(id_, None, asked, name, args) for id_, name, args in calls)]
            case CallsWithdrawn(call_ids):
                return [ToolCallWithdrawn(call_id) for call_id in call_ids]
        return super().read(decoded)

    @property
    def _response_id(self) -> str:
        return f"response_{self._responses}{self._apart}"

    @property
    def _item_id(self) -> str:
        return f"answer_{self._responses}{self._apart}"

    def _next_item(self) -> str:
        self._items += 1
        return f"turn_{self._items}{self._apart}"

    def _begin_turn(self) -> list[ProviderEvent]:
        self._caller, self._wordless = self._next_item(), None
        started: list[ProviderEvent] = [SpeechStarted(self._caller, None)]
        ended = self._finish("cancelled") if self._open else []
        self._cut = True
        return [*started, *ended]

    def _end_turn(self) -> list[ProviderEvent]:
        item_id, self._caller, self._cut = self._caller, None, False
        if item_id is None:
            return []
        self._wordless = item_id
        return [SpeechStopped(item_id, None)]

    def _begin(self) -> list[ProviderEvent]:
        stopped = self._end_turn()
        if self._open:
            return stopped
        self._open = True
        self._responses += 1
        return [
            *stopped,
            ResponseCreated(self._response_id),
            OutputItemAdded(self._response_id, self._item_id, "message"),
        ]

    def _finish(self, status: str) -> list[ProviderEvent]:
        self._open = False
        words, self._words = " ".join(self._words), []
        reason = None if status == "completed" else "the caller spoke"
        return [
            AudioCompleted(self._response_id, self._item_id, 0),
            *([TranscriptCompleted(self._response_id, self._item_id, words)] if words else []),
            ResponseDone(self._response_id, status, reason),
        ]
