"""The caller's keypad in whole calls, in virtual time: what is pressed when; what is sent, heard and written down."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from keypad import ADD, ASK, OPEN, asks, caller, commands, entered, outputs, pressed, texts, told
from succession import asked, given
from trio.testing import MockClock
from virtual_call import CallMaker, Script, silence, tone

from voxpipe.config_file import load_config
from voxpipe.errors import ConfigError
from voxpipe.sansio.command_words import AddMessage, AddToolCall, CancelResponse
from voxpipe.testing.provider import SPELLINGS
from voxpipe.testing.scenario import SCENARIOS, Pace, Scenario, SendError, SendEvent, Step, Trigger, Vanish

CANCEL, TRUNCATE = "response.cancel", "conversation.item.truncate"


TO_TEXT: list[tuple[str, tuple[tuple[float, str], ...], dict[str, Any], list[tuple[float, str, str]]]] = [
    ("a terminator", ((1.0, "12#"),), {}, [(1.2, "12", "terminator")]),
    ("a count", ((1.0, "1234"),), {"max_digits": 4}, [(1.3, "1234", "count")]),
    ("a count and a terminator", ((1.0, "12#"),), {"max_digits": 2}, [(1.1, "12", "count")]),
    ("a pause", ((1.0, "12"),), {"timeout_s": 1.5}, [(2.6, "12", "pause")]),
    ("two entries", ((1.0, "1"), (2.5, "2#")), {"timeout_s": 1.0}, [(2.0, "1", "pause"), (2.6, "2", "terminator")]),
    ("the terminator alone", ((1.0, "#"),), {}, [(1.0, "", "terminator")]),
    ("no terminator", ((1.0, "1#"),), {"terminator": "", "timeout_s": 1.0}, [(2.1, "1#", "pause")]),
    ("before the session is ready", ((0.0, "7#"),), {}, [(0.1, "7", "terminator")]),
]


@pytest.mark.every_dialect
@pytest.mark.parametrize(
    ("presses", "digits", "entries"), [row[1:] for row in TO_TEXT], ids=[row[0] for row in TO_TEXT]
)
async def test_an_entry_is_told_to_the_agent_who_answers(
    autojump_clock: MockClock,
    make_call: CallMaker,
    presses: tuple[tuple[float, str], ...],
    digits: dict[str, Any],
    entries: list[tuple[float, str, str]],
) -> None:
    """What is pressed when, under which rules; when it is an entry; one item each, and words of the agent's."""
    call = await make_call(caller(9, *presses), "slow-ack", digits={**OPEN, **digits})
    assert entered(call) == entries
    assert texts(call) == [told(entry or "#") for _, entry, _ in entries]
    assert [name for name in commands(call) if name in (ADD, ASK)][:2] == [ADD, ASK]
    assert call.phone.spoken != []
    assert call.outcome.error is None
    assert call.session.complaints == []
    assert call.data("command.unanswered") == call.data("digits.unsent") == []
    assert call.outcome.summary["digits"] == {"entries": len(entries), "unsent_digits": 0}
    if call.dialect.supports(AddToolCall):  # items are ours to name
        items = [message.body["item"]["id"] for message in call.session.messages if message.type == ADD]
        assert items == [f"vx_digits_{number + 1}" for number in range(len(entries))]


@pytest.mark.every_dialect
async def test_entries_from_before_the_session_wait_for_it(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Acknowledged after 1.5 s, the session gets all of them at once and in order, and the agent answers them once."""
    call = await make_call(caller(5, (0.1, "1#2#34#")), "slow-ack", digits=OPEN)
    assert texts(call) == [told("1"), told("2"), told("34")]
    told_s = [message.time_s for message in call.session.messages if ADD in (each["type"] for each in message.meaning)]
    assert told_s[0] == pytest.approx(1.5, abs=0.1)
    assert call.session.complaints == []
    assert call.outcome.summary["channels_peak"]["entries"] >= 2


@pytest.mark.every_dialect
async def test_too_many_entries_from_before_the_session_are_told(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """One is on its way, sixteen wait; each digit beyond is recorded as not sent, and the call goes on."""
    presses = tuple((0.02 * number, b"\x03\x00\x01" + digit) for number, digit in enumerate([b"5"] * 19))
    script = Script(audio=silence(5000), extra=presses)
    call = await make_call(script, "slow-ack", digits={**OPEN, "max_digits": 1})
    assert len(texts(call)) == 17
    assert call.data("digits.unsent") == [{"count": 1, "because": "16 entries wait already"}] * 2
    assert call.outcome.summary["digits"] == {"entries": 19, "unsent_digits": 2}
    assert call.outcome.error is None


UNSENT: list[tuple[str, str, Script, float | None, list[dict[str, Any]]]] = [
    ("an unfinished entry", "parrot", caller(2, (1.0, "123")), None, [{"count": 3, "because": "the leg ended"}]),
    (
        "no session",
        "no-ack",
        caller(1.5, (0.3, "123#45##6")),
        None,
        [{"count": count, "because": "the leg ended"} for count in (3, 2, 1, 1)],
    ),
    (
        "the call drains",
        "greeting",
        caller(4, (1.5, "12#")),
        1.0,
        [{"count": 2, "because": "expected the session to go on, got it draining"}],
    ),
]


@pytest.mark.every_dialect
@pytest.mark.parametrize(
    ("scenario", "script", "drain_after_s", "unsent"), [row[1:] for row in UNSENT], ids=[row[0] for row in UNSENT]
)
async def test_what_cannot_be_told_is_recorded(
    autojump_clock: MockClock,
    make_call: CallMaker,
    scenario: str,
    script: Script,
    drain_after_s: float | None,
    unsent: list[dict[str, Any]],
) -> None:
    """The caller hangs up in an entry, no session comes about, the call is about to end: the digits are counted."""
    call = await make_call(script, scenario, drain_after_s=drain_after_s)
    told = call.data("digits.unsent")
    for entry in told:  # leg and session end at one instant, in either order
        entry["because"] = entry["because"].replace("expected the session to go on, got it closed", "the leg ended")
    assert told == unsent
    assert texts(call) == []


# --- the agent falls silent -------------------------------------------------------------------------------------------

SLOW = attrs.evolve(SCENARIOS["greeting"], pace=Pace(speed=1.2))


@pytest.mark.every_dialect
@pytest.mark.parametrize(
    ("interrupt", "expected"), [(True, [CANCEL, TRUNCATE, ADD, ASK]), (False, [ADD, ASK])], ids=["cut", "not cut"]
)
async def test_the_first_digit_silences_the_agent(
    autojump_clock: MockClock, make_call: CallMaker, interrupt: bool, expected: list[str]
) -> None:
    """From the digit on there is silence, the provider is told what was heard, and the entry is answered after it."""
    script = caller(8, (1.5, "1"), (2.5, "2#"))
    call = await make_call(script, SLOW, digits={**OPEN, "interrupt": interrupt})
    has_responses = call.dialect.supports(CancelResponse)
    assert commands(call) == [name for name in expected if has_responses or name in (ADD, ASK)]
    assert entered(call) == [(2.6, "12", "terminator")]
    assert any(1.6 < at_s < 2.4 for at_s in call.phone.spoken) is not interrupt
    assert max(call.phone.spoken) > 3.0
    assert call.session.complaints == []
    assert call.outcome.summary["turns"] == {"caller": 0, "agent": 2, "cut": int(interrupt)}
    for truncate in call.data(TRUNCATE):
        assert truncate["audio_end_ms"] == pytest.approx(1000 * (1.5 - call.phone.spoken[0]), abs=40)


@pytest.mark.every_dialect
async def test_a_terminator_too_many_leaves_the_agent_alone(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Two digits were the entry; the key that some callers press all the same does not cut the answer to it."""
    call = await make_call(caller(6, (1.0, "12"), (2.5, "#")), digits={**OPEN, "max_digits": 2})
    assert call.phone.spoken[0] < 2.5 < call.phone.spoken[-1]
    assert commands(call) == [ADD, ASK]
    assert texts(call) == [told("12")]


@pytest.mark.every_dialect
async def test_speech_beside_an_entry_is_answered_with_it(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Pressed in the middle of a turn, the entry is known to the answer of that turn, and no other is asked for.

    A provider that answers an entry by itself is told after that turn, lest it answer the turn twice.
    """
    script = Script(audio=tone(2000) + silence(4000), extra=pressed((1.0, "12#")))
    call = await make_call(script, digits=OPEN)
    apart = call.dialect.answers(AddMessage)
    assert texts(call) == [told("12")]
    assert apart or commands(call) == [ADD]
    answers = 2 if apart and not call.dialect.full_duplex else 1  # there, two without a pause between them are one
    assert call.outcome.summary["turns"] == {"caller": 1, "agent": answers, "cut": 0}
    assert call.session.complaints == []


@pytest.mark.every_dialect
async def test_switched_off_the_keypad_does_nothing(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """No item, no cut, no entry; the digit is in the log all the same."""
    call = await make_call(caller(4, (1.0, "12#")), SLOW, digits={**OPEN, "to": "off"})
    assert commands(call) == []
    assert entered(call) == []
    assert call.outcome.summary["turns"]["cut"] == 0
    assert [data["digit"] for data in call.data("audiosocket.received") if "digit" in data] == ["1", "2", "#"]


@pytest.mark.every_dialect
async def test_the_key_to_talk_is_part_of_no_entry(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """It means what it means; what is pressed around it is one entry. It is no secret."""
    script = Script(audio=tone(3000) + silence(2000), extra=pressed((1.0, "1*2#")))
    session = {"push_to_talk": "*", "turn_detection": {"type": "none"}}
    call = await make_call(script, session=session)
    assert texts(call) == [told("12")]
    assert [data["meaning"] for data in call.data("turn.pressed")] == ["end of turn"]
    shown = [data["digit"] for data in call.data("audiosocket.received") if "digit" in data]
    assert shown == ["[redacted]", "*", "[redacted]", "[redacted]"]


# --- the log ----------------------------------------------------------------------------------------------------------

SECRETS = [
    ("a menu's key", "8#", "8", told("8")),
    ("a card", "4012888888881881#", "4012888888881881", "4012888888881881"),
    ("its digits one by one", "73915482#", "73915482", "7, 3, 9, 1, 5, 4, 8, 2"),
]


@pytest.mark.every_dialect
@pytest.mark.parametrize("log", [False, True], ids=["by default", "with digits.log"])
@pytest.mark.parametrize("to", ["text", "tool"])
@pytest.mark.parametrize(("keys", "digits", "repeated"), [row[1:] for row in SECRETS], ids=[row[0] for row in SECRETS])
async def test_digits_are_no_matter_for_a_log(
    autojump_clock: MockClock,
    make_call: CallMaker,
    call_dialect: str,
    to: str,
    log: bool,
    keys: str,
    digits: str,
    repeated: str,
) -> None:
    """Item, result, their echo, an error that quotes them: none of the lines has them, unless that is configured."""
    said = f"It was: {repeated}"
    warning = SendEvent({"type": "Warning", "code": "strange", "description": said})
    ends = SPELLINGS[call_dialect].closes is not None  # with its first error
    quote = Step(Trigger.ANSWERED, 0, warning if ends else SendError("strange", said), once=False)
    scenario = Scenario("quotes", "repeats an entry", (*(asks().steps if to == "tool" else ()), quote))
    # In the tool's case its own request is an answer too: what is quoted before it is known to be a secret is no echo.
    call = await make_call(caller(8, (2.0, keys)), scenario, tools={"builtin": ["collect_digits"]}, digits={"log": log})
    words = told(digits) if to == "text" else f"digits: {digits}; ended by: terminator"
    assert outputs(call) + texts(call) == [words]
    (entry,) = call.of("digits.entered")
    shown = digits if log else "[redacted]"
    assert entry.event_data == {"digits": shown, "count": len(digits), "because": "terminator", "to": to}
    later = [text for record in call.records if record.seq >= entry.seq for text in leaves(record.event_data)]
    # A single digit is in much that is no entry, such as an id.
    secrets = (words, repeated, *([digits] if len(digits) > 1 else []))
    assert any(secret in text for text in later for secret in secrets) is log
    pressed_digits = [data["digit"] for data in call.data("audiosocket.received") if "digit" in data]
    assert pressed_digits == (list(keys) if log else ["[redacted]"] * len(keys))


def leaves(value: Any) -> list[str]:
    """Every text within JSON data."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in leaves(item)]
    if isinstance(value, list):
        return [text for item in value for text in leaves(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("text", "A key was pressed.", "expected a text with {digits} in it, got 'A key was pressed.'"),
        ("terminator", "##", "expected one of 0 1 2 3 4 5 6 7 8 9 * # A B C D, got '##'"),
        ("max_digits", 65, "expected 1 to 64, got 65"),
        ("timeout_s", 0, "expected 0.1 to 120, got 0"),
        ("to", "nowhere", "expected text or off, got 'nowhere'"),
    ],
)
def test_the_table_is_checked(key: str, value: Any, message: str) -> None:
    """A value that does not fit is refused by its key."""
    with pytest.raises(ConfigError) as caught:
        load_config(environ={}, overrides={f"digits.{key}": value})
    assert str(caught.value) == f"digits.{key}: {message}"


# --- from one session to another --------------------------------------------------------------------------------------


@pytest.mark.every_dialect
async def test_entries_outlive_the_session(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The next session is given the entry from before the loss, and the one that was completed between the two."""
    gone = Scenario("gone", "drops the connection 5 s after it was configured", (Step(Trigger.READY, 5.0, Vanish()),))
    call = await make_call(caller(11, (1.0, "12#"), (5.2, "34#")), (gone, "slow-ack"), digits=OPEN)
    first, second = call.provider.sessions
    new = asked(second)
    assert [text for who, text in given(second) if who == "user"] + list(filter(None, new)) == [told("12"), told("34")]
    if call.dialect.supports(AddToolCall):
        items = [[m.body["item"]["id"] for m in session.messages if m.type == ADD] for session in (first, second)]
        assert items[0] == ["vx_digits_1"]
        assert items[1][-1] == "vx_digits_2"
    assert call.data("digits.unsent") == []
    assert call.phone.spoken[-1] > 7.0
    assert [complaint for complaint in call.provider.complaints if not complaint.harmless] == []
