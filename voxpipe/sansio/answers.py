"""Which responses run, and which of their audio may be played."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Collection

DONE_KEPT = 8
"""How many ended responses are kept in mind, for late audio of theirs."""


class Verdict(enum.Enum):
    """What is done with audio of a response."""

    PLAY = "play"
    STALE = "stale"
    """The response was cut or is done; its late audio is nobody's any more."""
    UNCONFIRMED = "unconfirmed"
    """It was made under a configuration that nobody confirmed."""


class Answers:
    """The responses of one session, from ``response.created`` to ``response.done``."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._cut: set[str] = set()
        self._unconfirmed: set[str] = set()
        self._done: deque[str] = deque(maxlen=DONE_KEPT)
        self._items: dict[str, list[str]] = {}

    @property
    def running(self) -> int:
        """How many responses are being generated, cut ones included."""
        return len(self._running)

    @property
    def uncut(self) -> int:
        """How many responses are being generated for the caller to hear."""
        return len(self._running - self._cut)

    @property
    def audible(self) -> list[str]:
        """The running responses that were not cut."""
        return sorted(self._running - self._cut)

    @property
    def known(self) -> frozenset[str]:
        """The responses that run or were done of late: what of the agent may still be heard is theirs."""
        return frozenset(self._running | set(self._done))

    def runs(self, response_id: str) -> bool:
        """Tell whether a response is being generated, cut or not."""
        return response_id in self._running

    def begin(self, response_id: str) -> None:
        """Take note that a response is being generated."""
        self._running.add(response_id)

    def begin_unconfirmed(self, response_id: str) -> None:
        """Take note of a response from before the acknowledgement."""
        self._unconfirmed.add(response_id)

    def add_item(self, response_id: str, item_id: str) -> Verdict:
        """Take note of an item of speech in a running response; return what is to be done with its audio."""
        verdict = self.verdict(response_id)
        if response_id in self._running and verdict is Verdict.PLAY:
            self._items.setdefault(response_id, []).append(item_id)
        return verdict

    def verdict(self, response_id: str) -> Verdict:
        """Tell what is to be done with audio of a response."""
        if response_id in self._unconfirmed:
            return Verdict.UNCONFIRMED
        over = response_id in self._cut or (response_id in self._done and response_id not in self._running)
        return Verdict.STALE if over else Verdict.PLAY

    def cut(self, response_ids: Collection[str], begun_items: Collection[str]) -> dict[str, list[str]]:
        """Cut those that run. Return their ids, each with its items of which nothing was begun."""
        running = [response_id for response_id in self.audible if response_id in response_ids]
        self._cut.update(running)
        return {
            response_id: [item_id for item_id in self._items.pop(response_id, []) if item_id not in begun_items]
            for response_id in running
        }

    def hear_on(self) -> None:
        """Let responses that were cut and run on be heard again, from now on."""
        self._cut.clear()

    def finish(self, response_id: str) -> Verdict:
        """Take note that a response is done; return what was to be done with its audio."""
        verdict = self.verdict(response_id)
        for known in (self._running, self._cut, self._unconfirmed):
            known.discard(response_id)
        self._done.append(response_id)
        self._items.pop(response_id, None)
        return verdict
