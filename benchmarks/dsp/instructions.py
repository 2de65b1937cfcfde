"""Instructions a call of each hot kernel takes, counted by valgrind: ``python benchmarks/dsp/instructions.py``.

A count does not depend on what else the machine does. Only what runs inside the compiled function is counted, from the
call to the finished bytes. valgrind has no AVX-512, so the AVX2 path is what is counted.
"""

from __future__ import annotations

import re
import subprocess
import sys

CALLS = 2_000
KERNELS = {
    "Resampler.process, 8 to 24 kHz": (
        "process",
        "r = dsp.Resampler(8000, 24000); f = r.process; x = bytes(range(160)) * 2",
    ),
    "Resampler.process, 24 to 8 kHz": (
        "process",
        "r = dsp.Resampler(24000, 8000); f = r.process; x = bytes(range(240)) * 4",
    ),
    "Resampler.process, 16 to 24 kHz": (
        "process",
        "r = dsp.Resampler(16000, 24000); f = r.process; x = bytes(range(160)) * 4",
    ),
    "Resampler.process, 24 to 48 kHz": (
        "process",
        "r = dsp.Resampler(24000, 48000); f = r.process; x = bytes(range(240)) * 4",
    ),
    "ulaw_encode, 160 samples": ("ulaw_encode", "f = dsp.ulaw_encode; x = bytes(range(160)) * 2"),
    "ulaw_decode, 160 samples": ("ulaw_decode", "f = dsp.ulaw_decode; x = bytes(range(160))"),
    "Meter.add, 160 samples": ("add", "f = dsp._level.Meter(160).add; x = bytes(range(1, 161)) * 2"),
}
"""Each with the end of its wrapper's name in C, and what is run."""


def count(function: str, setup: str) -> int:
    """Count the instructions of one call, the mean of many."""
    code = f"from voxpipe import dsp\nimport voxpipe.dsp._level\n{setup}\nfor _ in range({CALLS}): f(x)"
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]
    command += [f"--toggle-collect=__pyx_pw_*{function}", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1]) // CALLS


def main() -> None:
    """Print a table, ready for benchmarks/README.md."""
    print("| kernel | instructions a call |\n|---|---|")
    for name, (function, setup) in KERNELS.items():
        print(f"| {name} | {count(function, setup)} |", flush=True)


if __name__ == "__main__":
    main()
