"""Who may ask the context endpoint, how much and how long, and that none of its faults reaches the gateway."""

from __future__ import annotations

import socket
from pathlib import Path
from uuid import uuid4

import pytest
import trio
from context_client import ask, post
from served_context import CALL, DONE, LEG, Serve

from voxpipe import context_server
from voxpipe.config import structure_config
from voxpipe.errors import ConfigError
from voxpipe.gateway import Gateway

pytestmark = pytest.mark.sockets


async def test_with_a_token_only_its_bearer_is_answered(serve: Serve) -> None:
    """Announcements and outcomes want it, the load balancer's question does not; and no log has it."""
    token = "tok-0123456789abcdef"
    async with serve(token=token) as it:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": token}):
            answer = await post(it.address, LEG, {}, headers)
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert (await ask(it.address, "GET", f"{LEG}/outcome", headers=headers)).status == 401
        right = {"Authorization": f"Bearer {token}"}
        assert (await post(it.address, LEG, {"caller": token}, right)).status == 201
        assert (await ask(it.address, "GET", f"{LEG}/outcome", headers=right)).status == 409
        assert (await ask(it.address, "GET", "/healthz")).status == 200
        await it.stop()
    assert all(token not in log.read_text() for log in it.folder.glob("*.jsonl"))


async def test_a_gateway_that_drains_is_no_longer_well(serve: Serve) -> None:
    """healthz tells the load balancer; a call still running can be asked about, and no new one is announced."""
    async with serve() as it:
        up = await ask(it.address, "GET", "/healthz")
        assert (up.status, up.json) == (200, {"gateway": "up", "legs": 0})
        it.gateway.statistics.active += 1
        it.reception.begin(CALL)
        it.gateway.drain()
        down = await ask(it.address, "GET", "/healthz")
        assert (down.status, down.json) == (503, {"gateway": "draining", "legs": 1})
        assert (await post(it.address, f"/legs/{uuid4()}", {})).status == 503
        assert (await ask(it.address, "GET", f"{LEG}/outcome")).status == 409
        it.gateway.statistics.active -= 1
        it.gateway._idle.set()
        await it.stopped.wait()
        with pytest.raises(ConnectionRefusedError):
            await ask(it.address, "GET", "/healthz")


async def test_the_last_call_can_still_be_asked_about(serve: Serve) -> None:
    """A drained gateway stays until the dialplan of an announced call has learnt how it ended, two seconds at most."""
    async with serve() as it:
        await post(it.address, LEG, {})
        it.reception.begin(CALL)
        it.reception.end(CALL, DONE)
        it.gateway.drain()
        await trio.sleep(0.2)
        assert not it.stopped.is_set()
        assert (await ask(it.address, "GET", f"{LEG}/outcome?format=text")).text == "completed"
        with trio.fail_after(1.5):
            await it.stopped.wait()


async def test_a_slow_body_and_a_silent_connection_are_cut_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody holds a connection for nothing, and beside them others are answered."""
    monkeypatch.setattr(context_server, "BODY_S", 0.3)
    monkeypatch.setattr(context_server, "SILENCE_S", 0.5)
    async with serve() as it:
        silent = await trio.open_tcp_stream(*it.address)
        slow = await trio.open_tcp_stream(*it.address)
        head = f"POST {LEG} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        await slow.send_all(head.encode() + b"{")
        assert (await ask(it.address, "GET", "/healthz")).status == 200
        with trio.fail_after(10):
            assert b" 408 " in await slow.receive_some()
            assert await silent.receive_some() == b""
        await silent.aclose()
        await slow.aclose()


async def test_whatever_holds_a_connection_up_it_ends(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose peer waits for an outcome longer than a connection may last."""
    monkeypatch.setattr(context_server, "CONNECTION_S", 0.3)
    async with serve() as it:
        it.reception.begin(CALL)
        stream = await trio.open_tcp_stream(*it.address)
        await stream.send_all(f"GET {LEG}/outcome?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with trio.fail_after(10):
            assert await stream.receive_some() == b""
        await stream.aclose()
        assert it.warnings == []


async def test_connections_are_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is closed at once; when another has gone there is room again."""
    monkeypatch.setattr(context_server, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(context_server, "SILENCE_S", 0.1)
    async with serve() as it:
        open_ = [await trio.open_tcp_stream(*it.address) for _ in range(2)]
        third = await trio.open_tcp_stream(*it.address)
        with trio.fail_after(2):
            assert await third.receive_some() == b""
        for stream in (*open_, third):
            await stream.aclose()
        await trio.sleep(1)
        assert (await ask(it.address, "GET", "/healthz")).status == 200


async def test_a_connection_serves_one_request(serve: Serve) -> None:
    """So that a peer which asks and never reads fills no queue."""
    async with serve() as it:
        answer = await ask(it.address, "GET", "/healthz")
        assert answer.headers["connection"] == "close"
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "said", [b"\x01\x00\x10" + bytes(16), b"GET / HTTP/9\r\n\r\n", b"x" * 40_000, b"PRI * HTTP/2.0\r\n"]
)
async def test_what_is_no_request_ends_no_gateway(serve: Serve, said: bytes) -> None:
    """AudioSocket on the wrong port, a line without end, another protocol: the connection ends, the rest goes on."""
    async with serve() as it:
        stream = await trio.open_tcp_stream(*it.address)
        await stream.send_all(said)
        await stream.send_eof()
        with trio.fail_after(10):
            while await stream.receive_some():
                pass
        await stream.aclose()
        assert (await ask(it.address, "GET", "/healthz")).status == 200
        assert it.warnings == []


async def test_a_bug_in_a_request_is_told_and_ends_only_that(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 for the one, a record and a warning with where, and the next is answered; the gateway goes on."""
    async with serve() as it:
        with monkeypatch.context() as patched:
            patched.setattr(it.reception, "announce", lambda *_: 1 // 0)
            assert (await post(it.address, LEG, {})).status == 500
        assert (await post(it.address, LEG, {})).status == 201
        await it.stop()
    (crash,) = it.of("context.crashed")
    assert crash["error"] == "ZeroDivisionError"
    assert "ZeroDivisionError" in it.warnings[0]


async def test_a_bug_in_a_connection_is_told_and_ends_only_that(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault below the requests, in the protocol's own code, is kept apart in the same way."""
    async with serve() as it:
        with monkeypatch.context() as patched:
            patched.setattr("hypercorn.trio.tcp_server.TCPServer._read_data", lambda _self: 1 // 0)
            stream = await trio.open_tcp_stream(*it.address)
            assert await stream.receive_some() == b""
            await stream.aclose()
        assert (await ask(it.address, "GET", "/healthz")).status == 200
        await it.stop()
    (crash,) = it.of("context.crashed")
    assert crash["error"] == "ZeroDivisionError"


# --- the port ---------------------------------------------------------------------------------------------------------


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """The error names the key and the address, and the gateway's own port is free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        tree = {
            "gateway": {"listen": "127.0.0.1:0"},
            "provider": {"url": "ws://127.0.0.1:1/"},
            "log": {"dir": str(tmp_path)},
            "context": {"listen": f"127.0.0.1:{port}"},
        }
        with pytest.raises(ConfigError, match=rf"context\.listen: expected a free port, got '127\.0\.0\.1:{port}'"):
            await Gateway(structure_config(tree)).serve()
    assert list(await trio.Path(tmp_path).glob("*")) == []


async def test_without_the_extra_the_endpoint_is_refused_by_name(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said when the gateway starts, not when the first call is announced."""
    monkeypatch.delitem(__import__("sys").modules, "voxpipe.context_server")
    monkeypatch.setitem(__import__("sys").modules, "hypercorn.config", None)
    with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match=r"context\.listen: expected voxpipe\[context\]")):
        async with serve():
            pass
