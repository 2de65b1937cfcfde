"""The WebSocket over real TLS: whose certificate is taken, and what is said of every other."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import pytest
import trio
import trustme

from voxpipe.websocket import Upgrade, WebSocketClosed, WebSocketRefused, connect_websocket, receive_upgrade

pytestmark = pytest.mark.sockets
Serve = Callable[[Upgrade], Awaitable[None]]


async def echo(upgrade: Upgrade) -> None:
    """Send back what comes, to the end."""
    websocket = await upgrade.accept()
    try:
        while True:
            await websocket.send_message(await websocket.get_message())
    except WebSocketClosed:
        pass


AUTHORITY = trustme.CA()


async def tls_server(nursery: trio.Nursery, name: str, serve: Serve = echo) -> int:
    """Serve over TLS with a certificate for a name; the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert(name).configure_cert(context)

    async def answer(stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, context, server_side=True)
        try:
            await tls.do_handshake()
            await serve(await receive_upgrade(nursery, tls))
        except (trio.BrokenResourceError, WebSocketRefused):
            await trio.aclose_forcefully(stream)

    listeners = await nursery.start(trio.serve_tcp, answer, 0)
    return int(listeners[0].socket.getsockname()[1])


def trusting() -> ssl.SSLContext:
    """A context that trusts the test's authority and no other."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


async def test_tls_with_a_trusted_certificate(nursery: trio.Nursery) -> None:
    """Messages pass over real TLS, and the port is in the host header."""
    port = await tls_server(nursery, "localhost")
    websocket = await connect_websocket(nursery, f"wss://localhost:{port}/", ssl_context=trusting())
    await websocket.send_message("x" * 100_000)
    assert await websocket.get_message() == "x" * 100_000
    await websocket.aclose()
    nursery.cancel_scope.cancel()


async def test_an_untrusted_certificate_is_refused(nursery: trio.Nursery) -> None:
    """The system's authorities do not know the test's: no byte of ours, no key, goes to such a server."""
    asked: list[Upgrade] = []

    async def serve(upgrade: Upgrade) -> None:
        asked.append(upgrade)

    port = await tls_server(nursery, "localhost", serve)
    with pytest.raises(WebSocketRefused) as caught:
        await connect_websocket(nursery, f"wss://localhost:{port}/")
    assert str(caught.value).startswith(f"no TLS with localhost:{port}: ")
    assert "certificate verify failed" in str(caught.value)
    assert asked == []
    nursery.cancel_scope.cancel()


async def test_a_certificate_for_another_name_is_refused(nursery: trio.Nursery) -> None:
    """A trusted authority's certificate for another host is none for this one."""
    port = await tls_server(nursery, "provider.test")
    with pytest.raises(WebSocketRefused, match="certificate is not valid for 'localhost'"):
        await connect_websocket(nursery, f"wss://localhost:{port}/", ssl_context=trusting())
    nursery.cancel_scope.cancel()


async def test_a_server_without_tls_is_refused(nursery: trio.Nursery) -> None:
    """wss:// to a plain server is an error that says so, not a wait."""

    async def plain(stream: trio.SocketStream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    listeners = await nursery.start(trio.serve_tcp, plain, 0)
    port = listeners[0].socket.getsockname()[1]
    with pytest.raises(WebSocketRefused, match=rf"^no TLS with localhost:{port}: "), trio.fail_after(10):
        await connect_websocket(nursery, f"wss://localhost:{port}/", ssl_context=trusting())
    nursery.cancel_scope.cancel()


async def test_a_server_that_hangs_up_in_the_tls_handshake_is_refused(nursery: trio.Nursery) -> None:
    """The same for one that closes at once."""
    listeners = await nursery.start(trio.serve_tcp, trio.aclose_forcefully, 0)
    port = listeners[0].socket.getsockname()[1]
    with pytest.raises(WebSocketRefused, match=rf"^no TLS with localhost:{port}: "), trio.fail_after(10):
        await connect_websocket(nursery, f"wss://localhost:{port}/", ssl_context=trusting())
    nursery.cancel_scope.cancel()
