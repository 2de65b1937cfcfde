"""How many calls a second become rows: ``python benchmarks/fleet/measure.py [LOGS ...]``; needs voxpipe[fleet].

Writes so many logs of some 430 lines each, runs ``voxpipe index`` with one process, with one a core, and once more with
nothing new, and asks a question of the table. Each is a process of its own, measured from its start to its end, three
times; the shortest counts.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))

from long_log import write_long_log

LOG_SECONDS = 4
RUNS = 3
CORES = len(os.sched_getaffinity(0))
QUESTION = "select model, count(*), max(turn_p95_ms) from calls group by model"


class Times:
    """Seconds, and seconds of all processors, that a command takes: the shortest of several runs."""

    def __init__(self, *args: object, before: Callable[[], None] = lambda: None) -> None:
        runs = []
        for _ in range(RUNS):
            before()
            runs.append(timed(*args))
        self.wall_s, self.cpu_s = min(runs)

    def __str__(self) -> str:
        return f"{self.wall_s:.1f} s, {self.cpu_s:.1f} s of CPU"


def timed(*args: object) -> tuple[float, float]:
    """Run a command; the workers it has waited for count with it."""
    used, begin_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "voxpipe", *map(str, args)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - begin_s, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def measure(folder: Path, logs: int) -> None:
    """Write the logs, and print a row of the table in benchmarks/README.md."""
    calls = folder / "logs"
    calls.mkdir()
    lines = write_long_log(calls / "00000.jsonl", LOG_SECONDS)
    for number in range(1, logs):
        shutil.copyfile(calls / "00000.jsonl", calls / f"{number:05}.jsonl")
    table = folder / "calls.parquet"

    def forget() -> None:
        table.unlink(missing_ok=True)

    each = [Times("index", calls, "-o", table, "--jobs", jobs, before=forget) for jobs in (1, CORES)]
    again, question = Times("index", calls, "-o", table), Times("query", QUESTION, "--table", table)
    told = [f"{times}; {logs / times.wall_s:.0f} calls a second" for times in each]
    size_kb = table.stat().st_size / 1000
    print(f"| {logs} of {lines} lines | {' | '.join(told)} | {again} | {question} | {size_kb:.0f} kB |", flush=True)


def main() -> None:
    """Measure folders of so many logs; by default of a thousand and of five thousand."""
    print(f"| logs | one process | {CORES} processes | nothing new | a question | table |")
    for logs in [int(text) for text in sys.argv[1:]] or [1_000, 5_000]:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), logs)


if __name__ == "__main__":
    main()
