"""Callers who press keys, and what became of it."""

from __future__ import annotations

from virtual_call import Script, VirtualCall, silence

from voxpipe.testing.scenario import CallTool, Say, Scenario, Step, Trigger

OPEN = {"log": True}
"""The table of the configuration which lets the digits be read in the log."""
ADD, ASK = "conversation.item.create", "response.create"


def pressed(*presses: tuple[float, str]) -> tuple[tuple[float, bytes], ...]:
    """DTMF messages at their times; the digits of one press follow each other at 100 ms."""
    return tuple(
        (at_s + 0.1 * index, b"\x03\x00\x01" + digit.encode())
        for at_s, digits in presses
        for index, digit in enumerate(digits)
    )


def caller(seconds: float, *presses: tuple[float, str]) -> Script:
    """A caller who says nothing, and presses keys."""
    return Script(audio=silence(round(1000 * seconds)), extra=pressed(*presses))


def commands(call: VirtualCall) -> list[str]:
    """What was asked for besides audio and the configuration, in order."""
    unheeded = ("session.update", "change", "leave", "alive")
    return [event["type"] for event in call.session.understood if event["type"] not in unheeded]


def texts(call: VirtualCall) -> list[str]:
    """The texts of the items that told of entries."""
    items = [event["item"] for event in call.session.understood if event["type"] == ADD]
    return [item["content"][0]["text"] for item in items if item["type"] == "message"]


def outputs(call: VirtualCall) -> list[str]:
    """What the model was told of tools, in order."""
    items = [event["item"] for event in call.session.understood if event["type"] == ADD]
    return [item["output"] for item in items if item["type"] == "function_call_output"]


def entered(call: VirtualCall) -> list[tuple[float, str, str]]:
    """When which entry was complete, and why."""
    return [
        (round(record.t_ns / 1e9, 1), record.event_data["digits"], record.event_data["because"])
        for record in call.of("digits.entered")
    ]


def told(digits: str) -> str:
    """The item's text."""
    return f"The caller pressed {digits} on the telephone keypad."


def asks(arguments: str = "{}", *, says: bool = False, calls: int = 1, name: str = "collect_digits") -> Scenario:
    """A provider that asks for digits half a second into the call, after words of its own or without any."""
    words = (Step(Trigger.READY, 0.1, Say()),) if says else ()
    after = Trigger.FIRST_AUDIO if says else Trigger.READY
    steps = (Step(after, 0.5, CallTool(name, arguments)) for _ in range(calls))
    return Scenario("asks", "asks for digits", (*words, *steps))
