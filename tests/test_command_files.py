"""The files that commands write: never over a log, whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import run
from faulty_logs import plain
from plain_log import conversation

from voxpipe.command_files import write_whole


@pytest.mark.parametrize(
    ("command", "option"), [("timeline", "-o"), ("report", "-o"), ("check", "--junit"), ("compare", "--html")]
)
def test_no_command_writes_over_its_log(tmp_path: Path, command: str, option: str) -> None:
    """Under its own name or another: status 2, the option is named, and the evidence is as it was."""
    log = conversation(plain(), 1).write(tmp_path / "call.jsonl")
    before = log.read_bytes()
    (tmp_path / "link").symlink_to(log)
    logs = [log, log] if command == "compare" else [log]
    for place in (log, tmp_path / "link"):
        done = run(command, *logs, option, place)
        assert done.returncode == 2
        assert f"expected another file than the log, got {place}" in done.stderr
        assert log.read_bytes() == before


@pytest.mark.parametrize(("command", "option"), [("timeline", "-o"), ("check", "--junit")])
def test_no_place_to_write_is_told_first(tmp_path: Path, command: str, option: str) -> None:
    """A folder, or a place in none, is refused by the name of the option."""
    log = conversation(plain(), 1).write(tmp_path / "call.jsonl")
    for place, words in ((tmp_path, "expected a file to write to"), (tmp_path / "no" / "x", "expected a folder")):
        done = run(command, log, option, place)
        assert done.returncode == 2
        assert words in done.stderr


def test_a_timeline_that_cannot_be_told_leaves_the_old_one(tmp_path: Path) -> None:
    """A bad line at the end of the log: the file of before is still there, and no half of another."""
    log = tmp_path / "call.jsonl"
    log.write_bytes(b"".join(plain().lines) + b"{oh\n{oh\n")
    out = tmp_path / "call.txt"
    out.write_text("the one before")
    assert run("timeline", log, "-o", out).returncode == 2
    assert out.read_text() == "the one before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["call.jsonl", "call.txt"]


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """As on a full disk: the error is told, and what was written of the file is removed."""

    def parts() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "page.html", parts())
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_one(tmp_path: Path) -> None:
    """The file that it points to is replaced, readable for its group and no further."""
    (tmp_path / "link").symlink_to(tmp_path / "page.html")
    write_whole(tmp_path / "link", [b"page"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "page.html").read_bytes() == b"page"
    assert stat.S_IMODE((tmp_path / "page.html").stat().st_mode) & 0o027 == 0


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """A pipe, and so ``/dev/stdout``, gets the bytes and stays what it is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, [b"a ", b"page"])
        assert os.read(reader, 100) == b"a page"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
