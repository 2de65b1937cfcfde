"""How long a log takes to read and judge, and how much memory: ``python benchmarks/analysis/measure.py [HOURS ...]``.

Writes a log as dense as that of a real call (some 125 records a second), reads it in a process of its own, and prints
seconds, those of the processor, microseconds a line, and by how much the memory grew.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))

from long_log import write_long_log

from voxpipe.analysis.call import read_call
from voxpipe.analysis.checks import check
from voxpipe.analysis.overview import overview_of

SECONDS_AN_HOUR = 3_600


def read(path: Path) -> None:
    """Read a log, make its overview and its verdicts, and print what that took."""
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin_s, cpu_begin_s = time.perf_counter(), time.process_time()
    call = read_call(path)
    check(call)
    overview_of(call)
    took_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - cpu_begin_s
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    size_mb = path.stat().st_size / 1e6
    print(
        f"{size_mb:8.0f} MB  {call.lines:9} lines  {took_s:7.2f} s, {cpu_s:.2f} s of CPU, "
        f"{cpu_s / call.lines * 1e6:.2f} us a line  "
        f"{grown_mb:6.1f} MB more memory"
    )


def main() -> None:
    """Measure logs of so many hours; by default of a quarter, one and four."""
    hours = [float(text) for text in sys.argv[1:]] or [0.25, 1, 4]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.jsonl"
        for length in hours:
            write_long_log(path, round(length * SECONDS_AN_HOUR))
            subprocess.run([sys.executable, __file__, "--read", str(path)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(Path(sys.argv[2]))
    else:
        main()
