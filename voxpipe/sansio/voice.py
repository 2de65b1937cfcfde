"""When the caller's voice begins and when it ends, from one number after another.

Two things are asked of each stretch of uplink: does it sound like speech (a probability), and is it new, or only what
the agent's own playout and the line's noise explain (``dsp/echo.py``)? Both must be so for ``min_speech_ms`` before a
voice has started, and not for ``silence_ms`` before it has stopped; a gap within a word takes away less than it lasts.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class VoiceThresholds:
    """What counts as the caller's voice; times in milliseconds of uplink."""

    probability: float = 0.5
    """Of speech, from which on it counts; once started, ``HYSTERESIS`` less is enough."""
    level_dbfs: float = -50.0
    """Quieter is somebody else in the caller's room."""
    unexplained: float = 0.5
    """The least share of the uplink's power that is neither echo nor noise; once started, half of it is enough."""
    min_speech_ms: int = 60
    silence_ms: int = 500


@attrs.frozen
class VoiceWindow:
    """What was found in one stretch of uplink."""

    duration_ms: int
    probability: float
    level_dbfs: float
    unexplained: float


HYSTERESIS = 0.15
"""How much less probable speech may be within a voice than at its start; Silero's own examples use the same."""


class VoiceGate:
    """Tells starts and stops of the caller's voice; see the module's docstring."""

    def __init__(self, thresholds: VoiceThresholds) -> None:
        self._thresholds = thresholds
        self._speech_ms = 0
        self._silence_ms = 0
        self._speaking = False
        self.voice_ms = 0
        """How long the latest voice lasts, or lasted."""

    @property
    def speaking(self) -> bool:
        """Whether the caller speaks."""
        return self._speaking

    def add(self, window: VoiceWindow) -> bool | None:
        """Take the next window; return ``True`` when the voice starts with it, ``False`` when it stops."""
        if self._counts(window):
            self._speech_ms += window.duration_ms
            self._silence_ms = 0
        else:
            self._speech_ms = max(0, self._speech_ms - window.duration_ms // 2)
            self._silence_ms += window.duration_ms
        if not self._speaking and self._speech_ms >= self._thresholds.min_speech_ms:
            self._speaking = True
            self.voice_ms = self._speech_ms
            return True
        if self._speaking and self._silence_ms >= self._thresholds.silence_ms:
            self._speaking = False
            self._speech_ms = 0
            self.voice_ms -= self._silence_ms - window.duration_ms
            return False
        if self._speaking:
            self.voice_ms += window.duration_ms
        return None

    def _counts(self, window: VoiceWindow) -> bool:
        limits = self._thresholds
        probability, unexplained = limits.probability, limits.unexplained
        if self._speaking:
            probability, unexplained = probability - HYSTERESIS, unexplained / 2
        return (
            window.probability >= probability
            and window.level_dbfs >= limits.level_dbfs
            and window.unexplained >= unexplained
        )
