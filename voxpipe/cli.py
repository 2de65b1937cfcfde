"""The command ``voxpipe``. Exit status: 0 all is well, 1 it ran and something failed, 2 it could not run as asked.

Results go to standard output, what happens meanwhile to standard error.
"""

from __future__ import annotations

import io
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import orjson
import trio
from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from voxpipe import cli_analysis, cli_compare, cli_fleet, cli_probe, cli_quality, cli_replay, cli_report
from voxpipe.audio import AudioFormat
from voxpipe.cli_config import DIALECT_HELP, config_of_flags
from voxpipe.config import parse_address, unusable_address
from voxpipe.config_file import load_config, toml_template
from voxpipe.demo import Demo, DemoPlan, run_demo
from voxpipe.dialects import DEFAULT, get_dialect
from voxpipe.dialplan import asterisk_dialplan
from voxpipe.errors import AudioError, ConfigError, VoxpipeError
from voxpipe.serve import serve
from voxpipe.terminal import Terminal, summary_table
from voxpipe.testing.asterisk import CallerEvent
from voxpipe.testing.caller_result import CallResult
from voxpipe.testing.caller_run import SPEECH, run_calls
from voxpipe.testing.provider_simulate import simulate
from voxpipe.testing.scenario import PARROT, SCENARIOS

FAILED, UNUSABLE = 1, 2

LinearFormat = Literal["slin8", "slin16", "slin24", "slin48"]
LegFormat = Literal[
    "slin8", "slin12", "slin16", "slin24", "slin32", "slin44", "slin48", "slin96", "slin192", "ulaw8", "alaw8"
]
SCENARIO_HELP = (
    "How the provider behaves: " + ", ".join(f"{s.name} ({s.description})" for s in SCENARIOS.values()) + "."
)

app = App(
    name="voxpipe",
    help="Let Asterisk's callers talk with realtime speech models, with evidence for every byte.",
    version=version("voxpipe"),
    help_format="markdown",
)
cli_analysis.register(app)
cli_probe.register(app)
cli_fleet.register(app)
cli_compare.register(app)
cli_quality.register(app)
cli_replay.register(app)
cli_report.register(app)


@app.command(name="demo")
def demo_command(
    *,
    out: Path = Path("voxpipe-demo"),
    caller: Annotated[Path, Parameter(show_default=False)] = SPEECH,
    dialect: Annotated[str, Parameter(help=DIALECT_HELP)] = DEFAULT,
    leg_format: LinearFormat = "slin8",
    scenario: Annotated[str, Parameter(help=SCENARIO_HELP)] = PARROT.name,
) -> int:
    """Make a call in this process, over real loopback sockets: a caller, the gateway and a simulated provider.

    The provider is a parrot: it speaks the caller's words back. Exit status 0 only if the session was acknowledged,
    audio went both ways and nothing was lost.

    Parameters
    ----------
    out
        Folder for the log, what the caller said and what the caller heard.
    caller
        What the caller says: a mono WAV file of 8, 12, 16, 24, 32, 44.1, 48, 96 or 192 kHz; by default one that comes
        with voxpipe.
    leg_format
        Format of the leg: 16-bit linear at 8, 16, 24 or 48 kHz.
    """
    get_dialect(dialect)
    plan = DemoPlan(
        out=out, caller=caller, dialect=dialect, leg_format=AudioFormat.parse(leg_format), scenario=scenario
    )
    demo = trio.run(run_demo, plan, Terminal())
    _print_demo(demo)
    return 0 if demo.passed else FAILED


def _print_demo(demo: Demo) -> None:
    console = Console(highlight=False)
    console.print()
    console.print(summary_table(demo.summary))
    verdict = Table(title="Verdict", show_header=False, title_justify="left")
    for check in demo.checks:
        mark = "[green]holds[/]" if check.holds else "[red]FAILS[/]"
        verdict.add_row(mark, check.name, escape(check.evidence))
    console.print(verdict)
    for file in demo.files:
        console.print(file, soft_wrap=True)


@app.command(name="serve")
def serve_command(
    *,
    config: Path | None = None,
    listen: str | None = None,
    dialect: Annotated[str | None, Parameter(help=DIALECT_HELP)] = None,
    url: str | None = None,
    model: str | None = None,
    leg_format: Literal["auto", LegFormat] | None = None,
    max_legs: int | None = None,
    log_dir: str | None = None,
    log_audio: Literal["digest", "inline", "sidecar"] | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=(), show_default=False)] = (),
) -> int:
    """Answer AudioSocket calls and join each to a session, until SIGINT or SIGTERM.

    The first signal drains: no new calls, running answers are played to their end. A second one ends at once.
    Configuration comes from the TOML file, then from VOXPIPE_TABLE__KEY in the environment, then from these flags.

    Parameters
    ----------
    config
        TOML file; voxpipe init writes one.
    listen
        HOST:PORT to take calls on (gateway.listen).
    url
        WebSocket URL of the provider (provider.url).
    model
        Model (provider.model).
    leg_format
        Format of the legs (leg.format).
    max_legs
        Calls at a time (gateway.max_legs).
    log_dir
        Folder of the logs (log.dir).
    log_audio
        Audio in the log (log.audio).
    set_
        Any other key, as TABLE.KEY=VALUE; may be given several times.
    """
    flags = {
        "gateway.listen": listen,
        "gateway.max_legs": max_legs,
        "leg.format": leg_format,
        "provider.dialect": dialect,
        "provider.url": url,
        "provider.model": model,
        "log.dir": log_dir,
        "log.audio": log_audio,
    }
    return trio.run(serve, config_of_flags(config, flags, set_), Terminal())


@app.command
def init(
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)] = Path("voxpipe.toml"),
    *,
    asterisk: Annotated[bool, Parameter(negative=())] = False,
    config: Path | None = None,
) -> int:
    """Write a configuration file with every key, its meaning and its default.

    Parameters
    ----------
    file
        File to write, which must not exist; - for standard output.
    asterisk
        Instead print the dialplan lines (extensions.conf) that hand Asterisk's calls to this gateway.
    config
        With --asterisk: the configuration the lines are for; without it, the defaults.
    """
    if asterisk:
        sys.stdout.write(asterisk_dialplan(load_config(config)))
        return 0
    if config is not None:
        raise ConfigError("--config", "expected it with --asterisk, got it without")
    if str(file) == "-":
        sys.stdout.write(toml_template())
        return 0
    if str(file).startswith("-"):  # which a lone hyphen has let through
        raise ConfigError("init", f"expected a file, - or a known option, got {str(file)!r}")
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(toml_template())
    except FileExistsError:
        raise ConfigError(str(file), "expected no file there, found one: it is left as it is") from None
    Console(stderr=True, highlight=False).print(f"wrote {file}; next: voxpipe serve --config {file}", soft_wrap=True)
    return 0


@app.command
def call(
    address: str,
    *,
    wav: Annotated[Path, Parameter(show_default=False)] = SPEECH,
    format: LegFormat = "slin8",
    record: Path | None = None,
    dtmf: str = "",
    uuid: UUID | None = None,
    calls: int = 1,
    seconds: float | None = None,
    mic: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    expect_answer: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Call an AudioSocket server as Asterisk does, and measure what comes back.

    Without --seconds the caller hangs up once it has spoken and then heard nothing for two seconds, and at Ctrl-C in
    any case. Exit status 1 when
    the server did what Asterisk would drop a call for.

    Parameters
    ----------
    address
        HOST:PORT of the server.
    wav
        What the caller says: a mono WAV file of 8, 12, 16, 24, 32, 44.1, 48, 96 or 192 kHz; by default one that comes
        with voxpipe.
    format
        Format of the leg.
    record
        WAV file for what the caller hears; with several calls, numbered.
    dtmf
        Digits to dial, the first after a second, then three a second.
    uuid
        UUID of the call; by default a fresh one.
    calls
        Calls side by side.
    seconds
        Hang up after so long.
    mic
        Speak and listen with this machine's sound devices (needs voxpipe[mic]).
    json
        Print what was measured as JSON.
    expect_answer
        Exit status 1, too, when a caller heard no speech.
    """
    host, port = _address(address, "ADDRESS")
    terminal = Terminal()

    def tell(event: CallerEvent) -> None:
        terminal.tell(event.at_s, "caller", event.name, event.detail)

    async def run() -> list[CallResult]:
        hang_up = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_set_at_sigint, hang_up)
            results = await hold(hang_up)
            nursery.cancel_scope.cancel()
        return results

    async def hold(hang_up: trio.Event) -> list[CallResult]:
        return await run_calls(
            host,
            port,
            wav=wav,
            format=AudioFormat.parse(format),
            record=record,
            digits=dtmf,
            call_id=uuid,
            calls=calls,
            seconds=seconds,
            speak_mic=mic,
            hang_up=hang_up,
            on_event=tell if calls == 1 else None,
        )

    try:
        results = trio.run(run)
    except* ValueError as errors:
        raise ConfigError("", str(_leaf(errors))) from errors
    if json:
        sys.stdout.buffer.write(orjson.dumps([r.to_json() for r in results], option=orjson.OPT_INDENT_2) + b"\n")
    else:
        _print_calls(results)
    silent = expect_answer and any(result.first_answer_s is None for result in results)
    return FAILED if silent or any(result.faults for result in results) else 0


async def _set_at_sigint(hang_up: trio.Event) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        await anext(signals)
    hang_up.set()  # a second one interrupts


def _print_calls(results: list[CallResult]) -> None:
    console = Console(highlight=False)
    table = Table("call", "ended by", "sent", "heard", "answer", "gaps (ms)", "faults")
    table.caption = "sent and heard in frames; first answer; gaps between frames as p50 / p99 / max"
    for result in results:
        gaps = result.gaps
        table.add_row(
            str(result.call_id)[:8],
            result.ended_by,
            str(result.frames_sent),
            str(result.frames_heard),
            "none" if result.first_answer_s is None else f"{result.first_answer_s:.3f} s",
            "none" if gaps is None else f"{gaps.p50_ms:.1f} / {gaps.p99_ms:.1f} / {gaps.max_ms:.1f}",
            escape("; ".join(result.faults) or "none"),
        )
    console.print(table)


@app.command(name="simulate")
def simulate_command(
    *,
    listen: str = "127.0.0.1:8765",
    dialect: Annotated[str, Parameter(help=DIALECT_HELP)] = DEFAULT,
    scenario: Annotated[str, Parameter(help=SCENARIO_HELP)] = PARROT.name,
) -> int:
    """Be a provider for any client that speaks the dialect, until SIGINT or SIGTERM, and tell what it does wrong.

    Exit status 1 when a client did something wrong.

    Parameters
    ----------
    listen
        HOST:PORT to listen on; the URL is told at the start, its path is that of the dialect.
    """
    host, port = _address(listen, "--listen")
    if scenario not in SCENARIOS:
        raise ConfigError("--scenario", f"expected one of {', '.join(SCENARIOS)}, got {scenario!r}")
    get_dialect(dialect)
    terminal = Terminal()

    async def signalled() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            await anext(signals)

    async def run() -> int:
        try:
            return await simulate(host, port, dialect, scenario, report=terminal.say, until=signalled)
        except OSError as error:
            raise unusable_address("--listen", listen, error) from error

    complaints = trio.run(run)
    terminal.say(f"{complaints} complaints about clients")
    return FAILED if complaints else 0


def _address(text: str, name: str) -> tuple[str, int]:
    try:
        return parse_address(text)
    except ValueError as error:
        raise ConfigError(name, str(error)) from None


def main() -> None:
    """Run the command and exit with its status; what went wrong is one line on standard error.

    ``KeyboardInterrupt`` is for ``__main__.py``.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a caller may say what the terminal cannot show
    try:
        app(exit_on_error=False)
    except CycloptsError:
        sys.exit(UNUSABLE)
    except (VoxpipeError, OSError, BaseExceptionGroup) as error:
        leaf = _leaf(error)
        if isinstance(leaf, KeyboardInterrupt):
            raise leaf from None
        if not isinstance(leaf, VoxpipeError | OSError):
            raise
        Terminal().warn(f"voxpipe: {leaf}")
        sys.exit(UNUSABLE if isinstance(leaf, ConfigError | AudioError | OSError) else FAILED)


def _leaf(error: BaseException) -> BaseException:
    """The only exception of a group, of nurseries mostly; a group of several stays one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
