"""The two sides' audio in a log: where it is kept, where it was heard, and its levels where there is none.

One pass over the events, after the accounts have taken each; what is kept of a frame is three numbers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pybase64
import soundfile

from voxpipe.analysis.call import CallAccounts
from voxpipe.analysis.events import LogEvent, as_count, count_at, dig, text_at
from voxpipe.analysis.report.placing import AgentPlaces, Frames, Piece, Strange
from voxpipe.analysis.spelling import APPEND, AUDIO_KEYS, DELTA, NO_AUDIO, audio_bytes, inline_bytes, leg_message
from voxpipe.audio import NS_PER_S, AudioFormat, Encoding
from voxpipe.dsp import alaw_decode, ulaw_decode

SPOOLED_BYTES = 32 * 1024 * 1024
"""Inline audio beyond this waits on the disk."""
DECODERS = {Encoding.ULAW: ulaw_decode, Encoding.ALAW: alaw_decode}


class Sidecar:
    """Audio in a WAV file beside the log."""

    kind = "sidecar"

    def __init__(self, path: Path) -> None:
        self._file = soundfile.SoundFile(path)
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels

    def read(self, offset_samples: int, samples: int) -> np.ndarray:
        """Read int16 samples: fewer, or none, where the file ends early."""
        if offset_samples >= self._file.frames:
            return np.zeros(0, np.int16)
        self._file.seek(offset_samples)
        read: np.ndarray = self._file.read(samples, dtype="int16")
        return read

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Inline:
    """Audio out of the log itself."""

    kind = "inline"

    def __init__(self, format_: AudioFormat) -> None:
        self.format = format_
        self.rate_hz = format_.rate_hz
        self._file = tempfile.SpooledTemporaryFile(SPOOLED_BYTES)  # noqa: SIM115 closed by close()

    def put(self, offset_samples: int, audio: bytes) -> None:
        """Keep audio from a place on."""
        self._file.seek(offset_samples * self.format.sample_bytes)
        self._file.write(audio)

    def read(self, offset_samples: int, samples: int) -> np.ndarray:
        """Read int16 samples: fewer, or none, where there are no more."""
        self._file.seek(offset_samples * self.format.sample_bytes)
        audio = self._file.read(samples * self.format.sample_bytes)
        decode = DECODERS.get(self.format.encoding)
        return np.frombuffer(audio if decode is None else decode(audio), "<i2")

    def close(self) -> None:
        """Forget the audio."""
        self._file.close()


Source = Sidecar | Inline


@attrs.define
class Track:
    """One side of a call as it was heard. ``levels``: place of a second's end in the audio, RMS and peak in dBFS."""

    side: str
    format: AudioFormat | None = None
    samples: int = 0
    inline: Inline | None = None
    levels: list[tuple[int, float | None, float | None]] = attrs.field(factory=list)

    def close(self) -> None:
        """Forget the audio."""
        if self.inline is not None:
            self.inline.close()

    def take(self, payload: Any, size_bytes: int | None, format_: AudioFormat | None) -> tuple[int, int]:
        """Take a chunk, and tell its place in the audio and its length in samples."""
        if size_bytes is None or format_ is None:
            return self.samples, 0
        self.format = self.format or format_
        told = as_count(payload.get("offset_samples")) if isinstance(payload, dict) else None
        offset = self.samples if told is None else told
        samples = size_bytes // format_.sample_bytes
        self.samples = offset + samples
        if isinstance(payload, str) and format_ == self.format and inline_bytes(payload):
            self.inline = self.inline or Inline(format_)
            self.inline.put(offset, pybase64.b64decode(payload))
        return offset, samples

    def take_level(self, event: LogEvent) -> None:
        """Take the level of the second of audio that has just passed."""
        self.levels.append((self.samples, _number(event, "rms_dbfs"), _number(event, "peak_dbfs")))


def _number(event: LogEvent, name: str) -> float | None:
    value = dig(event.data, name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


class Tracks:
    """Both sides of one call."""

    def __init__(self, accounts: CallAccounts) -> None:
        self.caller = Track("uplink")
        self.agent = Track("downlink")
        self._accounts = accounts
        self._read = Frames()
        self._sent = Track("uplink")
        self._sent_frames = Frames()
        self._places = AgentPlaces()

    def take(self, event: LogEvent) -> None:
        """Take one event, which the accounts have taken before."""
        if event.type == "audiosocket.received":
            if leg_message(event.data) not in NO_AUDIO:
                format_ = self._accounts.leg_uplink.format
                self._take_caller(self.caller, self._read, event, "audio", format_)
        elif event.type == APPEND:
            self._take_caller(self._sent, self._sent_frames, event, AUDIO_KEYS[APPEND], self._accounts.uplink.format)
        elif event.type == DELTA:
            key = AUDIO_KEYS[DELTA]
            size_bytes = audio_bytes(event.data, key)
            offset, samples = self.agent.take(event.data.get(key), size_bytes, self._accounts.downlink.format)
            ids = (text_at(event.data, "item_id"), text_at(event.data, "response_id"))
            self._places.take_chunk(event.t_ns, *ids, offset, samples)
        elif event.type == "audiosocket.sent":
            self._take_played(event)
        elif event.type == "playout.started":
            self._places.begin(text_at(event.data, "item_id"))
        elif event.type == "audio.level":
            track = {"uplink": self.caller, "downlink": self.agent}.get(str(event.data.get("side")))
            if track is not None:
                track.take_level(event)

    def _take_caller(
        self, track: Track, frames: Frames, event: LogEvent, key: str, format_: AudioFormat | None
    ) -> None:
        size_bytes = audio_bytes(event.data, key)
        # What was sent to the provider is kept only where what came from the leg is not.
        kept = track is self.caller or self.caller.inline is None
        offset, samples = track.take(event.data.get(key) if kept else None, size_bytes, format_)
        if format_ is not None:  # it was spoken before it was read
            frames.add(event.t_ns - samples * NS_PER_S // format_.rate_hz, offset, samples)

    def _take_played(self, event: LogEvent) -> None:
        samples, leg = count_at(event.data, "samples"), self._accounts.leg_downlink.format
        if samples and leg is not None:
            agent = self.agent.format or leg  # a prompt may be played before the agent has said anything
            self._places.take_frame(event.t_ns, samples * NS_PER_S // leg.rate_hz, agent.rate_hz)

    @property
    def strange(self) -> list[Strange]:
        """When the caller was played what did not come from the provider."""
        return self._places.strange

    def close(self) -> None:
        """Forget all audio that was in the log."""
        for track in (self.caller, self._sent, self.agent):
            track.close()

    def settle(self) -> tuple[list[Piece], list[Piece]]:
        """At the end of the log, place the audio of caller and agent, as far as its lengths are known."""
        frames = self._read
        if not len(frames) or (self._sent.inline is not None and self.caller.inline is None):
            # A log of the provider's side alone, or one which keeps only that side's audio.
            self._sent.levels = self.caller.levels
            self.caller, frames = self._sent, self._sent_frames
        caller = [] if self.caller.format is None else frames.pieces(self.caller.format.rate_hz)
        if self.agent.format is None:
            return caller, []
        turns = self._accounts.agent.turns
        cut_ns = {turn.response_id: turn.ended_ns for turn in turns if turn.cut and turn.ended_ns is not None}
        played = self._accounts.agent.tells_playout or any(turn.playout_ns is not None for turn in turns)
        return caller, self._places.pieces(self.agent.format.rate_hz, cut_ns, played=played)


def open_source(track: Track, log: Path) -> Source | None:
    """Find a side's audio: beside the log, or in it; ``None`` where it was not kept, or cannot be read."""
    path = log.with_suffix(f".{track.side}.wav")
    try:
        if path.exists():
            source = Sidecar(path)
            if track.format is not None and source.rate_hz == track.format.rate_hz and source.channels == 1:
                return source
            source.close()
    except soundfile.LibsndfileError:
        pass
    return track.inline
