"""``voxpipe simulate``: a provider on a port, telling what its clients do, line by line."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Awaitable, Callable

import trio

from voxpipe.config import format_address
from voxpipe.testing.provider import Provider
from voxpipe.testing.provider_evidence import ProviderNote
from voxpipe.testing.scenario import SCENARIOS


async def simulate(
    host: str,
    port: int,
    dialect: str = "openai",
    scenario: str = "parrot",
    *,
    report: Callable[[str], None],
    until: Callable[[], Awaitable[object]] = trio.sleep_forever,
    ssl_context: ssl.SSLContext | None = None,
    api_key: str | None = None,
    task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
) -> int:
    """Serve until ``until()`` returns (a signal, say); return the number of complaints that are not harmless.

    ``report`` gets a line for each thing worth telling. An unknown scenario or dialect is a ``ValueError``, a port that
    cannot be had an ``OSError``.
    """
    if scenario not in SCENARIOS:
        raise ValueError(f"expected a scenario of {', '.join(SCENARIOS)}, got {scenario!r}")
    complaints = 0

    def tell(note: ProviderNote) -> None:
        nonlocal complaints
        if note.complaint is not None:
            complaints += not note.complaint.harmless
        report(f"[{note.session.number}] {note.time_s:8.3f} s  {note.kind}: {note.text}")

    provider = Provider(dialect, SCENARIOS[scenario], api_key=api_key, on_event=tell)
    listeners = await trio.open_tcp_listeners(port, host=host)
    async with trio.open_nursery() as nursery:
        serve = functools.partial(provider.listen_on, listeners, ssl_context=ssl_context)
        address: tuple[str, int] = await nursery.start(serve)
        scheme = "ws" if ssl_context is None else "wss"
        report(f"{dialect} provider, scenario {scenario}, on {scheme}://{format_address(*address[:2])}{provider.path}")
        task_status.started(address)
        await until()
        nursery.cancel_scope.cancel()
    return complaints
