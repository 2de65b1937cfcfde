"""How the resampler sounds: noise, images, aliases, flatness and offset, measured as a laboratory would."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from voxpipe.dsp import Resampler

Signal = NDArray[np.float64]

RATES_HZ = (8_000, 16_000, 24_000, 48_000)
PAIRS = list(itertools.permutations(RATES_HZ, 2))
MORE_PAIRS = [
    (8_000, 12_000),
    (44_100, 8_000),
    (8_000, 44_100),
    (24_000, 44_100),
    (44_100, 48_000),
    (32_000, 24_000),
    (192_000, 8_000),
    (96_000, 44_100),
    (44_100, 192_000),
]
MINUS_1_DBFS = 32_767 * 10 ** (-1 / 20)
# By the lower rate: the telephone band, the wideband one, and about 7/8 of the band above.
TONES_HZ = {
    8_000: (300, 1_000, 2_300, 3_400),
    12_000: (300, 1_000, 5_200),
    16_000: (50, 1_000, 3_400, 7_000),
    24_000: (50, 1_000, 10_500),
    44_100: (50, 1_000, 17_500),
}


def tones_of(pairs: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Join each pair to the tones of its lower rate."""
    return [(*pair, tone_hz) for pair in pairs for tone_hz in TONES_HZ.get(min(pair), TONES_HZ[24_000])]


def tone(frequency_hz: float, rate_hz: int, duration_s: float = 0.5, amplitude: float = MINUS_1_DBFS) -> Signal:
    """Return a sine, rounded to 16 bits."""
    time_s = np.arange(int(rate_hz * duration_s)) / rate_hz
    return np.asarray(np.rint(amplitude * np.sin(2 * np.pi * frequency_hz * time_s + 0.3)), dtype=np.float64)


def resample(signal: Signal, source_hz: int, target_hz: int) -> Signal:
    """Resample, and leave out 10 ms at either end, where the tone begins and ends."""
    resampler = Resampler(source_hz, target_hz)
    out = resampler.process(signal.astype("<i2").tobytes()) + resampler.flush()
    return np.frombuffer(out, dtype="<i2").astype(np.float64)[target_hz // 100 : -target_hz // 100]


def fit(signal: Signal, rate_hz: int, *frequencies_hz: float) -> tuple[list[float], float, Signal]:
    """Fit sines and an offset by least squares: amplitudes, offset, and what remains."""
    time_s = np.arange(signal.size) / rate_hz
    waves = [wave(2 * np.pi * frequency_hz * time_s) for frequency_hz in frequencies_hz for wave in (np.sin, np.cos)]
    matrix = np.column_stack([*waves, np.ones(signal.size)])
    weights = np.linalg.lstsq(matrix, signal, rcond=None)[0]
    amplitudes = [float(np.hypot(*weights[2 * i : 2 * i + 2])) for i in range(len(frequencies_hz))]
    return amplitudes, float(weights[-1]), signal - matrix @ weights


def db(ratio: float) -> float:
    """Return a ratio of amplitudes in dB."""
    return float(20 * np.log10(max(ratio, 1e-12)))


@pytest.mark.parametrize(("source_hz", "target_hz", "tone_hz"), tones_of(PAIRS + MORE_PAIRS))
def test_a_loud_tone_stays_clean_and_as_loud(source_hz: int, target_hz: int, tone_hz: int) -> None:
    """A tone at -1 dBFS has at least 90 dB over all that is not the tone, no offset, and its level within 0.1 dB."""
    source = tone(tone_hz, source_hz)
    out = resample(source, source_hz, target_hz)
    (amplitude,), offset, rest = fit(out, target_hz, tone_hz)
    assert db(amplitude / np.sqrt(2) / rest.std()) >= 90
    assert abs(db(amplitude / MINUS_1_DBFS)) <= 0.02
    assert abs(offset) < 0.1


@pytest.mark.parametrize("pair", [pair for pair in PAIRS + MORE_PAIRS if pair[0] < pair[1]])
def test_images_are_gone(pair: tuple[int, int]) -> None:
    """Going up, what mirrors a tone about the old rate and its multiples lies at -85 dB or lower."""
    source_hz, target_hz = pair
    for tone_hz in TONES_HZ.get(source_hz, TONES_HZ[24_000]):
        multiples_hz = range(source_hz, target_hz, source_hz)
        images_hz = {
            image_hz
            for multiple_hz in multiples_hz
            for image_hz in (multiple_hz - tone_hz, multiple_hz + tone_hz)
            if image_hz < target_hz / 2
        }
        out = resample(tone(tone_hz, source_hz), source_hz, target_hz)
        (amplitude, *images), _, _ = fit(out, target_hz, tone_hz, *sorted(images_hz))
        assert [db(image / amplitude) for image in images if db(image / amplitude) > -85] == []


@pytest.mark.parametrize("pair", [pair for pair in PAIRS + MORE_PAIRS if pair[0] > pair[1]])
def test_aliases_are_gone(pair: tuple[int, int]) -> None:
    """Going down, a tone which has no place at the lower rate comes out at -85 dB or lower, wherever it folds to."""
    source_hz, target_hz = pair
    pass_hz = TONES_HZ.get(target_hz, TONES_HZ[24_000])[-1] if target_hz != 48_000 else 20_000
    for tone_hz in np.linspace(target_hz - pass_hz, source_hz / 2 - 500, 7):
        out = resample(tone(tone_hz, source_hz), source_hz, target_hz)
        folded_hz = abs(tone_hz - target_hz * round(tone_hz / target_hz))
        (alias,), _, _ = fit(out, target_hz, folded_hz)
        assert db(alias / MINUS_1_DBFS) <= -85


@pytest.mark.parametrize("pair", PAIRS)
def test_the_passband_is_flat(pair: tuple[int, int]) -> None:
    """Over the whole passband the level of a tone changes by no more than 0.1 dB; ours by a tenth of that."""
    source_hz, target_hz = pair
    for tone_hz in np.linspace(50, TONES_HZ.get(min(pair), TONES_HZ[24_000])[-1], 25):
        (amplitude,), _, _ = fit(resample(tone(tone_hz, source_hz, 0.1), source_hz, target_hz), target_hz, tone_hz)
        assert abs(db(amplitude / MINUS_1_DBFS)) <= 0.01


@pytest.mark.parametrize("pair", PAIRS + MORE_PAIRS)
@pytest.mark.parametrize("level", [1, -1, 1_000, -32_768, 32_767])
def test_a_constant_comes_out_as_it_is(pair: tuple[int, int], level: int) -> None:
    """Every phase has a gain of exactly 1 at 0 Hz: a constant stays that constant, without ripple."""
    out = resample(np.full(pair[0] // 10, float(level)), *pair)
    assert set(out) == {float(level)}


def test_quiet_sound_is_not_lost() -> None:
    """A tone at -60 dBFS still has the noise of 16 bits and no more below it."""
    source = tone(1_000, 8_000, amplitude=32.767)
    (amplitude,), _, rest = fit(resample(source, 8_000, 24_000), 24_000, 1_000)
    assert db(amplitude / 32.767) == pytest.approx(0, abs=0.1)
    assert rest.std() < 0.6


@pytest.mark.parametrize("pair", [(24_000, 8_000), (24_000, 16_000)])
def test_speech_band_noise_survives_a_round_trip(pair: tuple[int, int]) -> None:
    """Agent audio taken down to the leg's rate and up again has an error of -60 dB or less in band."""
    high_hz, low_hz = pair
    rng = np.random.default_rng(24)
    size = high_hz
    frequency_hz = np.fft.rfftfreq(size, 1 / high_hz)
    in_band = (frequency_hz > 100) & (frequency_hz < TONES_HZ[low_hz][-1])
    spectrum = np.where(in_band, np.exp(2j * np.pi * rng.random(frequency_hz.size)), 0)
    signal = np.fft.irfft(spectrum, size)
    signal = np.rint(signal / np.abs(signal).max() * 30_000)
    down, up = Resampler(high_hz, low_hz), Resampler(low_hz, high_hz)
    leg = down.process(signal.astype("<i2").tobytes()) + down.flush()
    back = np.frombuffer(up.process(leg) + up.flush(), dtype="<i2").astype(np.float64)
    middle = slice(size // 100, -size // 100)
    assert db(float(np.std(back[middle] - signal[middle]) / np.std(signal[middle]))) <= -60
