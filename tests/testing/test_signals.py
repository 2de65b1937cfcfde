"""Signals: their frequency, level and length, and that they are the same on every run."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from voxpipe.audio import SLIN8, SLIN16, SLIN24, SLIN48, ULAW8, AudioFormat
from voxpipe.errors import AudioError
from voxpipe.testing import signals

LOW_HZ, HIGH_HZ = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
"""The frequencies of DTMF (ITU-T Q.23)."""


def samples(audio: bytes) -> np.ndarray:
    """The samples as float, full scale 1."""
    return np.frombuffer(audio, "<i2") / 32768


@pytest.mark.parametrize("format", [SLIN8, SLIN16, SLIN24, SLIN48], ids=str)
def test_a_tone_has_its_frequency_level_and_length(format: AudioFormat) -> None:
    """A tone is one line in the spectrum, with the asked peak level, for whole samples of the asked time."""
    wave = samples(signals.tone(format, 1000, 0.5, level_db=-12))
    spectrum = np.abs(np.fft.rfft(wave))
    assert len(wave) == format.rate_hz // 2
    assert np.argmax(spectrum) * 2 == 1000
    assert 20 * np.log10(np.abs(wave).max()) == pytest.approx(-12, abs=0.1)
    assert np.sum(spectrum**2) == pytest.approx(spectrum[500] ** 2, rel=1e-6)


def test_a_sweep_goes_from_one_frequency_to_the_other() -> None:
    """The zero crossings of a sweep are as far apart as its first and last frequency make them."""
    wave = samples(signals.sweep(SLIN48, 100, 10_000, 2.0))
    crossings = np.flatnonzero(np.diff(np.signbit(wave).astype(int)))
    assert 48_000 / (2 * np.diff(crossings)[0]) == pytest.approx(100, rel=0.05)
    assert 48_000 / (2 * np.diff(crossings)[-50:].mean()) == pytest.approx(10_000, rel=0.05)


def test_a_sweep_that_goes_nowhere_is_a_tone() -> None:
    """Equal ends are no division by zero."""
    assert signals.sweep(SLIN8, 440, 440, 0.1) == signals.tone(SLIN8, 440, 0.1)


@pytest.mark.parametrize("format", [SLIN8, SLIN24], ids=str)
def test_speech_like_audio_is_loud_in_syllables_and_narrow(format: AudioFormat) -> None:
    """It peaks at the asked level, has pauses between its syllables, and nearly no energy above the telephone band."""
    wave = samples(signals.speech_like(format, 4.0, level_db=-3))
    assert 20 * np.log10(np.abs(wave).max()) == pytest.approx(-3, abs=0.01)
    frames = wave.reshape(-1, format.frame_samples)
    quiet = np.sqrt(np.mean(frames**2, axis=1)) < 0.001
    onsets = np.count_nonzero(np.diff(quiet.astype(int)) == -1)
    assert 8 <= onsets <= 24
    power = np.abs(np.fft.rfft(wave)) ** 2
    assert power[3_600 * 4 :].sum() < 0.001 * power.sum()


def test_speech_like_audio_is_no_dtmf() -> None:
    """No frame has most of its power at one low and one high frequency of DTMF."""
    frames = samples(signals.speech_like(SLIN8, 10.0)).reshape(-1, 160)
    power = np.mean(frames**2, axis=1)
    times = np.arange(160) / 8_000
    loud = power > 1e-5

    def strongest(frequencies_hz: tuple[int, ...]) -> np.ndarray:
        kernels = np.exp(-2j * np.pi * np.outer(times, frequencies_hz))
        return (2 * np.abs(frames @ kernels / 160) ** 2).max(axis=1)

    low, high = strongest(LOW_HZ)[loud], strongest(HIGH_HZ)[loud]
    level = power[loud]
    assert np.count_nonzero(loud) > 100
    assert not np.any((low > 0.25 * level) & (high > 0.25 * level) & (low + high > 0.8 * level))


def test_bursts_are_speech_and_pauses_of_the_given_lengths() -> None:
    """Each turn is speech for its time and digital silence for its time."""
    audio = signals.bursts(SLIN8, [(0.5, 0.3), (0.2, 0.1)])
    assert len(audio) == 2 * (4000 + 2400 + 1600 + 800)
    assert audio[8000 : 8000 + 4800] == bytes(4800)
    assert any(audio[12800 : 12800 + 3200])


def test_signals_are_the_same_on_every_run() -> None:
    """A seed stands for one sequence of bytes, here and on every machine; another seed for another one."""
    one = signals.speech_like(SLIN8, 1.0, seed=7)
    assert one == signals.speech_like(SLIN8, 1.0, seed=7)
    assert one != signals.speech_like(SLIN8, 1.0, seed=8)
    noise = hashlib.sha256(signals.noise(SLIN8, 1.0)).hexdigest()
    assert noise == "8a3f5ba690542fdf25efa65873fc4fa39de9f3df0d4ba609869cf6e2176c1e01"


def test_a_g711_format_is_refused() -> None:
    """Signals are linear; an encoder is the way to G.711."""
    with pytest.raises(AudioError, match="expected a linear format for a signal, got ulaw8"):
        signals.tone(ULAW8, 440, 0.1)


def test_nothing_lasts_no_time() -> None:
    """A signal of no length is no bytes, whatever the signal."""
    assert signals.speech_like(SLIN8, 0) == signals.tone(SLIN8, 1, 0) == signals.silence(SLIN8, 0) == b""


@pytest.mark.parametrize("lag", [0, 1, 777, -333])
def test_a_signal_is_found_where_it_is(lag: int) -> None:
    """The lag, the likeness and the gain of a signal are found in a longer recording with noise in it."""
    sent = signals.speech_like(SLIN8, 1.0)
    wave = np.frombuffer(sent, "<i2") * 0.5
    recording = np.frombuffer(signals.noise(SLIN8, 1.5, level_db=-60), "<i2").astype(float)
    kept = wave[max(-lag, 0) :]
    recording[max(lag, 0) : max(lag, 0) + len(kept)] += kept
    found = signals.align(sent, recording.astype("<i2").tobytes())
    assert found.lag_samples == lag
    assert found.correlation > 0.98
    assert found.gain_db == pytest.approx(-6.02, abs=0.2)


def test_other_audio_does_not_correlate() -> None:
    """Another speaker's syllables are not taken for ours, nor is silence; upside down is told by the sign."""
    sent = signals.speech_like(SLIN8, 1.0, seed=1)
    assert abs(signals.align(sent, signals.speech_like(SLIN8, 1.0, seed=2)).correlation) < 0.5
    assert signals.align(sent, bytes(16_000)).correlation == 0
    turned = (-np.frombuffer(sent, "<i2")).astype("<i2").tobytes()
    assert signals.align(sent, turned).correlation == pytest.approx(-1)
