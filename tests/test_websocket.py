"""The WebSocket, both ends over a stream in memory: messages, closes, and every way in which there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from voxpipe.websocket import (
    MAX_MESSAGE_SIZE,
    Endpoint,
    Upgrade,
    WebSocket,
    WebSocketClosed,
    WebSocketRefused,
    connect_websocket,
    parse_url,
    receive_upgrade,
)

URLS = [
    ("ws://provider.test", Endpoint("provider.test", 80, "/", False)),
    ("wss://provider.test", Endpoint("provider.test", 443, "/", True)),
    (
        "wss://provider.test/v1/realtime?model=m&x=%20",
        Endpoint("provider.test", 443, "/v1/realtime?model=m&x=%20", True),
    ),
    ("ws://127.0.0.1:9000/", Endpoint("127.0.0.1", 9000, "/", False)),
    ("ws://[::1]:9000/a", Endpoint("::1", 9000, "/a", False)),
    ("WSS://Provider.Test:444?x=1", Endpoint("provider.test", 444, "/?x=1", True)),
]


@pytest.mark.parametrize(("url", "endpoint"), URLS)
def test_a_url_is_split(url: str, endpoint: Endpoint) -> None:
    """Scheme, host, port and what is asked for, with the ports that go without saying."""
    assert parse_url(url) == endpoint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "provider.test",
        "https://provider.test",
        "ws:///path",
        "wss://",
        "ws://host:port/",
        "ws://host:70000/",
        "ws://host:0/",
        "ws://[::1/",
        "ws://host/a b",
        "ws://host/ä",
        "ws://host/a\nb",
        "ws://user:secret@host/",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    """The error gives an example and the URL, but never a password in it."""
    with pytest.raises(ValueError, match=r"^expected a URL such as wss://host/path") as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


# --- in memory --------------------------------------------------------------------------------------------------------

Serve = Callable[[Upgrade], Awaitable[None]]
Connect = Callable[..., Awaitable[WebSocket]]


@pytest.fixture
def connect(nursery: trio.Nursery) -> Connect:
    """Connect to a server's end that is a function, over a stream in memory."""

    async def connect_to(serve: Serve, url: str = "ws://provider.test/", **options: object) -> WebSocket:
        near, far = trio.testing.memory_stream_pair()

        async def dial(_host: str, _port: int) -> trio.abc.Stream:
            return near

        async def answer() -> None:
            await serve(await receive_upgrade(nursery, far))

        nursery.start_soon(answer)
        return await connect_websocket(nursery, url, dial=dial, **options)  # type: ignore[arg-type]

    return connect_to


async def echo(upgrade: Upgrade) -> None:
    """Send back what comes, to the end."""
    websocket = await upgrade.accept()
    try:
        while True:
            await websocket.send_message(await websocket.get_message())
    except WebSocketClosed:
        pass


async def test_messages_pass_both_ways(autojump_clock: MockClock, connect: Connect) -> None:
    """Text is text and bytes are bytes, empty ones and big ones too, in order."""
    websocket = await connect(echo)
    messages: list[str | bytes] = ["hello", b"\x00\xff", "", "ä" * 100_000, b"x" * 500_000, "end"]
    for message in messages:
        await websocket.send_message(message)
    assert [await websocket.get_message() for _ in messages] == messages
    assert not websocket.closed
    await websocket.aclose()
    assert websocket.closed


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("ws://provider.test/v1?model=m", "GET /v1?model=m HTTP/1.1", "provider.test"),
        ("ws://provider.test:9000", "GET / HTTP/1.1", "provider.test:9000"),
        ("ws://[::1]:9000/", "GET / HTTP/1.1", "[::1]:9000"),
        ("ws://[::1]/", "GET / HTTP/1.1", "[::1]"),
    ],
)
async def test_what_is_asked_for(autojump_clock: MockClock, url: str, line: str, host: str) -> None:
    """Path, query, host and headers stand in the request as they were given."""
    near, far = trio.testing.memory_stream_pair()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        return near

    async def serve() -> None:
        request.append((await far.receive_some(10_000)).decode())
        await far.aclose()

    request: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(WebSocketRefused):
            await connect_websocket(nursery, url, [("Authorization", "Bearer x"), ("X-Name", "Zoë")], dial=dial)
    lines = request[0].split("\r\n")
    assert lines[0] == line
    assert {f"Host: {host}", "Authorization: Bearer x", "X-Name: Zoë"} <= set(lines)


@pytest.mark.parametrize("value", ["two\nlines", "cr\r", "nul\0"])
async def test_a_header_that_cannot_be_sent_is_refused(autojump_clock: MockClock, connect: Connect, value: str) -> None:
    """A key read with its line break is told by the header's name, without the key itself."""
    with pytest.raises(WebSocketRefused) as caught:
        await connect(echo, headers=[("Authorization", f"Bearer sk-1{value}")])
    assert str(caught.value) == "expected a header of one line, got a control character in the value of Authorization"


async def test_pings_are_answered_while_nobody_reads(autojump_clock: MockClock, connect: Connect) -> None:
    """Either end may ping; the pong comes though the other end's owner waits for no message."""
    accepted: list[WebSocket] = []

    async def serve(upgrade: Upgrade) -> None:
        accepted.append(await upgrade.accept())

    websocket = await connect(serve)
    await trio.testing.wait_all_tasks_blocked()
    with trio.fail_after(1):
        await websocket.ping()
        await accepted[0].ping()
    await websocket.aclose()


async def test_messages_sent_before_a_close_are_read(autojump_clock: MockClock, connect: Connect) -> None:
    """What a server said before it closed is told first: the reason is often in there."""

    async def serve(upgrade: Upgrade) -> None:
        websocket = await upgrade.accept()
        await websocket.send_message('{"type":"error"}')
        await websocket.aclose(4000, "invalid_request_error.missing_model")

    websocket = await connect(serve)
    assert await websocket.get_message() == '{"type":"error"}'
    with pytest.raises(WebSocketClosed) as caught:
        await websocket.get_message()
    assert (caught.value.code, caught.value.reason) == (4000, "invalid_request_error.missing_model")
    assert str(caught.value) == "the WebSocket was closed with code 4000: invalid_request_error.missing_model"


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1013, 3000, 4999])
async def test_every_way_to_use_a_closed_connection_gives_its_code(
    autojump_clock: MockClock, connect: Connect, code: int
) -> None:
    """Reading, writing and pinging say the same after the end."""

    async def serve(upgrade: Upgrade) -> None:
        await (await upgrade.accept()).aclose(code, "enough")

    websocket = await connect(serve)
    for use in (websocket.get_message, lambda: websocket.send_message("x"), websocket.ping):
        with pytest.raises(WebSocketClosed) as caught:
            await use()
        assert (caught.value.code, caught.value.reason) == (code, "enough")


async def test_a_connection_that_vanishes_is_code_1006(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Without a closing handshake the code is the reserved one, and each pending or later use says so."""
    near, far = trio.testing.memory_stream_pair()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        return near

    async def serve() -> None:
        await (await receive_upgrade(nursery, far)).accept()
        await trio.sleep(1)
        await far.aclose()

    nursery.start_soon(serve)
    websocket = await connect_websocket(nursery, "ws://provider.test/", dial=dial)
    for use in (websocket.get_message, lambda: websocket.send_message("x"), websocket.ping):
        with pytest.raises(WebSocketClosed, match=r"^the WebSocket was closed with code 1006: connection lost$"):
            await use()


async def test_a_message_beyond_the_limit_ends_the_connection(autojump_clock: MockClock, connect: Connect) -> None:
    """A peer cannot make us hold what no provider sends: code 1009 to it, and an end to us, not a crash."""
    seen: list[int] = []

    async def serve(upgrade: Upgrade) -> None:
        websocket = await upgrade.accept()
        try:
            await websocket.send_message(bytes(MAX_MESSAGE_SIZE + 1))
            await websocket.get_message()
        except WebSocketClosed as closed:
            seen.append(closed.code)

    websocket = await connect(serve)
    with pytest.raises(WebSocketClosed) as caught:
        await websocket.get_message()
    await trio.testing.wait_all_tasks_blocked()
    assert caught.value.code == 1009
    assert seen == [1009]


async def test_closing_waits_for_no_one_for_ever(autojump_clock: MockClock, connect: Connect) -> None:
    """A peer that does not answer the close costs two seconds."""
    near, far = trio.testing.memory_stream_pair()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        return near

    async with trio.open_nursery() as nursery:

        async def deaf() -> None:
            async with trio.open_nursery() as reader:
                await (await receive_upgrade(reader, far)).accept()
                reader.cancel_scope.cancel()

        nursery.start_soon(deaf)
        websocket = await connect_websocket(nursery, "ws://provider.test/", dial=dial)
        start_s = trio.current_time()
        await websocket.aclose()
        assert trio.current_time() - start_s <= 2.1
        nursery.cancel_scope.cancel()


async def test_noise_after_the_handshake_ends_the_connection(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Bytes that are no frames are an end of the connection with a code, not an error of ours."""
    near, far = trio.testing.memory_stream_pair()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        return near

    async def serve() -> None:
        async with trio.open_nursery() as reader:
            await (await receive_upgrade(reader, far)).accept()
            await far.send_all(b"\xff" * 100)

    nursery.start_soon(serve)
    websocket = await connect_websocket(nursery, "ws://provider.test/", dial=dial)
    with pytest.raises(WebSocketClosed) as caught:
        await websocket.get_message()
    assert caught.value.code == 1002


# --- no WebSocket -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (401, b"", "provider.test:80 answered HTTP 401 instead of 101"),
        (403, b'{"error":"bad key"}\n', 'provider.test:80 answered HTTP 403 instead of 101: {"error":"bad key"}'),
        (500, b"\xff" * 10, "provider.test:80 answered HTTP 500 instead of 101: " + "\ufffd" * 10),
        (503, b"x" * 5000, "provider.test:80 answered HTTP 503 instead of 101: " + "x" * 300),
    ],
)
async def test_an_http_refusal_is_told_with_its_body(
    autojump_clock: MockClock, connect: Connect, status: int, body: bytes, text: str
) -> None:
    """The status, and what the server says of it, cut to a readable length."""
    with pytest.raises(WebSocketRefused) as caught:
        await connect(lambda upgrade: upgrade.reject(status, body))
    assert caught.value.status == status
    assert str(caught.value) == text


NOISE = {
    "nothing": b"",
    "half a response": b"HTTP/1.1 101 Swi",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "a success": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "no HTTP": b"\x00\x01\x02\x03" * 100,
    "a text protocol": b"220 mail.test ESMTP\r\n",
    "an upgrade to something else": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "a wrong accept key": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAA\r\n\r\n",
}


@pytest.mark.parametrize("said", NOISE.values(), ids=NOISE)
async def test_a_server_that_speaks_something_else_is_refused(autojump_clock: MockClock, said: bytes) -> None:
    """Whatever comes instead of a handshake, the error says that there is no WebSocket, and the socket is closed."""
    near, far = trio.testing.memory_stream_pair()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        return near

    async def serve() -> None:
        await far.receive_some(10_000)
        if said:
            await far.send_all(said)
        await far.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.fail_after(5), pytest.raises(WebSocketRefused) as caught:
            await connect_websocket(nursery, "ws://provider.test/", dial=dial)
    assert str(caught.value).startswith("provider.test:80 ")
    with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
        await near.send_all(b"x")


async def test_no_connection_is_told_with_its_reason(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """A refused connection names host, port and the system's own words."""

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        raise OSError(111, "Connection refused")

    with pytest.raises(WebSocketRefused) as caught:
        await connect_websocket(nursery, "wss://provider.test/", dial=dial)
    assert str(caught.value) == "no connection to provider.test:443: [Errno 111] Connection refused"
    assert caught.value.status is None


async def test_a_peer_that_is_gone_before_the_handshake_is_written_is_told_at_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """The connection was taken by a process that died: the first write fails, and nothing is ever read."""
    ours, theirs = trio.testing.memory_stream_pair()

    async def reset() -> None:
        raise trio.BrokenResourceError("connection reset by peer")

    ours.send_stream.send_all_hook = reset

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        return ours

    start_s = trio.current_time()
    with pytest.raises(WebSocketRefused, match="closed the connection during the WebSocket handshake"):
        await connect_websocket(nursery, "ws://provider.test", dial=dial)
    assert trio.current_time() - start_s < 0.1
    await theirs.aclose()
