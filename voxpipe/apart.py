"""The library's one broad ``except``: around what must not touch its neighbours, whatever goes wrong in it.

A leg beside other legs, a tool in a call, a request beside the calls. Cancellation passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def apart(on_fault: Callable[[Exception], None]) -> Iterator[None]:
    """Run the block; an error in it ends the block only, and ``on_fault`` is told."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the only one
        on_fault(error)
