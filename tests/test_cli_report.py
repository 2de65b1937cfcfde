"""The command ``report`` as a process: the file it writes, what it says, and its exit status."""

from __future__ import annotations

import shlex
import stat
import subprocess
from pathlib import Path

import pytest
from command import COMMAND, ENVIRON, run
from faulty_logs import plain
from plain_log import PlainLog, conversation, ga_session
from report_page import data_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A plain log of a good call, with its audio inline."""
    log = PlainLog(audio="inline")
    log.configure(ga_session())
    return conversation(log, voice=b"\x00\x20\x00\xe0" * 240).write(tmp_path / "call.jsonl")


def test_a_page_is_written_beside_the_log(log: Path) -> None:
    """Under the log's name, as private as a log; the command prints where it is and nothing else."""
    done = run("report", log)
    assert (done.returncode, done.stderr) == (0, "")
    page = log.with_suffix(".html")
    assert done.stdout == f"{page} ({page.stat().st_size / 1e6:.1f} MB)\n"
    assert stat.S_IMODE(page.stat().st_mode) & 0o027 == 0
    assert sorted(path.name for path in log.parent.iterdir()) == ["call.html", "call.jsonl"]
    assert data_of(page.read_text())["calls"][0]["overview"]["call"]["ended_because"] == "connection closed, code 1000"


def test_the_page_can_be_elsewhere_and_without_audio(log: Path, tmp_path: Path) -> None:
    """-o names the file, which replaces another; --no-audio leaves the waveforms, and the same log the same bytes."""
    loud, quiet, again = (tmp_path / name for name in ("loud.html", "quiet.html", "again.html"))
    quiet.write_text("what was there before")
    assert run("report", log, "-o", loud).returncode == 0
    assert run("report", log, "--output", quiet, "--no-audio").returncode == 0
    assert run("report", "--no-audio", log, "-o", again).returncode == 0
    assert quiet.read_bytes() == again.read_bytes()
    assert 'id="sound"></script>' in quiet.read_text()
    assert 'id="sound">T2dnUw' in loud.read_text()
    assert data_of(quiet.read_text())["calls"][0]["waves"] == data_of(loud.read_text())["calls"][0]["waves"]


def test_the_verdicts_are_by_the_limits_given(log: Path, tmp_path: Path) -> None:
    """--slo takes the file of `voxpipe check`; a check that fails is told in the page, not by the exit status."""
    slo = tmp_path / "slo.toml"
    slo.write_text("[slo]\nanswer_p95_ms = 1\n")
    for arguments, status in (((), "holds"), (("--slo", slo), "fails")):
        assert run("report", log, *arguments).returncode == 0
        verdicts = data_of(log.with_suffix(".html").read_text())["verdicts"]
        assert [one["status"] for one in verdicts if one["name"] == "answer latency"] == [status]


def test_what_cannot_be_reported_is_said(log: Path, tmp_path: Path) -> None:
    """No log, a folder, a gateway's log, no place to write: status 2, one line that names it, and no file."""
    gateway = PlainLog()
    gateway.add("gateway.started", {"listen": "127.0.0.1:9092"})
    gateway.write(tmp_path / "gateway.jsonl")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    for arguments, words in (
        ([tmp_path / "none.jsonl"], f"{tmp_path}/none.jsonl: expected the log of a call, found no file"),
        ([tmp_path], f"{tmp_path}: expected the log of a call, found a folder"),
        ([tmp_path / "gateway.jsonl"], f"{tmp_path}/gateway.jsonl: expected the log of a call, got that of a gateway"),
        ([tmp_path / "empty.jsonl"], "expected records, got an empty file"),
        ([log, "-o", log], f"--output: expected another file than the log, got {log}"),
        ([log, "-o", "no/where.html"], "--output: expected a folder to write to, found none at no"),
        ([log, "--slo", "no.toml"], "no.toml"),
    ):
        done = run("report", *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.glob("*.html")) == []
    assert list(tmp_path.glob("*.part")) == []


def test_a_bad_line_is_refused_unless_it_may_be_skipped(tmp_path: Path) -> None:
    """The line is named, with what skips it; --lenient counts it, and the page tells."""
    lines = conversation(plain()).lines
    log = tmp_path / "bad.jsonl"
    log.write_bytes(b"".join([*lines[:7], b"[]\n", *lines[7:]]))
    done = run("report", log)
    assert done.returncode == 2
    assert "line 8: expected a JSON object, got list (--lenient skips such lines)" in done.stderr
    assert run("report", log, "--lenient").returncode == 0
    assert data_of(log.with_suffix(".html").read_text())["calls"][0]["overview"]["log"]["skipped_lines"] == 1


def test_a_packed_log_can_be_read_through_a_pipe(log: Path, tmp_path: Path) -> None:
    """As ``voxpipe report /dev/stdin -o FILE`` behind ``zcat``: the page is that of the log."""
    page = tmp_path / "piped.html"
    line = shlex.join([*COMMAND, "report", "/dev/stdin", "-o", str(page)])
    done = subprocess.run(f"cat {shlex.quote(str(log))} | {line}", shell=True, env=ENVIRON, timeout=60, check=True)
    assert done.returncode == 0
    assert data_of(page.read_text())["calls"][0]["overview"]["log"]["lines"] == len(log.read_bytes().splitlines())
