"""The microphone and the loudspeaker, by ALSA's file plugin: a file is spoken, and what is played becomes a file."""

from __future__ import annotations

import builtins
import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from voxpipe.audio import SLIN8, SLIN16, ULAW8
from voxpipe.errors import AudioError
from voxpipe.testing import signals
from voxpipe.testing.caller_run import run_calls
from voxpipe.testing.soundcard import MIC_QUEUE_FRAMES, SPEAKER_QUEUE_MESSAGES, SoundCard, SoundCardError

ALSA_CONF = Path("/usr/share/alsa/alsa.conf")
SPOKEN = np.tile(np.arange(-32_000, 32_000, dtype="<i2"), 200)
"""The microphone's file: each sample is one more than the one before, so a torn or repeated frame shows."""

# The null device below has no clock: frames come and go as fast as the machine can, and the file must outlast the test.
DEVICES = """
<{alsa}>
pcm.microphone {{ type file slave.pcm "null" file "/dev/null" infile "{folder}/spoken.raw" format "raw" }}
pcm.loudspeaker {{ type file slave.pcm "null" file "{folder}/played.raw" format "raw" }}
pcm.!default {{ type asym capture.pcm "microphone" playback.pcm "loudspeaker" }}
"""


def unavailable(reason: str) -> None:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def alsa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose spoken.raw is what the microphone hears, and whose played.raw is what the loudspeaker plays."""
    if not ALSA_CONF.exists():
        unavailable(f"expected ALSA's configuration at {ALSA_CONF}, got none (Debian: libasound2)")
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        unavailable(f"expected sounddevice and PortAudio (Debian: libportaudio2), got: {error}")
    (tmp_path / "spoken.raw").write_bytes(SPOKEN.tobytes())
    (tmp_path / "asound.conf").write_text(DEVICES.format(alsa=ALSA_CONF, folder=tmp_path))
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    # PortAudio lists the devices once, when it starts.
    sounddevice._terminate()
    sounddevice._initialize()
    yield tmp_path
    monkeypatch.undo()
    sounddevice._terminate()
    sounddevice._initialize()


def consecutive(frame: bytes) -> bool:
    """Whether a frame was taken from the microphone's file in one piece."""
    return bool((np.diff(np.frombuffer(frame, "<i2")) == 1).all())


@pytest.mark.alsa
def test_what_is_spoken_comes_in_whole_frames(alsa: Path) -> None:
    """The microphone's audio comes frame by frame, unchanged; what the queue could not hold is counted."""
    with SoundCard(SLIN8) as card:
        deadline_s = time.monotonic() + 10
        frame = card.next_frame()
        while frame == SLIN8.silence and time.monotonic() < deadline_s:
            frame = card.next_frame()
        frames = [frame, *(card.next_frame() for _ in range(MIC_QUEUE_FRAMES - 1))]
    heard = [frame for frame in frames if frame != SLIN8.silence]
    assert heard
    assert all(len(frame) == 320 and consecutive(frame) for frame in heard)


@pytest.mark.alsa
def test_what_is_heard_is_played(alsa: Path) -> None:
    """Audio given to the card comes out of the loudspeaker byte for byte, whatever the size of its pieces."""
    audio = signals.speech_like(SLIN8, 0.3)
    with SoundCard(SLIN8) as card:
        for start in range(0, len(audio), 500):
            card.hear(audio[start : start + 500])
        deadline_s = time.monotonic() + 10
        while card._played and time.monotonic() < deadline_s:
            time.sleep(0.001)
        time.sleep(0.05)
    played = np.frombuffer((alsa / "played.raw").read_bytes(), "<i2")
    assert played[played != 0].tobytes() == (given := np.frombuffer(audio, "<i2"))[given != 0].tobytes()


@pytest.mark.alsa
@pytest.mark.sockets
async def test_a_call_by_microphone(alsa: Path) -> None:
    """``run_calls`` with the microphone speaks what the microphone hears."""
    received = bytearray()

    async def gateway(stream: trio.SocketStream) -> None:
        async for data in stream:
            received.extend(data)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, gateway, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        (result,) = await run_calls("127.0.0.1", port, format=SLIN8, seconds=0.3, speak_mic=True)
        nursery.cancel_scope.cancel()
    assert result.faults == ()
    frames = [bytes(received[start + 3 : start + 323]) for start in range(19, len(received) - 322, 323)]
    assert len(frames) >= 3
    assert any(consecutive(frame) for frame in frames)


@pytest.mark.alsa
def test_without_a_device_the_error_says_what_was_wanted(alsa: Path) -> None:
    """No microphone is an error of ours which names the rate, not a traceback of PortAudio's."""
    card = SoundCard(SLIN8, device=("no such microphone", None))
    wanted = "expected a microphone and a loudspeaker at 8000 Hz, got: No input device matching"
    with pytest.raises(SoundCardError, match=wanted), card:
        pass


def test_without_sounddevice_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is optional, and the error names it."""
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SoundCardError, match=r"pip install 'voxpipe\[mic\]'"), SoundCard(SLIN8):
        pass


def test_without_portaudio_the_error_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """sounddevice without the C library raises OSError at import; ours says which package has it."""
    original = builtins.__import__

    def without_portaudio(name: str, *arguments: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_portaudio)
    with pytest.raises(SoundCardError, match=r"Debian: libportaudio2.*PortAudio library not found"), SoundCard(SLIN8):
        pass


def test_a_g711_format_is_refused() -> None:
    """Sound devices are linear."""
    with pytest.raises(AudioError, match="expected a linear format for a sound device, got ulaw8"):
        SoundCard(ULAW8)


def test_full_and_empty_queues_are_counted() -> None:
    """A full queue loses its oldest, an empty one gives silence, and each is counted."""
    card = SoundCard(SLIN16)
    for number in range(MIC_QUEUE_FRAMES + 2):
        card._take_spoken(bytes([number]) * 640, 320, None, None)
    assert [card.next_frame()[0] for _ in range(MIC_QUEUE_FRAMES)] == list(range(2, MIC_QUEUE_FRAMES + 2))
    assert card.next_frame() == SLIN16.silence
    for _ in range(SPEAKER_QUEUE_MESSAGES + 3):
        card.hear(SLIN16.silence)
    assert (card.mic_frames_lost, card.mic_frames_missing, card.speaker_messages_lost) == (2, 1, 3)


def test_the_loudspeaker_gets_silence_when_nothing_waits() -> None:
    """Half a buffer of audio is played, and the rest of the buffer is silence."""
    card = SoundCard(SLIN8)
    card.hear(b"\1\2" * 80)
    buffer = bytearray(b"\xff" * 320)
    card._give_played(buffer, 160, None, None)
    assert bytes(buffer) == b"\1\2" * 80 + bytes(160)
