"""From one format to another, as a stream."""

from __future__ import annotations

from collections.abc import Callable

from voxpipe.audio import AudioFormat, Encoding
from voxpipe.dsp._g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from voxpipe.dsp._resample import Resampler

_DECODERS = {Encoding.ULAW: ulaw_decode, Encoding.ALAW: alaw_decode}
_ENCODERS = {Encoding.ULAW: ulaw_encode, Encoding.ALAW: alaw_encode}

Step = Callable[[bytes], bytes]


class Converter:
    """Decodes, resamples and encodes, whichever of these two formats need; one object a direction.

    After n samples in, the output has ``max(0, ceil(n * target / source) - delay)`` samples, and :meth:`flush` returns
    the rest (see ``Resampler``); without a change of rate nothing is ever held back. One G.711 law becomes the other by
    way of linear samples.
    """

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self.source = source
        self.target = target
        self._resampler = Resampler(source.rate_hz, target.rate_hz) if source.rate_hz != target.rate_hz else None
        self._encode: Step | None = None
        self._steps: list[Step] = []
        if source == target:
            return
        if source.encoding in _DECODERS:
            self._steps.append(_DECODERS[source.encoding])
        if self._resampler is not None:
            self._steps.append(self._resampler.process)
        if target.encoding in _ENCODERS:
            self._encode = _ENCODERS[target.encoding]
            self._steps.append(self._encode)

    @property
    def delay_s(self) -> float:
        """How much later a sound comes out than it went in, in seconds; G.711 adds none."""
        return self._resampler.delay_s if self._resampler is not None else 0.0

    def convert(self, data: bytes) -> bytes:
        """Take whole samples of the source format and return what they complete in the target format.

        Equal formats return ``data`` itself. Half a sample is an ``AudioError``.
        """
        if self.source.sample_bytes == 2:
            self.source.samples(len(data))
        for step in self._steps:
            data = step(data)
        return data

    def flush(self) -> bytes:
        """Return what is still owed, as if silence followed, and reset."""
        if self._resampler is None:
            return b""
        tail = self._resampler.flush()
        return tail if self._encode is None else self._encode(tail)

    def reset(self) -> None:
        """Forget the stream; what was owed is lost."""
        if self._resampler is not None:
            self._resampler.reset()
