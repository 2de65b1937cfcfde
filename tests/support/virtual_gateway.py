"""A gateway in virtual time: it listens on memory, and its provider is the peer at the other end of memory streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
import trio
import trio.testing
from virtual_call import START_UNIX_NS, Phone, Script, read_log, run_inline, speak, virtual_config

from voxpipe.gateway import Gateway
from voxpipe.leg import LegOutcome
from voxpipe.sansio.records import Record
from voxpipe.testing.provider import Provider
from voxpipe.testing.scenario import SCENARIOS, Scenario
from voxpipe.tools import Tool


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """A listener to which connections are handed."""

    def __init__(self, port: int = 9092) -> None:
        self._port = port
        self._hand, self._accept = trio.open_memory_channel[trio.abc.Stream](float("inf"))
        self.socket = self

    def getsockname(self) -> tuple[str, int]:
        """Be a listening socket as far as its address goes."""
        return ("127.0.0.1", self._port)

    async def accept(self) -> trio.abc.Stream:
        """Wait for a connection."""
        return await self._accept.receive()

    async def aclose(self) -> None:
        """Take no more."""
        self._accept.close()
        await trio.lowlevel.checkpoint()

    def connect(self) -> trio.abc.Stream:
        """Be Asterisk: connect; ``trio.BrokenResourceError`` when nobody listens any more."""
        near, far = trio.testing.memory_stream_pair()
        self._hand.send_nowait(far)
        return near


@attrs.define
class VirtualGateway:
    """A running gateway, who calls it, and what is known of it."""

    gateway: Gateway
    listener: MemoryListener
    nursery: trio.Nursery
    folder: Path
    outcomes: dict[UUID | None, LegOutcome] = attrs.field(factory=dict)
    warnings: list[str] = attrs.field(factory=list)
    stopped: trio.Event = attrs.field(factory=trio.Event)

    def call(self, script: Script) -> Phone:
        """Begin a call; it goes on by itself."""
        phone = Phone()
        line = self.listener.connect()
        self.nursery.start_soon(phone.listen, line, trio.current_time())
        self.nursery.start_soon(speak, line, script)
        return phone

    @property
    def log(self) -> list[Record]:
        """The gateway's own log."""
        (path,) = self.folder.glob("gateway-*.jsonl")
        return read_log(path)

    def of(self, event_type: str) -> list[dict[str, Any]]:
        """The data of all records of one type in the gateway's log."""
        return [record.event_data for record in self.log if record.event_type == event_type]

    def leg_log(self, uuid: UUID) -> list[Record]:
        """The log of one leg."""
        (path,) = self.folder.glob(f"*-{uuid}.jsonl")
        return read_log(path)


GatewayMaker = Callable[..., AbstractAsyncContextManager[VirtualGateway]]


@pytest.fixture
def run_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GatewayMaker:
    """Run a gateway until it is drained or the block ends."""
    monkeypatch.setattr(trio.to_thread, "run_sync", run_inline)

    @asynccontextmanager
    async def run(
        scenario: str | Scenario = "parrot", *, own_tools: Sequence[Tool] = (), **tables: dict[str, Any]
    ) -> AsyncIterator[VirtualGateway]:
        played = SCENARIOS[scenario] if isinstance(scenario, str) else scenario
        listener, provider = MemoryListener(), Provider("openai", played)

        async def listen(*_args: object, **_options: object) -> list[MemoryListener]:
            await trio.lowlevel.checkpoint()
            return [listener]

        async def dial(_host: str, _port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            it.nursery.start_soon(provider.serve_stream, theirs)
            await trio.lowlevel.checkpoint()
            return ours

        async def serve(task_status: trio.TaskStatus[tuple[str, int]]) -> None:
            await it.gateway.serve(task_status)
            it.stopped.set()

        monkeypatch.setattr(trio, "open_tcp_listeners", listen)
        async with trio.open_nursery() as nursery:
            gateway = Gateway(
                virtual_config(tmp_path, "openai", tables),
                tools=own_tools,
                dial=dial,
                on_warning=lambda text: it.warnings.append(text),
                on_outcome=lambda outcome: it.outcomes.update({outcome.uuid: outcome}),
                unix_ns=lambda: START_UNIX_NS + round(trio.current_time() * 1e9),
            )
            it = VirtualGateway(gateway, listener, nursery, tmp_path / "logs")
            await nursery.start(serve)
            yield it
            nursery.cancel_scope.cancel()

    return run
