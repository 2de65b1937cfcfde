"""Turns in whole calls, in virtual time: what happens, and when; what is sent, what is heard, what the log says."""

from __future__ import annotations

import attrs
import pytest
from trio.testing import MockClock
from virtual_call import CallMaker, Script, VirtualCall, silence, tone

from voxpipe.testing.scenario import SCENARIOS, Scenario, SendError, Step, Trigger

BARGE_IN = tone(2000) + silence(1500) + tone(1200) + silence(4000)
"""A turn, a second one that falls into the answer to the first, and time to hear the answer to the second."""


def heard_after(call: VirtualCall, event_type: str) -> int:
    """How many frames of the agent's voice were played after the first record of a type."""
    (first, *_) = call.of(event_type)
    return sum(record.seq > first.seq for record in call.of("audiosocket.sent"))


async def test_an_undercounting_server_gets_its_own_number(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The truncation it refuses is sent again with the number of its refusal, which it takes; the call goes on."""
    scenario = attrs.evolve(SCENARIOS["undercount"], undercount_ms=2300)
    call = await make_call(Script(audio=BARGE_IN), scenario)
    first, second = call.data("conversation.item.truncate")
    (refused,) = call.data("command.refused")
    (corrected,) = call.data("truncation.corrected")
    (confirmed,) = call.data("conversation.item.truncated")
    assert refused["command_id"] == corrected["command_id"] == first["event_id"]
    assert f"Audio content of {second['audio_end_ms']}ms is already shorter" in refused["message"]
    assert second["audio_end_ms"] == confirmed["audio_end_ms"] == corrected["counted_ms"] < first["audio_end_ms"]
    assert call.outcome.error is None
    assert heard_after(call, "conversation.item.truncated") >= 60
    assert call.outcome.summary["turns"] == {"caller": 2, "agent": 2, "cut": 1}


ERRORS = [
    ("response_cancel_not_active", "Cancellation failed: no active response found"),
    ("invalid_value", "Audio content of 10ms is already shorter than 2000ms"),
    ("item_truncate_invalid_item_id", "Error: the item does not exist, cannot truncate it."),
    ("conversation_already_has_active_response", "Conversation already has an active response in progress."),
    (None, "The server had an error."),
]


@pytest.mark.parametrize("interrupts", [True, False], ids=["the server cancels", "we cancel"])
@pytest.mark.parametrize(("code", "message"), ERRORS)
async def test_an_error_at_a_barge_in_leaves_the_next_answer_to_be_heard(
    autojump_clock: MockClock, make_call: CallMaker, code: str | None, message: str, interrupts: bool
) -> None:
    """Whatever the provider says of the commands of a cut is in the log, and the agent goes on to speak."""
    steps = (Step(Trigger.SPEECH_STARTED, 0.01, SendError(code, message), once=False),)
    scenario = Scenario("errors", "an error at each barge-in", steps=steps)
    session = {"turn_detection": {"interrupt_response": interrupts}}
    call = await make_call(Script(audio=BARGE_IN), scenario, session=session)
    assert call.outcome.error is None
    assert call.data("session.failed") == []
    assert call.outcome.summary["session"]["errors"] == 2
    assert call.outcome.summary["turns"]["agent"] == 2
    when = call.of("error", direction="received")[-1]
    assert sum(r.seq > when.seq for r in call.of("audiosocket.sent")) >= 60
