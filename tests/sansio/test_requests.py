"""What is asked of the agent from outside: when it goes out, and what is told to whoever asked."""

from __future__ import annotations

import pytest
from session_machine import CHUNK, OK, S, feed, notes, ready

from voxpipe.audio import PCM24
from voxpipe.errors import AckTimeout, CommandRefused, SessionError
from voxpipe.sansio.command_words import CreateResponse, InstructSession
from voxpipe.sansio.effects import AwaitPlayout, Close, Effect, Fail, Send, Settle
from voxpipe.sansio.realtime import (
    DrainRequested,
    ErrorReported,
    InstructionsRequested,
    LegEnded,
    PlayoutFinished,
    ResponseCreated,
    ResponseDone,
    SessionUpdated,
    SpeechRequested,
    SpeechStarted,
    SpeechStopped,
)
from voxpipe.sansio.requests import REQUESTS
from voxpipe.sansio.session import Session
from voxpipe.sansio.transitions import CLOSED, READY

SAY = SpeechRequested("one", ticket=7)
BUSY = "conversation_already_has_active_response"


def settled(effects: list[Effect]) -> list[tuple[int, str]]:
    """The tickets among effects, with the kind of error each was settled with."""
    return [
        (effect.ticket, type(effect.error).__name__ if effect.error else "")
        for effect in effects
        if isinstance(effect, Settle)
    ]


def test_a_request_goes_out_at_once_and_is_settled_when_its_response_begins() -> None:
    """With nobody speaking there is nothing to wait for."""
    machine = ready()
    assert feed(machine, SAY) == [Send("vx_2", CreateResponse("one"))]
    assert feed(machine, ResponseCreated("resp_1")) == [Settle(7, None)]


def test_requests_wait_for_response_and_caller_and_keep_their_order() -> None:
    """One at a time: after the running response, after the caller's turn, after the response to the one before."""
    machine = ready()
    feed(machine, ResponseCreated("resp_1"), SpeechStarted("u", 0))
    assert feed(machine, SAY, SpeechRequested("two")) == []
    done = feed(machine, ResponseDone("resp_1", "cancelled", "turn_detected"))
    assert [effect for effect in done if isinstance(effect, Send)] == []
    assert feed(machine, SpeechStopped("u", 0)) == [Send("vx_2", CreateResponse("one"))]
    assert settled(feed(machine, ResponseCreated("resp_2"))) == [(7, "")]
    done = feed(machine, ResponseDone("resp_2", "completed", None))
    assert [effect for effect in done if isinstance(effect, Send)] == [Send("vx_3", CreateResponse("two"))]


@pytest.mark.parametrize("first", [True, False], ids=["before the refusal", "after it"])
def test_a_response_of_the_providers_own_delays_a_request(first: bool) -> None:
    """Refused because another runs, a request is made again after it; it makes no difference which is told first."""
    machine = ready()
    feed(machine, SAY)
    told: list[ResponseCreated | ErrorReported] = [
        ResponseCreated("resp_1"),
        ErrorReported(BUSY, "", None, "vx_2"),
    ]
    effects = feed(machine, *(told if first else reversed(told)))
    assert [name for _, name in settled(effects)] in ([""], [])
    assert [effect for effect in effects if isinstance(effect, Send)] == []
    done = feed(machine, ResponseDone("resp_1", "completed", None))
    assert [effect.command for effect in done if isinstance(effect, Send)] == [CreateResponse("one")]


@pytest.mark.parametrize("request_", [SAY, InstructionsRequested("Be kind.", ticket=7)], ids=["say", "instruct"])
def test_a_refusal_is_told_with_its_code(request_: SpeechRequested | InstructionsRequested) -> None:
    """Whoever asked gets the provider's code and words; the session goes on."""
    machine = ready()
    feed(machine, request_)
    (settle,) = [e for e in feed(machine, ErrorReported("invalid_value", "No.", None, "vx_2")) if isinstance(e, Settle)]
    assert isinstance(settle.error, CommandRefused)
    assert settle.error.code == "invalid_value"
    assert str(settle.error).endswith("got refusal invalid_value: No.")
    assert machine.state is READY
    assert feed(machine, SpeechRequested("two")) == [Send("vx_3", CreateResponse("two"))]


@pytest.mark.parametrize("request_", [SAY, InstructionsRequested("Be kind.", ticket=7)], ids=["say", "instruct"])
def test_no_answer_is_told_too_and_the_next_request_goes_out(
    request_: SpeechRequested | InstructionsRequested,
) -> None:
    """After the time of an acknowledgement it is given up."""
    machine = ready()
    feed(machine, request_, SpeechRequested("two"))
    effects = machine.expire(2 * S)
    assert (7, AckTimeout.__name__) in settled(effects)
    assert notes(effects)[0][0] == "command.unanswered"
    sent = [effect.command for effect in effects if isinstance(effect, Send)]
    assert sent == ([CreateResponse("two")] if request_ is SAY else [])


@pytest.mark.parametrize(
    ("confirmed", "error"), [("Be kind.", ""), ("Be rude.", "CommandRefused"), (None, "CommandRefused")]
)
def test_confirmed_instructions_are_compared(confirmed: str | None, error: str) -> None:
    """The acknowledgement must have the very instructions that were sent."""
    machine = ready()
    assert feed(machine, InstructionsRequested("Be kind.", 7)) == [Send("vx_2", InstructSession("Be kind."))]
    effects = machine.receive(SessionUpdated(PCM24, PCM24, confirmed), 0)
    assert settled(effects) == [(7, error)]
    assert notes(effects) == [("session.instructed", {"command_id": "vx_2", "confirmed": not error})]
    assert machine.state is READY


def test_formats_are_compared_in_every_acknowledgement() -> None:
    """An acknowledgement of instructions with other formats ends the session, and whoever asked is told."""
    machine = ready()
    feed(machine, InstructionsRequested("Be kind.", 7))
    effects = feed(machine, SessionUpdated(PCM24, "no format", "Be kind."))
    assert isinstance(effects[-1], Fail)
    assert effects[-1].error.__class__.__name__ == "FormatMismatch"


@pytest.mark.parametrize("waiting", [True, False])
def test_the_end_of_the_session_settles_every_ticket(waiting: bool) -> None:
    """Whether a request has gone out or waits, whoever asked is told that nothing comes of it."""
    machine = ready()
    if waiting:
        feed(machine, ResponseCreated("resp_1"))
    feed(machine, SAY)
    effects = feed(machine, LegEnded("leg closed by the peer"))
    assert settled(effects) == [(7, SessionError.__name__)]
    assert effects[-1] == Close("leg closed by the peer")


def test_a_drain_gives_up_what_waits_and_plays_what_was_asked_for() -> None:
    """A response that was asked for and has not begun is awaited, generated and played; what waits is given up."""
    machine = ready()
    feed(machine, SAY)
    assert settled(feed(machine, SpeechRequested("two", 8), DrainRequested("x"))) == [(8, SessionError.__name__)]
    assert feed(machine, ResponseCreated("resp_1")) == [Settle(7, None)]
    feed(machine, CHUNK)
    assert feed(machine, ResponseDone("resp_1", "completed", None))[-1] == AwaitPlayout()
    assert feed(machine, PlayoutFinished()) == [Close("x")]


def test_a_drain_whose_last_request_is_refused_ends() -> None:
    """Nothing is to come any more: the playout is awaited."""
    machine = ready()
    feed(machine, SAY, DrainRequested("x"))
    assert feed(machine, ErrorReported("invalid_value", "No.", None, "vx_2"))[-1] == AwaitPlayout()
    feed(machine, PlayoutFinished())
    assert machine.state is CLOSED


def test_too_many_requests_are_refused() -> None:
    """Whoever does not wait for the answers is told so; those before are kept."""
    machine: Session = ready()
    feed(machine, ResponseCreated("resp_1"))
    for number in range(REQUESTS):
        assert settled(feed(machine, SpeechRequested(str(number), number))) == []
    assert settled(feed(machine, SpeechRequested("x", 99))) == [(99, SessionError.__name__)]
    feed(machine, OK)
