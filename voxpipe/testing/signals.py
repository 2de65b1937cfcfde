"""Test signals: tones, sweeps and speech-like bursts, the same bytes on every run.

All return mono int16 little-endian bytes at a linear ``AudioFormat``'s rate. ``level_db`` is the peak relative to full
scale (dBFS), and the length is rounded to whole samples. None of them sounds like DTMF: a detector asks for two steady
tones of about equal strength, and here there is one tone, or a moving one, or many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from voxpipe.audio import AudioFormat, Encoding
from voxpipe.errors import AudioError

Samples: TypeAlias = npt.NDArray[np.float64]

FULL_SCALE = 32_767
FADE_S = 0.005
"""Bursts begin and end over this long, so that they make no click of all frequencies."""

FORMANTS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""First three formants of five American English vowels, male speakers (Peterson and Barney, 1952, table II)."""


def silence(format: AudioFormat, seconds: float) -> bytes:
    """Digital silence."""
    return bytes(2 * _count(format, seconds))


def tone(format: AudioFormat, hz: float, seconds: float, *, level_db: float = -6.0) -> bytes:
    """A sine that begins at phase 0."""
    return _pack(np.sin(2 * np.pi * hz * _times(format, seconds)), level_db)


def sweep(format: AudioFormat, from_hz: float, to_hz: float, seconds: float, *, level_db: float = -6.0) -> bytes:
    """A sine whose frequency grows exponentially, so that every octave lasts equally long."""
    times = _times(format, seconds)
    ratio = np.log(to_hz / from_hz)
    cycles = from_hz * (seconds / ratio * np.expm1(times / seconds * ratio) if ratio else times)
    return _pack(np.sin(2 * np.pi * cycles), level_db)


def noise(format: AudioFormat, seconds: float, *, level_db: float = -20.0, seed: int = 1) -> bytes:
    """White noise, evenly distributed."""
    return _pack(np.random.default_rng(seed).uniform(-1, 1, _count(format, seconds)), level_db)


def speech_like(format: AudioFormat, seconds: float, *, level_db: float = -6.0, seed: int = 1) -> bytes:
    """Syllables: a wandering pitch and its overtones, shaped by the formants of a vowel, about four a second.

    It has speech's loudness over time and its spectrum up to 3.4 kHz; it says nothing.
    """
    random = np.random.default_rng(seed)
    samples = np.zeros(_count(format, seconds))
    start_s = 0.0
    while start_s < seconds:
        voiced_s, pause_s = random.uniform(0.14, 0.26), random.uniform(0.03, 0.09)
        formants_hz = FORMANTS_HZ[random.integers(len(FORMANTS_HZ))]
        syllable = _syllable(format, min(voiced_s, seconds - start_s), formants_hz, random)
        start = _count(format, start_s)
        samples[start : start + len(syllable)] = syllable[: len(samples) - start]
        start_s += voiced_s + pause_s
    return _pack(samples / max(np.abs(samples).max(initial=0), 1e-9), level_db)


def bursts(
    format: AudioFormat, lengths_s: Sequence[tuple[float, float]], *, level_db: float = -6.0, seed: int = 1
) -> bytes:
    """Turns of speech: for each ``(speech_s, pause_s)`` a speech-like burst and silence after it."""
    return b"".join(
        speech_like(format, speech_s, level_db=level_db, seed=seed + index) + silence(format, pause_s)
        for index, (speech_s, pause_s) in enumerate(lengths_s)
    )


def _syllable(
    format: AudioFormat, seconds: float, formants_hz: Sequence[float], random: np.random.Generator
) -> Samples:
    times = _times(format, seconds)
    if not len(times):
        return times
    pitch_hz = random.uniform(95, 140) * (1 + 0.15 * np.sin(np.pi * times / seconds + random.uniform(0, np.pi)))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / format.rate_hz
    voice = np.zeros(len(times))
    for overtone in range(1, int(min(3_400, 0.45 * format.rate_hz) / pitch_hz.max()) + 1):
        hz = overtone * pitch_hz.mean()
        gain = sum(1 / (1 + ((hz - formant_hz) / 90) ** 2) for formant_hz in formants_hz) + 0.02
        voice += gain / np.sqrt(overtone) * np.sin(overtone * phase)
    fade = np.minimum(1, np.minimum(times, times[::-1]) / FADE_S)
    envelope = fade * np.sin(np.pi * (times + FADE_S) / (seconds + 2 * FADE_S))
    shaped: Samples = voice / max(np.abs(voice).max(), 1e-9) * envelope
    return shaped


def _count(format: AudioFormat, seconds: float) -> int:
    if format.encoding is not Encoding.SLIN:
        raise AudioError(f"expected a linear format for a signal, got {format.name}")
    return round(seconds * format.rate_hz)


def _times(format: AudioFormat, seconds: float) -> Samples:
    return np.arange(_count(format, seconds)) / format.rate_hz


def _pack(samples: Samples, level_db: float) -> bytes:
    peak = float(10 ** (level_db / 20)) * FULL_SCALE
    return np.rint(np.clip(samples, -1, 1) * peak).astype("<i2").tobytes()


@attrs.frozen
class Alignment:
    """Where and how a signal is found in a recording."""

    lag_samples: int
    """Where the signal begins in the recording; negative when its beginning is missing there."""
    correlation: float
    """Of the signal with what is at that place: 1 is the same shape, 0 no likeness, -1 the same upside down."""
    gain_db: float
    """How much louder the recording is than the signal."""


def align(sent: bytes, heard: bytes) -> Alignment:
    """Find a signal in a recording of the same rate (both int16 little-endian) by cross-correlation."""
    signal, recording = (np.frombuffer(audio, "<i2").astype(np.float64) for audio in (sent, heard))
    if not signal.any() or not recording.any():
        return Alignment(0, 0.0, -np.inf)
    size = len(signal) + len(recording) - 1
    spectrum = np.fft.rfft(recording, size) * np.conj(np.fft.rfft(signal, size))
    products = np.fft.irfft(spectrum, size)
    best = int(np.argmax(np.abs(products)))
    lag = best if best < len(recording) else best - size  # the negative lags are at the end
    there = np.zeros(len(signal))
    overlap = recording[max(lag, 0) : lag + len(signal)]
    there[max(-lag, 0) : max(-lag, 0) + len(overlap)] = overlap
    product, own, other = signal @ there, signal @ signal, there @ there
    correlation = float(product / np.sqrt(own * other)) if other else 0.0
    return Alignment(lag, correlation, 10 * float(np.log10(other / own)) if other else -np.inf)
