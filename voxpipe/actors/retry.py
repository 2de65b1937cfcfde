"""Pauses between tries that fail: each longer than the one before, until somebody is in a hurry."""

from __future__ import annotations

import trio

FIRST_PAUSE_S = 0.1
LAST_PAUSE_S = 30.0
"""Each pause is three times the one before, up to this."""


class Retry:
    """The tries at one thing, one after the other."""

    def __init__(self) -> None:
        self.pause_s = FIRST_PAUSE_S
        self._hurry = trio.Event()

    def begin(self) -> None:
        """A try begins; whoever is in a hurry from now on cuts the pause after it short."""
        self._hurry = trio.Event()

    def hurry(self) -> None:
        """Have the next try at once, and those after it soon."""
        self._hurry.set()

    async def pause(self) -> None:
        """Wait between two tries."""
        with trio.move_on_after(self.pause_s) as scope:
            await self._hurry.wait()
        self.pause_s = min(3 * self.pause_s, LAST_PAUSE_S) if scope.cancelled_caught else FIRST_PAUSE_S
