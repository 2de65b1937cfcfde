"""How much of what a caller's line brings is the agent's own voice coming back.

A telephone returns some of what it plays, some 20 to 500 ms later and changed by a loudspeaker, a room and a
microphone. Its waveform is unlike what was played, but its loudness over time, band by band, is not. So for each frame
the power in bands is compared with that of the playout a while ago:

- the *delay* is the lag at which the two run most alike (correlation of compressed powers, all bands together);
- the *coupling* is how much quieter the uplink is than the playout at that lag, band by band. Anything else on the line
  can only add to the uplink, so the coupling falls wherever less came back than it says, and rises only while the
  uplink runs like the playout. Before anything is known it is ``START_COUPLING_DB``, at all lags at once;
- what the coupling, a margin and the line's own noise do not explain is somebody else.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from voxpipe.audio import PTIME_MS, SLIN8
from voxpipe.dsp.level import FULL_SCALE

Powers: TypeAlias = npt.NDArray[np.float64]

FRAME_SAMPLES = SLIN8.frame_samples
BAND_EDGES_HZ = (200, 300, 400, 510, 630, 770, 920, 1_080, 1_270, 1_480, 1_720, 2_000, 2_320, 2_700, 3_150, 3_700)
"""Critical bands (Zwicker, 1961) within the telephone's; what is below is hum."""
MAX_DELAY_FRAMES = 28
"""500 ms, more than a round trip through two jitter buffers and a mobile network should take, and its spread."""
SPREAD_FRAMES = (1, 2)
"""An echo may come this many frames sooner or later than its delay: jitter, and the tail of a room."""
START_COUPLING_DB = -15.0
LEAST_COUPLING_DB = -50.0
MARGIN_DB = 7.0
"""How far single frames and bands stray above the mean coupling."""
NOISE_MARGIN_DB = 9.0
ACTIVE_DBFS = -60.0
"""A band of playout below this returns nothing that can be heard."""
ALIKE = 0.55
"""The correlation from which on the uplink runs like the playout. Two voices of espeak-ng, both with the same
words, had 0.58 after 50 frames and at most 0.50 after 75; echoes had at least 0.66 at -30 dB, with noise of -65 dBFS,
and 0.84 at -20 dB.
"""
MEMORY_FRAMES = 100
"""Time constant of the correlation: 2 s, some eight syllables."""
LEARN_FRAMES = 50
"""A correlation of less than a second is mostly chance."""
KNOWN_AFTER_FRAMES = 25
"""The likeness must have been greatest at one and the same lag for so long: two words that begin together are alike for
less.
"""
SMOOTHING_FRAMES = 15
"""Time constant of the powers that the coupling is the ratio of; a ratio of single frames is mostly chance."""
FALL, RISE = 0.10, 0.05
"""Share of the way to a lower or higher coupling that is gone in a frame."""
NOISE_RISE_DB = 0.06
"""A frame; 3 dB a second, so that speech does not become noise."""
START_NOISE_DBFS = -45.0
"""Of one band: what a line brings from its first frame on may be noise up to there; it falls to what it is at once."""
FLOOR_DBFS = -70.0
"""Of one band: what is below is as good as silence."""


@attrs.frozen
class Heard:
    """One frame of uplink, and what of it the playout explains."""

    level_dbfs: float
    """Between 200 and 3700 Hz; ``-inf`` for digital silence."""
    unexplained: float
    """Share of its power, 0 to 1, that neither the agent's echo nor steady noise explains."""
    coupling_db: float
    """How much quieter the echo is than the playout (mean of the bands); what is assumed before it is known."""
    delay_ms: int | None
    """The echo's delay; ``None`` before it is known, or where there is no echo."""


class Echo:
    """The echo path of one call, learnt from what is played and heard; frames are 160 samples of int16 at 8 kHz.

    Nothing is kept of a buffer.
    """

    def __init__(self) -> None:
        bands = len(BAND_EDGES_HZ) - 1
        self._window = np.hanning(FRAME_SAMPLES + 2)[1:-1]
        self._edges = np.searchsorted(np.fft.rfftfreq(FRAME_SAMPLES, 1 / SLIN8.rate_hz), BAND_EDGES_HZ)
        self._scale = 2 / (FRAME_SAMPLES * float((self._window**2).sum()) * FULL_SCALE**2)
        # Row n is the frame written n frames ago, and the smoothed power at that time.
        self._played = np.zeros((MAX_DELAY_FRAMES, bands))
        self._smooth_played = np.zeros((MAX_DELAY_FRAMES, bands))
        self._smooth_heard = np.zeros(bands)
        self._coupling_db = np.full(bands, START_COUPLING_DB)
        self._noise = np.full(bands, _power(START_NOISE_DBFS))
        self._likeness = _Likeness(bands)
        self._delay_frames: int | None = None
        self._best_frames = self._alike_frames = 0

    def play(self, frame: bytes) -> None:
        """Take note of a frame that was written to the caller, silence included."""
        powers = self._powers(frame)
        smooth = self._smooth_played[0] + (powers - self._smooth_played[0]) / SMOOTHING_FRAMES
        for history, newest in ((self._played, powers), (self._smooth_played, smooth)):
            history[1:] = history[:-1]
            history[0] = newest

    def hear(self, frame: bytes) -> Heard:
        """Take a frame from the caller's line and tell how much of it is new."""
        heard = self._powers(frame)
        self._smooth_heard += (heard - self._smooth_heard) / SMOOTHING_FRAMES
        if self._played.max() > _power(ACTIVE_DBFS):
            self._learn(heard)
        total = float(heard.sum())
        known = self._echo() + self._noise * _power(NOISE_MARGIN_DB)
        self._noise = np.clip(heard, _power(FLOOR_DBFS), self._noise * _power(NOISE_RISE_DB))
        unexplained = float(heard[heard > known].sum())
        return Heard(
            level_dbfs=10 * math.log10(total) if total else -math.inf,
            unexplained=unexplained / total if total else 0.0,
            coupling_db=float(self._coupling_db.mean()),
            delay_ms=None if self._delay_frames is None else self._delay_frames * PTIME_MS,
        )

    def _powers(self, frame: bytes) -> Powers:
        """The power in each band; the sum over all is that of the frame between the outermost edges."""
        spectrum = np.fft.rfft(np.frombuffer(frame, "<i2") * self._window)
        bins = (spectrum.real**2 + spectrum.imag**2) * self._scale
        bands: Powers = np.add.reduceat(bins, self._edges)[:-1]
        return bands

    def _echo(self) -> Powers:
        """The most that may come back in this frame."""
        nearest = slice(0, MAX_DELAY_FRAMES)
        if self._delay_frames is not None:
            sooner, later = SPREAD_FRAMES
            nearest = slice(max(0, self._delay_frames - sooner), self._delay_frames + later + 1)
        loudest: Powers = self._played[nearest].max(axis=0)
        return loudest * 10 ** ((self._coupling_db + MARGIN_DB) / 10)

    def _learn(self, heard: Powers) -> None:
        likeness = self._likeness.add(_decibels(heard), _decibels(self._played))
        best = int(likeness.argmax())
        alike = self._likeness.frames > LEARN_FRAMES and likeness[best] > ALIKE and best == self._best_frames
        self._alike_frames = self._alike_frames + 1 if alike else 0
        self._best_frames = best
        known = self._alike_frames >= KNOWN_AFTER_FRAMES
        if known:
            self._delay_frames = best
        # At an unknown lag the least of all makes the highest ratio, which the coupling cannot exceed.
        played = (
            self._smooth_played.min(axis=0) if self._delay_frames is None else self._smooth_played[self._delay_frames]
        )
        ratio_db = np.maximum(_decibels(self._smooth_heard) - _decibels(played), LEAST_COUPLING_DB)
        step_db = ratio_db - self._coupling_db
        share = np.where(step_db < 0, FALL, RISE if known else 0.0)
        self._coupling_db += np.where(played > _power(ACTIVE_DBFS), share * step_db, 0.0)


class _Likeness:
    """Correlation of the uplink with the playout at each lag, of all bands together, with a fading memory."""

    def __init__(self, bands: int) -> None:
        self.frames = 0
        self._mean_heard = np.zeros(bands)
        self._mean_played = np.zeros((MAX_DELAY_FRAMES, bands))
        self._square_heard = 0.0
        self._square_played = np.zeros(MAX_DELAY_FRAMES)
        self._product = np.zeros(MAX_DELAY_FRAMES)

    def add(self, heard: Powers, played: Powers) -> Powers:
        """Take the levels of a frame, and of the playout at each lag; return the correlation at each lag."""
        self.frames += 1
        share = 1 / min(self.frames, MEMORY_FRAMES)
        apart_heard = heard - self._mean_heard
        apart_played = played - self._mean_played
        self._mean_heard += share * apart_heard
        self._mean_played += share * apart_played
        self._square_heard += share * (float(apart_heard @ apart_heard) - self._square_heard)
        self._square_played += share * ((apart_played**2).sum(axis=1) - self._square_played)
        self._product += share * (apart_played @ apart_heard - self._product)
        scale = np.sqrt(self._square_heard * self._square_played)
        likeness: Powers = self._product / np.maximum(scale, 1e-9)
        return likeness


def _power(level_db: float) -> float:
    return float(10 ** (level_db / 10))


def _decibels(powers: Powers) -> Powers:
    levels: Powers = 10 * np.log10(np.maximum(powers, _power(FLOOR_DBFS)))
    return levels
