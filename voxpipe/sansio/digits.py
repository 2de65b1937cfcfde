"""Entries on the telephone's keypad: digits gathered until a terminator, a count or a pause.

The gathering is pure: times are arguments, in nanoseconds of one clock. A digit that comes after the pause has ended an
entry begins another one, even if nobody has looked at the clock in between.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from voxpipe.audio import NS_PER_S
from voxpipe.digits_config import MAX_DIGITS, TIMEOUT_HIGH_S, TIMEOUT_LOW_S, DigitsConfig, is_digit

Because: TypeAlias = Literal["terminator", "count", "pause"]
REPEATED_DIGITS = 3
"""So many are looked for in all the log; fewer are found in too much that is not an entry."""
SEPARATORS = ("", " ", ", ", "-")
"""How a transcript spells digits that were read out one by one."""
TRAILING_NS = 2 * NS_PER_S
"""Who was told to end with the terminator presses it even where the count has ended the entry: it means nothing."""


@attrs.frozen
class DigitEntry:
    """What a caller entered, without the terminator, and what ended it.

    Without ``digits`` it was the terminator alone (``terminator``), or nothing was pressed in time (``pause``).
    """

    digits: str = attrs.field(repr=False)
    because: Because

    @property
    def words(self) -> str:
        """What the model is told of an entry that it asked for."""
        return f"digits: {self.digits or 'none'}; ended by: {self.because}"

    def concealed(self, *texts: str) -> frozenset[str]:
        """Return what a log must not hold: the digits however they are spaced; of few digits, ``texts`` with them."""
        if len(self.digits) < REPEATED_DIGITS:
            return frozenset(text for text in texts if self.digits)
        return frozenset(separator.join(self.digits) for separator in SEPARATORS)


@attrs.frozen
class EntryWish:
    """What somebody who asks for an entry wants of it; ``None`` where the configuration will do."""

    max_digits: int | None = None
    terminator: str | None = None
    timeout_s: float | None = None
    first_timeout_s: float | None = None


@attrs.frozen
class EntryRules:
    """What ends an entry; ``first_ns`` is how long its first digit is waited for, ``None`` for ever."""

    terminator: str
    max_digits: int
    pause_ns: int
    first_ns: int | None = None

    @classmethod
    def unasked(cls, config: DigitsConfig) -> EntryRules:
        """Take the rules of entries that nobody has asked for."""
        return cls(config.terminator, config.max_digits, round(config.timeout_s * NS_PER_S))

    @classmethod
    def asked(cls, config: DigitsConfig, wish: EntryWish) -> EntryRules:
        """Take the rules of an entry somebody asks for; ``ValueError`` gives expected and actual."""
        terminator = config.terminator if wish.terminator is None else wish.terminator
        max_digits = config.max_digits if wish.max_digits is None else wish.max_digits
        pause_s = config.timeout_s if wish.timeout_s is None else wish.timeout_s
        first_s = config.first_timeout_s if wish.first_timeout_s is None else wish.first_timeout_s
        is_digit(terminator)
        if not 1 <= max_digits <= MAX_DIGITS:
            raise ValueError(f"expected 1 to {MAX_DIGITS} digits, got {max_digits}")
        for timeout_s in (pause_s, first_s):
            if not TIMEOUT_LOW_S <= timeout_s <= TIMEOUT_HIGH_S:
                raise ValueError(f"expected a timeout of {TIMEOUT_LOW_S:g} to {TIMEOUT_HIGH_S:g} s, got {timeout_s:g}")
        return cls(terminator, max_digits, round(pause_s * NS_PER_S), round(first_s * NS_PER_S))


class Collector:
    """Gathers the digits of one leg into entries."""

    def __init__(self, rules: EntryRules) -> None:
        self._rules = rules
        self._pressed: list[tuple[str, int]] = []
        self._first_at_ns: int | None = None
        self._trailing = ("", 0)

    @property
    def waiting_digits(self) -> int:
        """How many digits the unfinished entry has."""
        return len(self._pressed)

    @property
    def deadline_ns(self) -> int | None:
        """When ``expire`` must be called, at the latest."""
        return self._pressed[-1][1] + self._rules.pause_ns if self._pressed else self._first_at_ns

    def trails(self, digit: str, now_ns: int) -> bool:
        """Tell whether a digit is the terminator of an entry that its count has ended, which means nothing."""
        trailing, until_ns = self._trailing
        return digit == trailing and now_ns < until_ns

    def note(self, digit: str, now_ns: int) -> list[DigitEntry]:
        """Take a digit; return the entries that are complete, the oldest first."""
        overdue = self.expire(now_ns)
        entries = [] if overdue is None else [overdue]
        trails, self._trailing = self.trails(digit, now_ns), ("", 0)
        if trails:
            return entries
        if digit == self._rules.terminator:
            return [*entries, self._complete("terminator")]
        self._pressed.append((digit, now_ns))
        if len(self._pressed) >= self._rules.max_digits:
            entries.append(self._complete("count"))
            self._trailing = (self._rules.terminator, now_ns + TRAILING_NS)
        return entries

    def expire(self, now_ns: int) -> DigitEntry | None:
        """Return the entry that a pause has ended."""
        due = self.deadline_ns is not None and now_ns >= self.deadline_ns
        return self._complete("pause") if due else None

    def change(self, rules: EntryRules, now_ns: int) -> list[DigitEntry]:
        """Go by other rules from now on, for the digits of the unfinished entry too; return what they complete."""
        pressed, self._pressed = self._pressed, []
        self._rules = rules
        self._first_at_ns = None
        self.postpone(now_ns)
        return [entry for digit, pressed_ns in pressed for entry in self.note(digit, pressed_ns)]

    def postpone(self, now_ns: int) -> None:
        """Begin anew to wait for the first digit, if it has not come."""
        if self._rules.first_ns is not None:
            self._first_at_ns = now_ns + self._rules.first_ns

    def clear(self) -> int:
        """Forget the unfinished entry; return how many digits it had."""
        forgotten, self._pressed = len(self._pressed), []
        return forgotten

    def _complete(self, because: Because) -> DigitEntry:
        digits = "".join(digit for digit, _ in self._pressed)
        self._pressed, self._first_at_ns = [], None
        return DigitEntry(digits, because)
