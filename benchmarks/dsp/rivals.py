"""Every resampler of the comparison behind one interface: a stream of 16-bit samples, bytes in and bytes out."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import numpy as np
import samplerate
import scipy.signal
import soxr

from voxpipe import dsp

Process = Callable[[bytes], bytes]
Rival = Callable[[int, int], Process]

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop


def voxpipe(source_hz: int, target_hz: int) -> Process:
    """Ours."""
    return dsp.Resampler(source_hz, target_hz).process


def _soxr(quality: str) -> Rival:
    def make(source_hz: int, target_hz: int) -> Process:
        stream = soxr.ResampleStream(source_hz, target_hz, 1, dtype="int16", quality=quality)
        return lambda data: stream.resample_chunk(np.frombuffer(data, dtype=np.int16)).tobytes()

    return make


def _libsamplerate(converter: str) -> Rival:
    def make(source_hz: int, target_hz: int) -> Process:
        stream = samplerate.Resampler(converter, channels=1)
        ratio = target_hz / source_hz

        def process(data: bytes) -> bytes:
            samples = np.frombuffer(data, dtype=np.int16).astype(np.float32) / 32_768
            out = stream.process(samples, ratio) * 32_768
            return np.rint(out).clip(-32_768, 32_767).astype(np.int16).tobytes()

        return process

    return make


def _audioop(source_hz: int, target_hz: int) -> Process:
    state = None

    def process(data: bytes) -> bytes:
        nonlocal state
        out, state = audioop.ratecv(data, 2, 1, source_hz, target_hz, state)
        return out

    return process


def _scipy(source_hz: int, target_hz: int) -> Process:
    """One chunk alone: scipy has no streaming, so each chunk's ends are wrong. Only its time is worth comparing."""
    divisor = int(np.gcd(source_hz, target_hz))
    up, down = target_hz // divisor, source_hz // divisor

    def process(data: bytes) -> bytes:
        out = scipy.signal.resample_poly(np.frombuffer(data, dtype=np.int16).astype(np.float32), up, down)
        return np.rint(out).clip(-32_768, 32_767).astype(np.int16).tobytes()

    return process


RIVALS: dict[str, Rival] = {
    "voxpipe": voxpipe,
    "soxr HQ": _soxr("HQ"),
    "soxr VHQ": _soxr("VHQ"),
    "soxr QQ": _soxr("QQ"),
    "libsamplerate fastest": _libsamplerate("sinc_fastest"),
    "audioop": _audioop,
    "scipy": _scipy,
}
STREAMS = [name for name in RIVALS if name != "scipy"]
REFERENCE = "soxr HQ"


def versions() -> dict[str, str]:
    """Say what was compared."""
    return {
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "soxr": soxr.__version__,
        "libsamplerate": samplerate.__libsamplerate_version__,
        "scipy": scipy.__version__,
        "voxpipe path": dsp._resample.paths()[-1],
    }
