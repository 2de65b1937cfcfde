"""The page of a comparison as a file: both calls with all that a report draws, and nothing of where they lay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from faulty_logs import no_transcription, plain
from plain_log import PlainLog, conversation, ga_session
from report_page import HOSTILE, blocks, content_of_log, data_of, write_pair

from voxpipe.analysis.call import read_call
from voxpipe.analysis.comparison import CallFacts, compare_calls
from voxpipe.analysis.report.pair import MOST_DOTS, Side, pair_page, short_names
from voxpipe.audio import NS_PER_S


def spoken(path: Path, words: str = "hello", **answer: Any) -> Path:
    """A plain log with audio inline, of one turn and its answer."""
    log = PlainLog(audio="inline")
    log.configure(ga_session())
    log.turn(1, said=words)
    log.answer(1, **answer)
    log.add("connection.closed", {"code": 1000, "reason": ""}, after_s=1)
    return log.write(path)


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    """A good call and one without transcription, in two folders under one name."""
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    good = conversation(plain()).write(tmp_path / "before" / "call.jsonl")
    return good, no_transcription().write(tmp_path / "after" / "call.jsonl")


def test_the_comparison_is_that_of_the_command_and_the_calls_are_those_of_reports(logs: tuple[Path, Path]) -> None:
    """The same numbers, and of each call the same overview, turns and story as its own page."""
    data = data_of(write_pair(*logs).decode())
    compared = compare_calls(*([CallFacts.of(read_call(log))] for log in logs)).to_json()
    for name in ("settings", "errors"):
        assert data["comparison"][name] == compared[name]
    assert [one["name"] for one in data["comparison"]["verdicts"]] == [one["name"] for one in compared["verdicts"]]
    assert [one["p"] for one in data["comparison"]["numbers"]] == [one["p"] for one in compared["numbers"]]
    assert [call["name"] for call in data["calls"]] == ["Expected", "Actual"]
    for call, log in zip(data["calls"], logs, strict=True):
        alone = content_of_log(log).data["calls"][0]
        assert call["lanes"] == alone["lanes"]
        assert call["duration_ns"] == alone["duration_ns"]
        assert call["story"] == json.loads(json.dumps(alone["story"]))


def test_a_page_does_not_tell_in_which_folder_the_logs_lay(logs: tuple[Path, Path], tmp_path: Path) -> None:
    """As much of the paths as tells the two apart, and no more."""
    page = write_pair(*logs).decode()
    assert str(tmp_path) not in page
    assert tmp_path.name not in page
    assert data_of(page)["names"] == {"expected": "before/call.jsonl", "actual": "after/call.jsonl"}
    assert "<title>before/call.jsonl, after/call.jsonl</title>" in page


@pytest.mark.parametrize(
    ("expected", "actual", "names"),
    [
        ("/x/a.jsonl", "/x/b.jsonl", ("a.jsonl", "b.jsonl")),
        ("/x/one/a.jsonl", "/y/two/a.jsonl", ("one/a.jsonl", "two/a.jsonl")),
        ("/x/n/a.jsonl", "/y/n/a.jsonl", ("x/n/a.jsonl", "y/n/a.jsonl")),
        ("/x/a.jsonl", "/x/a.jsonl", ("a.jsonl", "a.jsonl")),
        ("/a.jsonl", "/x/a.jsonl", ("/a.jsonl", "x/a.jsonl")),
        ("/x", "/x/y", ("x", "y")),
    ],
)
def test_two_paths_are_told_apart_by_their_ends(expected: str, actual: str, names: tuple[str, str]) -> None:
    """Whatever they share at their ends is widened until they differ."""
    assert short_names(Path(expected), Path(actual)) == names


def test_each_call_has_its_own_sound(tmp_path: Path) -> None:
    """Two blocks of Ogg Vorbis, or none where audio is not wanted; the waves stay."""
    logs = spoken(tmp_path / "a.jsonl"), spoken(tmp_path / "b.jsonl", chunks=30)
    loud, quiet = write_pair(*logs).decode(), write_pair(*logs, audio=False).decode()
    sounds = [blocks(loud)[name] for name in ("sound", "sound1")]
    assert all(sound.startswith("T2dnUw") for sound in sounds)
    assert len(sounds[1]) > len(sounds[0])
    assert [blocks(quiet)[name] for name in ("sound", "sound1")] == ["", ""]
    for before, after in zip(data_of(loud)["calls"], data_of(quiet)["calls"], strict=True):
        assert before["waves"] == after["waves"]
        assert before["waves"]["downlink"]["kind"] == "inline"


def test_nothing_that_was_said_can_leave_its_block(tmp_path: Path) -> None:
    """What a caller says ends no block of the page."""
    logs = spoken(tmp_path / "a.jsonl", HOSTILE), spoken(tmp_path / "b.jsonl")
    page = write_pair(*logs, audio=False).decode()
    assert HOSTILE not in page
    assert data_of(page)["calls"][0]["overview"]["turns"][0]["transcript"] == HOSTILE


def test_of_folders_no_call_is_drawn(logs: tuple[Path, Path]) -> None:
    """The difference and the names of the logs: no lanes, no player."""
    sides = [Side(log.parent, [CallFacts.of(read_call(log))] * 2) for log in logs]
    page = pair_page(*sides).decode()
    data = data_of(page)
    assert data["calls"] == []
    assert data["names"] == {"expected": "before", "actual": "after"}
    assert data["comparison"]["expected"] == ["call.jsonl", "call.jsonl"]
    assert 'id="timeline"' not in page
    assert "<audio" not in page


def test_of_many_values_some_are_drawn_from_the_least_to_the_most(logs: tuple[Path, Path]) -> None:
    """A dot for each of 200 at most, evenly chosen; an unknown one has none."""
    facts = CallFacts.of(read_call(logs[0]))
    many = [CallFacts(facts.log, {}, {"answer_ms": (float(n), None)}, {}, ()) for n in range(1_000)]
    few = [CallFacts(facts.log, {}, {"answer_ms": (7.0, 3.0)}, {}, ())]
    values = data_of(pair_page(Side(logs[0], many), Side(logs[1], few)).decode())["values"]["answer_ms"]
    assert len(values["expected"]) == MOST_DOTS
    assert (values["expected"][0], values["expected"][-1]) == (0, 999)
    assert values["actual"] == [3, 7]


def test_how_far_the_drawing_is_goes_over_both_calls(tmp_path: Path) -> None:
    """From nothing to the sum of both, and never back."""
    logs = spoken(tmp_path / "a.jsonl"), spoken(tmp_path / "b.jsonl", chunks=30)
    told: list[int] = []
    data = data_of(write_pair(*logs, on_progress=told.append).decode())
    assert told == sorted(told)
    both_ns = sum(call["duration_ns"] for call in data["calls"])
    assert both_ns <= told[-1] < both_ns + 2 * NS_PER_S  # sound is drawn in blocks, the last one to its end
