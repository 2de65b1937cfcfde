"""A provider peer and a gateway over real sockets, for calls that a real Asterisk places."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import trio

from voxpipe.config import Config, structure_config
from voxpipe.gateway import Gateway
from voxpipe.leg import LegOutcome
from voxpipe.sansio.records import Record, parse_line
from voxpipe.testing.provider import Provider
from voxpipe.testing.provider_evidence import ProviderSession
from voxpipe.testing.scenario import SCENARIOS, Scenario

CALL_TIMEOUT_S = 60.0


@attrs.frozen
class RealCall:
    """One leg after its end: Asterisk's log, the gateway's outcome and records, the provider's evidence."""

    asterisk_log: str
    outcome: LegOutcome
    records: list[Record]
    session: ProviderSession

    def of(self, event_type: str, **data: Any) -> list[Record]:
        """The records of a type with these data, in order."""
        records = [record for record in self.records if record.event_type == event_type]
        return [record for record in records if data.items() <= record.event_data.items()]


def gateway_config(folder: Path, listen_port: int, provider_port: int, tables: dict[str, Any]) -> Config:
    """A gateway for the provider peer; ``tables`` are laid over it."""
    tree: dict[str, dict[str, Any]] = {
        "gateway": {"listen": f"127.0.0.1:{listen_port}"},
        "provider": {"url": f"ws://127.0.0.1:{provider_port}/v1/realtime", "api_key": "sk-test"},
        "log": {"dir": str(folder)},
    }
    for name, table in tables.items():
        tree[name] = {**tree.get(name, {}), **table}
    return structure_config(tree)


async def hold(folder: Path, scenario: str | Scenario, call: Callable[[Config], str], **tables: Any) -> list[RealCall]:
    """Run a provider and a gateway while ``call``, in a thread, places calls; return the legs in their order."""
    played = SCENARIOS[scenario] if isinstance(scenario, str) else scenario
    provider = Provider(scenario=played, api_key="sk-test")
    outcomes: list[LegOutcome] = []
    with trio.fail_after(CALL_TIMEOUT_S):
        async with trio.open_nursery() as nursery:
            _, provider_port = await nursery.start(provider.listen, "127.0.0.1", 0)
            gateway = Gateway(gateway_config(folder, 0, provider_port, tables), on_outcome=outcomes.append)
            async with trio.open_nursery() as serving:
                _, port = await serving.start(gateway.serve)
                log = await trio.to_thread.run_sync(call, gateway_config(folder, port, provider_port, tables))
                gateway.drain()
            nursery.cancel_scope.cancel()
    assert gateway.statistics.refused == 0
    assert provider.complaints == []
    legs = zip(outcomes, provider.sessions, strict=True)
    return [RealCall(log, outcome, read_log(outcome), session) for outcome, session in legs]


def read_log(outcome: LegOutcome) -> list[Record]:
    """The records of a leg, which end with its summary."""
    assert outcome.log is not None
    records = [parse_line(line, number) for number, line in enumerate(outcome.log.read_bytes().splitlines(), 1)]
    assert records[-1].event_type == "leg.summary"
    assert records[-1].event_data["because"] == outcome.reason
    assert outcome.summary["records"]["lost"] == 0
    return records
