"""How long a session may be in the state it is in, and when another one must be ready to take its place."""

from __future__ import annotations

import enum

from voxpipe.sansio.pending import SessionTimeouts


class Due(enum.Enum):
    """What has come."""

    RENEWAL = "another session is to be opened beside this one"
    STATE = "the present state may last no longer"


class Lifetime:
    """The deadlines of one session. It never asks for the time."""

    def __init__(self, timeouts: SessionTimeouts) -> None:
        self._timeouts = timeouts
        self._confirmed_ns = 0
        self._state_at_ns: int | None = None
        self._renew_at_ns: int | None = None

    @property
    def deadline_ns(self) -> int | None:
        """When ``take_due`` must be called, at the latest."""
        deadlines = (self._state_at_ns, self._renew_at_ns)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def await_created(self, now_ns: int) -> None:
        """The connection is open, and the provider is to say so."""
        self._state_at_ns = now_ns + self._timeouts.ack_ns

    def confirm(self, now_ns: int) -> None:
        """The provider has acknowledged the configuration; its own clock has started before."""
        self._confirmed_ns = now_ns

    def serve(self) -> None:
        """The session serves the leg from now on."""
        self._state_at_ns = self._confirmed_ns + self._timeouts.limit_ns
        if 0 < self._timeouts.renew_before_ns < self._timeouts.limit_ns:
            self._renew_at_ns = self._state_at_ns - self._timeouts.renew_before_ns

    def drain(self, now_ns: int) -> None:
        """What runs is finished."""
        self._state_at_ns, self._renew_at_ns = now_ns + self._timeouts.drain_ns, None

    def wait(self) -> None:
        """Whatever is waited for may take its time."""
        self._state_at_ns = None

    def end(self) -> None:
        """Nothing is due any more."""
        self._state_at_ns = self._renew_at_ns = None

    def take_due(self, now_ns: int) -> list[Due]:
        """Return what is due, each once."""
        due = []
        if self._renew_at_ns is not None and now_ns >= self._renew_at_ns:
            self._renew_at_ns = None
            due.append(Due.RENEWAL)
        if self._state_at_ns is not None and now_ns >= self._state_at_ns:
            self._state_at_ns = None
            due.append(Due.STATE)
        return due
