"""WAV files: a writer whose file is valid at every moment, and a reader for what people hand us.

The writer is our own, since soundfile finishes its header at ``close``, and a killed process never gets there. The
reader is soundfile's, so any container and width will do. Both block: call them in a thread.

Layout after "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991); the format tags
of G.711 and the ``fact`` chunk which goes with them are from "New Multimedia Data Types" (Microsoft, 1994).
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

from voxpipe.audio import AudioFormat, Encoding
from voxpipe.errors import AudioError

FORMAT_TAGS = {Encoding.SLIN: 1, Encoding.ALAW: 6, Encoding.ULAW: 7}
MAX_DATA_BYTES = 0xFFFF_FFFF - 64
"""Sizes in a WAV are 32 bits wide; what is kept back is more than the header."""

FULL_SCALE = 32_768


class WavWriter:
    """A mono WAV file that only grows.

    After every ``flush`` the file is complete and its header right: the audio is written first and the header, in one
    write, after it, so a process killed in between leaves a file which is merely shorter. Blocks: use it in a thread.
    """

    def __init__(self, path: str | os.PathLike[str], format: AudioFormat) -> None:
        self.path = Path(path)
        self.format = format
        self._size_bytes = 0
        self._waiting = bytearray()
        # As private as the log: it is what people said.
        self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "wb", buffering=0)
        self._start_bytes = len(_header(format, 0))
        try:
            self._write_at(0, _header(format, 0))
        except OSError:
            self._file.close()
            raise

    @property
    def samples(self) -> int:
        """Samples given so far: the offset at which the next ``write`` begins."""
        return self.format.samples(self._size_bytes + len(self._waiting))

    def write(self, audio: bytes) -> None:
        """Append whole samples, for the next ``flush``. ``AudioError`` for half a sample, or beyond 4 GiB."""
        self.format.samples(len(audio))
        if self._size_bytes + len(self._waiting) + len(audio) > MAX_DATA_BYTES:
            raise AudioError(f"{self.path}: expected at most {MAX_DATA_BYTES} bytes of audio in a WAV, got more")
        self._waiting += audio

    def flush(self) -> None:
        """Bring everything given so far into the file, and its header up to date."""
        if self._waiting:
            self._write_at(self._start_bytes + self._size_bytes, self._waiting)
            self._size_bytes += len(self._waiting)
            self._waiting.clear()
            self._write_at(0, _header(self.format, self._size_bytes))

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        if self._file.closed:
            return
        try:
            self.flush()
            if self._size_bytes % 2:  # a chunk of odd size is padded, and the padding is not counted
                self._write_at(self._start_bytes + self._size_bytes, b"\0")
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_at(self, offset: int, data: bytes | bytearray) -> None:
        self._file.seek(offset)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        finally:
            rest.release()  # a bytearray cannot be cleared while it is looked at


def _header(format: AudioFormat, data_bytes: int) -> bytes:
    width = format.sample_bytes
    fmt = struct.pack(
        "<HHIIHH", FORMAT_TAGS[format.encoding], 1, format.rate_hz, format.rate_hz * width, width, width * 8
    )
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt
    if format.encoding is not Encoding.SLIN:
        fmt += struct.pack("<H", 0)  # no bytes of extension
        chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"fact" + struct.pack("<II", 4, data_bytes // width)
    chunks += b"data" + struct.pack("<I", data_bytes)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks) + data_bytes + data_bytes % 2) + b"WAVE" + chunks


def write_wav(path: str | os.PathLike[str], audio: bytes, format: AudioFormat) -> None:
    """Write a whole mono WAV file; ``audio`` is whole samples of ``format``."""
    with WavWriter(path, format) as writer:
        writer.write(audio)


def read_wav(path: str | os.PathLike[str]) -> tuple[bytes, AudioFormat]:
    """Read a mono sound file of any container and width.

    Returns int16 little-endian samples and their linear format. Widths other than 16 bits are rounded, floating point
    is clipped at full scale. ``AudioError`` when it is no sound file, has more than one channel, samples that are no
    numbers, or a rate that no ``AudioFormat`` has; ``OSError`` when it cannot be opened.
    """
    with Path(path).open("rb") as file:  # so that a missing file is an OSError which says so
        try:
            samples, rate_hz = soundfile.read(file, dtype="float64", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{path}: expected a sound file (WAV, FLAC, Ogg, ...), got one that libsndfile cannot read: "
                f"{error.error_string}"
            ) from error
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: expected numbers for samples, got NaN or infinity")
    channels = samples.shape[1]
    if channels != 1:
        raise AudioError(f"{path}: expected 1 channel, got {channels}")
    try:
        format = AudioFormat(Encoding.SLIN, rate_hz)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from None
    # float64 carries int16 and back without loss, and treats every width alike.
    scaled = np.clip(np.rint(samples[:, 0] * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    return scaled.astype("<i2").tobytes(), format


def read_payload(path: str | os.PathLike[str]) -> memoryview:
    """Map the audio of a WAV file as it is, in whatever encoding: what ``WavWriter`` was given.

    ``AudioError`` when it is no WAV file; ``OSError`` when it cannot be opened. A last chunk that is longer than the
    file, as a writer leaves it that was killed, is as long as the file is.
    """
    with Path(path).open("rb") as file:
        if not os.fstat(file.fileno()).st_size:  # which cannot be mapped
            raise AudioError(f"{path}: expected a WAV file, got an empty one")
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"WAVE":
        raise AudioError(f"{path}: expected a WAV file, got one that does not begin as one")
    position = 12
    while position + 8 <= len(data):
        size_bytes = int.from_bytes(data[position + 4 : position + 8], "little")
        if bytes(data[position : position + 4]) == b"data":
            return data[position + 8 : position + 8 + size_bytes]
        position += 8 + size_bytes + size_bytes % 2
    raise AudioError(f"{path}: expected a WAV file with audio, got none in it")
