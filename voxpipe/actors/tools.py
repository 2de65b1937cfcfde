"""The running of tools: each call in a task of its own, bounded in number, in time and in what it may say.

A tool is code of the embedding program. Whatever it does, its call is answered, what became of it is in the log, and
the leg goes on: hence the broad ``except``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import trio

from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.sink import CallLog
from voxpipe.apart import apart
from voxpipe.config import ToolsConfig
from voxpipe.sansio.effects import CallTool
from voxpipe.sansio.tool_words import After, ToolAnswered, ToolSchema
from voxpipe.tools import Tool, ToolContext, write_result

INTERRUPTED = "cancelled: the caller spoke"

Answer = Callable[[ToolAnswered], None]


@attrs.define
class ToolStatistics:
    """What became of the calls of one leg."""

    called: int = 0
    answered: int = 0
    failed: int = 0
    cancelled: int = 0


@attrs.define(eq=False)
class _Running:
    """A call that has not been answered."""

    call: CallTool
    start_ns: int
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    cancellable: bool = False
    interrupted: bool = False


class ToolRunner:
    """Runs the tools of one leg. ``call`` and ``cancel`` never wait; ``run`` holds the tasks."""

    def __init__(self, tools: Sequence[Tool], context: ToolContext, limits: ToolsConfig, log: CallLog) -> None:
        self.statistics = ToolStatistics()
        self._tools = {tool.name: tool for tool in tools}
        self._context = context
        self._limits = limits
        self._log = log
        self._running: set[_Running] = set()
        self._nursery: trio.Nursery | None = None

    @property
    def schemas(self) -> tuple[ToolSchema, ...]:
        """What the model is told."""
        return tuple(tool.schema for tool in self._tools.values())

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the tasks of the calls. Ends when cancelled, and the calls with it. Never waits on anything else."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    def call(self, call: CallTool, answer: Answer) -> None:
        """Begin a call; ``answer`` is told what it came to, once, from a task of its own."""
        assert self._nursery is not None
        running = _Running(call, now_ns())
        full = len(self._running) >= self._limits.max_calls
        self._running.add(running)
        self._nursery.start_soon(self._answer, running, full, answer)

    def cancel(self) -> None:
        """Cancel the running calls that may be cancelled: the caller speaks."""
        for running in self._running:
            if running.cancellable:
                running.interrupted = True
                running.scope.cancel()

    async def _answer(self, running: _Running, full: bool, answer: Answer) -> None:
        output, after = "", None
        try:
            output, after = await self._run(running, full)
        finally:
            self._running.discard(running)
            if after is None:
                self._note("cancelled", running, because="the leg ended")
        answer(ToolAnswered(running.call.call_id, output, after))

    async def _run(self, running: _Running, full: bool) -> tuple[str, After]:
        call = running.call
        try:
            tool, arguments = self._check(call, full)
        except ValueError as error:
            return self._fail(running, f"not called: {error}", error)
        running.cancellable = tool.cancellable
        running.scope.deadline = trio.current_time() + tool.timeout_s
        self.statistics.called += 1
        self._log.record(
            "tool.called",
            {"call_id": call.call_id, "name": call.name, "arguments": call.arguments, "replies": tool.replies},
        )
        output = ""
        faults: list[Exception] = []
        with apart(faults.append), running.scope:
            output = self._bound(write_result(await tool.call(self._context, arguments)))
        if faults:
            return self._fail(running, f"failed: {type(faults[0]).__name__}: {faults[0]}", faults[0])
        if not running.scope.cancelled_caught:
            self._note("answered", running, output=output)
            return output, After.REPLY if tool.replies else After.SILENCE
        if running.interrupted:
            self._note("cancelled", running, because="the caller spoke")
            return INTERRUPTED, After.NOTHING
        late = trio.TooSlowError(f"expected a result within {tool.timeout_s:g} s, got none")
        return self._fail(running, f"failed: {late}", late)

    def _check(self, call: CallTool, full: bool) -> tuple[Tool, dict[str, Any]]:
        """Find the tool and read its arguments; ``ValueError`` with expected and actual when there is no calling it."""
        if full:
            raise ValueError(f"expected at most {self._limits.max_calls} calls at a time, got one more")
        tool = self._tools.get(call.name)
        if tool is None:
            raise ValueError(f"expected a tool of {', '.join(self._tools) or 'none'}, got {call.name}")
        return tool, tool.read(call.arguments)

    def _fail(self, running: _Running, output: str, error: Exception) -> tuple[str, After]:
        self._note("failed", running, error=type(error).__name__, message=self._bound(str(error)))
        return self._bound(output), After.REPLY

    def _note(self, what: str, running: _Running, **data: Any) -> None:
        setattr(self.statistics, what, getattr(self.statistics, what) + 1)
        call, duration_ms = running.call, round((now_ns() - running.start_ns) / 1e6, 3)
        self._log.record(
            f"tool.{what}", {"call_id": call.call_id, "name": call.name, "duration_ms": duration_ms, **data}
        )

    def _bound(self, text: str) -> str:
        """Cut off what the model could not take in, and say so in its place."""
        whole, limit_bytes = text.encode(errors="replace"), self._limits.result_bytes
        if len(whole) <= limit_bytes:
            return whole.decode()
        return whole[:limit_bytes].decode(errors="ignore") + f" [cut off: {limit_bytes} of {len(whole)} bytes]"
