"""The session machine from its first event to its end, driven with literal events and times."""

from __future__ import annotations

import typing

import attrs
import pytest
from session_machine import CHUNK, MS, OK, PART, PCM, S, failure, feed, notes, ready, session

from voxpipe.audio import ALAW8, PCM24, ULAW8
from voxpipe.config import SessionConfig
from voxpipe.dialects import DIALECTS
from voxpipe.errors import AckTimeout, CommandRefused, FormatMismatch, LocalProtocolError
from voxpipe.sansio.command_words import Command, ConfigureSession
from voxpipe.sansio.effects import AwaitPlayout, Close, FinishResponse, Play, Send
from voxpipe.sansio.ledger import Part
from voxpipe.sansio.realtime import (
    Connected,
    ConnectionLost,
    DrainRequested,
    ErrorReported,
    Event,
    LegEnded,
    PlayoutFinished,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    UnknownEvent,
)
from voxpipe.sansio.session import Session
from voxpipe.sansio.transitions import (
    ACKS,
    CLOSED,
    CONFIGURING,
    CONNECTING,
    DRAINING,
    FAILED,
    READY,
    TRANSITIONS,
    State,
    draw_states,
)


def test_formats_are_requested_and_confirmed_before_audio_flows() -> None:
    """session.created brings our request, an equal session.updated opens the gate, and the time it took is known."""
    machine = session()
    assert feed(machine, Connected()) == []
    assert feed(machine, SessionCreated("sess_1"), now_ns=5 * MS) == [
        Send("vx_1", ConfigureSession(SessionConfig(), PCM))
    ]
    assert machine.state is CONFIGURING
    assert not machine.accepts_uplink
    effects = machine.receive(OK, 45 * MS)
    assert notes(effects) == [
        ("session.ready", {"confirmed": {"uplink": "slin24", "downlink": "slin24"}, "echoed": True, "ack_ms": 40.0})
    ]
    assert machine.accepts_uplink
    assert machine.accepts_downlink
    assert machine.statistics().ack_ns == 40 * MS


@pytest.mark.parametrize(
    ("confirmed", "text"),
    [
        (
            SessionUpdated(PCM24, ULAW8),
            "the provider confirmed other formats than the requested ones: expected uplink slin24 and downlink slin24, "
            "got uplink slin24 and downlink ulaw8",
        ),
        (
            SessionUpdated("no format", PCM24),
            "the provider confirmed other formats than the requested ones: expected uplink slin24 and downlink slin24, "
            "got uplink no format and downlink slin24",
        ),
    ],
)
def test_other_formats_than_requested_end_the_session(confirmed: SessionUpdated, text: str) -> None:
    """A mismatch in either direction, or a missing format, fails with requested and confirmed side by side."""
    machine = session()
    feed(machine, Connected(), SessionCreated("sess_1"))
    error = failure(feed(machine, confirmed))
    assert isinstance(error, FormatMismatch)
    assert str(error) == text
    assert machine.state is FAILED
    assert not machine.accepts_uplink


def test_formats_that_drift_in_mid_call_end_the_session() -> None:
    """A later session.updated with other formats is a mismatch too; with the same ones it changes nothing."""
    machine = ready()
    assert feed(machine, OK) == []
    assert isinstance(failure(feed(machine, SessionUpdated(PCM24, ALAW8))), FormatMismatch)


@pytest.mark.parametrize("command_id", ["vx_1", None])
def test_an_error_while_the_configuration_is_unanswered_refuses_it(command_id: str | None) -> None:
    """The error may name our command, or nothing at all: some refusals carry no id."""
    machine = session()
    feed(machine, Connected(), SessionCreated("sess_1"))
    error = failure(
        feed(machine, ErrorReported("unknown_parameter", "Unknown parameter.", "session.voice", command_id))
    )
    assert isinstance(error, CommandRefused)
    assert str(error) == (
        "expected the provider to accept ConfigureSession, got refusal unknown_parameter: "
        "Unknown parameter. (param session.voice)"
    )


def test_an_error_about_another_command_does_not_refuse_the_configuration() -> None:
    """An error that names an id which is not our configuration's is left to the log."""
    machine = session()
    feed(machine, Connected(), SessionCreated("sess_1"))
    assert feed(machine, ErrorReported("x", "y", None, "vx_99")) == []
    assert machine.state is CONFIGURING


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Connected()], "expected session.created in answer to the connection within 2 s, got nothing"),
        (
            [Connected(), SessionCreated("s")],
            "expected SessionUpdated in answer to ConfigureSession within 2 s, got nothing",
        ),
    ],
)
def test_silence_before_the_acknowledgement_ends_the_session(events: list[Event], expected: str) -> None:
    """The provider has two seconds to open the session, and two to confirm; then the wait is over."""
    machine = session()
    feed(machine, *events)
    assert machine.deadline_ns == 2 * S
    assert machine.expire(2 * S - 1) == []
    error = failure(machine.expire(2 * S))
    assert isinstance(error, AckTimeout)
    assert str(error) == expected


def test_audio_before_the_acknowledgement_is_refused_and_counted() -> None:
    """So is the rest of that response after the acknowledgement: nobody confirmed what it was made under."""
    machine = session()
    feed(machine, Connected(), SessionCreated("sess_1"), ResponseCreated("resp_1"))
    effects = machine.receive(CHUNK, 0)
    assert notes(effects) == [
        ("audio.refused", {"response_id": "resp_1", "bytes": 20, "because": "before the acknowledgement"})
    ]
    assert feed(machine, OK, CHUNK) == []
    counted = machine.statistics()
    assert (counted.chunks_refused, counted.bytes_refused, counted.chunks_played) == (2, 40, 0)


def test_a_response_that_began_without_confirmation_is_never_finished_into_the_playout() -> None:
    """Its end makes no effect, and a response of the same session after it is played."""
    machine = session()
    feed(machine, Connected(), SessionCreated("sess_1"), ResponseCreated("resp_1"), OK)
    assert feed(machine, CHUNK, ResponseDone("resp_1", "completed", None)) == []
    later = attrs.evolve(CHUNK, response_id="resp_2")
    assert feed(machine, ResponseCreated("resp_2"), later) == [Play(Part("resp_2", "item_1", 0), later.audio, 0)]


@pytest.mark.parametrize("code", ["session_expired", "insufficient_quota"])
def test_errors_that_nothing_can_mend_end_the_session(code: str) -> None:
    """The 60-minute end and an empty account are told in the provider's words."""
    machine = ready()
    error = failure(feed(machine, ErrorReported(code, "It is over.", None, None)))
    assert str(error) == f"the provider ended the session: {code}: It is over."


def test_our_own_limit_drains_before_the_provider_ends() -> None:
    """At the session limit the running answer is finished and played, then the session closes."""
    machine = ready()
    feed(machine, ResponseCreated("resp_1"))
    assert machine.deadline_ns == 3580 * S
    assert notes(machine.expire(3580 * S)) == [
        ("session.draining", {"because": "session limit reached", "running_responses": 1})
    ]
    assert machine.state is DRAINING
    assert not machine.accepts_uplink
    assert feed(machine, CHUNK, ResponseDone("resp_1", "completed", None)) == [
        Play(PART, CHUNK.audio, 0),
        FinishResponse("resp_1", 0),
        AwaitPlayout(),
    ]
    assert feed(machine, PlayoutFinished()) == [Close("session limit reached")]
    assert machine.state is CLOSED


def test_a_drain_that_takes_too_long_is_cut_short() -> None:
    """The drain's own deadline closes the session though a response still runs."""
    machine = ready()
    feed(machine, ResponseCreated("resp_1"), DrainRequested("gateway drains"))
    assert machine.deadline_ns == 10 * S
    effects = machine.expire(10 * S)
    assert effects[-1] == Close("gateway drains, drain timed out")
    assert machine.state is CLOSED


def test_a_drain_with_nothing_running_waits_for_the_playout_only() -> None:
    """What waits is played; then the session closes."""
    machine = ready()
    assert feed(machine, DrainRequested("gateway drains")) == [AwaitPlayout()]
    assert feed(machine, PlayoutFinished()) == [Close("gateway drains")]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Connected()], "expected session.created, got the connection closed with code 1006: gone"),
        (
            [Connected(), SessionCreated("s")],
            "expected session.updated, got the connection closed with code 1006: gone",
        ),
        (
            [Connected(), SessionCreated("s"), OK],
            "expected the session to go on, got the connection closed with code 1006: gone",
        ),
    ],
)
def test_a_provider_that_vanishes_is_a_failure_in_every_state(events: list[Event], expected: str) -> None:
    """The error says what was waited for."""
    machine = session()
    feed(machine, *events)
    assert str(failure(feed(machine, ConnectionLost(1006, "gone")))) == expected


@pytest.mark.parametrize("state", [CONNECTING, CONFIGURING, READY, DRAINING])
def test_a_caller_who_hangs_up_closes_the_session_in_every_state(state: State) -> None:
    """Hanging up is a normal end, whatever the session was doing."""
    machine = session()
    steps: dict[State, list[Event]] = {
        CONNECTING: [Connected()],
        CONFIGURING: [SessionCreated("s")],
        READY: [OK],
        DRAINING: [DrainRequested("x")],
    }
    for each, events in steps.items():
        feed(machine, *events)
        if each is state:
            break
    assert machine.state is state
    assert feed(machine, LegEnded("leg closed by the peer")) == [Close("leg closed by the peer")]
    assert machine.state is CLOSED
    assert machine.deadline_ns is None


def test_after_the_end_nothing_changes() -> None:
    """A closed and a failed machine ignore every event and have no deadline."""
    for last in (LegEnded("bye"), ConnectionLost(1006, "")):
        machine = ready()
        feed(machine, last)
        for event in (OK, CHUNK, SpeechStarted("u", 0), ConnectionLost(1000, ""), LegEnded("x")):
            assert machine.receive(event, S) == []
        assert machine.expire(99 * S) == []


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_state_is_in_the_table_and_every_reaction_exists() -> None:
    """The table has a row for each state, and names only reactions which the machine has."""
    assert set(TRANSITIONS) == set(State)
    for row in TRANSITIONS.values():
        for transition in row.values():
            assert callable(getattr(Session, transition.reaction))
            assert transition.targets


def test_every_command_of_every_dialect_has_an_acknowledgement() -> None:
    """A command that could not be acknowledged could not be checked; where a provider gives none, its table says so."""
    assert set(ACKS) == set(typing.get_args(Command))
    for dialect in DIALECTS.values():
        assert set(dialect.acks) <= set(dialect.commands) <= set(ACKS)


def test_an_event_without_an_entry_changes_nothing() -> None:
    """Providers add events weekly; a type that the table does not have is no fault."""
    machine = session()
    assert machine.receive(UnknownEvent("response.sparkle"), 0) == []
    assert machine.state is CONNECTING


def test_a_reaction_that_leaves_the_table_is_our_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine checks itself against the table."""
    machine = ready()
    monkeypatch.setattr(Session, "_begin_response", lambda self, _event: setattr(self, "_state", CLOSED))
    with pytest.raises(LocalProtocolError, match="expected _begin_response to end in READY, got CLOSED"):
        machine.receive(ResponseCreated("resp_1"), 0)


def test_the_figure_is_drawn_from_the_table() -> None:
    """Each change of state in the table is an arrow in the figure."""
    figure = draw_states()
    for state, row in TRANSITIONS.items():
        for event, transition in row.items():
            for target in transition.targets:
                if target is not state:
                    arrows = [line for line in figure.splitlines() if f" {state.name} --> {target.name}:" in line]
                    assert any(event.__name__ in arrow for arrow in arrows)


def test_an_error_that_ends_the_session_ends_it_whatever_command_it_names() -> None:
    """While the configuration is unanswered, a code that nothing mends is not waited out."""
    machine = session()
    feed(machine, Connected(), SessionCreated("sess_1"))
    assert feed(machine, ErrorReported("invalid_value", "No.", None, "vx_99")) == []
    error = failure(feed(machine, ErrorReported("insufficient_quota", "Pay first.", None, "vx_99")))
    assert isinstance(error, CommandRefused)
    assert error.code == "insufficient_quota"
