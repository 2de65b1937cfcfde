"""The page: one file that needs nothing else and may reach nothing else.

Its policy forbids every request and every script but its own, which it names by their hashes; what callers, agents and
peers said is data in a block that no browser runs, and is put on the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from importlib import resources

import attrs
import orjson
import pybase64

from voxpipe.analysis.legible import legible
from voxpipe.analysis.report.content import Content

TITLE_CHARACTERS = 120
ESCAPED = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)
"""What could end the block or a line of it; in JSON these occur only in strings."""


@attrs.frozen
class Sheet:
    """A kind of page: the command that writes it and the files that it is made of.

    Scripts are in the order in which each may use those before it; together they are one.
    """

    command: str
    main: str
    styles: tuple[str, ...]
    scripts: tuple[str, ...]


STYLES = ("page.css", "chart.css", "tables.css")
TIMELINE = ("words.js", "waves.js", "view.js", "chart.js", "marks.js", "sound.js", "keys.js")
CALL_SHEET = Sheet("report", "call.html", STYLES, (*TIMELINE, "facts.js", "turns.js", "events.js", "call.js"))
PAIR_STYLES = (*STYLES, "pair.css")
PAIR_SHEET = Sheet("compare", "pair.html", PAIR_STYLES, (*TIMELINE, "pair_facts.js", "pair_turns.js", "pair.js"))
FOLDERS_SHEET = Sheet("compare", "folders.html", PAIR_STYLES, ("words.js", "pair_facts.js", "folders.js"))
INCLUDED = ("timeline", "player", "difference")


def page_of(content: Content) -> bytes:
    """Write a call's page as HTML in UTF-8; the same for the same content."""
    return write_sheet(CALL_SHEET, content.data["calls"][0]["overview"]["log"]["path"], content.data, [content.sound])


def write_sheet(sheet: Sheet, title: str, data: object, sounds: Sequence[bytes | None]) -> bytes:
    """Write a page as HTML in UTF-8: its data, and for every call in them its sound (Ogg Vorbis) or ``None``."""
    style = "".join(_text(name) for name in sheet.styles)
    script = "\n".join(['"use strict";\n(() => {', *(_text(name) for name in sheet.scripts), "})();\n"])
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "media-src blob:; base-uri 'none'; form-action 'none'"
    )
    numbers = ["" if number == 0 else str(number) for number in range(len(sounds))]
    filled = {
        "policy": policy.encode(),
        "title": html.escape(legible(title, TITLE_CHARACTERS)).encode(),
        "command": sheet.command.encode(),
        "style": style.encode(),
        "script": script.encode(),
        "data": data_block(data),
        "players": b"".join(b'<audio id="audio%b" preload="auto"></audio>' % number.encode() for number in numbers),
        "sounds": b"".join(_sound_block(*pair) for pair in zip(numbers, sounds, strict=True)),
    }
    template = _text("shell.html").replace("{{main}}", _text(sheet.main))
    for name in INCLUDED:
        template = template.replace(f"{{{{{name}}}}}", _text(f"{name}.html").rstrip())
    parts = template.split("{{")
    made = [parts[0].encode()]
    for part in parts[1:]:
        name, _, rest = part.partition("}}")
        made += [filled[name], rest.encode()]
    return b"".join(made)


def _sound_block(number: str, sound: bytes | None) -> bytes:
    text = b"" if sound is None else pybase64.b64encode(sound)
    return b'<script type="text/plain" class="sound" id="sound%b">%b</script>\n' % (number.encode(), text)


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
