"""The command ``compare`` as a process: calls and folders, words and JSON, and its exit status."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from command import run
from faulty_logs import no_transcription, plain
from plain_log import conversation
from report_page import data_of
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


def test_a_page_is_written_beside_what_is_printed(good: Path, bad: Path, tmp_path: Path) -> None:
    """Both calls are in it, and what is printed stays as it was; only who owns it and its group may read it."""
    page = tmp_path / "pair.html"
    done = run("compare", good, bad, "--html", page)
    assert done.returncode == 0, done.stderr
    assert done.stdout == run("compare", good, bad).stdout
    assert done.stderr == f"{page} ({page.stat().st_size / 1e6:.1f} MB)\n"
    assert stat.S_IMODE(page.stat().st_mode) & 0o027 == 0
    data = data_of(page.read_text())
    assert [call["overview"]["log"]["path"] for call in data["calls"]] == ["good.jsonl", "bad.jsonl"]
    assert [len(call["lanes"]["turns"]) for call in data["calls"]] == [10, 4]


def test_the_page_and_json_can_be_had_at_once(good: Path, bad: Path, tmp_path: Path) -> None:
    """Standard output is JSON alone."""
    done = run("compare", good, bad, "--json", "--html", tmp_path / "pair.html")
    assert json.loads(done.stdout)["actual"] == [str(bad)]
    assert (tmp_path / "pair.html").stat().st_size > 10_000


def test_of_folders_the_page_tells_the_numbers(good: Path, bad: Path, tmp_path: Path) -> None:
    """A folder on either side; an unreadable log is named, and the page of the others is written all the same."""
    (tmp_path / "set").mkdir()
    shutil.copy(bad, tmp_path / "set")
    (tmp_path / "set" / "broken.jsonl").write_text("{}\n")
    done = run("compare", good, tmp_path / "set", "--html", tmp_path / "sets.html")
    assert done.returncode == 1
    assert "broken.jsonl: line 1" in done.stderr
    data = data_of((tmp_path / "sets.html").read_text())
    assert data["calls"] == []
    assert data["comparison"]["actual"] == ["bad.jsonl"]


def test_a_page_never_takes_the_place_of_a_log(good: Path, bad: Path, tmp_path: Path) -> None:
    """Neither of those given, nor one in a folder given; nor is it written into a folder that is none."""
    before = bad.read_bytes()
    for given, page in (((good, bad), bad), ((good, tmp_path), bad), ((good, bad), tmp_path / "none" / "pair.html")):
        done = run("compare", *given, "--html", page)
        assert done.returncode == 2
        assert done.stderr.startswith("voxpipe: --html: expected ")
        assert done.stdout == ""
    assert bad.read_bytes() == before
