"""What ``analyze``, ``check`` and ``timeline`` do: find logs, read them, print, and tell the status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from voxpipe.analysis.call import Call, read_call
from voxpipe.analysis.checks import check, faults, passed
from voxpipe.analysis.junit import junit_report
from voxpipe.analysis.legible import path_text
from voxpipe.analysis.overview import overview_of
from voxpipe.analysis.reader import LogReader
from voxpipe.analysis.rows import CallRow, Totals
from voxpipe.analysis.slo import load_slo, slo_template
from voxpipe.analysis.timeline import timeline_of
from voxpipe.analysis.verdict import Verdict
from voxpipe.analysis_tables import make_console, print_overview, print_rows, print_verdicts
from voxpipe.command_files import SHARED, for_readers, refuse_place, write_whole
from voxpipe.errors import ConfigError, RecordError
from voxpipe.terminal import Terminal

FAILED = 1
SHOWN_FROM_BYTES = 8_000_000
"""A smaller log is read before a bar could be looked at."""
GATEWAY_LOG = "expected the log of a call, got that of a gateway"
T = TypeVar("T")


def analyze_logs(logs: Sequence[Path], *, json: bool, lenient: bool) -> int:
    """Print the overview of one log, or a row for each of several; return the exit status."""
    paths, several = find_logs(logs)
    if not several:
        data = overview_of(read_one(paths[0], lenient))
        if json:
            print_json(data)
        else:
            print_overview(make_console(), data)
        return 0
    found, unreadable = read_all(paths, lenient, lambda call: (CallRow.of(call), overview_of(call) if json else None))
    if json:
        totals = Totals.of([row for row, _ in found.values()]).to_json()
        calls = [data for _, data in found.values()]
        print_json({"calls": calls, "totals": totals, "unreadable": {path_text(p): e for p, e in unreadable.items()}})
    else:
        print_rows(make_console(), [row for row, _ in found.values()])
    return FAILED if unreadable else 0


def check_logs(logs: Sequence[Path], *, slo: Path | None, json: bool, junit: Path | None, lenient: bool) -> int:
    """Print the verdicts, write the report, and return the exit status."""
    if slo == Path("-"):
        sys.stdout.write(slo_template())
        return 0
    limits = load_slo(slo)
    paths, several = find_logs(logs)
    if junit is not None:
        refuse_place("--junit", junit, paths)
    found: dict[Path, list[Verdict]]
    unreadable: dict[Path, str] = {}
    if several:
        found, unreadable = read_all(paths, lenient, lambda call: check(call, limits))
    else:
        found = {paths[0]: check(read_one(paths[0], lenient), limits)}
    if junit is not None:
        results: list[tuple[Path, Sequence[Verdict] | str]] = [*found.items(), *unreadable.items()]
        write_whole(junit, [junit_report(results)], SHARED)
    if json:
        judged = {path_text(path): _verdicts(verdicts) for path, verdicts in found.items()}
        refused = {path_text(path): {"passed": False, "error": words} for path, words in unreadable.items()}
        print_json({**judged, **refused})
    else:
        console = make_console()
        for path, verdicts in found.items():
            if several and passed(verdicts):
                console.print(f"{path_text(path)}: nothing fails", markup=False, soft_wrap=True)
            else:
                print_verdicts(console, path_text(path), verdicts, only_failures=several)
    return 0 if all(passed(verdicts) for verdicts in found.values()) and not unreadable else FAILED


def _verdicts(verdicts: list[Verdict]) -> dict[str, object]:
    listed = [verdict.to_json() for verdict in verdicts]
    return {"passed": passed(verdicts), "faults": faults(verdicts), "verdicts": listed}


def tell_timeline(log: Path, *, output: Path | None, lenient: bool) -> int:
    """Print or write the timeline of a log; return the exit status."""
    if output is not None:
        refuse_place("--output", output, [log])
    with refusing(log, lenient=lenient), _progress([] if output is None else [log]) as progress:
        reader = LogReader(log, lenient=lenient, on_progress=progress(log))
        lines = (f"{line}\n" for line in timeline_of(reader))
        if output is None:
            _print_lines(lines)
        else:
            write_whole(output, (line.encode() for line in lines))
    return 0


def _print_lines(lines: Iterator[str]) -> None:
    if sys.stdout is None:  # closed: to nobody
        return
    with for_readers():
        sys.stdout.writelines(lines)


def find_logs(given: Sequence[Path]) -> tuple[list[Path], bool]:
    """Find the logs; tell, too, whether several were asked for, if only by a folder of one."""
    if not given:
        raise ConfigError("LOG", "expected a log or a folder of logs, got none")
    paths: list[Path] = []
    for path in given:
        if path.is_dir():
            logs = sorted(log for log in path.glob("*.jsonl") if not log.name.startswith("gateway-"))
            if not logs:
                raise ConfigError(str(path), "expected logs of calls (*.jsonl) in the folder, found none")
            paths += logs
        elif path.exists():
            paths.append(path)
        else:
            raise ConfigError(str(path), "expected a log, found no file")
    return list(dict.fromkeys(paths)), len(paths) > 1 or given[0].is_dir()


def read_one(path: Path, lenient: bool) -> Call:
    """Read the log of a call; ``ConfigError`` where it is none."""
    with refusing(path, lenient=lenient), _progress([path]) as progress:
        call = read_call(path, lenient=lenient, on_progress=progress(path))
    refuse_gateway(call)
    return call


def refuse_gateway(call: Call) -> None:
    """Let only the log of a call pass."""
    if call.accounts.gateway:
        raise ConfigError(str(call.path), GATEWAY_LOG)


@contextmanager
def refusing(path: Path, *, lenient: bool) -> Iterator[None]:
    """Make a log that cannot be read a command that could not run as asked."""
    try:
        yield
    except RecordError as error:
        advice = "" if lenient else " (--lenient skips such lines)"
        raise ConfigError(str(path), f"{error}{advice}") from error


def read_all(paths: Sequence[Path], lenient: bool, keep: Callable[[Call], T]) -> tuple[dict[Path, T], dict[Path, str]]:
    """Read several logs, keeping of each what is wanted; those that cannot be read are told, and do not stop it."""
    found: dict[Path, T] = {}
    unreadable: dict[Path, str] = {}
    terminal = Terminal()
    with _progress(paths) as progress:
        for path in paths:
            try:
                call = read_call(path, lenient=lenient, on_progress=progress(path))
            except (RecordError, OSError) as error:
                unreadable[path] = str(error)
            else:
                if call.accounts.gateway:
                    unreadable[path] = GATEWAY_LOG
                else:
                    found[path] = keep(call)
    for path, words in unreadable.items():
        terminal.warn(f"{path}: {words}")
    if not found:
        raise ConfigError("LOG", f"expected logs of calls, got {len(unreadable)} files that are none")
    return found, unreadable


@contextmanager
def _progress(paths: Sequence[Path]) -> Iterator[Callable[[Path], Callable[[int], None]]]:
    """Show how far the reading is, on standard error, where that takes long enough and somebody looks."""
    sizes = {path: _size_bytes(path) for path in paths}
    console = Console(stderr=True)
    if not console.is_terminal or sum(sizes.values()) < SHOWN_FROM_BYTES:
        yield lambda _path: lambda _bytes: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("reading", total=sum(sizes.values()))
        before = {path: sum(sizes[other] for other in paths[:index]) for index, path in enumerate(paths)}
        yield lambda path: lambda read_bytes: bars.update(task, completed=before[path] + read_bytes)


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # reading it says why


def print_json(data: object) -> None:
    """Print data as JSON; to nobody where standard output is closed."""
    if sys.stdout is None:
        return
    with for_readers():
        sys.stdout.buffer.write(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n")
