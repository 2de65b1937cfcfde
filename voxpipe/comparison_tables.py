"""What ``voxpipe compare`` prints: only what differs, the worst last, where the eye is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Column

from voxpipe.analysis.comparison import Comparison, Difference, NumberPair, Spread, VerdictPair
from voxpipe.analysis.legible import legible
from voxpipe.analysis_tables import make_table

SHOWN_CHARACTERS = 200
FOUND = ("higher", "lower")


def print_comparison(console: Console, comparison: Comparison, expected: str, actual: str) -> None:
    """Print what differs between two calls or two folders of them."""
    for word, name, logs in (("expected", expected, comparison.expected), ("actual", actual, comparison.actual)):
        count = f" ({len(logs)} calls)" if len(logs) > 1 else ""
        console.print(f"{word}: {name}{count}", markup=False, soft_wrap=True)
    _print_differences(console, "Configuration and formats", comparison.settings)
    _print_numbers(console, comparison.numbers)
    _print_differences(console, "Errors", comparison.errors)
    _print_verdicts(console, comparison.verdicts)


def _print_differences(console: Console, title: str, found: Sequence[Difference]) -> None:
    if not found:
        console.print(f"{title}: no difference")
        return
    table = make_table(console, title, "", Column("expected", overflow="fold"), Column("actual", overflow="fold"))
    for one in found:
        table.add_row(*(escape(legible(words, SHOWN_CHARACTERS)) for words in (one.name, one.expected, one.actual)))
    console.print(table)


def _print_numbers(console: Console, pairs: Sequence[NumberPair]) -> None:
    shown = [pair for pair in pairs if pair.finding in FOUND or pair.expected.median != pair.actual.median]
    if not shown:
        console.print("Numbers: no difference")
        return
    title = "Numbers: median (middle half; count of known values)"
    table = make_table(console, title, "", "expected", "actual", "difference", "finding", "p")
    for pair in shown:
        before, after = pair.expected.median, pair.actual.median
        change = "unknown" if before is None or after is None else f"{after - before:+.4g}"
        finding = f"[bold]{pair.finding}[/]" if pair.finding in FOUND else pair.finding
        p = "" if pair.p is None else f"{pair.p:.2g}"
        table.add_row(escape(pair.name), _spread(pair.expected), _spread(pair.actual), change, finding, p)
    console.print(table)


def _spread(found: Spread) -> str:
    if found.median is None or found.low is None or found.high is None:
        return "unknown"
    around = f" ({found.low:.6g} to {found.high:.6g}; {found.count})" if found.count > 1 else ""
    return f"{found.median:.6g}{around}"


def _print_verdicts(console: Console, pairs: Sequence[VerdictPair]) -> None:
    if not pairs:
        console.print("Verdicts: no difference")
        return
    table = make_table(console, "Verdicts", "", "check", "expected", "actual", "evidence")
    marks = {True: "[red]worse[/]", False: "[green]better[/]", None: "other"}
    for pair in sorted(pairs, key=lambda pair: (pair.worse is True, pair.worse is None)):
        evidence = escape(legible(pair.evidence, SHOWN_CHARACTERS))
        table.add_row(marks[pair.worse], pair.name, _counts(pair.expected), _counts(pair.actual), evidence)
    console.print(table)


def _counts(statuses: dict[str, int]) -> str:
    told = [(status, count) for status, count in statuses.items() if count]
    return told[0][0] if sum(statuses.values()) == 1 else ", ".join(f"{count} {status}" for status, count in told)
