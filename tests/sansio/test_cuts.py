"""Truncations that the provider refuses: asked once more with its own count, and never a fault."""

from __future__ import annotations

import attrs
import pytest
from session_machine import CHUNK, S, feed, notes, ready

from voxpipe.dialects import get_dialect
from voxpipe.sansio.command_words import TruncateItem
from voxpipe.sansio.effects import Play, Send
from voxpipe.sansio.ledger import CutPoint, Part, PartCut
from voxpipe.sansio.realtime import (
    ErrorReported,
    ItemTruncated,
    PlayoutCut,
    ResponseCreated,
    ResponseDone,
    SpeechStarted,
)
from voxpipe.sansio.session import Session
from voxpipe.sansio.transitions import READY

PART = Part("resp_1", "item_1", 0)


def truncating() -> Session:
    """A machine that has just asked (vx_2) to truncate item_1 to 2 000 ms."""
    machine = ready()
    feed(machine, ResponseCreated("resp_1"), CHUNK, SpeechStarted("u", 0))
    assert feed(machine, PlayoutCut(CutPoint((PartCut(PART, 48_000, 60_000, 2000),), (), 0, 1))) == [
        Send("vx_2", TruncateItem("item_1", 0, 2000))
    ]
    return machine


def refusal(message: str, command_id: str | None = "vx_2") -> ErrorReported:
    """What the dialect makes of the server's refusal."""
    error = {"code": "invalid_value", "message": message, "param": "audio_end_ms", "event_id": command_id}
    event = get_dialect("openai").decode({"type": "error", "error": error})
    assert isinstance(event, ErrorReported)
    return event


@pytest.mark.parametrize(
    ("message", "again_ms"),
    [
        ("Audio content of 1915ms is already shorter than 2000ms", 1915),
        ("Audio content of 1915 ms is shorter than 2000 ms.", 1915),
        ("audio content of 0ms is already shorter than 2000ms", 0),
        ("Audio content of 1915.7ms is already shorter than 2000ms", 1915),
        ("Audio content of 2000ms is already shorter than 2000ms", None),
        ("Audio content of 2500ms is already shorter than 2000ms", None),
        ("Audio content is already shorter than 2000ms", None),
        ("Only model output audio messages can be truncated", None),
    ],
)
@pytest.mark.parametrize("command_id", ["vx_2", None])
def test_a_refused_truncation_is_sent_once_more_with_the_servers_count(
    message: str, again_ms: int | None, command_id: str | None
) -> None:
    """Where the refusal has a smaller number than ours it is taken, whether or not it names our command."""
    machine = truncating()
    effects = machine.receive(refusal(message, command_id), 0)
    sent = [effect for effect in effects if isinstance(effect, Send)]
    if again_ms is None:
        assert sent == []
        return
    assert sent == [Send("vx_3", TruncateItem("item_1", 0, again_ms, corrected=True))]
    assert [name for name, _ in notes(effects)] == ["command.refused", "truncation.corrected"]
    assert notes(effects)[1][1] == {"command": "TruncateItem", "command_id": "vx_2", "counted_ms": again_ms}
    assert feed(machine, ItemTruncated("item_1", again_ms)) == []
    assert machine.expire(3 * S) == []


def test_a_second_refusal_is_left_at_that() -> None:
    """A server that goes on counting down is not asked a third time."""
    machine = truncating()
    feed(machine, refusal("Audio content of 1915ms is already shorter than 2000ms"))
    effects = machine.receive(refusal("Audio content of 1800ms is already shorter than 1915ms", "vx_3"), 0)
    assert [name for name, _ in notes(effects)] == ["command.refused"]
    assert [effect for effect in effects if isinstance(effect, Send)] == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("response_cancel_not_active", "Cancellation failed: no active response found"),
        ("invalid_value", "Audio content of 1915ms is already shorter than 2000ms"),
        ("item_truncate_invalid_item_id", "Error: the item with id 'item_1' does not exist, cannot truncate it."),
        ("item_delete_invalid_item_id", "Error: the item with id 'item_1' does not exist, cannot delete it."),
        ("conversation_already_has_active_response", "Conversation already has an active response in progress."),
        ("invalid_value", "Only model output audio messages can be truncated"),
        ("unheard_of", ""),
    ],
)
@pytest.mark.parametrize("command_id", ["vx_2", "vx_99", None])
def test_after_any_refusal_the_next_answer_is_played(code: str, message: str, command_id: str | None) -> None:
    """None of the errors that a barge-in may bring ends the session or silences it."""
    machine = truncating()
    feed(machine, attrs.evolve(refusal(message, command_id), code=code))
    assert machine.state is READY
    feed(machine, ResponseDone("resp_1", "cancelled", "turn_detected"))
    fresh = attrs.evolve(CHUNK, response_id="resp_2", item_id="item_2")
    assert feed(machine, ResponseCreated("resp_2"), fresh) == [Play(Part("resp_2", "item_2", 0), fresh.audio, 1)]
