"""Turns in whole calls, in virtual time: what happens, and when; what is sent, what is heard, what the log says."""

from __future__ import annotations

import attrs
import pytest
from succession import asked, asked_in
from trio.testing import MockClock
from virtual_call import CallMaker, Script, VirtualCall, silence, tone

from voxpipe.config_file import load_config
from voxpipe.errors import ConfigError
from voxpipe.testing.scenario import SCENARIOS, Pace, Scenario, SendError, Step, Trigger

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


@pytest.mark.every_dialect(but="deepgram")
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


# --- who ends a turn, and who cancels ---------------------------------------------------------------------------------


def commands(call: VirtualCall) -> list[str]:
    """What was sent besides audio and the configuration, in order."""
    unheeded = ("session.update", "input_audio_buffer.append")
    return [
        record.event_type
        for record in call.records
        if record.direction == "sent" and "." in record.event_type and record.event_type not in unheeded
        if not record.event_type.startswith("audiosocket.")
    ]


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
@pytest.mark.parametrize(
    ("interrupts", "expected"),
    [
        (True, ["conversation.item.truncate"]),
        (False, ["response.cancel", "conversation.item.truncate"]),
    ],
)
async def test_the_response_is_cancelled_by_one_side_only(
    autojump_clock: MockClock, make_call: CallMaker, kind: str, interrupts: bool, expected: list[str]
) -> None:
    """With interrupt_response the provider cancels and we truncate; without it we do both, in this order."""
    slow = attrs.evolve(SCENARIOS["parrot"], pace=Pace(speed=1.5))
    session = {"turn_detection": {"type": kind, "interrupt_response": interrupts}}
    call = await make_call(Script(audio=BARGE_IN), slow, session=session)
    assert commands(call) == expected
    assert call.session.complaints == []
    assert call.data("command.refused") == call.data("command.unanswered") == []
    assert call.outcome.summary["turns"] == {"caller": 2, "agent": 2, "cut": 1}
    assert heard_after(call, "conversation.item.truncated") >= 60


STAR, HASH = b"\x03\x00\x01*", b"\x03\x00\x01#"
PUSH_TO_TALK = {"push_to_talk": "*", "turn_detection": {"type": "none"}}
COMMIT, ASK, ADD = "input_audio_buffer.commit", "response.create", "conversation.item.create"
CLEAR, TRUNCATE, CANCEL = "input_audio_buffer.clear", "conversation.item.truncate", "response.cancel"


@pytest.mark.parametrize(
    ("digits", "expected", "turns"),
    [
        (((1.0, STAR),), [COMMIT, ASK], {"caller": 1, "agent": 1, "cut": 0}),
        # Any other digit is an entry on the keypad.
        (((1.0, HASH),), [ADD, ASK], {"caller": 0, "agent": 1, "cut": 0}),
        # Asked before anything was said: refused by the provider, and nobody is made to speak.
        (((0.02, STAR), (1.0, STAR)), [COMMIT, COMMIT, ASK], {"caller": 1, "agent": 1, "cut": 0}),
        # The second press silences the agent, the third ends the second turn.
        (
            ((1.0, STAR), (1.6, STAR), (3.0, STAR)),
            [COMMIT, ASK, CANCEL, TRUNCATE, CLEAR, COMMIT, ASK],
            {"caller": 2, "agent": 2, "cut": 1},
        ),
        # Pressed before the answer was heard: its response is cancelled, and nothing of it is played.
        (((1.0, STAR), (1.2, STAR)), [COMMIT, ASK, CANCEL, CLEAR], {"caller": 1, "agent": 1, "cut": 0}),
    ],
    ids=["a turn", "another digit", "too early", "barge-in", "before the first word"],
)
async def test_a_digit_ends_the_turn_or_silences_the_agent(
    autojump_clock: MockClock,
    make_call: CallMaker,
    digits: tuple[tuple[float, bytes], ...],
    expected: list[str],
    turns: dict[str, int],
) -> None:
    """Push-to-talk without turn detection: when which digit comes, what is sent, and how many turns there were."""
    slow = attrs.evolve(SCENARIOS["parrot"], pace=Pace(speed=1.2))
    call = await make_call(Script(audio=tone(3000) + silence(3500), extra=digits), slow, session=PUSH_TO_TALK)
    assert commands(call) == expected
    assert call.outcome.error is None
    assert call.outcome.summary["turns"] == turns
    assert bool(call.phone.spoken) == ((turns["agent"] > 0 and CLEAR not in expected) or turns["agent"] > 1)
    assert call.data("command.unanswered") == []


async def test_the_press_that_silences_the_agent_does_so_at_once(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """From the digit on there is silence, and the item is truncated to what was heard before it."""
    digits = ((1.0, STAR), (2.0, STAR))
    call = await make_call(Script(audio=tone(3000) + silence(2000), extra=digits), session=PUSH_TO_TALK)
    (truncate,) = call.of(TRUNCATE)
    assert truncate.event_data["audio_end_ms"] == 20 * len(call.phone.spoken)
    assert max(call.phone.spoken) <= 2.04
    assert [data["meaning"] for data in call.data("turn.pressed")] == ["end of turn", "barge-in"]
    assert call.session.complaints == []


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"session.push_to_talk": "x"}, "session.push_to_talk: expected one of 0 1 2"),
        (
            {"session.push_to_talk": "*"},
            "session.push_to_talk: expected turn_detection.type = \"none\" with it, got 'server_vad'",
        ),
    ],
)
def test_push_to_talk_is_checked(overrides: dict[str, str], expected: str) -> None:
    """A key that is no digit, or beside a turn detection of the provider's, is refused by name."""
    with pytest.raises(ConfigError) as caught:
        load_config(environ={}, overrides=overrides)
    assert str(caught.value).startswith(expected)


# --- silence, and the end of a call -----------------------------------------------------------------------------------


@pytest.mark.every_dialect
async def test_the_agent_speaks_up_when_nobody_does(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """After so much silence the agent is told to, and again when as much silence has followed its words."""
    leg = {"idle_timeout_s": 3.0, "idle_instructions": "Ask."}
    call = await make_call(Script(audio=silence(12_000)), leg=leg)
    assert asked(call.session) == ["Ask."] * 2
    asked_s = [message.time_s for message in call.session.messages if len(asked_in(message)) == 1]
    heard = call.of("playout.finished")
    assert asked_s[0] == pytest.approx(3.0, abs=0.1)
    assert asked_s[1] - heard[0].t_ns / 1e9 == pytest.approx(3.0, abs=0.1)
    assert call.session.complaints == []


@pytest.mark.every_dialect
async def test_a_caller_who_never_speaks_is_hung_up_on(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The agent speaks up three times, which is heard; the silence after that ends the call in peace."""
    call = await make_call(Script(stays=True), leg={"idle_timeout_s": 3.0})
    assert len(asked(call.session)) == 3
    assert call.outcome.reason == "idle limit reached"
    assert call.outcome.error is None
    assert call.phone.hung_up
    assert (call.of("session.draining")[0].t_ns - call.of("playout.finished")[2].t_ns) / 1e9 == pytest.approx(
        3.0, abs=0.1
    )
    assert call.outcome.summary["turns"] == {"caller": 0, "agent": 3, "cut": 0}
    assert call.session.complaints == []


@pytest.mark.every_dialect
async def test_a_caller_who_speaks_now_and_then_is_not_hung_up_on(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Each word of the caller begins the count anew."""
    audio = (silence(11_000) + tone(1000)) * 4
    call = await make_call(Script(audio=audio), leg={"idle_timeout_s": 3.0})
    assert len(asked(call.session)) > 3
    assert call.outcome.reason == "leg closed by the peer"


async def test_a_call_ends_at_its_limit(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The agent is warned in time, the answer that runs at the limit is heard whole, and the leg is hung up."""
    leg = {"max_call_s": 5.0, "warn_before_end_s": 2.0}
    call = await make_call(Script(audio=silence(2000) + tone(2000), stays=True), leg=leg)
    (warned,) = [r for r in call.of("session.update", direction="sent") if r.t_ns > 1e9]
    assert warned.t_ns / 1e9 == pytest.approx(3.0, abs=0.1)
    assert "The call ends in 2 seconds" in warned.event_data["session"]["instructions"]
    assert call.data("session.instructed") == [{"command_id": warned.event_data["event_id"], "confirmed": True}]
    assert call.outcome.reason == "call limit reached"
    assert call.outcome.error is None
    assert call.phone.hung_up
    playout = call.outcome.summary["playout"]
    assert playout["played_samples"] == playout["received_samples"] > 8 * 2000
    assert call.duration_s > 5.5
