"""What a call does to sound, measured end to end in virtual time: provider at 24 kHz, leg at 8, 16 and 24 kHz.

The leg reader, both converters, the ledger and the playout are all in the path; the provider sends chunks that are no
multiples of a frame. A signal of 10 s is fitted as a whole, so one sample lost, repeated or moved spoils the figure.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from trio.testing import MockClock
from virtual_call import KINDS, CallMaker, Script, VirtualCall, silence

from voxpipe.audio import PCM24, SLIN8, SLIN16, SLIN24, AudioFormat
from voxpipe.testing.scenario import Say, Scenario, Step, Trigger

Samples = NDArray[np.float64]

DURATION_S = 10
SNR_DB = 80.0
"""TARGETS' floor for a call is 60 dB; the filters and 16 bits leave far more."""
FRAME_BYTES = {SLIN8: 320, SLIN16: 640, SLIN24: 960}
TONES_HZ = {
    "a tone, slin8": (SLIN8, (1_000.0,)),
    "the low end, slin8": (SLIN8, (300.0,)),
    "the high end, slin8": (SLIN8, (3_400.0,)),
    "many tones, slin8": (SLIN8, (313.0, 701.5, 1_009.0, 1_693.3, 2_411.0, 3_307.0)),
    "a tone, slin16": (SLIN16, (1_000.0,)),
    "the low end, slin16": (SLIN16, (50.0,)),
    "the high end, slin16": (SLIN16, (7_000.0,)),
    "many tones, slin16": (SLIN16, (61.0, 313.0, 1_009.0, 2_411.0, 4_507.7, 6_899.0)),
}
CASES = pytest.mark.parametrize(("leg", "tones_hz"), TONES_HZ.values(), ids=TONES_HZ)


def ideal(tones_hz: tuple[float, ...], rate_hz: int, seconds: float = DURATION_S) -> Samples:
    """Tones of equal strength with a peak of at most -1 dBFS together; the same instants at any rate."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    waves = [np.sin(2 * np.pi * tone_hz * time_s + index**2) for index, tone_hz in enumerate(tones_hz, 1)]
    total: Samples = 32_767 * 10 ** (-1 / 20) / len(tones_hz) * np.sum(waves, axis=0)
    return total


def to_bytes(samples: Samples) -> bytes:
    """Round to 16 bits."""
    return np.rint(samples).astype("<i2").tobytes()


def examine(audio: bytes, tones_hz: tuple[float, ...], rate_hz: int) -> None:
    """Assert that these are the tones, all of them, at their place, without offset and with next to no noise.

    The steady part leaves out 10 ms at either end, where the tones begin and end.
    """
    expected, edge = ideal(tones_hz, rate_hz), rate_hz // 100
    heard = np.frombuffer(audio, "<i2").astype(np.float64)
    assert len(heard) == len(expected)
    heard, expected = heard[edge:-edge], expected[edge:-edge]
    time_s = np.arange(len(heard)) / rate_hz
    waves = [wave(2 * np.pi * tone_hz * time_s) for tone_hz in tones_hz for wave in (np.sin, np.cos)]
    matrix = np.column_stack([*waves, np.ones(len(heard))])
    weights = np.linalg.lstsq(matrix, heard, rcond=None)[0]
    fitted = matrix @ weights
    assert decibels(fitted, heard - fitted) > SNR_DB
    assert abs(weights[-1]) < 0.5
    # Not fitted: gain and place in time as well.
    assert decibels(expected, heard - expected) > 60


def decibels(signal: Samples, rest: Samples) -> float:
    """How far the rest lies below the signal."""
    return float(20 * np.log10(np.std(signal) / np.std(rest)))


async def speak_down(make_call: CallMaker, leg: AudioFormat, clip: bytes) -> tuple[VirtualCall, bytes]:
    """Let the provider say a clip to a silent caller; return what was played of it."""
    scenario = Scenario("clip", "says a clip", (Step(Trigger.READY, 0.1, Say(clip)),), parrot=False)
    call = await make_call(Script(audio=silence(1000 * (DURATION_S + 1), leg.rate_hz), format=leg), scenario)
    assert call.outcome.error is None
    assert call.session.complaints == []
    assert call.outcome.summary["playout"]["underruns"] == 0
    loud = [number for number, (_, frame) in enumerate(call.phone.frames) if any(frame)]
    return call, b"".join(frame for _, frame in call.phone.frames[loud[0] : loud[-1] + 1])


async def speak_up(make_call: CallMaker, leg: AudioFormat, audio: bytes) -> VirtualCall:
    """Let the caller play audio, and a little silence for the filter's tail, to a provider that does not answer."""
    call = await make_call(Script(audio=audio + silence(20, leg.rate_hz), format=leg), "silent")
    assert call.outcome.error is None
    assert call.session.complaints == []
    assert call.outcome.summary["uplink"]["overrun_frames"] == 0
    return call


@pytest.mark.every_dialect(but="openai-live")
@CASES
async def test_the_caller_hears_what_the_provider_sent(
    autojump_clock: MockClock, make_call: CallMaker, leg: AudioFormat, tones_hz: tuple[float, ...]
) -> None:
    """Downlink: an SNR above 60 dB, an offset below 1 LSB, and each sample of 10 s once and at its place."""
    _, heard = await speak_down(make_call, leg, to_bytes(ideal(tones_hz, PCM24.rate_hz)))
    examine(heard, tones_hz, leg.rate_hz)


@pytest.mark.every_dialect
@CASES
async def test_the_provider_hears_what_the_caller_said(
    autojump_clock: MockClock, make_call: CallMaker, leg: AudioFormat, tones_hz: tuple[float, ...]
) -> None:
    """Uplink: the same, up to the provider's 24 kHz."""
    call = await speak_up(make_call, leg, to_bytes(ideal(tones_hz, leg.rate_hz)))
    examine(bytes(call.session.uplink[: DURATION_S * 2 * PCM24.rate_hz]), tones_hz, PCM24.rate_hz)


@pytest.mark.every_dialect
async def test_equal_rates_change_no_bit(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """On a slin24 leg both directions are the provider's own bytes, noise from end to end of the scale included."""
    noise = np.random.default_rng(24).integers(-32_768, 32_768, DURATION_S * PCM24.rate_hz, dtype="<i2").tobytes()
    _, heard = await speak_down(make_call, SLIN24, noise)
    assert heard == noise
    call = await speak_up(make_call, SLIN24, noise)
    assert call.session.uplink[: len(noise)] == noise


@pytest.mark.every_dialect(but="openai-live")
@pytest.mark.parametrize("leg", FRAME_BYTES, ids=str)
async def test_every_frame_is_20_ms_under_its_own_kind(
    autojump_clock: MockClock, make_call: CallMaker, leg: AudioFormat
) -> None:
    """Speech or silence, each message to the leg has the bytes of 20 ms and the kind of the leg's rate."""
    call, _ = await speak_down(make_call, leg, to_bytes(ideal((1_000.0,), PCM24.rate_hz)))
    assert call.phone.kinds == {KINDS[leg.rate_hz]}
    assert {len(frame) for _, frame in call.phone.frames} == {FRAME_BYTES[leg]}
    assert len(call.phone.spoken) == 50 * DURATION_S


def test_the_measurement_sees_one_lost_sample() -> None:
    """A signal with one sample missing in the middle, or an offset of 1 LSB, does not pass."""
    samples = ideal((1_000.0, 2_411.0), SLIN8.rate_hz)
    examine(to_bytes(samples), (1_000.0, 2_411.0), SLIN8.rate_hz)
    gap = np.concatenate([samples[:40_000], samples[40_001:], [0.0]])
    for spoilt in (gap, samples + 1):
        with pytest.raises(AssertionError):
            examine(to_bytes(spoilt), (1_000.0, 2_411.0), SLIN8.rate_hz)
