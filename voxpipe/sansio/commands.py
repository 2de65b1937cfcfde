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
from voxpipe.sansio.realtime import ErrorReported, SessionUpdated


class Commands:
    """Sends through ``emit`` at ``now_ns``, and tells whoever has a ticket for a command what became of it."""

    def __init__(
        self, dialect: Dialect, ack_ns: int, command_ids: Callable[[int], str], emit: Callable[[Effect], None]
    ) -> None:
        self.now_ns = 0
        self.refused = 0
        self.unanswered = 0
        self.pending = PendingCommands(ack_ns)
        self._dialect = dialect
        self._ack_ns = ack_ns
        self._command_ids = command_ids
        self._emit = emit
        self._sent = 0

    def send(self, command: Command, ticket: int | None = None) -> str | None:
        """Send a command and wait for its answer; return its id, or ``None`` where the provider has no word for it."""
        name = type(command).__name__
        if not self._dialect.supports(type(command)):
            self._emit(Note("command.unsupported", {"command": name}))
            self.settle(ticket, CommandRefused(name, "unsupported", f"{self._dialect.name} has no word for it"))
            return None
        self._sent += 1
        command_id = self._command_ids(self._sent)
        self.pending.add(command_id, command, self.now_ns, ticket)
        self._emit(Send(command_id, command))
        return command_id

    def confirm(self, event: Any) -> Pending | None:
        """Take out the command which an event confirms; its ticket is for the caller to settle."""
        return self.pending.confirm(event)

    def refuse(self, event: ErrorReported) -> Pending | None:
        """Take out the command which an error refuses, recorded; its ticket is for the caller to settle."""
        refused = self.pending.refuse(event)
        if refused is not None:
            self.refused += 1
            names = {"command": refused.name, "command_id": refused.command_id}
            self._emit(Note("command.refused", {**names, "code": event.code, "message": event.message}))
        return refused

    def compare_instructions(self, pending: Pending, event: SessionUpdated) -> None:
        """Hold confirmed instructions against those that were sent."""
        if not isinstance(pending.command, InstructSession):
            return
        requested, confirmed = pending.command.instructions, event.instructions
        same = requested == confirmed
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
        return AckTimeout(pending.name, pending.expected, self._ack_ns / NS_PER_S)

    def settle(self, ticket: int | None, error: SessionError | None = None) -> None:
        """Tell whoever asked for a command what became of it."""
        if ticket is not None:
            self._emit(Settle(ticket, error))

    def end(self, error: SessionError) -> None:
        """Wait for nothing any more."""
        for pending in self.pending.clear():
            self.settle(pending.ticket, error)
