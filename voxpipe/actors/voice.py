"""The caller's voice, found on the leg itself: from frames in both directions to starts and stops of it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import attrs
import trio

from voxpipe.actors.blocking import run_blocking
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.sink import CallLog
from voxpipe.audio import PTIME_MS, SLIN8, AudioFormat
from voxpipe.dsp import Converter
from voxpipe.dsp.echo import Echo, Heard
from voxpipe.dsp.speech import Speech, SpeechModel, keep_model, take_model
from voxpipe.sansio.leg import LegFormatConfirmed
from voxpipe.sansio.voice import VoiceGate, VoiceThresholds, VoiceWindow
from voxpipe.voice_config import VoiceConfig

KEPT_FRAMES = 30
"""Caller audio (600 ms) from before a voice was detected that belongs to its turn: the beginning of its first word."""


@attrs.frozen
class VoiceChange:
    """The caller's voice has started or stopped, and what was found in the frame that decided it."""

    started: bool
    voice_ms: int
    """How long it has lasted; once it has stopped, without the silence after it."""
    probability: float
    heard: Heard

    def describe(self) -> dict[str, object]:
        """Say it in a record's words."""
        level_dbfs = self.heard.level_dbfs
        return {
            "voice_ms": self.voice_ms,
            "probability": round(self.probability, 3),
            "level_dbfs": round(level_dbfs, 1) if math.isfinite(level_dbfs) else None,
            "unexplained": round(self.heard.unexplained, 3),
            "echo_coupling_db": round(self.heard.coupling_db, 1),
            "echo_delay_ms": self.heard.delay_ms,
        }


class VoiceWatch:
    """Watches one leg for the caller's voice, each change a record and a call of ``on_change``, which must not wait.

    The rest may be called at any time; before ``run`` has a model, and where none is asked for, it does nothing. Where
    the voice ``makes_turns``, only its audio is for the provider: whatever was sent since the last turn becomes part of
    the next.
    """

    def __init__(
        self, config: VoiceConfig, log: CallLog, on_change: Callable[[VoiceChange], None], *, makes_turns: bool
    ) -> None:
        self._config = config
        self._makes_turns = makes_turns
        self._speaking = False
        self._kept: deque[bytes] = deque(maxlen=KEPT_FRAMES)
        self._log = log
        self._on_change = on_change
        self._voice: CallerVoice | None = None

    async def run(self, formats: OneShot[LegFormatConfirmed]) -> None:
        """Take a speech model, listen until cancelled, and give it back. Waits for the leg's format only."""
        if self._config.detect == "off":
            return
        config = self._config
        thresholds = VoiceThresholds(
            config.threshold, config.level_dbfs, config.unexplained, config.min_speech_ms, config.silence_ms
        )
        confirmed = await formats.get()
        model = await run_blocking(take_model)
        try:
            self._voice = CallerVoice(confirmed.uplink, confirmed.downlink, thresholds, model)
            await trio.sleep_forever()
        finally:
            self._voice = None
            keep_model(model)

    def heard(self, audio: bytes) -> None:
        """Take caller audio, whole samples."""
        for change in [] if self._voice is None else self._voice.hear(audio):
            self._speaking = change.started
            self._log.record("voice.started" if change.started else "voice.stopped", change.describe())
            self._on_change(change)

    def played(self, audio: bytes) -> None:
        """Take what was written to the caller."""
        if self._voice is not None:
            self._voice.play(audio)

    def pass_on(self, frame: bytes) -> list[bytes]:
        """Take a frame of caller audio on its way to the provider; return what is to be sent by now."""
        if self._voice is None or not self._makes_turns:
            return [frame]
        self._kept.append(frame)
        if not self._speaking:
            return []
        frames = list(self._kept)
        self._kept.clear()
        return frames


class CallerVoice:
    """Listens to one leg in both directions; whatever their formats, it hears telephone quality.

    ``model`` serves this leg alone until it is given back (``keep_model``). About 0.2 ms of processor time for each
    20 ms of the call; nothing waits.
    """

    def __init__(
        self, uplink: AudioFormat, downlink: AudioFormat, thresholds: VoiceThresholds, model: SpeechModel
    ) -> None:
        self._heard = _Frames(uplink)
        self._played = _Frames(downlink)
        self._speech = Speech(model)
        self._echo = Echo()
        self._gate = VoiceGate(thresholds)

    def play(self, audio: bytes) -> None:
        """Take note of what was written to the caller, silence included: the two directions are counted in frames."""
        for frame in self._played.cut(audio):
            self._echo.play(frame)

    def hear(self, audio: bytes) -> list[VoiceChange]:
        """Take whole samples of the uplink; tell each change."""
        changes = []
        for frame in self._heard.cut(audio):
            heard = self._echo.hear(frame)
            probability = self._speech.add(frame)
            started = self._gate.add(VoiceWindow(PTIME_MS, probability, heard.level_dbfs, heard.unexplained))
            if started is not None:
                changes.append(VoiceChange(started, self._gate.voice_ms, probability, heard))
        return changes


class _Frames:
    """One direction in frames of 8 kHz linear samples."""

    def __init__(self, format_: AudioFormat) -> None:
        self._converter = Converter(format_, SLIN8)
        self._waiting = bytearray()

    def cut(self, audio: bytes) -> list[bytes]:
        self._waiting += self._converter.convert(audio)
        size = SLIN8.frame_bytes
        whole = len(self._waiting) // size * size
        frames = [bytes(self._waiting[start : start + size]) for start in range(0, whole, size)]
        del self._waiting[:whole]
        return frames
