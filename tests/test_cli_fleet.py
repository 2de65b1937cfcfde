"""The commands for thousands of calls, as processes: what is read again, what is left after a mishap."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import COMMAND, ENVIRON, run
from faulty_logs import no_transcription, plain
from judged import TALK, log_of
from long_log import write_long_log
from plain_log import PlainLog, conversation
from rich.console import Console
from virtual_call import CallMaker

from voxpipe import fleet_commands
from voxpipe.analysis import fleet_reading
from voxpipe.analysis.fleet import COLUMNS, Reading
from voxpipe.analysis.fleet_table import ask
from voxpipe.errors import ConfigError

Index = Callable[..., int]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder of four logs of calls, one of them in a folder of its own, and one of the gateway."""
    folder = tmp_path / "logs"
    (folder / "2026-03").mkdir(parents=True)
    for number in range(3):
        conversation(plain(), number + 1).write(folder / f"good{number}.jsonl")
    no_transcription().write(folder / "2026-03" / "bad.jsonl")
    (folder / "gateway-1.jsonl").write_text("not looked at\n")
    (folder / "notes.txt").write_text("not looked at\n")
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Where the table goes."""
    return tmp_path / "calls.parquet"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the logs that are read from now on, where they are read in this process."""
    names: list[str] = []
    read_row = fleet_reading.read_row

    def noting(path: Path, reading: Reading) -> dict[str, Any]:
        names.append(path.name)
        return read_row(path, reading)

    monkeypatch.setattr(fleet_reading, "read_row", noting)
    return names


@pytest.fixture
def index(logs: Path, table: Path) -> Index:
    """Index the folder in this process; the exit status."""

    def run_index(*, keep: bool = False, slo: Path | None = None, lenient: bool = False, jobs: int | None = 1) -> int:
        return fleet_commands.index_logs([logs], table, jobs=jobs, keep=keep, slo=slo, lenient=lenient)

    return run_index


def names_in(table: Path) -> list[str]:
    """The names of the logs that have a row."""
    return sorted(Path(str(log)).name for (log,) in ask(table, "SELECT log FROM calls").rows)


ALL = ["bad.jsonl", "good0.jsonl", "good1.jsonl", "good2.jsonl"]


# --- incremental ------------------------------------------------------------------------------------------------------


def test_only_what_is_new_is_read(index: Index, read: list[str], logs: Path, table: Path) -> None:
    """Nothing the second time, and the file is not even written; then the one that grew and the one that came."""
    assert index() == 0
    assert sorted(read) == ALL
    before = table.stat()
    read.clear()
    assert index() == 0
    assert read == []
    assert (table.stat().st_ino, table.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    with (logs / "good1.jsonl").open("ab") as file:
        file.write(conversation(plain()).lines[-1])
    conversation(plain()).write(logs / "good3.jsonl")
    assert index() == 0
    assert sorted(read) == ["good1.jsonl", "good3.jsonl"]
    assert names_in(table) == [*ALL, "good3.jsonl"]


def test_a_log_that_was_written_anew_is_read_anew(index: Index, read: list[str], logs: Path, table: Path) -> None:
    """Of the same size, at another time: its row is the new one, and there is one of it."""
    index()
    read.clear()
    log = logs / "good0.jsonl"
    log.write_bytes(log.read_bytes().replace(b"gpt-realtime", b"gpt-realtim2"))
    os.utime(log, ns=(0, 7))
    index()
    assert read == ["good0.jsonl"]
    assert ask(table, "SELECT model FROM calls WHERE mtime_ns = 7").rows == [("gpt-realtim2",)]
    assert names_in(table) == ALL


def test_other_limits_have_all_logs_judged_anew(index: Index, read: list[str], tmp_path: Path, table: Path) -> None:
    """Rows of one table are always held against the same limits."""
    index()
    read.clear()
    slo = tmp_path / "slo.toml"
    slo.write_text("[slo]\nanswer_p95_ms = 1\n")
    index(slo=slo)
    assert sorted(read) == ALL
    assert ask(table, "SELECT count(*) FROM calls WHERE contains(failed::VARCHAR, 'answer')").rows == [(4,)]


@pytest.mark.parametrize("keep", [False, True])
def test_rows_of_logs_that_are_gone(index: Index, logs: Path, table: Path, keep: bool) -> None:
    """They go with the logs, or stay where that is asked for."""
    index()
    (logs / "good2.jsonl").unlink()
    assert index(keep=keep) == 0
    assert names_in(table) == (ALL if keep else ALL[:-1])


def test_what_cannot_be_read_is_told_each_time(
    index: Index, read: list[str], logs: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1 and a line for it, also when it was not tried again; once it is mended it has a row."""
    (logs / "broken.jsonl").write_text("{}\n")
    gateway = PlainLog()
    gateway.add("gateway.started")
    gateway.write(logs / "other.jsonl")
    for _ in range(2):
        assert index() == 1
        told = capsys.readouterr()
        assert "broken.jsonl: line 1: expected the keys timestamp" in told.err
        assert "other.jsonl: line 1: expected the log of a call, got that of a gateway" in told.err
        assert "4 calls" in told.out
        assert "2 unreadable" in told.out
    assert len(read) == 6
    asked = ask(table, "SELECT regexp_extract(log, '[^/]*$') FROM unreadable ORDER BY 1")
    assert asked.rows == [("broken.jsonl",), ("other.jsonl",)]
    conversation(plain()).write(logs / "broken.jsonl")
    (logs / "other.jsonl").unlink()
    assert index() == 0
    assert "broken.jsonl" in names_in(table)
    assert ask(table, "FROM unreadable").rows == []


def test_processes_give_the_same_table(index: Index, logs: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte, whoever has read what, and in however many pieces it was put in."""
    monkeypatch.setattr(fleet_commands, "ROWS_AT_A_TIME", 7)
    for number in range(40):
        conversation(plain(), 1).write(logs / f"more{number}.jsonl")
    assert index(jobs=1) == 0
    alone = table.read_bytes()
    table.unlink()
    assert index(jobs=2) == 0
    assert table.read_bytes() == alone


# --- the commands as processes ----------------------------------------------------------------------------------------


async def test_a_fleet_of_real_calls(make_call: CallMaker, autojump_clock: Any, tmp_path: Path) -> None:
    """Calls of ours, good and bad ones, as the gateway left them: one row each, and what was wrong is found by SQL."""
    folder = log_of(await make_call(TALK)).parent
    for scenario in ("no-ack", "stall", "vanish"):
        await make_call(TALK, scenario)
    done = run("index", folder, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("calls.parquet: 4 calls, 4 logs read, 0 as before, ")
    done = run("query", "select count(*) from calls where len(failed) > 0 and ack_ms is null", "--csv", cwd=tmp_path)
    assert done.stdout == "count_star()\n1\n"


def test_answers_for_people_and_for_programs(logs: Path, table: Path) -> None:
    """Columns in plain text where there is no terminal, JSON with null, CSV with nothing for null."""
    assert run("index", logs, "-o", table, "--jobs", 2).returncode == 0
    sql = "select caller_turns, underruns, failed, began from calls order by caller_turns, failed limit 2"
    plain_text = run("query", sql, "--table", table).stdout
    assert plain_text.splitlines()[0].split() == ["caller_turns", "underruns", "failed", "began"]
    assert plain_text.splitlines()[1].split() == ["1", "null", "[]", "2026-03-01", "09:30:00"]
    listed = json.loads(run("query", sql, "--table", table, "--json").stdout)
    assert listed[0] == {"caller_turns": 1, "underruns": None, "failed": [], "began": "2026-03-01 09:30:00"}
    separated = list(csv.reader(io.StringIO(run("query", sql, "--table", table, "--csv").stdout)))
    assert separated[:2] == [["caller_turns", "underruns", "failed", "began"], ["1", "", "[]", "2026-03-01 09:30:00"]]
    schema = run("index", "--schema").stdout
    assert all(f"\n{column.name} " in schema for column in COLUMNS)


def test_a_question_may_begin_with_a_comment(logs: Path, table: Path) -> None:
    """As those in the README do: two hyphens are no option."""
    run("index", logs, "-o", table)
    sql = "-- How many calls there are\nselect count(*) as calls from calls"
    for args in ([sql, "--csv"], ["--csv", sql]):
        done = run("query", *args, "--table", table)
        assert (done.returncode, done.stdout) == (0, "calls\n4\n"), done.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["index"], "FOLDERS: expected a folder of logs, got none"),
        (["index", "nowhere"], "nowhere: expected a folder of logs, found none"),
        (["index", "empty"], "empty: expected logs of calls (*.jsonl) in the folder, found none"),
        (["index", "logs", "--jobs", "0"], "--jobs: expected 1 or more, got 0"),
        (
            ["index", "logs", "-o", "nowhere/calls.parquet"],
            "nowhere/calls.parquet: expected to write a table there, got",
        ),
        (["index", "logs", "-o", "logs"], "logs: expected a table that voxpipe index wrote, got: Is a directory"),
        (["query", "select 1"], "calls.parquet: expected a table that voxpipe index wrote, got: No such file"),
        (["query", "selec 1", "--table", "made.parquet"], 'syntax error at or near "selec"'),
        (["query", "delete from calls", "--table", "made.parquet"], "expected one SELECT, got DELETE"),
        (["query", "select 1 a, 2 a", "--json", "--table", "made.parquet"], "a name of its own for each column, got a"),
        (["query", "select 1", "--json", "--csv"], "--json: expected it or --csv, got both"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_status_2(tmp_path: Path, logs: Path, args: list[str], words: str) -> None:
    """One error that says what was expected, no traceback, nothing on standard output."""
    (tmp_path / "empty").mkdir()
    if "made.parquet" in args:
        assert (
            fleet_commands.index_logs([logs], tmp_path / "made.parquet", jobs=1, keep=False, slo=None, lenient=False)
            == 0
        )
    done = run(*args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_folder_empties_no_table(index: Index, logs: Path, table: Path) -> None:
    """A disk that is not mounted is no reason to forget a thousand calls."""
    index()
    before = table.read_bytes()
    for log in logs.rglob("*.jsonl"):
        log.unlink()
    with pytest.raises(ConfigError, match="found none"):
        index()
    assert table.read_bytes() == before


def test_a_folder_that_is_shut_forgets_nothing(index: Index, monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    """Its logs are not gone, only out of reach: an error, and the old table."""
    index()
    before = table.read_bytes()
    scan = os.scandir

    def shut(path: str) -> Any:
        if str(path).endswith("2026-03"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", shut)
    with pytest.raises(PermissionError):
        index()
    assert table.read_bytes() == before


def test_a_folder_by_another_name_is_the_same(index: Index, read: list[str], logs: Path, table: Path) -> None:
    """A log is known by its absolute path, however the folder was given."""
    index()
    read.clear()
    around = logs / "2026-03" / ".."
    assert fleet_commands.index_logs([around, logs], table, jobs=1, keep=False, slo=None, lenient=False) == 0
    assert read == []
    assert names_in(table) == ALL


def limit_files() -> None:
    """Let the process write files of a thousand bytes at most, as a disk that is full would."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))


def test_a_full_disk_leaves_the_old_table(index: Index, logs: Path, table: Path) -> None:
    """Status 2, the old table as it was, and no half one beside it."""
    index()
    before = table.read_bytes()
    conversation(plain()).write(logs / "new.jsonl")
    command = [*COMMAND, "index", str(logs), "-o", str(table)]
    done = subprocess.run(
        command, env=ENVIRON, capture_output=True, text=True, timeout=60, check=False, preexec_fn=limit_files
    )
    assert done.returncode == 2
    assert "calls.parquet: expected to write a table there, got: IO Error" in done.stderr
    assert table.read_bytes() == before
    assert [path.name for path in table.parent.iterdir() if path.is_file()] == ["calls.parquet"]


def test_two_runs_at_once_leave_a_whole_table(logs: Path, table: Path) -> None:
    """Each writes its own and puts it in place as a whole."""
    command = [*COMMAND, "index", str(logs), "-o", str(table), "--jobs", "1"]
    runs = [subprocess.Popen(command, env=ENVIRON, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait(60) for process in runs] == [0, 0, 0]
    assert names_in(table) == ALL
    assert [path.name for path in table.parent.iterdir() if path.is_file()] == ["calls.parquet"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_ends_all_and_leaves_the_old_table(index: Index, logs: Path, table: Path, jobs: int) -> None:
    """Ctrl-C, which reaches every process of a terminal: status 130, not a word, no worker left, the old file."""
    index()
    before = table.read_bytes()
    write_long_log(logs / "long.jsonl", 600)
    for number in range(300):  # two minutes of reading
        (logs / f"again{number}.jsonl").hardlink_to(logs / "long.jsonl")
    command = [*COMMAND, "index", str(logs), "-o", str(table), "--jobs", str(jobs)]
    process = subprocess.Popen(
        command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=3)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, output, errors) == (130, "", "")
    assert table.read_bytes() == before


def test_a_long_run_shows_how_far_it_is(
    index: Index, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bar of logs on a terminal; none where there is little to read."""
    told = io.StringIO()
    console = Console(file=told, force_terminal=True, width=100)
    monkeypatch.setattr(fleet_commands, "Console", lambda **_options: console)
    with fleet_commands._progress(3, 1_000) as advance:
        advance()
    assert told.getvalue() == ""
    monkeypatch.setattr(fleet_commands, "SHOWN_FROM_BYTES", 0)
    assert index() == 0
    assert "reading" in told.getvalue()
    assert "4/4" in told.getvalue()


def test_a_terminal_is_not_flooded(index: Index, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown the first rows and told how many more there are; frames and all."""
    index()
    told = io.StringIO()
    console = Console(file=told, force_terminal=True, width=100, highlight=False)
    monkeypatch.setattr(fleet_commands, "SHOWN_ROWS", 3)
    fleet_commands._print_table(console, ask(table, "SELECT '[red]' || range AS n, 0.5 AS h FROM range(5)"))
    assert "[red]2" in told.getvalue()
    assert "[red]3" not in told.getvalue()
    assert "2 more rows: --csv prints all" in told.getvalue()
    assert "╭" in told.getvalue()


@pytest.mark.parametrize("command", ["index", "query"])
def test_help_teaches(command: str) -> None:
    """What it takes and what it gives are in the help, with the extra that it needs."""
    text = run(command, "--help").stdout
    assert "voxpipe[fleet]" in text
    assert {"index": "Keep the rows of logs that are gone", "query": "reaches no file and no network"}[command] in text
