"""Giving a session the conversation it is to go on with: each item acknowledged, a window of them at a time.

A provider that takes no items of ours is told in words, as a record of who said what.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from voxpipe.sansio.command_words import AddMessage, AddToolCall, Command, RecallConversation
from voxpipe.sansio.commands import Commands
from voxpipe.sansio.tool_words import SendToolResult

WINDOW = 16
"""How many items are on their way: more would only fill the channel to the provider."""


class Restoration:
    """What one session, which goes by ``instructions``, is still to be given; ``lines`` is what was told in words.

    ``called`` says of the tool calls without a result, by their ids, what was called.
    """

    def __init__(self, commands: Commands, instructions: str) -> None:
        self.given = 0
        self.lines: tuple[str, ...] = ()
        self._instructions = instructions
        self.called: dict[str, str] = {}
        self._commands = commands
        self._waiting: deque[Command] = deque()

    @property
    def done(self) -> bool:
        """Whether everything was given, and acknowledged, refused or given up; what was not taken is in the log."""
        return not self._waiting and not self._commands.pending.count

    def add(self, commands: Iterable[Command]) -> None:
        """Put items behind the others."""
        if self._commands.dialect.supports(AddToolCall):
            self._waiting.extend(commands)
            self.go_on()
            return
        items = list(commands)
        lines = tuple(line for item in items for line in self._tell(item))
        for piece in _pieces(lines, self._commands.dialect.recall_chars):
            self._commands.send(RecallConversation(self._instructions, self.lines, piece))
            self.lines += piece
        self.given += len(items)

    def _tell(self, item: Command) -> list[str]:
        match item:
            case AddMessage(_, speaker, text):
                return [f"{speaker}: {text}"]
            case AddToolCall(_, call_id, name, arguments):
                self.called[call_id] = f"{name}({arguments})"
            case SendToolResult(call_id, output):
                return [f"tool {self.called.pop(call_id, 'call')} returned: {output}"]
        return []

    def go_on(self) -> None:
        """Send as many as the window allows."""
        while self._waiting and self._commands.pending.count < WINDOW:
            self._commands.send(self._waiting.popleft())
            self.given += 1


def _pieces(lines: tuple[str, ...], longest_chars: int | None) -> Iterator[tuple[str, ...]]:
    """Part lines into pieces of at most so many characters, each of whole lines; a longer line is cut off."""
    if longest_chars is None:
        if lines:
            yield lines
        return
    piece: tuple[str, ...] = ()
    for line in lines:
        cut = line[:longest_chars]
        if piece and sum(map(len, piece)) + len(piece) + len(cut) > longest_chars:
            yield piece
            piece = ()
        piece += (cut,)
    if piece:
        yield piece
