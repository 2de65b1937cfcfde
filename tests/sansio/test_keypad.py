"""The keypad in the session machine: entries are told as items, answered once, and a digit silences the agent."""

from __future__ import annotations

import pytest
from session_machine import CHUNK, OK, PART, PCM, S, feed, notes, ready, session

from voxpipe.config import LegConfig, SessionConfig, TurnDetectionConfig
from voxpipe.dialects import get_dialect
from voxpipe.sansio.call_timer import CallTimer
from voxpipe.sansio.command_words import AddMessage, CancelResponse, CreateResponse, TruncateItem
from voxpipe.sansio.digit_words import DigitPressed, DigitsEntered
from voxpipe.sansio.effects import CutPlayout, Send, Settle
from voxpipe.sansio.ledger import CutPoint, PartCut
from voxpipe.sansio.realtime import (
    Connected,
    DrainRequested,
    ErrorReported,
    Event,
    ItemAdded,
    PlayoutCut,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SpeechRequested,
    SpeechStarted,
    SpeechStopped,
)
from voxpipe.sansio.session import Session
from voxpipe.sansio.tool_words import After, SendToolResult, ToolAnswered, ToolCallRequested
from voxpipe.sansio.transitions import READY

ENTERED = DigitsEntered("vx_digits_1", "pressed 12", ticket=7)
ADD, ADDED = AddMessage("vx_digits_1", "caller", "pressed 12"), ItemAdded("vx_digits_1")
CREATED, DONE = ResponseCreated("resp_1"), ResponseDone("resp_1", "completed", None)
NEXT_CREATED, NEXT_DONE = ResponseCreated("resp_2"), ResponseDone("resp_2", "completed", None)
SPEAKS, STOPS = SpeechStarted("item_u", 100), SpeechStopped("item_u", 900)
CALL = ToolCallRequested("call_1", "item_f", "resp_1", "look_up", "{}")
ANSWER, SEEN = ToolAnswered("call_1", "one", After.REPLY), ItemAdded("item_o", "call_1")
ASK = CreateResponse()
CUT = PlayoutCut(CutPoint((PartCut(PART, 48_000, 60_000, 2000),), (), 0, 1))


def sent(machine: Session, *events: Event) -> list[object]:
    """The commands that events lead to, without their ids."""
    return [effect.command for effect in feed(machine, *events) if isinstance(effect, Send)]


def test_an_entry_is_told_and_answered() -> None:
    """The item goes out, a response is asked for behind it, and who waits hears that the item is there."""
    machine = ready()
    assert feed(machine, ENTERED) == [Send("vx_2", ADD), Send("vx_3", ASK)]
    assert feed(machine, ADDED) == [Settle(7, None)]
    assert sent(machine, CREATED, DONE) == []


ANSWERED_ONCE: list[tuple[str, list[Event], list[object]]] = [
    ("a response runs", [CREATED, ENTERED, ADDED, DONE], [ADD, ASK]),
    ("the caller speaks: that turn's answer knows", [SPEAKS, ENTERED, ADDED, STOPS, CREATED, DONE], [ADD]),
    ("that answer began before the item was there", [SPEAKS, ENTERED, STOPS, CREATED, ADDED, DONE], [ADD, ASK]),
    ("two entries", [CREATED, ENTERED, ADDED, DigitsEntered("i2", "3"), ItemAdded("i2"), DONE],
     [ADD, AddMessage("i2", "caller", "3"), ASK]),
    ("a tool's result beside it", [CREATED, CALL, ENTERED, ADDED, ANSWER, SEEN, DONE],
     [ADD, SendToolResult("call_1", "one", "look_up"), ASK]),
    ("a request beside it", [CREATED, SpeechRequested("Hello."), ENTERED, ADDED, DONE, NEXT_CREATED, NEXT_DONE],
     [ADD, CreateResponse("Hello."), ASK]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "commands"), [row[1:] for row in ANSWERED_ONCE], ids=[row[0] for row in ANSWERED_ONCE]
)
def test_an_entry_is_answered_once_and_when_nobody_speaks(events: list[Event], commands: list[object]) -> None:
    """By whichever response begins with the item in the conversation, the provider's own or ours."""
    assert sent(ready(), *events) == commands


def test_a_refused_item_is_a_note_and_the_call_goes_on() -> None:
    """Who waits is told, and so is the log; the agent answers what it knows."""
    machine = ready()
    feed(machine, ENTERED)
    effects = machine.receive(ErrorReported("invalid_value", "no", None, "vx_2"), 0)
    assert [name for name, _ in notes(effects)] == ["command.refused"]
    assert [(effect.ticket, str(effect.error)) for effect in effects if isinstance(effect, Settle)] == [
        (7, "expected the provider to accept AddMessage, got refusal invalid_value: no")
    ]
    assert machine.state is READY
    assert sent(machine, CREATED, DONE) == []


def test_an_item_that_is_not_acknowledged_is_a_note() -> None:
    """As with every command but the configuration."""
    machine = ready()
    feed(machine, ENTERED, CREATED)
    effects = machine.expire(2 * S)
    assert [name for name, _ in notes(effects)] == ["command.unanswered"]
    assert machine.state is READY


@pytest.mark.parametrize("events", [[], [DrainRequested("over")]], ids=["before READY", "while draining"])
def test_outside_of_ready_the_keypad_is_not_heard(events: list[Event]) -> None:
    """The actor keeps entries until they can be sent, and records those that cannot."""
    machine = ready() if events else session()
    feed(machine, CREATED, *events)
    assert feed(machine, DigitPressed(True), ENTERED) == []


@pytest.mark.parametrize("interrupts", [True, False], ids=["the provider cancels", "we cancel"])
def test_a_digit_silences_the_agent_and_cancels_its_response(interrupts: bool) -> None:
    """The provider hears no speech, so cancelling is ours, whatever it does when it hears some."""
    detection = TurnDetectionConfig(interrupt_response=interrupts)
    machine = ready(SessionConfig(turn_detection=detection))
    feed(machine, CREATED, CHUNK)
    assert feed(machine, DigitPressed(True)) == [CutPlayout()]
    assert sent(machine, CUT) == [CancelResponse("resp_1"), TruncateItem("item_1", 0, 2000)]
    assert machine.statistics().cuts == 1
    assert feed(machine, DigitPressed(True), PlayoutCut(CutPoint((), (), 0, 2))) == [CutPlayout()]


@pytest.mark.parametrize("both", [(DigitPressed(True), SPEAKS), (SPEAKS, DigitPressed(True))], ids=["first", "last"])
def test_speech_within_a_cut_by_a_digit_leaves_cancelling_to_the_provider(both: tuple[Event, Event]) -> None:
    """Before the ledger has answered, both ask for one cut; the provider has heard one of them."""
    machine = ready()
    feed(machine, CREATED, CHUNK)
    assert feed(machine, *both) == [CutPlayout()]
    assert sent(machine, CUT) == [TruncateItem("item_1", 0, 2000)]


def test_a_digit_need_not_silence_the_agent() -> None:
    """Then the answer goes on, and the entry waits for its end."""
    machine = ready()
    assert feed(machine, CREATED, DigitPressed(False)) == []
    assert sent(machine, ENTERED, ADDED) == [ADD]
    assert sent(machine, DONE) == [ASK]


def test_a_digit_postpones_the_question_whether_anybody_is_there() -> None:
    """Silence is counted from the latest digit."""
    timer = CallTimer(LegConfig(idle_timeout_s=5), 0)
    machine = Session(get_dialect("openai"), SessionConfig(), PCM, timer=timer)
    feed(machine, Connected(), SessionCreated("sess_1"), OK)
    assert machine.deadline_ns == 5 * S
    feed(machine, DigitPressed(False), now_ns=3 * S)
    assert machine.deadline_ns == 8 * S


def test_silence_that_is_not_counted_is_not_postponed() -> None:
    """While the agent speaks, say."""
    timer = CallTimer(LegConfig(idle_timeout_s=5), 0)
    timer.postpone(1 * S)
    assert timer.deadline_ns is None
