"""What is remembered of a conversation, and what another session is given of it."""

from __future__ import annotations

import itertools

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_machine import S

from voxpipe.sansio.command_words import AddMessage, AddToolCall, Command
from voxpipe.sansio.ledger import CutPoint, Part, PartCut
from voxpipe.sansio.memory import ENTRIES, Giving, Memory, cut_text
from voxpipe.sansio.realtime import (
    AudioCommitted,
    Event,
    ItemDeleted,
    OutputItemAdded,
    PlayoutCut,
    PlayoutFinished,
    ResponseDone,
    TranscriptCompleted,
    TranscriptionCompleted,
    TranscriptionFailed,
    TranscriptReceived,
)
from voxpipe.sansio.tool_words import After, SendToolResult, ToolAnswered, ToolCallRequested

ASKED = (AudioCommitted("u1"), TranscriptionCompleted("u1", "Is it open?"))
ANSWERED = (
    OutputItemAdded("r1", "a1", "message"),
    TranscriptReceived("r1", "a1", "Every "),
    TranscriptReceived("r1", "a1", "day."),
    TranscriptCompleted("r1", "a1", "Every day."),
    ResponseDone("r1", "completed", None),
)
CALL = ToolCallRequested("c1", "i1", "r1", "look_up", "{}")
RESULT = ToolAnswered("c1", "high", After.REPLY)


def memory(*events: Event, transcribes: bool = True) -> Memory:
    """A memory of these events, a second apart."""
    made = Memory(transcribes=transcribes)
    for second, event in enumerate(events):
        made.note(event, second * S)
    return made


def take(made: Memory, *, all_: bool = True, now_ns: int = 5 * S) -> list[Command]:
    """What a session is given of it at once."""
    return Giving(made, map("vx{}".format, itertools.count(1)).__next__).take(now_ns, all_=all_)


def cut(item_id: str, played: int, received: int) -> CutPoint:
    """A cut in one item."""
    return CutPoint((PartCut(Part("r1", item_id, 0), played, received, played // 8),), (), 0, 1)


TABLE: list[tuple[str, tuple[Event, ...], list[Command]]] = [
    ("nothing", (), []),
    ("a question", ASKED, [AddMessage("vx1", "caller", "Is it open?")]),
    (
        "question and answer",
        ASKED + ANSWERED,
        [AddMessage("vx1", "caller", "Is it open?"), AddMessage("vx2", "agent", "Every day.")],
    ),
    (
        "a transcript that comes after the answer stands before it",
        (ASKED[0], *ANSWERED, ASKED[1]),
        [AddMessage("vx1", "caller", "Is it open?"), AddMessage("vx2", "agent", "Every day.")],
    ),
    ("half an answer", ANSWERED[:2], [AddMessage("vx1", "agent", "Every")]),
    ("words nobody could write down", (ASKED[0], TranscriptionFailed("u1", "noise")), []),
    ("an empty transcript", (ASKED[0], TranscriptionCompleted("u1", " ")), []),
    (
        "an answer cut after its first word",
        (*ANSWERED, PlayoutCut(cut("a1", 700, 1000))),
        [AddMessage("vx1", "agent", "Every")],
    ),
    (
        "an answer cut while it was spoken; its late words are nobody's",
        (*ANSWERED[:3], PlayoutCut(cut("a1", 700, 1000)), *ANSWERED[3:]),
        [AddMessage("vx1", "agent", "Every")],
    ),
    ("an answer cut before its first word", (*ANSWERED, PlayoutCut(cut("a1", 10, 1000))), []),
    ("an answer never begun", (*ANSWERED, PlayoutCut(CutPoint((), (Part("r1", "a1", 0),), 0, 1))), []),
    ("an answer of which no audio had come", (*ANSWERED[:2], PlayoutCut(CutPoint((), (), 0, 1))), []),
    (
        "an answer heard to its end while its response went on",
        (*ANSWERED[:3], PlayoutCut(CutPoint((), (), 0, 1, (Part("r1", "a1", 0),)))),
        [AddMessage("vx1", "agent", "Every day.")],
    ),
    ("an item that was deleted", (*ANSWERED, ItemDeleted("a1")), []),
    ("a tool call", (CALL,), [AddToolCall("vx1", "c1", "look_up", "{}")]),
    (
        "a tool call, told twice, and its result",
        (CALL, CALL, RESULT),
        [AddToolCall("vx1", "c1", "look_up", "{}"), SendToolResult("c1", "high")],
    ),
    ("a result of no call", (RESULT,), []),
]


@pytest.mark.parametrize(("events", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_another_session_is_given(events: tuple[Event, ...], expected: list[Command]) -> None:
    """What was said and heard, in its order, and nothing else."""
    assert take(memory(*events)) == expected


def test_what_may_still_change_is_given_last() -> None:
    """Only what stands before the first open entry is given ahead of time; each entry is given once."""
    made = memory(*ASKED, OutputItemAdded("r1", "a1", "message"), TranscriptReceived("r1", "a1", "Every "))
    giving = Giving(made, map("vx{}".format, itertools.count(1)).__next__)
    assert giving.take(4 * S, all_=False) == [AddMessage("vx1", "caller", "Is it open?")]
    assert not giving.complete(4 * S)
    for event in ANSWERED[2:]:
        made.note(event, 5 * S)
    assert not giving.complete(5 * S)  # the caller may still speak over it
    made.note(PlayoutFinished(), 5 * S)
    assert giving.complete(5 * S)
    assert giving.take(5 * S, all_=False) == [AddMessage("vx2", "agent", "Every day.")]
    assert giving.take(5 * S, all_=True) == []


def test_a_tool_call_is_given_before_its_result_is_known_only_where_it_must() -> None:
    """In a pause there is no open call; after a loss the call is given, and its result when it has come."""
    made = memory(CALL)
    giving = Giving(made, map("vx{}".format, itertools.count(1)).__next__)
    assert giving.take(S, all_=False) == []
    assert giving.take(S, all_=True) == [AddToolCall("vx1", "c1", "look_up", "{}")]
    assert made.open_calls == ("c1",)
    made.note(RESULT, 2 * S)
    assert giving.take(2 * S, all_=True) == [SendToolResult("c1", "high")]
    assert made.open_calls == ()


@pytest.mark.parametrize(("transcribes", "waits_s"), [(True, 10), (False, 0)])
def test_a_transcript_is_waited_for_so_long(transcribes: bool, waits_s: int) -> None:
    """Ten seconds where transcription is configured, not at all where it is not."""
    giving = Giving(memory(ASKED[0], transcribes=transcribes), str)
    assert giving.complete(waits_s * S)
    assert not waits_s or not giving.complete(waits_s * S - 1)


def test_the_oldest_is_forgotten_and_counted() -> None:
    """A call of any length has a memory of bounded size."""
    made = Memory(transcribes=True)
    for number in range(ENTRIES + 3):
        made.note(TranscriptionCompleted(f"u{number}", str(number)), number)
    assert len(take(made)) == ENTRIES
    assert take(made)[0] == AddMessage("vx1", "caller", "3")
    assert made.lost() == {"untranscribed_turns": 0, "forgotten_items": 3}


def test_turns_without_words_are_told() -> None:
    """What no transcript is there of is lost with the session, and counted."""
    made = memory(AudioCommitted("u1"), AudioCommitted("u2"), TranscriptionCompleted("u2", "Yes."))
    assert made.lost() == {"untranscribed_turns": 1, "forgotten_items": 0}


@given(st.text(alphabet="ab ", max_size=60), st.integers(0, 500), st.integers(0, 500))
def test_a_text_is_cut_at_the_end_of_a_word_and_never_too_late(text: str, played: int, received: int) -> None:
    """What is kept is a beginning of the text, of whole words, no longer than its share of the audio."""
    kept = cut_text(text, played, received)
    assert text.startswith(kept)
    if played >= received:
        assert kept == text
    else:
        assert len(kept) <= len(text) * played / received
        assert kept == kept.rstrip()
        assert not kept or text[len(kept)].isspace()


def test_half_an_answer_of_a_former_session_is_kept() -> None:
    """The caller heard it: what comes in the next session leaves it, and nobody waits for its end."""
    made = memory(AudioCommitted("u1"), *ANSWERED[:2])
    made.change_session()
    made.note(PlayoutCut(CutPoint((), (), 0, 1)), 3 * S)
    assert take(made, all_=False, now_ns=3 * S) == [AddMessage("vx1", "agent", "Every")]


def test_a_call_that_does_not_run_has_its_answer() -> None:
    """It was not made, and the model was told so; one that runs stays open."""
    made = memory(CALL, attrs.evolve(CALL, call_id="c2"))
    made.close_calls({"c2"})
    assert made.open_calls == ("c2",)
