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
    READY        the provider confirmed exactly the formats we asked for: audio flows, both ways
    DRAINING     no more caller audio goes out; the running answer is generated and played to its end
    CLOSED       ended in peace
    FAILED       ended with an error, expected and actual side by side

The gate. Caller audio is accepted in READY only, agent audio in READY and DRAINING. Audio from the provider before that
is refused and counted, and so is the rest of a response that began before the acknowledgement: it was made under a
configuration that nobody confirmed. A provider's confirmation does not carry our id, so it is matched by type, and an
error that names no command while our configuration is unanswered refuses it.

Cuts. ``SpeechStarted`` makes ``CutPlayout``; the ledger's answer comes back as ``PlayoutCut``, and only then are the
provider's items truncated to what was played and those never begun deleted. Later audio of a cut response is stale.
``CancelResponse`` is sent only while a response runs and only if the provider does not cancel by itself.

Tools. A tool call becomes ``CallTool`` and comes back as ``ToolAnswered``; the rest is told in ``tool_calls.py``.

Commands wait in ``pending`` for the event in ``ACKS``, oldest first. Only an unanswered configuration is fatal. Any
other refusal or missing answer is a note in the log: a call must survive a truncation that the provider does not like.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from voxpipe.audio import NS_PER_S, FormatPair
from voxpipe.config import SessionConfig
from voxpipe.errors import AckTimeout, CommandRefused, FormatMismatch, LocalProtocolError, SessionError
from voxpipe.sansio.agent_audio import AgentAudio
from voxpipe.sansio.answers import Answers, Verdict
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.effects import (
    AwaitPlayout,
    Close,
    CutPlayout,
    Effect,
    Fail,
    FinishResponse,
    Note,
    Send,
)
from voxpipe.sansio.pending import PendingCommands, SessionTimeouts
from voxpipe.sansio.realtime import (
    AudioCompleted,
    AudioReceived,
    CancelResponse,
    Command,
    ConfigureSession,
    Connected,
    ConnectionLost,
    CreateResponse,
    DeleteItem,
    DrainRequested,
    ErrorReported,
    Event,
    LegEnded,
    OutputItemAdded,
    PlayoutCut,
    PlayoutFinished,
    ResponseCreated,
    ResponseDone,
    SendToolResult,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolAnswered,
    ToolCallRequested,
    ToolSchema,
    TruncateItem,
)
from voxpipe.sansio.session_statistics import SessionStatistics
from voxpipe.sansio.tool_calls import Step, ToolCalls
from voxpipe.sansio.transitions import (
    CLOSED,
    CONFIGURING,
    CONNECTING,
    DRAINING,
    FAILED,
    READY,
    TRANSITIONS,
    State,
)


class Session:
    """One session with one provider; see the module's docstring. Pure: the actor gives the time and does the I/O."""

    def __init__(
        self,
        dialect: Dialect,
        config: SessionConfig,
        formats: FormatPair,
        timeouts: SessionTimeouts | None = None,
        *,
        tools: tuple[ToolSchema, ...] = (),
        command_ids: Callable[[int], str] = "vx_{}".format,
    ) -> None:
        self._dialect = dialect
        self._config = config
        self._formats = formats
        self._tools = tools
        self._timeouts = timeouts or SessionTimeouts()
        self._command_ids = command_ids
        self._commands = 0
        self._state = CONNECTING
        self._now_ns = 0
        self._pending = PendingCommands(self._timeouts.ack_ns)
        self._drain_request = DrainRequested("")
        self._state_deadline_ns: int | None = None
        self._effects: list[Effect] = []
        self._answers = Answers()
        self._audio = AgentAudio(self._answers, formats.downlink)
        self._tool_calls = ToolCalls(self._answers, self._pending, provider_answers=config.turn_detection.answers)
        self._cutting = False
        self._epoch = 0
        self._ack_ns: int | None = None
        counted = {field.name for field in attrs.fields(SessionStatistics)} - {"state", "ack_ns"}
        self._count = dict.fromkeys(counted - self._audio.counts.keys(), 0)

    # --- what the actor asks ------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the session is."""
        return self._state

    @property
    def epoch(self) -> int:
        """How many cuts there were."""
        return self._epoch

    @property
    def accepts_uplink(self) -> bool:
        """Whether caller audio may go out."""
        return self._state is READY

    @property
    def accepts_downlink(self) -> bool:
        """Whether agent audio may be played."""
        return self._state in (READY, DRAINING)

    @property
    def deadline_ns(self) -> int | None:
        """When ``expire`` must be called, at the latest."""
        deadlines = [self._pending.deadline_ns, self._state_deadline_ns]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def statistics(self) -> SessionStatistics:
        """Tell what the session did so far."""
        state = self._state.name.lower()
        return SessionStatistics(state=state, ack_ns=self._ack_ns, **self._count, **self._audio.counts)

    # --- the two ways in ----------------------------------------------------------------------------------------------

    def receive(self, event: Event, now_ns: int) -> list[Effect]:
        """Take an event; return what is to be done. An event without an entry in the table changes nothing."""
        self._now_ns = now_ns
        transition = TRANSITIONS[self._state].get(type(event))
        if transition is not None:
            getattr(self, transition.reaction)(event)
            if self._state not in transition.targets:
                raise LocalProtocolError(
                    f"expected {transition.reaction} to end in {' or '.join(s.name for s in transition.targets)}, "
                    f"got {self._state.name}"
                )
        return self._take_effects()

    def expire(self, now_ns: int) -> list[Effect]:
        """Do what is due at ``now_ns``: give up waiting, or begin to drain."""
        self._now_ns = now_ns
        self._expire_state()
        for pending in self._pending.take_overdue(now_ns):
            if self._state is CONFIGURING and isinstance(pending.command, ConfigureSession):
                self._fail(AckTimeout(pending.name, pending.expected, self._timeouts.ack_ns / NS_PER_S))
                break
            self._count["commands_unanswered"] += 1
            self._note("command.unanswered", pending.unanswered(now_ns))
            self._await_playout()
        return self._take_effects()

    # --- configuration ------------------------------------------------------------------------------------------------

    def _await_created(self, _event: Connected) -> None:
        self._state_deadline_ns = self._now_ns + self._timeouts.ack_ns

    def _configure(self, event: SessionCreated) -> None:
        self._state = CONFIGURING
        self._state_deadline_ns = None
        self._note("session.requested", {"session_id": event.session_id, "requested": self._formats.names})
        self._send(ConfigureSession(self._config, self._formats, self._tools))

    def _compare(self, event: SessionUpdated) -> None:
        requested = (str(self._formats.uplink), str(self._formats.downlink))
        confirmed = (str(event.uplink), str(event.downlink))
        pending = self._pending.confirm(event)
        if (event.uplink, event.downlink) != (self._formats.uplink, self._formats.downlink):
            self._fail(FormatMismatch(requested, confirmed))
        elif self._state is CONFIGURING:
            self._ack_ns = self._now_ns - pending.sent_ns if pending else None
            self._become_ready()

    def _become_ready(self) -> None:
        self._state = READY
        self._state_deadline_ns = self._now_ns + self._timeouts.limit_ns
        ack_ms = None if self._ack_ns is None else round(self._ack_ns / 1e6, 3)
        self._note("session.ready", {"confirmed": self._formats.names, "ack_ms": ack_ms})
        if self._config.greeting:
            self._send(CreateResponse(self._config.greeting))

    def _refused(self, event: ErrorReported) -> None:
        self._count["errors"] += 1
        ours = self._pending.find(ConfigureSession)
        if ours is not None and event.command_id not in (None, ours.command_id):
            return
        name = "ConfigureSession" if ours else "the connection"
        message = event.message + (f" (param {event.param})" if event.param else "")
        self._fail(CommandRefused(name, event.code, message))

    def _begin_unconfirmed(self, event: ResponseCreated) -> None:
        self._answers.begin_unconfirmed(event.response_id)

    def _finish_unconfirmed(self, event: ResponseDone) -> None:
        self._answers.finish(event.response_id)

    def _refuse(self, event: AudioReceived) -> None:
        self._answers.begin_unconfirmed(event.response_id)
        self._effects.append(self._audio.turn_away(event, "refused", "before the acknowledgement"))

    # --- answers ------------------------------------------------------------------------------------------------------

    def _begin_response(self, event: ResponseCreated) -> None:
        self._pending.confirm(event)
        self._answers.begin(event.response_id)
        self._count["responses"] += 1
        self._do(self._tool_calls.follow(event))

    def _note_item(self, event: OutputItemAdded) -> None:
        if event.item_type == "message" and self._answers.add_item(event.response_id, event.item_id) is Verdict.STALE:
            self._send(DeleteItem(event.item_id))

    def _play(self, event: AudioReceived) -> None:
        if fault := self._audio.fault(event):
            self._fail(SessionError(fault))
        else:
            self._effects.append(self._audio.take(event, self._epoch))

    def _complete_part(self, event: AudioCompleted) -> None:
        self._effects += self._audio.complete(event, self._epoch)

    def _finish_response(self, event: ResponseDone) -> None:
        self._pending.confirm(event)
        if self._answers.finish(event.response_id) is Verdict.PLAY:
            self._effects.append(FinishResponse(event.response_id, self._epoch))
        if event.status == "failed":
            self._note("response.failed", {"response_id": event.response_id, "reason": event.error or event.reason})
        self._follow(event)

    # --- tools --------------------------------------------------------------------------------------------------------

    def _follow(self, event: ResponseDone | SpeechStopped | ToolAnswered | ToolCallRequested) -> None:
        self._do(self._tool_calls.follow(event))
        self._await_playout()

    def _do(self, steps: list[Step]) -> None:
        for step in steps:
            if isinstance(step, SendToolResult | CreateResponse):
                self._tool_calls.note_sent(step, self._send(step))
            else:
                self._effects.append(step)

    # --- barge-in -----------------------------------------------------------------------------------------------------

    def _cut(self, event: SpeechStarted) -> None:
        self._count["caller_turns"] += 1
        if not self._cutting:
            self._cutting = True
            self._effects.append(CutPlayout())
        self._do(self._tool_calls.follow(event))

    def _truncate(self, event: PlayoutCut) -> None:
        self._cutting = False
        point = event.cut_point
        self._epoch = point.epoch
        begun = {cut.part.item_id for cut in point.begun} | {part.item_id for part in point.heard}
        unbegun = [part.item_id for part in point.unbegun]
        for response_id, item_ids in self._answers.cut(begun).items():
            # Items of which no audio has come yet are not the ledger's to know.
            unbegun += item_ids
            if not self._config.turn_detection.interrupts:
                self._send(CancelResponse(response_id))
        for cut in point.begun:
            self._count["truncations"] += 1
            self._send(TruncateItem(cut.part.item_id, cut.part.content_index, cut.played_ms))
        for item_id in dict.fromkeys(unbegun):
            if item_id not in begun:
                self._send(DeleteItem(item_id))
        self._count["cuts"] += bool(point.begun or unbegun)

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _survive(self, event: ErrorReported) -> None:
        self._count["errors"] += 1
        if event.code in self._dialect.fatal_codes:
            self._fail(SessionError(f"the provider ended the session: {event.code}: {event.message}"))
            return
        self._tool_calls.note_refused(event.command_id)
        refused = self._pending.refuse(event.command_id)
        if refused is not None:
            self._count["commands_refused"] += 1
            names = {"command": refused.name, "command_id": refused.command_id}
            self._note("command.refused", {**names, "code": event.code, "message": event.message})
            self._await_playout()

    def _lose(self, event: ConnectionLost) -> None:
        reason = f": {event.reason}" if event.reason else ""
        doing = {CONNECTING: "session.created", CONFIGURING: "session.updated"}.get(self._state, "the session to go on")
        self._fail(SessionError(f"expected {doing}, got the connection closed with code {event.code}{reason}"))

    def _end(self, event: LegEnded | DrainRequested) -> None:
        self._close(event.reason)

    def _drain(self, event: DrainRequested) -> None:
        self._state = DRAINING
        self._state_deadline_ns = self._now_ns + self._timeouts.drain_ns
        self._note("session.draining", {"because": event.reason, "running_responses": self._answers.running})
        self._drain_request = event
        self._await_playout()

    def _await_playout(self) -> None:
        if self._state is DRAINING and not self._tool_calls.busy:
            self._effects.append(AwaitPlayout())
            self._state_deadline_ns = None if self._drain_request.to_the_end else self._state_deadline_ns

    def _finish_draining(self, _event: PlayoutFinished) -> None:
        if not self._tool_calls.busy:
            self._close(self._drain_request.reason)

    def _expire_state(self) -> None:
        if self._state_deadline_ns is None or self._now_ns < self._state_deadline_ns:
            return
        self._state_deadline_ns = None
        if self._state is CONNECTING:
            self._fail(AckTimeout("the connection", "session.created", self._timeouts.ack_ns / NS_PER_S))
        elif self._state is READY:
            self._drain(DrainRequested("session limit reached"))
        elif self._state is DRAINING:
            self._note("session.drain_timeout", {"running_responses": self._answers.running})
            self._close(f"{self._drain_request.reason}, drain timed out")

    def _close(self, reason: str) -> None:
        self._state = CLOSED
        self._state_deadline_ns = None
        self._pending.clear()
        self._effects.append(Close(reason))

    def _fail(self, error: SessionError) -> None:
        self._state = FAILED
        self._state_deadline_ns = None
        self._pending.clear()
        self._effects.append(Fail(error))

    # --- commands and their answers -----------------------------------------------------------------------------------

    def _send(self, command: Command) -> str:
        if not self._dialect.supports(type(command)):
            self._note("command.unsupported", {"command": type(command).__name__})
            return ""
        self._commands += 1
        command_id = self._command_ids(self._commands)
        self._pending.add(command_id, command, self._now_ns)
        self._effects.append(Send(command_id, command))
        return command_id

    def _acknowledge(self, event: Any) -> None:
        self._pending.confirm(event)

    def _note(self, event_type: str, data: dict[str, Any]) -> None:
        self._effects.append(Note(event_type, data))

    def _take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects
