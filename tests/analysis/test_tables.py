"""What a person sees: frames and colour on a terminal, plain columns in a pipe, and a bar while a long log is read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from judged import TALK, log_of
from rich.console import Console
from virtual_call import CallMaker

from voxpipe import log_commands
from voxpipe.analysis import CallRow, check, overview_of, read_call
from voxpipe.analysis_tables import UNSEEN_COLUMNS, make_console, print_overview, print_rows, print_verdicts


def terminal() -> Console:
    """A console that believes that somebody looks at it."""
    return Console(file=io.StringIO(), force_terminal=True, width=140, color_system="standard", highlight=False)


def shown(console: Console) -> str:
    """What it has printed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("scenario", ["parrot", "no-ack", "stall", "vanish", "silent"])
async def test_every_call_can_be_shown(make_call: CallMaker, autojump_clock: Any, scenario: str) -> None:
    """Overview, row and verdicts of good and bad calls, in frames and in colour."""
    call = read_call(log_of(await make_call(TALK, scenario)))
    for show in (
        lambda console: print_overview(console, overview_of(call)),
        lambda console: print_rows(console, [CallRow.of(call)]),
        lambda console: print_verdicts(console, "a call", check(call)),
    ):
        console = terminal()
        show(console)
        assert "╭" in shown(console)
        assert "\x1b[" in shown(console)


async def test_what_a_peer_says_is_not_markup(make_call: CallMaker, autojump_clock: Any) -> None:
    """A transcript with brackets and control characters is shown as it is, and steers nothing."""
    call = read_call(log_of(await make_call(TALK)))
    call.accounts.caller.turns[0].transcript = "[red]hello[/] \x1b[2J"
    console = terminal()
    print_overview(console, overview_of(call))
    assert "[red]hello[/]" in shown(console)
    assert "\x1b[2J" not in shown(console)


def test_a_pipe_has_plain_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """No frames, no colour, and wide enough that a search finds what belongs together."""
    monkeypatch.delenv("COLUMNS", raising=False)
    console = make_console()
    assert not console.is_terminal
    assert console.width == UNSEEN_COLUMNS
    monkeypatch.setenv("COLUMNS", "100")
    assert make_console().width == 100


def test_a_long_log_shows_how_far_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar on a terminal, to the end; none where nobody looks or nothing takes long."""
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"x" * 1_000)
    console = terminal()
    monkeypatch.setattr(log_commands, "Console", lambda **_options: console)
    with log_commands._progress([path]) as progress:
        progress(path)(500)
    assert shown(console) == ""
    monkeypatch.setattr(log_commands, "SHOWN_FROM_BYTES", 100)
    with log_commands._progress([path]) as progress:
        progress(path)(500)
        progress(path)(1_000)
    assert "reading" in shown(console)
    assert "1.0/1.0 kB" in shown(console)
