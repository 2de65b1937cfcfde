"""The caller's microphone and loudspeaker: a voice for ``call`` (extra ``voxpipe[mic]``).

PortAudio calls back from a thread of its own every frame. What crosses to Trio's thread are two bounded deques, whose
ends are safe to use from different threads; nobody waits on either side. The call's clock and the card's differ by
some parts per million: a full queue loses its oldest frame, an empty one gives silence, and both are counted.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any, Self

from voxpipe.audio import AudioFormat, Encoding
from voxpipe.errors import AudioError, VoxpipeError

MIC_QUEUE_FRAMES = 5
"""100 ms: what a busy moment of the machine may hold up. More would be heard as delay for the rest of the call."""
SPEAKER_QUEUE_MESSAGES = 50
"""A second of frames: a gateway plays in real time, and this is room for its unevenness."""


class SoundCardError(VoxpipeError):
    """There is no sound device to speak into or to listen with."""


class SoundCard:
    """The machine's sound devices, as a voice; use it as a context manager.

    ``format`` is linear: frames in and audio out are both in it. ``device`` is sounddevice's ``(input, output)``,
    numbers or parts of names; ``None`` is the system's default. Opening raises ``SoundCardError`` when sounddevice,
    PortAudio or a device is missing.
    """

    def __init__(
        self, format: AudioFormat, *, device: tuple[int | str | None, int | str | None] = (None, None)
    ) -> None:
        if format.encoding is not Encoding.SLIN:
            raise AudioError(f"expected a linear format for a sound device, got {format.name}")
        self.format = format
        self.mic_frames_lost = 0
        """Frames spoken while the queue was full."""
        self.mic_frames_missing = 0
        """Frames asked for before the microphone had them; silence was given."""
        self.speaker_messages_lost = 0
        """Audio messages played to us while the loudspeaker's queue was full."""
        self._device = device
        self._spoken: deque[bytes] = deque(maxlen=MIC_QUEUE_FRAMES)
        self._played: deque[bytes] = deque(maxlen=SPEAKER_QUEUE_MESSAGES)
        self._rest = b""
        self._streams: list[Any] = []

    def __enter__(self) -> Self:
        sounddevice = _sounddevice()
        settings = {
            "samplerate": self.format.rate_hz,
            "blocksize": self.format.frame_samples,
            "channels": 1,
            "dtype": "int16",
        }
        try:
            for name, device, callback in (
                ("RawInputStream", self._device[0], self._take_spoken),
                ("RawOutputStream", self._device[1], self._give_played),
            ):
                stream = getattr(sounddevice, name)(device=device, callback=callback, **settings)
                self._streams.append(stream)
                stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            self._close()
            raise SoundCardError(
                f"expected a microphone and a loudspeaker at {self.format.rate_hz} Hz, got: {error}"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def next_frame(self) -> bytes:
        """Give the oldest frame that was spoken, or silence; never ``None``: a microphone has no end."""
        if self._spoken:
            return self._spoken.popleft()
        self.mic_frames_missing += 1
        return self.format.silence

    def hear(self, audio: bytes) -> None:
        """Queue audio for the loudspeaker."""
        if len(self._played) == SPEAKER_QUEUE_MESSAGES:
            self.speaker_messages_lost += 1
        self._played.append(audio)

    def _take_spoken(self, audio: Any, frames: int, time: Any, status: Any) -> None:
        if len(self._spoken) == MIC_QUEUE_FRAMES:
            self.mic_frames_lost += 1
        self._spoken.append(bytes(audio))

    def _give_played(self, audio: Any, frames: int, time: Any, status: Any) -> None:
        wanted_bytes = len(audio)
        while len(self._rest) < wanted_bytes and self._played:
            self._rest += self._played.popleft()
        given, self._rest = self._rest[:wanted_bytes], self._rest[wanted_bytes:]
        audio[:] = given + bytes(wanted_bytes - len(given))

    def _close(self) -> None:
        while self._streams:
            self._streams.pop().close()


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise SoundCardError("expected the package sounddevice, got none: pip install 'voxpipe[mic]'") from error
    except OSError as error:  # sounddevice raises it when the C library is missing
        raise SoundCardError(f"expected the PortAudio library (Debian: libportaudio2), got: {error}") from error
    return sounddevice
