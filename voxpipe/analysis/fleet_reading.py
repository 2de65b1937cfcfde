"""Thousands of logs read side by side: processes of our own, so that one that is killed costs the log it was reading.

``concurrent.futures`` gives all its work up when a process dies, and ``multiprocessing.Pool`` waits for ever for what
the dead one had; neither says which file it was. Here each worker has a pipe, whose end is told at once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import attrs

from voxpipe.analysis.fleet import Reading, read_row
from voxpipe.errors import RecordError, VoxpipeError

CHUNK_LOGS = 16
"""Logs that are given to a worker at a time: a message costs as much as a few lines of a log."""
MAX_DEATHS = 8
"""Workers that may die in a row: beyond, it is the machine and not the logs."""
_SPAWN = multiprocessing.get_context("spawn")  # a fork would take half of a thread's locks along


@attrs.frozen
class Outcome:
    """What came of one log: its row, or why there is none."""

    path: Path
    row: dict[str, Any] | None
    trouble: str = ""
    lasting: bool = False
    """Whether the trouble is in the file itself, so that it need not be tried again before the file changes."""


def read_log(path: Path, reading: Reading) -> Outcome:
    """Read one log here."""
    try:
        return Outcome(path, read_row(path, reading))
    except RecordError as error:
        return Outcome(path, None, str(error), lasting=True)
    except OSError as error:
        return Outcome(path, None, str(error))


def read_logs(paths: Sequence[Path], reading: Reading, jobs: int) -> Generator[Outcome, None, None]:
    """Read logs in ``jobs`` processes, or here if that is one; yield what comes of each, in the order of its end.

    Close the iterator to end the workers at once. ``VoxpipeError`` when they die of anything but a log.
    """
    if jobs == 1:
        yield from (read_log(path, reading) for path in paths)
        return
    size = max(1, min(CHUNK_LOGS, len(paths) // (jobs * 4)))
    chunks = deque(list(paths[begin : begin + size]) for begin in range(0, len(paths), size))
    busy: dict[Connection, _Worker] = {}
    deaths = 0
    try:
        while chunks or busy:
            while chunks and len(busy) < jobs:
                worker = _Worker(reading)
                busy[worker.pipe] = worker
                worker.start()
                worker.give(chunks.popleft())
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                worker = busy[pipe]
                outcomes = worker.take()
                if outcomes is None:
                    deaths += 1
                    outcomes = _bury(busy.pop(pipe), chunks, deaths)
                else:
                    deaths = 0
                    if chunks:
                        worker.give(chunks.popleft())
                    else:
                        busy.pop(pipe).end()
                yield from outcomes
    finally:
        for worker in busy.values():
            worker.kill()


class _Worker:
    """A process that reads logs. It ends when its pipe does, and so with the process that started it."""

    def __init__(self, reading: Reading) -> None:
        self.pipe, self._theirs = _SPAWN.Pipe()
        self.chunk: list[Path] = []
        self.process = _SPAWN.Process(target=_serve, args=(self._theirs, reading), daemon=True)

    def start(self) -> None:
        try:
            with _uninterrupted():
                self.process.start()
        finally:
            self._theirs.close()

    def give(self, chunk: list[Path]) -> None:
        self.chunk = chunk
        with contextlib.suppress(OSError):  # it is dead, which ``take`` will find
            self.pipe.send(chunk)

    def take(self) -> list[Outcome] | None:
        """Take what came of a chunk, or ``None`` from a worker that is dead."""
        try:
            outcomes: list[Outcome] = self.pipe.recv()
        except (EOFError, OSError):
            return None
        return outcomes

    def end(self) -> None:
        self.pipe.close()
        self.process.join()

    def kill(self) -> None:
        if self.process.pid is not None:  # or else it could not be started
            self.process.kill()
            self.end()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Start a process that Ctrl-C, which goes to all of a terminal, does not reach: the one that starts it will end it.

    The signal is blocked for the sake of the new process, which inherits that. Here another thread may still receive
    it, so it waits.
    """
    resource_tracker.ensure_running()  # which starts with the first process, and would unblock the signal
    waiting: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda number, _frame: waiting.append(number)) if main else None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if main:
            signal.signal(signal.SIGINT, handler)
    if waiting:
        raise KeyboardInterrupt


def _bury(worker: _Worker, chunks: deque[list[Path]], deaths: int) -> list[Outcome]:
    """Have the logs of a dead worker read one by one; the one that was alone is what it died of."""
    worker.end()
    code = worker.process.exitcode
    words = f"signal {-code}" if code is not None and code < 0 else f"status {code}"
    if deaths > MAX_DEATHS:
        raise VoxpipeError(f"expected processes that read logs, got {deaths} in a row that ended ({words})")
    if len(worker.chunk) == 1:
        return [Outcome(worker.chunk[0], None, f"the process that read it ended ({words})")]
    chunks.extendleft([path] for path in reversed(worker.chunk))
    return []


def _serve(pipe: Connection, reading: Reading) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):  # whoever asked has enough, or is gone
        while True:
            pipe.send([read_log(path, reading) for path in pipe.recv()])
