"""What the terminal shows of running calls, and that no fault of the terminal reaches a call."""

from __future__ import annotations

import io
from typing import Any

import attrs
import pytest
from rich.console import Console

from voxpipe.sansio.records import Record
from voxpipe.terminal import KEY_EVENTS, PROVIDER_EVENTS, Outlet, Terminal


def record(event_type: str, data: dict[str, Any], *, t_ns: int = 0, leg: str | None = "aaaaaaaa-1") -> Record:
    """Make a record of a leg."""
    return Record(0, t_ns, "2026-01-01T00:00:00+00:00", leg, "local", event_type, data)


def shown(*records: Record) -> list[str]:
    """Show records, and return the lines."""
    file = io.StringIO()
    terminal = Terminal(Console(file=file, highlight=False, width=80))
    for each in records:
        terminal.show(each)
    return file.getvalue().splitlines()


class Gone(io.StringIO):
    """A terminal nobody looks at any more."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        """Fail, as a closed pipe or a full disk does."""
        raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device")])
def test_a_terminal_that_is_gone_ends_nothing(error: OSError) -> None:
    """Neither an exception nor an exit, however often it is tried."""
    terminal = Terminal(Outlet(file=Gone(error), highlight=False))
    for _ in range(3):
        terminal.show(record("leg.failed", {"message": "expected sun, got rain"}))
        terminal.warn("expected sun, got rain")


def test_a_storm_is_one_line_a_second() -> None:
    """Fifty overruns a second are told once a second for each leg; the last count is in the log."""
    storm = [
        record("uplink.overrun", {"total_frames": n + 1}, t_ns=n * 20_000_000, leg=leg)
        for n in range(101)
        for leg in ("aaaaaaaa-1", "bbbbbbbb-2")
    ]
    lines = shown(*storm)
    assert len(lines) == 6
    assert [line.split("uplink.overrun")[1].split()[0] for line in lines[::2]] == ["1", "51", "101"]


def test_a_leg_without_a_log_is_told_of() -> None:
    """A peer that says no UUID has no other line; a leg that has a log, or ended in peace, gets none."""
    because = "expected the UUID (kind 0x01) first, got kind 0x47"
    bad = {"uuid": None, "because": because, "error": "RemoteProtocolError", "log": None}
    assert because in shown(record("leg.ended", bad, leg=None))[0]
    assert shown(record("leg.ended", {**bad, "log": "x.jsonl"}, leg=None)) == []
    assert shown(record("leg.ended", {**bad, "error": None}, leg=None)) == []


def test_what_a_peer_says_stays_on_its_line() -> None:
    """Line breaks are spaces, control characters are shown and not obeyed."""
    (line,) = shown(record("session.failed", {"message": "<html>\n  <b>\x1b[2Jno\x07\x9b1m"}))
    assert line.endswith(r"<html> <b>\x1b[2Jno\x07\x9b1m")


@pytest.mark.parametrize("name", sorted({*KEY_EVENTS, *PROVIDER_EVENTS}))
def test_no_name_that_a_provider_uses_can_end_a_call(name: str) -> None:
    """Its message may have the name of a record of ours, or lack whatever others of its name have."""
    shown(attrs.evolve(record(name, {"type": name}), direction="received"))


def test_an_error_of_the_provider_is_told_in_words() -> None:
    """Not as a Python dictionary."""
    error = {"type": "invalid_request_error", "code": "invalid_value", "message": "No such voice.", "param": None}
    (line,) = shown(record("error", {"error": error}))
    assert line.endswith("invalid_request_error: invalid_value: No such voice.")
    assert shown(record("error", {"error": "odd"}))[0].endswith("odd")
