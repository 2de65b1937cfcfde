"""What the agent is asked to say by us: one request at a time, each when nobody else speaks.

The provider runs one response at a time. So a request waits for the end of the running one, and for the end of the
caller's turn; where the provider was quicker to begin a response of its own, the request is made again after it.
"""

from __future__ import annotations

from collections import deque

from voxpipe.sansio.answers import Answers
from voxpipe.sansio.realtime import SpeechRequested

REQUESTS = 16
"""How many may wait; a program that asks for more does not wait for its answers."""


class Requests:
    """The requests of one session, in order."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._waiting: deque[SpeechRequested] = deque()
        self._asked: SpeechRequested | None = None
        self._asked_id: str | None = None
        self._begun = True
        self._caller_speaks = False
        self._provider_busy = False

    @property
    def open(self) -> bool:
        """Whether one was sent and its response has not begun."""
        return not self._begun

    @property
    def waiting(self) -> bool:
        """Whether any waits to be sent."""
        return bool(self._waiting)

    @property
    def caller_speaks(self) -> bool:
        """Whether the caller's turn has begun and not ended."""
        return self._caller_speaks

    def note_caller(self, *, speaks: bool) -> None:
        """Take note of the beginning and the end of a turn."""
        self._caller_speaks = speaks

    def add(self, request: SpeechRequested) -> bool:
        """Put a request behind the others; ``False`` when too many wait."""
        if len(self._waiting) >= REQUESTS:
            return False
        self._waiting.append(request)
        return True

    def take(self) -> SpeechRequested | None:
        """Take the oldest request, if it may be sent now."""
        if not self._waiting or self._answers.running or self.open or self._caller_speaks or self._provider_busy:
            return None
        return self._waiting.popleft()

    def sent(self, request: SpeechRequested, command_id: str | None) -> None:
        """Take note of the command that was sent for a request."""
        self._asked, self._asked_id, self._begun = request, command_id, command_id is None

    def begin(self) -> None:
        """Take note that a response began: ours, as far as anybody can tell."""
        self._begun = True

    def finish(self) -> None:
        """Take note that a response is done, whoever asked for it."""
        self._provider_busy = False

    def refuse(self, command_id: str | None, *, busy: bool) -> bool:
        """Take note that a request was refused; tell whether it is made again, since a response was running."""
        if command_id is None or command_id != self._asked_id or self._asked is None:
            return False
        again, self._asked, self._asked_id, self._begun = self._asked, None, None, True
        if busy:
            self._provider_busy = True  # by a response that we may not even know of; its end is told
            self._waiting.appendleft(again)
        return busy

    def clear(self) -> list[SpeechRequested]:
        """Give up and return what waits."""
        waiting, self._waiting = list(self._waiting), deque()
        return waiting
