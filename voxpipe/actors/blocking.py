"""Blocking work in a thread; in virtual time on the spot, since a clock that jumps does not wait for threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import trio

T = TypeVar("T")


async def run_blocking(work: Callable[..., T], *args: object) -> T:
    """Do blocking work without holding up other tasks; return what it returns, raise what it raises."""
    # Not by its class: trio.testing, where that is, imports pytest, and a gateway has no use for it.
    if getattr(trio.lowlevel.current_clock(), "autojump_threshold", math.inf) < math.inf:
        await trio.lowlevel.checkpoint()
        return work(*args)
    return await trio.to_thread.run_sync(work, *args)
