"""The command ``voxpipe`` as a user has it: what its processes do together, their exit status, and their files."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile
from command import COMMAND, ENVIRON, Background, run
from websockets.sync.client import connect

from voxpipe.audio import SLIN8
from voxpipe.dialects import DIALECTS
from voxpipe.testing.signals import align, speech_like
from voxpipe.wav import read_wav, write_wav

# --- demo -------------------------------------------------------------------------------------------------------------


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("leg_format", "dialect"), [("slin8", "openai"), ("slin48", "openai"), ("slin16", "openai-beta")]
)
def test_the_demo_succeeds_and_leaves_its_evidence(tmp_path: Path, leg_format: str, dialect: str) -> None:
    """Status 0; the first append comes after the acknowledgement; the caller hears its own words."""
    done = run("demo", "--out", tmp_path, "--leg-format", leg_format, "--dialect", dialect)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILS" not in done.stdout
    assert "caller has spoken" in done.stderr
    (log,) = [path for path in tmp_path.glob("*.jsonl") if not path.name.startswith("gateway")]
    types = [json.loads(line)["event_type"] for line in log.read_text().splitlines()]
    assert types.index("session.ready") < types.index(DIALECTS[dialect].audio_type)
    assert types[-1] == "leg.summary"
    said, said_format = read_wav(log.with_suffix(".caller-said.wav"))
    heard, heard_format = read_wav(log.with_suffix(".caller-heard.wav"))
    assert str(said_format) == str(heard_format) == leg_format
    second = 2 * said_format.rate_hz
    assert align(said[-second:], heard).correlation > 0.95


@pytest.mark.sockets
def test_the_demo_succeeds_with_every_other_dialect(tmp_path: Path) -> None:
    """Its own checks are the same for all; three at a time, since each takes its ten seconds."""

    def demo(dialect: str) -> subprocess.CompletedProcess[str]:
        return run("demo", "--out", tmp_path / dialect, "--dialect", dialect)

    others = [dialect for dialect in DIALECTS if dialect not in ("openai", "openai-beta")]
    with ThreadPoolExecutor(3) as threads:
        for dialect, done in zip(others, threads.map(demo, others), strict=True):
            assert done.returncode == 0, f"{dialect}: {done.stdout + done.stderr}"
            assert "FAILS" not in done.stdout


@pytest.mark.sockets
def test_demos_in_one_folder_keep_each_their_own(tmp_path: Path) -> None:
    """The second one touches no file of the first, and each leaves four recordings named after its log."""
    run("demo", "--out", tmp_path, "--scenario", "vanish")
    first = {path: path.read_bytes() for path in tmp_path.iterdir()}
    run("demo", "--out", tmp_path, "--scenario", "vanish", "--leg-format", "slin16")
    assert {path: path.read_bytes() for path in first} == first
    logs = [path for path in tmp_path.glob("*.jsonl") if not path.name.startswith("gateway")]
    assert len(logs) == 2
    names = {f"{log.stem}.{what}.wav" for log in logs for what in ("uplink", "downlink", "caller-said", "caller-heard")}
    assert {path.name for path in tmp_path.glob("*.wav")} == names


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ("wrong-format", "expected uplink slin24 and downlink slin24, got uplink slin24 and downlink ulaw8"),
        ("no-ack", "expected SessionUpdated in answer to ConfigureSession within 2 s, got nothing"),
        ("refused", "got refusal unknown_parameter"),
    ],
)
def test_the_demo_fails_loudly_without_an_acknowledgement(tmp_path: Path, scenario: str, message: str) -> None:
    """Status 1, expected and actual on the terminal, and no append in the log."""
    done = run("demo", "--out", tmp_path, "--scenario", scenario)
    assert done.returncode == 1
    assert message in done.stderr
    (log,) = [path for path in tmp_path.glob("*.jsonl") if not path.name.startswith("gateway")]
    assert message in log.read_text()
    assert "input_audio_buffer.append" not in log.read_text()


# --- serve, call, simulate --------------------------------------------------------------------------------------------


@pytest.fixture
def simulator() -> Iterator[Background]:
    """A running ``voxpipe simulate``."""
    background = Background("simulate", "--listen", "127.0.0.1:0")
    yield background
    background.signal(signal.SIGTERM)
    background.end()


def serve(simulator: Background, folder: Path, *args: object) -> tuple[Background, str]:
    """Start ``voxpipe serve`` for a simulator; return it and its address."""
    url = simulator.wait_for(r"(ws://\S+)")[1]
    gateway = Background("serve", "--listen", "127.0.0.1:0", "--url", url, "--log-dir", folder, *args)
    return gateway, gateway.wait_for(r"listening on (\S+)")[1]


@pytest.mark.sockets
def test_serve_call_and_simulate_make_a_call(tmp_path: Path, simulator: Background) -> None:
    """Three processes, one call: the measurements as JSON, the recording, the digits, and a drain by SIGTERM."""
    gateway, address = serve(simulator, tmp_path / "logs", "--max-legs", 3, "--set", "digits.log=true")
    write_wav(tmp_path / "said.wav", speech_like(SLIN8, 1.0), SLIN8)
    done = run(
        "call", address, "--wav", tmp_path / "said.wav", "--record", tmp_path / "h.wav", "--json", "--dtmf", "1#"
    )
    assert done.returncode == 0, done.stderr
    (measured,) = json.loads(done.stdout)
    assert measured["digits_sent"] == "1#"
    assert measured["faults"] == []
    assert measured["gaps"]["p50_ms"] == pytest.approx(20, abs=2)
    assert 0 < measured["answer_delay_s"] < 3
    said, _ = read_wav(tmp_path / "said.wav")
    heard, _ = read_wav(tmp_path / "h.wav")
    assert align(said, heard).correlation > 0.9
    gateway.signal(signal.SIGTERM)
    assert gateway.end() == 0
    assert any("gateway.stopped" in line for line in gateway.lines)
    (log,) = [path for path in (tmp_path / "logs").glob("*.jsonl") if not path.name.startswith("gateway")]
    digits = [data["digit"] for data in map(event_data, log.read_text().splitlines()) if "digit" in data]
    assert digits == ["1", "#"]
    assert "The caller pressed 1 on the telephone keypad." in log.read_text()


def event_data(line: str) -> dict[str, object]:
    """The data of one line."""
    data: dict[str, object] = json.loads(line)["event_data"]
    return data


@pytest.mark.sockets
def test_several_calls_at_once_and_one_too_many(tmp_path: Path, simulator: Background) -> None:
    """Beyond max_legs a caller is refused at once; the others are served, each with its own recording."""
    gateway, address = serve(simulator, tmp_path / "logs", "--max-legs", 2)
    done = run("call", address, "--calls", 3, "--seconds", 2, "--record", tmp_path / "heard.wav", "--json")
    results = json.loads(done.stdout)
    assert sorted(result["ended_by"] for result in results) == ["caller", "caller", "hang-up"]
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == ["heard-1.wav", "heard-2.wav", "heard-3.wav"]
    gateway.wait_for(r"leg.refused +expected fewer than 2 legs, got 2")
    gateway.signal(signal.SIGINT)
    assert gateway.end() == 0


@pytest.mark.sockets
def test_a_second_signal_ends_at_once(tmp_path: Path, simulator: Background) -> None:
    """With a call under way the first SIGINT drains, the second ends; the log is complete all the same."""
    gateway, address = serve(simulator, tmp_path, "--set", "gateway.drain_timeout_s=60")
    caller = Background("call", address, "--seconds", 30, "--wav", long_speech(tmp_path))
    gateway.wait_for("agent speaks")
    gateway.signal(signal.SIGINT)
    gateway.wait_for("gateway.draining")
    gateway.signal(signal.SIGINT)
    assert gateway.end() == 130
    assert caller.end() in (0, 1)
    (log,) = [path for path in tmp_path.glob("*.jsonl") if not path.name.startswith("gateway")]
    assert json.loads(log.read_text().splitlines()[-1])["event_type"] == "leg.summary"


def long_speech(folder: Path) -> Path:
    """Speech of eight seconds, which is answered for as long."""
    path = folder / "long.wav"
    write_wav(path, speech_like(SLIN8, 8.0), SLIN8)
    return path


@pytest.mark.sockets
def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    """The address is in the message, and the status is 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for args in (
            ["serve", "--listen", f"127.0.0.1:{port}", "--log-dir", tmp_path],
            ["simulate", "--listen", f"127.0.0.1:{port}"],
        ):
            done = run(*args)
            assert done.returncode == 2
            assert "already in use" in done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.sockets
def test_a_call_that_nobody_takes_fails() -> None:
    """Status 1, and the address in the message."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = run("call", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"no connection to 127.0.0.1:{port}: is the gateway running?" in done.stderr


@pytest.mark.sockets
def test_an_answer_may_be_asked_for(tmp_path: Path, simulator: Background) -> None:
    """A caller who says nothing hears nothing: well without --expect-answer, and status 1 with it."""
    gateway, address = serve(simulator, tmp_path / "logs")
    write_wav(tmp_path / "quiet.wav", bytes(16_000), SLIN8)
    assert run("call", address, "--wav", tmp_path / "quiet.wav", "--seconds", 1).returncode == 0
    assert run("call", address, "--wav", tmp_path / "quiet.wav", "--seconds", 1, "--expect-answer").returncode == 1
    gateway.signal(signal.SIGTERM)
    assert gateway.end() == 0


@pytest.mark.sockets
def test_simulate_tells_what_a_client_does_wrong() -> None:
    """Audio before the acknowledgement and an unknown event are named on the terminal, and the status is 1."""
    background = Background("simulate", "--listen", "127.0.0.1:0")
    url = background.wait_for(r"(ws://\S+)")[1]
    with connect(f"{url}?model=any", proxy=None) as client:
        client.recv(timeout=5)
        client.send(json.dumps({"type": "input_audio_buffer.append", "audio": "AAAAAA=="}))
        client.send(json.dumps({"type": "input_audio_buffer.sing"}))
        background.wait_for("input_audio_buffer.sing")
    background.signal(signal.SIGINT)
    assert background.end() == 1
    text = "".join(background.lines)
    assert "before" in text
    assert "2 complaints" in text


@pytest.mark.sockets
def test_the_recording_is_a_wav_any_player_takes(tmp_path: Path, simulator: Background) -> None:
    """A 24 kHz leg gives a 24 kHz recording as long as the call."""
    gateway, address = serve(simulator, tmp_path / "logs")
    done = run("call", address, "--format", "slin24", "--seconds", 1.5, "--record", tmp_path / "heard.wav")
    assert done.returncode == 0
    info = soundfile.info(tmp_path / "heard.wav")
    assert (info.samplerate, info.channels) == (24_000, 1)
    assert info.duration == pytest.approx(1.5, abs=0.2)
    gateway.signal(signal.SIGTERM)
    assert gateway.end() == 0


@pytest.mark.sockets
def test_a_gateway_outlives_its_terminal(tmp_path: Path, simulator: Background) -> None:
    """With standard error on a full disk, calls are answered, and SIGTERM drains as ever."""
    url = simulator.wait_for(r"(ws://\S+)")[1]
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with Path("/dev/full").open("wb") as full:
        command = [*COMMAND, "serve", "--listen", address, "--url", url, "--log-dir", str(tmp_path)]
        gateway = subprocess.Popen(command, env=ENVIRON, stderr=full)
    try:
        deadline_s = time.monotonic() + 20
        while not list(tmp_path.glob("gateway-*.jsonl")) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        (measured,) = json.loads(run("call", address, "--seconds", 1, "--json").stdout)
        assert measured["ended_by"] == "caller"
        gateway.send_signal(signal.SIGTERM)
        gateway.wait(20)
    finally:
        gateway.kill()
    assert "gateway.stopped" in next(tmp_path.glob("gateway-*.jsonl")).read_text()


@pytest.mark.sockets
def test_an_interrupted_call_keeps_what_it_heard(tmp_path: Path) -> None:
    """SIGINT hangs up: the table and the recording are there, as after any other call."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        background = Background("call", f"127.0.0.1:{mute.getsockname()[1]}", "--record", tmp_path / "heard.wav")
        background.wait_for("connected")
        time.sleep(0.3)
        background.signal(signal.SIGINT)
        assert background.end() == 0
    assert soundfile.info(tmp_path / "heard.wav").duration == pytest.approx(0.4, abs=0.3)


@pytest.mark.sockets
def test_a_session_that_was_lost_was_acknowledged_all_the_same(tmp_path: Path) -> None:
    """The verdict tells the two apart."""
    done = run("demo", "--out", tmp_path, "--scenario", "vanish")
    assert done.returncode == 1
    assert re.search(r"holds +│ session acknowledged", done.stdout)
    assert re.search(r"FAILS +│ session held to the end", done.stdout)
