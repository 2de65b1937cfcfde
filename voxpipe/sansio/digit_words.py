"""The words of a session about the caller's keypad."""

from __future__ import annotations

import attrs


@attrs.frozen
class DigitPressed:
    """The caller pressed a digit of an entry, which may silence the agent; the entry follows when it is complete."""

    interrupts: bool


@attrs.frozen
class DigitsEntered:
    """The caller completed an entry: ``text`` tells the agent, under an item id of ours, and it is to answer."""

    item_id: str
    text: str = attrs.field(repr=False)
    ticket: int | None = None


KeypadEvent = DigitPressed | DigitsEntered
