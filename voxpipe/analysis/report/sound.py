"""The sound of a call as a page plays it: one file, the caller on the left, the agent on the right, both in time.

It is Ogg Vorbis, since libsndfile writes it, browsers play it, and an hour of it takes seconds to make where Opus takes
minutes. One file for both sides keeps them together when somebody seeks.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import soundfile

from voxpipe.analysis.report.ogg import with_serial
from voxpipe.analysis.report.peaks import NO_WAVE, PeakMeter, Wave, bin_width_ms
from voxpipe.analysis.report.placing import Piece
from voxpipe.analysis.report.tracks import Source
from voxpipe.audio import NS_PER_MS, NS_PER_S
from voxpipe.dsp import Resampler

RATES_HZ = (8_000, 16_000, 24_000)
"""What the page plays: the lowest that has all of both sides' bandwidth, and nothing beyond a provider's 24 kHz."""
COMPRESSION = 0.75
"""Vorbis quality 2.5: about 30 kbit/s for two sides that take turns, 14 MB an hour."""

LONGEST_SOUND_NS = 6 * 3_600 * NS_PER_S
"""140 MB of page. A longer call is drawn and not heard."""
LONGEST_WAVE_NS = 24 * 3_600 * NS_PER_S
"""A log which lasts for days is no call; silence is not to be drawn for an hour of computing."""

Side = tuple[Source | None, list[Piece]]


class SoundFile:
    """The page's sound, as it is being made."""

    def __init__(self, rate_hz: int) -> None:
        self._bytes = io.BytesIO()
        self._file = soundfile.SoundFile(
            self._bytes, "w", rate_hz, 2, format="OGG", subtype="VORBIS", compression_level=COMPRESSION
        )

    def write(self, left: np.ndarray, right: np.ndarray) -> None:
        """Write a second at most: libsndfile's encoder keeps a whole write on its stack."""
        self._file.write(np.stack([left, right], axis=1))

    def finish(self) -> bytes:
        """Return the file; the same for the same audio, wherever and whenever it is made."""
        self._file.close()
        return with_serial(self._bytes.getvalue(), 1)


def draw_and_record(
    sides: tuple[Side, Side], duration_ns: int, *, audio: bool, on_progress: Callable[[int], None] = lambda _ns: None
) -> tuple[list[Wave], bytes | None]:
    """Draw both waveforms and, with ``audio``, make the sound file, in one pass; seconds at a time.

    A side without a source is silent and has no wave. ``on_progress`` is told how many nanoseconds of the call are
    done.
    """
    sources = [source for source, _ in sides if source is not None]
    if not sources:
        return [NO_WAVE, NO_WAVE], None
    audio = audio and duration_ns <= LONGEST_SOUND_NS
    highest_hz = max(source.rate_hz for source in sources)
    rate_hz = next((rate for rate in RATES_HZ if rate >= highest_hz), RATES_HZ[-1])
    bin_ms = bin_width_ms(duration_ns)
    meters = [PeakMeter(rate_hz * bin_ms // 1000) for _ in sides]
    file = SoundFile(rate_hz) if audio else None
    seconds = max(1, -(-duration_ns // NS_PER_S))
    streams = [seconds_heard(source, pieces, rate_hz, seconds) for source, pieces in sides]
    for second, (left, right) in enumerate(zip(*streams, strict=True), 1):
        for meter, block in zip(meters, (left, right), strict=True):
            meter.take(block)
        if file is not None:
            file.write(left, right)
        on_progress(second * NS_PER_S)
    bins = max(1, -(-duration_ns // (bin_ms * NS_PER_MS)))
    waves = [
        NO_WAVE if source is None else meter.wave(source.kind, bin_ms, bins)
        for meter, (source, _) in zip(meters, sides, strict=True)
    ]
    return waves, None if file is None else file.finish()


def seconds_heard(source: Source | None, pieces: list[Piece], rate_hz: int, seconds: int) -> Iterator[np.ndarray]:
    """Yield one side second by second as int16 samples, silence where nothing was heard."""
    block, begin, end = np.zeros(rate_hz, np.int16), 0, seconds * rate_hz
    for place, samples in () if source is None else _stretches(source, pieces, rate_hz):
        at, rest = max(place, begin), samples[max(0, begin - place) :]
        while len(rest) and at < end:
            if at >= begin + rate_hz:
                yield block
                block, begin = np.zeros(rate_hz, np.int16), begin + rate_hz
                continue
            taken = rest[: begin + rate_hz - at]
            block[at - begin : at - begin + len(taken)] = taken
            at, rest = at + len(taken), rest[len(taken) :]
    while begin < end:
        yield block
        block, begin = np.zeros(rate_hz, np.int16), begin + rate_hz


def _stretches(source: Source, pieces: list[Piece], rate_hz: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield samples at the page's rate, and where in the call they begin."""
    resampler = Resampler(source.rate_hz, rate_hz)
    for piece in pieces:
        at, offset, end = piece.at_ns * rate_hz // NS_PER_S, piece.offset_samples, piece.offset_samples + piece.samples
        while offset < end:
            samples = source.read(offset, min(source.rate_hz, end - offset))
            if not len(samples):  # the file ends early
                break
            offset += len(samples)
            made = np.frombuffer(resampler.process(samples.tobytes()), "<i2")
            yield at, made
            at += len(made)
        made = np.frombuffer(resampler.flush(), "<i2")
        yield at, made
