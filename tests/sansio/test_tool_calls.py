"""Tool calls in the session machine: what is called, what is told to the model, and when the agent speaks about it."""

from __future__ import annotations

import attrs
import pytest
from session_machine import CHUNK, OK, S, feed, notes, ready, session

from voxpipe.config import LegConfig, SessionConfig, TurnDetectionConfig
from voxpipe.sansio.call_timer import CallTimer
from voxpipe.sansio.command_words import ClearAudio, CommitAudio, ConfigureSession, CreateResponse
from voxpipe.sansio.effects import AwaitPlayout, CallTool, CancelTools, Close, CutPlayout, FinishResponse, Send
from voxpipe.sansio.ledger import CutPoint
from voxpipe.sansio.realtime import (
    AudioCleared,
    AudioCommitted,
    Connected,
    DrainRequested,
    ErrorReported,
    Event,
    ItemAdded,
    PlayoutCut,
    PlayoutFinished,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SpeechRequested,
    SpeechStarted,
    SpeechStopped,
    TalkPressed,
)
from voxpipe.sansio.session import Session
from voxpipe.sansio.tool_calls import NOT_CALLED
from voxpipe.sansio.tool_words import After, SendToolResult, ToolAnswered, ToolCallRequested, ToolSchema

CREATED, DONE = ResponseCreated("resp_1"), ResponseDone("resp_1", "completed", None)
FINISHED = FinishResponse("resp_1", 0)
CALL = ToolCallRequested("call_1", "item_f", "resp_1", "look_up", '{"n":1}')
OTHER = attrs.evolve(CALL, call_id="call_2", name="book")
ANSWER, OTHER_ANSWER = ToolAnswered("call_1", "one", After.REPLY), ToolAnswered("call_2", "two", After.REPLY)
SPEAKS, STOPS = SpeechStarted("item_u", 100), SpeechStopped("item_u", 900)
SEEN = ItemAdded("item_o", "call_1")


def sent(machine: Session, *events: Event) -> list[object]:
    """The commands that events lead to, without their ids."""
    return [effect.command for effect in feed(machine, *events) if isinstance(effect, Send)]


def test_the_configuration_has_the_tools() -> None:
    """What the model may call is part of the one configuration that must be acknowledged."""
    tools = (ToolSchema("look_up", "Look it up.", {"type": "object"}),)
    plain = session()
    machine = Session(plain._dialect, SessionConfig(), plain._formats, tools=tools)
    (configure,) = sent(machine, Connected(), SessionCreated("sess_1"))
    assert isinstance(configure, ConfigureSession)
    assert configure.tools == tools


def test_a_call_is_called_answered_and_spoken_about() -> None:
    """The result goes out when it is there, the further response only when the running one is done."""
    machine = ready()
    assert feed(machine, CREATED, CALL) == [CallTool("call_1", "look_up", '{"n":1}')]
    assert sent(machine, ANSWER) == [SendToolResult("call_1", "one", "look_up")]
    assert feed(machine, SEEN) == []
    assert feed(machine, DONE) == [FINISHED, Send("vx_3", CreateResponse())]
    assert machine.deadline_ns == 2 * S
    assert feed(machine, ResponseCreated("resp_2"), ResponseDone("resp_2", "completed", None)) == [
        FinishResponse("resp_2", 0)
    ]
    assert machine.statistics().commands_unanswered == 0


ORDERS: list[tuple[str, list[Event]]] = [
    ("answered before done", [CREATED, CALL, OTHER, ANSWER, OTHER_ANSWER, DONE]),
    ("done before answered", [CREATED, CALL, OTHER, DONE, OTHER_ANSWER, ANSWER]),
    ("done in between", [CREATED, CALL, ANSWER, OTHER, DONE, OTHER_ANSWER]),
]


@pytest.mark.parametrize("events", [events for _, events in ORDERS], ids=[name for name, _ in ORDERS])
def test_one_response_speaks_about_all_calls(events: list[Event]) -> None:
    """Whatever the order, there is one response, after the last of its conditions is fulfilled and not before."""
    machine = ready()
    *before, last = events
    assert CreateResponse() not in sent(machine, *before)
    assert sent(machine, last)[-1] == CreateResponse()
    assert CreateResponse() not in sent(machine, ResponseCreated("resp_2"), ResponseDone("resp_2", None, None))


def test_a_call_told_of_twice_is_called_once() -> None:
    """Providers tell of a call in two messages; one without a name waits for the other."""
    machine = ready()
    nameless = attrs.evolve(CALL, name=None)
    assert feed(machine, CREATED, nameless) == []
    assert len(feed(machine, CALL, CALL, nameless)) == 1
    assert sent(machine, ANSWER, ANSWER) == [SendToolResult("call_1", "one", "look_up")]


AFTER: list[tuple[set[After], bool]] = [
    ({After.REPLY}, True),
    ({After.SILENCE}, False),
    ({After.NOTHING}, False),
    ({After.REPLY, After.SILENCE}, False),
    ({After.REPLY, After.NOTHING}, True),
]


@pytest.mark.parametrize(("asked", "speaks"), AFTER)
def test_what_comes_after_the_calls_is_what_they_ask_for(asked: set[After], speaks: bool) -> None:
    """A call that wants silence has it; one that was cancelled has no say."""
    machine = ready()
    feed(machine, CREATED)
    for number, after in enumerate(sorted(asked, key=str)):
        call_id = f"call_{number}"
        feed(machine, attrs.evolve(CALL, call_id=call_id))
        feed(machine, ToolAnswered(call_id, "x", after))
    assert (CreateResponse() in sent(machine, DONE)) is speaks


def test_a_result_that_the_callers_next_answer_knows_is_not_spoken_about_again() -> None:
    """While the caller speaks nothing is created: the provider answers the turn, and knows the result."""
    machine = ready()
    feed(machine, CREATED, CALL, DONE)
    assert feed(machine, SPEAKS) == [CutPlayout(), CancelTools()]
    feed(machine, PlayoutCut(CutPoint((), (), 0, 1)))
    assert sent(machine, ANSWER, SEEN, STOPS) == [SendToolResult("call_1", "one", "look_up")]
    assert sent(machine, ResponseCreated("resp_2"), ResponseDone("resp_2", "completed", None)) == []


def test_a_result_that_came_too_late_for_the_callers_answer_is_spoken_about_after_it() -> None:
    """The answer to the turn began before the result was acknowledged, so it cannot know it."""
    machine = ready()
    feed(machine, CREATED, CALL, DONE, SPEAKS, STOPS, ANSWER, ResponseCreated("resp_2"), SEEN)
    assert sent(machine, ResponseDone("resp_2", "completed", None)) == [CreateResponse()]


def test_where_nobody_else_answers_the_reply_waits_only_for_the_caller_to_end() -> None:
    """Without answers of the provider's own, the results are spoken about when the caller has finished."""
    machine = ready(SessionConfig(turn_detection=TurnDetectionConfig(create_response=False)))
    feed(machine, CREATED, CALL, DONE, SPEAKS)
    assert sent(machine, ANSWER) == [SendToolResult("call_1", "one", "look_up")]
    assert sent(machine, STOPS) == [CreateResponse()]


def test_a_turn_that_ended_within_a_response_holds_nothing_up() -> None:
    """Nobody may answer a turn that ended while a response ran uninterrupted: the results are spoken about."""
    machine = ready(SessionConfig(turn_detection=TurnDetectionConfig(interrupt_response=False)))
    feed(machine, CREATED, CALL, SPEAKS, STOPS, ANSWER)
    assert sent(machine, DONE) == [CreateResponse()]


def test_a_call_of_a_cut_response_is_answered_without_being_called() -> None:
    """The caller has spoken before the call came: nothing is done, the model is told, and it is recorded."""
    machine = ready()
    feed(machine, CREATED, CHUNK, SPEAKS, PlayoutCut(CutPoint((), (), 0, 1)))
    effects = machine.receive(CALL, 0)
    assert notes(effects) == [
        ("tool.cancelled", {"call_id": "call_1", "name": "look_up", "because": NOT_CALLED}),
    ]
    assert [effect.command for effect in effects if isinstance(effect, Send)] == [
        SendToolResult("call_1", NOT_CALLED, "look_up")
    ]


def test_a_reply_refused_for_a_running_response_comes_after_it() -> None:
    """The provider was faster with an answer of its own: ours is asked for again when that is done, once."""
    machine = ready()
    feed(machine, CREATED, CALL, ANSWER, DONE, ResponseCreated("resp_2"))
    refused = ErrorReported("conversation_already_has_active_response", "busy", None, "vx_3")
    assert sent(machine, refused) == []
    assert sent(machine, ResponseDone("resp_2", "completed", None)) == [CreateResponse()]
    feed(machine, ResponseCreated("resp_3"))
    assert sent(machine, ResponseDone("resp_3", "completed", None)) == []


def test_a_reply_refused_for_another_reason_is_not_repeated() -> None:
    """With nothing running, asking again would be refused again, and so on for ever."""
    machine = ready()
    feed(machine, CREATED, CALL, ANSWER, DONE)
    assert sent(machine, ErrorReported("invalid_value", "no", None, "vx_3"), ANSWER, SEEN) == []
    assert machine.statistics().commands_refused == 1


def test_before_the_acknowledgement_nothing_is_called() -> None:
    """A response that nobody configured may ask for what it likes."""
    machine = session()
    feed(machine, Connected(), SessionCreated("sess_1"))
    assert feed(machine, CREATED, CALL) == []
    assert sent(machine, OK, attrs.evolve(CALL, call_id="call_3")) == [SendToolResult("call_3", NOT_CALLED, "look_up")]


def test_draining_waits_for_calls_and_for_what_is_said_about_them() -> None:
    """The answer that is finished before the end includes its tools."""
    machine = ready()
    feed(machine, CREATED, CALL)
    assert feed(machine, DrainRequested("bye"), DONE) == [FINISHED]
    assert feed(machine, PlayoutFinished()) == []
    assert feed(machine, ANSWER, SEEN) == [
        Send("vx_2", SendToolResult("call_1", "one", "look_up")),
        Send("vx_3", CreateResponse()),
    ]
    done = ResponseDone("resp_2", "completed", None)
    assert feed(machine, ResponseCreated("resp_2"), done) == [FinishResponse("resp_2", 0), AwaitPlayout()]
    assert feed(machine, PlayoutFinished()) == [Close("bye")]


def test_draining_goes_on_when_the_reply_does_not_come() -> None:
    """A reply that is refused, or never answered, holds up the end no longer than that."""
    for last in (ErrorReported("invalid_value", "no", None, "vx_3"), None):
        machine = ready()
        feed(machine, CREATED, CALL, DrainRequested("bye"), DONE, ANSWER, PlayoutFinished())
        effects = machine.receive(last, 0) if last else machine.expire(2 * S)
        assert AwaitPlayout() in effects
        assert feed(machine, PlayoutFinished()) == [Close("bye")]


def test_draining_ends_after_a_call_that_wants_silence() -> None:
    """Hanging up is a tool: its answer starts no further response, and the rest is played."""
    machine = ready()
    feed(machine, CREATED, CALL, DrainRequested("hung up"), DONE)
    answered = ToolAnswered("call_1", "done", After.SILENCE)
    assert feed(machine, answered) == [Send("vx_2", SendToolResult("call_1", "done", "look_up")), AwaitPlayout()]


@pytest.mark.parametrize(("to_the_end", "deadline_ns"), [(True, None), (False, 10 * S)])
def test_a_goodbye_is_played_however_long_it_takes(to_the_end: bool, deadline_ns: int | None) -> None:
    """While the goodbye is made the drain has its limit; being played, it has none, unless the gateway drains."""
    machine = ready()
    feed(machine, CREATED, CHUNK, DrainRequested("hung up", to_the_end))
    assert machine.deadline_ns == 10 * S
    assert feed(machine, DONE) == [FINISHED, AwaitPlayout()]
    assert machine.deadline_ns == deadline_ns


def test_a_result_nobody_acknowledges_is_recorded_and_survived() -> None:
    """A result is a command like the others: its missing answer is a note, the session goes on."""
    machine = ready()
    feed(machine, CREATED, CALL, ANSWER)
    assert feed(machine, ItemAdded("item_o", "call_9"), ItemAdded("item_u")) == []
    ((event_type, data),) = notes(machine.expire(2 * S))
    assert (event_type, data["command"], data["expected"]) == ("command.unanswered", "SendToolResult", "ItemAdded")


BY_HAND = SessionConfig(push_to_talk="*", turn_detection=TurnDetectionConfig(type="none"))


def test_the_key_to_talk_cancels_tools_and_its_turn_is_answered_once() -> None:
    """A turn that is ended by a key holds words about results back, and its answer, which knows them, is enough."""
    machine = ready(BY_HAND)
    feed(machine, CREATED, CALL)
    assert feed(machine, TalkPressed(True)) == [CutPlayout(), Send("vx_2", ClearAudio()), CancelTools()]
    feed(machine, PlayoutCut(CutPoint((), (), 0, 1)), DONE, AudioCleared())
    assert sent(machine, ANSWER, SEEN) == [SendToolResult("call_1", "one", "look_up")]
    assert sent(machine, TalkPressed(False)) == [CommitAudio()]
    assert sent(machine, AudioCommitted("item_u")) == [CreateResponse()]
    assert sent(machine, ResponseCreated("resp_2"), ResponseDone("resp_2", "completed", None)) == []


def test_a_turn_the_provider_refuses_holds_no_words_back() -> None:
    """When the key ended a turn in which nothing was said, the results are spoken about."""
    machine = ready(BY_HAND)
    feed(machine, CREATED, CALL, TalkPressed(True), PlayoutCut(CutPoint((), (), 0, 1)), DONE, AudioCleared())
    feed(machine, ANSWER, SEEN)
    (commit,) = [effect for effect in feed(machine, TalkPressed(False)) if isinstance(effect, Send)]
    refused = ErrorReported("input_audio_buffer_commit_empty", "nothing", None, commit.command_id)
    assert sent(machine, refused) == [CreateResponse()]


def test_words_about_results_and_requests_come_one_after_the_other() -> None:
    """What a program asks the agent to say while a tool runs is said, and so are the words about the result."""
    machine = ready()
    feed(machine, CREATED, CALL)
    assert sent(machine, SpeechRequested("Say: one moment.")) == []
    assert sent(machine, DONE) == [CreateResponse("Say: one moment.")]
    feed(machine, ResponseCreated("resp_2"))
    assert sent(machine, ANSWER, SEEN) == [SendToolResult("call_1", "one", "look_up")]
    assert sent(machine, ResponseDone("resp_2", "completed", None)) == [CreateResponse()]


def test_silence_does_not_count_while_a_tool_runs() -> None:
    """A caller who waits for a tool is not asked whether anybody is there; after it, silence counts from its end."""
    timer = CallTimer(LegConfig(idle_timeout_s=5), 0)
    plain = session()
    machine = Session(plain._dialect, SessionConfig(), plain._formats, timer=timer)
    feed(machine, Connected(), SessionCreated("sess_1"), OK, CREATED, CALL, DONE, PlayoutFinished())
    assert timer.deadline_ns is None
    silent = attrs.evolve(ANSWER, after=After.SILENCE)
    assert AwaitPlayout() in feed(machine, silent, SEEN)
    feed(machine, PlayoutFinished(), now_ns=7 * S)
    assert timer.deadline_ns == 12 * S
