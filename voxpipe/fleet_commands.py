"""What the commands ``index`` and ``query`` do: find logs, have the new ones read, write the table, print answers."""

from __future__ import annotations

import csv as csv_format
import json as json_format
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from voxpipe.analysis.fleet import COLUMNS, LogFile, Reading
from voxpipe.analysis.fleet_reading import read_logs
from voxpipe.analysis.fleet_table import ROWS_AT_A_TIME, Answer, FleetTable, Unreadable, ask
from voxpipe.analysis.legible import legible
from voxpipe.analysis.slo import load_slo
from voxpipe.analysis_tables import make_console, make_table
from voxpipe.errors import ConfigError
from voxpipe.terminal import Terminal

FAILED = 1
ALONE_BYTES = 32_000_000
"""A second's reading or two: two processes take half a second to start, and then half of the rest."""
SHOWN_FROM_BYTES = 8_000_000
"""Less is read before a bar could be looked at."""
UNSEEN_COLUMNS = 20_000
"""A row of a pipe is one line, however many columns were asked for."""
SHOWN_ROWS = 1_000
"""Rows that a terminal is given; a pipe is given all."""


def print_schema() -> int:
    """Print the columns of the table; return the exit status."""
    console = make_console()
    table = make_table(console, "", "column", "type", "unit", "meaning")
    for column in COLUMNS:
        table.add_row(column.name, escape(column.type), column.unit, escape(column.meaning))
    console.print(table)
    return 0


def index_logs(
    folders: Sequence[Path], output: Path, *, jobs: int | None, keep: bool, slo: Path | None, lenient: bool
) -> int:
    """Bring the table up to date with the folders; return the exit status."""
    begin_s = time.monotonic()
    if jobs is not None and jobs < 1:
        raise ConfigError("--jobs", f"expected 1 or more, got {jobs}")
    reading = Reading(load_slo(slo), lenient)
    with FleetTable(output) as table:
        run = _Run(table, reading, _find_logs(folders), keep)
        run.read(jobs)
        if run.changed or not output.exists():
            table.write(run.unreadable)
        torn = table.count("torn")
        calls = table.count()
    told = (
        f"{calls} calls",
        f"{run.read_logs} logs read",
        f"{run.same} as before",
        f"{len(run.gone)} gone{' and kept' if keep else ''}" if run.gone else "",
        f"{torn} torn at the end" if torn else "",
        f"{len(run.unreadable)} unreadable" if run.unreadable else "",
        f"{time.monotonic() - begin_s:.1f} s",
    )
    terminal = Terminal()
    for one in run.unreadable:
        terminal.warn(f"{one.log}: {one.trouble}")
    sys.stdout.write(f"{output}: {', '.join(words for words in told if words)}\n")
    return FAILED if run.unreadable else 0


def _find_logs(folders: Sequence[Path]) -> dict[LogFile, Path]:
    """Find all logs as they are now; none at all is an error, so that a disk not mounted empties no table."""
    if not folders:
        raise ConfigError("FOLDERS", "expected a folder of logs, got none")
    found: dict[str, tuple[LogFile, Path]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(str(folder), "expected a folder of logs, found none")
        for place, _, names in os.walk(folder, onerror=_refuse):
            logs = [name for name in names if name.endswith(".jsonl") and not name.startswith("gateway-")]
            for path in (Path(place, name) for name in logs):
                with suppress(FileNotFoundError):  # gone meanwhile, or a link to nothing
                    if path.is_file():
                        file = LogFile.of(path)
                        found[file.path] = file, path  # one, even where it grows while two folders list it
    if not found:
        words = ", ".join(map(str, folders))
        raise ConfigError(words, "expected logs of calls (*.jsonl) in the folder, found none")
    return dict(found[name] for name in sorted(found))


def _refuse(error: OSError) -> None:
    raise error  # what a folder hides must not count as gone


class _Run:
    """One run of the index: what is to be read, what is as it was, and what is gone."""

    def __init__(self, table: FleetTable, reading: Reading, found: dict[LogFile, Path], keep: bool) -> None:
        self.read_logs = 0
        self._table = table
        self._version = reading.version
        self._reading = reading
        self._found = found
        present = {file.path for file in found}
        self.gone = table.read_by.keys() - present
        self._new = [file for file in found if not self._is_known(file)]
        self.same = len(found) - len(self._new)
        again = {file.path for file in self._new}
        still = present - again
        self.unreadable = [one for log, one in table.unreadable.items() if log in still]
        stale = again & table.read_by.keys()
        dropped = stale if keep else stale | self.gone
        if dropped:
            table.drop(dropped)
        self.changed = bool(dropped or self._new or len(self.unreadable) != len(table.unreadable))

    def _is_known(self, file: LogFile) -> bool:
        if self._table.read_by.get(file.path) == (file, self._version):
            return True
        told = self._table.unreadable.get(file.path)
        return told is not None and attrs.astuple(told)[:4] == (*attrs.astuple(file), self._version)

    def read(self, jobs: int | None) -> None:
        """Read what is new, and put it into the table."""
        files = {self._found[file]: file for file in self._new}
        size_bytes = sum(file.size_bytes for file in self._new)
        count = jobs or (1 if size_bytes < ALONE_BYTES else len(os.sched_getaffinity(0)))
        rows: list[dict[str, Any]] = []
        outcomes = read_logs(list(files), self._reading, max(1, min(count, len(files))))
        with _progress(len(files), size_bytes) as advance, closing(outcomes):
            for outcome in outcomes:
                self.read_logs += 1
                file = files[outcome.path]
                if outcome.row is not None:
                    rows.append(outcome.row)
                    if len(rows) >= ROWS_AT_A_TIME:
                        self._table.add(rows)
                        rows = []
                else:
                    mtime_ns = file.mtime_ns if outcome.lasting else 0
                    words = legible(outcome.trouble, 500)
                    self.unreadable.append(Unreadable(file.path, file.size_bytes, mtime_ns, self._version, words))
                advance()
        self.unreadable.sort(key=lambda one: one.log)
        self._table.add(rows)


@contextmanager
def _progress(logs: int, size_bytes: int) -> Iterator[Callable[[], None]]:
    """Show how far the reading is, on standard error, where that takes long enough and somebody looks."""
    console = Console(stderr=True)
    if not console.is_terminal or size_bytes < SHOWN_FROM_BYTES:
        yield lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("reading", total=logs)
        yield lambda: bars.advance(task)


# --- answers ----------------------------------------------------------------------------------------------------------


def query_table(sql: str, path: Path, *, json: bool, csv: bool) -> int:
    """Ask a question and print the answer; return the exit status."""
    if json and csv:
        raise ConfigError("--json", "expected it or --csv, got both")
    answer = ask(path, sql)
    try:
        if json:
            _print_json(answer)
        elif csv:
            writer = csv_format.writer(sys.stdout, lineterminator="\n")
            writer.writerow(answer.columns)
            writer.writerows(map(_csv_value, row) for row in answer.rows)
        else:
            console = Console(highlight=False)
            _print_table(console if console.is_terminal else Console(highlight=False, width=UNSEEN_COLUMNS), answer)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever looked has seen enough (``| head``)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _print_table(console: Console, answer: Answer) -> None:
    table = make_table(console, "", *(escape(name) for name in answer.columns))
    shown = answer.rows[:SHOWN_ROWS] if console.is_terminal else answer.rows
    for row in shown:
        table.add_row(*(escape(legible(_cell(value))) for value in row))
    console.print(table)
    if len(shown) < len(answer.rows):
        console.print(f"{len(answer.rows) - len(shown)} more rows: --csv prints all")


def _cell(value: Any) -> str:
    if value is None:
        return "null"
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(_csv_value(value))


def _csv_value(value: Any) -> Any:
    return json_format.dumps(_plain(value), ensure_ascii=False) if isinstance(value, list | dict) else value


def _print_json(answer: Answer) -> None:
    twice = {name for name in answer.columns if answer.columns.count(name) > 1}
    if twice:
        words = ", ".join(sorted(twice))
        raise ConfigError("--json", f"expected a name of its own for each column, got {words} several times")
    rows = [dict(zip(answer.columns, map(_plain, row), strict=True)) for row in answer.rows]
    sys.stdout.write(json_format.dumps(rows, indent=2, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    """A value of SQL as JSON has it: times, decimals and other things as text, what is no number as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
