"""What each side of a call sounds like, once a second, in the log."""

from __future__ import annotations

import math

from voxpipe.actors.sink import CallLog
from voxpipe.audio import AudioFormat
from voxpipe.dsp import Diagnosis


class Ear:
    """Listens to one direction as it came, before anything is done to it. It never changes how bytes are read."""

    def __init__(self, side: str, format_: AudioFormat, log: CallLog) -> None:
        self._side = side
        self._diagnosis = Diagnosis(format_)
        self._log = log

    def hear(self, audio: bytes) -> None:
        """Take whole samples; a level is recorded for each second of them, and each suspicion when it begins."""
        second = self._diagnosis.add(audio)
        if second is None:
            return
        level = second.level
        self._log.record(
            "audio.level",
            {
                "side": self._side,
                "rms_dbfs": _finite(level.rms_dbfs),
                "peak_dbfs": _finite(level.peak_dbfs),
                "dc_offset_lsb": round(level.dc_offset_lsb, 2),
                "clipped_samples": level.clipped_samples,
                "zero_run_samples": level.zero_run_samples,
            },
        )
        for suspicion in second.suspicions:
            self._log.suspicions.append(f"{self._side} {suspicion.name}")
            self._log.record(
                "audio.suspect", {"side": self._side, "name": suspicion.name, "message": suspicion.message}
            )


def _finite(level_db: float) -> float | None:
    """JSON has no minus infinity; digital silence is null."""
    return round(level_db, 2) if math.isfinite(level_db) else None
