"""What the session machine waits for: its timeouts, and the commands that are neither acknowledged nor refused yet."""

from __future__ import annotations

from typing import Any

import attrs

from voxpipe.audio import NS_PER_S
from voxpipe.sansio.command_words import Command, TruncateItem
from voxpipe.sansio.realtime import CommandAcknowledged, ErrorReported


@attrs.frozen
class SessionTimeouts:
    """What the machine waits for, in nanoseconds."""

    ack_ns: int = 2 * NS_PER_S
    drain_ns: int = 10 * NS_PER_S
    limit_ns: int = 3580 * NS_PER_S
    renew_before_ns: int = 0


@attrs.frozen
class Pending:
    """A command that waits until ``deadline_ns`` for its answer: an event of the type ``ack``.

    ``together``: one such event confirms all of its kind that wait.
    """

    command_id: str
    command: Command
    ack: type
    sent_ns: int
    deadline_ns: int
    ticket: int | None = None
    together: bool = False

    @property
    def name(self) -> str:
        """The command's name, as the log has it."""
        return type(self.command).__name__

    @property
    def expected(self) -> str:
        """The name of the event that would confirm it."""
        return self.ack.__name__

    def confirmed_by(self, event: Any) -> bool:
        """Tell whether an event confirms it: of its ``ack``, and of its item, response or call if it has one."""
        if type(event) is not self.ack:
            return False
        if isinstance(event, CommandAcknowledged):
            return event.command_id == self.command_id or type(self.command) in event.commands
        return all(
            getattr(self.command, name, None) in (None, getattr(event, name, None))
            for name in ("item_id", "response_id", "call_id")
            if hasattr(event, name)
        )


class PendingCommands:
    """The pending commands of one session, oldest first."""

    def __init__(self) -> None:
        self._commands: list[Pending] = []

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._commands)

    @property
    def deadline_ns(self) -> int | None:
        """When the first becomes overdue."""
        return min((pending.deadline_ns for pending in self._commands), default=None)

    def add(self, pending: Pending) -> None:
        """Wait for the answer to a command."""
        self._commands.append(pending)

    def find(self, *commands: type) -> Pending | None:
        """Return the oldest of these types."""
        return next((pending for pending in self._commands if isinstance(pending.command, commands)), None)

    def expects(self, ack: type) -> bool:
        """Tell whether a command waits for such an event."""
        return any(pending.ack is ack for pending in self._commands)

    def confirm(self, event: Any) -> list[Pending]:
        """Take out the oldest which an event confirms, and those it confirms together with it; often none."""
        found = [pending for pending in self._commands if pending.confirmed_by(event)]
        taken = [pending for pending in found if pending is found[0] or pending.together]
        for pending in taken:
            self._commands.remove(pending)
        return taken

    def refuse(self, error: ErrorReported) -> Pending | None:
        """Take out the one which an error names, or which alone it can mean: a count of audio means a truncation."""
        meant = (TruncateItem,) if error.counted_ms is not None else error.refuses
        if error.command_id is None:
            return self._take(self.find(*meant) if meant else None)
        return self._take(next((pending for pending in self._commands if pending.command_id == error.command_id), None))

    def take_overdue(self, now_ns: int) -> list[Pending]:
        """Take out those which have waited too long."""
        overdue = [pending for pending in self._commands if now_ns >= pending.deadline_ns]
        self._commands = [pending for pending in self._commands if now_ns < pending.deadline_ns]
        return overdue

    def clear(self) -> list[Pending]:
        """Wait for nothing any more; return what was waited for."""
        commands, self._commands = self._commands, []
        return commands

    def _take(self, pending: Pending | None) -> Pending | None:
        if pending is not None:
            self._commands.remove(pending)
        return pending
