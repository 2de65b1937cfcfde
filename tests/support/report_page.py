"""The pages of reports, for tests to make and to look into."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from browser import Page
from long_log import write_long_log

from voxpipe.analysis.comparison import CallFacts
from voxpipe.analysis.report import Content, content_of, gather, page_of
from voxpipe.analysis.report.content import Progress, ignore
from voxpipe.analysis.report.pair import Side, pair_page
from voxpipe.analysis.slo import Slo
from voxpipe.audio import SLIN8, SLIN24
from voxpipe.wav import write_wav

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
RANGE = "document.getElementById('range').textContent"


def content_of_log(log: Path, *, audio: bool = True, slo: Slo | None = None, lenient: bool = False) -> Content:
    """A page's content, made of a log."""
    with gather(log, lenient=lenient) as material:
        return content_of(material, slo, audio=audio)


def write_page(log: Path, out: Path, *, audio: bool = True) -> Path:
    """Make a page of a log."""
    out.write_bytes(page_of(content_of_log(log, audio=audio)))
    return out


def blocks(page: str) -> dict[str, str]:
    """The script blocks of a page: by id, its program as ``program``."""
    found = re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)
    named = [(re.search(r'id="(\w+)"', attributes), text) for attributes, text in found]
    return {"program" if name is None else name[1]: text for name, text in named}


def data_of(page: str) -> Any:
    """The data in a page, as its script reads them."""
    return json.loads(blocks(page)["data"])


def with_sidecars(log: Path, seconds: int) -> Path:
    """Write a long log and beside it what was said in it: a buzz of the caller in each turn, another of the agent."""
    write_long_log(log, seconds)
    cycles = seconds // 20
    buzz = np.resize(np.array([9_000, -9_000, 4_000, -4_000], "<i2"), 24_000 * 8)
    uplink = np.zeros(seconds * 8_000, "<i2").reshape(cycles, -1)
    uplink[:, : 3 * 8_000] = buzz[: 3 * 8_000]
    write_wav(log.with_suffix(".uplink.wav"), uplink.tobytes(), SLIN8)
    write_wav(log.with_suffix(".downlink.wav"), np.tile(buzz, cycles).tobytes(), SLIN24)
    return log


def at(page: Page, time_s: float, lane: str, call: str = "") -> tuple[float, float]:
    """Where in the window an instant that is shown is in a lane, of the call of that name where there are several."""
    page.run("document.getElementById('chart').scrollIntoView({ block: 'center' })")
    page.settle()
    begin, end = shown_s(page)
    stage, mark = page.box("#stage"), page.box(f".mark.turn.{lane}" + (f"[aria-label^='{call}']" if call else ""))
    return stage["x"] + stage["width"] * (time_s - begin) / (end - begin), mark["y"] + 20


def texts(page: Page, selector: str) -> list[str]:
    """The texts of all such elements."""
    found: list[str] = page.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.textContent)")
    return found


def shown_s(page: Page) -> tuple[float, float]:
    """The part of the call that is shown, in seconds."""
    begin, end = (clock.split(":") for clock in page.run(RANGE).split(" – "))
    return tuple(sum(60**place * float(part) for place, part in enumerate(reversed(one))) for one in (begin, end))


def write_pair(expected: Path, actual: Path, *, audio: bool = True, on_progress: Progress = ignore) -> bytes:
    """Make the page of two calls' comparison."""
    with gather(expected) as one, gather(actual) as other:
        sides = [Side(made.call.path, [CallFacts.of(made.call)], made) for made in (one, other)]
        return pair_page(*sides, audio=audio, on_progress=on_progress)
