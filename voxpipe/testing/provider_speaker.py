"""The speaking half of a simulated session: which response runs, what it says, how it ends. No I/O."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Protocol

from voxpipe.audio import PCM24, AudioFormat
from voxpipe.testing.parrot import TurnEnded, convert, encode, speech_like
from voxpipe.testing.provider_answer import Answer
from voxpipe.testing.provider_conversation import Conversation, Item
from voxpipe.testing.provider_evidence import AnswerSent, Complaint, ProviderSession
from voxpipe.testing.provider_schema import Refusal
from voxpipe.testing.provider_session import SessionConfiguration
from voxpipe.testing.provider_spelling import Json
from voxpipe.testing.provider_tools import Call, ToolLedger
from voxpipe.testing.scenario import Trigger

GREETING = "(a greeting)"
GREETING_S = 2.0
SIDE_RESPONSES = 16
WAITING_TURNS = 8


class Line(Protocol):
    """What a session needs of its connection; nothing here waits."""

    def now_s(self) -> float:
        """Seconds since the connection was accepted."""

    def emit(self, event: Json, answer: Answer | None = None, audio: bytes = b"") -> None:
        """Queue a GA event, and the audio it carries of an answer."""

    def later(self, delay_s: float, do: Callable[[], None]) -> None:
        """Do something after a delay, at once when it is nothing."""

    def speak(self, answer: Answer) -> None:
        """Start to give an answer: ``begin``, ``chunk`` by ``chunk``, and ``finish``."""

    def hush(self, answer: Answer) -> None:
        """Stop giving it."""

    def happened(self, trigger: Trigger) -> None:
        """Tell the scenario."""

    def close(self) -> None:
        """Close the connection, once everything was sent."""

    def note(self, kind: str, text: str, complaint: Complaint | None = None) -> None:
        """Tell whoever watches."""


class Speaker:
    """Gives answers: at most one at a time in the conversation, and up to ``SIDE_RESPONSES`` beside it.

    Turns that end while an answer runs uninterrupted wait for its end: the last ``WAITING_TURNS`` of them.
    """

    def __init__(
        self,
        line: Line,
        configuration: SessionConfiguration,
        conversation: Conversation,
        evidence: ProviderSession,
        new_id: Callable[[str], str],
    ) -> None:
        self._line = line
        self._configuration = configuration
        self._conversation = conversation
        self._evidence = evidence
        self._new_id = new_id
        self._active: Answer | None = None
        self._aside: dict[str, Answer] = {}
        self._waiting: deque[TurnEnded | str | None] = deque(maxlen=WAITING_TURNS)
        self.tools = ToolLedger()
        self.spoken = False
        """Whether any audio was sent, which locks the voice."""

    def say(self, clip: bytes | None) -> None:
        """Speak without being asked, unless something is being said."""
        if self._active is None:
            self._start({}, None, clip)

    def say_words(self, words: str) -> bool:
        """Speak what is to be spoken, unless something is being said."""
        if self._active is not None:
            return False
        self._start({}, None, None, words=words)
        return True

    def respond(self) -> None:
        """Speak of one's own accord, after the running response if there is one."""
        self.answer(None)

    def ask(self, name: str, arguments: str, hold_s: float) -> None:
        """Call a tool in the running answer, after its words, or else in one without words."""
        if self._active is None:
            self._start({}, None, None, wordless=True)
        assert self._active is not None
        self._active.calls.append(Call(self._new_id("item"), self._new_id("call"), name, arguments, hold_s))

    def answer(self, turn: TurnEnded | str | None) -> None:
        """Speak a turn back, or words, or greet without either, after the running response if there is one."""
        if self._active is not None:
            self._waiting.append(turn)
        elif isinstance(turn, str):
            self._start({}, None, None, words=turn)
        else:
            self._start({}, turn, None)

    def create(self, asked: Json, turn: TurnEnded | None) -> Refusal | None:
        """``response.create``: speaks the turn back, or greets when it is given instructions or there is no turn."""
        apart = asked.get("conversation") == "none"
        if self._active is not None and not apart:
            text = f"Conversation already has an active response in progress: {self._active.id}."
            return Refusal("conversation_already_has_active_response", text)
        if len(self._aside) >= SIDE_RESPONSES:
            return Refusal("too_many_responses", f"Expected at most {SIDE_RESPONSES} responses at the same time.")
        if (waiting := self.tools.waiting()) and not apart:
            text = f"A response was asked for before the results of {waiting} were there."
            return Refusal("tool_calls_unanswered", text)
        output = asked.get("audio", {}).get("output", {})
        if refusal := self._configuration.refuse_voice(output, spoken=self.spoken):
            return refusal
        self._start(asked, None if asked.get("instructions") or apart else turn, None)
        return None

    def cancel(self, response_id: str | None) -> Refusal | None:
        """``response.cancel``."""
        answer = self._active if response_id is None else self._running(response_id)
        if answer is None:
            return Refusal("response_cancel_not_active", "Cancellation failed: no active response found")
        self._interrupt(answer, "client_cancelled")
        return None

    def interrupt(self) -> None:
        """The caller began to speak: the running response ends, and so does what waits."""
        self._waiting.clear()
        if self._active is not None:
            self._interrupt(self._active, "turn_detected")

    def silence(self, duration_ms: float) -> bytes:
        """So much of it in the session's downlink format."""
        format_ = self._configuration.manner({}, None).format
        return (format_.silence * 50)[: format_.bytes_of_ms(duration_ms)]

    def begin(self, answer: Answer) -> None:
        """The first audio of an answer is there: its item exists."""
        previous_item_id = self._conversation.last_id
        if answer.in_conversation:
            self._conversation.add(answer.item)
        for event in answer.begin(previous_item_id):
            self._line.emit(event, answer)

    def chunk(self, answer: Answer, size_bytes: int) -> None:
        """Send one more chunk of an answer."""
        audio = answer.audio[answer.sent_bytes : answer.sent_bytes + size_bytes]
        self.spoken = self.spoken or size_bytes > 0
        for event in answer.chunk(size_bytes):
            carries = event["type"] == "response.output_audio.delta"
            self._line.emit(event, answer, audio if carries else b"")
        self._conversation.forget_old_audio()

    def call(self, answer: Answer, call: Call) -> None:
        """Send a tool call of an answer."""
        previous_item_id = self._conversation.last_id
        if answer.in_conversation:
            self._conversation.add(Item(call.item("completed")))
        self.tools.ask(call, self._line.now_s())
        for event in answer.call(call, previous_item_id):
            self._line.emit(event)

    def finish(self, answer: Answer, status: str = "completed", reason: str | None = None) -> None:
        """End an answer, and go on with a turn that waited for it."""
        for event in answer.finish(status, reason, self._conversation.before(answer.item.id)):
            self._line.emit(event, answer)
        item_id = answer.item.id if answer.sent_bytes else None
        now_s = self._line.now_s()
        self._evidence.answers.append(AnswerSent(now_s, answer.id, item_id, status, reason, answer.sent_bytes))
        spoken_s = answer.manner.format.duration_ms(answer.sent_bytes) / 1000
        self._line.note("answer", f"{status}{f' ({reason})' if reason else ''}, {spoken_s:.2f} s of audio")
        self._aside.pop(answer.id, None)
        if answer is self._active:
            self._active = None
            self._line.happened(Trigger.ANSWERED)
            if self._waiting:
                self.answer(self._waiting.popleft())

    def _running(self, response_id: str) -> Answer | None:
        if self._active is not None and self._active.id == response_id:
            return self._active
        return self._aside.get(response_id)

    def _interrupt(self, answer: Answer, reason: str) -> None:
        self._line.hush(answer)
        self.finish(answer, "cancelled", reason)

    def _start(
        self,
        asked: Json,
        turn: TurnEnded | None,
        clip: bytes | None,
        *,
        wordless: bool = False,
        words: str = GREETING,
    ) -> None:
        manner = self._configuration.manner(asked, self._conversation.id)
        body = {"id": self._new_id("item"), "object": "realtime.item", "type": "message", "role": "assistant"}
        item = Item({**body, "status": "in_progress", "content": []}, manner.format)
        if turn is None:
            audio = greeting(manner.format) if clip is None else convert(clip, PCM24, manner.format)
            heard_ms = 0
        else:
            audio = convert(turn.audio, self._configuration.uplink, manner.format)
            words, heard_ms = transcript(turn), turn.end_ms - turn.start_ms
        answer = Answer(self._new_id("resp"), item, manner, audio, words, heard_ms, wordless=wordless)
        if answer.in_conversation:
            self._active = answer
        else:
            self._aside[answer.id] = answer
        for event in answer.created():
            self._line.emit(event)
        self._line.speak(answer)


def transcript(turn: TurnEnded) -> str:
    """What a parrot understands: how long it was."""
    return f"({(turn.end_ms - turn.start_ms) / 1000:.1f} s of speech)"


@functools.lru_cache(maxsize=8)
def greeting(format_: AudioFormat) -> bytes:
    """The parrot's own words, in one format."""
    return encode(speech_like(GREETING_S, format_.rate_hz), format_.encoding)
