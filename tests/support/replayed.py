"""Replay a log from within a test that runs in Trio itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from voxpipe.replay import Replay, replay_log


def replayed(path: Path | None) -> Replay:
    """Replay in a thread: a replay runs a Trio loop of its own, and the test has one already."""
    assert path is not None
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(replay_log, path).result()
