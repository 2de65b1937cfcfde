"""The page of a comparison in a real Chromium: both calls on one axis, either heard, and the tables beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import Page
from faulty_logs import no_transcription, plain
from long_log import write_long_log
from plain_log import VAD, PlainLog, conversation, ga_session
from report_page import RANGE, at, shown_s, texts, with_sidecars, write_pair

from voxpipe.analysis.call import read_call
from voxpipe.analysis.comparison import CallFacts
from voxpipe.analysis.report.pair import Side, pair_page

pytestmark = pytest.mark.browser

HEARD = "document.querySelector('#heard input:checked').parentElement.textContent"
PLACES_S = "[...document.querySelectorAll('audio')].map((one) => one.currentTime)"
PLAYING = "[...document.querySelectorAll('audio')].map((one) => !one.paused)"
FOCUS = "document.activeElement.getAttribute('aria-label')"
READY = "[...document.querySelectorAll('audio')].every((one) => one.readyState >= 1)"


def delayed(log: Path, seconds: int, by_s: float) -> Path:
    """A long log, all but the first five lines of it later by so much, and without a sound of its own."""
    write_long_log(log, seconds)
    lines = log.read_text().splitlines()
    moved = [re.sub(r'"t_ns":(\d+)', lambda found: f'"t_ns":{int(found[1]) + int(by_s * 1e9)}', line) for line in lines]
    log.write_text("\n".join([*lines[:5], *moved[5:]]) + "\n")
    return log


@pytest.fixture(scope="module")
def sounding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two calls with audio: forty seconds of two turns, and a minute of three."""
    folder = tmp_path_factory.mktemp("sounding")
    logs = (with_sidecars(folder / f"{name}.jsonl", seconds) for name, seconds in (("short", 40), ("long", 60)))
    (folder / "pair.html").write_bytes(write_pair(*logs))
    return folder / "pair.html"


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same call twice, the second with everything that was said seven seconds later."""
    folder = tmp_path_factory.mktemp("shifted")
    write_long_log(folder / "early.jsonl", 40)
    late = delayed(folder / "late.jsonl", 40, 7)
    (folder / "pair.html").write_bytes(write_pair(folder / "early.jsonl", late))
    return folder / "pair.html"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of plain logs, transcription switched off in the second."""
    folder = tmp_path_factory.mktemp("folders")
    good = conversation(plain()).write(folder / "good.jsonl")
    bad = no_transcription().write(folder / "bad.jsonl")
    sides = [Side(log.with_suffix(""), [CallFacts.of(read_call(log))] * 6) for log in (good, bad)]
    (folder / "pair.html").write_bytes(pair_page(*sides))
    return folder / "pair.html"


@pytest.fixture(scope="module")
def unlike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two plain logs whose settings have long names and long values, and differ in all of them."""
    folder = tmp_path_factory.mktemp("unlike")
    strange = ga_session(turn_detection={**VAD, "interrupt_response": False, "x" * 60: "y" * 60})
    sides = (conversation(plain()), PlainLog())
    sides[1].configure({**strange, "model": "gpt-realtime-of-a-very-long-name-indeed-2026-11-25"})
    logs = [log.write(folder / f"{number}.jsonl") for number, log in enumerate(sides)]
    (folder / "pair.html").write_bytes(write_pair(*logs))
    return folder / "pair.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("which", ["sounding", "folders", "unlike"])
def test_it_fits_any_window_and_likes_both_schemes(
    page: Page, request: pytest.FixtureRequest, which: str, width: int, scheme: str
) -> None:
    """Nothing is wider than the window, not even at 360 px; ground and ink follow the user's scheme."""
    page.show(width, scheme=scheme, touch=width < 720)
    page.open(request.getfixturevalue(which))
    page.run("document.getElementById('all-numbers').click()")
    page.settle()
    assert page.run("document.documentElement.scrollWidth") == width
    ground, ink = page.run("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    darker, lighter = (ink, ground) if scheme == "light" else (ground, ink)
    assert sum(map(int, darker[4:-1].split(","))) < 150 < 600 < sum(map(int, lighter[4:-1].split(",")))


def test_the_axis_is_as_long_as_the_longer_call(page: Page, sounding: Path) -> None:
    """Both begin at nought; each has its own lanes, named by side and log, one above the other."""
    page.open(sounding)
    assert shown_s(page) == (0, 60.006)
    assert texts(page, "#labels b") == ["Expected short.jsonl", "Actual long.jsonl"]
    assert page.run("[...document.querySelectorAll('#labels span')].map((one) => one.firstChild.data)") == [
        "Caller", "Agent", "Latency", "Session", "Faults",
    ] * 2  # fmt: skip
    first, second = (page.box(f".mark.turn.caller[aria-label^='{name}']") for name in ("Expected", "Actual"))
    assert first["x"] == pytest.approx(second["x"], abs=1)
    assert second["y"] > first["y"] + 200
    assert page.run("document.querySelectorAll('.mark.turn').length") == 4 + 6


def test_a_click_in_either_call_plays_that_call_there(page: Page, sounding: Path) -> None:
    """One is heard at a time; x goes on with the other at the same place, and so does its button."""
    page.open(sounding)
    page.wait_for(READY)
    page.click(*at(page, 21.5, "caller", "Actual"))
    page.wait_for(f"{PLAYING}[1] && {PLACES_S}[1] > 21.6")
    assert page.run(HEARD) == "Actual"
    assert page.run(PLACES_S)[0] == 0
    page.press("x")
    page.wait_for(f"{PLAYING}[0] && {PLACES_S}[0] > 21.5")
    assert page.run(PLAYING) == [True, False]
    assert page.run(HEARD) == "Expected"
    page.click(*at(page, 7.0, "agent", "Expected"))
    assert 6.9 < page.run(PLACES_S)[0] < 8
    page.press(" ")
    page.wait_for(f"{PLAYING}.every((one) => !one)")
    place_s = page.run(PLACES_S)[0]
    page.run("document.querySelectorAll('#heard input')[1].click()")
    assert page.run(HEARD) == "Actual"
    assert page.run(PLACES_S)[1] == pytest.approx(place_s, abs=0.01)
    assert page.run("document.getElementById('end').textContent") == "1:00.006"
    assert page.run(PLAYING) == [False, False]


def test_the_other_call_may_have_ended_by_then(page: Page, sounding: Path) -> None:
    """A place behind the end of a call is its end, from which play begins anew."""
    page.open(sounding)
    page.wait_for(READY)
    page.click(*at(page, 55.2, "caller", "Actual"))
    page.press(" ", "x")
    assert page.run(HEARD) == "Expected"
    assert page.run(PLACES_S)[0] == pytest.approx(40, abs=0.1)
    page.press(" ")
    page.wait_for(f"{PLAYING}[0] && {PLACES_S}[0] < 5")
    page.press(" ")


def choose_alignment(page: Page, index: int) -> None:
    """Choose one of the places at which both calls are laid upon one another."""
    page.run(f"document.getElementById('align').selectedIndex = {index}")
    page.run("document.getElementById('align').dispatchEvent(new Event('change'))")
    page.settle()


def rows_of(page: Page, selector: str) -> list[list[str]]:
    """The cells of a table's rows, as they are read."""
    found = page.run(f"[...document.querySelectorAll({selector!r})].map((row) => row.innerText)")
    return [re.split(r"\s*[\t\n]\s*", row) for row in found]


def test_turns_can_be_laid_upon_one_another(page: Page, shifted: Path) -> None:
    """By the second turn of the caller: what was said lies one above the other, and the earlier call begins later."""
    page.open(shifted)
    lefts = "[...document.querySelectorAll('.mark.turn.caller')].map((one) => one.getBoundingClientRect().x)"
    width = page.box("#stage")["width"]
    first = page.run(lefts)
    assert first[1] - first[0] == pytest.approx(width * 7 / shown_s(page)[1], abs=2)
    assert texts(page, "#align option")[:3] == ["the begin of each call", "caller’s turn 1", "agent’s turn 1"]
    choose_alignment(page, 3)
    assert shown_s(page) == pytest.approx((0, 47.006), abs=0.001)
    laid = page.run(lefts)
    assert laid[1] == pytest.approx(laid[0], abs=1)
    page.press("n", "n", "n", "n")
    assert page.run(FOCUS).startswith(("Expected: Caller", "Expected: Agent", "Actual: "))
    choose_alignment(page, 0)
    assert page.run(lefts) == pytest.approx(first, abs=1)


def test_keys_go_through_both_calls_in_the_order_of_time(page: Page, shifted: Path) -> None:
    """N names the side of each mark; the marks of both come in turn."""
    page.open(shifted)
    heard = []
    for _ in range(6):
        page.press("n")
        heard.append(re.sub(r", .*", "", page.run(FOCUS)))
    assert heard[:4] == ["Expected: Caller", "Expected: Agent", "Actual: Caller", "Actual: Agent"]
    assert "Expected: Nobody spoke for 8.28 s" in heard
    page.press("?")
    assert "listen to the other call, at the same place" in texts(page, "#keys dd")
    page.press("Escape", "+", "+")
    assert page.run(RANGE) != "0:00.000 – 0:47.006"


def test_turns_are_told_side_by_side(page: Page, shifted: Path) -> None:
    """Each turn of the one with the same turn of the other, how long each lasts and how long it waited."""
    page.open(shifted)
    rows = rows_of(page, "#turns tbody tr")
    assert rows[0] == ["Caller 1", "expected", "0:00.086", "where is my order", "3.42 s", "801 ms"]
    assert rows[1] == ["actual", "0:07.086", "where is my order", "3.42 s +0 ms", "801 ms +0 ms"]
    assert len(rows) == 8
    page.run("document.querySelectorAll('#turns button.place')[1].click()")
    assert page.run("document.getElementById('now').textContent") == "0:07.086"


def test_numbers_without_a_difference_are_shown_when_asked_for(page: Page, folders: Path) -> None:
    """What differs comes first, and says which check is worse; the box brings the rest."""
    page.open(folders)
    assert page.run("document.getElementById('title').textContent") == "Calls compared"
    assert "6 calls" in page.run("document.getElementById('subtitle').textContent")
    assert re.match(r"\d+ checks? (is|are) worse\.", page.run("document.getElementById('outcome').textContent"))
    assert page.run("document.querySelector('#verdicts tbody tr').innerText").startswith("worse")
    assert "in force: transcription.model" in texts(page, "#settings td")
    few = len(texts(page, "#numbers tbody tr"))
    page.run("document.getElementById('all-numbers').click()")
    every = texts(page, "#numbers tbody tr")
    assert len(every) > few
    assert page.run("document.querySelectorAll('#numbers .strip i.median').length") >= len(every)


def test_everything_that_can_be_used_has_a_name(page: Page, sounding: Path) -> None:
    """In the tree that assistive technology reads, each button, box and mark says what it is, and of which call."""
    page.open(sounding)
    page.do("Accessibility.enable")
    nodes = page.do("Accessibility.getFullAXTree")["nodes"]
    page.do("Accessibility.disable")
    named = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes if not node["ignored"]]
    used = ("button", "checkbox", "radio", "combobox", "link", "heading")
    assert [role for role, name in named if role in used and not name] == []
    assert {name for role, name in named if role == "radio"} == {"Expected", "Actual"}
    assert ("combobox", "Aligned at") in named
