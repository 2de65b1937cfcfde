"""The parrot: hears turns in a stream of audio, and gives each one back. No I/O, no clock.

Time is the position in all the audio appended in the session, as in the provider's ``audio_start_ms`` and
``audio_end_ms``. The detector looks at whole windows of 20 ms: three loud ones in a row begin a turn (so that a click
does not), ``silence_duration_ms`` of quiet ones end it. A provider's ``threshold`` is a probability; here 0 to 1
means -60 to -20 dBFS, so that the default of 0.5 lies at -40 dBFS, between a quiet line and a quiet voice.

G.711 is computed here from its definition (ITU-T G.711, tables 1 and 2), and formats are converted with a filter of
this module's own: a peer that shared the code under test would prove nothing.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from voxpipe.audio import AudioFormat, Encoding
from voxpipe.errors import AudioError

Samples: TypeAlias = npt.NDArray[np.int16]

WINDOW_MS = 20
ONSET_WINDOWS = 3
DEFAULT_LIMIT_S = 300.0
FULL_SCALE = 32768.0


@attrs.frozen
class Hearing:
    """What the session's ``turn_detection`` says: threshold 0 to 1, and two durations."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500

    @property
    def threshold_dbfs(self) -> float:
        """The level of a window that counts as speech."""
        return -60.0 + 40.0 * self.threshold


@attrs.frozen
class TurnBegan:
    """Speech was heard; the turn begins at ``start_ms``, prefix padding included."""

    start_ms: int


@attrs.frozen
class TurnEnded:
    """The silence after speech was long enough; ``audio`` is the turn, from ``start_ms`` to ``end_ms``."""

    start_ms: int
    end_ms: int
    audio: bytes


Heard: TypeAlias = TurnBegan | TurnEnded


class Parrot:
    """The provider's input audio buffer and its ear.

    ``hearing`` is None for a session without turn detection: then the audio waits for ``commit``. At most ``limit_s``
    of audio is kept; more is refused. Without speech only the prefix padding is kept.
    """

    def __init__(
        self,
        format_: AudioFormat,
        hearing: Hearing | None,
        *,
        limit_s: float = DEFAULT_LIMIT_S,
        origin_ms: float = 0.0,
    ) -> None:
        self.format = format_
        self.hearing = hearing
        self._limit_bytes = format_.bytes_of_ms(limit_s * 1000)
        self._limit_s = limit_s
        self._origin_ms = origin_ms
        self._buffer = bytearray()
        self._buffer_start = 0  # position of the buffer's first sample
        self._examined = 0  # position of the first sample not looked at yet
        self._turn_start: int | None = None
        self._loud_windows = 0
        self._quiet_windows = 0

    @property
    def position_ms(self) -> float:
        """How much audio has been appended in the session, in milliseconds."""
        return self._origin_ms + self.format.samples_ms(self._end)

    @property
    def buffered_ms(self) -> float:
        """How much audio waits for a commit."""
        return self.format.duration_ms(len(self._buffer))

    @property
    def speaking(self) -> bool:
        """Whether a turn has begun and not ended."""
        return self._turn_start is not None

    @property
    def _end(self) -> int:
        return self._buffer_start + self.format.samples(len(self._buffer))

    def append(self, audio: bytes) -> list[Heard]:
        """Take audio of any length in whole samples; half a sample, or too much audio, is an ``AudioError``."""
        self.format.samples(len(audio))
        if len(self._buffer) + len(audio) > self._limit_bytes:
            raise AudioError(
                f"expected at most {self._limit_s:g} s of audio before a commit, "
                f"got {self.format.duration_ms(len(self._buffer) + len(audio)) / 1000:.1f} s"
            )
        self._buffer += audio
        if self.hearing is None:
            return []
        heard = self._examine(self.hearing)
        if self._turn_start is None:
            self._forget_before(self._end - self._padding(self.hearing) - ONSET_WINDOWS * self._window)
        return heard

    def commit(self) -> TurnEnded:
        """End the turn by hand, with all that waits; too little audio is an ``AudioError``."""
        start = self._buffer_start if self._turn_start is None else self._turn_start
        audio = bytes(self._buffer[self._offset(start) :])
        turn = TurnEnded(self._ms(start), self._ms(self._end), audio)
        self.clear()
        return turn

    def clear(self) -> None:
        """Forget what waits; the position stays."""
        self._forget_before(self._end)
        self._examined = self._end
        self._turn_start = None
        self._loud_windows = self._quiet_windows = 0

    def relisten(self, format_: AudioFormat, hearing: Hearing | None) -> Parrot:
        """Follow a changed session: the same ear for the same format, otherwise an empty one at our position."""
        if format_ == self.format:
            self.hearing = hearing
            return self
        return Parrot(format_, hearing, limit_s=self._limit_s, origin_ms=self.position_ms)

    @property
    def _window(self) -> int:
        return self.format.rate_hz * WINDOW_MS // 1000

    def _padding(self, hearing: Hearing) -> int:
        return self.format.rate_hz * hearing.prefix_padding_ms // 1000

    def _ms(self, position: int) -> int:
        return round(self._origin_ms + self.format.samples_ms(position))

    def _offset(self, position: int) -> int:
        return max(position - self._buffer_start, 0) * self.format.sample_bytes

    def _forget_before(self, position: int) -> None:
        if position > self._buffer_start:
            del self._buffer[: self._offset(position)]
            self._buffer_start = position

    def _examine(self, hearing: Hearing) -> list[Heard]:
        heard: list[Heard] = []
        while self._end - self._examined >= self._window:
            window_start, self._examined = self._examined, self._examined + self._window
            window = bytes(self._buffer[self._offset(window_start) : self._offset(self._examined)])
            loud = level_dbfs(decode(window, self.format.encoding)) >= hearing.threshold_dbfs
            self._loud_windows = self._loud_windows + 1 if loud else 0
            self._quiet_windows = 0 if loud else self._quiet_windows + 1
            if self._turn_start is None and self._loud_windows == ONSET_WINDOWS:
                onset = self._examined - ONSET_WINDOWS * self._window
                self._turn_start = max(onset - self._padding(hearing), self._buffer_start)
                heard.append(TurnBegan(self._ms(self._turn_start)))
            elif self._turn_start is not None and self._quiet_windows * WINDOW_MS >= hearing.silence_duration_ms:
                heard.append(self._end_turn(self._turn_start))
        return heard

    def _end_turn(self, start: int) -> TurnEnded:
        audio = bytes(self._buffer[self._offset(start) : self._offset(self._examined)])
        turn = TurnEnded(self._ms(start), self._ms(self._examined), audio)
        self._forget_before(self._examined)
        self._turn_start = None
        self._loud_windows = self._quiet_windows = 0
        return turn


def level_dbfs(samples: Samples) -> float:
    """RMS level; a full-scale square wave is 0 dBFS, silence minus infinity."""
    power = float(np.mean(np.square(samples.astype(np.float64)))) if samples.size else 0.0
    return 10.0 * float(np.log10(power / FULL_SCALE**2)) if power else -np.inf


def decode(audio: bytes, encoding: Encoding) -> Samples:
    """Read bytes of one encoding as 16-bit linear samples."""
    if encoding is Encoding.SLIN:
        return np.frombuffer(audio, "<i2")
    return _DECODE[encoding][np.frombuffer(audio, np.uint8)]


def encode(samples: Samples, encoding: Encoding) -> bytes:
    """Write samples in one encoding; in G.711 the code whose amplitude is nearest."""
    if encoding is Encoding.SLIN:
        return samples.astype("<i2").tobytes()
    codes, bounds = _ENCODE[encoding]
    return codes[np.searchsorted(bounds, samples)].tobytes()


def convert(audio: bytes, source: AudioFormat, target: AudioFormat) -> bytes:
    """Bring one whole piece of audio into another format; equal formats give the very same bytes."""
    if source == target:
        return audio
    samples = decode(audio, source.encoding)
    if source.rate_hz != target.rate_hz:
        samples = _resample(samples, source.rate_hz, target.rate_hz)
    return encode(samples, target.encoding)


def speech_like(duration_s: float, rate_hz: int) -> Samples:
    """Deterministic bursts with the outline of speech: a buzz of 140 Hz, four syllables a second, about -20 dBFS."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    pitch_hz = 140.0 + 15.0 * np.sin(2 * np.pi * 0.7 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    buzz = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 2.0 * time_s) ** 2 * 1.6 - 0.3, 0.0, 1.0)
    return np.round(0.2 * FULL_SCALE * buzz * syllables).astype(np.int16)


def _resample(samples: Samples, source_hz: int, target_hz: int) -> Samples:
    # Up by one whole number, through a windowed sinc below both Nyquist rates, and down by another; zero delay.
    common = int(np.gcd(source_hz, target_hz))
    up, down = target_hz // common, source_hz // common
    taps = np.arange(-48 * max(up, down), 48 * max(up, down) + 1)
    cutoff = 0.92 / max(up, down)
    kernel = up * cutoff * np.sinc(cutoff * taps) * np.hamming(taps.size)
    stuffed = np.zeros(samples.size * up)
    stuffed[::up] = samples
    smooth = np.convolve(stuffed, kernel)[taps.size // 2 :][: stuffed.size]
    return np.clip(np.round(smooth[::down]), -32768, 32767).astype(np.int16)


def _ulaw_levels() -> Samples:
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = ((((code & 0x0F).astype(np.int32) << 3) + 132) << ((code >> 4) & 7)) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_levels() -> Samples:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = ((code >> 4) & 7).astype(np.int32)
    mantissa = ((code & 0x0F).astype(np.int32) << 4) + 8
    magnitude = np.where(exponent == 0, mantissa, (mantissa + 256) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _nearest(levels: Samples) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    order = np.argsort(levels, kind="stable")
    ordered = levels[order].astype(np.float64)
    return order.astype(np.uint8), (ordered[:-1] + ordered[1:]) / 2


_DECODE = {Encoding.ULAW: _ulaw_levels(), Encoding.ALAW: _alaw_levels()}
_ENCODE = {encoding: _nearest(levels) for encoding, levels in _DECODE.items()}
