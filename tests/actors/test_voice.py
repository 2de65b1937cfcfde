"""The caller's voice on a leg: the agent's echo is not one, a caller who speaks over it is, and silence ends it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from echoes import Everything, Loud, Wave, echo_of, listen, wave_of

from voxpipe.actors.voice import CallerVoice
from voxpipe.audio import SLIN8, SLIN16, SLIN24, ULAW8, AudioFormat
from voxpipe.dsp import ulaw_encode
from voxpipe.sansio.voice import VoiceThresholds
from voxpipe.testing.signals import speech_like

LEVEL_DBFS = -20.0


@cache
def agent(format_: AudioFormat, seconds: int = 60) -> Wave:
    """An agent who speaks without end."""
    return wave_of(speech_like(format_, seconds, seed=7), LEVEL_DBFS)


@cache
def caller(format_: AudioFormat, seed: int, seconds: float = 1.5) -> Wave:
    """Somebody else, as loud."""
    return wave_of(speech_like(format_, seconds, seed=100 + seed), LEVEL_DBFS)


LINES = pytest.mark.parametrize("delay_ms", [20, 120, 300])
COUPLINGS = pytest.mark.parametrize("coupling_db", [-10, -20, -30])
FORMATS = pytest.mark.parametrize("format_", [SLIN8, SLIN16], ids=str)


@FORMATS
@COUPLINGS
@LINES
def test_a_minute_of_the_agents_echo_is_nobodys_voice(format_: AudioFormat, coupling_db: int, delay_ms: int) -> None:
    """Even where everything sounds like speech: what the agent's own playout explains does not start a voice."""
    played = agent(format_)
    assert listen(played, echo_of(played, coupling_db, delay_ms, format_.rate_hz), format_) == []


@FORMATS
@COUPLINGS
@LINES
def test_a_caller_is_heard_over_the_agent(format_: AudioFormat, coupling_db: int, delay_ms: int) -> None:
    """At the agent's own level, early in the call and late, within 300 ms; and what the line is like is told."""
    played = agent(format_)
    echo = echo_of(played, coupling_db, delay_ms, format_.rate_hz)
    for seed, at_ms in enumerate((700, 3_300, 8_100, 15_700)):
        start = at_ms * format_.rate_hz // 1000
        voice = caller(format_, seed)
        end = start + len(voice)
        heard = echo[:end].copy()
        heard[start:] += voice
        (when_ms, change), *_ = listen(played[:end], heard, format_)
        assert change.started
        assert at_ms < when_ms <= at_ms + 300
        if at_ms > 8_000:  # by then it is known, down to the noise
            assert change.heard.delay_ms == delay_ms
            assert change.heard.coupling_db == pytest.approx(coupling_db, abs=5)


@pytest.mark.parametrize("format_", [SLIN8, SLIN16, SLIN24], ids=str)
def test_a_caller_is_heard_in_silence_and_let_go_after_it(format_: AudioFormat) -> None:
    """While the agent is silent a voice starts within 100 ms and stops 500 to 600 ms after its end."""
    voice = caller(format_, 1)
    lead, tail = np.zeros(format_.rate_hz), np.zeros(2 * format_.rate_hz)
    heard = np.concatenate([lead, voice, tail])
    (start_ms, started), (stop_ms, stopped) = listen(np.zeros(len(heard)), heard, format_, Loud())
    end_ms = 1_000 + len(voice) * 1000 / format_.rate_hz
    assert (started.started, stopped.started) == (True, False)
    assert 1_000 < start_ms <= 1_100
    assert end_ms + 400 < stop_ms <= end_ms + 600


def test_a_line_without_echo_has_no_delay() -> None:
    """An agent who does not come back leaves the delay unknown, and the coupling falls to what the noise allows."""
    played = agent(SLIN8, 60)[: 20 * 8_000]
    noise = np.random.default_rng(3).standard_normal(len(played)) * 15
    heard = noise.copy()
    heard[-8_000:] += caller(SLIN8, 3)[:8_000]
    ((_, change),) = listen(played, heard, SLIN8)
    assert change.heard.delay_ms is None
    assert change.heard.coupling_db < -25


def test_a_record_tells_what_was_found() -> None:
    """A change says how probable and how loud the voice was, and what is known of the echo; JSON has no infinity."""
    heard = np.concatenate([caller(SLIN8, 2), np.zeros(8_000)])
    (_, started), (_, stopped) = listen(np.zeros(len(heard)), heard, SLIN8, Loud())
    told = started.describe()
    assert told["probability"] == 1.0
    assert isinstance(told["level_dbfs"], float)
    assert -40 < told["level_dbfs"] < -10
    assert stopped.describe()["level_dbfs"] is None
    assert stopped.describe()["echo_delay_ms"] is None


def test_audio_of_any_length_and_law_is_taken() -> None:
    """Chunks that are no frames, in mu-law, give the same changes at the same frames as whole ones."""
    audio = ulaw_encode(np.concatenate([np.zeros(4_000), caller(ULAW8_AS_LINEAR, 4)]).astype("<i2").tobytes())
    counts = []
    for size in (7, 160, 1_000):
        voice = CallerVoice(ULAW8, ULAW8, VoiceThresholds(), Everything())
        counts.append([c.started for n in range(0, len(audio), size) for c in voice.hear(audio[n : n + size])])
    assert counts == [[True]] * 3


ULAW8_AS_LINEAR = SLIN8
