"""Verdicts: what a check found, where in the log, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import attrs

Status = Literal["holds", "fails", "unknown"]
HOLDS: Status = "holds"
FAILS: Status = "fails"
UNKNOWN: Status = "unknown"
SHOWN_LINES = 8

NO_TRANSCRIPTION = "missing transcripts: transcription was not configured"
WRONG_FORMAT = "distorted or slow audio: the formats differ"
NO_TURNS = "turn detection never triggers"
CLASSIC_FAULTS = (NO_TRANSCRIPTION, WRONG_FORMAT, NO_TURNS)
"""What a bad call most often is; a verdict that finds one names it."""


@attrs.frozen
class Verdict:
    """One line of the checklist."""

    group: str
    name: str
    status: Status
    evidence: str
    lines: tuple[int, ...] = ()
    """Lines of the log to look at, in order."""
    advice: str = ""
    """What to do, where the check fails."""
    fault: str = ""
    """The classic fault behind it, if it is one."""

    def to_json(self) -> dict[str, Any]:
        """Write the verdict as JSON data."""
        return attrs.asdict(self)


@attrs.frozen
class Judge:
    """Makes the verdicts of one check."""

    group: str
    name: str

    def holds(self, evidence: str, lines: Iterable[int | None] = ()) -> Verdict:
        """It is as it should be."""
        return Verdict(self.group, self.name, HOLDS, evidence, shown(lines))

    def unknown(self, evidence: str, lines: Iterable[int | None] = ()) -> Verdict:
        """The log does not say."""
        return Verdict(self.group, self.name, UNKNOWN, evidence, shown(lines))

    def fails(self, evidence: str, lines: Iterable[int | None], advice: str, fault: str = "") -> Verdict:
        """It is not as it should be; the advice says what to do."""
        return Verdict(self.group, self.name, FAILS, evidence, shown(lines), advice, fault)


def shown(lines: Iterable[int | None]) -> tuple[int, ...]:
    """The first few lines, in order, each once."""
    return tuple(sorted({line for line in lines if line is not None})[:SHOWN_LINES])
