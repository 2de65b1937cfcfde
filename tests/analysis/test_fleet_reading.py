"""Logs read by several processes: the same as by one, and one that is killed costs only what it was reading."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from faulty_logs import plain
from plain_log import conversation

from voxpipe.analysis.fleet import Reading
from voxpipe.analysis.fleet_reading import MAX_DEATHS, Outcome, read_logs
from voxpipe.errors import VoxpipeError


@pytest.fixture
def logs(tmp_path: Path) -> list[Path]:
    """Forty logs, the last of them none."""
    lines = b"".join(conversation(plain(), 1).lines)
    paths = [tmp_path / f"{number:02}.jsonl" for number in range(40)]
    for path in paths:
        path.write_bytes(lines)
    paths[-1].write_text("{}\n")
    return paths


def ordered(outcomes: Iterator[Outcome]) -> list[Outcome]:
    """By path, since processes end in any order."""
    return sorted(outcomes, key=lambda outcome: outcome.path)


def test_side_by_side_is_as_one_by_one(logs: list[Path]) -> None:
    """Every log once, with the same row or the same trouble."""
    alone = ordered(read_logs(logs, Reading(), 1))
    assert [outcome.path for outcome in alone] == logs
    assert [outcome.row is None for outcome in alone] == [False] * 39 + [True]
    assert "expected the keys timestamp" in alone[-1].trouble
    assert alone[-1].lasting
    assert ordered(read_logs(logs, Reading(), 3)) == alone
    assert multiprocessing.active_children() == []


def test_a_log_that_is_gone_or_shut_is_trouble_for_now(tmp_path: Path, logs: list[Path]) -> None:
    """It is tried again the next time, since nothing in the file is to blame."""
    (outcome,) = read_logs([tmp_path / "none.jsonl"], Reading(), 1)
    assert outcome.row is None
    assert "No such file" in outcome.trouble
    assert not outcome.lasting


def test_whoever_has_enough_ends_the_workers(logs: list[Path]) -> None:
    """Closing the iterator kills and buries them."""
    outcomes = read_logs(logs, Reading(), 2)
    next(outcomes)
    assert len(multiprocessing.active_children()) == 2
    outcomes.close()
    assert multiprocessing.active_children() == []


def has_open(process_id: int, path: Path) -> bool:
    """Whether a process has a file open."""
    try:
        folder = f"/proc/{process_id}/fd"
        return any(os.readlink(f"{folder}/{number}") == str(path) for number in os.listdir(folder))
    except OSError:
        return False


def test_a_killed_worker_costs_the_log_it_was_reading(tmp_path: Path, logs: list[Path]) -> None:
    """The log that it died of is told, all the others are read."""
    pipe = tmp_path / "pipe.jsonl"  # its reader waits for ever
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    done = threading.Event()

    def kill() -> None:
        while not done.is_set():
            for child in multiprocessing.active_children():
                if child.pid is not None and has_open(child.pid, pipe):
                    os.kill(child.pid, signal.SIGKILL)
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        outcomes = ordered(read_logs([*logs, pipe], Reading(), 2))
    finally:
        done.set()
        killer.join()
        os.close(held)
    assert [outcome.path for outcome in outcomes] == [*logs, pipe]
    assert outcomes[-1] == Outcome(pipe, None, "the process that read it ended (signal 9)")
    assert sum(outcome.row is None for outcome in outcomes) == 2


def test_workers_that_never_start_are_an_error(logs: list[Path]) -> None:
    """It is said instead of tried for ever, and no log is blamed for it."""
    resource_tracker.ensure_running()
    multiprocessing.set_executable("/bin/false")
    try:
        with pytest.raises(VoxpipeError, match=rf"got {MAX_DEATHS + 1} in a row that ended \(status 1\)"):
            ordered(read_logs(logs * 4, Reading(), 2))
    finally:
        multiprocessing.set_executable(sys.executable)
