"""The command ``compare`` as a process: calls and folders, words and JSON, and its exit status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command import run
from faulty_logs import no_transcription, plain
from plain_log import conversation
from virtual_call import HELLO_AND_WAIT, CallMaker


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A plain log of a good call."""
    return conversation(plain()).write(tmp_path / "good.jsonl")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A plain log of a call without transcription."""
    return no_transcription().write(tmp_path / "bad.jsonl")


def test_the_same_call_has_no_difference(good: Path) -> None:
    """Each part says so, in a line."""
    done = run("compare", good, good)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("no difference") == 4


def test_two_calls_are_told_side_by_side(good: Path, bad: Path) -> None:
    """The setting that differs, and the verdict that fails for it, with its evidence."""
    done = run("compare", good, bad)
    assert done.returncode == 0, done.stderr
    for words in ("transcription.model", "whisper-1", "absent", "worse", "transcription: configured", "switched off"):
        assert words in done.stdout, words


def test_machines_get_json(good: Path, bad: Path) -> None:
    """All of it, with expected and actual, what is equal included."""
    data = json.loads(run("compare", good, bad, "--json").stdout)
    assert data["expected"] == [str(good)]
    assert {one["name"] for one in data["verdicts"] if one["worse"]} >= {"transcription: configured"}
    pair = next(one for one in data["numbers"] if one["name"] == "first_audio_ms")
    assert pair["expected"]["median"] == pair["actual"]["median"] == 420.0
    assert pair["finding"] == "too few to tell"


async def test_folders_are_compared_as_sets(
    make_call: CallMaker, autojump_clock: Any, tmp_path: Path, good: Path, bad: Path
) -> None:
    """Our own logs against plain ones; a log that cannot be read is named, and makes the status 1."""
    call = await make_call(HELLO_AND_WAIT)
    assert call.outcome.log is not None
    for name, logs in (("ours", [call.outcome.log]), ("plain", [good, bad])):
        (tmp_path / name).mkdir()
        for log in logs:
            shutil.copy(log, tmp_path / name)
    done = run("compare", tmp_path / "ours", tmp_path / "plain")
    assert done.returncode == 0, done.stderr
    assert "plain (2 calls)" in done.stdout
    assert "plain (event_type)" in done.stdout
    (tmp_path / "plain" / "broken.jsonl").write_text("{}\n")
    done = run("compare", tmp_path / "ours", tmp_path / "plain")
    assert done.returncode == 1
    assert "broken.jsonl: line 1" in done.stderr


def test_what_is_no_log_is_refused(good: Path, tmp_path: Path) -> None:
    """Status 2 and one line that names it."""
    done = run("compare", good, tmp_path / "none.jsonl")
    assert done.returncode == 2
    assert "none.jsonl: expected a log, found no file" in done.stderr
    assert done.stdout == ""
