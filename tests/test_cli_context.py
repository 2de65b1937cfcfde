"""The command's part in announced calls: what it refuses to serve, what it prints, and that it answers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-W", "error", "-m", "voxpipe"]
ENVIRON = {**os.environ, "OPENAI_API_KEY": "sk-not-used", "COLUMNS": "200"}


def run(cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *args], cwd=cwd, env=ENVIRON, capture_output=True, text=True, timeout=90, check=False
    )


WRONG = {
    "context.announced_only=true": "context.announced_only: expected context.listen with it",
    "context.listen=0.0.0.0:9093": "context.token: expected a token, since context.listen (0.0.0.0:9093) is beyond",
    "context.listen=9093": "context.listen: expected HOST:PORT, got '9093'",
    "context.listen=127.0.0.2222:1": "context.token: expected a token",
}


@pytest.mark.parametrize("key", WRONG)
def test_what_cannot_be_served_is_one_error(tmp_path: Path, key: str) -> None:
    """It names the key, what was expected and what was found; status 2."""
    done = run(tmp_path, "serve", "--listen", "127.0.0.1:0", "--set", key)
    assert done.returncode == 2
    assert f"voxpipe: {WRONG[key]}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.sockets
def test_an_address_of_another_machine_is_one_error(tmp_path: Path) -> None:
    """The endpoint's address is named, not the gateway's."""
    listen = ("--set", "context.token=t", "--set", "context.listen=nosuch.invalid:1")
    done = run(tmp_path, "serve", "--listen", "127.0.0.1:0", *listen)
    assert done.returncode == 2
    assert "context.listen: expected an address of this machine, got 'nosuch.invalid:1'" in done.stderr


@pytest.mark.sockets
def test_a_served_gateway_says_where_it_can_be_asked(tmp_path: Path) -> None:
    """Its log names the port, healthz answers there, and SIGTERM ends it well."""
    args = ["serve", "--listen", "127.0.0.1:0", "--set", "context.listen=127.0.0.1:0"]
    args += ["--url", "ws://127.0.0.1:1/"]
    with subprocess.Popen([*COMMAND, *args], cwd=tmp_path, env=ENVIRON, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        line = next(line for line in process.stderr if "context.started" in line)
        address = re.search(r"127\.0\.0\.1:\d+", line)
        assert address is not None
        with urllib.request.urlopen(f"http://{address[0]}/healthz", timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        watchdog.cancel()
    assert process.returncode == 0


def test_init_asterisk_announces_calls_where_that_is_configured(tmp_path: Path) -> None:
    """Two CURL() lines to the configured address; the token is named, and not printed."""
    (tmp_path / "c.toml").write_text('[context]\nlisten = "0.0.0.0:7778"\ntoken = "tok-0123"\n')
    done = run(tmp_path, "init", "--asterisk", "--config", "c.toml")
    assert done.returncode == 0
    assert done.stdout.count("${CURL(http://127.0.0.1:7778/legs/${CALL}") == 2
    assert "Authorization: Bearer ${VOXPIPE_TOKEN}" in done.stdout
    assert "tok-0123" not in done.stdout
