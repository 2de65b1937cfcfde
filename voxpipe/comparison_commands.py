"""What the command ``compare`` does: read both sides, compare them, print it, and write its page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from voxpipe.analysis.comparison import CallFacts, compare_calls
from voxpipe.analysis.legible import path_text
from voxpipe.analysis.report.pair import Side, pair_page
from voxpipe.analysis.slo import Slo, load_slo
from voxpipe.analysis_tables import make_console
from voxpipe.command_files import refuse_place, write_whole
from voxpipe.comparison_tables import print_comparison
from voxpipe.log_commands import FAILED, find_logs, print_json, read_all, read_one
from voxpipe.log_report import gather_call, page_progress


def compare_logs(
    expected: Path, actual: Path, *, slo: Path | None, json: bool, lenient: bool, html: Path | None, audio: bool
) -> int:
    """Print what differs between two calls, or two folders of calls, and write the page; return the exit status."""
    limits = load_slo(slo)
    found = [find_logs([given]) for given in (expected, actual)]
    if html is not None:
        refuse_place("--html", html, [path for paths, _ in found for path in paths])
    drawn = html is not None and not any(several for _, several in found)
    complete = True
    with ExitStack() as stack:
        sides: list[Side] = []
        for given, (paths, several) in zip((expected, actual), found, strict=True):
            if several:
                facts, unreadable = read_all(paths, lenient, lambda call: CallFacts.of(call, limits))
                sides.append(Side(given, list(facts.values())))
                complete = complete and not unreadable
            elif drawn:
                with page_progress() as progress:
                    material = stack.enter_context(gather_call(given, lenient, progress))
                sides.append(Side(given, [CallFacts.of(material.call, limits)], material))
            else:
                sides.append(Side(given, [CallFacts.of(read_one(given, lenient), limits)]))
        page = None if html is None else _page(sides, limits, audio)
    comparison = compare_calls(*(side.facts for side in sides))
    if json:
        print_json(comparison.to_json())
    else:
        print_comparison(make_console(), comparison, path_text(expected), path_text(actual))
    if html is not None and page is not None:
        write_whole(html, [page])
        # JSON may be on the other.
        Console(stderr=True, highlight=False).print(f"{html} ({len(page) / 1e6:.1f} MB)", markup=False, soft_wrap=True)
    return 0 if complete else FAILED


def _page(sides: Sequence[Side], limits: Slo, audio: bool) -> bytes:
    expected, actual = sides
    with page_progress() as progress:
        drawn = progress("drawing", sum(side.material.call.duration_ns for side in sides if side.material))
        return pair_page(expected, actual, limits, audio=audio, on_progress=drawn)
