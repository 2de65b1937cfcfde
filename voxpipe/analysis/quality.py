"""What a path did to sound: a reference is held against what was heard of it, sample by sample.

Signal to noise is measured at 8 kHz, from 300 to 3 400 Hz, after delay, drift, jumps and gain are taken out
(alignment.py); where both recordings have 16 kHz or more also from 50 to 7 000 Hz. Gaps, and 3 ms beside a jump, are
left out of it, since they are told by themselves. Levels, offset and clipping are those of the recordings as they are.

A linear path of 16 bits leaves more than 60 dB. G.711 once in the path leaves about 36 dB, and its noise rises with the
signal by as many dB, by the companding of its tables 1a and 2a; that is how it is told from noise that was added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from voxpipe.analysis.alignment import JUMP_SAMPLES, Alignment, Floats, find_alignment, interpolate
from voxpipe.analysis.dropouts import Gap, find_gaps
from voxpipe.analysis.scores import Scores, score
from voxpipe.audio import AudioFormat, Encoding
from voxpipe.dsp import Resampler, alaw_decode, alaw_encode, measure_level, ulaw_decode, ulaw_encode
from voxpipe.errors import AudioError

LINEAR_DB = 60.0
G711_DB = (30.0, 45.0)
"""Measured once through either law: 30.7 (speech, 30 dB down) to 38.9 dB (a sweep) in the band."""
G711_SLOPE = 0.2
"""dB that the noise rises with each dB of the signal: 0.24 (30 dB down) to 0.9 for G.711, 0 for added noise."""
NARROW_HZ, WIDE_HZ = 8_000, 16_000
NARROW_BAND_HZ, WIDE_BAND_HZ = (300.0, 3_400.0), (50.0, 7_000.0)
EDGE = 0.03
"""Width of a band's edges as a share of its upper end."""
ROUNDING_LSB = 0.6
"""Noise up to this (RMS) is that of rounding to 16 bits, three times at most; the finest step of G.711 leaves 2.3."""
DAMAGED_DB = 30.0
"""A frame is damaged that has so much less signal to noise than the median, and less than 10 dB."""
FFT_STEP = 4_096
SHORTEST_S = 0.5
END_S = 0.01
JUMP_S = 0.003
FRAME_S = 0.02
SEGMENTAL_DB = (-10.0, 80.0)
ACTIVE_DB = -40.0
"""A frame counts as active that is no quieter than this against the loudest."""
FULL_SCALE = 32_768
NO_BAND_DB = -20.0
Path = Literal["linear", "g711", "distorted", "different"]
_CODES: dict[str, Callable[[bytes], bytes]] = {
    "ulaw": lambda audio: ulaw_decode(ulaw_encode(audio)),
    "alaw": lambda audio: alaw_decode(alaw_encode(audio)),
}


@attrs.frozen
class Jump:
    """A change of the delay: audio that is missing, or was repeated or put in."""

    at_s: float
    """Where in the recording."""
    change_ms: float
    """Positive: so much was repeated or put in; negative: so much is missing."""


@attrs.frozen(kw_only=True)
class Quality:
    """What was found. ``None`` is what cannot be told: all of the comparison, where it is not the same audio."""

    path: Path
    reference_hz: int
    heard_hz: int
    likeness: float | None = None
    """Correlation of the stretch of 2 s that was found best, without its sign."""
    snr_db: float | None = None
    """300 to 3 400 Hz."""
    segmental_snr_db: float | None = None
    """The mean over active frames of 20 ms, each between -10 and 80 dB."""
    wideband_snr_db: float | None = None
    """50 to 7 000 Hz; ``None`` below 16 kHz."""
    narrowed: bool = False
    """Nothing is left above 4 kHz of what the reference has there: 8 kHz in the path."""
    delay_samples: float | None = None
    """At the recording's rate: where the reference's first sample is heard."""
    drift_ppm: float | None = None
    """Positive: the recording lasts longer than the reference."""
    level_db: float | None = None
    """Gain of the path."""
    inverted: bool = False
    noise_lsb: float | None = None
    """RMS of the noise in the band."""
    active_frames: int = 0
    damaged_frames: int = 0
    """Those that are worse than the others by 30 dB, and have less than 10: concealed or overwritten."""
    noise_slope: float | None = None
    """dB that the noise rises with each dB of the signal."""
    g711_codes: str | None = None
    """``ulaw`` or ``alaw`` where every sample of the recording is a value of that law."""
    compared_s: float = 0.0
    unheard_s: float = 0.0
    """How much of the reference is beyond either end of the recording."""
    jumps: tuple[Jump, ...] = ()
    gaps: tuple[Gap, ...] = ()
    scores: Scores | None = None
    reference_dc_lsb: float
    heard_dc_lsb: float
    reference_clipped_samples: int
    heard_clipped_samples: int

    @property
    def delay_ms(self) -> float | None:
        """The delay in milliseconds."""
        return None if self.delay_samples is None else self.delay_samples * 1000 / self.heard_hz

    @property
    def verdict(self) -> str:
        """Say in plain words what kind of path it was, and what was left out of its signal to noise."""
        if self.path == "different" or self.snr_db is None:
            return "not the same audio"
        apart = [(len(self.gaps), "gap"), (len(self.jumps), "jump")]
        told = [f"{count} {name}{'s' if count > 1 else ''}" for count, name in apart if count]
        return self._kind_of_path(self.snr_db) + (f"; besides {' and '.join(told)}" if told else "")

    def _kind_of_path(self, snr_db: float) -> str:
        if self.path == "linear" and snr_db < LINEAR_DB:
            return f"linear path, so quiet that rounding to 16 bits leaves {snr_db:.1f} dB"
        if self.path == "linear":
            return f"linear path (above {LINEAR_DB:.0f} dB): {snr_db:.1f} dB"
        if self.path == "g711":
            law = f", {self.g711_codes}" if self.g711_codes else ""
            even = self.noise_slope is None and not law
            doubt = "; the signal is too even to tell it from noise of that level" if even else ""
            return f"G.711 in the path (about 36 dB{law}): {snr_db:.1f} dB{doubt}"
        some = f"; {self.damaged_frames} of {self.active_frames} frames are much worse than the others"
        return f"resampled badly or distorted ({snr_db:.1f} dB){some if self.damaged_frames else ''}"

    def to_json(self) -> dict[str, Any]:
        """Write everything as JSON data."""
        return {"verdict": self.verdict, **attrs.asdict(self), "delay_ms": self.delay_ms}


def assess(reference: bytes, reference_format: AudioFormat, heard: bytes, heard_format: AudioFormat) -> Quality:
    """Compare two mono recordings of 16-bit linear audio, of any rates.

    ``AudioError``: half a sample, a format that is not linear, less than 0.5 s of either, or a silent reference.
    """
    for name, audio, format_ in (("reference", reference, reference_format), ("heard", heard, heard_format)):
        if format_.encoding is not Encoding.SLIN:
            raise AudioError(f"{name}: expected linear audio, got {format_}")
        duration_s = format_.samples(len(audio)) / format_.rate_hz
        if duration_s < SHORTEST_S:
            raise AudioError(f"{name}: expected at least {SHORTEST_S} s of audio, got {duration_s:.3f} s")
    if not np.ptp(np.frombuffer(reference, "<i2")):
        raise AudioError("reference: expected sound, got silence")
    before, after = measure_level(reference), measure_level(heard)
    quality = Quality(
        path="different",
        reference_hz=reference_format.rate_hz,
        heard_hz=heard_format.rate_hz,
        reference_dc_lsb=before.dc_offset_lsb,
        heard_dc_lsb=after.dc_offset_lsb,
        reference_clipped_samples=before.clipped_samples,
        heard_clipped_samples=after.clipped_samples,
    )
    lower_hz = min(reference_format.rate_hz, heard_format.rate_hz)
    narrow = [to_rate(reference, reference_format.rate_hz, NARROW_HZ), to_rate(heard, heard_format.rate_hz, NARROW_HZ)]
    banded = [band(signal, NARROW_HZ, NARROW_BAND_HZ) for signal in narrow]
    alignment = find_alignment(banded[0], banded[1], NARROW_HZ) if all(map(np.any, banded)) else None
    if alignment is None:
        return quality
    positions = alignment.positions(len(narrow[1]))
    there = alignment.gain * interpolate([narrow[0]], positions)[0]
    inside = (positions >= 0) & (positions <= len(narrow[0]) - 1)
    gaps, muted = find_gaps(heard, heard_format.rate_hz, there, narrow[1], inside)
    weights = _softly(inside & ~muted & _away_from_ends(alignment, positions, len(narrow[0])))
    error = band((narrow[1] - there) * weights, NARROW_HZ, NARROW_BAND_HZ)
    signal = band(there * weights, NARROW_HZ, NARROW_BAND_HZ)
    quality = attrs.evolve(
        _placed(quality, alignment, positions, inside, len(narrow[0])),
        snr_db=_ratio_db(signal, error),
        noise_lsb=float(np.sqrt(error @ error / max(float(weights.sum()), 1.0))),
        g711_codes=_law(heard) if heard_format.rate_hz == NARROW_HZ else None,
        gaps=gaps,
        scores=score(there[inside], narrow[1][inside]),
    )
    if lower_hz >= WIDE_HZ:
        quality = _with_wide_band(quality, reference, heard, alignment, weights)
    quality = _with_frames(quality, signal, error)
    return attrs.evolve(quality, path=_kind(quality))


def _placed(
    quality: Quality, alignment: Alignment, positions: Floats, inside: NDArray[np.bool_], samples: int
) -> Quality:
    jumps = tuple(
        Jump(start / NARROW_HZ, (after - before) * 1000 / NARROW_HZ)
        for start, before, after in zip(alignment.starts[1:], alignment.delays[:-1], alignment.delays[1:], strict=True)
        if abs(after - before) > JUMP_SAMPLES / 2  # else it was the drift
    )
    unheard = max(positions[0], 0.0) + max(samples - 1 - positions[-1], 0.0)
    return attrs.evolve(
        quality,
        likeness=abs(alignment.likeness),
        delay_samples=alignment.delays[0] / (1 - alignment.drift) * quality.heard_hz / NARROW_HZ,
        drift_ppm=alignment.drift / (1 - alignment.drift) * 1e6,
        level_db=20 * math.log10(abs(alignment.gain)),
        inverted=alignment.gain < 0,
        compared_s=int(inside.sum()) / NARROW_HZ,
        unheard_s=float(unheard) / NARROW_HZ,
        jumps=jumps,
    )


def _away_from_ends(alignment: Alignment, positions: Floats, samples: int) -> NDArray[np.bool_]:
    """Leave out where either recording begins and ends, and where the delay jumps: filters ring there."""
    margin = round(END_S * NARROW_HZ)
    away = (positions >= margin) & (positions < samples - margin)
    away[:margin] = away[-margin:] = False
    beside = round(JUMP_S * NARROW_HZ)
    for start in alignment.starts[1:]:
        away[max(start - beside, 0) : start + beside] = False
    return np.asarray(away)


def _softly(mask: NDArray[np.bool_]) -> Floats:
    """Turn a mask into weights that rise and fall over 4 ms within it, so that an edge is no sound of its own."""
    window = np.hanning(round(0.008 * NARROW_HZ) + 1)
    return np.asarray(np.clip(2 * np.convolve(mask, window / window.sum(), mode="same") - 1, 0, 1))


def to_rate(audio: bytes, rate_hz: int, target_hz: int) -> Floats:
    """Resample as a call does, and take the offset away."""
    if rate_hz != target_hz:
        resampler = Resampler(rate_hz, target_hz)
        audio = resampler.process(audio) + resampler.flush()
    samples = np.frombuffer(audio, "<i2").astype(np.float64)
    return np.asarray(samples - samples.mean())


def band(signal: Floats, rate_hz: int, limits_hz: tuple[float, float]) -> Floats:
    """Keep a band, with raised-cosine edges outside of it, so that what is sudden does not ring for long."""
    low_hz, high_hz = limits_hz
    width_hz = EDGE * high_hz
    size = -(-(len(signal) + rate_hz // 4) // FFT_STEP) * FFT_STEP
    spectrum = np.fft.rfft(signal, size)
    below = max(math.floor((low_hz - min(width_hz, low_hz)) * size / rate_hz), 0)
    above = min(math.ceil((high_hz + width_hz) * size / rate_hz), len(spectrum))
    spectrum[:below] = spectrum[above:] = 0
    frequencies_hz = np.arange(below, above) * rate_hz / size
    rise = np.clip((frequencies_hz - low_hz) / min(width_hz, low_hz) + 1, 0, 1)
    fall = np.clip((high_hz - frequencies_hz) / width_hz + 1, 0, 1)
    spectrum[below:above] *= (np.sin(np.pi / 2 * rise) * np.sin(np.pi / 2 * fall)) ** 2
    return np.asarray(np.fft.irfft(spectrum, size)[: len(signal)])


def _ratio_db(signal: Floats, error: Floats) -> float:
    """Signal to error, of which there always is that of rounding: an exact copy has about 100 dB, not infinity."""
    floor = len(error) / 12
    return float(10 * np.log10(max(float(signal @ signal), floor) / max(float(error @ error), floor)))


def _with_frames(quality: Quality, signal: Floats, error: Floats) -> Quality:
    """Segmental signal to noise, damaged frames, and the slope of the noise over the signal, of active frames."""
    begins = np.arange(0, len(signal), round(FRAME_S * NARROW_HZ))
    powers = np.add.reduceat(signal**2, begins)
    noises = np.maximum(np.add.reduceat(error**2, begins), 1e-9)
    active = powers > powers.max(initial=0.0) * 10 ** (ACTIVE_DB / 10)
    if not active.any():
        return quality
    signal_db, noise_db = 10 * np.log10(powers[active]), 10 * np.log10(noises[active])
    ratios_db = signal_db - noise_db
    damaged = ratios_db < min(float(np.median(ratios_db)) - DAMAGED_DB, 10.0)
    even = len(signal_db) < 10 or np.std(signal_db) < 2  # too even to tell
    return attrs.evolve(
        quality,
        segmental_snr_db=float(np.mean(np.clip(ratios_db, *SEGMENTAL_DB))),
        active_frames=len(signal_db),
        damaged_frames=int(damaged.sum()),
        noise_slope=None if even else float(np.polyfit(signal_db, noise_db, 1)[0]),
    )


def _law(heard: bytes) -> str | None:
    """The law of whose values every sample is one; there must be enough different ones to mean something."""
    if len(np.unique(np.frombuffer(heard, "<i2"))) < 32:
        return None
    return next((name for name, through in _CODES.items() if through(heard) == heard), None)


def _with_wide_band(quality: Quality, reference: bytes, heard: bytes, alignment: Alignment, weights: Floats) -> Quality:
    wide = [to_rate(audio, hz, WIDE_HZ) for audio, hz in ((reference, quality.reference_hz), (heard, quality.heard_hz))]
    ratio = WIDE_HZ // NARROW_HZ
    finer = attrs.evolve(
        alignment,
        starts=tuple(start * ratio for start in alignment.starts),
        delays=tuple(delay * ratio for delay in alignment.delays),
    )
    there = alignment.gain * interpolate([wide[0]], finer.positions(len(wide[1])))[0]
    here = np.repeat(weights, ratio)[: len(there)]
    there, found = there[: len(here)] * here, wide[1][: len(here)] * here
    upper = [band(signal, WIDE_HZ, (4_300.0, WIDE_BAND_HZ[1])) for signal in (there, found)]
    powers = [float(signal @ signal) for signal in upper]
    had_some = powers[0] > len(there)  # more than rounding leaves
    signal = band(there, WIDE_HZ, WIDE_BAND_HZ)
    return attrs.evolve(
        quality,
        wideband_snr_db=_ratio_db(signal, band(found - there, WIDE_HZ, WIDE_BAND_HZ)),
        narrowed=had_some and powers[1] < powers[0] * 10 ** (NO_BAND_DB / 10),
    )


def _kind(quality: Quality) -> Path:
    snr_db, slope = quality.snr_db, quality.noise_slope
    assert snr_db is not None
    if snr_db >= LINEAR_DB or (quality.noise_lsb is not None and quality.noise_lsb <= ROUNDING_LSB):
        return "linear"
    low_db, high_db = G711_DB
    if quality.g711_codes is not None and snr_db >= low_db:
        return "g711"
    # G.711 is heard in every frame; what is heard in few of them leaves the mean of all far better than the whole.
    everywhere = quality.segmental_snr_db is None or quality.segmental_snr_db <= high_db
    if low_db <= snr_db <= high_db and everywhere and (slope is None or slope >= G711_SLOPE):
        return "g711"
    return "distorted"
