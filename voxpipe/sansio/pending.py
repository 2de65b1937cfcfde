"""What the session machine waits for: its timeouts, and the commands that are neither acknowledged nor refused yet."""

from __future__ import annotations

from typing import Any

import attrs

from voxpipe.audio import NS_PER_S
from voxpipe.sansio.command_words import Command, TruncateItem
from voxpipe.sansio.realtime import ErrorReported
from voxpipe.sansio.transitions import ACKS


@attrs.frozen
class SessionTimeouts:
    """What the machine waits for, in nanoseconds."""

    ack_ns: int = 2 * NS_PER_S
    drain_ns: int = 10 * NS_PER_S
    limit_ns: int = 3580 * NS_PER_S
    renew_before_ns: int = 0


@attrs.frozen
class Pending:
    """A command that waits for its answer."""

    command_id: str
    command: Command
    sent_ns: int
    ticket: int | None = None

    @property
    def name(self) -> str:
        """The command's name, as the log has it."""
        return type(self.command).__name__

    @property
    def expected(self) -> str:
        """The name of the event that would confirm it."""
        return ACKS[type(self.command)].__name__

    def confirmed_by(self, event: Any) -> bool:
        """Tell whether an event confirms it: of the type in ``ACKS``, and of its item or response if it has one."""
        return ACKS[type(self.command)] is type(event) and all(
            getattr(self.command, name, None) in (None, getattr(event, name, None))
            for name in ("item_id", "response_id", "call_id")
        )


class PendingCommands:
    """The pending commands of one session, oldest first."""

    def __init__(self, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._commands: list[Pending] = []

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._commands)

    @property
    def deadline_ns(self) -> int | None:
        """When the oldest becomes overdue."""
        return self._commands[0].sent_ns + self._timeout_ns if self._commands else None

    def add(self, command_id: str, command: Command, now_ns: int, ticket: int | None = None) -> None:
        """Wait for the answer to a command."""
        self._commands.append(Pending(command_id, command, now_ns, ticket))

    def find(self, command: type) -> Pending | None:
        """Return the oldest of one type."""
        return next((pending for pending in self._commands if isinstance(pending.command, command)), None)

    def confirm(self, event: Any) -> Pending | None:
        """Take out the oldest which an event confirms: by type and item, since our id is not in it."""
        return self._take(next((pending for pending in self._commands if pending.confirmed_by(event)), None))

    def refuse(self, error: ErrorReported) -> Pending | None:
        """Take out the one which an error names, or which alone it can mean: a count of audio means a truncation."""
        if error.command_id is None and error.counted_ms is not None:
            return self._take(self.find(TruncateItem))
        return self._take(next((pending for pending in self._commands if pending.command_id == error.command_id), None))

    def take_overdue(self, now_ns: int) -> list[Pending]:
        """Take out those which have waited too long."""
        overdue = [pending for pending in self._commands if now_ns >= pending.sent_ns + self._timeout_ns]
        self._commands = self._commands[len(overdue) :]
        return overdue

    def clear(self) -> list[Pending]:
        """Wait for nothing any more; return what was waited for."""
        commands, self._commands = self._commands, []
        return commands

    def _take(self, pending: Pending | None) -> Pending | None:
        if pending is not None:
            self._commands.remove(pending)
        return pending
