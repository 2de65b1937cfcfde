"""Giving a session the conversation it is to go on with: each item acknowledged, a window of them at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from voxpipe.sansio.command_words import Command
from voxpipe.sansio.commands import Commands

WINDOW = 16
"""How many items are on their way: more would only fill the channel to the provider."""


class Restoration:
    """What one session is still to be given."""

    def __init__(self, commands: Commands) -> None:
        self.given = 0
        self._commands = commands
        self._waiting: deque[Command] = deque()

    @property
    def done(self) -> bool:
        """Whether everything was given, and acknowledged, refused or given up; what was not taken is in the log."""
        return not self._waiting and not self._commands.pending.count

    def add(self, commands: Iterable[Command]) -> None:
        """Put items behind the others."""
        self._waiting.extend(commands)
        self.go_on()

    def go_on(self) -> None:
        """Send as many as the window allows."""
        while self._waiting and self._commands.pending.count < WINDOW:
            self._commands.send(self._waiting.popleft())
            self.given += 1
