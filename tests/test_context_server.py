"""The context endpoint over real loopback sockets, asked by clients that share no code with it."""

from __future__ import annotations

import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
import trio
from context_client import Address, ask, curl, post
from virtual_call import read_log

from voxpipe import context_server
from voxpipe.config import structure_config
from voxpipe.context import Ended
from voxpipe.errors import ConfigError
from voxpipe.gateway import Gateway
from voxpipe.reception import Reception

pytestmark = pytest.mark.sockets

CALL = UUID(int=1)
LEG = f"/legs/{CALL}"
DONE = Ended("completed", "leg closed by the peer", duration_s=2.5, log="1.jsonl")


@attrs.define
class Served:
    """A running gateway whose reception is served."""

    gateway: Gateway
    address: Address
    folder: Path
    stopped: trio.Event
    warnings: list[str]

    @property
    def reception(self) -> Reception:
        """Its reception."""
        return self.gateway.reception

    def of(self, event_type: str) -> list[dict[str, Any]]:
        """The data of all records of one type in the gateway's log; after its end."""
        (path,) = self.folder.glob("gateway-*.jsonl")
        return [record.event_data for record in read_log(path) if record.event_type == event_type]

    async def stop(self) -> None:
        """Drain the gateway and wait for its end."""
        self.gateway.drain()
        await self.stopped.wait()


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Run a gateway with ``context.listen`` until the block ends."""

    @asynccontextmanager
    async def run(**context: Any) -> AsyncIterator[Served]:
        tree = {
            "gateway": {"listen": "127.0.0.1:0"},
            "provider": {"url": "ws://127.0.0.1:1/"},
            "log": {"dir": str(tmp_path)},
            "context": {"listen": "127.0.0.1:0", **context},
        }
        warnings: list[str] = []
        gateway, stopped = Gateway(structure_config(tree), on_warning=warnings.append), trio.Event()

        async def work(task_status: trio.TaskStatus[tuple[str, int]]) -> None:
            await gateway.serve(task_status)
            stopped.set()

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                await nursery.start(work)
                assert gateway.context_address is not None
                yield Served(gateway, gateway.context_address, tmp_path, stopped, warnings)
                nursery.cancel_scope.cancel()

    return run


# --- announcing -------------------------------------------------------------------------------------------------------


async def test_a_call_is_announced_once_and_replaced(serve: Serve) -> None:
    """201 with the expiry, 200 for a second one, 409 once the call has begun; the gateway's log has all three."""
    async with serve(expires_s=30) as it:
        first = await post(it.address, LEG, {"caller": "+4930123", "variables": {"name": "Eva"}})
        assert (first.status, first.json) == (201, {"uuid": str(CALL), "expires_s": 30.0})
        second = await post(it.address, LEG, {"voice": "ash"})
        assert second.status == 200
        context = it.reception.begin(CALL)
        assert context is not None
        assert context.config.session.voice == "ash"
        late = await post(it.address, LEG, {})
        assert (late.status, late.json) == (409, {"error": f"expected a call that has not begun, got {CALL}"})
        it.reception.end(CALL, DONE)
        assert (await post(it.address, LEG, {})).status == 409
        await ask(it.address, "GET", LEG + "/outcome")
        await it.stop()
    assert it.of("context.announced") == [
        {"uuid": str(CALL), "keys": ["caller", "variables"], "replaced": False, "expires_s": 30.0},
        {"uuid": str(CALL), "keys": ["voice"], "replaced": True, "expires_s": 30.0},
    ]
    assert len(it.of("context.refused")) == 2


FORM = "caller=%2B4930123&variables.name=Eva+M%C3%BCller%26Co&greeting=Hello+{name},+{caller}&language="


async def test_a_form_is_taken_as_curl_posts_it(serve: Serve) -> None:
    """The program curl posts a form unless told otherwise, as does Asterisk; it says what JSON would."""
    if shutil.which("curl") is None:
        pytest.skip("expected the program curl, got none")
    async with serve() as it:
        assert await curl(it.address, f"{LEG}?format=text", "--data", FORM) == (201, "announced")
        context = it.reception.begin(CALL)
        assert context is not None
        assert context.config.session.greeting == "Hello Eva Müller&Co, +4930123"
        other = f"/legs/{UUID(int=2)}"
        json = ("--header", "Content-Type: application/json", "--data", '{"voice": "ash"}')
        status, body = await curl(it.address, other, *json)
        assert (status, "expires_s" in body) == (201, True)
        assert await curl(it.address, f"{other}/outcome?format=text") == (409, "announced")
        assert await curl(it.address, f"{LEG}/outcome", "--header", "Accept: text/plain") == (409, "running")


WRONG: list[tuple[str, bytes, int, dict[str, str]]] = [
    ("application/json", b'{"voice": 3}', 422, {"key": "voice", "expected": "a string", "found": "3"}),
    ("application/json", b'{"colour": ""}', 422, {"key": "colour", "found": "an unknown key"}),
    ("application/json", b"[]", 422, {"expected": "a table", "found": "list"}),
    ("application/json", b"{", 400, {}),
    ("application/json", b'{"voice": "\xff"}', 400, {}),
    ("application/x-www-form-urlencoded", b"voice=a&voice=b", 422, {"key": "voice", "expected": "it once"}),
    ("application/x-www-form-urlencoded", b'{"voice": "ash"}', 400, {}),
    ("application/x-www-form-urlencoded", b"voice=%ff", 400, {}),
    ("application/x-www-form-urlencoded", b"&".join(b"variables.a%d=1" % n for n in range(300)), 400, {}),
    ("text/plain", b"voice=ash", 415, {}),
    ("", b"voice=ash", 415, {}),
    ("application/json", b" " * 70_000, 413, {}),
]


@pytest.mark.parametrize(("kind", "body", "status", "told"), WRONG)
async def test_a_wrong_body_is_refused_with_what_is_wrong(
    serve: Serve, kind: str, body: bytes, status: int, told: dict[str, str]
) -> None:
    """By its status, and a key by its path with what was expected and found; nothing is announced then."""
    async with serve() as it:
        answer = await ask(it.address, "POST", LEG, body, {"Content-Type": kind} if kind else {})
        assert answer.status == status
        assert told.items() <= answer.json.items()
        assert answer.json["error"]
        assert not it.reception.expects_calls
        word = await ask(it.address, "POST", f"{LEG}?format=text", body, {"Content-Type": kind} if kind else {})
        assert word.text == "refused"


async def test_what_a_refusal_says_of_the_caller_is_in_no_log(serve: Serve) -> None:
    """The client reads what it posted; the gateway's log has the key alone."""
    async with serve() as it:
        answer = await post(it.address, LEG, {"variables": {"pin": 424242}})
        assert "424242" in answer.text
        await it.stop()
    assert it.of("context.refused") == [{"uuid": str(CALL), "because": "variables: [redacted]"}]


async def test_one_announcement_too_many_is_told_to_come_later(serve: Serve) -> None:
    """503, and those that wait stay."""
    async with serve(max_announced=1) as it:
        assert (await post(it.address, LEG, {})).status == 201
        assert (await post(it.address, f"/legs/{uuid4()}", {})).status == 503
        assert (await post(it.address, LEG, {})).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/legs/nobody", 404), ("GET", LEG, 405), ("POST", LEG + "/outcome", 405)],
)
async def test_other_paths_and_methods_are_none(serve: Serve, method: str, path: str, status: int) -> None:
    """What is not there is told as such, in the same form as everything else."""
    async with serve() as it:
        answer = await ask(it.address, method, path)
        assert answer.status == status
        assert answer.json["error"]


# --- outcomes ---------------------------------------------------------------------------------------------------------


async def test_an_outcome_is_told_in_json_and_as_a_word(serve: Serve) -> None:
    """Everything about it, or the one word that a dialplan branches on."""
    async with serve() as it:
        outcome = f"{LEG}/outcome"
        unknown = await ask(it.address, "GET", outcome + "?format=text")
        assert (unknown.status, unknown.text) == (404, "unknown")
        it.reception.begin(CALL)
        running = await ask(it.address, "GET", outcome)
        assert (running.status, running.json) == (409, {"uuid": str(CALL), "outcome": "running"})
        it.reception.end(CALL, DONE)
        ended = await ask(it.address, "GET", outcome)
        assert ended.status == 200
        assert ended.headers["content-type"] == "application/json"
        assert ended.json == {
            "uuid": str(CALL),
            "outcome": "completed",
            "reason": "leg closed by the peer",
            "error": "",
            "duration_s": 2.5,
            "log": "1.jsonl",
            "next": "",
        }
        word = await ask(it.address, "GET", outcome, headers={"Accept": "text/plain"})
        assert (word.status, word.text) == (200, "completed")


async def test_where_the_leg_wants_to_go_on_is_the_word(serve: Serve) -> None:
    """A leg that set ``next`` is branched on by that."""
    async with serve() as it:
        it.reception.begin(CALL)
        it.reception.end(CALL, attrs.evolve(DONE, next="operator"))
        assert (await ask(it.address, "GET", f"{LEG}/outcome?format=text")).text == "operator"
        assert (await ask(it.address, "GET", f"{LEG}/outcome")).json["outcome"] == "completed"


async def test_an_outcome_can_be_waited_for(serve: Serve) -> None:
    """Until the call ends, or so long; one who waits keeps nobody else waiting."""
    async with serve() as it:
        it.reception.begin(CALL)
        answers = []

        async def wait() -> None:
            answers.append(await ask(it.address, "GET", f"{LEG}/outcome?format=text&wait=20"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            short = await ask(it.address, "GET", f"{LEG}/outcome?format=text&wait=0.1")
            assert (short.status, short.text) == (409, "running")
            assert answers == []
            it.reception.end(CALL, DONE)
        assert (answers[0].status, answers[0].text) == (200, "completed")


@pytest.mark.parametrize("wait", ["soon", "-1", "61", "nan", "inf"])
async def test_a_wait_that_is_none_is_refused(serve: Serve, wait: str) -> None:
    """It is bounded, and a number."""
    async with serve() as it:
        answer = await ask(it.address, "GET", f"{LEG}/outcome?wait={wait}")
        assert answer.status == 422
        assert answer.json["key"] == "wait"
        assert answer.json["expected"] == "0 to 60 seconds"


# --- who may ask, and how much ----------------------------------------------------------------------------------------


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
