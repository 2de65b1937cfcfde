"""The pages of reports, for tests to make and to look into."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from voxpipe.analysis.report import Content, content_of, gather, page_of
from voxpipe.analysis.slo import Slo


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
