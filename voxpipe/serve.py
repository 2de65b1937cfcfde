"""``voxpipe serve``: the gateway as a process, with its signals."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import trio

from voxpipe.config import Config, unusable_address
from voxpipe.errors import ConfigError
from voxpipe.gateway import Gateway
from voxpipe.terminal import Terminal


async def serve(config: Config, terminal: Terminal) -> int:
    """Serve until SIGINT or SIGTERM, then drain; a second signal ends at once. Return the exit status."""
    if config.context.announced_only and not config.context.listen:
        raise ConfigError(
            "context.announced_only", "expected context.listen with it, got none: no call could be announced"
        )
    gateway = Gateway(config, on_record=terminal.show, on_warning=terminal.warn)
    status = 0
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            finished = trio.Event()

            async def run() -> None:
                try:
                    await gateway.serve()
                except OSError as error:
                    raise unusable_address("gateway.listen", config.gateway.listen, error) from error
                finished.set()
                nursery.cancel_scope.cancel()

            nursery.start_soon(run)
            await _drain_at(signals, gateway)
            status = await _cut_off_at(signals, terminal)
            nursery.cancel_scope.cancel()
    return 0 if finished.is_set() else status


async def _drain_at(signals: AsyncIterator[int], gateway: Gateway) -> None:
    await anext(signals)
    gateway.drain()


async def _cut_off_at(signals: AsyncIterator[int], terminal: Terminal) -> int:
    number = await anext(signals)
    terminal.warn("a second signal: ending at once")
    return 128 + number
