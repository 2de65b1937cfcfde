"""Trio's clock in integer nanoseconds, as the pure objects count; under ``MockClock`` it is virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from voxpipe.audio import NS_PER_S

Pace = Callable[[int], Awaitable[None]]
"""Waits for the instant at which a frame is due."""


def now_ns() -> int:
    """Return the time of Trio's clock."""
    return round(trio.current_time() * NS_PER_S)


async def sleep_until_ns(deadline_ns: int) -> None:
    """Sleep until an instant of Trio's clock; a passed one is a checkpoint."""
    await trio.sleep_until(deadline_ns / NS_PER_S)
