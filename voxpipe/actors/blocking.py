"""Blocking work in a thread; in virtual time on the spot, since a clock that jumps does not wait for threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio
from trio.testing import MockClock

T = TypeVar("T")


async def run_blocking(work: Callable[..., T], *args: object) -> T:
    """Do blocking work without holding up other tasks; return what it returns, raise what it raises."""
    if isinstance(trio.lowlevel.current_clock(), MockClock):
        await trio.lowlevel.checkpoint()
        return work(*args)
    return await trio.to_thread.run_sync(work, *args)
