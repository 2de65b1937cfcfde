"""The conversation as told: whose words come from where, which answer is whose, what a list of calls adds up to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faulty_logs import plain
from judged import TALK, log_of
from plain_log import PlainLog, conversation, ga_session
from virtual_call import CallMaker

from voxpipe.analysis.call import Call, read_call
from voxpipe.analysis.latency import Marks
from voxpipe.analysis.overview import dead_air, overview_of
from voxpipe.analysis.rows import CallRow, Totals, answer_ns
from voxpipe.analysis.turns import AgentTurn


def call_of(log: PlainLog, folder: Path) -> Call:
    """Read a log made by hand."""
    return read_call(log.write(folder / "made.jsonl"))


def responses(log: PlainLog, folder: Path) -> list[AgentTurn]:
    """The agent's turns of a log."""
    return call_of(log, folder).accounts.agent.turns


def done(response_id: str, status: str = "completed", **response: Any) -> dict[str, Any]:
    """The data of a ``response.done``."""
    return {"response": {"id": response_id, "status": status, **response}}


CONTENT = [{"type": "output_audio", "transcript": "good day"}, {"type": "output_text", "text": "and night"}]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([("response.output_audio_transcript.done", {"transcript": "good day"})], "good day"),
        ([("response.output_audio_transcript.delta", {"delta": word}) for word in ("good ", "day")], "good day"),
        ([("response.audio_transcript.delta", {"delta": "good day"})], "good day"),
        ([("response.output_audio_transcript.done", {"transcript": word}) for word in ("good", "day")], "good day"),
        ([("response.done", done("resp_1", output=[{"content": CONTENT}]))], "good day and night"),
        ([("response.done", done("resp_1", output=[{"content": None}, 5]))], None),
        ([], None),
    ],
)
@pytest.mark.parametrize("ids", [{"response_id": "resp_1"}, {}], ids=["with ids", "without ids"])
def test_the_agents_words_are_found_wherever_they_are(
    tmp_path: Path, events: list[tuple[str, dict[str, Any]]], said: str | None, ids: dict[str, str]
) -> None:
    """From the transcript, from its pieces, of several items, from the finished response, or nowhere."""
    log = plain()
    log.add("response.created", {"response": {"id": "resp_1"}})
    for name, data in events:
        log.add(name, {**ids, **data})
    (turn,) = responses(log, tmp_path)
    assert turn.transcript == said


def test_a_cancelled_answer_was_cut(tmp_path: Path) -> None:
    """In a log without playout it ends when it was cancelled, if not all of it would have been spoken before."""
    log = plain()
    log.add("response.created", {"response": {"id": "resp_1"}})
    for _ in range(4):
        log.add("response.output_audio.delta", {"response_id": "resp_1", "delta": log.audio(bytes(48_000))})
    log.add("response.done", done("resp_1", "cancelled"), after_s=1.5)
    (turn,) = responses(log, tmp_path)
    assert turn.cut
    assert (turn.audio_ns, (turn.end_ns or 0) - (turn.begin_ns or 0)) == (4_000_000_000, 1_500_000_000)


def test_what_a_tool_led_to_answers_the_turn(tmp_path: Path) -> None:
    """The response without words called a tool; the one after its result is the answer that the caller waited for."""
    log = plain()
    log.turn(1)
    log.add("response.created", {"response": {"id": "resp_t"}}, after_s=0.1)
    log.tool(answered_after_s=1.0)
    log.add("response.done", done("resp_t"))
    log.answer(2, after_s=0.3)
    call = call_of(log, tmp_path)
    first, second = call.accounts.agent.turns
    (turn,) = call.accounts.caller.turns
    assert (first.answers, second.answers) == (turn, turn)
    assert turn.marks.between("stopped", "created") == 100_000_000
    assert turn.marks.between("created", "received") == 1_420_000_000
    assert overview_of(call)["tools"][0]["duration_ns"] == 1_000_000_000


def test_a_second_response_without_a_tool_answers_nobody(tmp_path: Path) -> None:
    """What the agent says of its own accord is no answer to a turn that has one."""
    log = plain()
    log.turn(1)
    log.answer(1)
    log.answer(2)
    assert [turn.answers is None for turn in responses(log, tmp_path)] == [False, True]


def test_tokens_are_summed_where_they_are_told(tmp_path: Path) -> None:
    """By kind, with details; a response without a report is counted, and none at all is unknown."""
    log = plain()
    usage = {"total_tokens": 5, "input_token_details": {"audio_tokens": 3, "cached_tokens_details": {"text": 1}}}
    for number, told in enumerate((usage, usage, None)):
        log.add("response.created", {"response": {"id": f"resp_{number}"}})
        log.add("response.done", done(f"resp_{number}", usage=told))
    tokens = call_of(log, tmp_path).accounts.agent.tokens.to_json()
    assert tokens == {
        "responses_told": 2,
        "responses_untold": 1,
        "sums": {"input.audio_tokens": 6, "total_tokens": 10},
    }
    assert call_of(plain(), tmp_path).accounts.agent.tokens.to_json()["sums"] is None


def test_transcripts_find_their_turns_without_ids(tmp_path: Path) -> None:
    """Where a log leaves item ids out, the oldest turn that waits for one gets it."""
    log = plain()
    for words in ("first", "second"):
        log.add("input_audio_buffer.speech_started", after_s=1)
        log.add("input_audio_buffer.speech_stopped", after_s=1)
        log.add("input_audio_buffer.committed")
        log.add("conversation.item.input_audio_transcription.completed", {"transcript": words})
    turns = call_of(log, tmp_path).accounts.caller.turns
    assert [(turn.transcript, turn.started_ns is not None, turn.ended_ns is not None) for turn in turns] == [
        ("first", True, True),
        ("second", True, True),
    ]


def test_silence_is_between_what_was_spoken(tmp_path: Path) -> None:
    """Before the first word, between turns and after the last; speech of either side ends it."""
    log = plain()
    log.at_s = 10
    log.turn(1, seconds=2)
    log.at_s += 5
    log.turn(2, seconds=1)
    log.add("connection.closed", after_s=7)
    call = call_of(log, tmp_path)
    assert [round(silence.duration_s, 1) for silence in dead_air(call, 4)] == [10.1, 5.1, 7.0]
    assert [round(silence.duration_s, 1) for silence in dead_air(call, 6)] == [10.1, 7.0]
    assert dead_air(call, 60) == []


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        (Marks(stopped=10, received=30, played=50), 40),
        (Marks(stopped=10, received=30), 20),
        (Marks(received=30, played=50), None),
        (Marks(stopped=10), None),
    ],
)
def test_an_answer_is_timed_to_what_is_known_of_its_beginning(marks: Marks, expected: int | None) -> None:
    """To the first frame played; where no playout is logged, to the first audio received."""
    assert answer_ns(marks) == expected


async def test_it_is_said_what_a_turns_times_are_taken_from(
    make_call: CallMaker, autojump_clock: Any, tmp_path: Path
) -> None:
    """From the playout where it is logged, else from the arrival of the audio."""
    ours = overview_of(read_call(log_of(await make_call(TALK))))["turns"]
    plains = overview_of(call_of(conversation(plain(), 2), tmp_path))["turns"]
    assert [turn["heard_by"] for turn in ours if turn["speaker"] == "agent"] == ["playout"] * 2
    assert [turn["heard_by"] for turn in plains if turn["speaker"] == "agent"] == ["arrival"] * 2


async def test_rows_add_up(make_call: CallMaker, autojump_clock: Any, tmp_path: Path) -> None:
    """Totals are the sums of the rows, latencies are of all turns, and what a log does not tell is counted as such."""
    ours = CallRow.of(read_call(log_of(await make_call(TALK))))
    log = PlainLog()
    log.configure(ga_session())
    other = CallRow.of(call_of(conversation(log, 3), tmp_path))
    totals = Totals.of([ours, other])
    assert (ours.caller_turns, ours.agent_turns, ours.interruptions, ours.underruns) == (2, 2, 1, 0)
    assert (other.caller_turns, other.underruns, other.lost_frames) == (3, None, None)
    assert ours.ended_because == "leg closed by the peer"
    assert other.ended_because == "connection closed, code 1000"
    assert (totals.calls, totals.caller_turns, totals.interruptions, totals.unknown_losses) == (2, 5, 1, 1)
    assert (totals.answer.count, totals.turn.count, totals.turn.unknown) == (5, 2, 3)
    assert totals.tokens == (ours.tokens or 0) + 90
    assert totals.duration_ns == ours.duration_ns + other.duration_ns


CUTS: list[tuple[str, list[tuple[float, str, dict[str, Any]]], int]] = [
    ("speech", [(0.0, "input_audio_buffer.speech_started", {}), (0.03, "playout.cut", {})], 30),
    ("a key", [(0.0, "audiosocket.received", {"message_type": "dtmf"}), (0.04, "playout.cut", {})], 40),
    ("a voice", [(0.0, "voice.started", {}), (0.05, "playout.held", {}), (0.9, "playout.cut", {})], 50),
    (
        "a voice, then speech",
        [
            (0.0, "voice.started", {}),
            (0.05, "playout.held", {}),
            (0.2, "input_audio_buffer.speech_started", {}),
            (0.01, "playout.cut", {}),
        ],
        0,
    ),
    (
        "a cough, then a key",
        [
            (0.0, "voice.started", {}),
            (0.05, "playout.held", {}),
            (1.0, "playout.resumed", {}),
            (1.0, "audiosocket.received", {"message_type": "dtmf"}),
            (0.02, "playout.cut", {}),
        ],
        20,
    ),
    ("nobody knows what", [(0.0, "voice.started", {}), (5.0, "playout.cut", {})], 0),
]


@pytest.mark.parametrize(("events", "silence_ms"), [row[1:] for row in CUTS], ids=[row[0] for row in CUTS])
def test_the_agents_silence_is_timed_from_what_it_was_for(
    tmp_path: Path, events: list[tuple[float, str, dict[str, Any]]], silence_ms: int
) -> None:
    """From speech, a key or a voice heard here to the last frame played, which a hold brings before the cut."""
    log = plain()
    log.add("response.created", {"response": {"id": "resp_1"}})
    log.add("playout.started", {"item_id": "item_1", "response_id": "resp_1"})
    for after_s, name, data in events:
        log.add(name, data, after_s=after_s)
    (found,) = call_of(log, tmp_path).accounts.interruptions.found
    assert found.silence_ns == silence_ms * 1_000_000
