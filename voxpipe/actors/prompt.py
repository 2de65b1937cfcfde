"""Prompts: WAV files of our own that the caller is played, through the same ledger as the agent's words."""

from __future__ import annotations

from pathlib import Path

import trio

from voxpipe.actors.blocking import run_blocking
from voxpipe.actors.playout import Playout
from voxpipe.actors.sink import CallLog
from voxpipe.audio import AudioFormat
from voxpipe.dsp import Converter
from voxpipe.errors import VoxpipeError, describe_error
from voxpipe.sansio.ledger import Part
from voxpipe.wav import read_wav


class Prompt:
    """A WAV file, configured under ``key``; ``name`` is that of its account in the ledger."""

    def __init__(self, path: str, key: str, name: str, log: CallLog) -> None:
        self.part = Part.of_ours(name)
        self._path = path
        self._key = key
        self._log = log
        self._audio: tuple[bytes, AudioFormat] | None = None

    async def load(self) -> str:
        """Read the file; return what is wrong with it, recorded, or nothing."""
        try:
            self._audio = await run_blocking(read_wav, Path(self._path))
        except (OSError, VoxpipeError) as error:
            self._log.record(self._key, describe_error(error))
            return f"{self._key}: {error}"
        return ""

    def put(self, playout: Playout, target: AudioFormat) -> bool:
        """Put what was loaded behind what waits for the caller; ``False``, and recorded, where there is no room."""
        assert self._audio is not None
        audio, source = self._audio
        converter = Converter(source, target)
        ledger = playout.ledger
        converted = converter.convert(audio) + converter.flush()
        if not ledger.add(self.part, converted, ledger.epoch):
            ledger.finish(self.part.response_id, ledger.epoch)
            told = {"response_id": self.part.response_id, "bytes": len(converted)}
            self._log.record("playout.overrun", told)
            return False
        ledger.finish(self.part.response_id, ledger.epoch)
        duration_ms = round(source.duration_ms(len(audio)), 1)
        self._log.record(self._key, {"path": self._path, "duration_ms": duration_ms})
        playout.wake()
        return True

    async def play(self, playout: Playout, target: AudioFormat) -> bool:
        """Put it behind what waits, and return once nothing waits any more; tell whether it was cut by nobody."""
        played = trio.Event()
        if not self.put(playout, target):
            return False
        epoch = playout.ledger.epoch
        playout.tell_when_idle(played.set)
        await played.wait()
        return playout.ledger.epoch == epoch
