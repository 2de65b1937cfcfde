"""Entries on the keypad: which digits make one, when it is complete, and what the log must not hold of it."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_machine import MS, S

from voxpipe.digits_config import DIGITS, DigitsConfig
from voxpipe.sansio.digits import Collector, DigitEntry, EntryRules, EntryWish

RULES = EntryRules("#", 4, 3 * S)
ASKED = attrs.evolve(RULES, first_ns=10 * S)

Presses = tuple[tuple[float, str], ...]

PRESSED: list[tuple[str, EntryRules, Presses, list[tuple[float, str, str]]]] = [
    ("a terminator", RULES, ((0, "1"), (1, "2"), (2, "#")), [(2, "12", "terminator")]),
    ("a count", RULES, ((0, "1"), (1, "2"), (2, "3"), (3, "4"), (6, "5")), [(3, "1234", "count"), (9, "5", "pause")]),
    ("a pause", RULES, ((0, "1"), (2.9, "2")), [(5.9, "12", "pause")]),
    ("a digit on the pause's end", RULES, ((0, "1"), (3, "2")), [(3, "1", "pause"), (6, "2", "pause")]),
    ("the terminator alone", RULES, ((0, "#"), (1, "#")), [(0, "", "terminator"), (1, "", "terminator")]),
    ("another terminator", attrs.evolve(RULES, terminator="*"), ((0, "#"), (1, "*")), [(1, "#", "terminator")]),
    ("no terminator", attrs.evolve(RULES, terminator=""), ((0, "#"), (1, "*")), [(4, "#*", "pause")]),
    ("a terminator after the count", RULES, tuple((n, d) for n, d in enumerate("1234#")), [(3, "1234", "count")]),
    ("one digit", attrs.evolve(RULES, max_digits=1), ((0, "1"), (0, "2")), [(0, "1", "count"), (0, "2", "count")]),
    ("nothing, unasked", RULES, (), []),
    ("nothing, asked", ASKED, (), [(10, "", "pause")]),
    ("a late first digit, asked", ASKED, ((9.9, "1"),), [(12.9, "1", "pause")]),
]


def press(rules: EntryRules, presses: Presses) -> list[tuple[float, str, str]]:
    """Press digits at their seconds and look at the clock at each deadline; return the entries with their seconds."""
    collector, entries = Collector(rules), []
    if rules.first_ns is not None:
        collector.postpone(0)
    for at_s, digit in (*presses, (60.0, "")):
        now_ns = round(at_s * S)
        while (deadline_ns := collector.deadline_ns) is not None and deadline_ns <= now_ns:
            entries.append((deadline_ns / S, collector.expire(deadline_ns)))
        if digit:
            entries += [(at_s, entry) for entry in collector.note(digit, now_ns)]
    return [(at_s, entry.digits, entry.because) for at_s, entry in entries if entry is not None]


@pytest.mark.parametrize(("rules", "presses", "entries"), [row[1:] for row in PRESSED], ids=[row[0] for row in PRESSED])
def test_digits_make_entries(rules: EntryRules, presses: Presses, entries: list[tuple[float, str, str]]) -> None:
    """What is pressed when, and which entries are complete when, and why."""
    assert press(rules, presses) == entries


@given(st.lists(st.tuples(st.sampled_from(DIGITS), st.integers(0, 5 * S)), max_size=60))
def test_no_digit_is_lost_and_none_comes_twice(presses: list[tuple[str, int]]) -> None:
    """Whatever is pressed when: the entries, and the digits of the unfinished one, are what was pressed, in order."""
    collector, entries, now_ns = Collector(attrs.evolve(RULES, terminator="")), [], 0
    for digit, gap_ns in presses:
        now_ns += gap_ns
        entries += collector.note(digit, now_ns)
        assert collector.deadline_ns is None or now_ns < collector.deadline_ns <= now_ns + RULES.pause_ns
    unfinished = collector.expire(now_ns + RULES.pause_ns)
    digits = "".join(entry.digits for entry in [*entries, *([unfinished] if unfinished else [])])
    assert digits == "".join(digit for digit, _ in presses)
    assert all(1 <= len(entry.digits) <= RULES.max_digits for entry in entries)


def test_what_was_pressed_before_somebody_asked_is_theirs() -> None:
    """Other rules hold for the unfinished entry too, with the times its digits were pressed at."""
    collector = Collector(attrs.evolve(RULES, max_digits=20))
    for second, digit in enumerate("12345"):
        assert collector.note(digit, second * S) == []
    assert collector.change(ASKED, 4 * S) == [DigitEntry("1234", "count")]
    assert (collector.waiting_digits, collector.deadline_ns) == (1, 7 * S)
    assert collector.expire(7 * S) == DigitEntry("5", "pause")


def test_the_wait_for_the_first_digit_can_begin_anew() -> None:
    """As long as nothing is pressed; then the pause counts."""
    collector = Collector(ASKED)
    collector.postpone(4 * S)
    assert collector.deadline_ns == 14 * S
    collector.note("1", 13 * S)
    collector.postpone(14 * S)
    assert collector.deadline_ns == 16 * S


def test_who_asks_no_more_waits_for_no_first_digit() -> None:
    """With the rules goes the wait that they asked for."""
    collector = Collector(RULES)
    assert collector.change(ASKED, 0) == []
    assert collector.deadline_ns == 10 * S
    assert collector.change(RULES, 1 * S) == []
    assert collector.deadline_ns is None


WISHES = [
    (EntryWish(), EntryRules("#", 32, 3 * S, 10 * S)),
    (EntryWish(4, "", 1.5, 20), EntryRules("", 4, 1500 * MS, 20 * S)),
]


@pytest.mark.parametrize(("wish", "rules"), WISHES)
def test_what_is_not_wished_is_as_configured(wish: EntryWish, rules: EntryRules) -> None:
    """Each of the four, and all of them."""
    assert EntryRules.asked(DigitsConfig(), wish) == rules


IMPOSSIBLE = [
    (EntryWish(max_digits=0), "expected 1 to 64 digits, got 0"),
    (EntryWish(max_digits=65), "expected 1 to 64 digits, got 65"),
    (EntryWish(terminator="hash"), "expected one of 0 1 2 3 4 5 6 7 8 9 * # A B C D, got 'hash'"),
    (EntryWish(timeout_s=0), "expected a timeout of 0.1 to 120 s, got 0"),
    (EntryWish(first_timeout_s=1e9), "expected a timeout of 0.1 to 120 s, got 1e+09"),
    (EntryWish(timeout_s=float("nan")), "expected a timeout of 0.1 to 120 s, got nan"),
]


@pytest.mark.parametrize(("wish", "message"), IMPOSSIBLE, ids=[message for _, message in IMPOSSIBLE])
def test_an_impossible_wish_is_refused(wish: EntryWish, message: str) -> None:
    """In words that tell a model or a programmer what is possible."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is compared below
        EntryRules.asked(DigitsConfig(), wish)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("digits", "concealed"),
    [
        ("", set()),
        ("12", {"pressed 12"}),
        ("123", {"123", "1 2 3", "1, 2, 3", "1-2-3"}),
    ],
)
def test_what_a_log_must_not_hold(digits: str, concealed: set[str]) -> None:
    """Three digits and more in every spelling; fewer only within the texts they are told in."""
    entry = DigitEntry(digits, "count")
    assert entry.concealed(f"pressed {digits}") == concealed
    assert "12" not in repr(entry)
