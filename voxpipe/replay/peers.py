"""The peers of a recorded call: they say what they said then, when they said it, whatever they hear."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing

from voxpipe.actors.leg_control import LegControl
from voxpipe.actors.monotonic import sleep_until_ns
from voxpipe.errors import AudioError, SessionError
from voxpipe.replay.tape import (
    Drained,
    Event,
    PhoneSent,
    ProviderClosed,
    ProviderSent,
    Requested,
    Tape,
    TapedConnection,
    TapedTool,
    ToolEnded,
)
from voxpipe.replay.wire import Line, ProviderLine
from voxpipe.sansio.tool_words import ToolSchema
from voxpipe.tools import Tool

SLIP_NS = 150_000_000
"""A frame that left later than this after its time belongs to a later stretch of speech."""


class TapedPeers:
    """All who took part in the call besides the leg, which gets ``line`` and the rest as surroundings.

    ``place`` tells where a WAV file is today that was played then.
    """

    def __init__(self, tape: Tape, line: Line, nursery: trio.Nursery, place: Callable[[str], str]) -> None:
        self.drain = trio.Event()
        self.tools = [
            _TapedTool(schema, [call for call in tape.tools if call.name == schema["name"]])
            for schema in tape.schemas
            if schema["name"] not in tape.config.tools.builtin
        ]
        self._inputs = tape.inputs
        self._line = line
        self._place = place
        self._nursery = nursery
        self._taped = iter(tape.connections)
        self._connections: list[ProviderLine | None] = []
        self._control: LegControl | None = None

    def start(self, control: LegControl) -> None:
        """Take the handle to the call."""
        self._control = control

    async def conduct(self) -> None:
        """Let everything happen when it happened, one after the other; what happened at one instant, in its order."""
        before_ns = -1
        for each in self._inputs:
            await sleep_until_ns(each.t_ns)
            if each.t_ns == before_ns or isinstance(each.event, ProviderSent):
                await trio.testing.wait_all_tasks_blocked()  # a connection of this instant is open by then
            before_ns = each.t_ns
            self._do(each.event)

    async def dial(self, _host: str, _port: int) -> trio.abc.Stream:
        """Open the next connection when it was opened, or fail when it failed."""
        taped = next(self._taped, TapedConnection())
        if taped.opened_ns is None:
            self._connections.append(None)
            await sleep_until_ns(taped.failed_ns or 0)
            raise OSError("not opened then")
        await sleep_until_ns(taped.opened_ns)
        connection = ProviderLine()
        self._connections.append(connection)
        return connection

    def _do(self, event: Event) -> None:
        # Whoever it is for may be gone now, though not then: the comparison tells.
        match event:
            case PhoneSent(None):
                self._line.end()
            case PhoneSent(bytes(message)):
                self._line.say(message)
            case ProviderSent(number, message):
                if (connection := self._connection(number)) is not None:
                    connection.say_message(message)
            case ProviderClosed(number, code, reason):
                if (connection := self._connection(number)) is None:
                    pass
                elif code in (1005, 1006):
                    connection.end()
                else:
                    connection.close(code, reason)
            case ToolEnded():
                for tool in self.tools:
                    tool.end(event)
            case Requested():
                assert self._control is not None
                self._nursery.start_soon(_ask, self._control, event, self._place)
            case Drained():
                self.drain.set()

    def _connection(self, number: int) -> ProviderLine | None:
        return self._connections[number - 1] if number <= len(self._connections) else None


async def _ask(control: LegControl, request: Requested, place: Callable[[str], str]) -> None:
    ask: dict[str, Callable[[], Awaitable[object]]] = {
        "say": lambda: control.say(request.text),
        "instruct": lambda: control.instruct(request.text),
        "change_voice": lambda: control.change_voice(request.text),
        "hang_up": control.hang_up,
        "play": lambda: control.play(place(request.text)),
    }
    # It was refused then as now, or the file is another one today: the comparison tells.
    with contextlib.suppress(SessionError, AudioError):
        await ask[request.what]()


class TapedPace:
    """Lets each frame leave when it left then: the machine of then was late now and again, and cuts depend on it."""

    def __init__(self, tape: Tape, line: Line) -> None:
        self._frames_ns = tape.frames_ns
        self._in_flight = tape.in_flight
        self._stops_ns = tape.stops_ns
        self._line = line
        self._number = 0

    def note_written(self) -> None:
        """Take note that a frame of the agent's was written."""
        self._number += 1

    async def wait(self, due_ns: int) -> None:
        """Wait until a frame is due, or until it left then, if that was a little later.

        One that was cut or held on its way was taken when it was due, and it is its writing that took so long; one that
        was due then and not taken yet is not taken before the cut.
        """
        number = self._number
        then_ns = self._frames_ns[number] if number < len(self._frames_ns) else due_ns
        stop_ns = self._stops_ns.get(number, due_ns)
        if due_ns < stop_ns < due_ns + SLIP_NS:
            due_ns = stop_ns + 1
        elif due_ns < then_ns < due_ns + SLIP_NS:
            if number in self._in_flight:
                self._line.busy_until_ns = then_ns
            else:
                due_ns = then_ns
        await sleep_until_ns(due_ns)


class _TapedTool(Tool):
    """Stands in for a program's own tool: the same to the model, and the same results at the same times."""

    def __init__(self, schema: dict[str, Any], calls: list[TapedTool]) -> None:
        self.name = schema["name"]
        self.timeout_s = float("inf")
        self.cancellable = any(not call.ends for call in calls)
        self.replies = calls[0].replies if calls else True
        self._schema = ToolSchema(self.name, schema["description"], schema["parameters"])
        self._calls = calls
        self._numbers = itertools.count()
        self._ends = {call.call_id: trio.Event() for call in calls if call.ends}
        self._results: dict[str, ToolEnded] = {}

    @property
    def schema(self) -> ToolSchema:
        return self._schema

    def end(self, event: ToolEnded) -> None:
        """Let the call have its result, if it is one of this tool's."""
        if event.call_id in self._ends:
            self._results[event.call_id] = event
            self._ends[event.call_id].set()

    def read(self, arguments: str) -> dict[str, Any]:
        return {}

    async def call(self, context: object, arguments: dict[str, Any]) -> str:
        call = self._calls[next(self._numbers)]
        if not call.ends:
            await trio.sleep_forever()
        await self._ends[call.call_id].wait()
        result = self._results[call.call_id]
        if result.error is not None:
            raise type(result.error, (Exception,), {})(result.output)
        return result.output
