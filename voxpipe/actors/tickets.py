"""Tickets: how a task waits for what the session machine makes of its request."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import attrs
import trio

from voxpipe.errors import SessionError


@attrs.define
class _Ticket:
    settled: trio.Event = attrs.field(factory=trio.Event)
    error: SessionError | None = None


class Tickets:
    """The requests of one leg that wait for their outcome."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Ticket] = {}
        self._over = False

    async def wait(self, request: Callable[[int], None]) -> None:
        """Make a request under a new number and wait until it is settled; raises the error it was settled with."""
        if self._over:
            raise SessionError("expected the session to go on, got it ended")
        number, ticket = next(self._numbers), _Ticket()
        self._waiting[number] = ticket
        try:
            request(number)
            await ticket.settled.wait()
        finally:
            del self._waiting[number]
        if ticket.error is not None:
            raise ticket.error

    def end(self) -> None:
        """Settle all of them, now and later: the leg is over, in whatever way."""
        self._over = True
        for number in self._waiting:
            self.settle(number, SessionError("expected the session to go on, got it ended"))

    def settle(self, number: int, error: SessionError | None) -> None:
        """Tell who waits; nobody may, and what was told first stays."""
        ticket = self._waiting.get(number)
        if ticket is not None and not ticket.settled.is_set():
            ticket.error = error
            ticket.settled.set()
