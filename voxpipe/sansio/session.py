"""The session machine: from the open WebSocket to its end, without a guess.

Theory of operation
===================

One machine drives one session. Whatever happens is an event: what the provider sent, what happened here (the connection
opened, the leg ended), and the answers to its own effects. ``receive(event, now_ns)`` looks up
``TRANSITIONS[state][type]``, runs the reaction named there and returns effects, which are values: the actor carries
them out. What must happen by a time is in ``deadline_ns``; when it has passed, ``expire(now_ns)`` does what is due. The
machine never asks for the time.

::

    CONNECTING   the socket is open; we have sent nothing; nothing of ours is in force
    CONFIGURING  our session.update is out and not acknowledged
    STANDBY      the provider confirmed the formats, but another session serves the leg, or did until it was lost:
                 no audio flows; the conversation so far is given, item by item, until this one takes over
    READY        the provider confirmed exactly the formats we asked for: audio flows, both ways
    DRAINING     no more caller audio goes out; the running answer is generated and played to its end
    CLOSED       ended in peace
    FAILED       ended with an error, expected and actual side by side

The gate. Caller audio is accepted in READY only, agent audio in READY and DRAINING. Audio from the provider before that
is refused and counted, and so is the rest of a response that began before the acknowledgement: it was made under a
configuration that nobody confirmed. A provider's confirmation does not carry our id, so it is matched by type, and an
error that names no command while our configuration is unanswered refuses it.

Cuts. ``SpeechStarted``, or a key, makes ``CutPlayout``; the ledger's answer comes back as ``PlayoutCut``, and only then
are the provider's items truncated to what was played and those never begun deleted. Later audio of a cut response is
stale. ``CancelResponse`` is sent only while a response runs and only if the provider does not cancel by itself, as it
never does for a key or for a voice that only we have heard. A truncation refused because the provider counts less audio
than it sent is sent once more with its number.

Requests (the greeting, a turn ended by a key, ``LegControl``) make one response at a time, when nobody speaks; see
``requests.py``. Who asked holds a ticket, which an effect ``Settle`` gives back with the outcome. What silence and the
length of the call bring about is due at the deadlines of ``call_timer.py``.

Holds. A voice that is detected on the leg itself holds the playout at once; whether that becomes a cut or the playout
goes on is told in ``holds.py``.

Tools. A tool call becomes ``CallTool`` and comes back as ``ToolAnswered``: ``tool_calls.py``, which has the keypad too.

Commands wait in ``pending`` for the event in ``ACKS``, oldest first. Only an unanswered configuration is fatal. Any
other refusal or missing answer is a note in the log: a call must survive a truncation that the provider does not like.
"""

from __future__ import annotations

from typing import Any

from voxpipe.audio import NS_PER_S
from voxpipe.errors import AckTimeout, CommandRefused, FormatMismatch, LocalProtocolError, SessionError, SessionLost
from voxpipe.sansio.command_words import ConfigureSession, InstructSession
from voxpipe.sansio.effects import AwaitPlayout, Close, Effect, Fail, FinishResponse, Note, Renew
from voxpipe.sansio.lifetime import Due
from voxpipe.sansio.pending import Pending
from voxpipe.sansio.realtime import (
    UNTOLD,
    AudioCommitted,
    AudioCompleted,
    AudioReceived,
    CommandAcknowledged,
    Connected,
    ConnectionLost,
    ConversationGiven,
    DrainRequested,
    ErrorReported,
    Event,
    InstructionsRequested,
    ItemAdded,
    LegEnded,
    OutputItemAdded,
    PlayoutFinished,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechRequested,
    SpeechStarted,
    SpeechStopped,
    Superseded,
    TookOver,
    ToolCallWithdrawn,
    WarningReported,
)
from voxpipe.sansio.session_parts import SessionParts
from voxpipe.sansio.tool_words import ToolAnswered, ToolCallRequested
from voxpipe.sansio.transitions import (
    CLOSED,
    CONFIGURING,
    CONNECTING,
    DRAINING,
    FAILED,
    READY,
    STANDBY,
    TRANSITIONS,
)
from voxpipe.sansio.turns import TurnEvent


class Session(SessionParts):
    """One session with one provider; see the module's docstring. Pure: the actor gives the time and does the I/O."""

    # --- the two ways in ----------------------------------------------------------------------------------------------

    def receive(self, event: Event, now_ns: int) -> list[Effect]:
        """Take an event; return what is to be done. An event without an entry in the table changes nothing."""
        self._now_ns = self._commands.now_ns = now_ns
        self._react(event)
        return self._take_effects()

    def expire(self, now_ns: int) -> list[Effect]:
        """Do what is due at ``now_ns``: give up waiting, or begin to drain."""
        self._now_ns = self._commands.now_ns = now_ns
        for due in self._lifetime.take_due(now_ns):
            self._expire(due)
        for pending in self._commands.pending.take_overdue(now_ns):
            if self._state is CONFIGURING and isinstance(pending.command, ConfigureSession):
                self._fail(self._commands.timeout(pending))
                break
            self._commands.give_up(pending)
            self._turns.give_up(pending.command_id)
            self._go_on()
        heard = self._state in (READY, DRAINING)
        for event in [] if self._state in (STANDBY, CLOSED, FAILED) else self._timer.take_due(now_ns, heard=heard):
            self._note("timer.due", {"event": type(event).__name__})
            self._react(event)
        return self._take_effects()

    def _react(self, event: Event) -> None:
        transition = TRANSITIONS[self._state].get(type(event))
        if transition is None:
            return
        getattr(self, transition.reaction)(event)
        if self._state not in transition.targets:
            raise LocalProtocolError(
                f"expected {transition.reaction} to end in {' or '.join(s.name for s in transition.targets)}, "
                f"got {self._state.name}"
            )

    # --- configuration ------------------------------------------------------------------------------------------------

    def _await_created(self, _event: Connected) -> None:
        self._lifetime.await_created(self._now_ns)

    def _configure(self, event: SessionCreated) -> None:
        self._state = CONFIGURING
        self._lifetime.wait()
        self._note("session.requested", {"session_id": event.session_id, "requested": self._formats.names})
        self._commands.send(ConfigureSession(self._config, self._formats, self._tools, self._model))

    def _compare(self, event: SessionUpdated) -> None:
        requested = (self._formats.uplink, self._formats.downlink)
        told = (event.uplink, event.downlink)
        # An acknowledgement that names no format confirms what was asked for, if that is how the provider does it.
        silent = UNTOLD in told and self._accepts_silent_ack
        confirmed = tuple(a if b == UNTOLD and silent else b for a, b in zip(requested, told, strict=True))
        pending = self._commands.confirm(event)
        if confirmed != requested:
            self._fail(FormatMismatch((str(requested[0]), str(requested[1])), (str(told[0]), str(told[1]))))
        elif self._state is CONFIGURING:
            self._ack_ns = self._now_ns - pending.sent_ns if pending else None
            self._confirm(echoed=not silent)
        elif pending is not None:
            self._commands.compare_instructions(pending, event)

    def _confirm(self, *, echoed: bool) -> None:
        self._lifetime.confirm(self._now_ns)
        ack_ms = None if self._ack_ns is None else round(self._ack_ns / 1e6, 3)
        self._note("session.ready", {"confirmed": self._formats.names, "echoed": echoed, "ack_ms": ack_ms})
        if self._stands_by:
            self._state = STANDBY
        else:
            words, instructions = self._config.greeting_words or None, self._config.greeting or None
            self._serve(SpeechRequested(instructions, words=words) if words or instructions else None)

    def _serve(self, first: SpeechRequested | None) -> None:
        self._state = READY
        self._lifetime.serve()
        self._turns.note_playout()
        if first is not None:
            self._take_turn(first)

    def _refused(self, event: ErrorReported) -> None:
        self._count["errors"] += 1
        ours = self._commands.pending.find(ConfigureSession)
        other = ours is not None and event.command_id not in (None, ours.command_id)
        if other and not self._is_fatal(event):
            return
        name = "ConfigureSession" if ours else "the connection"
        message = event.message + (f" (param {event.param})" if event.param else "")
        self._fail(CommandRefused(name, event.code, message))

    def _begin_unconfirmed(self, event: ResponseCreated) -> None:
        self._answers.begin_unconfirmed(event.response_id)

    def _finish_unconfirmed(self, event: ResponseDone) -> None:
        self._answers.finish(event.response_id)

    def _refuse(self, event: AudioReceived) -> None:
        self._audio.refuse(event)

    # --- taking over from another session -----------------------------------------------------------------------------

    def _restore(self, event: ConversationGiven | ItemAdded | CommandAcknowledged) -> None:
        if isinstance(event, ConversationGiven):
            self._restoration.add(event.commands)
        else:
            self._acknowledge(event)
            self._restoration.go_on()

    def _take_over(self, event: TookOver) -> None:
        self._turns.cuts.epoch, self._turns.cuts.foreign = event.epoch, event.foreign
        self._tool_calls.adopt(event.open_calls, self._restoration.called)
        self._note("session.took_over", {"items": self._restoration.given, "open_calls": list(event.open_calls)})
        self._serve(SpeechRequested(event.resume) if event.resume else None)
        if event.instructions not in (None, self._turns.instructions):  # changed since this session was configured
            self._take_turn(InstructionsRequested(event.instructions))

    # --- answers ------------------------------------------------------------------------------------------------------

    def _begin_response(self, event: ResponseCreated) -> None:
        self._turns.begin_response()
        self._acknowledge(event)
        self._answers.begin(event.response_id)
        self._count["responses"] += 1
        self._tool_calls.follow(event)

    def _take_audio(self, event: OutputItemAdded | AudioReceived | AudioCompleted) -> None:
        try:
            self._audio.take(event, self._turns.cuts.epoch)
        except SessionError as error:
            self._fail(error)

    def _finish_response(self, event: ResponseDone) -> None:
        self._unheard = True
        self._acknowledge(event)
        self._turns.finish_response()
        self._audio.finish(event, self._turns.cuts.epoch)
        self._follow(event)

    # --- tools --------------------------------------------------------------------------------------------------------

    def _follow(self, event: ResponseDone | ToolAnswered | ToolCallRequested | ToolCallWithdrawn) -> None:
        self._tool_calls.follow(event)
        over = isinstance(event, ResponseDone) or (isinstance(event, ToolAnswered) and not self._agent_busy)
        watched = self._timer.watches_silence or self._renewing or self._config.turn_detection.type == "none"
        if over and watched and self._state is READY:
            self._await_playout()
        self._go_on()

    # --- turns --------------------------------------------------------------------------------------------------------

    def _answer_turn(self, event: AudioCommitted) -> None:
        self._turns.uncommitted = False
        confirmed = self._acknowledge(event)
        if confirmed and self._state is READY:  # otherwise it was the provider that ended the turn
            self._turns.end_by_hand(confirmed.command_id, event.item_id)
            self._turns.go_on()  # before words about results, which this answer will know
            self._go_on()

    def _take_turn(self, event: TurnEvent) -> None:
        self._turns.take(event)
        if self._turns.by_hand(event):
            speaks = self._turns.caller_speaks
            self._tool_calls.follow(SpeechStarted(None, None) if speaks else SpeechStopped(None, None))
        else:
            self._tool_calls.follow(event)
        self._go_on()

    def _go_on(self) -> None:
        """Let the agent say what waits if nobody speaks; when draining, the end is near once nothing runs."""
        if self._state is STANDBY:
            self._restoration.go_on()
        if self._state in (READY, DRAINING):
            if self._tool_calls.take_reply():
                self._turns.take(SpeechRequested(None))
            self._turns.go_on()
        if self._state is DRAINING and not self._agent_busy:
            self._await_playout()
            if self._drain_request.to_the_end:
                self._lifetime.wait()

    def _await_playout(self) -> None:
        self._awaited += 1
        self._emit(AwaitPlayout())

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _survive(self, event: ErrorReported) -> None:
        self._count["errors"] += 1
        if self._is_fatal(event):
            self._finish_answers()
            kind = SessionLost if event.code in self._dialect.expired_codes else SessionError
            self._fail(kind(f"the provider ended the session: {event.code}: {event.message}"))
            return
        refused = self._commands.refuse(event)
        self._turns.refuse(refused, event, busy=event.code in self._dialect.busy_codes)
        self._go_on()

    def _warn(self, event: WarningReported) -> None:
        self._note("provider.warned", {"code": event.code, "message": event.message})

    def _is_fatal(self, event: ErrorReported) -> bool:
        return event.fatal or event.code in self._dialect.fatal_codes

    def _lose(self, event: ConnectionLost) -> None:
        reason = f": {event.reason}" if event.reason else ""
        doing = {CONNECTING: "session.created", CONFIGURING: "session.updated"}.get(self._state, "the session to go on")
        self._finish_answers()
        self._fail(SessionLost(f"expected {doing}, got the connection closed with code {event.code}{reason}"))

    def _end(self, event: LegEnded | DrainRequested | Superseded) -> None:
        if isinstance(event, Superseded):
            self._finish_answers()
        self._close(event.reason)

    def _finish_answers(self) -> None:
        """Have what came of the running answers played to its end: no more of them comes."""
        for response_id in self._answers.audible:
            self._emit(FinishResponse(response_id, self._turns.cuts.epoch))

    def _drain(self, event: DrainRequested) -> None:
        self._state = DRAINING
        self._lifetime.drain(self._now_ns)
        self._note("session.draining", {"because": event.reason, "running_responses": self._answers.running})
        self._drain_request = event
        self._turns.end(SessionError(f"expected the session to go on, got {event.reason}"))
        self._go_on()

    def _note_playout(self, _event: PlayoutFinished) -> None:
        self._awaited = max(0, self._awaited - 1)
        if self._awaited or self._agent_busy:
            return
        if self._unheard:
            self._unheard, self._played_ns = False, self._now_ns
        if self._state is DRAINING:
            self._close(self._drain_request.reason)
        else:
            self._turns.note_playout()

    def _expire(self, due: Due) -> None:
        if due is Due.RENEWAL:
            self._renewing = True
            self._emit(Renew())
            self._await_playout()
        elif self._state is CONNECTING:
            self._fail(AckTimeout("the connection", "session.created", self._timeouts.ack_ns / NS_PER_S))
        elif self._state is READY:
            self._spent = True
            self._drain(DrainRequested("session limit reached"))
        elif self._state is DRAINING:
            self._note("session.drain_timeout", {"running_responses": self._answers.running})
            self._close(f"{self._drain_request.reason}, drain timed out")

    def _close(self, reason: str) -> None:
        self._state = CLOSED
        self._settle(SessionError(f"expected the session to go on, got it closed: {reason}"))
        self._emit(Close(reason))

    def _fail(self, error: SessionError) -> None:
        self._state = FAILED
        self._settle(error)
        self._emit(Fail(error))

    def _settle(self, error: SessionError) -> None:
        self._left = self.underway
        self._lifetime.end()
        self._commands.end(error)
        self._turns.end(error)
        self._tool_calls.end(error)

    # --- commands and their answers -----------------------------------------------------------------------------------

    def _acknowledge(self, event: Any) -> Pending | None:
        """Settle the command that an event confirms; return it, if there was one."""
        confirmed = self._commands.confirm(event)
        if confirmed is not None:
            self._commands.settle(confirmed.ticket)
            if isinstance(confirmed.command, InstructSession):
                self._note("session.instructed", {"command_id": confirmed.command_id, "confirmed": True})
        return confirmed

    def _note(self, event_type: str, data: dict[str, Any]) -> None:
        self._emit(Note(event_type, data))

    def _take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects
