"""The WebSocket, behind ``get_message`` and ``send_message``: the only module that names trio-websocket.

Both ends are here, since our provider peer needs the server's half. What is set, and why:

- ``receive_buffer_size=None``: reads of 64 KiB instead of 4 KiB; a burst of audio is tens of kilobytes.
- ``message_queue_size``: trio-websocket's reader waits, pongs included, while its queue is full.
- ``max_message_size``: an item retrieved with its audio exceeds the default of 1 MiB.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias, cast
from urllib.parse import urlsplit

import attrs
import h11
import trio
import trio_websocket
import wsproto
import wsproto.events
import wsproto.utilities

from voxpipe.errors import VoxpipeError

Dial: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to a host and port; TLS is put on top of it here."""

MESSAGE_QUEUE_SIZE = 64
MAX_MESSAGE_SIZE = 64 * 1024 * 1024
CLOSE_TIMEOUT_S = 2.0
WHOLE_MESSAGES = (b"\x81", b"\x82")
"""How a frame begins that is a whole text or binary message (RFC 6455, section 5.2)."""


class WebSocketClosed(VoxpipeError):
    """The peer closed, or the connection was lost (code 1006)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the WebSocket was closed with code {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason = reason


class WebSocketRefused(VoxpipeError):
    """There is no WebSocket: no connection, no TLS, or an answer other than 101."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@attrs.frozen
class Endpoint:
    """Where a WebSocket is: what is left of a URL after checking it."""

    host: str
    port: int
    resource: str
    tls: bool


@attrs.frozen(eq=False)
class WebSocket:
    """One open connection, either end.

    ``send_message`` may be called by several tasks: messages are never interleaved. A cancelled ``send_message`` leaves
    half a message on the wire, so the connection must be ended with it.
    """

    _connection: trio_websocket.WebSocketConnection

    async def get_message(self) -> str | bytes:
        """Wait for one message; ``WebSocketClosed`` at the end."""
        try:
            return await self._connection.get_message()
        except trio_websocket.ConnectionClosed as closed:
            raise _closed(closed) from None

    async def send_message(self, message: str | bytes) -> None:
        """Send one message, text or binary; ``WebSocketClosed`` when there is nobody to take it."""
        try:
            await self._connection.send_message(message)
        except trio_websocket.ConnectionClosed as closed:
            raise _closed(closed) from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise WebSocketClosed(1006, "connection lost") from None

    async def ping(self) -> None:
        """Send a ping and wait for its pong."""
        try:
            await self._connection.ping()
        except trio_websocket.ConnectionClosed as closed:
            raise _closed(closed) from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise WebSocketClosed(1006, "connection lost") from None

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close with the closing handshake, for at most ``CLOSE_TIMEOUT_S``; cancelling cuts it short, never leaks."""
        with trio.move_on_after(CLOSE_TIMEOUT_S):
            await self._connection.aclose(code, reason)

    @property
    def closed(self) -> bool:
        """Whether either side has begun to close."""
        return self._connection.closed is not None


@attrs.frozen(eq=False)
class Upgrade:
    """A client's request for a WebSocket, not answered yet (the server's half, for peers)."""

    path: str
    headers: dict[str, str]
    _request: trio_websocket.WebSocketRequest

    async def accept(self) -> WebSocket:
        """Answer 101; ``WebSocketClosed`` when the client has gone meanwhile."""
        try:
            return WebSocket(await self._request.accept())
        except trio_websocket.ConnectionClosed as closed:
            raise _closed(closed) from None

    async def reject(self, status: int, body: bytes = b"") -> None:
        """Answer with another status."""
        await self._request.reject(status, body=body)


class DeafServer:
    """The server's half as bytes, for a peer that speaks and does not listen: no task, no stream, no message read.

    It accepts whoever asks, answers pings, and closes when either side does.
    """

    def __init__(self) -> None:
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.SERVER)

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is wsproto.connection.ConnectionState.OPEN

    @property
    def closed(self) -> bool:
        """Whether both sides have closed."""
        return self._protocol.state is wsproto.connection.ConnectionState.CLOSED

    def take(self, data: bytes) -> bytes:
        """Take one frame of the client's, or its request, and return what answers it: mostly nothing."""
        if self.open and data[:1] in WHOLE_MESSAGES:
            return b""
        self._protocol.receive_data(data)
        answers = b""
        for event in self._protocol.events():
            if isinstance(event, wsproto.events.Request):
                answers += self._protocol.send(wsproto.events.AcceptConnection())
            elif isinstance(event, wsproto.events.Ping | wsproto.events.CloseConnection) and not self.closed:
                answers += self._protocol.send(event.response())
        return answers

    def message(self, message: str | bytes) -> bytes:
        """Write a message, if the WebSocket is open."""
        if not self.open:
            return b""
        if isinstance(message, str):
            return self._protocol.send(wsproto.events.TextMessage(message))
        return self._protocol.send(wsproto.events.BytesMessage(message))

    def close(self, code: int, reason: str) -> bytes:
        """Begin to close, if the WebSocket is open."""
        return self._protocol.send(wsproto.events.CloseConnection(code, reason)) if self.open else b""


def parse_url(url: str) -> Endpoint:
    """Split a ``ws://`` or ``wss://`` URL; ``ValueError`` says what is wrong with it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"expected a URL such as wss://host/path, got {url!r}: {error}") from None
    if "@" in parts.netloc:  # there may be a password in it
        raise ValueError("expected a URL such as wss://host/path, got one with a user's name: use provider.headers")
    if parts.scheme not in ("ws", "wss") or not host or port == 0 or not _is_visible_ascii(url):
        raise ValueError(f"expected a URL such as wss://host/path, got {url!r}")
    tls = parts.scheme == "wss"
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(host, port or (443 if tls else 80), resource, tls)


def _is_visible_ascii(text: str) -> bool:
    return all("!" <= letter <= "~" for letter in text)


@functools.cache
def system_trust() -> ssl.SSLContext:
    """Trust the system's authorities. Reading them takes longer than a frame (22 ms seen), so it is done once."""
    return ssl.create_default_context()


async def dial_tcp(host: str, port: int) -> trio.abc.Stream:
    """Open a TCP connection (trio sets TCP_NODELAY)."""
    return await trio.open_tcp_stream(host, port)


async def connect_websocket(
    nursery: trio.Nursery,
    url: str,
    headers: Sequence[tuple[str, str]] = (),
    *,
    dial: Dial = dial_tcp,
    ssl_context: ssl.SSLContext | None = None,
) -> WebSocket:
    """Connect; the reader runs in ``nursery``. Every failure is a ``WebSocketRefused``; put your own timeout around."""
    endpoint = parse_url(url)
    where = f"{endpoint.host}:{endpoint.port}"
    for name, value in headers:
        if any((letter < " " and letter != "\t") or letter == "\x7f" for letter in value):
            raise WebSocketRefused(f"expected a header of one line, got a control character in the value of {name}")
    try:
        stream: trio.abc.Stream = await dial(endpoint.host, endpoint.port)
    except OSError as error:
        raise WebSocketRefused(f"no connection to {where}: {error}") from error
    if endpoint.tls:
        stream = await _wrap_tls(stream, endpoint.host, where, ssl_context or system_trust())
    host_header = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    if endpoint.port not in (80, 443):
        host_header += f":{endpoint.port}"
    extra = [(name.encode(), value.encode()) for name, value in headers]
    try:
        return cast(WebSocket, await nursery.start(_run_client, stream, host_header, endpoint.resource, extra))
    except* trio_websocket.ConnectionRejected as group:
        rejected = cast(trio_websocket.ConnectionRejected, _first(group))
        body = (rejected.body or b"").decode(errors="replace").strip()
        raise WebSocketRefused(
            f"{where} answered HTTP {rejected.status_code} instead of 101" + (f": {body[:300]}" if body else ""),
            status=rejected.status_code,
        ) from rejected
    except* _EndedDuringHandshake as group:
        raise WebSocketRefused(f"{where} closed the connection during the WebSocket handshake") from _first(group)
    except* (h11.ProtocolError, wsproto.utilities.ProtocolError) as group:
        # trio-websocket would answer what is no handshake, and a client cannot: its reader ends with the attempt.
        raise WebSocketRefused(f"{where} answered with something else than a WebSocket handshake") from _first(group)


async def _wrap_tls(stream: trio.abc.Stream, host: str, where: str, context: ssl.SSLContext) -> trio.abc.Stream:
    tls = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await tls.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        raise WebSocketRefused(f"no TLS with {where}: {error.__cause__ or error}") from error
    except trio.Cancelled:
        await trio.aclose_forcefully(stream)
        raise
    return tls


async def receive_upgrade(nursery: trio.Nursery, stream: trio.abc.Stream) -> Upgrade:
    """Wait for a client's WebSocket request on a stream (the server's half); ``WebSocketRefused`` if it goes away."""
    watched = _Watched(stream)
    try:
        async with trio.open_nursery() as race:
            race.start_soon(_raise_when_ended, watched)
            request = await trio_websocket.wrap_server_stream(
                nursery,
                watched,
                message_queue_size=MESSAGE_QUEUE_SIZE,
                max_message_size=MAX_MESSAGE_SIZE,
                receive_buffer_size=None,
            )
            race.cancel_scope.cancel()
    except* _EndedDuringHandshake as group:
        raise WebSocketRefused("the client went away before it had asked for a WebSocket") from _first(group)
    headers = {name.decode().lower(): value.decode() for name, value in request.headers}
    return Upgrade(request.path, headers, request)


class _EndedDuringHandshake(Exception):
    pass


async def _run_client(
    stream: trio.abc.Stream,
    host: str,
    resource: str,
    headers: list[tuple[bytes, bytes]],
    task_status: trio.TaskStatus[WebSocket] = trio.TASK_STATUS_IGNORED,
) -> None:
    # A nursery of the reader's own: a rejection is raised there, and must come out of connect_websocket.
    watched = _Watched(stream)
    # Whatever ends the reader, a cancellation included, the socket is not left behind.
    async with _closing(stream), trio.open_nursery() as reader:
        async with trio.open_nursery() as race:
            # trio-websocket waits for ever when the peer goes away during the handshake.
            race.start_soon(_raise_when_ended, watched)
            connection = await trio_websocket.wrap_client_stream(
                reader,
                watched,  # type: ignore[arg-type]
                host,
                resource,
                extra_headers=headers,
                message_queue_size=MESSAGE_QUEUE_SIZE,
                max_message_size=MAX_MESSAGE_SIZE,
                receive_buffer_size=None,
            )
            race.cancel_scope.cancel()
        task_status.started(WebSocket(connection))


@asynccontextmanager
async def _closing(stream: trio.abc.Stream) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await trio.aclose_forcefully(stream)


async def _raise_when_ended(watched: _Watched) -> None:
    await watched.ended.wait()
    # What was read before the end (a rejection) is told first.
    await trio.sleep(0.05)
    raise _EndedDuringHandshake


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _closed(closed: trio_websocket.ConnectionClosed) -> WebSocketClosed:
    if closed.reason is None or closed.reason.code == 1006:  # the code that no peer may send
        return WebSocketClosed(1006, "connection lost")
    return WebSocketClosed(closed.reason.code, closed.reason.reason or "")


class _Watched(trio.abc.Stream):
    """A stream that tells when its peer is gone, whether that is found in reading or in writing."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.ended = trio.Event()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended.set()
            raise
        if not data:
            self.ended.set()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended.set()  # after this trio-websocket does not even read
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()
