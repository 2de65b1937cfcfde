"""Instructions a call of each hot kernel takes, counted by valgrind: ``python benchmarks/dsp/instructions.py``.

A count does not depend on what else the machine does. Each kernel runs n times and 2 n times; the difference is n
calls, the interpreter's share of them included. valgrind has no AVX-512, so the AVX2 path is what is counted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

CALLS = 2_000
KERNELS = {
    "Resampler.process, 8 to 24 kHz": ("r = dsp.Resampler(8000, 24000); f = r.process; x = bytes(range(160)) * 2"),
    "Resampler.process, 24 to 8 kHz": ("r = dsp.Resampler(24000, 8000); f = r.process; x = bytes(range(240)) * 4"),
    "Resampler.process, 16 to 24 kHz": ("r = dsp.Resampler(16000, 24000); f = r.process; x = bytes(range(160)) * 4"),
    "Resampler.process, 24 to 48 kHz": ("r = dsp.Resampler(24000, 48000); f = r.process; x = bytes(range(240)) * 4"),
    "ulaw_encode, 160 samples": "f = dsp.ulaw_encode; x = bytes(range(160)) * 2",
    "ulaw_decode, 160 samples": "f = dsp.ulaw_decode; x = bytes(range(160))",
    "Meter.add, 160 samples": "f = dsp._level.Meter(160).add; x = bytes(range(1, 161)) * 2",
}


def count(setup: str, calls: int) -> int:
    """Count the instructions of a whole process that makes so many calls."""
    code = f"from voxpipe import dsp\nimport voxpipe.dsp._level\n{setup}\nfor _ in range({calls}): f(x)"
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-c", code]
    # Otherwise every process hashes, and so starts, in another way.
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def main() -> None:
    """Print a table, ready for benchmarks/README.md."""
    print("| kernel | instructions a call |\n|---|---|")
    for name, setup in KERNELS.items():
        print(f"| {name} | {(count(setup, 2 * CALLS) - count(setup, CALLS)) // CALLS} |", flush=True)


if __name__ == "__main__":
    main()
