"""A gateway whose reception is served over HTTP, on real loopback sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
import trio
from context_client import Address
from virtual_call import read_log

from voxpipe.config import structure_config
from voxpipe.context import Ended
from voxpipe.gateway import Gateway
from voxpipe.reception import Reception

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
