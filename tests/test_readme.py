"""The README says what is so: its figures, tables, commands and examples are held against the code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from faulty_logs import no_transcription
from keypad import asks, caller, outputs, texts
from trio.testing import MockClock
from vendor_types import vendor_parse
from virtual_call import CALL, HELLO_AND_WAIT, CallMaker, Script
from virtual_program import ProgramRunner

from voxpipe.analysis.fleet_table import ask
from voxpipe.audio import SLIN8, FormatPair
from voxpipe.cli import app
from voxpipe.config import Config
from voxpipe.config_check import check_config
from voxpipe.config_file import load_config
from voxpipe.dialects import DIALECTS, get_dialect
from voxpipe.dialects.openai import SAY
from voxpipe.dialplan import asterisk_dialplan
from voxpipe.errors import ConfigError
from voxpipe.fleet_commands import index_logs
from voxpipe.sansio.command_words import ConfigureSession
from voxpipe.sansio.records import parse_line
from voxpipe.sansio.transitions import draw_states
from voxpipe.testing.asterisk import call
from voxpipe.testing.caller_result import CallResult
from voxpipe.testing.caller_run import SPEECH
from voxpipe.testing.provider import Provider
from voxpipe.testing.signals import silence

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str = "") -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Every ``voxpipe`` command line in a block, without its comment."""
    lines = [line.removeprefix("$ ") for block in blocks() for line in block.splitlines()]
    return [line.partition("#")[0].strip() for line in lines if re.match(r"voxpipe [a-z]", line)]


def test_the_state_diagram_is_the_table() -> None:
    """The figure of the session machine is the one drawn from its table."""
    assert blocks("mermaid") == [draw_states() + "\n"]


def test_the_table_of_keys_is_that_of_the_configuration() -> None:
    """Every key the README shows exists, with that default and that meaning."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| `(.*?)` \| (.*?) \|$", README, re.MULTILINE)
    assert len(rows) >= 10
    for path, default, meaning in rows:
        model: type = Config
        *tables, name = path.split(".")
        for table in tables:
            model = attrs.fields_dict(model)[table].type  # type: ignore[assignment]
        field = attrs.fields_dict(model)[name]
        value = field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]
        assert (default, meaning) == (str(value) or '""', field.metadata["help"]), path


def test_the_dialplan_is_the_one_that_init_prints() -> None:
    """The dialplan in the README is that of the default configuration."""
    (dialplan,) = [block for block in blocks() if block.startswith("[voxpipe]")]
    printed = asterisk_dialplan(load_config(environ={}))
    assert dialplan == printed[printed.index("[voxpipe]") :]


def test_the_announcing_dialplan_is_the_one_that_init_prints() -> None:
    """The dialplan of the README's section on contexts is printed for the address which that names."""
    (dialplan,) = [block for block in blocks() if block.startswith("exten => agent,")]
    assert 'context.listen = "127.0.0.1:9093"' in README
    printed = asterisk_dialplan(load_config(environ={}, overrides={"context.listen": "127.0.0.1:9093"}))
    assert printed.endswith(dialplan)


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_the_commands_are_commands(line: str) -> None:
    """Every command line of the README is understood."""
    _, *tokens = shlex.split(line)
    app.parse_args(tokens, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.splitlines()[1])
def test_the_configurations_are_usable(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key is one, every value is accepted, and the vendor's own types take the request for such a session."""
    file = tmp_path / "voxpipe.toml"
    file.write_text(block)
    for name in ("OPENAI_API_KEY", "DEEPGRAM_API_KEY"):
        monkeypatch.setenv(name, "k")
    config = load_config(file, environ={})
    check_config(config)
    dialect = get_dialect(config.provider.dialect)
    pair = FormatPair.parse(config.provider.formats[0])
    command = ConfigureSession(config.session, pair, model=config.provider.model)
    vendor_parse(dialect.name, "client", json.loads(dialect.serialize(dialect.commands[ConfigureSession](command))))


def test_the_table_of_providers_is_that_of_the_dialects() -> None:
    """Names, keys of the environment and formats."""
    rows = re.findall(r"^\| `([a-z-]+)` \| .*? \| `([A-Z_]+)` \| (.*?) \|", README, re.MULTILINE)
    assert [row[0] for row in rows] == list(DIALECTS)
    for name, key, formats in rows:
        assert key == DIALECTS[name].api_key_env
        told = re.findall(r"`([a-z0-9-]+)`", formats)
        same = DIALECTS[told[0]].formats if told[0] in DIALECTS else ()
        assert set(told) == {str(each) for each in DIALECTS[name].formats} or same == DIALECTS[name].formats
        assert ("one for both" in formats) == DIALECTS[name].one_format


def test_the_error_is_the_one_shown() -> None:
    """The README's wrong value is refused in the very words it shows."""
    with pytest.raises(ConfigError) as caught:
        load_config(environ={}, overrides={"provider.ack_timeout_s": "soon"})
    assert f"voxpipe: {caught.value}\n" in README


def test_the_record_is_a_record() -> None:
    """The README's line of a log can be read."""
    (line,) = blocks("json")
    assert parse_line(line.strip().encode(), 1).event_type == "session.ready"


async def test_the_questions_are_answered(autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path) -> None:
    """Each SQL block of the README, asked of a good call, one that lost its session, and a plain log that fails."""
    good = await make_call(HELLO_AND_WAIT)
    lost = Script(audio=HELLO_AND_WAIT.audio + silence(SLIN8, 3))
    await make_call(lost, ("vanish", "parrot"))
    assert good.outcome.log is not None
    logs = good.outcome.log.parent
    no_transcription().write(logs / "plain.jsonl")
    table = tmp_path / "calls.parquet"
    assert index_logs([logs], table, jobs=1, keep=False, slo=None, lenient=False) == 0
    slowest, losses, checks = (ask(table, sql) for sql in blocks("sql"))
    assert slowest.columns == ["model", "calls", "worst_p95_ms", "typical_ms"]
    ((_model, calls, worst_p95_ms, typical_ms),) = slowest.rows
    assert calls == 2
    assert worst_p95_ms >= typical_ms > 0
    assert [row[2:4] for row in losses.rows] == [(1, 1)]
    transcripts = [row for row in checks.rows if row[1] == "transcription: transcripts arrive"]
    assert [(str(day), calls) for day, _, calls in transcripts] == [("2026-03-01", 1)]


# --- the examples, as they stand, in virtual time ---------------------------------------------------------------------


GATEWAY, LEG, TOOL, KEYPAD = "voxpipe.Gateway", "run_leg(leg, config))", "order_status", "check_pin"


def example(name: str) -> str:
    """The Python block that has a name in it."""
    (code,) = [block for block in blocks("python") if name in block]
    return code


def test_every_example_is_run() -> None:
    """There are no more than those below."""
    assert sorted(blocks("python")) == sorted(map(example, (GATEWAY, LEG, TOOL, KEYPAD)))


def test_the_gateway_example_attends_to_a_call(run_program: ProgramRunner, tmp_path: Path) -> None:
    """It greets, and at the key says its words to their end and hangs up; a minute later it drains."""
    provider = Provider("openai")
    results: list[CallResult] = []
    (tmp_path / "voxpipe.toml").write_text('[provider]\nurl = "ws://127.0.0.1:8765/v1/realtime"\n')

    async def dial_in(nursery: trio.Nursery) -> None:
        await nursery.start(provider.listen, "127.0.0.1", 8765)

        async def phone() -> None:
            await trio.sleep(5)
            line = await trio.open_tcp_stream("127.0.0.1", 9092)
            results.append(await call(line, silence(SLIN8, 1), SLIN8, call_id=CALL, digits=[(6.0, "0")], seconds=30))

        nursery.start_soon(phone)

    output, lasted_s = run_program(example(GATEWAY), beside=dial_in)
    turns = {"caller": 0, "agent": 2, "cut": 0}
    assert output.splitlines() == ["listening on 127.0.0.1:9092", f"{CALL} hang-up requested {turns}"]
    assert 60 <= lasted_s < 61
    (session,) = provider.sessions
    asked = [
        message.body["response"]["instructions"] for message in session.messages if message.type == "response.create"
    ]
    assert [text.removeprefix(SAY) for text in asked] == ["Rosa's Pizza, good evening!", "I will put you through."]
    assert session.complaints == []
    (result,) = results
    assert result.ended_by == "hang-up"
    assert result.faults == ()
    assert 8 < result.duration_s < 10


def test_the_leg_example_is_answered(run_program: ProgramRunner, tmp_path: Path) -> None:
    """The caller hears an answer on a stream in memory, in the formats that the outcome tells."""
    shutil.copy(SPEECH, tmp_path / "hello.wav")
    output, _ = run_program(example(LEG))
    assert re.search(r"heard \d{6,} bytes, the first word after \d\.\d\d s", output)
    assert "'leg': {'uplink': 'slin16', 'downlink': 'slin16'}" in output
    assert "'confirmed': {'uplink': 'slin24', 'downlink': 'slin24'}" in output
    (log,) = (tmp_path / "logs").iterdir()
    assert output.rstrip().endswith(str(log.relative_to(tmp_path)))


def test_the_tool_example_is_called(run_program: ProgramRunner) -> None:
    """The tool is called, answered, and spoken about."""
    output, _ = run_program(example(TOOL))
    assert "tool.called" in output
    assert "'output': 'Order 7 is on its way.'" in output
    assert re.search(r"heard the first word about it after \d\.\d\d s", output)


async def test_the_keypad_example_is_given_the_pin(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The tool of the example is called, the caller enters the PIN, and neither the model nor the log has it."""
    names: dict[str, Any] = {}
    exec(example(KEYPAD), names)
    call = await make_call(caller(9, (2.0, "7391")), asks(name="check_pin"), own_tools=[names["pin"]])
    assert outputs(call) == ["The PIN is right."]
    assert texts(call) == []
    assert call.outcome.log is not None
    assert '"7391"' not in call.outcome.log.read_text()
