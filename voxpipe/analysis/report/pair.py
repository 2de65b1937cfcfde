"""The page of a comparison: what differs and, of one call against another, both on one axis of time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from voxpipe.analysis.comparison import CallFacts, Comparison, compare_calls
from voxpipe.analysis.legible import path_text
from voxpipe.analysis.report.content import LEGEND, Material, Progress, draw_call, ignore
from voxpipe.analysis.report.page import FOLDERS_SHEET, PAIR_SHEET, write_sheet
from voxpipe.analysis.slo import Slo

SIDES = ("expected", "actual")
MOST_DOTS = 200
"""Of more values than these as many are drawn, evenly chosen in their order."""


@attrs.frozen
class Side:
    """One side of a comparison: what it was called by who asked, its calls, and its only log where it has one."""

    given: Path
    facts: Sequence[CallFacts]
    material: Material | None = None


def pair_page(
    expected: Side,
    actual: Side,
    slo: Slo | None = None,
    *,
    audio: bool = True,
    on_progress: Progress = ignore,
) -> bytes:
    """Write the page of a comparison as HTML in UTF-8; ``on_progress`` is told the nanoseconds drawn. Blocks."""
    sides, names = (expected, actual), short_names(expected.given, actual.given)
    comparison = compare_calls(expected.facts, actual.facts)
    data: dict[str, Any] = {
        "comparison": _without_folders(comparison),
        "names": dict(zip(SIDES, names, strict=True)),
        "values": {pair.name: _values(sides, pair.name) for pair in comparison.numbers},
        "calls": [],
        **LEGEND,
    }
    title = f"{names[0]}, {names[1]}"
    materials = [side.material for side in sides if side.material is not None]
    if len(materials) < len(sides):
        return write_sheet(FOLDERS_SHEET, title, data, [])
    sounds: list[bytes | None] = []
    for word, name, material in zip(SIDES, names, materials, strict=True):
        done = sum(call["duration_ns"] for call in data["calls"])
        drawn, sound = draw_call(material, slo, audio=audio, on_progress=partial(_further, on_progress, done))
        drawn["overview"]["log"]["path"] = name
        data["calls"].append({"name": word.capitalize(), **drawn})
        sounds.append(sound)
    return write_sheet(PAIR_SHEET, title, data, sounds)


def _further(on_progress: Progress, done: int, more: int) -> None:
    on_progress(done + more)


def short_names(expected: Path, actual: Path) -> tuple[str, str]:
    """Name two paths by as little of their ends as tells them apart."""
    one, other = expected.absolute().parts, actual.absolute().parts
    for count in range(1, max(len(one), len(other))):
        if one[-count:] != other[-count:]:
            return path_text(Path(*one[-count:])), path_text(Path(*other[-count:]))
    return path_text(one[-1]), path_text(other[-1])


def _without_folders(comparison: Comparison) -> dict[str, Any]:
    """Where the logs lie is the reader's business, and changes."""
    named = attrs.evolve(
        comparison,
        expected=tuple(Path(log).name for log in comparison.expected),
        actual=tuple(Path(log).name for log in comparison.actual),
        verdicts=tuple(attrs.evolve(pair, log=Path(pair.log).name) for pair in comparison.verdicts),
    )
    return named.to_json()


def _values(sides: Sequence[Side], name: str) -> dict[str, list[float]]:
    found = {}
    for word, side in zip(SIDES, sides, strict=True):
        values = sorted(value for one in side.facts for value in one.numbers.get(name, ()) if value is not None)
        count = min(len(values), MOST_DOTS)
        found[word] = [values[index * (len(values) - 1) // max(1, count - 1)] for index in range(count)]
    return found
