"""WAV files: reading whatever a user brings, and writing recordings that survive a killed process.

Reading is libsndfile's business (package ``soundfile``). Writing is our own, since a recording must be valid after every
flush: the header is rewritten with each one. Format tags: 1 PCM, 6 A-law, 7 mu-law (RFC 2361).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import soundfile

from voxpipe.audio import SLIN8, AudioFormat, Encoding
from voxpipe.errors import AudioError

FORMAT_TAGS = {Encoding.SLIN: 1, Encoding.ALAW: 6, Encoding.ULAW: 7}
HEADER_BYTES = 44
MAX_DATA_BYTES = 0xFFFFFFFF - HEADER_BYTES


def wav_header(format_: AudioFormat, data_bytes: int) -> bytes:
    """Make the 44 bytes before so many bytes of mono audio."""
    data_bytes = min(data_bytes, MAX_DATA_BYTES)
    width = format_.sample_bytes
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        data_bytes + HEADER_BYTES - 8,
        b"WAVE",
        b"fmt ",
        16,
        FORMAT_TAGS[format_.encoding],
        1,
        format_.rate_hz,
        format_.rate_hz * width,
        width,
        8 * width,
        b"data",
        data_bytes,
    )


class WavWriter:
    """A recording in one format. Its calls block: from Trio, call them in a thread."""

    def __init__(self, path: Path, format_: AudioFormat) -> None:
        self._format = format_
        self._data_bytes = 0
        # Unbuffered: what was written is in the file although the process is killed.
        self._file: BinaryIO = path.open("xb", buffering=0)
        self._file.write(wav_header(format_, 0))

    @property
    def samples(self) -> int:
        """Samples written so far: the offset of the next one."""
        return self._format.samples(self._data_bytes)

    def write(self, audio: bytes) -> None:
        """Append audio; on ``OSError`` nothing of it counts as written."""
        self._file.seek(HEADER_BYTES + self._data_bytes)
        view = memoryview(audio)
        while view:
            view = view[self._file.write(view) :]
        self._data_bytes += len(audio)

    def flush(self) -> None:
        """Make the header say what is in the file."""
        self._file.seek(0)
        self._file.write(wav_header(self._format, self._data_bytes))

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()


def write_wav(path: Path, audio: bytes, format_: AudioFormat) -> None:
    """Write a whole WAV file, over one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_header(format_, len(audio)) + audio)


def read_wav(path: Path) -> tuple[bytes, AudioFormat]:
    """Read a mono file of any kind libsndfile knows, as 16-bit linear samples and their format; ``AudioError`` otherwise."""
    if not path.exists():
        raise AudioError(f"{path}: expected a WAV file, found none")
    try:
        samples, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: expected a WAV file: {error}") from error
    if samples.shape[1] != 1:
        raise AudioError(f"{path}: expected one channel, got {samples.shape[1]}")
    try:
        format_ = AudioFormat(SLIN8.encoding, rate_hz)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from None
    return samples.astype("<i2").tobytes(), format_
