"""Silence and length of a call: when the agent speaks up, is warned, and the call ends."""

from __future__ import annotations

import attrs
import pytest
from session_machine import CHUNK, OK, PCM, S, feed, notes, session

from voxpipe.config import LegConfig, SessionConfig, TurnDetectionConfig
from voxpipe.config_file import load_config
from voxpipe.dialects import get_dialect
from voxpipe.errors import ConfigError
from voxpipe.sansio.call_timer import CallTimer
from voxpipe.sansio.command_words import CreateResponse, InstructSession
from voxpipe.sansio.effects import AwaitPlayout, Close, Effect, Send
from voxpipe.sansio.realtime import (
    Connected,
    ErrorReported,
    Event,
    InstructionsRequested,
    PlayoutFinished,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SpeechStarted,
    SpeechStopped,
)
from voxpipe.sansio.session import Session
from voxpipe.sansio.transitions import CLOSED, DRAINING

UP = "Are you there?"
IDLE = LegConfig(idle_timeout_s=10, idle_instructions=UP)
LIMITED = LegConfig(max_call_s=60, warn_before_end_s=20)


def timed(config: LegConfig, detection: TurnDetectionConfig | None = None) -> Session:
    """A machine whose call began, and whose formats were confirmed, at 0 ns."""
    detection = detection or TurnDetectionConfig()
    timer = CallTimer(config, 0, detection)
    chosen = SessionConfig(instructions="Be brief.", turn_detection=detection)
    machine = Session(get_dialect("openai"), chosen, PCM, timer=timer)
    feed(machine, Connected(), SessionCreated("s"), OK)
    return machine


def sent(effects: list[Effect]) -> list[object]:
    """The commands among effects."""
    return [effect.command for effect in effects if isinstance(effect, Send)]


SPEAKS, SILENT = SpeechStarted("u", 0), SpeechStopped("u", 0)
BEGINS, ENDS, HEARD = ResponseCreated("r"), ResponseDone("r", "completed", None), PlayoutFinished()


@pytest.mark.parametrize(
    ("script", "due_s"),
    [
        ([], 10),
        ([(4, SPEAKS)], None),
        ([(4, SPEAKS), (6, SILENT)], 16),
        ([(4, BEGINS)], None),
        ([(4, BEGINS), (5, CHUNK), (6, ENDS)], None),
        ([(4, BEGINS), (6, ENDS), (9, HEARD)], 19),
        ([(4, BEGINS), (6, ENDS), (7, SPEAKS), (9, HEARD)], None),
        ([(4, BEGINS), (6, ENDS), (7, SPEAKS), (9, HEARD), (11, SILENT)], 21),
        ([(4, BEGINS), (6, ENDS), (7, ResponseCreated("s")), (9, HEARD)], None),
    ],
    ids=[
        "nothing happens",
        "the caller speaks",
        "the caller is silent, and no answer comes",
        "an answer begins",
        "an answer is being heard",
        "an answer was heard",
        "the caller speaks into it",
        "and stops",
        "another answer has begun",
    ],
)
def test_silence_is_counted_from_the_last_word(script: list[tuple[int, Event]], due_s: int | None) -> None:
    """What happens when, and at which second the agent speaks up, if it does."""
    machine = timed(IDLE)
    for at_s, event in script:
        feed(machine, event, now_ns=at_s * S)
    limit_ns = 3580 * S
    assert machine.deadline_ns == (limit_ns if due_s is None else due_s * S)
    if due_s is not None:
        assert sent(machine.expire(due_s * S - 1)) == []
        effects = machine.expire(due_s * S)
        assert sent(effects) == [CreateResponse(UP)]
        assert notes(effects) == [("timer.due", {"event": "SpeechRequested"})]


def test_the_agent_speaks_up_again_after_the_same_silence() -> None:
    """Each time its words have been heard, silence counts anew."""
    machine = timed(IDLE)
    assert sent(machine.expire(10 * S)) == [CreateResponse(UP)]
    feed(machine, BEGINS, now_ns=11 * S)
    assert AwaitPlayout() in feed(machine, ENDS, now_ns=12 * S)
    feed(machine, HEARD, now_ns=14 * S)
    assert machine.deadline_ns == 24 * S
    assert sent(machine.expire(24 * S)) == [CreateResponse(UP)]


def speak_up(machine: Session, at_s: int) -> list[Effect]:
    """Let the silence be over at a second, and the agent's words be asked for, spoken and heard within three."""
    effects = machine.expire(at_s * S)
    feed(machine, BEGINS, now_ns=(at_s + 1) * S)
    feed(machine, ENDS, now_ns=(at_s + 2) * S)
    feed(machine, HEARD, now_ns=(at_s + 3) * S)
    return effects


def test_the_call_ends_when_the_caller_says_nothing_again_and_again() -> None:
    """The agent has spoken up as often as the limit says: the next silence drains the session."""
    machine = timed(attrs.evolve(IDLE, idle_limit=2))
    assert sent(speak_up(machine, 10)) == [CreateResponse(UP)]
    assert sent(speak_up(machine, 23)) == [CreateResponse(UP)]
    effects = machine.expire(36 * S)
    assert sent(effects) == []
    assert notes(effects)[0] == ("timer.due", {"event": "DrainRequested"})
    assert effects[-1] == AwaitPlayout()
    assert feed(machine, HEARD, now_ns=37 * S) == [Close("idle limit reached")]


def test_a_word_of_the_caller_begins_the_count_anew() -> None:
    """Only the caller's: answers of the agent do not show that anybody is there."""
    machine = timed(attrs.evolve(IDLE, idle_limit=2))
    speak_up(machine, 10)
    feed(machine, SPEAKS, now_ns=14 * S)
    feed(machine, SILENT, now_ns=15 * S)
    assert sent(speak_up(machine, 25)) == [CreateResponse(UP)]
    assert sent(speak_up(machine, 38)) == [CreateResponse(UP)]
    machine.expire(51 * S)
    assert machine.state is DRAINING


def test_without_an_idle_limit_the_agent_never_gives_up() -> None:
    """0 stands for never."""
    machine = timed(attrs.evolve(IDLE, idle_limit=0))
    for count in range(100):
        assert sent(speak_up(machine, 10 + 13 * count)) == [CreateResponse(UP)]


@pytest.mark.parametrize("answered", [True, False], ids=["refused", "not answered"])
def test_a_provider_that_does_not_speak_up_does_not_stop_the_count(answered: bool) -> None:
    """Silence counts on from the refusal, or from where the answer is given up: the call ends all the same."""
    machine = timed(attrs.evolve(IDLE, idle_limit=1))
    (command,) = [effect for effect in machine.expire(10 * S) if isinstance(effect, Send)]
    if answered:
        feed(machine, ErrorReported("rate_limit_exceeded", "no", None, command.command_id), now_ns=12 * S)
    else:
        machine.expire(12 * S)
    assert machine.deadline_ns == 22 * S
    machine.expire(22 * S)
    assert machine.state is DRAINING


def test_the_providers_own_idle_timeout_wins() -> None:
    """Where it is set we do not count, and ask nothing of the playout."""
    machine = timed(IDLE, TurnDetectionConfig(idle_timeout_ms=5000))
    assert machine.deadline_ns == 3580 * S
    assert feed(machine, BEGINS, ENDS)[-1] != AwaitPlayout()


def test_a_call_ends_at_its_limit_after_a_warning() -> None:
    """The agent gets the warning below the instructions in force; at the limit the running answer is played out."""
    machine = timed(LIMITED)
    feed(machine, InstructionsRequested("Be kind."))
    machine.expire(5 * S)
    assert machine.deadline_ns == 40 * S
    (command,) = sent(machine.expire(40 * S))
    assert isinstance(command, InstructSession)
    assert command.instructions.startswith("Be kind.\n\nThe call ends in 20 seconds")
    feed(machine, BEGINS, now_ns=59 * S)
    machine.expire(60 * S)
    assert machine.state is DRAINING
    assert feed(machine, ENDS, now_ns=61 * S)[-1] == AwaitPlayout()
    assert feed(machine, HEARD, now_ns=63 * S) == [Close("call limit reached")]


def test_the_limit_counts_before_the_session_is_ready_too() -> None:
    """A call that nobody ever answered ends at its limit."""
    machine = Session(get_dialect("openai"), SessionConfig(), PCM, timer=CallTimer(LegConfig(max_call_s=1), 0))
    feed(machine, Connected())
    assert machine.deadline_ns == S
    assert machine.expire(S)[-1] == Close("call limit reached")
    assert machine.state is CLOSED
    assert machine.deadline_ns is None


def test_without_configuration_nothing_is_ever_due() -> None:
    """The defaults count neither silence nor length."""
    assert CallTimer(LegConfig(), 0).deadline_ns is None
    timer = CallTimer(LegConfig(), 0)
    timer.note_silence(0)
    assert timer.deadline_ns is None
    assert timer.take_due(10**18) == []
    assert session().deadline_ns is None


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            {"leg.idle_timeout_s": 5, "session.turn_detection.type": "none"},
            "leg.idle_timeout_s: expected 0 with session.turn_detection.type none",
        ),
        ({"leg.warn_before_end_s": 5}, "leg.warn_before_end_s: expected less than leg.max_call_s (0), got 5"),
        (
            {"leg.warn_before_end_s": 60, "leg.max_call_s": 60},
            "leg.warn_before_end_s: expected less than leg.max_call_s (60), got 60",
        ),
    ],
)
def test_keys_that_cannot_be_together_are_refused(overrides: dict[str, object], expected: str) -> None:
    """The error names the key, and the one it does not go with."""
    with pytest.raises(ConfigError) as caught:
        load_config(environ={}, overrides=overrides)
    assert str(caught.value).startswith(expected)


def test_a_warning_that_is_due_before_the_session_is_ready_waits_for_it() -> None:
    """A provider that is slow to acknowledge does not cost the agent the warning."""
    timer = CallTimer(LegConfig(max_call_s=5, warn_before_end_s=4), 0)
    machine = Session(get_dialect("openai"), SessionConfig(), PCM, timer=timer)
    feed(machine, Connected(), SessionCreated("sess_1"))
    assert machine.deadline_ns == 2 * S
    assert machine.expire(3 * S // 2) == []
    feed(machine, OK, now_ns=3 * S // 2)
    assert machine.deadline_ns == S
    sent = [effect.command for effect in machine.expire(3 * S // 2) if isinstance(effect, Send)]
    assert [type(command) for command in sent] == [InstructSession]
