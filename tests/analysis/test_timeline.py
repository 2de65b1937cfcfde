"""The timeline: one line an event worth reading, in lanes, with two times and the line of the log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from judged import TALK, log_of
from plain_log import PlainLog, beta_session, conversation
from virtual_call import CallMaker, VirtualCall

from voxpipe.analysis.legible import legible
from voxpipe.analysis.reader import LogReader
from voxpipe.analysis.timeline import LANES, WORTH, Line, timeline_of


def lines_of(call: VirtualCall) -> list[Line]:
    """The timeline of a call."""
    return list(timeline_of(LogReader(log_of(call))))


async def test_the_story_of_a_call_can_be_read(make_call: CallMaker, autojump_clock: Any) -> None:
    """Turns, the first audio, the cut and its truncation, in the order of the log, each in its lane."""
    call = await make_call(TALK)
    told = [(line.lane, line.words.split(":")[0]) for line in lines_of(call)]
    story = [
        ("session", "ready after 0.0 ms"),
        ("caller", "speaks"),
        ("caller", "has spoken"),
        ("agent", "response begun"),
        ("agent", "first audio received"),
        ("agent", "speaks"),
        ("caller", "speaks"),
        ("agent", "cut"),
        ("caller", "has spoken"),
        ("agent", "has spoken"),
        ("session", "ended"),
    ]
    rest = iter(told)
    assert [entry for entry in story if entry not in rest] == []


async def test_times_are_from_the_start_and_since_the_latest_turn(make_call: CallMaker, autojump_clock: Any) -> None:
    """The second time counts from when a party last began or ended to speak, and is empty before that."""
    call = await make_call(TALK)
    lines = lines_of(call)
    first = next(index for index, line in enumerate(lines) if line.words == "speaks")
    assert [line.since_ns for line in lines[: first + 1]] == [None] * (first + 1)
    stopped = next(line for line in lines if line.words == "has spoken")
    heard = next(line for line in lines if line.lane == "agent" and line.words == "speaks")
    assert heard.since_ns == heard.t_ns - stopped.t_ns == 300_000_000
    by_line = dict(enumerate(call.records, 1))
    assert all(line.t_ns == by_line[line.line_no].t_ns for line in lines)


FAULTY = [
    ("error-mid", "error server_error: The server had an error."),
    ("stall", "nothing to play inside an answer"),
    ("slow-ack", "25 frames of the caller dropped"),
    ("vanish", "connection.closed 1006"),
    ("garbage", "error.parsing no code"),
    ("early-audio", "audio refused: before the acknowledgement"),
]


@pytest.mark.parametrize(("scenario", "words"), FAULTY)
async def test_what_goes_wrong_is_in_the_lane_of_faults(
    make_call: CallMaker, autojump_clock: Any, scenario: str, words: str
) -> None:
    """Each trouble has a line of its own there."""
    call = await make_call(TALK, scenario)
    assert any(words in line.words for line in lines_of(call) if line.lane == "faults")


def test_a_plain_beta_log_has_the_same_timeline(tmp_path: Path) -> None:
    """Names of the beta, in the other shape: turns, transcripts and the first audio of each answer."""
    log = PlainLog(camel=True, zone="")
    log.configure(beta_session())
    log.turn(1, said="hello \x1b[31mthere")
    log.answer(1, beta=True)
    told = [str(line) for line in timeline_of(LogReader(log.write(tmp_path / "beta.jsonl")))]
    assert any("confirmed: uplink slin24, downlink slin24, turn detection server_vad" in line for line in told)
    assert sum("first audio received" in line for line in told) == 1
    assert any(r"said: hello \x1b[31mthere" in line for line in told)
    assert any("says: good day" in line for line in told)
    assert all(re.fullmatch(r" +\d+\.\d{3} +(\+\d+\.\d{3} +)?\w+ +\S.*\[\d+\]", line) for line in told)


def test_in_a_plain_log_the_agent_begins_with_its_first_audio(tmp_path: Path) -> None:
    """Without a playout in the log, the first audio of an answer is the turn mark; each answer has one."""
    log = PlainLog()
    conversation(log, 2)
    lines = list(timeline_of(LogReader(log.write(tmp_path / "plain.jsonl"))))
    first = [index for index, line in enumerate(lines) if line.words == "first audio received"]
    assert len(first) == 2
    assert [lines[index + 1].since_ns for index in first] == [lines[i + 1].t_ns - lines[i].t_ns for i in first]


def test_a_storm_is_one_line(tmp_path: Path) -> None:
    """What repeats within a second is told once, with its count; a second later it is told again."""
    log = PlainLog()
    for after_s in (0, 0.1, 0.1, 0.1, 2.0):
        log.add("error", {"error": {"code": "busy", "message": "Wait."}}, after_s=after_s)
    lines = list(timeline_of(LogReader(log.write(tmp_path / "storm.jsonl"))))
    assert [line.count for line in lines] == [4, 1]
    assert "(x4)" in str(lines[0])


def test_two_who_speak_at_once_are_two_lines(tmp_path: Path) -> None:
    """The same words in another lane are another event, and a turn mark is never folded away."""
    log = PlainLog()
    for name in ("playout.started", "input_audio_buffer.speech_started", "input_audio_buffer.speech_started"):
        log.add(name, after_s=0.2)
    lines = list(timeline_of(LogReader(log.write(tmp_path / "both.jsonl"))))
    assert [(line.lane, line.words, line.count) for line in lines] == [
        ("agent", "speaks", 1),
        ("caller", "speaks", 1),
        ("caller", "speaks", 1),
    ]
    assert [line.since_ns for line in lines] == [None, 200_000_000, 200_000_000]


def test_a_key_is_told(tmp_path: Path) -> None:
    """A digit the caller dials is worth a line; other messages of the leg are not."""
    log = PlainLog()
    log.add("audiosocket.received", {"message_type": "dtmf", "digit": "#"})
    log.add("audiosocket.received", {"message_type": "audio", "length": 320})
    assert [line.words for line in timeline_of(LogReader(log.write(tmp_path / "key.jsonl")))] == ["pressed #"]


def test_audio_has_no_lines(tmp_path: Path) -> None:
    """Frames and chunks are not worth reading, however many there are."""
    log = PlainLog()
    conversation(log, 2)
    assert len(list(timeline_of(LogReader(log.write(tmp_path / "audio.jsonl"))))) < 30 < len(log.lines) / 10


def test_every_lane_is_used() -> None:
    """The lanes that are named are those of the table, and all of them."""
    assert {lane for lane, _ in WORTH.values()} == set(LANES)


@pytest.mark.parametrize(
    ("text", "longest", "shown"),
    [
        ("plain", 0, "plain"),
        ("two\nlines\tand  spaces ", 0, "two lines and spaces"),
        ("\x1b]0;owned\x07", 0, "\\x1b]0;owned\\x07"),
        ("x" * 30, 10, "xxxxxxx..."),
        ("grüß dich", 0, "grüß dich"),
        ("\u202eback", 0, "\\x202eback"),
    ],
)
def test_what_a_peer_said_does_not_steer_the_terminal(text: str, longest: int, shown: str) -> None:
    """Control characters are shown as such, on one line, and what is too long is cut off visibly."""
    assert legible(text, longest) == shown
