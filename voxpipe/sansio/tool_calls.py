"""The tool calls of a session: which run, and when the agent owes the caller words about their results.

The model asks for tools within a response, several at a time. Each call is answered with a result, whatever became of
it: a conversation with an unanswered call is one the provider may refuse to continue. When the response is done *and*
all of its calls are answered, one further response speaks about them; a provider runs one response at a time, so it
waits for the running one.

Some providers speak about results by themselves; then no response is asked for, and the call waits for theirs.

It also waits for the caller. While a turn of the caller's is open and the provider answers turns by itself, that answer
will know the results, and a response of our own would talk over the caller or be refused. A result that was
acknowledged before a response began is known to it, and needs no further words.

What the caller enters on the keypad is owed an answer by the same rules: it is a result that nobody has called for.
It waits for the calls that run: the words about their results will know it. A provider that answers what it is told by
itself is told once nobody's turn is open, or it would answer twice.

A session that took over knows nothing of the calls before it, unless the provider takes items of ours: then it is told
of their results in words.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import attrs

from voxpipe.config import TurnDetectionConfig
from voxpipe.errors import SessionError
from voxpipe.sansio.answers import Answers, Verdict
from voxpipe.sansio.command_words import AddMessage, AddToolCall, CommitAudio
from voxpipe.sansio.commands import Commands
from voxpipe.sansio.digit_words import DigitsEntered
from voxpipe.sansio.effects import CallTool, CancelTools, Effect, Note
from voxpipe.sansio.realtime import (
    Event,
    ResponseCreated,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    ToolCallWithdrawn,
    TurnGivenUp,
)
from voxpipe.sansio.tool_words import After, SendToolResult, ToolAnswered, ToolCallRequested

CALLS_KEPT = 64
"""How many calls are kept in mind: providers tell of each twice."""
ADOPTED = "of an earlier session"
RETURNED = "The tool {tool} returned: {output}"
"""How a session is told of a result that it did not ask for."""
NOT_CALLED = "not called: the caller spoke first"

Step = CallTool | CancelTools | Note | SendToolResult


@attrs.define
class _Calls:
    """The calls of one response: those not answered yet, and what the answers ask for."""

    waiting: set[str] = attrs.field(factory=set)
    asked: set[After] = attrs.field(factory=set)


class ToolCalls:
    """Follows the events of a session; its only writer is the session machine.

    What is to be done goes through ``commands`` and ``emit``; whether words about results are due tells ``take_reply``.
    """

    def __init__(
        self,
        answers: Answers,
        detection: TurnDetectionConfig,
        commands: Commands,
        emit: Callable[[Effect], None],
    ) -> None:
        self._answers = answers
        self._pending = commands.pending
        self._provider_answers = detection.answers
        self._commands = commands
        self._emit = emit
        self._known: deque[str] = deque(maxlen=CALLS_KEPT)
        self._names: dict[str, str] = {}
        self._responses: dict[str, _Calls] = {}
        self._adopted: Mapping[str, str] = {}
        self._entries: deque[tuple[AddMessage, int | None]] = deque()
        self._owed = False
        self._speaking = False
        self._turn_open = False

    @property
    def running(self) -> int:
        """How many calls are not answered yet."""
        return sum(len(calls.waiting) for calls in self._responses.values())

    @property
    def open_calls(self) -> frozenset[str]:
        """The calls that are not answered yet."""
        return frozenset[str]().union(*(calls.waiting for calls in self._responses.values()))

    @property
    def turn_open(self) -> bool:
        """Whether a turn of the caller's is still to be answered by the provider."""
        return self._turn_open

    @property
    def busy(self) -> bool:
        """Whether a response or a call runs, or words about one are still to come."""
        self._collect()
        due = self._asked or ((self._owed or bool(self._entries)) and not self._turn_open)
        return bool(self._answers.running or self.running or due)

    @property
    def _asked(self) -> bool:
        """Whether a response is asked for, or will be as soon as the caller's turn is an item: it knows the results."""
        return self._pending.expects(ResponseCreated) or bool(self._pending.find(CommitAudio))

    def follow(self, event: Event) -> None:
        """Take an event the session machine has taken; do what it leads to."""
        steps: list[Step] = []
        match event:
            case ToolCallRequested():
                steps = self._request(event)
            case ToolAnswered():
                steps = self._answer(event)
            case ToolCallWithdrawn(call_id):
                steps = self._withdraw(call_id)
            case DigitsEntered(item_id, text, ticket):
                self._enter(AddMessage(item_id, "caller", text), ticket)
            case SpeechStarted():
                self._speaking = self._turn_open = True
                steps = [CancelTools()] if self.running else []
            case SpeechStopped():
                self._speaking = False
                self._turn_open = self._provider_answers
            case TurnGivenUp():
                self._speaking = self._turn_open = False
            case ResponseCreated():
                self._turn_open = self._speaking
                if self._pending.find(SendToolResult, AddMessage) is None:
                    self._owed = False
            case ResponseDone():
                # A turn that ended while a response ran uninterrupted may get no answer of the provider's own.
                self._turn_open = self._speaking
        for step in steps:
            if isinstance(step, SendToolResult):
                self._tell_model(step)
            else:
                self._emit(step)

    def adopt(self, call_ids: Iterable[str], called: Mapping[str, str]) -> None:
        """Take over the calls of an earlier session that are not answered yet; ``called`` tells what was called."""
        self._responses[ADOPTED] = _Calls(waiting=set(call_ids))
        self._adopted = called

    def end(self, error: SessionError) -> None:
        """Give up what was not told."""
        while self._entries:
            self._commands.settle(self._entries.popleft()[1], error)

    def take_reply(self) -> bool:
        """Tell, once, that the agent is to be asked for words about results."""
        self._collect()
        while self._entries and not self._turn_open:
            message, ticket = self._entries.popleft()
            self._tell_model(message, ticket)
        if not self._owed or self._answers.running or self.running or self._turn_open or self._asked:
            return False
        self._owed = False
        return True

    def _request(self, event: ToolCallRequested) -> list[Step]:
        if event.name is None or event.call_id in self._known:
            return []
        self._known.append(event.call_id)
        self._names[event.call_id] = event.name
        if self._answers.verdict(event.response_id) is not Verdict.PLAY:
            note = Note("tool.cancelled", {"call_id": event.call_id, "name": event.name, "because": NOT_CALLED})
            return [note, self._result(event.call_id, NOT_CALLED)]
        self._responses.setdefault(event.response_id, _Calls()).waiting.add(event.call_id)
        return [CallTool(event.call_id, event.name, event.arguments)]

    def _answer(self, event: ToolAnswered) -> list[Step]:
        for response_id, calls in self._responses.items():
            if event.call_id in calls.waiting:
                calls.waiting.remove(event.call_id)
                if response_id == ADOPTED and not self._commands.dialect.supports(AddToolCall):
                    return self._tell(event)
                calls.asked.add(event.after)
                return [self._result(event.call_id, event.output)]
        return []

    def _tell(self, event: ToolAnswered) -> list[Step]:
        if event.after is After.REPLY:
            words = RETURNED.format(tool=self._adopted.get(event.call_id, "call"), output=event.output)
            self._enter(AddMessage(event.call_id, "caller", words), None)
        return []

    def _tell_model(self, command: AddMessage | SendToolResult, ticket: int | None = None) -> str | None:
        if self._commands.dialect.full_duplex:
            # It has not heard of a cut by a digit, and what it says to this may be the same stretch of speech.
            self._answers.hear_on()
        return self._commands.send(command, ticket)

    def _enter(self, message: AddMessage, ticket: int | None) -> None:
        if self._commands.dialect.answers(AddMessage):
            self._entries.append((message, ticket))
        elif self._tell_model(message, ticket) is not None:
            self._owed = True

    def _withdraw(self, call_id: str) -> list[Step]:
        for calls in self._responses.values():
            if call_id in calls.waiting:
                calls.waiting.remove(call_id)
                return [Note("tool.withdrawn", {"call_id": call_id, "name": self._names.pop(call_id, None)})]
        return []

    def _result(self, call_id: str, output: str) -> SendToolResult:
        return SendToolResult(call_id, output, self._names.pop(call_id, ""))

    def _collect(self) -> None:
        over = [id_ for id_, calls in self._responses.items() if not calls.waiting and not self._answers.runs(id_)]
        for response_id in over:
            asked = self._responses.pop(response_id).asked
            owed = After.REPLY in asked and After.SILENCE not in asked
            self._owed = self._owed or (owed and not self._commands.dialect.answers(SendToolResult))
