"""What a stream of audio sounds like, second by second: its level, and whether it sounds like something misread.

Nothing here changes how bytes are read: a suspicion is evidence for whoever looks for the cause of garbled, slow or
silent audio. dsp/README.md, "Suspicions", has the reasons and the measured rates of false alarm.
"""

from __future__ import annotations

import math
import statistics
from collections import deque

import attrs
import numpy as np

from voxpipe.audio import AudioFormat, Encoding
from voxpipe.dsp._g711 import alaw_decode, ulaw_decode
from voxpipe.dsp._level import Meter, correlate
from voxpipe.dsp.level import Level, level_of

SLICES = 50
"""Slices of 20 ms in a window: suspicions are weighed once a second."""
SLICE_S = 0.02
SLIN_BYTES = 2
ACTIVE_DBFS = -50.0
"""RMS below which a second holds too little speech to judge."""

READ_EVERY = 4
"""The readings other than our own are tried on every fourth slice."""
MARGIN = 0.2
"""How much smoother another reading must be. Neighbours of true samples are alike; those of misread bytes are not."""
SMOOTH = 0.5
"""Correlation of neighbours from which a reading sounds like speech."""

OFFSET_LSB = 64.0
QUIET_DBFS = -60.0

TEMPO_WINDOWS = 4
"""Seconds of speech in one estimate of the tempo, and how many estimates in a row are averaged."""
TEMPO_ESTIMATES = 4
USUAL_FREQUENCY_HZ, FREQUENCY_SPREAD = 1_090.0, 0.30
USUAL_SYLLABLES_HZ, SYLLABLES_SPREAD = 4.8, 0.20
"""Mean frequency, and centre of gravity of the envelope's spectrum from 0.5 to 24 Hz, of speech; spread of their
logarithms over voices, tempos and languages (benchmarks/dsp/detectors.py)."""
FAST_LOG, SLOW_LOG = 0.42, -0.6
"""Where the mean estimate is too far off: 1.5 times too fast, 1.8 times too slow. Slow speakers are commoner."""
LOWEST_VOICE_HZ, HIGHEST_VOICE_HZ = 65.0, 340.0
"""No grown-up's median pitch is lower or higher."""
PITCH_SLICES = 5
VOICED = 0.6
"""Height of the autocorrelation's peak in 100 ms that are voiced."""
PITCHES = 16
JUDGED_WINDOWS = 40
"""Seconds of speech after which the tempo is settled: a format does not change in the middle of a stream."""

PERSISTS = 2
"""Windows in a row before a suspicion is told."""


_HANN = np.hanning(TEMPO_WINDOWS * SLICES)
_BAND = slice(2, round(24 * SLICE_S * len(_HANN)) + 1)
_BEAT_HZ = np.fft.rfftfreq(len(_HANN), SLICE_S)[_BAND]


@attrs.frozen
class Suspicion:
    """Something that audio read rightly does not sound like."""

    name: str
    """``byte-swapped``, ``ulaw``, ``alaw``, ``slin`` (what it sounds like), ``offset``, ``fast`` or ``slow``."""
    message: str
    """Expected and actual, in words."""


@attrs.frozen
class Second:
    """One second of a stream."""

    level: Level
    suspicions: tuple[Suspicion, ...]
    """Those that began in this second."""


class Diagnosis:
    """Listens to one direction of a leg or a session in its wire format; microseconds a frame."""

    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self._meter = Meter(format.frame_samples)
        self._decode = {Encoding.ULAW: ulaw_decode, Encoding.ALAW: alaw_decode}.get(format.encoding)
        self._skip_bytes = 0
        self._frame = bytearray()
        self._readings = {name: [0, 0, 0, 0] for name in ("slin", "byte-swapped", "ulaw", "alaw")}
        self._speech: deque[tuple[int, int]] = deque(maxlen=TEMPO_WINDOWS * SLICES)
        self._estimates: deque[float] = deque(maxlen=TEMPO_ESTIMATES)
        self._pitches_hz: deque[float] = deque(maxlen=4 * PITCHES)
        self._pitch_bytes = PITCH_SLICES * SLIN_BYTES * format.frame_samples
        self._stretch = bytearray()
        self._judged = 0
        self._held: dict[str, int] = {}

    def add(self, data: bytes) -> Second | None:
        """Take whole samples; once a second of audio, return what it was. Half a sample is an ``AudioError``."""
        samples = data if self._decode is None else self._decode(data)
        slices = self._meter.add(samples)
        if self._judged < JUDGED_WINDOWS:
            self._listen_for_pitch(samples)
        if self._skip_bytes <= 0:
            self._frame += data[: self.format.frame_bytes - len(self._frame)]
            if len(self._frame) == self.format.frame_bytes:
                self._try_readings(bytes(self._frame))
                self._frame.clear()
                self._skip_bytes = READ_EVERY * self.format.frame_bytes
        self._skip_bytes -= len(data)
        return self._weigh() if slices >= SLICES else None

    def _listen_for_pitch(self, samples: bytes) -> None:
        self._stretch += samples[: self._pitch_bytes]
        if len(self._stretch) < 2 * self._pitch_bytes:
            return
        # One stretch of 100 ms in two is enough.
        pitch_hz = pitch_of(bytes(self._stretch[: self._pitch_bytes]), self.format.rate_hz)
        self._stretch.clear()
        if pitch_hz:
            self._pitches_hz.append(pitch_hz)

    def _try_readings(self, data: bytes) -> None:
        for name, sums in self._readings.items():
            for index, value in enumerate(correlate(data, name)):
                sums[index] += value

    def _weigh(self) -> Second:
        sums, energies, lags = self._meter.take()
        level = level_of(*sums)
        misread = self._weigh_readings()
        tempo = self._weigh_tempo(level, energies, lags) if misread is None else None
        found = [self._weigh_offset(level), misread, tempo]
        begun = []
        names = {suspicion.name for suspicion in found if suspicion is not None}
        for name in list(self._held):
            if name not in names:
                del self._held[name]
        for suspicion in found:
            if suspicion is not None:
                held = self._held[suspicion.name] = self._held.get(suspicion.name, 0) + 1
                if held == PERSISTS:
                    begun.append(suspicion)
                    if suspicion is misread:
                        self._judged = JUDGED_WINDOWS  # what is misread has no tempo
        return Second(level, tuple(begun))

    def _weigh_offset(self, level: Level) -> Suspicion | None:
        ac = 10 ** (level.rms_dbfs / 10) - (level.dc_offset_lsb / 32_768) ** 2
        if abs(level.dc_offset_lsb) < OFFSET_LSB or ac > 10 ** (QUIET_DBFS / 10):
            return None
        return Suspicion(
            "offset", f"expected silence about 0, got silence about {level.dc_offset_lsb:.0f}, as of misread bytes"
        )

    def _weigh_readings(self) -> Suspicion | None:
        own_name = {Encoding.ULAW: "ulaw", Encoding.ALAW: "alaw"}.get(self.format.encoding, "slin")
        smooth = {name: _smoothness(*sums) for name, sums in self._readings.items()}
        loud = {name: _is_active(*sums) for name, sums in self._readings.items()}
        for sums in self._readings.values():
            sums[:] = 0, 0, 0, 0
        best = max((name for name in smooth if loud[name]), key=smooth.__getitem__, default=own_name)
        if best == own_name or smooth[best] < SMOOTH or smooth[best] - smooth[own_name] < MARGIN:
            return None
        return Suspicion(
            best,
            f"expected {self.format}, got what sounds like {best}: neighbouring samples correlate by "
            f"{smooth[own_name]:.2f} as {self.format} and by {smooth[best]:.2f} as {best}",
        )

    def _weigh_tempo(self, level: Level, energies: list[int], lags: list[int]) -> Suspicion | None:
        if level.rms_dbfs > ACTIVE_DBFS and self._judged < JUDGED_WINDOWS:
            self._judged += 1
            self._speech.extend(zip(energies, lags, strict=True))
            if len(self._speech) == self._speech.maxlen:
                self._estimates.append(self._tempo())
        if self._judged >= JUDGED_WINDOWS or len(self._estimates) < TEMPO_ESTIMATES or len(self._pitches_hz) < PITCHES:
            return None
        tempo_log = sum(self._estimates) / TEMPO_ESTIMATES
        pitch_hz = statistics.median(self._pitches_hz)
        if tempo_log > FAST_LOG or pitch_hz > HIGHEST_VOICE_HZ:
            name = "fast"
        elif tempo_log < SLOW_LOG or pitch_hz < LOWEST_VOICE_HZ:
            name = "slow"
        else:
            return None
        return Suspicion(
            name,
            f"expected speech at its own tempo and pitch, got it too {name}: {math.exp(tempo_log):.1f} times the usual "
            f"tempo, pitch {pitch_hz:.0f} Hz (is the rate really {self.format.rate_hz} Hz?)",
        )

    def _tempo(self) -> float:
        """The logarithm of how much too fast the speech sounds, by its mean frequency and the beat of its syllables."""
        energy, lag = np.array(self._speech, dtype=np.float64).T
        correlation = min(1.0, max(-1.0, float(lag.sum() / energy.sum())))
        frequency_hz = self.format.rate_hz / (2 * math.pi) * math.acos(correlation)
        envelope = np.sqrt(energy)
        power = np.abs(np.fft.rfft((envelope - envelope.mean()) * _HANN)[_BAND]) ** 2
        strength = float(power.sum())
        if not frequency_hz or not strength:
            return 0.0  # a constant has no tempo
        syllables_hz = float(power @ _BEAT_HZ) / strength
        weights = FREQUENCY_SPREAD**-2, SYLLABLES_SPREAD**-2
        logs = math.log(frequency_hz / USUAL_FREQUENCY_HZ), math.log(syllables_hz / USUAL_SYLLABLES_HZ)
        return (weights[0] * logs[0] + weights[1] * logs[1]) / sum(weights)


def pitch_of(samples: bytes, rate_hz: int) -> float | None:
    """Estimate the pitch of about 100 ms of samples in Hz, from 30 to 900; ``None`` when they are not voiced.

    The first high peak of the autocorrelation, freed of the window's own (P. Boersma, 1993).
    """
    fold = max(1, rate_hz // 8_000)
    wave = np.frombuffer(samples, dtype="<i2").astype(np.float64)
    wave = wave[: wave.size // fold * fold].reshape(-1, fold).mean(axis=1)
    wave -= wave.mean()
    if wave.std() < 32_768 * 10 ** (ACTIVE_DBFS / 20):
        return None
    window = np.hanning(wave.size)
    ours, its = (np.fft.irfft(np.abs(np.fft.rfft(each, 2 * wave.size)) ** 2) for each in (wave * window, window))
    low, high = int(rate_hz / fold / 900), min(int(rate_hz / fold / 30), wave.size * 6 // 10)
    curve = ours[low:high] / ours[0] * its[0] / np.maximum(its[low:high], 1e-3 * its[0])
    peaks = np.flatnonzero((curve[1:-1] >= curve[:-2]) & (curve[1:-1] >= curve[2:])) + 1
    high_peaks = peaks[curve[peaks] >= max(VOICED, 0.85 * float(curve.max()))]
    return float(rate_hz / fold / (low + high_peaks[0])) if high_peaks.size else None


def _variance(samples: int, total: int, squares: int) -> float:
    return squares / samples - (total / samples) ** 2 if samples else 0.0


def _smoothness(samples: int, total: int, squares: int, lag: int) -> float:
    """The correlation of neighbours, the offset taken out."""
    variance = _variance(samples, total, squares)
    return (lag / samples - (total / samples) ** 2) / variance if variance > 0 else 0.0


def _is_active(samples: int, total: int, squares: int, _lag: int) -> bool:
    return _variance(samples, total, squares) > (32_768 * 10 ** (ACTIVE_DBFS / 20)) ** 2
