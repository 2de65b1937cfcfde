"""Pages of reports in a real Chromium: that they look, sound and obey as they should, and complain of nothing."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from browser import Page
from faulty_logs import plain
from report_page import HOSTILE, RANGE, at, shown_s, texts, with_sidecars, write_page

pytestmark = pytest.mark.browser

LONG_S = 60
HOUR_S = 3_600
CURRENT_S = "document.getElementById('audio').currentTime"
PAUSED = "document.getElementById('audio').paused"
FOCUS = "document.activeElement.id || document.activeElement.getAttribute('aria-label')"
TIP = "document.getElementById('tip').hidden ? null : document.getElementById('tip').textContent"


def faulty_log(path: Path) -> Path:
    """A call with a hostile caller, an interruption, tools, an error, dead air and a lost connection."""
    log = plain()
    log.turn(1, said=HOSTILE)
    log.tool(answered_after_s=2.5)
    log.answer(1, chunks=12)
    log.at_s += 12
    log.turn(2)
    log.tool("call_2", answered_after_s=None)
    log.add("error", {"error": {"type": "server_error", "message": HOSTILE}}, after_s=1)
    log.turn(3)
    log.answer(3, chunks=20)
    log.at_s -= 3
    log.turn(4)
    log.add("connection.closed", {"code": 1006, "reason": "connection lost"})
    return log.write(path)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a minute of three turns, with audio."""
    folder = tmp_path_factory.mktemp("good")
    return write_page(with_sidecars(folder / "good.jsonl", LONG_S), folder / "good.html")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a call full of faults, without audio."""
    folder = tmp_path_factory.mktemp("faulty")
    return write_page(faulty_log(folder / "faulty.jsonl"), folder / "faulty.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("which", ["good", "faulty"])
def test_it_fits_any_window_and_likes_both_schemes(
    page: Page, request: pytest.FixtureRequest, which: str, width: int, scheme: str
) -> None:
    """Nothing is wider than the window, not even at 360 px; ground and ink follow the user's scheme."""
    page.show(width, scheme=scheme, touch=width < 720)
    page.open(request.getfixturevalue(which))
    page.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.settle()
    assert page.run("document.documentElement.scrollWidth") == width
    ground, ink = page.run("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    darker, lighter = (ink, ground) if scheme == "light" else (ground, ink)
    assert sum(map(int, darker[4:-1].split(","))) < 150 < 600 < sum(map(int, lighter[4:-1].split(",")))


def pixels(page: Page, lane: str, time_s: float) -> int:
    """How many pixels of a lane's column at an instant have the lane's own colour, nearly."""
    x, y = at(page, time_s, lane)
    count: int = page.run(
        f"""(() => {{
          const canvas = document.querySelector('#chart > canvas'), box = canvas.getBoundingClientRect();
          const probe = document.createElement('i');
          probe.style.color = 'var(--{lane})';
          document.body.append(probe);
          const wanted = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
          probe.remove();
          const copy = new OffscreenCanvas(1, 88).getContext('2d', {{ willReadFrequently: true }});
          copy.drawImage(canvas, box.x - {x}, box.y + 20 - {y}, box.width, box.height);
          const column = copy.getImageData(0, 0, 1, 88).data;
          let count = 0;
          for (let at = 0; at < column.length; at += 4)
            count += column[at + 3] > 60 && wanted.every((part, index) => Math.abs(column[at + index] - part) < 24);
          return count;
        }})()"""
    )
    return count


def test_waveforms_are_drawn_where_somebody_spoke(page: Page, good: Path) -> None:
    """A tall column in the middle of a turn, none where both are silent."""
    page.open(good)
    assert pixels(page, "caller", 21.5) > 20
    assert pixels(page, "caller", 28.0) == 0
    assert pixels(page, "agent", 28.0) > 20
    assert pixels(page, "agent", 21.5) == 0


def test_a_click_plays_the_audio_at_that_place(page: Page, good: Path) -> None:
    """The audio element is where the pointer was, and plays what the browser could decode; space pauses it."""
    page.open(good)
    page.wait_for("document.getElementById('audio').readyState >= 1")
    assert page.run("document.getElementById('audio').duration") == pytest.approx(LONG_S, abs=1.1)
    page.run("document.getElementById('audio').play = function () { this.asked = true; return Promise.resolve(); }")
    for time_s, lane in ((21.5, "caller"), (55.25, "caller"), (7.0, "agent")):
        page.click(*at(page, time_s, lane))
        assert page.run(CURRENT_S) == pytest.approx(time_s, abs=0.06)  # a pixel is 51 ms
        assert page.run("document.getElementById('audio').asked") is True
    page.run("delete document.getElementById('audio').play")
    page.click(*at(page, 41.0, "caller"))
    page.wait_for(f"!{PAUSED} && {CURRENT_S} > 41.2")
    page.wait_for("document.getElementById('audio').webkitAudioDecodedByteCount > 0")
    assert page.run("document.getElementById('play').getAttribute('aria-label')") == "Pause"
    page.press(" ")
    page.wait_for(PAUSED)
    assert page.run("document.querySelector('#turns tr.current td.who').textContent") == "Caller"


def test_the_table_of_turns_plays_a_turn(page: Page, good: Path) -> None:
    """Each row's time is a button that goes to it, with words, latency and line beside it."""
    page.open(good)
    page.wait_for("document.getElementById('audio').readyState >= 1")
    rows = page.run("[...document.querySelectorAll('#turns tbody tr')].map((row) => row.innerText)")
    rows = [re.split(r"\s*[\t\n]\s*", row) for row in rows]
    assert len(rows) == 6
    assert rows[2][:4] == ["0:20.086", "Caller", "where is my order", "3.42 s"]
    assert "801 ms" in rows[2]
    page.run("document.querySelectorAll('#turns button.place')[2].click()")
    page.wait_for(f"!{PAUSED} && {CURRENT_S} >= 20.08 && {CURRENT_S} < 23")
    page.press(" ")


def test_keys_move_and_zoom(page: Page, good: Path) -> None:
    """Plus, minus, nought, arrows, and Home and End in the timeline."""
    page.open(good)
    assert shown_s(page) == (0, 60.006)
    page.press("+", "+")
    begin, end = shown_s(page)
    assert end - begin == pytest.approx(60.006 / 1.6**2, abs=0.01)
    page.press("ArrowRight")
    assert shown_s(page)[0] == pytest.approx(begin + 0.2 * (end - begin), abs=0.01)
    page.press("ArrowLeft", "ArrowLeft")
    assert shown_s(page)[0] == pytest.approx(begin - 0.2 * (end - begin), abs=0.01)
    page.run("document.getElementById('chart').focus()")
    page.press("End")
    assert shown_s(page)[1] == 60.006
    page.press("Home")
    assert shown_s(page)[0] == 0
    page.press("-")
    assert shown_s(page)[1] == pytest.approx(60.006 / 1.6, abs=0.01)
    page.press("0")
    assert shown_s(page) == (0, 60.006)


def test_keys_go_from_turn_to_turn_and_tell_what_each_is(page: Page, good: Path) -> None:
    """N and p focus the marks in the order of time, with the tip a pointer gets; Enter plays, e shows the event."""
    page.open(good)
    page.wait_for("document.getElementById('audio').readyState >= 1")
    page.press("n")
    assert page.run(FOCUS) == "Caller, 0:00.086 – 0:03.506, where is my order"
    assert page.run(TIP) == "Caller0:00.086 – 0:03.506where is my order"
    page.press("n", "n", "n")
    assert page.run(FOCUS).startswith("Caller, 0:20.086")
    page.press("p")
    assert page.run(FOCUS).startswith("Nobody spoke for 8.28 s, 0:11.806")
    page.press("n", "Enter")
    page.wait_for(f"!{PAUSED}")
    assert page.run(CURRENT_S) == pytest.approx(20.1, abs=0.5)
    page.press(" ", "e")
    assert page.run(FOCUS) == "rows"
    assert page.run("document.getElementById('detail').textContent").startswith("line 2485  0:20.086  received  input_")
    page.press("Escape")
    assert page.run(TIP) is None


def test_keys_reach_filter_and_help(page: Page, good: Path) -> None:
    """A slash focuses the filter, where letters are letters; a question mark shows the keys, and Escape closes them."""
    page.open(good)
    page.press("/")
    assert page.run(FOCUS) == "filter"
    page.press("n", "+", "0")
    assert page.run("document.getElementById('filter').value") == "n+0"
    assert shown_s(page) == (0, 60.006)
    page.press("Escape", "?")
    assert page.run("document.getElementById('keys').open") is True
    page.press("+", "Escape")
    assert page.run("document.getElementById('keys').open") is False
    assert shown_s(page) == (0, 60.006)


def test_tab_visits_everything_in_the_order_of_the_page(page: Page, good: Path) -> None:
    """From the link that skips to the timeline to the player; the chart is one stop, not one for each mark."""
    page.open(good)
    visited: list[str] = []
    for _ in range(40):
        page.press("Tab")
        visited.append(page.run("document.activeElement.id || document.activeElement.className || 'other'"))
    stops = ["skip", "zoom-out", "zoom-in", "fit", "help", "chart", "place", "filter", "rows", "play", "speed"]
    assert [visited.index(stop) for stop in stops] == sorted(visited.index(stop) for stop in stops)
    assert "mark" not in " ".join(visited)


def test_everything_that_can_be_used_has_a_name(page: Page, faulty: Path) -> None:
    """In the tree that assistive technology reads, each button, box, list and mark says what it is."""
    page.open(faulty)
    page.do("Accessibility.enable")
    nodes = page.do("Accessibility.getFullAXTree")["nodes"]
    page.do("Accessibility.disable")
    used = ("button", "checkbox", "searchbox", "listbox", "option", "group", "combobox", "link", "heading")
    named = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes if not node["ignored"]]
    found = [(role, name) for role, name in named if role in used]
    assert {role for role, _ in found} >= {"button", "checkbox", "searchbox", "listbox", "option", "heading"}
    assert [role for role, name in found if not name and role != "group"] == []
    assert any(role == "button" and name.startswith("The agent was cut") for role, name in found)


def test_a_mouse_drags_zooms_and_points(page: Page, good: Path) -> None:
    """A drag moves what is shown and plays nothing; the wheel scrolls the page, and with Ctrl zooms at the pointer."""
    page.open(good)
    x, y = at(page, 30, "caller")
    page.press("+", "+")
    begin, end = shown_s(page)
    page.drag(x, y + 50, x + 100)
    stage = page.box("#stage")
    assert shown_s(page)[0] == pytest.approx(begin - 100 / stage["width"] * (end - begin), abs=0.05)
    assert page.run(PAUSED) is True
    assert page.run(CURRENT_S) == 0
    before = shown_s(page)
    page.do("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-60)
    page.settle()
    assert shown_s(page) == before
    page.press("0")
    x, y = at(page, 30, "caller")
    page.do("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-300, modifiers=2)
    page.wait_for(f"{RANGE} !== '0:00.000 – 1:00.006'")
    begin, end = shown_s(page)
    assert (begin + end) / 2 == pytest.approx(30, abs=0.3)
    page.press("0")
    page.point(stage["x"] + stage["width"] / 4, y + 50)
    page.press("+")
    assert page.run("document.getElementById('hair').dataset.time") == "0:20.627"  # and no more 0:15.002
    page.press("0")
    latency = page.box(".mark.latency")
    page.point(latency["x"] + latency["width"] / 2, latency["y"] + latency["height"] / 2)
    tip = page.run(TIP)
    assert tip.startswith("Answered after 801 ms")
    assert "configured silence500 ms" in tip


def test_a_finger_taps_a_mark_for_its_tip_and_its_sound(page: Page, good: Path) -> None:
    """In a narrow window: a tap on a turn tells what it is and plays from where it was touched."""
    page.show(360, 740, touch=True)
    page.open(good)
    page.wait_for("document.getElementById('audio').readyState >= 1")
    page.press("+", "+", "+")
    page.run("document.getElementById('chart').scrollIntoView({ block: 'center' })")
    mark = page.box(".mark.turn.agent")
    page.tap(mark["x"] + mark["width"] / 2, mark["y"] + 30)
    assert page.run(TIP).startswith("Agent")
    page.wait_for(f"!{PAUSED}")
    page.press(" ")


def test_events_are_filtered_and_found_by_line(page: Page, faulty: Path) -> None:
    """Words, directions, lines and the shown part each narrow the list; a verdict's line leads to its row."""
    page.open(faulty)
    everything = page.run("document.getElementById('shown').textContent")
    page.press("/", *"server_error")
    assert page.run("document.getElementById('shown').textContent").startswith("1 of ")
    assert page.run("document.querySelector('#rows .type').textContent") == "error"
    line = page.run("document.querySelector('#rows .line-no').textContent")
    page.press(*" zzz")
    assert page.run("getComputedStyle(document.getElementById('rows'), '::before').content") == '"No event matches."'
    page.press("Escape")
    page.run(f"[...document.querySelectorAll('#failing button.line')].find((b) => b.textContent === '{line}').click()")
    page.settle()
    assert page.run("document.getElementById('shown').textContent") == everything
    assert page.run("document.querySelector('#rows [aria-selected=true] .line-no').textContent") == line
    detail = page.run("document.getElementById('detail').textContent")
    assert json.loads(detail.partition("\n")[2])["error"]["message"] == HOSTILE
    page.press("ArrowDown")
    assert page.run("document.querySelector('#rows [aria-selected=true] .line-no').textContent") != line
    page.run("document.querySelector('.filter [name=received]').click()")
    assert set(texts(page, "#rows .direction")) == {"local", "sent"}
    page.run("document.querySelector('.filter [name=received]').click()")
    page.run("document.querySelector('.filter [name=story]').click()")
    words = texts(page, "#rows .content")
    assert f"faults error server_error: {HOSTILE}" in words
    assert "caller said: hello" in words
    assert not any(word.startswith(("{", "×")) for word in words)
    page.run("document.querySelector('.filter [name=story]').click()")
    page.press("0", "+", "+", "+", "+")
    page.run("document.querySelector('.filter [name=in-view]').click()")
    begin, end = shown_s(page)
    times = [float(clock.partition(":")[2]) for clock in texts(page, "#rows .time")]
    assert times
    assert times == sorted(times)
    assert times[-1] <= end
    assert 0 < begin < end


def test_what_was_said_is_shown_and_never_run(page: Page, faulty: Path) -> None:
    """Markup in a transcript is text, in the lanes and in the table; it makes no element and opens no dialog."""
    page.open(faulty)
    assert page.run("document.querySelector('#turns td.words').textContent") == HOSTILE
    assert page.run("document.querySelector('.mark.turn.caller').getAttribute('aria-label')").endswith(HOSTILE)
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.scripts.length") == 3


def test_the_page_cannot_reach_anybody(page: Page, good: Path) -> None:
    """Even a script within it gets no connection to a server that listens next door."""
    page.open(good)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert page.run(f"fetch('{address}').then(() => 'reached', () => 'refused')") == "refused"
        page.run(f"document.body.append(Object.assign(new Image(), {{ src: '{address}' }}))")
        page.run(f"document.body.append(Object.assign(document.createElement('script'), {{ src: '{address}' }}))")
        with pytest.raises(TimeoutError):
            server.accept()
    assert any("Content Security Policy" in complaint for complaint in page.complaints)
    page.complaints.clear()
    page.requests.clear()


def test_it_can_be_printed(page: Page, good: Path) -> None:
    """On paper there are the verdicts, the whole call and the turns, without player and events."""
    page.open(good)
    page.press("+", "+")
    pdf = page.do("Page.printToPDF", printBackground=True)["data"]
    assert len(pdf) > 10_000
    assert shown_s(page) == (0, 60.006)
    page.do("Emulation.setEmulatedMedia", media="print")
    hidden = page.run("['player', 'events'].map((id) => getComputedStyle(document.getElementById(id)).display)")
    page.do("Emulation.setEmulatedMedia", media="")
    assert hidden == ["none", "none"]


@pytest.mark.slow
def test_an_hour_opens_within_seconds(page: Page, tmp_path: Path) -> None:
    """444 000 lines with an hour of sound on both sides: less than 30 MB, drawn soon, and quick under the hand."""
    made = write_page(with_sidecars(tmp_path / "hour.jsonl", HOUR_S), tmp_path / "hour.html")
    assert made.stat().st_size < 30_000_000
    assert page.open(made) < 10
    page.wait_for("document.getElementById('audio').readyState >= 1")
    moved: Any = page.run(
        """(async () => {
          const began = performance.now();
          for (let times = 0; times < 20; times += 1) {
            document.body.dispatchEvent(new KeyboardEvent('keydown', { key: times % 2 ? '-' : '+', bubbles: true }));
            await new Promise(requestAnimationFrame);
          }
          return (performance.now() - began) / 20;
        })()"""
    )
    assert moved < 500
    page.press("0")
    page.click(*at(page, 3_001, "caller"))
    assert page.run(CURRENT_S) == pytest.approx(3_001, abs=4)  # a pixel is 3.2 s
    assert page.run("document.querySelectorAll('#rows .row').length") < 60
