"""The page of a report as a file: its numbers, what may be in it, what it may do, and how large it may be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from faulty_logs import plain
from judged import TALK, log_of
from long_log import write_long_log
from plain_log import PlainLog, beta_session, conversation, ga_session
from report_page import blocks, content_of_log, data_of
from virtual_call import CallMaker, Script, silence

from voxpipe.analysis.call import read_call
from voxpipe.analysis.checks import check
from voxpipe.analysis.overview import overview_of
from voxpipe.analysis.report import Content, page_of, sound
from voxpipe.analysis.report import page as page_module
from voxpipe.analysis.slo import Slo
from voxpipe.audio import NS_PER_S, SLIN8
from voxpipe.errors import RecordError
from voxpipe.wav import write_wav

HOSTILE = (
    "</script><script>alert(1)</script><!-- \u2028\u2029 {{script}} <img src=x onerror=alert(2)> & ' \" \\ \x7f é 😀"
)
COLOURS = ("ink", "muted", "caller", "agent", "latency", "session", "tools", "faults", "good", "bad")


def page_text(content: Content) -> str:
    """The page as text."""
    return page_of(content).decode()


async def test_the_numbers_are_those_of_the_commands(make_call: CallMaker, autojump_clock: Any) -> None:
    """Overview and verdicts are what analyze and check give, and the lanes have the accounts' own nanoseconds."""
    log = log_of(await make_call(TALK, log={"audio": "sidecar"}))
    call, slo = read_call(log), Slo(answer_p95_ms=1)
    data = data_of(page_text(content_of_log(log, slo=slo)))
    overview = json.loads(json.dumps(overview_of(call)))
    overview["log"]["path"] = log.name
    assert data["calls"][0]["overview"] == overview
    assert data["verdicts"] == json.loads(json.dumps([verdict.to_json() for verdict in check(call, slo)]))
    assert data["passed"] is False
    assert data["calls"][0]["duration_ns"] == call.duration_ns
    callers = [turn for turn in data["calls"][0]["lanes"]["turns"] if turn["speaker"] == "caller"]
    for turn, account in zip(callers, call.accounts.caller.turns, strict=True):
        assert turn["marks_ns"]["played"] == account.marks.played
        assert turn["begin_ns"] == account.started_ns
        parts = list(turn["marks_ns"].values())
        assert parts[-1] - parts[0] == account.marks.whole_ns
    (cut,) = data["calls"][0]["lanes"]["cuts"]
    assert cut["silent_ns"] == call.accounts.interruptions.found[0].silent_ns
    for turn, told in zip(data["calls"][0]["lanes"]["turns"], data["calls"][0]["overview"]["turns"], strict=True):
        assert (turn["line"], turn["speaker"]) == (told["line"], told["speaker"])


async def test_a_prompt_is_shown_where_it_was_played(make_call: CallMaker, autojump_clock: Any, tmp_path: Path) -> None:
    """The caller was welcomed by a file of ours before the agent spoke: neither silence nor the agent's words."""
    welcome = tmp_path / "hello.wav"
    write_wav(welcome, b"\x00\x20" * 8_000, SLIN8)
    log = {"audio": "sidecar"}
    script = Script(audio=silence(6_000))
    call = await make_call(script, leg={"welcome_wav": str(welcome)}, session={"greeting": "Say hello."}, log=log)
    content = content_of_log(log_of(call))
    (prompt,) = content.data["calls"][0]["lanes"]["prompts"]
    assert prompt["name"] == "welcome"
    assert prompt["begin_ns"] / NS_PER_S == pytest.approx(call.phone.spoken[0], abs=0.03)
    assert prompt["end_ns"] - prompt["begin_ns"] == NS_PER_S
    (turn,) = content.data["calls"][0]["lanes"]["turns"]
    assert turn["begin_ns"] >= prompt["end_ns"] - 20_000_000
    agent = base64.b64decode(content.data["calls"][0]["waves"]["downlink"]["pyramid"][0])
    first = next(number for number, peak in enumerate(agent) if peak) // 2 * 2_000_000
    assert first == pytest.approx(turn["begin_ns"], abs=60_000_000)


def hostile_log() -> PlainLog:
    """A call in which everybody says what could break a page."""
    log = plain()
    log.turn(1, said=HOSTILE)
    log.answer(1)
    log.add("error", {"error": {"type": HOSTILE, "code": HOSTILE, "message": HOSTILE}}, after_s=1)
    log.add(HOSTILE, {HOSTILE: HOSTILE}, after_s=0.1)
    log.add("connection.closed", {"code": 1006, "reason": HOSTILE}, after_s=0.1)
    return log


class Tags(HTMLParser):
    """The tags of a page, as a browser finds them, and the attributes of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See ``HTMLParser``."""
        self.found.append((tag, dict(attrs)))


def test_nothing_that_was_said_can_leave_its_block(tmp_path: Path) -> None:
    """Whatever strings a log has, the page has the tags of a page of another log, and its data read back the same."""
    hostile = page_text(content_of_log(hostile_log().write(tmp_path / "<b>&.jsonl")))
    harmless = page_text(content_of_log(conversation(plain()).write(tmp_path / "good.jsonl")))
    policies = re.compile(r"sha256-[^']+")
    assert [tag for tag, _ in Tags(hostile).found] == [tag for tag, _ in Tags(harmless).found]
    assert policies.findall(hostile) == policies.findall(harmless)
    data = blocks(hostile)["data"]
    assert not re.search(r"[<>&\u2028\u2029]", data)
    told = json.loads(data)
    assert told["calls"][0]["overview"]["turns"][0]["transcript"] == HOSTILE
    assert told["events"]["types"].count(HOSTILE) == 1
    assert "<title>&lt;b&gt;&amp;.jsonl</title>" in hostile


def test_the_page_may_reach_nothing_and_run_nothing_but_its_own_script(tmp_path: Path) -> None:
    """The policy forbids all by default, names script and style by their hashes, and no attribute names an address."""
    page = page_text(content_of_log(conversation(plain()).write(tmp_path / "good.jsonl")))
    tags = Tags(page).found
    policy = next(a["content"] for tag, a in tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (blocks(page)["program"], *style)
    ]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{hashes[0]}'",
        f"style-src 'sha256-{hashes[1]}'",
        "img-src data:",
        "media-src blob:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert [tag for tag, _ in tags].index("meta") < [tag for tag, _ in tags].index("style")
    for _tag, attributes in tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert attributes.get("src") is None
        assert attributes.get("href") in (None, "data:,", "#timeline")
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\b|https?://", blocks(page)["program"])


def test_every_file_of_the_page_is_in_it() -> None:
    """No script or style lies beside the others without being used."""
    names = {path.name for path in resources.files(page_module.__package__).iterdir()}
    sheets = (page_module.CALL_SHEET, page_module.PAIR_SHEET, page_module.FOLDERS_SHEET)
    used = {name for sheet in sheets for name in (sheet.main, *sheet.styles, *sheet.scripts)}
    used |= {f"{name}.html" for name in (*page_module.INCLUDED, "shell")}
    assert {name for name in names if name.endswith((".css", ".js", ".html"))} == used


def test_the_same_log_makes_the_same_page(tmp_path: Path) -> None:
    """To the byte, wherever the log lies."""
    first = conversation(plain()).write(tmp_path / "call.jsonl")
    other = tmp_path / "elsewhere"
    other.mkdir()
    second = conversation(plain()).write(other / "call.jsonl")
    assert page_of(content_of_log(first)) == page_of(content_of_log(second))


def luminance(colour: str) -> float:
    """Relative luminance after WCAG 2.1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "sheet"])
def test_every_colour_of_text_can_be_read(scheme: int, ground: str) -> None:
    """The contrast of each on either ground is 4.5 to 1 at least, as WCAG 2.1 asks for at level AA."""
    style = resources.files(page_module.__package__).joinpath("page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme]))
    for name in COLOURS:
        lighter, darker = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name


@pytest.mark.parametrize("camel", [False, True])
def test_a_plain_log_without_audio_makes_a_page(tmp_path: Path, camel: bool) -> None:
    """Its turns are there; it has neither waves nor levels, and says so."""
    log = PlainLog(camel=camel, audio="absent")
    log.configure(beta_session() if camel else ga_session())
    content = content_of_log(conversation(log).write(tmp_path / "plain.jsonl"))
    assert content.sound is None
    assert {wave["kind"] for wave in content.data["calls"][0]["waves"].values()} == {"none"}
    assert [turn["speaker"] for turn in content.data["calls"][0]["lanes"]["turns"]] == ["caller", "agent"] * 5
    assert content.data["calls"][0]["overview"]["turns"][0]["transcript"] == "hello"


def test_a_plain_log_with_audio_inline_is_played(tmp_path: Path) -> None:
    """What was sent to the provider and what came from it is the sound, without a leg in the log."""
    log = PlainLog(audio="inline")
    log.configure(ga_session())
    voice = b"\x00\x20\x00\xe0" * 240
    content = content_of_log(conversation(log, voice=voice).write(tmp_path / "plain.jsonl"))
    assert {wave["kind"] for wave in content.data["calls"][0]["waves"].values()} == {"inline"}
    level = base64.b64decode(content.data["calls"][0]["waves"]["uplink"]["pyramid"][0])
    assert max(level) == 128
    assert content.sound is not None
    assert content.sound.startswith(b"OggS")


def test_a_log_of_days_is_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several calls in a file, or a clock that jumps, make a page without waves; a long call one without sound."""
    log = PlainLog(audio="inline")
    log.configure(ga_session())
    conversation(log)
    content = content_of_log(log.write(tmp_path / "call.jsonl"))
    assert content.sound is not None
    monkeypatch.setattr(sound, "LONGEST_SOUND_NS", 20 * NS_PER_S)
    content = content_of_log(log.write(tmp_path / "call.jsonl"))
    assert content.sound is None
    assert {wave["kind"] for wave in content.data["calls"][0]["waves"].values()} == {"inline"}
    log.add("connection.opened", after_s=400 * 86_400)
    content = content_of_log(log.write(tmp_path / "days.jsonl"))
    assert content.sound is None
    assert {wave["kind"] for wave in content.data["calls"][0]["waves"].values()} == {"too long"}
    assert len(content.data["calls"][0]["lanes"]["turns"]) == 10


async def test_a_torn_log_makes_a_page_that_says_so(make_call: CallMaker, autojump_clock: Any, tmp_path: Path) -> None:
    """What is there is shown, and the check that the log is complete fails; a bad line elsewhere is refused."""
    log = log_of(await make_call(TALK, log={"audio": "sidecar"}))
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) * 2 // 3])
    content = content_of_log(log)
    assert content.data["calls"][0]["overview"]["log"]["torn_last_line"] is True
    complete = next(verdict for verdict in content.data["verdicts"] if verdict["name"] == "the log is complete")
    assert complete["status"] == "fails"
    assert content.data["calls"][0]["lanes"]["turns"]
    lines = whole.splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:5], b"{no json\n", *lines[5:]]))
    with pytest.raises(RecordError, match="line 6"):
        content_of_log(log)
    assert content_of_log(log, lenient=True).data["calls"][0]["overview"]["log"]["skipped_lines"] == 1


def test_a_log_of_nothing_but_its_beginning_makes_a_page(tmp_path: Path) -> None:
    """One event without a time after it: no turns, no waves, no division by its length."""
    log = PlainLog()
    log.add("connection.opened", {"url": "wss://provider.test"})
    content = content_of_log(log.write(tmp_path / "short.jsonl"))
    assert content.data["calls"][0]["duration_ns"] == 0
    assert content.data["calls"][0]["lanes"]["turns"] == []
    assert len(page_of(content)) > 10_000


def test_a_long_call_stays_small(tmp_path: Path) -> None:
    """Ten minutes of 74 000 lines are less than half a megabyte without audio: frames are folded, levels are bytes."""
    log = tmp_path / "long.jsonl"
    lines = write_long_log(log, 600)
    content = content_of_log(log, audio=False)
    assert lines > 70_000
    assert len(content.data["events"]["rows"]) < 1_000
    assert len(page_of(content)) < 500_000
