"""The README says what is so: its figures, tables, commands and examples are held against the code."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from keypad import asks, caller, outputs, texts
from trio.testing import MockClock
from virtual_call import CallMaker

from voxpipe.cli import app
from voxpipe.config import Config
from voxpipe.config_file import load_config
from voxpipe.dialplan import asterisk_dialplan
from voxpipe.errors import ConfigError
from voxpipe.sansio.records import parse_line
from voxpipe.sansio.transitions import draw_states
from voxpipe.testing.caller_run import SPEECH

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


def test_the_error_is_the_one_shown() -> None:
    """The README's wrong value is refused in the very words it shows."""
    with pytest.raises(ConfigError) as caught:
        load_config(environ={}, overrides={"provider.ack_timeout_s": "soon"})
    assert f"voxpipe: {caught.value}\n" in README


def test_the_record_is_a_record() -> None:
    """The README's line of a log can be read."""
    (line,) = blocks("json")
    assert parse_line(line.strip().encode(), 1).event_type == "session.ready"


@pytest.mark.sockets
def test_the_gateway_example_listens(tmp_path: Path) -> None:
    """The first library example runs as it stands, but for the minute it waits."""
    (tmp_path / "voxpipe.toml").write_text('[gateway]\nlisten = "127.0.0.1:0"\n')
    output = run_example(blocks("python")[0].replace("trio.sleep(60)", "trio.sleep(0.2)"), tmp_path)
    assert "listening on 127.0.0.1:" in output
    assert output.rstrip().endswith("gateway.stopped")


@pytest.mark.sockets
def test_the_leg_example_is_answered(tmp_path: Path) -> None:
    """The second library example runs as it stands, and the caller hears an answer."""
    shutil.copy(SPEECH, tmp_path / "hello.wav")
    output = run_example(blocks("python")[1], tmp_path)
    assert re.search(r"heard \d{5,} bytes, the first word after \d\.\d\d s", output)
    assert "'confirmed': {'uplink': 'slin24', 'downlink': 'slin24'}" in output


@pytest.mark.sockets
def test_the_example_of_a_hand_in_a_call_runs(tmp_path: Path) -> None:
    """The example of a handle to a call serves as it stands, but for its end."""
    (tmp_path / "voxpipe.toml").write_text('[gateway]\nlisten = "127.0.0.1:0"\n')
    (given,) = (block for block in blocks("python") if "await gateway.serve()" in block and "on_start" in block)
    code = given.replace("await gateway.serve()", "with trio.move_on_after(0.3): await gateway.serve()")
    assert run_example(code, tmp_path) == ""


@pytest.mark.sockets
def test_the_tool_example_is_called(tmp_path: Path) -> None:
    """The library example of a tool runs as it stands: the tool is called, answered, and spoken about."""
    (code,) = (block for block in blocks("python") if "order_status" in block)
    output = run_example(code, tmp_path)
    assert "tool.called" in output
    assert "'output': 'Order 7 is on its way.'" in output
    assert re.search(r"heard the first word about it after \d\.\d\d s", output)


async def test_the_keypad_example_is_given_the_pin(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The tool of the example is called, the caller enters the PIN, and neither the model nor the log has it."""
    names: dict[str, Any] = {}
    exec(next(block for block in blocks("python") if "check_pin" in block), names)
    call = await make_call(caller(9, (2.0, "7391")), asks(name="check_pin"), own_tools=[names["pin"]])
    assert outputs(call) == ["The PIN is right."]
    assert texts(call) == []
    assert call.outcome.log is not None
    assert '"7391"' not in call.outcome.log.read_text()


def run_example(code: str, folder: Path) -> str:
    """Run an example as a program of its own in a folder."""
    environ = {**os.environ, "OPENAI_API_KEY": "sk-not-used"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
