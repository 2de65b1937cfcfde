"""What a resampler costs and how it sounds: time, delay, noise, images, aliases, flatness; each from the outside."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping

import attrs
import numpy as np
from numpy.typing import NDArray
from rivals import Process, Rival

Signal = NDArray[np.float64]
MINUS_1_DBFS = 32_767 * 10 ** (-1 / 20)
BANDS_HZ = {8_000: (300, 3_400), 16_000: (50, 7_000), 24_000: (50, 10_500), 48_000: (50, 20_000)}
"""The passband by the lower rate of a pair."""


@attrs.frozen
class Sound:
    """How a resampler sounds; levels in dB against the tone."""

    delay_ms: float
    snr_db: float
    image_db: float | None
    """``None`` where the rate goes down."""
    alias_db: float | None
    """``None`` where it goes up."""
    ripple_db: float


def time_in_turn(calls: Mapping[str, Callable[[], object]], rounds: int, repeats: int) -> dict[str, float]:
    """Time calls round by round, each in turn, so that a busy moment falls on all; medians in microseconds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin_ns = time.perf_counter_ns()
            for _ in range(repeats):
                call()
            times[name].append((time.perf_counter_ns() - begin_ns) / repeats / 1_000)
    return {name: statistics.median(values) for name, values in times.items()}


def noise(samples: int) -> bytes:
    """Return noise at about the level of speech, as slin."""
    return np.rint(np.random.default_rng(1).normal(0, 3_000, samples)).astype("<i2").tobytes()


def tone(frequency_hz: float, rate_hz: int, duration_s: float) -> Signal:
    """Return a sine at -1 dBFS, rounded to 16 bits."""
    time_s = np.arange(int(rate_hz * duration_s)) / rate_hz
    return np.asarray(np.rint(MINUS_1_DBFS * np.sin(2 * np.pi * frequency_hz * time_s + 0.3)))


def through(process: Process, signal: Signal, source_hz: int) -> Signal:
    """Send a signal through in chunks of 20 ms."""
    data, size = signal.astype("<i2").tobytes(), 2 * (source_hz // 50)
    out = b"".join(process(data[at : at + size]) for at in range(0, len(data), size))
    return np.frombuffer(out, dtype="<i2").astype(np.float64)


def fit(signal: Signal, rate_hz: int, *frequencies_hz: float) -> tuple[list[float], Signal]:
    """Fit sines and an offset by least squares; return the amplitudes and what remains."""
    time_s = np.arange(signal.size) / rate_hz
    waves = [wave(2 * np.pi * each * time_s) for each in frequencies_hz for wave in (np.sin, np.cos)]
    matrix = np.column_stack([*waves, np.ones(signal.size)])
    weights = np.linalg.lstsq(matrix, signal, rcond=None)[0]
    return [float(np.hypot(*weights[2 * i : 2 * i + 2])) for i in range(len(frequencies_hz))], signal - matrix @ weights


def db(ratio: float) -> float:
    """Return a ratio of amplitudes in dB, -140 at least."""
    return 20 * math.log10(max(ratio, 1e-7))


def middle(signal: Signal, rate_hz: int) -> Signal:
    """Leave out the first 200 ms, in which the slowest of the rivals begins, and the last 20."""
    return signal[rate_hz // 5 : -rate_hz // 50]


def delay_ms(make: Rival, source_hz: int, target_hz: int) -> float:
    """How much a live call is delayed beyond its 20 ms chunks: by what is owed, and by where a pulse comes out.

    What is owed is the audio put in less the audio that came out, at its worst: a player that starts earlier runs dry.
    The pulse is as wide as a sample of the lower rate, so that none of the rivals can step over it.
    """
    process, frame = make(source_hz, target_hz), source_hz // 50
    width = max(1, 2 * source_hz // target_hz)
    signal = np.zeros(100 * frame)
    begin = 30 * frame + frame // 3
    signal[begin : begin + width] = 30_000
    pieces, owed_ms = [], [0.0]
    for number in range(100):
        chunk = signal[number * frame : (number + 1) * frame].astype("<i2").tobytes()
        pieces.append(np.frombuffer(process(chunk), dtype="<i2").astype(np.float64))
        if number >= 10:
            owed_ms.append(20 * (number + 1) - 1000 * sum(piece.size for piece in pieces) / target_hz)
    power = np.concatenate(pieces) ** 2
    centre_out_s = float((power * np.arange(power.size)).sum() / power.sum()) / target_hz
    return max(owed_ms) + 1000 * (centre_out_s - (begin + (width - 1) / 2) / source_hz)


def sound(make: Rival, source_hz: int, target_hz: int) -> Sound:
    """Measure a pair: noise at three tones, the worst image or alias, and the flatness of the passband."""
    low_hz, high_hz = BANDS_HZ[min(source_hz, target_hz)]
    tones_hz = [low_hz, 1_000, high_hz]
    snr: list[float] = []
    images: list[float] = []
    gains: list[float] = []
    for tone_hz in tones_hz:
        out = middle(through(make(source_hz, target_hz), tone(tone_hz, source_hz, 0.5), source_hz), target_hz)
        mirrored = [each for each in _images(tone_hz, source_hz, target_hz) if abs(each - tone_hz) > 1]
        (amplitude, *mirrors), _ = fit(out, target_hz, tone_hz, *mirrored)
        _, rest = fit(out, target_hz, tone_hz)
        snr.append(db(amplitude / math.sqrt(2) / max(float(rest.std()), 1e-9)))
        images += [db(each / amplitude) for each in mirrors]
    for tone_hz in np.linspace(low_hz, high_hz, 12):
        out = middle(through(make(source_hz, target_hz), tone(tone_hz, source_hz, 0.4), source_hz), target_hz)
        gains.append(db(fit(out, target_hz, tone_hz)[0][0] / MINUS_1_DBFS))
    return Sound(
        delay_ms(make, source_hz, target_hz),
        min(snr),
        max(images, default=None),
        _alias(make, source_hz, target_hz) if source_hz > target_hz else None,
        max(map(abs, gains)),
    )


def _images(tone_hz: float, source_hz: int, target_hz: int) -> list[float]:
    return sorted(
        {
            image_hz
            for multiple_hz in range(source_hz, target_hz, source_hz)
            for image_hz in (multiple_hz - tone_hz, multiple_hz + tone_hz)
            if image_hz < target_hz / 2
        }
    )


def _alias(make: Rival, source_hz: int, target_hz: int) -> float:
    """The loudest of five tones without a place at the lower rate, wherever it folds to."""
    levels = []
    for tone_hz in np.linspace(target_hz - BANDS_HZ[target_hz][1], source_hz / 2 - 500, 5):
        out = middle(through(make(source_hz, target_hz), tone(tone_hz, source_hz, 0.5), source_hz), target_hz)
        folded_hz = abs(tone_hz - target_hz * round(tone_hz / target_hz))
        levels.append(db(fit(out, target_hz, folded_hz)[0][0] / MINUS_1_DBFS))
    return max(levels)


def response(make: Rival, source_hz: int, target_hz: int) -> tuple[Signal, Signal]:
    """The gain in dB over frequency, from the spectrum of an impulse that was spread over every phase."""
    process = make(source_hz, target_hz)
    total = np.zeros(target_hz // 2 + 1)
    impulses = 12
    for shift in range(impulses):
        signal = np.zeros(source_hz)
        signal[source_hz // 2 + shift] = 30_000
        out = through(make(source_hz, target_hz) if shift else process, signal, source_hz)
        padded = np.zeros(target_hz)
        padded[: min(out.size, target_hz)] = out[:target_hz]
        total += np.abs(np.fft.rfft(padded)) ** 2
    gain = np.sqrt(total / impulses) / 30_000 * source_hz / target_hz
    return np.fft.rfftfreq(target_hz, 1 / target_hz), 20 * np.log10(np.maximum(gain, 1e-7))
