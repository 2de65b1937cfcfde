"""The command ``voxpipe``: its help, its one-line errors for wrong usage, and the files that init writes."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from uuid import UUID

import pytest
from command import ENVIRON, run

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


@pytest.mark.parametrize("command", ["demo", "serve", "init", "call", "simulate"])
def test_help_explains_every_flag(command: str) -> None:
    """Each parameter in the help has words beside it."""
    done = run(command, "--help")
    assert done.returncode == 0
    flags = re.findall(r"^│ \*? *([A-Z]* ?--[a-z-]+.*?)│$", done.stdout, re.MULTILINE)
    assert len(flags) >= 3
    for flag in flags:
        assert re.search(r"--[a-z-]+( -\w)?( [A-Z.]+)?\s{2,}\S", flag), flag


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["serve", "--set", "leg.fromat=slin8"], "leg.fromat: expected one of format, "),
        (["serve", "--max-legs", "0"], "gateway.max_legs: expected 1 to 100000, got 0"),
        (["serve", "--listen", "9092"], "gateway.listen: expected HOST:PORT, got '9092'"),
        (["serve", "--set", "nonsense"], "--set: expected TABLE.KEY=VALUE, got 'nonsense'"),
        (["serve", "--config", "missing.toml"], "missing.toml: expected a TOML file, found none"),
        (["serve", "--dialect", "klingon"], "provider.dialect: expected one of openai, openai-beta, "),
        (["serve", "--url", "http://x"], "provider.url: expected"),
        (["serve", "--set", "leg.failure_wav=none.wav"], "leg.failure_wav: "),
        (["demo", "--scenario", "sunshine"], "--scenario: expected one of parrot, "),
        (["demo", "--caller", "none.wav"], "none.wav"),
        (["call", "nowhere"], "ADDRESS: expected HOST:PORT, got 'nowhere'"),
        (["call", "127.0.0.1:1", "--dtmf", "12X"], "expected DTMF digits (0-9 * # A-D), got 'X'"),
        (["call", "127.0.0.1:1", "--calls", "0"], "expected 1 call or more, got 0"),
        (["simulate", "--scenario", "sunshine"], "--scenario: expected one of parrot, "),
        (["call", "127.0.0.1:1", "--calls", "2", "--uuid", str(UUID(int=7))], "expected one call with a UUID"),
        (["call", "127.0.0.1:1", "--seconds", "-1"], "expected seconds of 0 or more, got -1"),
        (["call", "127.0.0.1:1", "--seconds", "nan"], "expected seconds of 0 or more, got nan"),
        (["init", "--asterik"], "expected a file, - or a known option, got '--asterik'"),
        (["init", "--config", "c.toml", "new.toml"], "--config: expected it with --asterisk"),
        (
            ["serve", "--listen", "nosuch.invalid:1"],
            "gateway.listen: expected an address of this machine, got 'nosuch.i",
        ),
        (["simulate", "--listen", "nosuch.invalid:1"], "--listen: expected an address of this machine, got 'nosuch.i"),
        (["call", "127.0.0.1:1", "--record", "none/x.wav"], "none/x.wav: expected a file in a folder that can be writ"),
        (["frobnicate"], "frobnicate"),
        (["serve", "--colour", "red"], "--colour"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_error_with_status_2(tmp_path: Path, args: list[str], message: str) -> None:
    """What cannot be done as asked says what was expected and what was found, without a traceback."""
    done = run(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not any(tmp_path.rglob("*.jsonl"))


def test_serving_the_vendor_without_a_key_is_an_error(tmp_path: Path) -> None:
    """With the dialect's own URL and no key, nothing starts."""
    environ = {name: value for name, value in ENVIRON.items() if name != "OPENAI_API_KEY"}
    done = run("serve", cwd=tmp_path, environ=environ)
    assert done.returncode == 2
    assert "provider.api_key: expected a key in OPENAI_API_KEY" in done.stderr


def test_init_writes_a_file_once(tmp_path: Path) -> None:
    """The file is valid TOML, and a second run leaves it as it is."""
    assert run("init", cwd=tmp_path).returncode == 0
    file = tmp_path / "voxpipe.toml"
    assert set(tomllib.loads(file.read_text())) >= {"gateway", "leg", "provider", "session", "log", "limits"}
    file.write_text("mine = 1\n")
    again = run("init", cwd=tmp_path)
    assert again.returncode == 2
    assert "expected no file there, found one" in again.stderr
    assert file.read_text() == "mine = 1\n"


def test_init_writes_to_standard_output() -> None:
    """With a hyphen for a file, as the README has it."""
    done = run("init", "-")
    assert done.returncode == 0
    assert "gateway" in tomllib.loads(done.stdout)


def test_init_asterisk_follows_the_configuration(tmp_path: Path) -> None:
    """The dialplan names the configured port and format."""
    (tmp_path / "c.toml").write_text('[gateway]\nlisten = "10.1.2.3:7777"\n[leg]\nformat = "ulaw8"\n')
    done = run("init", "--asterisk", "--config", "c.toml", cwd=tmp_path)
    assert done.returncode == 0
    assert "Dial(AudioSocket/10.1.2.3:7777/${UUID()}/c(ulaw),,g)" in done.stdout


STARTS = {
    "the script": "from voxpipe.__main__ import main; main()",
    "python -m voxpipe": "import runpy; runpy.run_module('voxpipe', run_name='__main__', alter_sys=True)",
}
INTERRUPTED_AT = """
import os, signal, sys

class Finder:
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder)
sys.argv = ["voxpipe", "--version"]
"""


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("module", ["voxpipe.cli", "attrs", "trio", "rich.console", "voxpipe.leg"])
def test_an_interrupt_while_it_starts_leaves_no_traceback(start: str, module: str) -> None:
    """SIGINT in the middle of the imports: status 130 and not a word, as later on."""
    script = tomllib.loads(PYPROJECT.read_text())["project"]["scripts"]["voxpipe"]
    assert script == "voxpipe.__main__:main"
    code = INTERRUPTED_AT.format(module=module) + STARTS[start]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
