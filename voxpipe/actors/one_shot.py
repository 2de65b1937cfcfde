"""A value that becomes known once: the leg's format, the session's formats."""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class OneShot(Generic[T]):
    """Set once by one task, awaited by others."""

    def __init__(self) -> None:
        self._known = trio.Event()
        self._value: T | None = None

    @property
    def value(self) -> T | None:
        """The value, or ``None`` while it is not known."""
        return self._value

    def set(self, value: T) -> None:
        """Make the value known; the first one stays."""
        if not self._known.is_set():
            self._value = value
            self._known.set()

    async def get(self) -> T:
        """Wait until the value is known."""
        await self._known.wait()
        assert self._value is not None
        return self._value
