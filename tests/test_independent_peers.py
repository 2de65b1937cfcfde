"""The gateway as a process between two peers that share no code with it.

The provider is support/independent_provider.py (asyncio and ``websockets``, a process of its own), the caller a thread
with a plain socket and ``struct``, the gateway ``python -m voxpipe serve``. All in real time.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import trustme

from voxpipe.analysis import read_call
from voxpipe.audio import PCM24, SLIN8
from voxpipe.testing.signals import align, speech_like

pytestmark = pytest.mark.sockets

PROVIDER = Path(__file__).parent / "support/independent_provider.py"
TIMEOUT_S = 30.0
HEADER = struct.Struct("!BH")
HANGUP_KIND, UUID_KIND, DIGIT_KIND, AUDIO_KIND = 0x00, 0x01, 0x03, 0x10
WORDS_S = 2.0


class Caller(threading.Thread):
    """One AudioSocket call in slin8: speaks a frame each 20 ms, silence at last, until the gateway ends the call."""

    def __init__(self, port: int, call_id: UUID, speech: bytes, digit: bytes = b"") -> None:
        super().__init__()
        self.heard = bytearray()
        self.kinds: set[int] = set()
        self.hung_up = False
        self.closed = False
        self.spoken_to = threading.Event()
        self._digit = digit
        self._frames = [speech[start : start + 320].ljust(320, b"\0") for start in range(0, len(speech), 320)]
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._send(UUID_KIND, call_id.bytes)
        self._listening = threading.Thread(target=self._listen)

    def run(self) -> None:
        """Speak; the digit comes with the first frame."""
        self._listening.start()
        start_s, count = time.monotonic(), 0
        with self._socket:
            while self._listening.is_alive() and time.monotonic() - start_s < TIMEOUT_S:
                try:
                    self._send(AUDIO_KIND, self._frames[count] if count < len(self._frames) else bytes(320))
                    if count == 0 and self._digit:
                        self._send(DIGIT_KIND, self._digit)
                except OSError:
                    break  # the gateway has closed; what it said last is still read
                count += 1
                time.sleep(max(0.0, start_s + 0.02 * count - time.monotonic()))
            self._listening.join(TIMEOUT_S)

    def _send(self, kind: int, payload: bytes) -> None:
        self._socket.sendall(HEADER.pack(kind, len(payload)) + payload)

    def _listen(self) -> None:
        data = b""
        try:
            while piece := self._socket.recv(4096):
                data += piece
                while len(data) >= 3 and len(data) >= (end := 3 + HEADER.unpack(data[:3])[1]):
                    self._take(data[0], data[3:end])
                    data = data[end:]
        except ConnectionResetError:
            pass  # it closed with frames of ours unread, as a gateway that hangs up does
        self.closed = not data

    def _take(self, kind: int, payload: bytes) -> None:
        self.kinds.add(kind)
        self.hung_up = self.hung_up or kind == HANGUP_KIND
        self.heard += payload
        if any(payload):
            self.spoken_to.set()


@contextmanager
def running(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process, and end it with the block if it has not ended by itself."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def line_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line of JSON that a process prints."""
    assert process.stdout is not None
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda pipe: lines.put(pipe.readline()), args=[process.stdout], daemon=True).start()
    facts: dict[str, Any] = json.loads(lines.get(timeout=TIMEOUT_S))
    return facts


def records_of(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """The whole lines of the only log of that name; none while there is no log."""
    files = list(folder.glob(pattern))
    assert len(files) <= 1
    return [
        json.loads(line) for file in files for line in file.read_text().splitlines(keepends=True) if line[-1] == "\n"
    ]


def listening_port(gateway: subprocess.Popen[str], logs: Path) -> int:
    """The port of a gateway told to take any, from its own log."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        assert gateway.poll() is None, f"the gateway ended with {gateway.returncode}"
        for record in records_of(logs, "gateway-*.jsonl"):
            if record["event_type"] == "gateway.started":
                return int(record["event_data"]["listen"].rpartition(":")[2])
        time.sleep(0.05)
    pytest.fail(f"expected gateway.started in {logs} within {TIMEOUT_S:g} s, got none")


def provider_over(scheme: str, folder: Path) -> tuple[list[str], list[str]]:
    """The arguments that make the provider serve this scheme, and those that make the gateway trust it."""
    if scheme == "ws":
        return [], []
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "provider.pem")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return [str(folder / "provider.pem")], ["--set", f"provider.ca_file={folder / 'authority.pem'}"]


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_call_between_strangers(tmp_path: Path, scheme: str) -> None:
    """Both hear each other; SIGTERM in the middle of the answer lets it be heard to its end and exits with 0."""
    words, said = speech_like(PCM24, WORDS_S, seed=3), speech_like(SLIN8, 1.0, seed=4)
    (tmp_path / "words").write_bytes(words)
    certificate, trust = provider_over(scheme, tmp_path)
    logs = tmp_path / "logs"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOXPIPE_")}
    with running(sys.executable, str(PROVIDER), "0", str(tmp_path / "words"), *certificate) as provider:
        url = f"{scheme}://127.0.0.1:{line_of(provider)['port']}/v1/realtime"
        flags = ["--listen", "127.0.0.1:0", "--url", url, "--log-dir", str(logs), *trust]
        command = [sys.executable, "-m", "voxpipe", "serve", *flags]
        with running(*command, env={**environment, "OPENAI_API_KEY": "sk-strange"}) as gateway:
            call_id = uuid4()
            caller = Caller(listening_port(gateway, logs), call_id, said, digit=b"7")
            caller.start()
            assert caller.spoken_to.wait(TIMEOUT_S)
            gateway.send_signal(signal.SIGTERM)
            assert gateway.wait(TIMEOUT_S) == 0
        caller.join(TIMEOUT_S)
        session = line_of(provider)

    assert session["wrong"] == ""
    assert session["authorization"] == "Bearer sk-strange"
    assert session["types"][0] == "session.update"
    assert set(session["types"][1:]) == {"input_audio_buffer.append"}
    assert session["close_code"] == 1000
    assert align(speech_like(PCM24, 1.0, seed=4), base64.b64decode(session["heard"])).correlation > 0.95
    assert caller.kinds == {AUDIO_KIND, HANGUP_KIND}
    assert caller.hung_up
    assert caller.closed
    assert align(speech_like(SLIN8, WORDS_S, seed=3), bytes(caller.heard)).correlation > 0.95

    leg = records_of(logs, f"*-{call_id}.jsonl")
    assert leg[-1]["event_type"] == "leg.summary"
    assert leg[-1]["event_data"]["error"] is None
    assert leg[-1]["event_data"]["uplink"]["digits"] == 1
    assert leg[-1]["event_data"]["turns"]["agent"] == 1
    of_gateway = [record["event_type"] for record in records_of(logs, "gateway-*.jsonl")]
    assert of_gateway == ["gateway.started", "gateway.draining", "leg.ended", "gateway.stopped"]


@pytest.mark.parametrize(
    ("dialect", "authorization", "types"),
    [
        ("deepgram", "Token strange", ["Settings", "audio"]),
        ("openai-live", "Bearer strange", ["session.start", "session.input_audio.append", "session.close"]),
    ],
)
def test_a_call_with_another_vendor(tmp_path: Path, dialect: str, authorization: str, types: list[str]) -> None:
    """A server that was written from the vendor's types: both hear each other, and the log has what was said."""
    words, said = speech_like(PCM24, WORDS_S, seed=3), speech_like(SLIN8, 1.0, seed=4)
    (tmp_path / "words").write_bytes(words)
    logs, call_id = tmp_path / "logs", uuid4()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOXPIPE_")}
    vendors = str(PROVIDER.with_name("independent_vendors.py"))
    with running(sys.executable, vendors, dialect, "0", str(tmp_path / "words")) as provider:
        url = f"ws://127.0.0.1:{line_of(provider)['port']}/x"
        flags = ["--listen", "127.0.0.1:0", "--dialect", dialect, "--url", url, "--log-dir", str(logs)]
        command = [sys.executable, "-m", "voxpipe", "serve", *flags]
        with running(*command, env={**environment, "VOXPIPE_PROVIDER__API_KEY": "strange"}) as gateway:
            caller = Caller(listening_port(gateway, logs), call_id, said)
            caller.start()
            assert caller.spoken_to.wait(TIMEOUT_S)
            time.sleep(WORDS_S + 0.7)
            gateway.send_signal(signal.SIGTERM)
            assert gateway.wait(TIMEOUT_S) == 0
        caller.join(TIMEOUT_S)
        session = line_of(provider)

    assert session["wrong"] == ""
    assert session["authorization"] == authorization
    assert list(dict.fromkeys(session["types"])) == types
    assert session["close_code"] == 1000
    assert align(speech_like(PCM24, 1.0, seed=4), base64.b64decode(session["heard"])).correlation > 0.95
    assert caller.hung_up
    assert align(speech_like(SLIN8, WORDS_S, seed=3), bytes(caller.heard)).correlation > 0.95
    call = read_call(next(logs.glob(f"*-{call_id}.jsonl")))
    caller, agent = call.accounts.caller, call.accounts.agent
    spoken = [*(turn.transcript for turn in caller.turns), *(turn.transcript for turn in agent.turns)]
    assert spoken == ["What is the time?", "It is noon."]
    summary = records_of(logs, f"*-{call_id}.jsonl")[-1]["event_data"]
    assert summary["error"] is None


def test_a_call_outlives_a_provider_that_is_killed(tmp_path: Path) -> None:
    """Killed in the middle of its answer and started again a second later: it is told what was said, and goes on."""
    words, said = speech_like(PCM24, WORDS_S, seed=3), speech_like(SLIN8, 1.0, seed=4)
    (tmp_path / "words").write_bytes(words)
    logs = tmp_path / "logs"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOXPIPE_")}
    with running(sys.executable, str(PROVIDER), "0", str(tmp_path / "words")) as provider:
        port = line_of(provider)["port"]
        flags = ["--listen", "127.0.0.1:0", "--url", f"ws://127.0.0.1:{port}/v1/realtime", "--log-dir", str(logs)]
        command = [sys.executable, "-m", "voxpipe", "serve", *flags]
        with running(*command, env={**environment, "OPENAI_API_KEY": "sk-strange"}) as gateway:
            call_id = uuid4()
            caller = Caller(listening_port(gateway, logs), call_id, said)
            caller.start()
            assert caller.spoken_to.wait(TIMEOUT_S)
            provider.kill()
            provider.wait(TIMEOUT_S)
            time.sleep(1.0)
            heard_bytes = len(caller.heard)
            with running(sys.executable, str(PROVIDER), str(port), str(tmp_path / "words")) as again:
                assert line_of(again)["port"] == port
                time.sleep(WORDS_S + 2.0)
                gateway.send_signal(signal.SIGTERM)
                assert gateway.wait(TIMEOUT_S) == 0
                caller.join(TIMEOUT_S)
                session = line_of(again)

    assert session["wrong"] == ""
    assert session["told"] == [["user", "What is the time?"], ["assistant", "It is noon."]]
    assert session["types"][:4] == ["session.update", *["conversation.item.create"] * 2, "response.create"]
    assert set(session["types"][4:]) == {"input_audio_buffer.append"}
    assert align(speech_like(SLIN8, WORDS_S, seed=3), bytes(caller.heard[heard_bytes:])).correlation > 0.95
    assert caller.hung_up
    summary = records_of(logs, f"*-{call_id}.jsonl")[-1]["event_data"]
    assert summary["error"] is None
    assert (summary["sessions"]["lost"], summary["sessions"]["recovered"]) == (1, 1)
