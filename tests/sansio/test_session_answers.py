"""The session machine from answer to cut: playing, barge-in, commands and what answers them."""

from __future__ import annotations

import attrs
import pytest
from session_machine import CHUNK, OK, PART, PCM, S, feed, notes, ready, session

from voxpipe.audio import PCM24
from voxpipe.config import SessionConfig, TurnDetectionConfig
from voxpipe.dialects import get_dialect
from voxpipe.sansio.command_words import CancelResponse, CreateResponse, DeleteItem, TruncateItem
from voxpipe.sansio.effects import CompletePart, CutPlayout, FinishResponse, Play, Send
from voxpipe.sansio.ledger import CutPoint, Ledger, Part, PartCut
from voxpipe.sansio.realtime import (
    AudioCompleted,
    Connected,
    ErrorReported,
    ItemDeleted,
    ItemTruncated,
    OutputItemAdded,
    PlayoutCut,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SpeechStarted,
)
from voxpipe.sansio.session import Session
from voxpipe.sansio.transitions import READY


def test_an_answer_is_played_and_finished() -> None:
    """Chunks become Play, the ends of parts and responses are told in order."""
    machine = ready()
    assert feed(
        machine,
        ResponseCreated("resp_1"),
        OutputItemAdded("resp_1", "item_1", "message"),
        CHUNK,
        AudioCompleted("resp_1", "item_1", 0),
        ResponseDone("resp_1", "completed", None),
    ) == [Play(PART, CHUNK.audio, 0), CompletePart(PART, 0), FinishResponse("resp_1", 0)]
    assert machine.statistics().responses == 1


def point(*begun: PartCut, unbegun: tuple[Part, ...] = (), epoch: int = 1) -> PlayoutCut:
    """The ledger's answer to a cut."""
    return PlayoutCut(CutPoint(begun, unbegun, 0, epoch))


def test_barge_in_cuts_truncates_and_deletes() -> None:
    """The items heard are truncated to what was played, those never begun are deleted, late chunks are stale."""
    machine = ready()
    feed(
        machine,
        ResponseCreated("resp_1"),
        OutputItemAdded("resp_1", "item_1", "message"),
        OutputItemAdded("resp_1", "item_2", "message"),
        OutputItemAdded("resp_1", "item_f", "function_call"),
        CHUNK,
    )
    assert feed(machine, SpeechStarted("item_u", 100)) == [CutPlayout()]
    assert feed(machine, point(PartCut(PART, 480, 900, 60))) == [
        Send("vx_2", TruncateItem("item_1", 0, 60)),
        Send("vx_3", DeleteItem("item_2")),
    ]
    effects = machine.receive(CHUNK, 0)
    assert notes(effects) == [("audio.stale", {"response_id": "resp_1", "bytes": 20, "because": "response is over"})]
    assert feed(machine, ResponseDone("resp_1", "cancelled", "turn_detected")) == []
    fresh = attrs.evolve(CHUNK, response_id="resp_2", item_id="item_9")
    assert feed(machine, ResponseCreated("resp_2"), fresh) == [Play(Part("resp_2", "item_9", 0), fresh.audio, 1)]
    assert machine.statistics().cuts == 1


def test_an_item_heard_to_its_end_survives_a_cut_of_its_response() -> None:
    """A barge-in while the response still runs (a function call follows the speech) deletes nothing that was heard."""
    machine, ledger = ready(), Ledger(PCM24, limit_samples=PCM24.rate_hz)
    feed(machine, ResponseCreated("resp_1"), OutputItemAdded("resp_1", "item_1", "message"), CHUNK)
    ledger.add(PART, CHUNK.audio + bytes(PCM24.frame_bytes - len(CHUNK.audio)), 0)
    ledger.complete(PART, 0)
    frame = ledger.take()
    assert frame is not None
    ledger.mark_played(frame)
    feed(machine, SpeechStarted("u", 0))
    assert feed(machine, PlayoutCut(ledger.cut())) == []


def test_items_announced_after_the_cut_are_deleted() -> None:
    """What was on its way when the response was cut is not begun either."""
    machine = ready()
    feed(machine, ResponseCreated("resp_1"), SpeechStarted("u", 0), point())
    assert feed(machine, OutputItemAdded("resp_1", "item_1", "message")) == [Send("vx_2", DeleteItem("item_1"))]


def test_audio_after_the_end_of_its_response_is_stale() -> None:
    """A late chunk of a response that is done would open an answer that nobody ends."""
    machine = ready()
    feed(machine, ResponseCreated("resp_1"), CHUNK, ResponseDone("resp_1", "completed", None))
    assert feed(machine, CHUNK) == []
    assert machine.statistics().chunks_stale == 1


@pytest.mark.parametrize(
    ("detection", "running", "cancelled"),
    [
        (TurnDetectionConfig(), True, False),
        (TurnDetectionConfig(interrupt_response=False), True, True),
        (TurnDetectionConfig(interrupt_response=False), False, False),
        (TurnDetectionConfig(type="none"), True, True),
    ],
    ids=["the server cancels", "we cancel", "nothing runs", "no turn detection"],
)
def test_cancel_is_sent_only_while_a_response_runs_and_nobody_else_cancels(
    detection: TurnDetectionConfig, running: bool, cancelled: bool
) -> None:
    """Without a running response, or when the provider cancels by itself, response.cancel would be an error."""
    machine = ready(SessionConfig(turn_detection=detection))
    feed(machine, ResponseCreated("resp_1"), CHUNK)
    if not running:
        feed(machine, ResponseDone("resp_1", "completed", None))
    feed(machine, SpeechStarted("item_u", 100))
    sent = feed(machine, point(PartCut(PART, 480, 900, 60)))
    assert [effect for effect in sent if isinstance(effect, Send) and isinstance(effect.command, CancelResponse)] == (
        [Send("vx_2", CancelResponse("resp_1"))] if cancelled else []
    )


def test_two_barge_ins_in_a_row_cancel_once() -> None:
    """A response that was already cut is not cancelled or deleted again."""
    machine = ready(SessionConfig(turn_detection=TurnDetectionConfig(interrupt_response=False)))
    feed(machine, ResponseCreated("resp_1"), CHUNK, SpeechStarted("u", 0), point(PartCut(PART, 160, 900, 20)))
    feed(machine, SpeechStarted("u2", 0))
    assert feed(machine, point(epoch=2)) == []


def test_refusals_and_missing_answers_after_ready_are_survived() -> None:
    """A refused truncation and an unanswered one are notes; the next answer is played."""
    machine = ready()
    feed(machine, ResponseCreated("resp_1"), CHUNK, SpeechStarted("u", 0))
    feed(machine, point(PartCut(PART, 160, 900, 20), PartCut(Part("resp_1", "item_8", 0), 160, 900, 20)))
    effects = machine.receive(ErrorReported("invalid_value", "already shorter", None, "vx_2"), 0)
    assert notes(effects) == [
        (
            "command.refused",
            {"command": "TruncateItem", "command_id": "vx_2", "code": "invalid_value", "message": "already shorter"},
        )
    ]
    unanswered = notes(machine.expire(3 * S))
    assert [(name, data["command_id"], data["waited_s"]) for name, data in unanswered] == [
        ("command.unanswered", "vx_3", 3.0)
    ]
    fresh = attrs.evolve(CHUNK, response_id="resp_2")
    assert feed(machine, ResponseCreated("resp_2"), fresh) == [Play(Part("resp_2", "item_1", 0), fresh.audio, 1)]
    assert machine.state is READY


def test_confirmations_are_matched_by_item_oldest_first() -> None:
    """A confirmation of one item leaves the command about another waiting."""
    machine = ready()
    feed(machine, ResponseCreated("resp_1"), CHUNK, SpeechStarted("u", 0))
    feed(machine, point(PartCut(PART, 160, 900, 20), unbegun=(Part("resp_1", "item_2", 0),)))
    feed(machine, ItemDeleted("item_7"), ItemDeleted("item_2"))
    assert [data["command"] for _, data in notes(machine.expire(3 * S))] == ["TruncateItem"]
    machine = ready()
    feed(machine, ResponseCreated("resp_1"), CHUNK, SpeechStarted("u", 0), point(PartCut(PART, 160, 900, 20)))
    feed(machine, ItemTruncated("item_1", 20))
    assert machine.expire(3 * S) == []


def test_a_greeting_is_asked_for_once_the_formats_are_confirmed() -> None:
    """The agent speaks first when the configuration says so."""
    machine = session(SessionConfig(greeting="Say hello."))
    feed(machine, Connected(), SessionCreated("s"))
    assert feed(machine, OK) == [Send("vx_2", CreateResponse("Say hello."))]


def test_a_command_the_provider_has_no_word_for_is_noted_and_not_sent() -> None:
    """A dialect without truncation loses the truncation, not the call."""
    dialect = get_dialect("openai")
    commands = {command: encode for command, encode in dialect.commands.items() if command is not TruncateItem}
    machine = Session(attrs.evolve(dialect, commands=commands), SessionConfig(), PCM)
    feed(machine, Connected(), SessionCreated("s"), OK, ResponseCreated("resp_1"), CHUNK, SpeechStarted("u", 0))
    effects = machine.receive(point(PartCut(PART, 160, 900, 20)), 0)
    assert notes(effects) == [("command.unsupported", {"command": "TruncateItem"})]


def test_a_response_that_failed_is_noted_with_what_the_provider_said() -> None:
    """The caller hears nothing: the log says why."""
    machine = ready()
    feed(machine, ResponseCreated("resp_1"))
    effects = machine.receive(ResponseDone("resp_1", "failed", None, "Sorry."), 0)
    assert notes(effects) == [("response.failed", {"response_id": "resp_1", "reason": "Sorry."})]
