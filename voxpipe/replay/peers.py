"""The peers of a recorded call: they say what they said then, when they said it, whatever they hear."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing

from voxpipe.actors.monotonic import sleep_until_ns
from voxpipe.replay.tape import Input, Tape, TapedConnection, TapedTool
from voxpipe.sansio.tool_words import ToolSchema
from voxpipe.tools import Tool
from voxpipe.websocket import WebSocketClosed, receive_upgrade

SLIP_NS = 150_000_000
"""A frame that left later than this after its time belongs to a later stretch of speech."""


class TapedPhone:
    """The caller's side of the leg."""

    def __init__(self, tape: Tape, line: trio.abc.Stream) -> None:
        self._inputs = tape.phone
        self._line = line

    async def speak(self) -> None:
        """Send what the caller's side sent, to its end."""
        try:
            for message in self._inputs:
                await sleep_until_ns(message.t_ns)
                if not isinstance(message.payload, bytes):
                    break
                await self._line.send_all(message.payload)
            else:
                await trio.sleep_forever()  # it was our side that ended the leg
            await self._line.aclose()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def listen(self) -> None:
        """Take all that is written to the leg."""
        try:
            async for _ in self._line:
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass


class TapedProvider:
    """The provider's side, connection by connection."""

    def __init__(self, tape: Tape, nursery: trio.Nursery) -> None:
        self._connections = iter(tape.connections)
        self._nursery = nursery

    async def dial(self, _host: str, _port: int) -> trio.abc.Stream:
        """Open the next connection when it was opened, or fail when it failed."""
        connection = next(self._connections, None)
        if connection is None or connection.opened_ns is None:
            await sleep_until_ns(0 if connection is None else connection.failed_ns or 0)
            raise OSError("expected no further connection" if connection is None else "not opened then")
        await sleep_until_ns(connection.opened_ns)
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self._serve, connection, theirs)
        return ours

    async def _serve(self, connection: TapedConnection, stream: trio.abc.Stream) -> None:
        try:
            async with trio.open_nursery() as nursery:
                websocket = await (await receive_upgrade(nursery, stream)).accept()
                nursery.start_soon(_say, websocket.send_message, connection.messages)
                if connection.closed is None:
                    await _ignore(websocket.get_message)
                else:
                    t_ns, code, reason = connection.closed
                    nursery.start_soon(_ignore, websocket.get_message)
                    await sleep_until_ns(t_ns)
                    if code not in (1005, 1006):
                        await websocket.aclose(code, reason)
                await trio.aclose_forcefully(stream)
                nursery.cancel_scope.cancel()
        except* (WebSocketClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            pass


async def _say(send: Callable[[str], Awaitable[None]], messages: list[Input]) -> None:
    try:
        for message in messages:
            await sleep_until_ns(message.t_ns)
            assert isinstance(message.payload, str)
            await send(message.payload)
    except WebSocketClosed:
        pass


async def _ignore(get: Callable[[], Awaitable[str | bytes]]) -> None:
    try:
        while True:
            await get()
    except WebSocketClosed:
        pass


class TapedPace:
    """Lets each frame leave when it left then: the machine of then was late now and again, and cuts depend on it."""

    def __init__(self, tape: Tape) -> None:
        self._frames_ns = tape.frames_ns
        self._number = 0

    def note_written(self) -> None:
        """Take note that a frame of the agent's was written."""
        self._number += 1

    async def wait(self, due_ns: int) -> None:
        """Wait until a frame is due, or until it left then, if that was a little later."""
        then_ns = self._frames_ns[self._number] if self._number < len(self._frames_ns) else due_ns
        await sleep_until_ns(then_ns if due_ns < then_ns < due_ns + SLIP_NS else due_ns)


def taped_tools(tape: Tape) -> list[Tool]:
    """Stand in for a program's own tools: the same to the model, and the same results at the same times."""
    calls: dict[str, list[TapedTool]] = {}
    for call in tape.tools:
        calls.setdefault(call.name, []).append(call)
    builtin = set(tape.config.tools.builtin)
    return [
        _TapedTool(schema, calls.get(schema["name"], [])) for schema in tape.schemas if schema["name"] not in builtin
    ]


class _TapedTool(Tool):
    def __init__(self, schema: dict[str, Any], calls: list[TapedTool]) -> None:
        self.name = schema["name"]
        self.timeout_s = float("inf")
        self.cancellable = any(call.ended_ns is None for call in calls)
        self.replies = calls[0].replies if calls else True
        self._schema = ToolSchema(self.name, schema["description"], schema["parameters"])
        self._calls = calls
        self._numbers = itertools.count()

    @property
    def schema(self) -> ToolSchema:
        return self._schema

    def read(self, arguments: str) -> dict[str, Any]:
        return {}

    async def call(self, context: object, arguments: dict[str, Any]) -> str:
        call = self._calls[next(self._numbers)]
        if call.ended_ns is None:
            await trio.sleep_forever()
        assert call.ended_ns is not None
        await sleep_until_ns(call.ended_ns)
        if call.error is not None:
            raise type(call.error, (Exception,), {})(call.output)
        return call.output
