"""The simulated provider on real sockets, with a WebSocket library that is not ours."""

from __future__ import annotations

import base64
import functools
import json
import ssl

import pytest
import trio
import trustme
import websockets.exceptions
from websockets.sync.client import connect as websockets_connect

from voxpipe.testing.provider import Provider
from voxpipe.testing.provider_simulate import simulate
from voxpipe.testing.scenario import SCENARIOS
from voxpipe.websocket import connect_websocket

pytestmark = pytest.mark.sockets


def one_turn(url, utterance, beta, **options):
    """Configure, speak one utterance at once, and return the audio of the answer."""
    kind = "response.audio.delta" if beta else "response.output_audio.delta"
    headers = {"OpenAI-Beta": "realtime=v1"} if beta else {}
    audio = b""
    with websockets_connect(url, additional_headers=headers, max_size=None, **options) as websocket:
        assert json.loads(websocket.recv(10))["type"] == "session.created"
        body = {} if beta else {"type": "realtime"}
        websocket.send(json.dumps({"type": "session.update", "session": body}))
        while json.loads(websocket.recv(10))["type"] != "session.updated":
            pass
        append = {"type": "input_audio_buffer.append", "audio": base64.b64encode(utterance).decode()}
        websocket.send(json.dumps(append))
        while (event := json.loads(websocket.recv(10)))["type"] != "response.done":
            audio += base64.b64decode(event["delta"]) if event["type"] == kind else b""
    return audio


@pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
async def test_an_independent_client_is_spoken_back_to(nursery, utterance, dialect):
    """A whole turn over TCP, with the websockets library."""
    provider = Provider(dialect)
    host, port = await nursery.start(provider.listen, "127.0.0.1", 0)
    url = f"ws://{host}:{port}/v1/realtime?model=m"
    audio = await trio.to_thread.run_sync(functools.partial(one_turn, url, utterance, dialect == "openai-beta"))
    assert len(audio) > 48_000
    assert audio in utterance
    assert provider.complaints == []
    nursery.cancel_scope.cancel()


async def test_tls(nursery, utterance):
    """The same with a certificate, and a client without TLS on the same port disturbs nobody."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    provider = Provider()
    _, port = await nursery.start(functools.partial(provider.listen, "127.0.0.1", 0, ssl_context=server))
    plain = await trio.open_tcp_stream("127.0.0.1", port)
    await plain.send_all(b"GET / HTTP/1.1\r\n\r\n")
    url = f"wss://127.0.0.1:{port}/v1/realtime?model=m"
    audio = await trio.to_thread.run_sync(functools.partial(one_turn, url, utterance, False, ssl=trusting))
    assert audio in utterance
    await plain.aclose()
    nursery.cancel_scope.cancel()


async def test_a_vanishing_server_looks_like_a_lost_connection(nursery):
    """The scenario vanish over TCP: the other library sees an end without a closing handshake."""
    provider = Provider(scenario=SCENARIOS["vanish"])
    host, port = await nursery.start(provider.listen, "127.0.0.1", 0)

    def call():
        with websockets_connect(f"ws://{host}:{port}/v1/realtime?model=m") as websocket:
            websocket.send('{"type":"session.update","session":{"type":"realtime"}}')
            websocket.send('{"type":"response.create","response":{"instructions":"x"}}')
            for _ in websocket:
                pass

    with pytest.raises(websockets.exceptions.ConnectionClosedError, match="no close frame received"):
        await trio.to_thread.run_sync(call)
    nursery.cancel_scope.cancel()


HANDSHAKE = (
    b"GET /?model=m HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
NOISE = {
    "binary": b"\0\1\2" * 500,
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a request": b"GET /",
    "TLS": b"\x16\x03\x01\x02\x00",
    "nothing": b"",
    "bad frames": HANDSHAKE + b"\xff" * 100,
    "text that is not UTF-8": HANDSHAKE + b"\x81\x82\0\0\0\0\xff\xfe",
    "half a frame": HANDSHAKE + b"\x81\xfe\x10",
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
async def test_noise_instead_of_a_handshake_disturbs_nobody(nursery, noise):
    """Whatever a socket says instead of asking for a WebSocket, the next client is served."""
    provider = Provider()
    host, port = await nursery.start(provider.listen, "127.0.0.1", 0)
    stream = await trio.open_tcp_stream(host, port)
    if noise:
        await stream.send_all(noise)
    await trio.sleep(0.05)
    websocket = await connect_websocket(nursery, f"ws://{host}:{port}/?model=m")
    assert '"session.created"' in await websocket.get_message()
    await stream.aclose()
    await trio.sleep(0.05)
    await websocket.send_message('{"type":"session.update","session":{"type":"realtime"}}')
    while '"session.updated"' not in await websocket.get_message():
        pass
    await websocket.aclose()
    nursery.cancel_scope.cancel()


async def test_simulate_reports_and_counts_complaints(nursery):
    """Each event of a session is a line, and the status is the number of complaints that are not harmless."""
    lines: list[str] = []
    closed, finished = trio.Event(), trio.Event()
    status: list[int] = []

    def report(line):
        lines.append(line)
        if "closed" in line:
            closed.set()

    async def run(task_status):
        run_it = functools.partial(simulate, "127.0.0.1", 0, report=report, until=closed.wait)
        status.append(await run_it(task_status=task_status))
        finished.set()

    host, port = await nursery.start(run)
    websocket = await connect_websocket(nursery, f"ws://{host}:{port}/?model=m")
    for message in ('{"type":"bogus"}', '{"type":"response.cancel"}'):
        await websocket.send_message(message)
    while '"response_cancel_not_active"' not in await websocket.get_message():
        pass
    await websocket.aclose()
    await finished.wait()
    assert status == [1]
    assert lines[0].endswith(f"scenario parrot, on ws://{host}:{port}/v1/realtime")
    assert [line.split("  ")[-1].split(":")[0] for line in lines[1:]] == ["opened", "complaint", "complaint", "closed"]


async def test_simulate_knows_its_scenarios():
    """An unknown name is refused with the list."""
    with pytest.raises(ValueError, match=r"expected a scenario of parrot, greeting, .*, got 'opera'"):
        await simulate("127.0.0.1", 0, scenario="opera", report=print)
