"""The commands of one session, from being sent to being confirmed, refused or given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voxpipe.audio import NS_PER_S
from voxpipe.errors import AckTimeout, CommandRefused, SessionError
from voxpipe.sansio.command_words import Command, InstructSession
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.effects import Effect, Note, Send, Settle
from voxpipe.sansio.pending import Pending, PendingCommands
from voxpipe.sansio.realtime import ErrorReported, ResponseCreated, SessionUpdated


class Commands:
    """Sends through ``emit`` at ``now_ns``, and tells whoever has a ticket for a command what became of it."""

    def __init__(
        self,
        dialect: Dialect,
        ack_ns: int,
        command_ids: Callable[[int], str],
        emit: Callable[[Effect], None],
        *,
        silent_ack: bool = False,
    ) -> None:
        self.now_ns = 0
        self.refused = 0
        self.unanswered = 0
        self.pending = PendingCommands()
        self._unsupported: set[type] = set()
        self.dialect = dialect
        self._silent_ack = silent_ack
        self._ack_ns = ack_ns
        self._answer_ns = round(dialect.answer_s * NS_PER_S)
        self._command_ids = command_ids
        self._emit = emit
        self._sent = 0

    def send(self, command: Command, ticket: int | None = None) -> str | None:
        """Send a command and wait for its answer; return its id, or ``None`` where the provider has no word for it."""
        kind = type(command)
        if not self.dialect.supports(kind):
            if kind not in self._unsupported:  # said once: it will not change
                self._unsupported.add(kind)
                self._emit(Note("command.unsupported", {"command": kind.__name__}))
            self.settle(ticket, CommandRefused(kind.__name__, "unsupported", f"{self.dialect.name} has no word for it"))
            return None
        self._sent += 1
        command_id = self._command_ids(self._sent)
        ack = self.dialect.ack_of(kind)
        self._emit(Send(command_id, command))
        if ack is None:
            self.settle(ticket)
            return command_id
        if together := self.dialect.answers(kind):  # its answer is awaited, but there is no other acknowledgement
            self.settle(ticket)
            ticket = None
        deadline_ns = self.now_ns + self._ack_ns + (self._answer_ns if ack is ResponseCreated else 0)
        self.pending.add(Pending(command_id, command, ack, self.now_ns, deadline_ns, ticket, together))
        return command_id

    def confirm(self, event: Any) -> Pending | None:
        """Take out the command which an event confirms; its ticket is for the caller to settle."""
        first, *others = self.pending.confirm(event) or (None,)
        for pending in others:
            assert pending is not None
            self.settle(pending.ticket)
        return first

    def refuse(self, event: ErrorReported) -> Pending | None:
        """Take out the command which an error refuses, recorded; its ticket is for the caller to settle."""
        refused = self.pending.refuse(event)
        if refused is not None:
            self.refused += 1
            names = {"command": refused.name, "command_id": refused.command_id}
            self._emit(Note("command.refused", {**names, "code": event.code, "message": event.message}))
        return refused

    def compare_instructions(self, pending: Pending, event: SessionUpdated) -> None:
        """Hold confirmed instructions against those that were sent; ``None`` is an acknowledgement without them."""
        if not isinstance(pending.command, InstructSession):
            return
        requested, confirmed = pending.command.instructions, event.instructions
        same = confirmed == requested or (confirmed is None and self._silent_ack)
        self._emit(Note("session.instructed", {"command_id": pending.command_id, "confirmed": same}))
        refusal = f"expected instructions {requested!r:.80}, got {confirmed!r:.80}"
        self.settle(pending.ticket, None if same else CommandRefused(pending.name, "not_confirmed", refusal))

    def give_up(self, pending: Pending) -> None:
        """Take note that nothing came in answer."""
        waited_s = (self.now_ns - pending.sent_ns) / NS_PER_S
        self.unanswered += 1
        unanswered = {"command": pending.name, "command_id": pending.command_id, "expected": pending.expected}
        self._emit(Note("command.unanswered", {**unanswered, "waited_s": waited_s}))
        self.settle(pending.ticket, self.timeout(pending))

    def timeout(self, pending: Pending) -> AckTimeout:
        """Say in an error that nothing came in answer."""
        return AckTimeout(pending.name, pending.expected, (pending.deadline_ns - pending.sent_ns) / NS_PER_S)

    def settle(self, ticket: int | None, error: SessionError | None = None) -> None:
        """Tell whoever asked for a command what became of it."""
        if ticket is not None:
            self._emit(Settle(ticket, error))

    def end(self, error: SessionError) -> None:
        """Wait for nothing any more."""
        for pending in self.pending.clear():
            self.settle(pending.ticket, error)
