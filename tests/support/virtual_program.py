"""Whole programs in virtual time: the text of an example runs as it stands, over a network in memory."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from virtual_call import run_inline
from virtual_gateway import MemoryListener

Beside = Callable[[trio.Nursery], Awaitable[None]]
ProgramRunner = Callable[..., tuple[str, float]]


class MemoryNetwork:
    """Listeners by their port; what they would be on real sockets as far as ``trio`` shows it."""

    def __init__(self) -> None:
        self._listeners: dict[int, MemoryListener] = {}

    async def listen(self, port: int, **_options: object) -> list[MemoryListener]:
        """Be ``trio.open_tcp_listeners``."""
        await trio.lowlevel.checkpoint()
        port = port or 50_000 + len(self._listeners)
        self._listeners[port] = MemoryListener(port)
        return [self._listeners[port]]

    async def connect(self, host: str, port: int) -> trio.abc.Stream:
        """Be ``trio.open_tcp_stream``."""
        await trio.lowlevel.checkpoint()
        if port not in self._listeners:
            raise OSError(f"all attempts to connect to {host}:{port} failed")
        return self._listeners[port].connect()


@pytest.fixture
def run_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProgramRunner:
    """Run a program in an empty folder; return what it printed and how long its ``trio.run`` lasted.

    What ``beside`` starts in its nursery runs along and is cancelled at the program's end.
    """
    network, run = MemoryNetwork(), trio.run
    lasted_s: list[float] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trio, "open_tcp_listeners", network.listen)
    monkeypatch.setattr(trio, "open_tcp_stream", network.connect)
    monkeypatch.setattr(trio.to_thread, "run_sync", run_inline)

    def run_code(code: str, beside: Beside | None = None) -> tuple[str, float]:
        async def run_both(main: Callable[[], Awaitable[None]]) -> None:
            async with trio.open_nursery() as nursery:
                if beside is not None:
                    await beside(nursery)
                await main()
                nursery.cancel_scope.cancel()
            lasted_s.append(trio.current_time())

        monkeypatch.setattr(trio, "run", lambda main: run(run_both, main, clock=MockClock(autojump_threshold=0)))
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
        return printed.getvalue(), lasted_s[-1]

    return run_code
