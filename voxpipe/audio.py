"""Audio formats and the only arithmetic between time, samples and bytes.

Asterisk calls 16-bit signed little-endian linear audio *slin* and names it by its rate in kHz; providers call the same
bytes *pcm*. Both names are read, and both give the same value: ``AudioFormat.parse("pcm24") == SLIN24``.
"""

from __future__ import annotations

import enum
from functools import cached_property

import attrs

from voxpipe.errors import AudioError

PTIME_MS = 20
"""Duration of a frame: what Asterisk's AudioSocket sends, and the default of RFC 3551 section 4.2."""

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

LINEAR_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000)
"""The rates AudioSocket has a kind for (Asterisk's res_audiosocket.h)."""


class Encoding(enum.Enum):
    """How a sample is written."""

    SLIN = "slin"
    """16-bit signed linear, little-endian, two bytes a sample."""
    ULAW = "ulaw"
    """G.711 mu-law, one byte a sample."""
    ALAW = "alaw"
    """G.711 A-law, one byte a sample."""


# slotless, so that cached_property works: the sizes are asked for on every frame.
@attrs.frozen(slots=False)
class AudioFormat:
    """An encoding and a rate; mono."""

    encoding: Encoding
    rate_hz: int

    def __attrs_post_init__(self) -> None:
        rates = LINEAR_RATES_HZ if self.encoding is Encoding.SLIN else (8_000,)
        if self.rate_hz not in rates:
            raise AudioError(
                f"expected a rate of {' or '.join(map(str, rates))} Hz for {self.encoding.value}, got {self.rate_hz}"
            )

    @classmethod
    def parse(cls, name: str) -> AudioFormat:
        """Read a name: ``slin8`` to ``slin192``, ``pcm24`` (the same as ``slin24``), ``ulaw8``, ``alaw8``."""
        try:
            return _BY_NAME[name.strip().lower()]
        except KeyError:
            raise AudioError(f"expected a format such as {', '.join(sorted(_CANONICAL))}, got {name!r}") from None

    @cached_property
    def name(self) -> str:
        """Asterisk's name: ``slin24``, ``ulaw8``; 44.1 kHz is ``slin44``."""
        return f"{self.encoding.value}{self.rate_hz // 1000}"

    @cached_property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 2 if self.encoding is Encoding.SLIN else 1

    @cached_property
    def frame_samples(self) -> int:
        """Samples of one frame (20 ms)."""
        return self.rate_hz * PTIME_MS // 1000

    @cached_property
    def frame_bytes(self) -> int:
        """Bytes of one frame (20 ms)."""
        return self.frame_samples * self.sample_bytes

    @cached_property
    def silence(self) -> bytes:
        """One frame of digital silence; in G.711 the code of the smallest positive amplitude (tables 1a and 2a)."""
        code = {Encoding.SLIN: b"\0\0", Encoding.ULAW: b"\xff", Encoding.ALAW: b"\xd5"}[self.encoding]
        return code * self.frame_samples

    def samples(self, size_bytes: int) -> int:
        """Count the samples in so many bytes; half a sample is an ``AudioError``."""
        count, rest = divmod(size_bytes, self.sample_bytes)
        if rest:
            raise AudioError(
                f"expected whole samples of {self.name} ({self.sample_bytes} bytes each), got {size_bytes} bytes"
            )
        return count

    def duration_ms(self, size_bytes: int) -> float:
        """Duration of so many bytes in milliseconds."""
        return size_bytes * 1000 / (self.sample_bytes * self.rate_hz)

    def samples_ms(self, samples: int) -> float:
        """Duration of so many samples in milliseconds."""
        return samples * 1000 / self.rate_hz

    def bytes_of_ms(self, duration_ms: float) -> int:
        """Bytes of the whole samples nearest to a duration."""
        return round(duration_ms * self.rate_hz / 1000) * self.sample_bytes

    def __str__(self) -> str:
        return self.name


SLIN8, SLIN12, SLIN16, SLIN24, SLIN32, SLIN44, SLIN48, SLIN96, SLIN192 = (
    AudioFormat(Encoding.SLIN, rate_hz) for rate_hz in LINEAR_RATES_HZ
)
ULAW8 = AudioFormat(Encoding.ULAW, 8_000)
ALAW8 = AudioFormat(Encoding.ALAW, 8_000)
PCM24 = SLIN24
"""OpenAI's ``audio/pcm`` at 24 kHz: the same bytes as Asterisk's slin24."""

FORMATS = (SLIN8, SLIN12, SLIN16, SLIN24, SLIN32, SLIN44, SLIN48, SLIN96, SLIN192, ULAW8, ALAW8)
_CANONICAL = {format_.name: format_ for format_ in FORMATS}
_BY_NAME = {
    **_CANONICAL,
    **{name.replace("slin", "pcm"): format_ for name, format_ in _CANONICAL.items() if name.startswith("slin")},
    "ulaw": ULAW8,
    "alaw": ALAW8,
}


@attrs.frozen
class FormatPair:
    """The formats of one session: what the provider gets and what it sends."""

    uplink: AudioFormat
    downlink: AudioFormat

    @classmethod
    def parse(cls, name: str) -> FormatPair:
        """Read ``pcm24`` (both directions) or ``ulaw8/pcm24`` (uplink/downlink)."""
        uplink, slash, downlink = name.partition("/")
        return cls(AudioFormat.parse(uplink), AudioFormat.parse(downlink if slash else uplink))

    @property
    def names(self) -> dict[str, str]:
        """Each direction with the name of its format, as the log has it."""
        return {"uplink": str(self.uplink), "downlink": str(self.downlink)}

    def __str__(self) -> str:
        return self.uplink.name if self.uplink == self.downlink else f"{self.uplink}/{self.downlink}"
