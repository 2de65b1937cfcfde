"""A telephone line in numbers: an agent's voice that comes back, and a caller's voice over it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from voxpipe.actors.voice import CallerVoice, VoiceChange
from voxpipe.audio import AudioFormat
from voxpipe.dsp.speech import SpeechModel
from voxpipe.sansio.voice import VoiceThresholds

Wave = npt.NDArray[np.float64]
FULL_SCALE = 32_768
ROOM = ((0, 1.0), (0.9, 0.4), (5, -0.3), (19, 0.2), (30, 0.1))
"""A direct path and reflections: milliseconds later, gain."""
MICROPHONE = (0.6, 0.3, -0.2, 0.1)


class Everything:
    """A speech model that takes everything for speech, so that the guard stands alone."""

    def probability(self, window: bytes) -> float:
        """Certainly speech."""
        return 1.0

    def reset(self) -> None:
        """Nothing to forget."""


class Loud:
    """A speech model that takes for speech what is louder than -40 dBFS."""

    def probability(self, window: bytes) -> float:
        """All or nothing."""
        samples = np.frombuffer(window, "<i2").astype(np.float64)
        return float(np.sqrt((samples**2).mean()) > FULL_SCALE / 100)

    def reset(self) -> None:
        """Nothing to forget."""


def wave_of(audio: bytes, level_dbfs: float) -> Wave:
    """Samples at a level, which is that of their louder parts."""
    samples = np.frombuffer(audio, "<i2").astype(np.float64)
    loud = samples[np.abs(samples) > 0.02 * np.abs(samples).max()]
    return np.asarray(samples / np.sqrt((loud**2).mean()) * FULL_SCALE * 10 ** (level_dbfs / 20))


def echo_of(played: Wave, coupling_db: float, delay_ms: int, rate_hz: int) -> Wave:
    """What comes back of it, later and quieter, through a room and a microphone, with a little noise."""
    response = np.zeros(rate_hz * 30 // 1000 + 1)
    for after_ms, gain in ROOM:
        response[round(after_ms * rate_hz / 1000)] = gain
    back = np.convolve(np.convolve(played, response), MICROPHONE)
    late = np.concatenate([np.zeros(delay_ms * rate_hz // 1000), back])[: len(played)]
    late *= np.sqrt((played**2).mean() / (late**2).mean()) * 10 ** (coupling_db / 20)
    noise = np.random.default_rng(delay_ms).standard_normal(len(played)) * FULL_SCALE * 10 ** (-65 / 20)
    return np.asarray(late + noise)


def listen(
    played: Wave,
    heard: Wave,
    format_: AudioFormat,
    model: SpeechModel | None = None,
    thresholds: VoiceThresholds | None = None,
) -> list[tuple[float, VoiceChange]]:
    """Run both directions frame by frame; return each change with its time in ms."""
    voice = CallerVoice(format_, format_, thresholds or VoiceThresholds(), model or Everything())
    down, up = (np.clip(wave, -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes() for wave in (played, heard))
    changes = []
    for start in range(0, len(up) - format_.frame_bytes + 1, format_.frame_bytes):
        end = start + format_.frame_bytes
        voice.play(down[start:end])
        changes += [(format_.duration_ms(end), change) for change in voice.hear(up[start:end])]
    return changes
