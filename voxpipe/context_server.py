"""The HTTP endpoint of the reception: ``POST /legs/<uuid>``, ``GET /legs/<uuid>/outcome``, ``GET /healthz``.

The protocol is hypercorn's, the routes are starlette's; what is here is who may ask, how much, and for how long. We
accept ourselves, with hypercorn's own connection, because its ``serve`` takes any number of connections, and one that
crashes would end all. A connection serves one request and is cut after ``CONNECTION_S``, whatever holds it up.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast
from urllib.parse import parse_qsl
from uuid import UUID

import attrs
import orjson
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from hypercorn.utils import wrap_app
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from voxpipe.apart import apart
from voxpipe.config import ContextConfig, parse_address, unusable_address
from voxpipe.context import Ended, NotNow, Stage, form_tree
from voxpipe.errors import ConfigError
from voxpipe.reception import Reception

MAX_CONNECTIONS = 64
MAX_BODY_BYTES = 65_536
MAX_FIELDS = 256
BODY_S = 5.0
SILENCE_S = 2
"""A connection that asks for nothing, and one whose peer has gone without asking."""
MAX_WAIT_S = 60.0
CONNECTION_S = MAX_WAIT_S + BODY_S + SILENCE_S
DRAIN_S = 1.0
FORM = "application/x-www-form-urlencoded"


@attrs.frozen
class Health:
    """What a load balancer asks for."""

    active: int
    draining: bool


class ContextServer:
    """Serves the reception until drained. Its faults are given to ``on_crash`` and end nothing but a request."""

    def __init__(
        self,
        config: ContextConfig,
        reception: Reception,
        health: Callable[[], Health],
        on_crash: Callable[[Exception], None],
    ) -> None:
        self._config = config
        self._reception = reception
        self._health = health
        self._on_crash = on_crash
        self._listeners: list[trio.SocketListener] = []
        self._accepting = trio.CancelScope()
        self._served = trio.Event()
        self._closed = trio.Event()
        self._open = 0
        app = Starlette(
            routes=[
                Route("/legs/{uuid:uuid}", self._announce, methods=["POST"]),
                Route("/legs/{uuid:uuid}/outcome", self._outcome),
                Route("/healthz", self._healthz),
            ],
            exception_handlers={HTTPException: _refuse, Exception: self._crash},
        )
        # Neither a log of its own nor a second request: what a peer does not read fits into the socket's buffer.
        self._hypercorn = HypercornConfig()
        self._hypercorn.errorlog = None
        self._hypercorn.keep_alive_timeout = SILENCE_S
        self._hypercorn.keep_alive_max_requests = 1
        self._hypercorn.include_server_header = False
        self._app = wrap_app(cast("ASGIFramework", app), MAX_BODY_BYTES, "asgi")

    async def listen(self) -> None:
        """Open the port; ``ConfigError`` when that cannot be."""
        host, port = parse_address(self._config.listen)
        try:
            self._listeners = await trio.open_tcp_listeners(port, host=host)
        except OSError as error:
            raise unusable_address("context.listen", self._config.listen, error) from error

    @property
    def address(self) -> tuple[str, int]:
        """The host and port listened on."""
        host, port = self._listeners[0].socket.getsockname()[:2]
        return host, port

    async def aclose(self) -> None:
        """Close the port."""
        for listener in self._listeners:
            await listener.aclose()

    async def serve(self) -> None:
        """Answer requests until drained. Owns its connections. Raises nothing but ``Cancelled``."""
        try:
            await self._apart(self._accept, self._listeners)
        finally:
            self._served.set()

    async def drain(self) -> None:
        """Take no more connections, answer those that are open, and end."""
        self._accepting.cancel()
        await self._served.wait()

    async def _accept(self, listeners: list[trio.SocketListener]) -> None:
        async with trio.open_nursery() as connections:
            with self._accepting:
                await trio.serve_listeners(self._serve_stream, listeners, handler_nursery=connections)
            await self.aclose()
            with trio.move_on_after(DRAIN_S):
                while self._open:
                    await self._closed.wait()
            connections.cancel_scope.cancel()

    async def _serve_stream(self, stream: trio.SocketStream) -> None:
        if self._open >= MAX_CONNECTIONS:
            await trio.aclose_forcefully(stream)
            return
        self._open += 1
        try:
            await self._apart(self._converse, stream)
        finally:
            self._open -= 1
            self._closed.set()
            self._closed = trio.Event()

    async def _converse(self, stream: trio.SocketStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cut_off, stream)
            await TCPServer(
                self._app,
                self._hypercorn,
                WorkerContext(None),
                ConnectionState({}),
                cast("trio.SSLStream[trio.SocketStream]", stream),  # it takes either, and says so in a comment only
            )
            nursery.cancel_scope.cancel()

    async def _apart(self, work: Callable[[Any], Awaitable[None]], argument: object) -> None:
        with apart(self._on_crash):
            await work(argument)

    async def _crash(self, request: Request, error: Exception) -> Response:
        self._on_crash(error)
        return _answer(request, 500, "failed", {"error": "a fault of ours; the gateway's log has it"})

    # --- the routes ---------------------------------------------------------------------------------------------------

    async def _announce(self, request: Request) -> Response:
        self._authorise(request)
        uuid: UUID = request.path_params["uuid"]
        if self._health().draining:
            raise HTTPException(503, "expected a gateway that takes calls, got one that drains")
        try:
            tree = await _read_announcement(request)
        except ConfigError as error:
            self._reception.note_refusal(uuid, error)
            return _unprocessable(request, error)
        try:
            replaced = self._reception.announce(uuid, tree)
        except ConfigError as error:
            return _unprocessable(request, error)
        except NotNow as error:
            raise HTTPException(409 if error.begun else 503, str(error)) from error
        status = 200 if replaced else 201
        return _answer(request, status, "announced", {"uuid": str(uuid), "expires_s": self._config.expires_s})

    async def _outcome(self, request: Request) -> Response:
        self._authorise(request)
        uuid: UUID = request.path_params["uuid"]
        try:
            wait_s = _read_wait(request)
        except ConfigError as error:
            return _unprocessable(request, error)
        stage, ended = await self._wait_for_outcome(request, uuid, wait_s)
        if ended is not None:
            return _answer(request, 200, ended.next or ended.word, _tell(uuid, ended))
        word = stage.name.lower()
        status = 404 if stage is Stage.UNKNOWN else 409
        return _answer(request, status, word, {"uuid": str(uuid), "outcome": word})

    async def _wait_for_outcome(self, request: Request, uuid: UUID, wait_s: float) -> tuple[Stage, Ended | None]:
        found: tuple[Stage, Ended | None] = (Stage.UNKNOWN, None)
        async with trio.open_nursery() as nursery:
            if wait_s:
                nursery.start_soon(_cancel_when_gone, request, nursery.cancel_scope)
            found = await self._reception.outcome(uuid, wait_s)
            nursery.cancel_scope.cancel()
        return found

    async def _healthz(self, request: Request) -> Response:
        health = self._health()
        word = "draining" if health.draining else "up"
        return _answer(request, 503 if health.draining else 200, word, {"gateway": word, "legs": health.active})

    def _authorise(self, request: Request) -> None:
        expected = f"Bearer {self._config.token}".encode()
        given = request.headers.get("authorization", "").encode()
        if self._config.token and not hmac.compare_digest(given, expected):
            raise HTTPException(
                401, "expected Authorization: Bearer with context.token", {"WWW-Authenticate": "Bearer"}
            )


async def _cut_off(stream: trio.SocketStream) -> None:
    # By closing, since hypercorn shields what it sends from being cancelled.
    try:
        await trio.sleep(CONNECTION_S)
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)


async def _cancel_when_gone(request: Request, scope: trio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _read_announcement(request: Request) -> dict[str, Any]:
    body = await _read_body(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body:
        return {}
    try:
        if kind == FORM:
            return form_tree(_read_form(body))
        if kind != "application/json":
            raise HTTPException(415, f"expected application/json or {FORM}, got {kind or 'no Content-Type'}")
        tree = orjson.loads(body)
    except ValueError as error:  # orjson's and Unicode's errors are such, too
        raise HTTPException(400, f"expected a body of {kind}: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError("", f"expected a table, got {type(tree).__name__}")
    return tree


def _read_form(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(
        body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS
    )


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    with trio.move_on_after(BODY_S):
        try:
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise HTTPException(413, f"expected at most {MAX_BODY_BYTES} bytes, got more")
        except ClientDisconnect as error:
            raise HTTPException(400, "expected the whole body, got the end of the connection") from error
        return bytes(body)
    raise HTTPException(408, f"expected the whole body within {BODY_S:g} s")


def _read_wait(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = math.nan
    if not 0 <= wait_s <= MAX_WAIT_S:
        raise ConfigError("wait", f"expected 0 to {MAX_WAIT_S:g} seconds, got {text!r}")
    return wait_s


def _tell(uuid: UUID, ended: Ended) -> dict[str, Any]:
    tree = attrs.asdict(ended)
    return {"uuid": str(uuid), "outcome": tree.pop("word"), **tree}


def _answer(request: Request, status: int, word: str, data: dict[str, Any]) -> Response:
    """Answer in JSON or, where the dialplan wants a word to branch on, with that alone."""
    accepted = request.headers.get("accept", "")
    if request.query_params.get("format", "text" if accepted.startswith("text/plain") else "json") == "text":
        return PlainTextResponse(word, status)
    return Response(orjson.dumps(data), status, media_type="application/json")


def _unprocessable(request: Request, error: ConfigError) -> Response:
    expected, _, found = error.reason.removeprefix("expected ").rpartition(", got ")
    told = {"key": error.path, "expected": expected, "found": found, "error": str(error)}
    return _answer(request, 422, "refused", told)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    word = "unknown" if error.status_code == 404 else "refused"
    answer = _answer(request, error.status_code, word, {"error": error.detail})
    answer.headers.update(error.headers or {})
    return answer
