"""The command ``probe``. Exit status: 0 a call would get its session, 1 it would not, 2 unusable configuration."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from voxpipe.cli_config import DIALECT_HELP, config_of_flags
from voxpipe.errors import ConfigError, describe_error

if TYPE_CHECKING:
    from rich.console import Console

    from voxpipe.probe import Probe
    from voxpipe.sansio.records import Record

WORKS, FAILED = 0, 1
SHOWN_LETTERS = 60
MARKS = {"same": "", "differs": "[yellow]differs[/]", "not told": "[dim]not told[/]", "added": "[dim]its own[/]"}


def register(app: App) -> None:
    """Add the command to the command."""
    app.command(probe_command, name="probe")


def probe_command(
    *,
    config: Path | None = None,
    dialect: Annotated[str | None, Parameter(help=DIALECT_HELP)] = None,
    url: str | None = None,
    model: str | None = None,
    speak: Annotated[bool, Parameter(negative=())] = False,
    wait: float = 10.0,
    log_dir: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=(), show_default=False)] = (),
) -> int:
    """Open one session with the configured provider, without a call, and say whether everything is right.

    It is what to run first. The request and its acknowledgement are shown side by side, with the time each step took;
    what goes wrong (key, model, format, network, TLS) is explained. No audio is sent and nothing is said, unless
    `--speak` has the agent say one sentence, which the provider may charge for.

    Exit status: 0 a call would get its session, 1 it would not, 2 the configuration cannot be used.

    Try it without a provider: `voxpipe simulate` in one window, `voxpipe probe --url ws://127.0.0.1:8765/v1/realtime`
    in another.

    Parameters
    ----------
    config
        TOML file, as for voxpipe serve; the environment and these flags go before it.
    url
        WebSocket URL of the provider (provider.url).
    model
        Model (provider.model).
    speak
        Have the agent speak (the configured greeting, or a hello), and measure the time to its first sound.
    wait
        With --speak: so many seconds for that.
    log_dir
        Keep the session's log in this folder; without it none is kept.
    json_
        Print the result as JSON.
    set_
        Any other key, as TABLE.KEY=VALUE; may be given several times.
    """
    # What runs a call is imported when one is to be run: --help need not wait for it.
    import trio
    from rich.console import Console

    from voxpipe.config_check import check_config, find_trust
    from voxpipe.probe import probe

    if not 0 < wait < float("inf"):
        raise ConfigError("--wait", f"expected seconds above 0, got {wait:g}")
    loaded = config_of_flags(config, {"provider.dialect": dialect, "provider.url": url, "provider.model": model}, set_)
    check_config(loaded)
    trust = find_trust(loaded.provider)
    progress = Console(stderr=True, highlight=False)

    async def run() -> Probe:
        return await probe(
            loaded,
            speak=speak,
            wait_s=wait,
            keep=log_dir,
            ssl_context=trust,
            on_record=lambda record: _tell(record, progress),
        )

    found = trio.run(run)
    if json_:
        sys.stdout.write(json.dumps(to_json(found), ensure_ascii=False, indent=2) + "\n")
    else:
        _print(found, Console(highlight=False))
    return WORKS if found.works else FAILED


STEPS = {
    "connection.opening": "connecting to {url}, formats {formats}",
    "connection.opened": "connected",
    "session.requested": "session requested",
    "session.ready": "acknowledged",
    "session.retrying": "{refused} did not work, trying {next}",
    "playout.started": "the agent speaks",
}


def _tell(record: Record, progress: Console) -> None:
    if progress.is_terminal and (step := STEPS.get(record.event_type)) is not None:
        progress.print(
            f"{record.t_ns / 1e9:7.3f} s  {step.format_map(record.event_data)}", markup=False, soft_wrap=True
        )


def to_json(found: Probe) -> dict[str, Any]:
    """Write a probe as JSON data."""
    names = ("dialect", "url", "requested", "confirmed", "echoed", "connect_ms", "ack_ms", "audio_ms")
    return {
        "works": found.works,
        **{name: getattr(found, name) for name in names},
        "refused": list(found.refused),
        "settings": [
            {
                "name": each.name,
                "requested": each.requested,
                "acknowledged": each.acknowledged,
                "verdict": each.verdict,
            }
            for each in found.settings
        ],
        "warnings": list(found.warnings),
        "error": None if found.error is None else describe_error(found.error),
        "advice": list(found.advice),
    }


def _print(found: Probe, console: Console) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    if found.settings:
        table = Table(
            Column("key", no_wrap=True), "requested", "acknowledged", "", title="Session", title_justify="left"
        )
        for each in found.settings:
            asked = "" if each.verdict == "added" else _shown(each.requested)
            told = "" if each.verdict == "not told" else _shown(each.acknowledged)
            table.add_row(*map(escape, (each.name, asked, told)), MARKS[each.verdict])
        console.print(table)
    steps = Table(show_header=False, title="Probe", title_justify="left")
    steps.add_row("provider", escape(f"{found.dialect} at {found.url}"))
    for format_ in found.refused:
        steps.add_row("formats", escape(f"{format_} did not work"))
    own = "" if found.echoed or found.confirmed is None else ", which the acknowledgement does not tell"
    steps.add_row("formats", f"requested {found.requested}, confirmed {found.confirmed or 'nothing'}{own}")
    for name, duration_ms in (
        ("connected", found.connect_ms),
        ("acknowledged", found.ack_ms),
        ("first sound", found.audio_ms),
    ):
        if duration_ms is not None:
            steps.add_row(name, f"after {duration_ms:.1f} ms")
    for warning in found.warnings:
        steps.add_row("[yellow]warning[/]", escape(warning))
    if found.error is not None:
        steps.add_row("[red]FAILS[/]", escape(" ".join(str(found.error).split())))
    else:
        steps.add_row("[green]works[/]", "a call would get this session")
    for text in found.advice:
        steps.add_row("what to do", escape(text))
    console.print(steps)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_LETTERS else text[: SHOWN_LETTERS - 1] + "…"
