"""What dialects say of their providers, and what the session machine makes of it: each fact alone, on the GA tables."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from session_machine import CHUNK, PCM, S, failure, feed, notes

from voxpipe.audio import PCM24, ULAW8
from voxpipe.config import LegConfig, SessionConfig
from voxpipe.dialects import get_dialect
from voxpipe.errors import AckTimeout, CommandRefused, FormatMismatch, SessionError, SessionLost
from voxpipe.sansio.call_timer import LONGEST_TURN_NS, CallTimer
from voxpipe.sansio.command_words import (
    AddMessage,
    AddToolCall,
    ChangeVoice,
    ConfigureSession,
    CreateResponse,
    InstructSession,
    RecallConversation,
    SpeakWords,
)
from voxpipe.sansio.digit_words import DigitPressed, DigitsEntered
from voxpipe.sansio.effects import CallTool, CutPlayout, Effect, Fail, Play, Send, Settle
from voxpipe.sansio.ledger import CutPoint
from voxpipe.sansio.realtime import (
    UNTOLD,
    CommandAcknowledged,
    Connected,
    ConversationGiven,
    ErrorReported,
    InstructionsRequested,
    PlayoutCut,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechRequested,
    SpeechStarted,
    SpeechStopped,
    TookOver,
    ToolCallWithdrawn,
    VoiceRequested,
    WarningReported,
)
from voxpipe.sansio.session import Session
from voxpipe.sansio.tool_words import After, SendToolResult, ToolAnswered, ToolCallRequested
from voxpipe.sansio.transitions import FAILED, READY, STANDBY

SILENT = SessionUpdated(UNTOLD, UNTOLD)
CALL = ToolCallRequested("call_1", "item_9", "resp_1", "look_up", "{}")
ANSWERED = ToolAnswered("call_1", "high", After.REPLY)


def machine(*, accept_silent_ack: bool = False, session: SessionConfig | None = None, **facts: Any) -> Session:
    """A machine of the GA tables with other facts about the provider."""
    dialect = attrs.evolve(get_dialect("openai"), **facts)
    return Session(dialect, session or SessionConfig(), PCM, accept_silent_ack=accept_silent_ack)


def ready(**facts: Any) -> Session:
    """Such a machine, confirmed."""
    made = machine(**facts)
    feed(made, Connected(), SessionCreated("sess_1"), SessionUpdated(PCM24, PCM24))
    assert made.state is READY
    return made


def sent(effects: list[Effect]) -> list[Any]:
    """The commands among effects."""
    return [effect.command for effect in effects if isinstance(effect, Send)]


def command_error(code: str, **facts: Any) -> ErrorReported:
    """An error that names no command by its id."""
    return ErrorReported(code, "no", None, None, **facts)


# --- acknowledgements -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("facts", [{"silent_ack": True}, {"accept_silent_ack": True}], ids=["dialect", "configuration"])
def test_an_acknowledgement_that_names_no_format_confirms_what_was_asked_for(facts: dict[str, bool]) -> None:
    """Where that is the provider's way, or is allowed; the record says that nothing was echoed."""
    made = machine(**facts)
    feed(made, Connected(), SessionCreated("sess_1"))
    (note,) = notes(made.receive(SILENT, 0))
    assert note == ("session.ready", {"confirmed": PCM.names, "echoed": False, "ack_ms": 0.0})
    assert made.state is READY


def test_otherwise_it_is_refused() -> None:
    """Expected and actual say what was not told."""
    made = machine()
    feed(made, Connected(), SessionCreated("sess_1"))
    error = failure(feed(made, SILENT))
    assert isinstance(error, FormatMismatch)
    assert error.confirmed == ("no format", "no format")


@pytest.mark.parametrize("told", [(ULAW8, UNTOLD), (UNTOLD, "{'type': 'audio/opus'}"), (ULAW8, ULAW8)])
def test_a_format_that_is_named_must_be_the_one_asked_for(told: tuple[Any, Any]) -> None:
    """Allowing for silence never allows for another format."""
    made = machine(silent_ack=True)
    feed(made, Connected(), SessionCreated("sess_1"))
    error = failure(feed(made, SessionUpdated(*told)))
    assert isinstance(error, FormatMismatch)
    assert error.confirmed == (str(told[0]), str(told[1]))


def test_other_instructions_may_be_acknowledged_without_being_told() -> None:
    """The ticket is settled in peace; where the provider tells them as a rule, silence is a refusal."""
    for silent, error in ((True, type(None)), (False, CommandRefused)):
        made = ready(silent_ack=silent)
        feed(made, InstructionsRequested("Be kind.", 7))
        (settled,) = feed(made, SessionUpdated(PCM24, PCM24))
        assert isinstance(settled, Settle)
        assert settled.ticket == 7
        assert isinstance(settled.error, error)


def test_a_command_can_be_acknowledged_by_its_id_or_by_its_kind() -> None:
    """The one that is named, or else the oldest of the kind; what means neither confirms nothing."""
    acks = {InstructSession: CommandAcknowledged}
    made = ready(acks=acks)
    for ticket in (1, 2, 3):
        feed(made, InstructionsRequested("Be kind.", ticket))
    assert feed(made, CommandAcknowledged("vx_99"), CommandAcknowledged(commands=(ChangeVoice,))) == []
    assert feed(made, CommandAcknowledged("vx_3")) == [Settle(2, None)]
    assert feed(made, CommandAcknowledged(commands=(InstructSession,))) == [Settle(1, None)]
    assert made.statistics().commands_unanswered == 0


def test_what_is_never_acknowledged_is_not_waited_for() -> None:
    """It is sent, and done with."""
    made = ready(acks={InstructSession: None})
    effects = feed(made, InstructionsRequested("Be kind.", 7))
    assert effects == [Send("vx_2", InstructSession("Be kind.")), Settle(7, None)]
    assert made.expire(10 * S) == []


def test_an_answer_may_take_longer_than_another_acknowledgement() -> None:
    """A response that is asked for is waited for as long as the provider's kind of answer takes."""
    made = ready(answer_s=8.0)
    feed(made, SpeechRequested("Say hello.", 7))
    assert made.expire(9 * S) == []
    settled = next(effect for effect in made.expire(10 * S) if isinstance(effect, Settle))
    assert isinstance(settled.error, AckTimeout)
    assert "10 s" in str(settled.error)


# --- answers that nobody asked for ------------------------------------------------------------------------------------

BY_ITSELF = {SendToolResult: ResponseCreated, AddMessage: ResponseCreated}


def test_results_that_the_provider_speaks_about_by_itself_ask_for_nothing() -> None:
    """No response is asked for; all results that wait are confirmed by the one answer to them."""
    made = ready(acks=BY_ITSELF, answer_s=8.0)
    second = attrs.evolve(CALL, call_id="call_2")
    feed(made, ResponseCreated("resp_1"), CALL, second, ResponseDone("resp_1", "completed", None))
    effects = feed(made, ANSWERED, attrs.evolve(ANSWERED, call_id="call_2"))
    assert sent(effects) == [SendToolResult("call_1", "high", "look_up"), SendToolResult("call_2", "high", "look_up")]
    assert sent(feed(made, ResponseCreated("resp_2"), ResponseDone("resp_2", "completed", None))) == []
    assert notes(made.expire(20 * S)) == []


def test_a_drain_waits_for_words_about_a_result_that_come_by_themselves() -> None:
    """The answer is on its way, though nobody asked for it."""
    from voxpipe.sansio.realtime import DrainRequested, PlayoutFinished

    made = ready(acks=BY_ITSELF, answer_s=8.0)
    feed(made, ResponseCreated("resp_1"), CALL, ResponseDone("resp_1", "completed", None), ANSWERED)
    feed(made, PlayoutFinished(), DrainRequested("hang-up requested"), PlayoutFinished())
    assert made.state.name == "DRAINING"
    feed(made, ResponseCreated("resp_2"), ResponseDone("resp_2", "completed", None), PlayoutFinished())
    assert made.state.name == "CLOSED"


def test_a_callers_message_that_is_answered_by_itself_asks_for_nothing() -> None:
    """Keys that were pressed are told, and that is all."""
    made = ready(acks=BY_ITSELF)
    assert sent(feed(made, DigitsEntered("vx_item_1", "42"))) == [AddMessage("vx_item_1", "caller", "42")]


def test_a_call_that_is_withdrawn_is_not_answered() -> None:
    """The caller went on speaking: the provider wants no result of it any more."""
    made = ready()
    assert CallTool("call_1", "look_up", "{}") in feed(made, ResponseCreated("resp_1"), CALL)
    assert notes(made.receive(ToolCallWithdrawn("call_1"), 0)) == [
        ("tool.withdrawn", {"call_id": "call_1", "name": "look_up"})
    ]
    assert sent(feed(made, ANSWERED)) == []
    assert made.open_calls == frozenset()


# --- who speaks -------------------------------------------------------------------------------------------------------


def test_an_agent_that_listens_while_it_speaks_is_not_cut() -> None:
    """It falls silent by itself, but for files of ours; the caller's turn counts all the same."""
    made = ready(full_duplex=True)
    feed(made, ResponseCreated("resp_1"), CHUNK)
    cuts = [each for each in feed(made, SpeechStarted("item_2", 0)) if isinstance(each, CutPlayout)]
    assert cuts == [CutPlayout(prompts_only=True)]
    assert made.statistics().caller_turns == 1


def test_an_agent_that_was_silenced_by_a_digit_is_heard_again_once_it_was_told() -> None:
    """It cannot be stopped, and what it says to an entry may belong to the answer that was cut."""
    made = ready(full_duplex=True)
    feed(made, ResponseCreated("resp_1"), CHUNK)
    assert CutPlayout() in feed(made, DigitPressed(True))
    feed(made, PlayoutCut(CutPoint((), (), 0, 1)))
    assert not [each for each in feed(made, CHUNK) if isinstance(each, Play)]
    feed(made, DigitsEntered("item_d", "The caller pressed 1."))
    assert [each for each in feed(made, CHUNK) if isinstance(each, Play)]


def test_a_turn_whose_end_nobody_tells_is_over_after_a_while() -> None:
    """What waits for the caller to end is asked for then, and silence is counted from there."""
    dialect = attrs.evolve(get_dialect("openai"), tells_speech_end=False)
    timer = CallTimer(LegConfig(idle_timeout_s=5), 0)
    made = Session(dialect, SessionConfig(), PCM, timer=timer)
    feed(made, Connected(), SessionCreated("s"), SessionUpdated(PCM24, PCM24), SpeechStarted("item_2", 0))
    assert sent(feed(made, SpeechRequested(None, words="It is noon."))) == []
    assert made.deadline_ns == LONGEST_TURN_NS
    assert sent(made.expire(LONGEST_TURN_NS)) == [SpeakWords("It is noon.")]
    feed(made, ResponseCreated("resp_1"), now_ns=LONGEST_TURN_NS)
    assert not made.underway["caller_speaks"]


def test_a_turn_whose_end_is_told_in_time_is_not_given_up() -> None:
    """The end that is told is the end."""
    made = ready(tells_speech_end=False)
    feed(made, SpeechStarted("item_2", 0), SpeechStopped("item_2", None))
    assert notes(made.expire(2 * LONGEST_TURN_NS)) == []


def test_words_and_voices_have_commands_of_their_own() -> None:
    """What is to be spoken as it stands goes out as words; another voice is confirmed, or has no word at all."""
    greets = SessionConfig(greeting_words="Hello there.")
    made = machine(session=greets)
    feed(made, Connected(), SessionCreated("s"))
    assert sent(feed(made, SessionUpdated(PCM24, PCM24))) == [SpeakWords("Hello there.")]
    (settled,) = feed(made, VoiceRequested("cedar", 7))
    assert isinstance(settled, Settle)
    assert isinstance(settled.error, CommandRefused)
    assert settled.error.code == "unsupported"
    speaks = ready(commands={**get_dialect("openai").commands, ChangeVoice: lambda command: {"type": "voice"}})
    assert sent(feed(speaks, VoiceRequested("cedar", 8))) == [ChangeVoice("cedar")]
    assert feed(speaks, CommandAcknowledged(commands=(ChangeVoice,))) == [Settle(8, None)]


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_fatal_error_ends_the_session_whatever_its_code() -> None:
    """One after which another session would be of use is a loss, and the call goes on with that."""
    for codes, kind in ((frozenset[str](), SessionError), (frozenset({"gone"}), SessionLost)):
        made = ready(expired_codes=codes)
        (failed,) = feed(made, command_error("gone", fatal=True))
        assert isinstance(failed, Fail)
        assert type(failed.error) is kind
        assert made.state is FAILED


def test_a_refusal_may_name_a_kind_of_command() -> None:
    """The oldest of these kinds is refused; with a code that means busy it is asked for again after the next answer."""
    made = ready(busy_codes=frozenset({"busy"}))
    feed(made, SpeechRequested(None, 7, "It is noon."))
    assert feed(made, command_error("busy", refuses=(SpeakWords,))) == []
    assert sent(feed(made, ResponseCreated("resp_1"), ResponseDone("resp_1", "completed", None))) == [
        SpeakWords("It is noon.")
    ]
    (settled,) = feed(made, command_error("refused", refuses=(SpeakWords, CreateResponse)))
    assert isinstance(settled, Settle)
    assert isinstance(settled.error, CommandRefused)


def test_a_warning_is_noted_and_changes_nothing() -> None:
    """Whatever the provider's own word for it is."""
    made = ready()
    assert notes(made.receive(WarningReported("SLOW_THINK_REQUEST", "The model is slow."), 0)) == [
        ("provider.warned", {"code": "SLOW_THINK_REQUEST", "message": "The model is slow."})
    ]
    assert made.state is READY


# --- what was said before ---------------------------------------------------------------------------------------------


def test_a_provider_that_takes_no_items_is_told_in_words() -> None:
    """Who said what, and what tools returned; what comes later is told behind it, and goes with new instructions."""
    tables = get_dialect("openai").commands
    commands = {command: spell for command, spell in tables.items() if command is not AddToolCall}
    commands |= {RecallConversation: lambda command: {"type": "recall"}}
    dialect = attrs.evolve(get_dialect("openai"), commands=commands)
    made = Session(dialect, SessionConfig(instructions="Be brief."), PCM, stands_by=True)
    feed(made, Connected(), SessionCreated("s"), SessionUpdated(PCM24, PCM24))
    assert made.state is STANDBY
    first = (
        AddMessage("vx_1", "caller", "How high is it?"),
        AddToolCall("vx_2", "call_1", "look_up", '{"what":"tide"}'),
        SendToolResult("call_1", "4 m"),
    )
    lines = ("caller: How high is it?", 'tool look_up({"what":"tide"}) returned: 4 m')
    assert sent(feed(made, ConversationGiven(first))) == [RecallConversation("Be brief.", (), lines)]
    assert not made.can_take_over
    later = ConversationGiven((AddMessage("vx_3", "agent", "Four metres."),))
    assert sent(feed(made, later)) == [RecallConversation("Be brief.", lines, ("agent: Four metres.",))]
    feed(made, CommandAcknowledged(commands=(RecallConversation,)))
    assert not made.can_take_over
    feed(made, CommandAcknowledged(commands=(RecallConversation,)))
    assert made.can_take_over
    (command,) = sent(feed(made, TookOver(0, instructions="Be kind.")))
    assert command == InstructSession("Be kind.", (*lines, "agent: Four metres."))


def test_the_model_is_part_of_what_is_asked_for() -> None:
    """A provider that reads it in the configuration finds it there."""
    made = Session(get_dialect("openai"), SessionConfig(), PCM, model="gpt-live-1")
    feed(made, Connected())
    (configure,) = sent(feed(made, SessionCreated("s")))
    assert isinstance(configure, ConfigureSession)
    assert configure.model == "gpt-live-1"
