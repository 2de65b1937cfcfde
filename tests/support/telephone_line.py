"""A bare telephone line for the tests of simulated providers, and how like an answer is to what was said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import numpy as np
import numpy.typing as npt
import trio

from voxpipe.audio import AudioFormat, Encoding
from voxpipe.dsp import alaw_decode, ulaw_decode
from voxpipe.testing.parrot import convert

FRAME_MS = 20
DECODERS: dict[Encoding, Callable[[bytes], bytes]] = {
    Encoding.SLIN: bytes,
    Encoding.ULAW: ulaw_decode,
    Encoding.ALAW: alaw_decode,
}
"""The gateway's decoders: what the peer encoded by its own tables must be read by others."""


class TelephoneLine:
    """Sends 20 ms of sound every 20 ms, silence where nothing is said, while ``connected``."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]], format_: AudioFormat) -> None:
        self.connected = True
        self.sent_ms = 0
        self._send = send
        self._format = format_
        self._waiting = bytearray()

    async def run(self) -> None:
        """Send for ever."""
        size_bytes = self._format.bytes_of_ms(FRAME_MS)
        while True:
            if self.connected:
                frame = bytes(self._waiting[:size_bytes])
                del self._waiting[:size_bytes]
                await self._send(frame + self._format.silence[: size_bytes - len(frame)])
                self.sent_ms += FRAME_MS
            await trio.sleep(FRAME_MS / 1000)

    def say(self, audio: bytes, source: AudioFormat) -> None:
        """Speak, from now on."""
        self._waiting += convert(audio, source, self._format)


def samples(audio: bytes, format_: AudioFormat) -> npt.NDArray[np.float64]:
    """Read audio of a format."""
    return np.frombuffer(DECODERS[format_.encoding](audio), "<i2").astype(np.float64)


def likeness(answer: bytes, format_: AudioFormat, said: bytes, source: AudioFormat) -> float:
    """How much an answer is what was said, shifted in time: 1 for the very same, 0 for nothing in common."""
    heard = samples(answer, format_)
    linear = AudioFormat(Encoding.SLIN, format_.rate_hz)
    original = samples(convert(said, source, linear), linear)
    size = heard.size + original.size
    shifted = np.fft.irfft(np.fft.rfft(original, size) * np.conj(np.fft.rfft(heard, size)), size)
    return float(np.max(shifted) / (np.linalg.norm(heard) * np.linalg.norm(original)))
