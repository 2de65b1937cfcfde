"""The table ``digits`` of the configuration: what becomes of the keys that a caller presses."""

from __future__ import annotations

from typing import Literal

import attrs

from voxpipe.keys import between, key

DIGITS = tuple("0123456789*#ABCD")
"""What a telephone's keypad can send (RFC 4733, events 0 to 15)."""
MAX_DIGITS = 64
"""The longest entry anybody may ask for; a card number has 19 digits, a telephone number 15."""
TIMEOUT_LOW_S, TIMEOUT_HIGH_S = 0.1, 120.0


def is_digit(value: str) -> None:
    """Check a digit, or an empty text for none; ``ValueError`` otherwise."""
    if value and value not in DIGITS:
        raise ValueError(f"expected one of {' '.join(DIGITS)}, got {value!r}")


def _has_place(value: str) -> None:
    if "{digits}" not in value:
        raise ValueError(f"expected a text with {{digits}} in it, got {value!r}")


@attrs.frozen
class DigitsConfig:
    """The keys that a caller presses."""

    to: Literal["text", "off"] = key(
        "text",
        "text: an entry becomes a message of the caller's, which the agent answers; off: digits are for tools that ask "
        "for them; the digit of session.push_to_talk is part of no entry",
    )
    text: str = key(
        "The caller pressed {digits} on the telephone keypad.", "the message; {digits} is filled in", check=_has_place
    )
    terminator: str = key("#", "the digit that ends an entry and is no part of it; empty: none", check=is_digit)
    max_digits: int = key(32, "an entry of so many digits ends by itself", check=between(1, MAX_DIGITS))
    timeout_s: float = key(
        3.0, "so long after its last digit an entry has ended", check=between(TIMEOUT_LOW_S, TIMEOUT_HIGH_S)
    )
    first_timeout_s: float = key(
        10.0,
        "so long a tool waits for the first digit, from when the agent has been heard to its end",
        check=between(TIMEOUT_LOW_S, TIMEOUT_HIGH_S),
    )
    interrupt: bool = key(True, "a digit of an entry silences the agent, as the caller's voice does")
    log: bool = key(
        False,
        "digits in the logs; otherwise they are redacted, and entries of three and more wherever a log repeats them",
    )
