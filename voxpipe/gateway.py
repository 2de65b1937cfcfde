"""The gateway: listens, gives each leg a nursery of its own, and keeps their faults apart.

One leg's failure, even a bug of ours, never touches another's (``apart.py``). What concerns no single leg (started,
refused, drained) goes into the gateway's own log, in the same schema as a leg's.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs
import trio

from voxpipe.actors.access import known_secrets
from voxpipe.actors.leg_control import LegControl
from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.sink import CallLog, Entry, RecordObserver, write_records
from voxpipe.apart import apart
from voxpipe.builtin_tools import all_tools
from voxpipe.call import Surroundings
from voxpipe.config import Config, format_address, parse_address
from voxpipe.config_check import check_config, find_trust
from voxpipe.context import Ended, LegContext
from voxpipe.errors import ConfigError
from voxpipe.leg import LegOutcome, run_leg
from voxpipe.reception import Reception, ended_of
from voxpipe.sansio.audiosocket import HANGUP
from voxpipe.sansio.records import format_timestamp
from voxpipe.tools import Tool
from voxpipe.websocket import Dial, dial_tcp

if TYPE_CHECKING:
    from voxpipe.context_server import ContextServer

REFUSE_TIMEOUT_S = 1.0
SETTLE_TIMEOUT_S = 2.0
"""After a drain: the dialplan of the last announced call has not asked yet how that ended."""
SILENT_LIMIT = 64
"""Connections that have not said their UUID yet; they take no place of a leg's."""
GatewayStarted = tuple[str, int]


@attrs.define
class GatewayStatistics:
    """What the gateway did since it started."""

    legs: int = 0
    active: int = 0
    refused: int = 0
    failed: int = 0
    peak_active: int = 0


class Gateway:
    """Answers AudioSocket connections until drained.

    ``on_start`` is given a handle to each call. ``on_record`` sees every record of every leg and of the gateway.
    Neither may wait. ``on_warning`` is told what an operator should know (a disk that is full, a leg that failed for a
    bug). ``tools`` are what the agents may call. ``dial`` and ``unix_ns`` are for tests in virtual time.
    """

    def __init__(
        self,
        config: Config,
        *,
        on_record: RecordObserver | None = None,
        on_warning: Callable[[str], None] = lambda _text: None,
        on_outcome: Callable[[LegOutcome], None] = lambda _outcome: None,
        on_start: Callable[[LegControl], None] = lambda _control: None,
        tools: Sequence[Tool] = (),
        dial: Dial = dial_tcp,
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        check_config(config)
        names = frozenset(tool.name for tool in all_tools(config.tools, tools))
        self.statistics = GatewayStatistics()
        self.reception = Reception(config, self._record, names)
        """Announce calls here, and ask how they ended; over HTTP with ``context.listen``."""
        self.context_address: GatewayStarted | None = None
        """Where the reception is served, once it is."""
        self._config = config
        self._on_outcome = on_outcome
        self._unix_ns = unix_ns
        self._silent: dict[trio.CancelScope, None] = {}
        self._draining = trio.Event()
        self._idle = trio.Event()
        self._given = Surroundings(
            dial=dial,
            ssl_context=find_trust(config.provider),
            on_record=on_record,
            on_warning=on_warning,
            on_start=on_start,
            drain=self._draining,
            unix_ns=unix_ns,
            tools=tuple(tools),
        )
        self._log: CallLog | None = None

    def drain(self) -> None:
        """Take no new legs; let the running ones play their answers to the end and hang up."""
        self._draining.set()

    async def serve(self, task_status: trio.TaskStatus[GatewayStarted] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen as configured until drained; ``task_status`` gives the host and port, once legs can come.

        Raises ``OSError`` when the address cannot be listened on, ``ConfigError`` when the log cannot be written.
        """
        desk = self._make_desk()
        host, port = parse_address(self._config.gateway.listen)
        listeners = await trio.open_tcp_listeners(port, host=host)
        try:
            if desk is not None:
                await desk.listen()
            async with trio.open_nursery() as sink:
                refusal = await self._open_log(sink)
                if refusal is None:
                    await self._serve(listeners, desk, task_status)
        finally:
            for listener in listeners:
                await listener.aclose()
            if desk is not None:
                await desk.aclose()
        if refusal is not None:
            raise refusal  # outside of the nursery, which would wrap it

    async def _serve(
        self,
        listeners: list[trio.SocketListener],
        desk: ContextServer | None,
        task_status: trio.TaskStatus[GatewayStarted],
    ) -> None:
        address: GatewayStarted = listeners[0].socket.getsockname()[:2]
        try:
            self._record("gateway.started", {"listen": format_address(*address)})
            async with trio.open_nursery() as aside:
                aside.start_soon(self.reception.expire)
                if desk is not None:
                    self.context_address = desk.address
                    self._record("context.started", {"listen": format_address(*desk.address)})
                    aside.start_soon(desk.serve)
                task_status.started(address)
                await self._accept_until_drained(listeners)
                if desk is not None:
                    await self.reception.settle(SETTLE_TIMEOUT_S)
                    await desk.drain()
                aside.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                assert self._log is not None
                await self._log.finish("gateway.stopped", attrs.asdict(self.statistics))

    def _make_desk(self) -> ContextServer | None:
        if not self._config.context.listen:
            return None
        try:
            from voxpipe.context_server import ContextServer, Health
        except ModuleNotFoundError as error:
            raise ConfigError("context.listen", f"expected voxpipe[context] to be installed: {error}") from error

        def health() -> Health:
            return Health(self.statistics.active, self._draining.is_set())

        return ContextServer(self._config.context, self.reception, health, self._note_context_crash)

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Run one leg on a stream, or refuse it; a fault of the leg stays here."""
        # Who is announced may say its UUID first: a dialplan will ask how that call ended.
        if not self.reception.expects_calls and (because := self._why_full()):
            self._note_refusal(because)
            await _hang_up(stream)
            return
        while len(self._silent) >= SILENT_LIMIT:
            # Asterisk says its UUID with the first packet: who has been silent longest is no Asterisk.
            next(iter(self._silent)).cancel()
            del self._silent[next(iter(self._silent))]
            self._note_refusal(f"expected the UUID, got nothing from the oldest of {SILENT_LIMIT} silent connections")
        scope = trio.CancelScope()
        self._silent[scope] = None
        admitted: UUID | None = None
        context: LegContext | None = None
        ended = Ended("failed", "crashed or cancelled")

        def admit(uuid: UUID) -> str:
            nonlocal admitted, context
            self._silent.pop(scope, None)
            if because := self._why_full() or self.reception.why_unannounced(uuid):
                self._note_refusal(because)
                self.reception.refuse(uuid, because)
                return because
            admitted, context = uuid, self.reception.begin(uuid)
            self._note_leg()
            return ""

        given = attrs.evolve(self._given, admit=admit, context=lambda _uuid: context)
        try:
            with apart(self._note_crash), scope:
                outcome = await run_leg(stream, self._config, given)
                ended = ended_of(outcome)
                if admitted is not None or outcome.uuid is None:
                    self._note_outcome(outcome)
        finally:
            self._silent.pop(scope, None)
            if admitted is not None:
                self.reception.end(admitted, ended)
                self.statistics.active -= 1
                if self.statistics.active == 0:
                    self._idle.set()
                    self._idle = trio.Event()

    def _why_full(self) -> str:
        active, limit = self.statistics.active, self._config.gateway.max_legs
        if self._draining.is_set():
            return "gateway drains"
        return f"expected fewer than {limit} legs, got {active}" if active >= limit else ""

    async def _accept_until_drained(self, listeners: list[trio.SocketListener]) -> None:
        async with trio.open_nursery() as legs:
            accepting = trio.CancelScope()
            legs.start_soon(self._accept, listeners, legs, accepting)
            await self._draining.wait()
            accepting.cancel()
            timeout_s = self._config.gateway.drain_timeout_s
            self._record("gateway.draining", {"active": self.statistics.active, "timeout_s": timeout_s})
            with trio.move_on_after(timeout_s):
                while self.statistics.active:
                    await self._idle.wait()
            if self.statistics.active:
                self._record("gateway.drain_timeout", {"active": self.statistics.active})
            legs.cancel_scope.cancel()

    async def _accept(
        self, listeners: list[trio.SocketListener], legs: trio.Nursery, accepting: trio.CancelScope
    ) -> None:
        with accepting:
            await trio.serve_listeners(self.serve_stream, listeners, handler_nursery=legs)
        for listener in listeners:
            await listener.aclose()

    def _note_leg(self) -> None:
        self.statistics.legs += 1
        self.statistics.active += 1
        self.statistics.peak_active = max(self.statistics.peak_active, self.statistics.active)

    def _note_refusal(self, because: str) -> None:
        self.statistics.refused += 1
        self._record("leg.refused", {"because": because})

    def _note_crash(self, error: Exception) -> None:
        # A bug of ours ends this leg only. What it was is told, with where.
        self.statistics.failed += 1
        where = "".join(traceback.format_exception(error))
        bug = _innermost(error)
        self._record("leg.crashed", {"error": type(bug).__name__, "message": str(bug), "traceback": where})
        self._given.on_warning(f"a leg crashed: {bug!r}\n{where}")

    def _note_context_crash(self, error: Exception) -> None:
        where = "".join(traceback.format_exception(error))
        bug = _innermost(error)
        self._record("context.crashed", {"error": type(bug).__name__, "message": str(bug), "traceback": where})
        self._given.on_warning(f"a request for a call's context crashed: {bug!r}\n{where}")

    def _note_outcome(self, outcome: LegOutcome) -> None:
        uuid = None if outcome.uuid is None else str(outcome.uuid)
        log = None if outcome.log is None else outcome.log.name
        self.statistics.failed += outcome.error is not None
        error = None if outcome.error is None else type(outcome.error).__name__
        self._record(
            "leg.ended", {"uuid": uuid, "because": outcome.reason, "next": outcome.next, "error": error, "log": log}
        )
        self._on_outcome(outcome)

    async def _open_log(self, nursery: trio.Nursery) -> ConfigError | None:
        send, receive = trio.open_memory_channel[Entry](self._config.limits.records)
        start_unix_ns = self._unix_ns()
        stamp = format_timestamp(start_unix_ns).translate({ord(c): None for c in "-:"}).partition("+")[0]
        path = Path(self._config.log.dir) / f"gateway-{stamp.replace('.', '-')}.jsonl"
        self._log = CallLog(
            send,
            leg=None,
            start_ns=now_ns(),
            start_unix_ns=start_unix_ns,
            now_ns=now_ns,
            secrets=known_secrets(self._config.provider) | {self._config.context.token} - {""},
            observer=self._given.on_record,
        )
        try:
            await nursery.start(write_records, receive, path, self._log, self._given.on_warning)
        except OSError as error:
            folder = self._config.log.dir
            return ConfigError("log.dir", f"expected a folder that can be written, got {folder!r}: {error}")
        return None

    def _record(self, event_type: str, data: dict[str, Any]) -> None:
        if self._log is not None:
            self._log.record(event_type, data)


async def _hang_up(stream: trio.abc.Stream) -> None:
    with trio.move_on_after(REFUSE_TIMEOUT_S):
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.send_all(HANGUP)
    await trio.aclose_forcefully(stream)


def _innermost(error: BaseException) -> BaseException:
    """Unwrap what nurseries have wrapped: the first error of a group is the one to search for."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
