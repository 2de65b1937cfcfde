"""Sessions that change at a bad moment: in an answer, in a tool call, while who asks waits, while the call ends."""

from __future__ import annotations

import base64
import struct

import attrs
import pytest
import trio
from succession import GONE, ONE_TURN, asked
from trio.testing import MockClock
from virtual_call import CallMaker, Script, VirtualCall, silence, tone

from voxpipe.actors.leg_control import LegControl
from voxpipe.testing.scenario import Acknowledge, CallTool, Pace, Say, Scenario, SendEvent, Step, Trigger, Vanish
from voxpipe.tools import Tool


def vanishes(after_s: float) -> Scenario:
    """A provider whose connection drops then."""
    return Scenario("vanishes", "drops the connection then", (Step(Trigger.READY, after_s, Vanish()),))


@pytest.mark.parametrize(("lost_s", "answers"), [(1.6, 2), (2.1, 3)])
async def test_what_a_lost_session_left_unfinished_is_kept_and_not_waited_for(
    autojump_clock: MockClock, make_call: CallMaker, lost_s: float, answers: int
) -> None:
    """A transcript and an answer of which no more comes: later sessions know what there is of them."""
    slow = Scenario("slow", "goes in its first answer", (Step(Trigger.READY, lost_s, Vanish()),), pace=Pace(speed=1.0))
    limits = {"session_limit_s": 16.0, "renew_before_s": 10.0}
    call = await make_call(Script(audio=ONE_TURN * 2), (slow, "parrot"), provider=limits)
    renewed = call.of("session.took_over")[1]
    assert renewed.t_ns == pytest.approx(8.6e9, abs=1e8)
    third = [m.body["item"] for m in call.provider.sessions[2].messages if m.type == "conversation.item.create"]

    assert len([item for item in third if item["role"] == "assistant"]) == answers


async def test_a_tool_that_was_not_called_is_nothing_a_successor_waits_for(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A call of an answer that is over is answered with that: no later session takes it for an open one."""
    late = {"call_id": "call_late", "item_id": "item_late", "response_id": "resp_vp0001x00004", "output_index": 1}
    words = {"type": "response.function_call_arguments.done", "name": "look_up", "arguments": "{}", **late}
    steps = (Step(Trigger.ANSWERED, 0.5, SendEvent(words)), Step(Trigger.READY, 6.0, Vanish()))
    call = await make_call(Script(audio=ONE_TURN + silence(5000)), (Scenario("late", "calls late", steps), "parrot"))
    assert [data["call_id"] for data in call.data("tool.cancelled")] == ["call_late"]
    assert [data["open_calls"] for data in call.data("session.took_over")] == [[]]


@pytest.mark.every_dialect
async def test_who_asks_while_a_session_drains_at_its_limit_is_heard_by_the_next_one(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Even if that one comes after the old one has ended."""
    done: list[float] = []

    async def talk(control: LegControl) -> None:
        await trio.sleep(6.2)
        await control.say("Ahoy.")
        done.append(trio.current_time())

    slow = Scenario("slow", "speaks as fast as one hears", pace=Pace(speed=1.0))
    call = await make_call(
        Script(audio=tone(4000) + silence(12_000)),
        (slow, "parrot"),
        refuse_connections=[2, 3, 4, 5, 6],
        provider={"renew_before_s": 1.0, "session_limit_s": 6.0},
        on_start=talk,
    )
    assert len(done) == 1
    assert "Ahoy." in str(asked(call.provider.sessions[1])[-1])


@pytest.mark.every_dialect
async def test_a_result_that_came_while_no_session_served_is_spoken_about(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The caller waits for it: the next session is told to go on."""

    async def look_up(what: str) -> str:
        """Look something up."""
        await trio.sleep(1.5)
        return f"{what}: high"

    steps = (Step(Trigger.READY, 1.0, CallTool("look_up", '{"what":"tide"}')), Step(Trigger.READY, 2.0, Vanish()))
    call = await make_call(
        Script(audio=silence(9000)),
        (Scenario("gone", "goes during a tool call", steps, parrot=False), "parrot"),
        own_tools=[Tool(look_up)],
        refuse_connections=[2, 3, 4],
    )
    assert len(asked(call.provider.sessions[1])) == 1


async def test_what_was_entered_long_ago_is_concealed_when_it_is_given_again(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A log that redacts digits holds none of those that another session is told of."""
    entries = [f"7{number:03}" for number in range(80)]
    keys = "#".join([*entries, ""])
    extra = tuple((0.5 + 0.02 * n, b"\x03\x00\x01" + key.encode()) for n, key in enumerate(keys))
    call = await make_call(Script(audio=silence(14_000), extra=extra), (vanishes(12.0), "parrot"))
    items = [r for r in call.of("conversation.item.create", direction="sent") if r.session == 2]
    assert len(items) >= len(entries)
    told = "".join(str(record.event_data) for record in items)
    assert [entry for entry in entries if f"pressed {entry}" in told] == []


async def test_a_successor_is_not_told_what_the_caller_may_never_hear(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """An answer that has come is given to the one that stands by when it was heard, as far as it was heard."""
    script = Script(audio=ONE_TURN + tone(3000) + silence(2800) + tone(500) + silence(6000))
    call = await make_call(script, provider={"renew_before_s": 3000.0 - 8.3, "session_limit_s": 3000.0})
    (cut,) = [r for r in call.of("playout.cut") if r.t_ns > 8.3e9]
    assert call.of("session.ready")[1].t_ns < call.of("response.done")[1].t_ns < cut.t_ns
    said = [m.body["item"] for m in call.provider.sessions[1].messages if m.type == "conversation.item.create"]
    words = [item["content"][0]["text"] for item in said if item["role"] == "assistant"]
    assert words[:2] == ["(1.5 s of speech)", "(3.8 s of"]


async def test_what_is_left_of_a_session_before_the_last_is_foreign_too(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Lost twice while one answer is heard: the third provider is not told where an item of the first was cut."""
    fast = Scenario("fast", "goes after it has spoken", (Step(Trigger.READY, 6.0, Vanish()),), pace=Pace(speed=20.0))
    script = Script(audio=tone(5000) + silence(2500) + tone(1500) + silence(3000))
    quiet = {"resume_instructions": ""}
    call = await make_call(script, (fast, vanishes(0.1), "parrot"), session=quiet)
    (cut,) = [r for r in call.of("playout.cut") if r.t_ns > 6.1e9]
    assert cut.event_data["begun"][0]["part"]["item_id"].startswith("item_vp0001")
    assert not call.of("command.refused", "conversation.item.truncate")


async def test_an_answer_is_not_taken_up_before_the_tool_it_called_has_a_result(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Lost while an answer ran and a tool, too: the next session speaks once, about the result."""

    async def look_up(what: str) -> str:
        """Look something up."""
        await trio.sleep(1.5)
        return f"{what}: high"

    steps = (Step(Trigger.MID_ANSWER, 0.0, CallTool("look_up", '{"what":"tide"}', hold_s=5.0)), vanishes(3.0).steps[0])
    call = await make_call(
        Script(audio=ONE_TURN + silence(3000)), (Scenario("gone", "goes", steps), "parrot"), own_tools=[Tool(look_up)]
    )
    assert call.data("session.lost")[0]["running_responses"] == 1
    assert len(call.data("session.took_over")[0]["open_calls"]) == 1
    assert asked(call.provider.sessions[1]) == [None]
    assert not call.of("command.refused")


@pytest.mark.every_dialect
async def test_a_loss_is_not_made_to_wait_for_a_renewal_that_was_in_no_hurry(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Tries to open a session beside a good one are further and further apart; in the place of a lost one, anew."""
    limits = {"session_limit_s": 60.0, "renew_before_s": 59.0}
    call = await make_call(
        Script(audio=silence(9000)), (vanishes(4.0), "parrot"), refuse_connections=range(2, 7), provider=limits
    )
    assert call.of("session.took_over")[0].t_ns == pytest.approx(4.1e9, abs=2e7)


async def test_what_is_entered_while_a_tool_runs_is_answered_with_its_result(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A provider may refuse to go on with a tool call open: one answer follows, when it is closed."""

    async def look_up(what: str) -> str:
        """Look something up."""
        await trio.sleep(3)
        return f"{what}: high"

    calls = (Step(Trigger.READY, 0.5, CallTool("look_up", '{"what":"tide"}')),)
    extra = tuple((1.5 + 0.02 * n, b"\x03\x00\x01" + key.encode()) for n, key in enumerate("12#"))
    script = Script(audio=silence(6000), extra=extra)
    call = await make_call(script, Scenario("calls", "calls a tool", calls), own_tools=[Tool(look_up)])
    assert not call.of("command.refused")
    assert len(asked(call.provider.sessions[0])) == 1
    assert call.of("response.create")[0].t_ns == pytest.approx(3.8e9, abs=5e7)


@pytest.mark.every_dialect(but="openai-live")
@pytest.mark.parametrize("transcribed", [True, False])
async def test_a_turn_that_has_just_ended_is_neither_lost_nor_heard_twice(
    autojump_clock: MockClock, make_call: CallMaker, transcribed: bool
) -> None:
    """Where the provider does not answer by itself, a pause begins when the turn is an item."""
    detection = {"create_response": False, "silence_duration_ms": 200}
    table = {"turn_detection": detection, **({} if transcribed else {"transcription": {"model": ""}})}
    limits = {"session_limit_s": 60.0, "renew_before_s": 59.5}
    call = await make_call(Script(audio=tone(1000) + silence(1500)), "parrot", provider=limits, session=table)
    (committed,) = call.of("input_audio_buffer.committed")
    assert committed.t_ns <= call.of("session.took_over")[0].t_ns < 2e9
    assert [len(session.turns) for session in call.provider.sessions][:2] == [1, 0]


# --- the caller's audio and the counts --------------------------------------------------------------------------------


def numbered(frames: int) -> bytes:
    """Frames that nobody takes for speech, each with its number in its samples, a bit in each."""
    return b"".join(
        struct.pack("<160h", *([32 * (number >> bit & 1) for bit in range(12)] + [0] * 148)) for number in range(frames)
    )


def numbers(call: VirtualCall, session: int | None) -> list[int]:
    """The numbers of the frames that went out to a session in mu-law, in order."""
    found = []
    for record in call.of("input_audio_buffer.append", direction="sent"):
        if record.session == session:
            audio = base64.b64decode(record.event_data["audio"])
            found.append(sum((audio[bit] != audio[-1]) << bit for bit in range(12)))
    return found


MU_LAW = {"formats": ["ulaw8"]}


async def test_a_successor_that_is_late_is_given_what_the_caller_said_meanwhile(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A session that drains at its limit takes no more: what comes waits, up to limits.uplink_ms."""
    greets = Scenario("greets", "speaks at the limit", (Step(Trigger.READY, 1.9, Say()),), parrot=False)
    late = Scenario("late", "is acknowledged late", on_update=Acknowledge(delay_s=1.6), parrot=False)
    limits = {"session_limit_s": 2.0, "renew_before_s": 1.0, **MU_LAW}
    call = await make_call(Script(audio=numbered(200)), (greets, late), provider=limits, log={"audio": "inline"})
    first, second = numbers(call, None), numbers(call, 2)
    assert first == list(range(first[-1] + 1))
    assert second == list(range(first[-1] - 29, second[-1] + 1))  # with the 600 ms of before
    assert call.outcome.summary["uplink"]["unsent_chunks"] <= 1


async def test_no_frame_is_skipped_when_sessions_follow_each_other_at_once(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Lost in every second: each frame is sent once."""
    gone = Scenario("gone", "goes", (Step(Trigger.READY, 1.005, Vanish()),), parrot=False)
    call = await make_call(
        Script(audio=numbered(200)), (gone, gone, "silent"), provider=MU_LAW, log={"audio": "inline"}
    )
    assert [n for session in (None, 2, 3) for n in numbers(call, session)] == list(range(200))


@pytest.mark.every_dialect(but="deepgram")
async def test_the_summary_counts_what_a_successor_that_failed_was_refused(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """An error is on the wire and in the sum, whichever session it was said to."""
    call = await make_call(
        Script(audio=silence(5000)),
        ("parrot", "refused", "parrot"),
        provider={"session_limit_s": 9.0, "renew_before_s": 7.0},
    )
    assert len(call.of("error", direction="received")) == call.outcome.summary["session"]["errors"] == 1


# --- lost while the call ends -----------------------------------------------------------------------------------------

GREETS = {"greeting": "Say goodbye."}


def heard_to_its_end(call: VirtualCall) -> None:
    """All that came was played, and the call ended in peace."""
    playout = call.outcome.summary["playout"]
    assert playout["played_samples"] == playout["received_samples"] > 0
    assert playout["dropped_samples"] == 0
    assert call.outcome.error is None


@pytest.mark.every_dialect(but="openai-live")
@pytest.mark.parametrize("lost_s", [1.5, 1.8])
async def test_a_goodbye_that_has_come_is_heard_though_the_session_is_lost(
    autojump_clock: MockClock, make_call: CallMaker, lost_s: float
) -> None:
    """Lost before or after the agent hangs up: what waits is played, and that is a peaceful end, not a failure."""

    async def act(control: LegControl) -> None:
        await trio.sleep(1.7)
        await control.hang_up()

    call = await make_call(
        Script(stays=True),
        vanishes(lost_s),
        refuse_connections=range(2, 99),
        on_start=act,
        session=GREETS,
    )
    heard_to_its_end(call)
    assert call.outcome.reason == "hang-up requested"
    assert call.phone.spoken[-1] > 1.8


@pytest.mark.every_dialect
@pytest.mark.parametrize("lost_s", [2.1, 2.4])
async def test_a_call_that_is_over_is_not_recovered(
    autojump_clock: MockClock, make_call: CallMaker, lost_s: float
) -> None:
    """At leg.max_call_s the last answer is played; lost in it, no other session is opened to go on."""
    slow = attrs.evolve(vanishes(lost_s), pace=Pace(speed=1.0))
    call = await make_call(Script(audio=tone(1000), stays=True), (slow, "parrot"), leg={"max_call_s": 2.0})
    assert call.outcome.reason == "call limit reached"
    assert len(call.provider.sessions) == 1
    heard_to_its_end(call)


@pytest.mark.every_dialect
async def test_the_limit_of_the_call_comes_though_no_session_serves(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """While a lost session is replaced, too: then the call ends as any other does at leg.max_call_s."""
    call = await make_call(Script(stays=True), GONE, refuse_connections=range(2, 99), leg={"max_call_s": 7.0})
    assert call.outcome.reason == "call limit reached"
    assert call.outcome.error is None
    assert call.duration_s == pytest.approx(7.0, abs=0.1)
    assert not call.of("session.not_recovered")


@pytest.mark.every_dialect(but="openai-live")
async def test_a_caller_who_hangs_up_is_not_kept_for_last_words(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """The leg that closes while last words are played ends at once."""

    async def act(control: LegControl) -> None:
        await trio.sleep(1.7)
        await control.hang_up()

    call = await make_call(
        Script(audio=silence(1900)), vanishes(1.5), refuse_connections=range(2, 99), on_start=act, session=GREETS
    )
    assert call.duration_s == pytest.approx(1.9, abs=0.05)
    assert call.outcome.error is None
