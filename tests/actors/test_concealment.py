"""What a log learns in mid-call that it must not hold: redacted from then on, and bounded."""

from __future__ import annotations

import trio

from voxpipe.actors.sink import CONCEALED, CallLog, Entry
from voxpipe.sansio.records import Record


def make_log(observed: list[Record]) -> CallLog:
    """A log that knows one secret from its beginning; nobody writes it."""
    send, _ = trio.open_memory_channel[Entry](10_000)
    secrets = frozenset({"sk-key"})
    return CallLog(
        send, leg=None, start_ns=0, start_unix_ns=0, now_ns=lambda: 0, secrets=secrets, observer=observed.append
    )


def test_what_is_concealed_is_redacted_from_then_on() -> None:
    """Wherever it is in a record, beside what was a secret before; what was written before stays."""
    observed: list[Record] = []
    log = make_log(observed)
    log.record("x", {"a": "entered 7391"})
    log.conceal(frozenset({"7391", "7 3 9 1"}))
    log.record("x", {"a": ["entered 7391", {"b": "7 3 9 1, sk-key"}]})
    assert observed[0].event_data == {"a": "entered 7391"}
    assert observed[1].event_data == {"a": ["entered [redacted]", {"b": "[redacted], [redacted]"}]}


def test_the_latest_are_kept_in_mind() -> None:
    """A caller who enters something new for ever makes the log forget what was entered longest ago."""
    observed: list[Record] = []
    log = make_log(observed)
    numbers = [f"<{number}>" for number in range(CONCEALED + 1)]
    for number in numbers:
        log.conceal(frozenset({number}))
        log.conceal(frozenset({numbers[0]}))
        log.conceal(frozenset())
    log.record("x", {"a": numbers, "b": "sk-key"})
    hidden = "[redacted]"
    assert observed[0].event_data == {"a": [hidden, numbers[1], *[hidden] * (CONCEALED - 1)], "b": hidden}
