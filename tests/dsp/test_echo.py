"""The echo path of a call, frame by frame: what is learnt of it, and what it explains."""

from __future__ import annotations

import math

import numpy as np
import pytest
from echoes import Wave, echo_of, wave_of

from voxpipe.audio import SLIN8
from voxpipe.dsp.echo import START_COUPLING_DB, Echo, Heard
from voxpipe.testing.signals import noise, speech_like, tone


def voice(seed: int, seconds: float) -> Wave:
    """Somebody who speaks at -20 dBFS."""
    return wave_of(speech_like(SLIN8, seconds, seed=seed), -20.0)


def run(played: Wave, heard: Wave) -> list[Heard]:
    """Run both directions; return what was found in each frame."""
    echo, found = Echo(), []
    down, up = (np.clip(wave, -32_768, 32_767).astype("<i2").tobytes() for wave in (played, heard))
    for start in range(0, len(up) - 319, 320):
        echo.play(down[start : start + 320])
        found.append(echo.hear(up[start : start + 320]))
    return found


@pytest.mark.parametrize("delay_ms", [0, 40, 160, 500])
@pytest.mark.parametrize("coupling_db", [-6, -18, -25])
def test_delay_and_coupling_are_learnt(delay_ms: int, coupling_db: int) -> None:
    """After ten seconds the delay is known to the frame and the coupling to 2 dB, whatever it was before."""
    played = voice(1, 10)
    found = run(played, echo_of(played, coupling_db, delay_ms, SLIN8.rate_hz))
    assert (found[0].delay_ms, found[0].coupling_db) == (None, START_COUPLING_DB)
    assert found[-1].delay_ms == delay_ms
    assert found[-1].coupling_db == pytest.approx(coupling_db, abs=2)
    assert max(heard.unexplained for heard in found[-250:]) < 0.5


@pytest.mark.parametrize("seed", range(2, 8))
def test_two_people_are_two(seed: int) -> None:
    """A caller who speaks over the agent from the first word on is not taken for an echo, then or later."""
    found = run(voice(1, 8), voice(seed, 8))
    assert {frame.delay_ms for frame in found} == {None}
    assert np.mean([frame.unexplained > 0.5 for frame in found[-200:] if frame.level_dbfs > -30]) > 0.6


def test_without_playout_all_but_noise_is_new() -> None:
    """In a silent agent's line steady noise is explained and a voice is not."""
    hiss = np.frombuffer(noise(SLIN8, 4, level_db=-40), "<i2").astype(np.float64)
    heard = hiss + np.concatenate([np.zeros(16_000), voice(3, 2)])
    found = run(np.zeros(len(heard)), heard)
    assert max(frame.unexplained for frame in found[:100]) < 0.5
    assert np.mean([frame.unexplained > 0.9 for frame in found[100:] if frame.level_dbfs > -30]) > 0.9


def test_levels_are_those_of_the_band() -> None:
    """A tone within the bands has its own level, one below them next to none, and silence none at all."""
    level = {
        hz: run(np.zeros(1_600), np.frombuffer(tone(SLIN8, hz, 0.2, level_db=-10), "<i2").astype(float))[5].level_dbfs
        for hz in (60, 1_000)
    }
    assert level[1_000] == pytest.approx(-13, abs=0.5)
    assert level[60] < -45
    assert run(np.zeros(160), np.zeros(160)) == [Heard(-math.inf, 0.0, START_COUPLING_DB, None)]
