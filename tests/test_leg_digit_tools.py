"""Tools that ask the caller for digits, in virtual time: who gets what was pressed, and when the waiting ends."""

from __future__ import annotations

import pytest
from keypad import OPEN, asks, caller, entered, outputs, pressed, texts, told
from trio.testing import MockClock
from virtual_call import CALL, CallMaker, Script, silence, tone

from voxpipe.errors import VoxpipeError
from voxpipe.tools import Tool, ToolContext

TO_TOOL: list[tuple[str, str, tuple[tuple[float, str], ...], list[str], list[str]]] = [
    ("a terminator", "{}", ((2.0, "1234#"),), ["digits: 1234; ended by: terminator"], []),
    ("a count", '{"max_digits":4}', ((2.0, "1234"),), ["digits: 1234; ended by: count"], []),
    ("its own pause", '{"timeout_s":1}', ((2.0, "12"), (3.5, "3#")), ["digits: 12; ended by: pause"], ["3"]),
    ("its own terminator", '{"terminator":"*"}', ((2.0, "1#2*"),), ["digits: 1#2; ended by: terminator"], []),
    ("nothing", "{}", (), ["digits: none; ended by: pause"], []),
    ("the terminator alone", "{}", ((2.0, "#"),), ["digits: none; ended by: terminator"], []),
    ("begun before it asked", '{"max_digits":3}', ((0.2, "12"), (1.5, "3")), ["digits: 123; ended by: count"], []),
    ("more than it asked for", '{"max_digits":2}', ((2.0, "12345#"),), ["digits: 12; ended by: count"], ["345"]),
    ("afterwards", '{"max_digits":2}', ((2.0, "12"), (5.0, "3#")), ["digits: 12; ended by: count"], ["3"]),
]


@pytest.mark.every_dialect
@pytest.mark.parametrize(
    ("arguments", "presses", "results", "items"), [row[1:] for row in TO_TOOL], ids=[row[0] for row in TO_TOOL]
)
async def test_the_agent_asks_for_digits(
    autojump_clock: MockClock,
    make_call: CallMaker,
    arguments: str,
    presses: tuple[tuple[float, str], ...],
    results: list[str],
    items: list[str],
) -> None:
    """What it asks for, what is pressed when, what it is told, and what becomes of the other digits."""
    tools = {"builtin": ["collect_digits"]}
    call = await make_call(caller(16, *presses), asks(arguments), tools=tools, digits=OPEN)
    assert outputs(call) == results
    assert texts(call) == [told(item) for item in items]
    assert call.data("digits.unsent") == call.data("tool.failed") == []
    assert call.session.complaints == []
    # An agent that listens while it speaks cannot be told to stop: what follows at once on a cut is lost with it.
    assert call.phone.spoken != []


@pytest.mark.every_dialect
@pytest.mark.parametrize("first_timeout_s", [0.2, 5.0])
async def test_the_first_digit_is_awaited_from_the_end_of_the_agents_words(
    autojump_clock: MockClock, make_call: CallMaker, first_timeout_s: float
) -> None:
    """The request is two seconds long: nobody is told that nothing was pressed while it is being heard."""
    tools, digits = {"builtin": ["collect_digits"]}, {"first_timeout_s": first_timeout_s}
    call = await make_call(caller(9), asks(says=True), tools=tools, digits=digits)
    assert outputs(call) == ["digits: none; ended by: pause"]
    finished, answered = call.of("playout.finished")[0], call.of("tool.answered")[0]
    assert (answered.t_ns - finished.t_ns) / 1e9 == pytest.approx(first_timeout_s, abs=0.55)
    assert answered.t_ns > finished.t_ns


@pytest.mark.every_dialect
async def test_a_voice_does_not_lose_the_digits_of_a_tool(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The caller speaks in the middle of an entry: the turn is answered, and the entry is whole."""
    script = Script(
        audio=silence(2000) + tone(1000) + silence(7000), extra=pressed((1.5, "12"), (2.5, "3"), (4.0, "4#"))
    )
    call = await make_call(script, asks(), tools={"builtin": ["collect_digits"]}, digits=OPEN)
    assert outputs(call) == ["digits: 1234; ended by: terminator"]
    assert texts(call) == []
    assert call.outcome.summary["turns"]["caller"] == 1


@pytest.mark.every_dialect
async def test_switched_off_the_keypad_still_serves_tools(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Digits are gathered while a tool asks, and only then; what it leaves is recorded."""
    tools = {"builtin": ["collect_digits"]}
    script = caller(6, (0.1, "9"), (2.0, "1234#"), (4.0, "7#"))
    call = await make_call(script, asks('{"max_digits":3}'), tools=tools, digits={**OPEN, "to": "off"})
    assert outputs(call) == ["digits: 123; ended by: count"]
    assert texts(call) == []
    assert entered(call) == [(2.2, "123", "count")]


async def account(context: ToolContext) -> str:
    """Ask for an account."""
    entry = await context.digits(max_digits=3, first_timeout_s=5)
    return f"account {entry.digits} by {entry.because}"


@pytest.mark.every_dialect
async def test_tools_of_a_program_ask_in_turn(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Two ask at once: the first entry is the first one's, and what was pressed beyond it begins the second's."""
    script = caller(8, (2.0, "1234"), (3.0, "56"))
    call = await make_call(script, asks(name="account", calls=2), own_tools=[Tool(account)], digits=OPEN)
    assert outputs(call) == ["account 123 by count", "account 456 by count"]
    assert texts(call) == []


@pytest.mark.every_dialect
async def test_a_cancelled_tool_leaves_its_digits_to_the_conversation(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Its time is up in the middle of an entry: the caller finishes the entry, and the agent is told of it."""
    script = caller(8, (1.5, "1"), (3.0, "2#"))
    own_tools = [Tool(account, timeout_s=1.5)]
    call = await make_call(script, asks(name="account"), own_tools=own_tools, digits=OPEN)
    assert outputs(call) == ["failed: expected a result within 1.5 s, got none"]
    assert texts(call) == [told("12")]


@pytest.mark.every_dialect
async def test_a_cancelled_tool_leaves_its_digits_to_nobody(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Where the keypad is the tools' alone: they are counted."""
    own_tools = [Tool(account, timeout_s=1.5)]
    digits = {**OPEN, "to": "off"}
    call = await make_call(caller(6, (1.5, "12")), asks(name="account"), own_tools=own_tools, digits=digits)
    assert call.data("digits.unsent") == [{"count": 2, "because": "nobody asked for them"}]
    assert texts(call) == []


@pytest.mark.every_dialect
async def test_a_wish_out_of_range_is_told_to_the_model(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Nothing is waited for, and the keypad is the conversation's."""
    tools = {"builtin": ["collect_digits"]}
    call = await make_call(caller(4, (2.0, "1#")), asks('{"max_digits":99}'), tools=tools, digits=OPEN)
    assert outputs(call) == ["failed: ValueError: expected 1 to 64 digits, got 99"]
    assert texts(call) == [told("1")]


async def test_a_context_without_a_leg_has_no_keypad() -> None:
    """A program that tests its tools by itself is told so."""
    context = ToolContext(CALL, (), lambda _reason, _next: None)
    with pytest.raises(VoxpipeError, match="got one without a keypad"):
        await context.digits()
