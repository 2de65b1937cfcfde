"""Where a signal is found in a recording of it: delay, drift of the clocks, and jumps, to a fraction of a sample.

Three steps, each as exact as the next one needs: the loudest stretches of the recording are looked for in the whole
reference; from the best of them stretch follows stretch in both directions; then gain, delays and drift are fitted to
all samples at once, by least squares on the derivative of the reference (Gauss-Newton). To leave an error 60 dB below a
tone of 1 kHz a delay must be known to 0.0013 samples at 8 kHz, which is why there is a third step.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import attrs
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PROBE_S = 2.0
PROBES = 4
BLOCK_S = 0.2
HOP_S = 0.05
REACH_S = 0.5
"""A jump of more than this between neighbouring stretches is not followed."""
LIKENESS = 0.5
"""Correlation from which a stretch is taken for the same audio; of noise as loud as the signal there remains 0.71."""
JUMP_SAMPLES = 1.5
"""A change of the lag from one stretch to the next that is no drift; at 8 kHz a jump of 0.25 ms is found."""
SEGMENT_BLOCKS = 5
"""A delay must hold for more stretches than a jump can lie within; those may be alike at a lag between the two."""
ROUNDS = 5
TAPS = 48
KAISER_BETA = 9.0
PHASES = 1024
OFFSETS = np.arange(TAPS) - TAPS // 2 + 1
CHUNK_SAMPLES = 8_192
FRAME_S = 0.02
LEAN = 0.02
"""What a lag at the end of its reach must be more alike than one that did not change; a tone is alike every period."""
OUTLIER_DB = 15.0
"""A frame that fits so much worse than the median has no say in the fit: a gap, a click, clipped speech."""


@attrs.frozen
class Alignment:
    """How each sample of a recording is found in the reference; positions and delays in samples of their common rate.

    Between ``starts[i]`` and ``starts[i + 1]`` sample n of the recording is sample ``n - delays[i] - drift * n`` of the
    reference, times ``gain``.
    """

    starts: tuple[int, ...]
    delays: tuple[float, ...]
    drift: float
    gain: float
    likeness: float
    """Correlation of the stretch that was found best: 1 the same shape, 0 none."""

    def positions(self, samples: int) -> Floats:
        """Give the position in the reference of each of the recording's first ``samples`` samples."""
        lengths = np.diff([0, *self.starts[1:], samples])
        return np.asarray(np.arange(samples) * (1 - self.drift) - np.repeat(self.delays, lengths))


def _sinc_table() -> Floats:
    """The weights of ``TAPS`` samples at each of ``PHASES`` places between two, and at the next sample."""
    away = np.arange(PHASES + 1)[:, None] / PHASES - OFFSETS
    edge = np.clip(1 - (away / (TAPS / 2)) ** 2, 0, None)
    return np.asarray(np.sinc(away) * np.i0(KAISER_BETA * np.sqrt(edge)) / np.i0(KAISER_BETA))


_TABLE = _sinc_table()


def interpolate(signals: Sequence[Floats], positions: Floats) -> Floats:
    """Read signals of one length between their samples; a row each.

    A sinc under a Kaiser window, 90 dB exact up to 0.42 of the rate. What is outside a signal is 0.
    """
    padded = [np.concatenate([np.zeros(TAPS), signal, np.zeros(TAPS)]) for signal in signals]
    samples = len(signals[0])
    found = np.zeros((len(signals), len(positions)))
    for begin in range(0, len(positions), CHUNK_SAMPLES):
        where = np.clip(positions[begin : begin + CHUNK_SAMPLES], -TAPS // 2, samples + TAPS // 2 - 1)
        whole = np.floor(where).astype(np.int64)
        phase = (where - whole) * PHASES
        low = phase.astype(np.int64)
        between = (phase - low)[:, None]
        weights = _TABLE[low] * (1 - between) + _TABLE[np.minimum(low + 1, PHASES)] * between
        places = whole[:, None] + OFFSETS + TAPS
        for row, signal in zip(found, padded, strict=True):
            row[begin : begin + CHUNK_SAMPLES] = np.einsum("ij,ij->i", signal[places], weights)
    return found


def find_alignment(reference: Floats, heard: Floats, rate_hz: int) -> Alignment | None:
    """Align two recordings of one rate, without offset and limited to one band; ``None`` where no likeness is found."""
    seed = _seed(reference, heard, rate_hz)
    if seed is None:
        return None
    begin, lag, likeness = seed
    blocks = _follow(reference, heard, rate_hz, begin, lag)
    segments = _segments(blocks)
    if not segments:
        return None
    gain = _rough_gain(reference, heard, blocks, min(round(BLOCK_S * rate_hz), len(heard) // 2, len(reference) // 2))
    whole = Alignment((0,), (float(lag),), 0.0, gain, likeness)
    parted = _part(reference, heard, segments, whole, round(BLOCK_S * rate_hz / 2))
    found = _refine(reference, heard, parted, rate_hz)
    if len(segments) == 1:
        return found[0]
    # What repeats itself, a tone or a sweep, is alike at several lags: one delay for all is tried as well.
    return min(found, _refine(reference, heard, whole, rate_hz), key=lambda pair: pair[1])[0]


def _seed(reference: Floats, heard: Floats, rate_hz: int) -> tuple[int, int, float] | None:
    """Find the recording's loudest stretches in the reference; return where the best begins, its lag and likeness."""
    length = min(round(PROBE_S * rate_hz), len(heard), len(reference))
    energies = np.add.reduceat(heard**2, np.arange(0, len(heard), length))
    best: tuple[int, int, float] | None = None
    for index in np.argsort(-energies)[:PROBES]:
        begin = min(int(index) * length, len(heard) - length)
        place, likeness = _locate(reference, heard[begin : begin + length], begin)
        if best is None or abs(likeness) > abs(best[2]):
            best = begin, begin - place, likeness
    return best if best is not None and abs(best[2]) >= LIKENESS else None


def _locate(reference: Floats, piece: Floats, expected: int | None = None) -> tuple[int, float]:
    """Find a piece in a longer signal: where it begins, and the correlation there (its sign is the polarity)."""
    size = 1 << (len(reference) + len(piece) - 2).bit_length()
    products = np.fft.irfft(np.fft.rfft(reference, size) * np.conj(np.fft.rfft(piece, size)), size)
    products = products[: len(reference) - len(piece) + 1]
    sums = np.concatenate([[0.0], np.cumsum(reference**2)])
    powers = sums[len(piece) :] - sums[: -len(piece)]
    # A whisper of the reference must not count as much as speech: its energy is at least a thousandth of the loudest.
    scale = np.sqrt(np.maximum(powers, 1e-3 * powers.max(initial=0.0)) * (piece @ piece))
    if not scale.any():
        return 0, 0.0
    likeness = products / np.where(scale > 0, scale, np.inf)
    lean = 0.0 if expected is None else LEAN * np.abs(np.arange(len(likeness)) - expected) / len(likeness)
    place = int(np.argmax(np.abs(likeness) - lean))
    return place, float(likeness[place])


def _follow(reference: Floats, heard: Floats, rate_hz: int, begin: int, lag: int) -> Floats:
    """From one stretch that was found follow the others both ways; a row (centre, lag) for each that is alike."""
    length, hop, reach = (round(seconds * rate_hz) for seconds in (BLOCK_S, HOP_S, REACH_S))
    length = min(length, len(heard) // 2, len(reference) // 2)
    loud = 1e-3 * float(np.mean(heard**2)) * length
    found: list[tuple[float, float]] = []
    for step in (hop, -hop):
        current = lag
        start = begin if step > 0 else begin - hop
        while 0 <= start <= len(heard) - length:
            block = heard[start : start + length]
            low = max(start - current - reach, 0)
            window = reference[low : max(start - current + length + reach, 0)]
            if len(window) >= length and block @ block > loud:
                place, likeness = _locate(window, block, start - current - low)
                if abs(likeness) >= LIKENESS:
                    current = start - low - place
                    found.append((start + length / 2, current))
            start += step
    return np.array(sorted(found)).reshape(-1, 2)


def _segments(blocks: Floats) -> list[Floats]:
    """Part the stretches where their lag jumps, and not where a drift has moved it on over a pause.

    Each parting tells the drift better, since its segments are longer, until there are no fewer of them.
    """
    segments = _parted(blocks, 0.0)
    while segments:
        fewer = _parted(blocks, _drift(segments))
        if len(fewer) >= len(segments):
            break
        segments = fewer
    return segments


def _parted(blocks: Floats, drift: float) -> list[Floats]:
    """Part at what is no drift of that size; a few stretches that stand alone are chance and are left out."""
    if not len(blocks):
        return []
    lags = blocks[:, 1] - drift * blocks[:, 0]
    jumps = np.flatnonzero(np.abs(np.diff(lags)) > JUMP_SAMPLES) + 1
    parts = [range(begin, end) for begin, end in pairwise([0, *jumps.tolist(), len(blocks)])]
    longest = max(map(len, parts))
    joined: list[list[int]] = []
    for part in parts:
        if len(part) < min(SEGMENT_BLOCKS, longest):
            continue
        if joined and abs(lags[joined[-1][-1]] - lags[part[0]]) <= JUMP_SAMPLES:
            joined[-1] += part
        else:
            joined.append(list(part))
    return [blocks[part] for part in joined]


def _drift(segments: Sequence[Floats]) -> float:
    """The slope of the lags within all segments."""
    centred = [segment - segment.mean(axis=0) for segment in segments]
    spread = sum(float(part[:, 0] @ part[:, 0]) for part in centred)
    return sum(float(part[:, 0] @ part[:, 1]) for part in centred) / spread if spread else 0.0


def _rough_gain(reference: Floats, heard: Floats, blocks: Floats, length: int) -> float:
    """The median of the stretches' gains: a few of them lie across a jump, and would make the gain too small."""
    gains = []
    for centre, lag in blocks:
        start = round(centre - length / 2)
        there = reference[max(start - round(lag), 0) :][:length]
        here = heard[start : start + len(there)]
        gains.append(float(here @ there) / max(float(there @ there), 1e-9))
    return float(np.median(gains))


def _part(reference: Floats, heard: Floats, segments: Sequence[Floats], whole: Alignment, margin: int) -> Alignment:
    """Fit a drift to the lags of all segments, and find where one segment's delay gives way to the next one's.

    A stretch may be found by its louder half, so the place is up to ``margin`` samples within the neighbours' centres.
    """
    drift = _drift(segments)
    starts = [0]
    for before, after in pairwise(segments):
        low = max(int(before[-1, 0]) - margin, starts[-1])
        high = min(int(after[0, 0]) + margin, len(heard))
        errors = []
        for lag in (before[-1, 1], after[0, 1]):
            places = np.arange(low, high) - int(lag)
            inside = (places >= 0) & (places < len(reference))
            told = np.where(inside, reference[np.clip(places, 0, len(reference) - 1)], 0.0)
            errors.append(np.concatenate([[0.0], np.cumsum((heard[low:high] - whole.gain * told) ** 2)]))
        starts.append(low + int(np.argmin(errors[0] + errors[1][-1] - errors[1])))
    delays = tuple(float(np.median(segment[:, 1] - drift * segment[:, 0])) for segment in segments)
    return attrs.evolve(whole, starts=tuple(starts), delays=delays, drift=drift)


def _refine(reference: Floats, heard: Floats, rough: Alignment, rate_hz: int) -> tuple[Alignment, float]:
    """Fit gain, delays and drift to all samples at once, frames that fit badly left out; tell what remains of all."""
    alignment = rough
    slope = _derivative(reference)
    for _ in range(ROUNDS):
        positions = alignment.positions(len(heard))
        there, steep = interpolate((reference, slope), positions)
        error = heard - alignment.gain * there
        inside = (positions >= 0) & (positions < len(reference) - 1)
        fits = _fitting(error, there, inside, round(FRAME_S * rate_hz))
        gain, drift, delays = _solve(error * fits, there * fits, steep * fits, rough.starts)
        alignment = attrs.evolve(
            alignment,
            gain=alignment.gain + gain,
            drift=alignment.drift - drift / alignment.gain,
            delays=tuple(
                delay - step / alignment.gain for delay, step in zip(alignment.delays, delays.tolist(), strict=True)
            ),
        )
    there = interpolate([reference], alignment.positions(len(heard)))[0]
    return alignment, float(np.sum((heard - alignment.gain * there) ** 2))


def _solve(error: Floats, there: Floats, steep: Floats, starts: Sequence[int]) -> tuple[float, float, Floats]:
    """Least squares for ``error = gain * there + (drift * n + delays[i]) * steep``, ``i`` the segment of sample ``n``.

    Each segment's delay is solved for by itself and taken out, which leaves two unknowns: a column of the length of the
    recording for each would take gigabytes for a line that loses a frame each second.
    """
    lengths = np.diff([*starts, len(error)])
    filled = np.flatnonzero(lengths)  # where the next one starts at the same sample there is none
    begins, middles = np.asarray(starts)[filled], (np.asarray(starts) + lengths / 2)[filled]
    spread = np.repeat(middles, lengths[filled])
    turned = steep * (np.arange(len(error)) - spread)

    def sums(values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(values, begins))

    power = sums(steep * steep)
    scale = np.divide(1.0, power, out=np.zeros_like(power), where=power > 0)
    shares = [sums(column * steep) * scale for column in (there, turned, error)]
    rest = [
        column - np.repeat(share, lengths[filled]) * steep
        for column, share in zip((there, turned, error), shares, strict=True)
    ]
    norms = [max(float(np.sqrt(column @ column)), 1e-9) for column in rest[:2]]
    matrix = np.array(
        [[float(a @ b) / (m * n) for b, n in zip(rest, norms, strict=False)] for a, m in zip(rest, norms, strict=False)]
    )
    wanted = np.array([float(column @ rest[2]) / norm for column, norm in zip(rest, norms, strict=False)])
    gain, drift = (np.linalg.lstsq(matrix, wanted, rcond=None)[0] / norms).tolist()
    delays = np.zeros(len(lengths))
    delays[filled] = shares[2] - gain * shares[0] - drift * shares[1] - drift * middles
    return gain, drift, delays


def _derivative(signal: Floats) -> Floats:
    """The slope a sample; differences of neighbours would be far off at the band's upper end."""
    size = 1 << (2 * len(signal) - 1).bit_length()
    spectrum = np.fft.rfft(signal, size) * 2j * np.pi * np.fft.rfftfreq(size)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(signal)])


def _fitting(error: Floats, there: Floats, inside: NDArray[np.bool_], frame: int) -> NDArray[np.bool_]:
    """Choose the samples of the frames that fit about as well as most."""
    begins = np.arange(0, len(error), frame)
    wrong = np.add.reduceat(np.where(inside, error, 0.0) ** 2, begins)
    right = np.add.reduceat(np.where(inside, there, 0.0) ** 2, begins)
    active = right > 1e-3 * right.mean()
    ratio = wrong / np.maximum(right, 1e-12)
    good = active & (ratio <= np.median(ratio[active]) * 10 ** (OUTLIER_DB / 10)) if active.any() else active
    lengths = np.diff([*begins, len(error)])
    return np.asarray(np.repeat(good, lengths) & inside)
