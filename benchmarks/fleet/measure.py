"""How many calls a second become rows: ``python benchmarks/fleet/measure.py [LOGS ...]``; needs voxpipe[fleet].

Writes so many logs of some 430 lines each, runs ``voxpipe index`` with one process, with one a core, and once more with
nothing new, and asks a question of the table. Each is a process of its own, measured from its start to its end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))

from long_log import write_long_log

LOG_SECONDS = 4
QUESTION = "select model, count(*), max(turn_p95_ms) from calls group by model"


def timed(*args: object) -> float:
    """Seconds that a command takes."""
    begin_s = time.perf_counter()
    command = [sys.executable, "-m", "voxpipe", *map(str, args)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin_s


def measure(folder: Path, logs: int) -> None:
    """Write the logs, and print a row of the table in benchmarks/README.md."""
    calls = folder / "logs"
    calls.mkdir()
    lines = write_long_log(calls / "00000.jsonl", LOG_SECONDS)
    for number in range(1, logs):
        shutil.copyfile(calls / "00000.jsonl", calls / f"{number:05}.jsonl")
    table = folder / "calls.parquet"
    cores = len(os.sched_getaffinity(0))
    alone_s = timed("index", calls, "-o", table, "--jobs", 1)
    table.unlink()
    together_s = timed("index", calls, "-o", table, "--jobs", cores)
    again_s = timed("index", calls, "-o", table)
    question_s = timed("query", QUESTION, "--table", table)
    rest = f"{again_s:.2f} s | {question_s:.2f} s | {table.stat().st_size / 1000:.0f} kB"
    print(
        f"| {logs} of {lines} lines | {alone_s:.1f} s, {logs / alone_s:.0f} a second | "
        f"{together_s:.1f} s, {logs / together_s:.0f} a second | {rest} |"
    )


def main() -> None:
    """Measure folders of so many logs; by default of a thousand and of five thousand."""
    print(f"| logs | one process | {len(os.sched_getaffinity(0))} processes | nothing new | a question | table |")
    for logs in [int(text) for text in sys.argv[1:]] or [1_000, 5_000]:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), logs)


if __name__ == "__main__":
    main()
