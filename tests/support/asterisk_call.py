"""Calls placed through the rig: what the caller's end plays, and what Asterisk recorded. All of it blocks."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voxpipe.audio import AudioFormat
from voxpipe.testing.caller_run import SPEECH
from voxpipe.wav import read_wav

if TYPE_CHECKING:
    from tests.asterisk.conftest import Asterisk

GOES_ON = "the dialplan goes on"

# The waits: Answer() at one end takes half a second, or the first frame of the other; and a recorder whose channel ends
# throws away what it has not written yet.
DIALPLAN = """
[gateway]
exten => s,1,Answer()
 same => n,MixMonitor(mixed.{recording},r(uplink.{recording})t(downlink.{recording}))
 same => n,{application}
 same => n,Verbose(1,{goes_on})
 same => n,Wait(0.5)
[speaker]
exten => s,1,Answer()
 same => n,Wait(0.6)
 same => n,{speak}
 same => n,Wait(0.3)
"""


def resampled(audio: bytes, source: AudioFormat, target: AudioFormat) -> bytes:
    """Bring linear audio to another rate by cutting or padding its spectrum: independent of the filters under test."""
    samples = np.frombuffer(audio, "<i2")
    count = round(len(samples) * target.rate_hz / source.rate_hz)
    bins = min(len(samples), count) // 2 + 1
    spectrum = np.zeros(count // 2 + 1, complex)
    spectrum[:bins] = np.fft.rfft(samples)[:bins] * count / len(samples)
    return np.rint(np.clip(np.fft.irfft(spectrum, count), -32768, 32767)).astype("<i2").tobytes()


def speech(format: AudioFormat, seconds: float | None = None) -> bytes:
    """The beginning of caller.wav, or all of it, at the rate of a linear format."""
    audio, source = read_wav(SPEECH)
    length_bytes = len(audio) if seconds is None else source.bytes_of_ms(1000 * seconds)
    return resampled(audio[:length_bytes], source, format)


def place_call(
    asterisk: Asterisk,
    application: str,
    sound: str,
    *,
    codecs: str = "slin",
    dtmf: str = "",
    then: str = "",
    recording: str = "wav",
) -> str:
    """Call: one end runs ``application`` under a recorder, the other plays a sound, dials, and runs ``then``.

    Returns the log. ``recording`` is the file format of the recordings ``uplink`` and ``downlink``: ``wav`` (8 kHz) or
    ``sln24`` (raw).
    """
    speak = f"Playback({sound})"
    if dtmf:
        speak += f"\n same => n,SendDTMF({dtmf})"
    if then:
        speak += f"\n same => n,{then}"
    text = DIALPLAN.format(application=application, recording=recording, goes_on=GOES_ON, speak=speak)
    return place(asterisk, text, "s@gateway", codecs=codecs)


def place(asterisk: Asterisk, dialplan: str, extension: str, *, codecs: str = "slin") -> str:
    """Load a dialplan and join ``extension`` to its context ``speaker``; return what was logged of the call."""
    for old in (asterisk.folder / "spool/monitor").iterdir():
        old.unlink()
    before = len(asterisk.log())
    asterisk.dialplan(dialplan)
    asterisk.originate(f"Local/{extension}/n", "speaker", codecs=codecs)
    asterisk.wait_until_idle()
    return asterisk.log()[before:]


def goes_on(log: str) -> bool:
    """Tell whether the dialplan went on after its application; loading it and announcing the line do not count."""
    return GOES_ON in log.replace(f'"1,{GOES_ON}', "")


def recorded(path: Path) -> bytes:
    """The samples of a WAV at 8 kHz, as MixMonitor writes it."""
    with wave.open(str(path)) as file:
        assert file.getframerate() == 8000
        return file.readframes(file.getnframes())
