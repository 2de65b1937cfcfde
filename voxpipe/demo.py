"""``voxpipe demo``: a provider, the gateway and a caller in one process, over real loopback sockets, and a verdict.

What the verdict says is read from the evidence (the log, the provider's own account, the recording), never from what
the gateway believes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import trio

from voxpipe.audio import AudioFormat
from voxpipe.config import structure_config
from voxpipe.dialects import DEFAULT, get_dialect
from voxpipe.errors import ConfigError, VoxpipeError
from voxpipe.gateway import Gateway
from voxpipe.leg import LegOutcome
from voxpipe.sansio.records import Record, parse_line
from voxpipe.terminal import Terminal
from voxpipe.testing.asterisk import CallerEvent
from voxpipe.testing.caller_result import VOICED_DB, CallResult, level_db
from voxpipe.testing.caller_run import SPEECH, load_speech, run_calls
from voxpipe.testing.provider import Provider
from voxpipe.testing.provider_evidence import ProviderSession
from voxpipe.testing.scenario import PARROT, SCENARIOS
from voxpipe.testing.signals import align
from voxpipe.wav import write_wav

HOST = "127.0.0.1"
PAUSE_FRAMES = 25
"""A pause of half a second ends a turn."""
LIKENESS = 0.8
"""Correlation from which the caller's words count as heard again; unrelated speech stays below 0.5."""


@attrs.frozen(kw_only=True)
class DemoPlan:
    """What is to be shown."""

    out: Path
    caller: Path = SPEECH
    dialect: str = DEFAULT
    leg_format: AudioFormat
    scenario: str = PARROT.name


@attrs.frozen
class Check:
    """One line of the verdict: what is asked for, whether it holds, and the evidence."""

    name: str
    holds: bool
    evidence: str


@attrs.frozen
class Demo:
    """What a demo came to."""

    checks: tuple[Check, ...]
    summary: dict[str, Any]
    files: tuple[Path, ...]

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)


@attrs.frozen
class Evidence:
    """All that is known of the call, from three sides."""

    outcome: LegOutcome
    records: Sequence[Record]
    sessions: tuple[ProviderSession, ...]
    result: CallResult
    said: bytes
    heard: bytes


async def run_demo(plan: DemoPlan, terminal: Terminal) -> Demo:
    """Make the call and judge it. Unusable arguments are a ``VoxpipeError``, unwritable folders an ``OSError``."""
    if plan.scenario not in SCENARIOS:
        raise ConfigError("--scenario", f"expected one of {', '.join(SCENARIOS)}, got {plan.scenario!r}")
    said = await trio.to_thread.run_sync(load_speech, plan.caller, plan.leg_format)
    plan.out.mkdir(parents=True, exist_ok=True)
    outcomes: list[LegOutcome] = []
    async with trio.open_nursery() as nursery:
        provider = Provider(plan.dialect, (SCENARIOS[plan.scenario], PARROT))
        provider_host, provider_port = await nursery.start(provider.listen, HOST, 0)
        gateway = _gateway(plan, f"ws://{provider_host}:{provider_port}{provider.path}", terminal, outcomes)
        async with trio.open_nursery() as serving:
            host, port = await serving.start(gateway.serve)

            def tell(event: CallerEvent) -> None:
                terminal.tell(event.at_s, "caller", f"caller.{event.name}", event.detail)

            (result,) = await run_calls(host, port, wav=plan.caller, format=plan.leg_format, on_event=tell)
            gateway.drain()
        nursery.cancel_scope.cancel()
    (outcome,) = outcomes
    if outcome.log is None:
        raise VoxpipeError(outcome.reason)
    lines = outcome.log.read_bytes().splitlines()
    records = [parse_line(line, number) for number, line in enumerate(lines, 1)]
    heard = result.recording()
    # Named after the log, as the gateway's own two are: a folder may hold many demos.
    write_wav(outcome.log.with_suffix(".caller-said.wav"), said, plan.leg_format)
    write_wav(outcome.log.with_suffix(".caller-heard.wav"), heard, result.heard_format)
    evidence = Evidence(outcome, records, tuple(provider.sessions), result, said, heard)
    audio = sorted(plan.out.glob(f"{outcome.log.stem}.*.wav"))
    return Demo(tuple(judge(evidence, plan)), outcome.summary, (outcome.log, *audio))


def _gateway(plan: DemoPlan, url: str, terminal: Terminal, outcomes: list[LegOutcome]) -> Gateway:
    model = "" if get_dialect(plan.dialect).default_model else "simulated"
    config = structure_config(
        {
            "gateway": {"listen": f"{HOST}:0"},
            "provider": {"dialect": plan.dialect, "url": url, "model": model},
            "log": {"dir": str(plan.out), "audio": "sidecar"},
        }
    )
    return Gateway(config, on_record=terminal.show, on_warning=terminal.warn, on_outcome=outcomes.append)


def judge(evidence: Evidence, plan: DemoPlan) -> list[Check]:
    """Answer the questions a demo is made for."""
    checks = [
        _acknowledged(evidence),
        _went_on(evidence),
        _in_order(evidence, get_dialect(plan.dialect).audio_type),
        _provider_heard(evidence),
        _caller_heard(evidence),
        _nothing_lost(evidence),
    ]
    if plan.scenario == PARROT.name:
        checks.append(_came_back(evidence, plan.leg_format))
    return checks


def _acknowledged(evidence: Evidence) -> Check:
    summary = evidence.outcome.summary
    confirmed = summary["formats"]["confirmed"]
    if confirmed is None:
        return Check("session acknowledged", False, evidence.outcome.reason)
    sides = " and ".join(f"{side} {name}" for side, name in confirmed.items())
    return Check("session acknowledged", True, f"{sides}, after {summary['ack_ms']:g} ms")


def _went_on(evidence: Evidence) -> Check:
    outcome, sessions = evidence.outcome, evidence.outcome.summary["sessions"]
    replaced = f"; {sessions['lost']} lost, {sessions['recovered']} of them replaced" if sessions["lost"] else ""
    return Check("session held to the end", not (outcome.error or sessions["lost"]), outcome.reason + replaced)


def _in_order(evidence: Evidence, audio_type: str) -> Check:
    name = "no audio before the acknowledgement"
    first: dict[tuple[str, str], int] = {}
    for number, record in enumerate(evidence.records, 1):
        first.setdefault((record.direction, record.event_type), number)
    ready = first.get(("local", "session.ready"))
    appended = first.get(("sent", audio_type))
    if appended is None:
        return Check(name, True, "no append in the log")
    return Check(
        name,
        ready is not None and ready < appended,
        f"line {ready} is the acknowledgement, line {appended} the first append",
    )


def _provider_heard(evidence: Evidence) -> Check:
    spoken_s = evidence.outcome.summary["uplink"]["seconds"] or 0
    received_s = evidence.outcome.summary["uplink"]["append_seconds"] or 0
    size_bytes = sum(session.uplink_bytes for session in evidence.sessions)
    return Check(
        "caller to provider",
        size_bytes > 0,
        f"{spoken_s:.2f} s came from the leg, {received_s:.2f} s were sent, the provider has {size_bytes} bytes",
    )


def _caller_heard(evidence: Evidence) -> Check:
    first_s = evidence.result.first_answer_s
    words = (
        "expected speech of the agent, got none" if first_s is None else f"first heard {first_s:.2f} s into the call"
    )
    return Check("provider to caller", first_s is not None, words)


def _nothing_lost(evidence: Evidence) -> Check:
    summary, result = evidence.outcome.summary, evidence.result
    playout = summary["playout"] or {"received_samples": 0, "played_samples": 0, "dropped_samples": 0}
    unaccounted = playout["received_samples"] - playout["played_samples"] - playout["dropped_samples"]
    counts = {
        "frames of the caller dropped": summary["uplink"]["overrun_frames"],
        "frames of the caller too late to send": summary["uplink"]["unsent_chunks"],
        "chunks of the provider refused": summary["downlink"]["refused_chunks"],
        "samples beyond the ledger": playout.get("overrun_samples", 0),
        "samples neither played nor cut": unaccounted,
        "records lost": summary["records"]["lost"],
    }
    faults = [f"{count} {name}" for name, count in counts.items() if count]
    faults += [f"caller: {fault}" for fault in result.faults]
    complaints = [complaint for session in evidence.sessions for complaint in session.complaints]
    faults += [f"provider: {complaint}" for complaint in complaints if not complaint.harmless]
    cut_samples = playout["dropped_samples"]
    peace = "every frame, chunk and record is accounted for"
    return Check("nothing lost", not faults, "; ".join(faults) or f"{peace} ({cut_samples} samples cut by barge-in)")


def _came_back(evidence: Evidence, format: AudioFormat) -> Check:
    found = align(last_turn(evidence.said, format), evidence.heard)
    return Check(
        "the caller's words come back",
        found.correlation >= LIKENESS,
        f"correlation {found.correlation:.3f} (expected at least {LIKENESS}), "
        f"{1000 * found.lag_samples / format.rate_hz:.0f} ms into the call",
    )


def last_turn(said: bytes, format: AudioFormat) -> bytes:
    """Cut out the last stretch of speech: what comes after the last long pause, which no barge-in can cut."""
    size = format.frame_bytes
    voiced = [
        index
        for index in range(len(said) // size)
        if level_db(said[index * size : (index + 1) * size], format.encoding) > VOICED_DB
    ]
    if not voiced:
        return said
    begin = voiced[0]
    for before, index in pairwise(voiced):
        if index - before > PAUSE_FRAMES:
            begin = index
    return said[begin * size : (voiced[-1] + 1) * size]
