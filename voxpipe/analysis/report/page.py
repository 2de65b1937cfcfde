"""The page: one file that needs nothing else and may reach nothing else.

Its policy forbids every request and every script but its own, which it names by their hashes; what callers, agents and
peers said is data in a block that no browser runs, and is put on the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
from importlib import resources

import orjson
import pybase64

from voxpipe.analysis.legible import legible
from voxpipe.analysis.report.content import Content

STYLES = ("page.css", "chart.css", "tables.css")
SCRIPTS = (
    "words.js",
    "waves.js",
    "view.js",
    "chart.js",
    "marks.js",
    "sound.js",
    "facts.js",
    "turns.js",
    "events.js",
    "keys.js",
)
"""In the order in which each may use those before it; together they are one script."""
ESCAPED = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)
"""What could end the block or a line of it; in JSON these occur only in strings."""


def page_of(content: Content) -> bytes:
    """Write the page as HTML in UTF-8; the same for the same content."""
    style = "".join(_text(name) for name in STYLES)
    script = "\n".join(['"use strict";\n(() => {', *(_text(name) for name in SCRIPTS), "})();\n"])
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "media-src blob:; base-uri 'none'; form-action 'none'"
    )
    sound = b"" if content.sound is None else pybase64.b64encode(content.sound)
    title = html.escape(legible(content.data["overview"]["log"]["path"], 120))
    filled = {
        "policy": policy.encode(),
        "title": title.encode(),
        "style": style.encode(),
        "script": script.encode(),
        "data": data_block(content.data),
        "sound": sound,
    }
    parts = _text("page.html").split("{{")
    made = [parts[0].encode()]
    for part in parts[1:]:
        name, _, rest = part.partition("}}")
        made += [filled[name], rest.encode()]
    return b"".join(made)


def data_block(data: object) -> bytes:
    """Write JSON that can stand in a script block, whatever its strings are."""
    text = orjson.dumps(data)
    for letter, escape in ESCAPED:
        text = text.replace(letter, escape)
    return text


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
