"""How each side sounded, second by second: from the levels in our own logs, or from audio inline in plain ones."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pybase64

from voxpipe.analysis.events import LogEvent, dig
from voxpipe.analysis.spelling import inline_bytes
from voxpipe.audio import AudioFormat
from voxpipe.dsp import Diagnosis

ACTIVE_DBFS = -50.0
"""RMS of a second from which it counts as speech, as for the detectors (dsp/diagnosis.py)."""
SHOWN_LINES = 8


@attrs.define
class Heard:
    """What is known of one side's sound; ``seconds`` is 0 where nobody listened."""

    seconds: int = 0
    active_seconds: int = 0
    loudest_dbfs: float | None = None
    loudest_line: int | None = None
    peak_dbfs: float | None = None
    clipped_samples: int = 0
    clipped_lines: list[int] = attrs.field(factory=list)
    dc_offset_lsb: float = 0.0
    """Mean over all seconds."""
    suspicions: list[tuple[str, int, str]] = attrs.field(factory=list)
    """Name, line and words of each."""
    unreadable_chunks: int = 0
    """Inline audio that is no base64, or no whole samples."""
    unreadable_line: int | None = None
    _offset_sum: float = 0.0

    def take_second(
        self, rms_dbfs: float | None, peak_dbfs: float | None, clipped: int, offset_lsb: float, line_no: int
    ) -> None:
        """Take one second's level; ``None`` is digital silence."""
        self.seconds += 1
        self._offset_sum += offset_lsb
        self.dc_offset_lsb = round(self._offset_sum / self.seconds, 2)
        if clipped:
            self.clipped_samples += clipped
            if len(self.clipped_lines) < SHOWN_LINES:
                self.clipped_lines.append(line_no)
        if rms_dbfs is None:
            return
        self.active_seconds += rms_dbfs > ACTIVE_DBFS
        if self.loudest_dbfs is None or rms_dbfs > self.loudest_dbfs:
            self.loudest_dbfs, self.loudest_line = round(rms_dbfs, 2), line_no
        if peak_dbfs is not None:
            self.peak_dbfs = round(max(peak_dbfs, -math.inf if self.peak_dbfs is None else self.peak_dbfs), 2)

    def suspect(self, name: str, line_no: int, words: str) -> None:
        """Take note of a suspicion; the first few are kept."""
        if len(self.suspicions) < SHOWN_LINES:
            self.suspicions.append((name, line_no, words))

    def to_json(self) -> dict[str, Any]:
        """Write what is known as JSON data; a side nobody listened to has nulls."""
        known = self.seconds > 0
        return {
            "seconds": self.seconds,
            "active_seconds": self.active_seconds if known else None,
            "loudest_dbfs": self.loudest_dbfs,
            "peak_dbfs": self.peak_dbfs,
            "clipped_samples": self.clipped_samples if known else None,
            "dc_offset_lsb": self.dc_offset_lsb if known else None,
            "suspicions": [{"name": name, "line": line, "message": words} for name, line, words in self.suspicions],
            "unreadable_chunks": self.unreadable_chunks,
        }


class Listener:
    """Listens to one side: to inline audio until a log is found to have levels of its own."""

    def __init__(self) -> None:
        self.heard = Heard()
        self._told = False
        self._diagnosis: Diagnosis | None = None

    def take_level(self, event: LogEvent) -> None:
        """Take a level that was measured in the call."""
        if not self._told:
            self.heard, self._told = Heard(suspicions=self.heard.suspicions), True
        numbers = [_number(event.data, name) for name in ("rms_dbfs", "peak_dbfs", "clipped_samples", "dc_offset_lsb")]
        rms, peak, clipped, offset = numbers
        self.heard.take_second(rms, peak, int(clipped or 0), offset or 0.0, event.line_no)

    def take_suspicion(self, event: LogEvent) -> None:
        """Take a suspicion that was told in the call."""
        self.heard.suspect(str(event.data.get("name")), event.line_no, str(event.data.get("message")))

    def take_audio(self, payload: object, format_: AudioFormat | None, line_no: int) -> None:
        """Listen to inline audio in the format that is in force; without one nothing can be heard."""
        if self._told or format_ is None or not isinstance(payload, str) or not payload:
            return
        size_bytes = inline_bytes(payload)
        if size_bytes is None and self._diagnosis is None:
            return  # a note that audio was left out, as in all chunks before
        if size_bytes is None or size_bytes % format_.sample_bytes:
            self.heard.unreadable_chunks += 1
            self.heard.unreadable_line = self.heard.unreadable_line or line_no
            return
        if self._diagnosis is None or self._diagnosis.format != format_:
            self._diagnosis = Diagnosis(format_)
        second = self._diagnosis.add(pybase64.b64decode(payload))
        if second is None:
            return
        level = second.level
        rms, peak = (_finite(value) for value in (level.rms_dbfs, level.peak_dbfs))
        self.heard.take_second(rms, peak, level.clipped_samples, level.dc_offset_lsb, line_no)
        for suspicion in second.suspicions:
            self.heard.suspect(suspicion.name, line_no, suspicion.message)


def _finite(level_db: float) -> float | None:
    return level_db if math.isfinite(level_db) else None


def _number(data: dict[str, Any], name: str) -> float | None:
    value = dig(data, name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
