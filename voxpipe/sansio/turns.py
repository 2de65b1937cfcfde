"""Who speaks: the caller's turns, barge-in, and what the agent is asked to say by us."""

from __future__ import annotations

from collections.abc import Callable

from voxpipe.config import SessionConfig
from voxpipe.errors import CommandRefused, SessionError
from voxpipe.sansio.answers import Answers
from voxpipe.sansio.call_timer import CallTimer
from voxpipe.sansio.command_words import (
    ChangeVoice,
    ClearAudio,
    CommitAudio,
    CreateResponse,
    InstructSession,
    SpeakWords,
)
from voxpipe.sansio.commands import Commands
from voxpipe.sansio.cuts import Cuts
from voxpipe.sansio.digit_words import DigitPressed, KeypadEvent
from voxpipe.sansio.effects import CutPlayout, Effect, Note
from voxpipe.sansio.holds import Holds
from voxpipe.sansio.pending import Pending
from voxpipe.sansio.realtime import (
    ErrorReported,
    InstructionsRequested,
    PlayoutCut,
    SpeechRequested,
    SpeechStarted,
    SpeechStopped,
    TalkPressed,
    TranscriptionCompleted,
    TranscriptionFailed,
    TurnGivenUp,
    VoiceRequested,
    WarningDue,
)
from voxpipe.sansio.requests import Requests
from voxpipe.sansio.voice_words import HoldOver, VoiceEvent, VoiceStarted, VoiceStopped
from voxpipe.voice_config import VoiceConfig

TurnEvent = (
    SpeechStarted
    | SpeechStopped
    | PlayoutCut
    | TalkPressed
    | VoiceEvent
    | TranscriptionCompleted
    | TranscriptionFailed
    | KeypadEvent
    | TurnGivenUp
    | SpeechRequested
    | InstructionsRequested
    | VoiceRequested
    | WarningDue
)


class Turns:
    """The turns of one session; what is to be done goes through ``commands`` and ``emit``."""

    def __init__(
        self,
        answers: Answers,
        config: SessionConfig,
        commands: Commands,
        timer: CallTimer,
        emit: Callable[[Effect], None],
        voice: VoiceConfig,
        recalled: Callable[[], tuple[str, ...]],
    ) -> None:
        self.caller_turns = 0
        self.uncommitted = False
        """A turn of the caller's has ended, and is no item yet."""
        self.cuts = Cuts(answers, config.turn_detection, commands.dialect.supports)
        self._answers = answers
        self._requests = Requests(answers)
        self._instructions = config.instructions
        self._recalled = recalled
        self._commands = commands
        self._dialect = commands.dialect
        self._timer = timer
        self._emit = emit
        self._holds = Holds(
            voice, config, commands, timer, emit, cut=lambda: self._barge_in(heard=False), answer=self._answer
        )

    @property
    def agent_busy(self) -> bool:
        """Whether a response runs, or one was asked for and has not begun."""
        return self._answers.running > 0 or self._requests.open

    @property
    def caller_speaks(self) -> bool:
        """Whether the caller's turn has begun and not ended."""
        return self._requests.caller_speaks

    @property
    def waiting(self) -> bool:
        """Whether the agent is still to be asked to speak."""
        return self._requests.waiting

    def take(self, event: TurnEvent) -> None:
        """Take what happened between caller and agent."""
        match event:
            case SpeechStarted():
                self.caller_turns += 1
                self._requests.note_caller(speaks=True)
                self._timer.note_caller()
                self._timer.expect_end(None if self._dialect.tells_speech_end else self._commands.now_ns)
                if self._dialect.full_duplex:  # the agent hears it, too, and falls silent by itself
                    self._emit(CutPlayout(prompts_only=True))
                else:
                    self._barge_in()
            case SpeechStopped():
                self.uncommitted = True
                self._requests.note_caller(speaks=False)
                self._timer.expect_end(None)
                self._timer.note_silence(self._commands.now_ns)
            case PlayoutCut(point):
                for command in self.cuts.finish(point):
                    self._commands.send(command)
            case TalkPressed(agent_speaks):
                self._press(barges_in=agent_speaks or self._answers.uncut > 0)
            case VoiceStarted() | VoiceStopped():
                self._hear_voice(event)
            case TranscriptionCompleted() | TranscriptionFailed():
                self._holds.hear(event)
            case HoldOver():
                self._holds.expire()
            case DigitPressed(interrupts):
                self._timer.postpone(self._commands.now_ns)
                if interrupts:
                    self._barge_in(heard=False)
            case TurnGivenUp():
                self._requests.note_caller(speaks=False)
                self._timer.note_silence(self._commands.now_ns)
            case SpeechRequested():
                self._request(event)
            case InstructionsRequested(instructions, ticket):
                self._instructions = instructions
                self._commands.send(InstructSession(instructions, self._recalled()), ticket)
            case VoiceRequested(voice, ticket):
                self._commands.send(ChangeVoice(voice), ticket)
            case WarningDue(text):
                self._commands.send(InstructSession(f"{self._instructions}\n\n{text}", self._recalled()))

    @property
    def asks(self) -> bool:
        """Whether a response was asked for and has not begun."""
        return self._requests.open

    @property
    def instructions(self) -> str:
        """What the agent goes by at present, warnings aside."""
        return self._instructions

    def by_hand(self, event: TurnEvent) -> bool:
        """Tell whether an event begins or ends a turn in the provider's stead."""
        voice = isinstance(event, VoiceStarted | VoiceStopped) and self._holds.makes_turns
        return voice or isinstance(event, TalkPressed)

    def end_by_hand(self, command_id: str, item_id: str | None) -> None:
        """Take note that the turn which we ended is an item now: it is to be answered, if words were said."""
        if not self._holds.put_on_trial(command_id, item_id):
            self._answer()

    def begin_response(self) -> None:
        """Take note that a response is about to begin."""
        if self._holds.held:
            self._barge_in(heard=False)
        self._requests.begin()
        self._timer.note_agent()

    def finish_response(self) -> None:
        """Take note that a response is done."""
        self._requests.finish()

    def note_playout(self) -> None:
        """Take note that nothing of the agent is to be heard any more."""
        if not self._requests.caller_speaks:
            self._timer.note_silence(self._commands.now_ns)

    def go_on(self) -> None:
        """Send the next request, if nobody speaks."""
        if (request := self._requests.take()) is not None:
            words = request.words
            command = CreateResponse(request.instructions) if words is None else SpeakWords(words)
            if self._dialect.full_duplex:
                self._answers.hear_on()
            self._requests.sent(request, self._commands.send(command, request.ticket))

    def refuse(self, refused: Pending | None, error: ErrorReported, *, busy: bool) -> None:
        """Take note of a refusal: a response is asked for again, a truncation is corrected, the rest is told."""
        # A response of the provider's own may have passed for ours: then nothing waits for this answer any more.
        again = self._refuse_request(refused.command_id if refused else error.command_id, busy=busy)
        if again:
            self._emit(Note("response.delayed", {"command_id": error.command_id, "code": error.code}))
        if refused is None or again:
            return
        self._commands.settle(refused.ticket, CommandRefused(refused.name, error.code, error.message))
        corrected = self.cuts.correct(refused.command, error.counted_ms)
        if corrected is not None:
            names = {"command": refused.name, "command_id": refused.command_id}
            self._emit(Note("truncation.corrected", {**names, "counted_ms": corrected.audio_end_ms}))
            self._commands.send(corrected)

    def give_up(self, command_id: str) -> None:
        """Take note that a command was not answered."""
        self._refuse_request(command_id, busy=False)

    def end(self, error: SessionError) -> None:
        """Give up the requests that wait, and a hold."""
        self._holds.release(str(error))
        for request in self._requests.clear():
            self._commands.settle(request.ticket, error)

    def _hear_voice(self, event: VoiceStarted | VoiceStopped) -> None:
        started = isinstance(event, VoiceStarted)
        if self._holds.makes_turns:
            self._requests.note_caller(speaks=started)
            if started:
                self._timer.note_caller()
            else:
                self._timer.note_silence(self._commands.now_ns)
        if isinstance(event, VoiceStarted):
            self._holds.start(agent_heard=event.agent_speaks or self._answers.uncut > 0)
        else:
            self._holds.stop(event)

    def _answer(self) -> None:
        self.caller_turns += 1
        self._request(SpeechRequested(None))

    def _refuse_request(self, command_id: str | None, *, busy: bool) -> bool:
        asked = self._requests.open
        again = self._requests.refuse(command_id, busy=busy)
        if asked and not again and not self._requests.open:
            self.note_playout()  # no words will come of it: silence counts from here
        return again

    def _barge_in(self, *, heard: bool = True) -> None:
        self._holds.become_cut()
        if self.cuts.begin(heard=heard):
            self._emit(CutPlayout())

    def _press(self, *, barges_in: bool) -> None:
        self._emit(Note("turn.pressed", {"meaning": "barge-in" if barges_in else "end of turn"}))
        self._requests.note_caller(speaks=barges_in)
        if barges_in:
            self._barge_in()
        self._commands.send(ClearAudio() if barges_in else CommitAudio())

    def _request(self, request: SpeechRequested) -> None:
        if not self._requests.add(request):
            self._commands.settle(request.ticket, SessionError("expected answers to be awaited, got too many requests"))
