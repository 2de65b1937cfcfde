"""Where a recording is found in its reference, over pauses, clocks that drift, and many frames that were lost."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from voxpipe.analysis.alignment import Floats, _solve, interpolate
from voxpipe.analysis.quality import assess
from voxpipe.audio import SLIN8
from voxpipe.testing.signals import speech_like


def samples_of(audio: bytes) -> Floats:
    """Read 16-bit samples."""
    return np.frombuffer(audio, "<i2").astype(np.float64)


def pack(samples: Floats) -> bytes:
    """Round to 16 bits."""
    return np.rint(samples).astype("<i2").tobytes()


def with_pauses(stretches: int, pause_s: float = 3.0) -> Floats:
    """Speech of two seconds, then a pause, again and again, never the same."""
    speech = samples_of(speech_like(SLIN8, 2.0 * stretches)).reshape(stretches, -1)
    pauses = np.zeros((stretches, round(pause_s * SLIN8.rate_hz)))
    return np.concatenate([speech, pauses], axis=1).ravel()


@pytest.mark.parametrize("drift_ppm", [100, -100, 300])
def test_a_drift_over_pauses_is_no_jump(drift_ppm: float) -> None:
    """The delay has moved on over a pause, as the clocks have: a linear path with its drift, and nothing else."""
    said = with_pauses(6)
    times = np.arange(round(len(said) * (1 + drift_ppm * 1e-6)))
    quality = assess(pack(said), SLIN8, pack(interpolate([said], times / (1 + drift_ppm * 1e-6))[0]), SLIN8)
    assert quality.jumps == ()
    assert quality.drift_ppm == pytest.approx(drift_ppm, abs=0.2)
    assert quality.path == "linear"
    assert quality.snr_db is not None
    assert quality.snr_db > 70


def test_a_jump_in_a_pause_is_told_from_drift() -> None:
    """40 ms are missing in one pause, and the clock drifts: both are found, each with its size."""
    said = with_pauses(6)
    drifted = interpolate([said], np.arange(len(said)) * (1 - 100e-6))[0]
    gone = 14 * SLIN8.rate_hz  # in the third pause
    quality = assess(pack(said), SLIN8, pack(np.delete(drifted, slice(gone, gone + 320))), SLIN8)
    (jump,) = quality.jumps
    assert jump.change_ms == pytest.approx(-40, abs=0.1)
    assert quality.drift_ppm == pytest.approx(100, abs=1)
    assert quality.path == "linear"


def test_the_fit_is_that_of_all_columns_at_once() -> None:
    """Delays that are solved for one by one are those of least squares with a column for each."""
    random = np.random.default_rng(5)
    samples, starts = 4_000, (0, 500, 500, 1_700, 3_900)
    there, steep, error = random.normal(size=(3, samples))
    steep[3_900:] = 0  # nothing fits in the last one
    which = np.repeat(np.arange(len(starts)), np.diff([*starts, samples]))
    columns = [there, steep * np.arange(samples), *(steep * (which == index) for index in range(len(starts)))]
    expected = np.linalg.lstsq(np.stack(columns, axis=1), error, rcond=None)[0]
    gain, drift, delays = _solve(error, there, steep, starts)
    assert gain == pytest.approx(expected[0], rel=1e-9)
    assert drift == pytest.approx(expected[1], rel=1e-6)
    assert delays[:4] == pytest.approx(expected[2:-1], abs=1e-9)
    assert delays[4] == pytest.approx(-drift * 3_950)  # its middle stays where it was


def test_many_jumps_take_no_more_memory() -> None:
    """A frame is missing each second for two minutes: all are found, in the memory of some copies of the recording."""
    said = samples_of(speech_like(SLIN8, 120.0))
    frames = said.reshape(-1, 160)
    heard = np.delete(frames, np.arange(25, len(frames), 50), axis=0).ravel()
    tracemalloc.start()
    try:
        quality = assess(pack(said), SLIN8, pack(heard), SLIN8)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(quality.jumps) == 120
    assert all(jump.change_ms == pytest.approx(-20, abs=0.01) for jump in quality.jumps)
    assert quality.verdict.startswith("linear path (above 60 dB)")
    assert quality.verdict.endswith("; besides 120 jumps")
    assert peak_bytes < 60 * 8 * len(said)
