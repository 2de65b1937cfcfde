"""A session that stands by: what it does before it serves, and what it never does."""

from __future__ import annotations

import pytest
from session_machine import CHUNK, OK, PCM, S, failure, feed, notes

from voxpipe.audio import PCM24, ULAW8
from voxpipe.config import LegConfig, SessionConfig, TurnDetectionConfig
from voxpipe.dialects import get_dialect
from voxpipe.errors import FormatMismatch, SessionLost
from voxpipe.sansio.call_timer import CallTimer
from voxpipe.sansio.command_words import AddMessage, CreateResponse, InstructSession, TruncateItem
from voxpipe.sansio.effects import AwaitPlayout, Close, Effect, FinishResponse, Renew, Send
from voxpipe.sansio.ledger import CutPoint, Part, PartCut
from voxpipe.sansio.lifetime import Due, Lifetime
from voxpipe.sansio.pending import SessionTimeouts
from voxpipe.sansio.realtime import (
    Connected,
    ConnectionLost,
    ConversationGiven,
    DrainRequested,
    ErrorReported,
    Event,
    ItemAdded,
    LegEnded,
    PlayoutCut,
    PlayoutFinished,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    Superseded,
    TookOver,
)
from voxpipe.sansio.restoration import WINDOW
from voxpipe.sansio.session import Session
from voxpipe.sansio.tool_words import After, SendToolResult, ToolAnswered
from voxpipe.sansio.transitions import CLOSED, FAILED, READY, STANDBY

ITEMS = tuple(AddMessage(f"vx_item_{number}", "caller", str(number)) for number in range(WINDOW + 2))


def standby(config: SessionConfig | None = None, timer: CallTimer | None = None) -> Session:
    """A machine that stands by since 0 ns."""
    machine = Session(
        get_dialect("openai"),
        config or SessionConfig(greeting="Say hello."),
        PCM,
        SessionTimeouts(renew_before_ns=580 * S),
        timer=timer,
        stands_by=True,
    )
    feed(machine, Connected(), SessionCreated("sess_2"), OK)
    assert machine.state is STANDBY
    return machine


def commands(effects: list[Effect]) -> list[object]:
    """The commands among effects."""
    return [effect.command for effect in effects if isinstance(effect, Send)]


def test_it_is_silent_and_deaf() -> None:
    """No greeting, no audio either way; what the provider says unasked is not played."""
    machine = standby()
    assert not machine.accepts_uplink
    assert not machine.accepts_downlink
    assert machine.can_take_over
    assert feed(machine, ResponseCreated("resp_1"), CHUNK, SpeechStarted(None, None)) == []
    assert machine.statistics().chunks_refused == 1
    assert machine.deadline_ns is None


def test_the_length_of_the_call_is_the_serving_sessions_business() -> None:
    """A call limit does not end a session that stands by; the one that serves drains for it."""
    machine = standby(timer=CallTimer(LegConfig(max_call_s=5, idle_timeout_s=2), 0))
    assert machine.deadline_ns is None
    assert machine.expire(9 * S) == []
    feed(machine, TookOver(0), now_ns=S)
    assert machine.deadline_ns == 3 * S


def test_it_is_given_the_conversation_a_window_at_a_time() -> None:
    """Each item waits for its acknowledgement; one that is refused is a note, and the next one follows."""
    machine = standby()
    assert commands(feed(machine, ConversationGiven(ITEMS))) == list(ITEMS[:WINDOW])
    assert not machine.can_take_over
    assert commands(feed(machine, ItemAdded("vx_item_0"))) == [ITEMS[WINDOW]]
    refused = machine.receive(ErrorReported("invalid_value", "No.", None, "vx_3"), 0)
    assert [name for name, _ in notes(refused)] == ["command.refused"]
    assert commands(refused) == [ITEMS[WINDOW + 1]]
    feed(machine, *(ItemAdded(item.item_id) for item in ITEMS))
    assert machine.can_take_over


def test_an_item_that_nobody_acknowledges_is_given_up() -> None:
    """After the timeout the log says so, and the session can take over without it."""
    machine = standby()
    feed(machine, ConversationGiven(ITEMS[:1]), now_ns=S)
    assert machine.deadline_ns == 3 * S
    assert [name for name, _ in notes(machine.expire(3 * S))] == ["command.unanswered"]
    assert machine.can_take_over


@pytest.mark.parametrize(
    ("event", "state", "error"),
    [
        (SessionUpdated(ULAW8, PCM24), FAILED, FormatMismatch),
        (ConnectionLost(1006, ""), FAILED, SessionLost),
        (ErrorReported("session_expired", "Over.", None, None), FAILED, SessionLost),
        (LegEnded("gone"), CLOSED, None),
        (DrainRequested("drained"), CLOSED, None),
    ],
)
def test_it_ends(event: Event, state: object, error: type[Exception] | None) -> None:
    """Formats that change, a connection that goes, a call that ends: as for any other session."""
    machine = standby()
    effects = feed(machine, event)
    assert machine.state is state
    if error is None:
        assert isinstance(effects[0], Close)
    else:
        assert isinstance(failure(effects), error)


def test_it_takes_over_with_the_cuts_and_calls_of_the_one_before() -> None:
    """The epoch goes on, prompts and answers of the former session are not truncated, open calls are answered here."""
    machine = standby()
    effects = feed(machine, TookOver(7, ("call_1",), frozenset({"resp_old"}), resume="Go on."))
    assert machine.state is READY
    assert machine.epoch == 7
    assert commands(effects) == [CreateResponse("Go on.")]
    parts = (Part("resp_old", "item_old", 0), Part.of_ours("reconnect"), Part("resp_new", "item_new", 0))
    point = CutPoint(tuple(PartCut(part, 8, 80, 1) for part in parts), (Part("resp_old", "item_older", 0),), 0, 8)
    cut = feed(machine, ResponseCreated("resp_new"), SpeechStarted(None, None), PlayoutCut(point))
    assert [command for command in commands(cut) if isinstance(command, TruncateItem)] == [
        TruncateItem("item_new", 0, 1)
    ]
    assert len(commands(cut)) == 1
    late = feed(machine, SpeechStopped(None, None), ToolAnswered("call_1", "high", After.REPLY))
    assert commands(late) == [SendToolResult("call_1", "high")]


def test_the_session_before_closes_and_its_answers_are_finished() -> None:
    """Superseded: what had come of a running answer is played to its end, and the connection closed in peace."""
    machine = standby()
    feed(machine, TookOver(3), ResponseCreated("resp_1"), CHUNK)
    assert machine.underway["running_responses"] == 1
    finish, close = feed(machine, Superseded("another session took over"))
    assert finish == FinishResponse("resp_1", 3)
    assert close == Close("another session took over")
    assert machine.state is CLOSED
    assert machine.underway["running_responses"] == 1


QUIET = 600_000_000


def test_renewal_is_asked_for_once_and_a_pause_is_told() -> None:
    """When it is due, another session is wanted; from then on it is told whether nobody speaks."""
    machine = standby()
    feed(machine, TookOver(0))
    assert machine.deadline_ns == 3000 * S
    assert not machine.pauses(0, QUIET)
    assert [effect for effect in machine.expire(3000 * S) if effect != AwaitPlayout()] == [Renew()]
    assert machine.deadline_ns == 3580 * S
    assert not machine.pauses(3000 * S, QUIET)
    feed(machine, PlayoutFinished(), now_ns=3001 * S)
    assert machine.pauses(3001 * S, QUIET)


STEPS: list[tuple[str, tuple[Event, ...], bool]] = [
    ("the caller speaks", (SpeechStarted(None, None),), False),
    ("the caller's turn waits for its answer", (SpeechStarted(None, None), SpeechStopped(None, None)), False),
    ("an answer is generated", (ResponseCreated("resp_1"),), False),
    ("an answer is played", (ResponseCreated("resp_1"), ResponseDone("resp_1", "completed", None)), False),
    (
        "an answer was played",
        (ResponseCreated("resp_1"), ResponseDone("resp_1", "completed", None), PlayoutFinished()),
        True,
    ),
]


@pytest.mark.parametrize(("events", "expected"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS])
def test_a_pause_is(events: tuple[Event, ...], expected: bool) -> None:
    """Nobody speaks, nothing is to be heard, nothing is asked."""
    machine = standby(SessionConfig())
    feed(machine, TookOver(0))
    machine.expire(3000 * S)
    feed(machine, PlayoutFinished(), *events, now_ns=3001 * S)
    assert machine.pauses(3001 * S, QUIET) is expected


def test_without_turn_detection_a_pause_is_short() -> None:
    """Nobody tells when the caller begins to speak: only right after an answer is nothing of a turn lost."""
    machine = standby(SessionConfig(turn_detection=TurnDetectionConfig(type="none")))
    feed(machine, TookOver(0))
    machine.expire(3000 * S)
    feed(machine, PlayoutFinished(), now_ns=3001 * S)
    assert not machine.pauses(3001 * S, QUIET)
    feed(machine, ResponseCreated("resp_1"), ResponseDone("resp_1", "completed", None), now_ns=3002 * S)
    feed(machine, PlayoutFinished(), now_ns=3003 * S)
    assert machine.pauses(3003 * S, QUIET)
    assert machine.pauses(3003 * S + QUIET, QUIET)
    assert not machine.pauses(3003 * S + QUIET + 1, QUIET)


@pytest.mark.parametrize(("renew_s", "due"), [(0, [3580]), (280, [3300, 3580]), (3580, [3580]), (4000, [3580])])
def test_renewal_is_due_before_the_limit_or_never(renew_s: int, due: list[int]) -> None:
    """The limit counts from the acknowledgement, and a renewal that would come after it is none."""
    lifetime = Lifetime(SessionTimeouts(renew_before_ns=renew_s * S))
    lifetime.confirm(0)
    lifetime.serve()
    seen = []
    while lifetime.deadline_ns is not None:
        now_ns = lifetime.deadline_ns
        assert lifetime.take_due(now_ns - 1) == []
        seen.append(now_ns // S)
        assert lifetime.take_due(now_ns) == [Due.STATE if now_ns == 3580 * S else Due.RENEWAL]
    assert seen == due


def test_instructions_that_changed_meanwhile_are_sent() -> None:
    """What the agent went by in the end is what it goes by, though this session was configured before."""
    machine = standby(SessionConfig(instructions="Be brief."))
    assert commands(feed(machine, TookOver(0, instructions="Be brief."))) == []
    machine = standby(SessionConfig(instructions="Be brief."))
    assert commands(feed(machine, TookOver(0, instructions="Be kind."))) == [InstructSession("Be kind.")]
    assert machine.instructions == "Be kind."
