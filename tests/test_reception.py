"""Announced calls through a gateway in virtual time: what reaches the provider, the logs, and who is let in."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from virtual_call import Script, silence, tone
from virtual_gateway import GatewayMaker, VirtualGateway

from voxpipe.context import Ended, NotNow, Stage
from voxpipe.errors import ConfigError

CALL, OTHER = UUID(int=1), UUID(int=2)
NAME, NUMBER = "Ernestine", "+49301234567"
ANNOUNCED = {
    "caller": NUMBER,
    "language": "de",
    "voice": "ash",
    "instructions": "You speak with {name} ({caller}).",
    "greeting": "Greet {name}.",
    "variables": {"name": NAME},
}


def sent_session(it: VirtualGateway, uuid: UUID) -> dict[str, Any]:
    """The session which the leg asked its provider for, as its log has it."""
    (update,) = [r for r in it.leg_log(uuid) if r.event_type == "session.update" and r.direction == "sent"]
    session: dict[str, Any] = update.event_data["session"]
    return session


async def finish(it: VirtualGateway) -> None:
    """Drain the gateway and wait for its end."""
    it.gateway.drain()
    await it.stopped.wait()


async def test_the_context_reaches_the_session_of_its_leg_only(
    autojump_clock: MockClock, run_gateway: GatewayMaker
) -> None:
    """session.update and the greeting have what was announced; a call beside it has what is configured."""
    async with run_gateway(session={"instructions": "You help."}, context={"log_variables": True}) as it:
        it.gateway.reception.announce(CALL, ANNOUNCED)
        it.call(Script(audio=tone(1000) + silence(3500), uuid=CALL))
        it.call(Script(audio=tone(1000) + silence(3500), uuid=OTHER))
        await trio.sleep(10)
        await finish(it)
    session = sent_session(it, CALL)
    assert session["instructions"] == f"You speak with {NAME} ({NUMBER})."
    assert session["audio"]["output"]["voice"] == "ash"
    assert session["audio"]["input"]["transcription"]["language"] == "de"
    (greeting, *_) = [r.event_data for r in it.leg_log(CALL) if r.event_type == "response.create"]
    assert greeting["response"] == {"instructions": f"Greet {NAME}."}
    assert sent_session(it, OTHER)["instructions"] == "You help."
    assert [r for r in it.leg_log(OTHER) if r.event_type in ("leg.context", "response.create")] == []
    (context,) = [r.event_data for r in it.leg_log(CALL) if r.event_type == "leg.context"]
    assert context == ANNOUNCED


async def test_what_is_personal_is_in_no_log(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """Caller and variables are redacted in the leg's log, also where they were filled in, and in the gateway's."""
    async with run_gateway() as it:
        it.gateway.reception.announce(CALL, ANNOUNCED)
        it.call(Script(audio=tone(1000) + silence(3500), uuid=CALL))
        await trio.sleep(10)
        await finish(it)
    assert sent_session(it, CALL)["instructions"] == "You speak with [redacted] ([redacted])."
    (context,) = [r.event_data for r in it.leg_log(CALL) if r.event_type == "leg.context"]
    assert context["variables"] == {"name": "[redacted]"}
    assert context["instructions"] == "You speak with {name} ({caller})."
    for log in it.folder.glob("*.jsonl"):
        assert NAME not in log.read_text()
        assert NUMBER not in log.read_text()


async def test_only_announced_calls_are_taken_and_each_once(
    autojump_clock: MockClock, run_gateway: GatewayMaker
) -> None:
    """With announced_only a stranger, and a second call with the same UUID, are hung up on, recorded and counted."""
    async with run_gateway(context={"announced_only": True}) as it:
        it.gateway.reception.announce(CALL, {})
        stranger = it.call(Script(stays=True, uuid=OTHER))
        welcome = it.call(Script(audio=tone(1000) + silence(3500), uuid=CALL))
        await trio.sleep(10)
        again = it.call(Script(stays=True, uuid=CALL))
        await trio.sleep(1)
        assert welcome.spoken
        for refused in (stranger, again):
            assert refused.hung_up
            assert refused.frames == []
        assert (await it.gateway.reception.outcome(OTHER))[1] == Ended(
            "refused", f"expected an announced call, got {OTHER}"
        )
        stage, ended = await it.gateway.reception.outcome(CALL)
        assert stage is Stage.ENDED
        assert ended is not None
        assert (ended.word, ended.error, ended.duration_s > 4) == ("completed", "", True)
        assert ended.log == it.outcomes[CALL].log.name  # type: ignore[union-attr]
        await finish(it)
    assert it.of("leg.refused") == [{"because": f"expected an announced call, got {uuid}"} for uuid in (OTHER, CALL)]
    assert it.gateway.statistics.refused == 2
    assert it.gateway.statistics.legs == 1


async def test_an_announcement_expires_and_is_recorded(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """At its time, though nothing else happens; the call that comes later is a stranger's."""
    async with run_gateway(context={"announced_only": True, "expires_s": 30}) as it:
        it.gateway.reception.announce(CALL, {})
        await trio.sleep(10)
        it.gateway.reception.announce(OTHER, {})
        await trio.sleep(25)
        phone = it.call(Script(stays=True, uuid=CALL))
        await trio.sleep(10)
        assert phone.hung_up
        await finish(it)
    expired = [record for record in it.log if record.event_type == "context.expired"]
    assert [(record.t_ns, record.event_data) for record in expired] == [
        (30_000_000_000, {"uuid": str(CALL)}),
        (40_000_000_000, {"uuid": str(OTHER)}),
    ]


async def test_a_failed_call_is_told_as_failed(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """A session that the provider refuses, and a bug of ours: the dialplan branches away from both."""
    async with run_gateway("wrong-format") as it:
        it.call(Script(stays=True, uuid=CALL))
        await trio.sleep(5)
        _, ended = await it.gateway.reception.outcome(CALL)
        assert ended is not None
        assert (ended.word, ended.error) == ("failed", "FormatMismatch")
        await finish(it)


async def test_a_crashed_call_is_told_as_failed(
    autojump_clock: MockClock, run_gateway: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours leaves no dialplan waiting."""
    monkeypatch.setattr("voxpipe.actors.session.LiveSession._take", lambda *_: 1 // 0)
    async with run_gateway() as it:
        it.call(Script(stays=True, uuid=CALL))
        await trio.sleep(1)
        _, ended = await it.gateway.reception.outcome(CALL)
        assert ended == Ended("failed", "crashed or cancelled")
        await finish(it)


async def test_a_full_gateway_says_so_to_whom_was_announced(
    autojump_clock: MockClock, run_gateway: GatewayMaker
) -> None:
    """The call is refused at its UUID and told as refused; it may be tried again with the same announcement."""
    async with run_gateway(gateway={"max_legs": 1}) as it:
        it.gateway.reception.announce(CALL, {"voice": "ash"})
        it.call(Script(audio=tone(1000) + silence(2000), uuid=OTHER))
        await trio.sleep(0.5)
        assert it.call(Script(stays=True, uuid=CALL)).frames == []
        await trio.testing.wait_all_tasks_blocked()
        _, ended = await it.gateway.reception.outcome(CALL)
        assert ended == Ended("refused", "expected fewer than 1 legs, got 1")
        await trio.sleep(5)
        it.call(Script(audio=silence(400), uuid=CALL))
        await trio.sleep(5)
        assert sent_session(it, CALL)["audio"]["output"]["voice"] == "ash"
        await finish(it)
    assert it.of("leg.refused") == [{"because": "expected fewer than 1 legs, got 1"}]


async def test_an_outcome_is_waited_for_in_its_time(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """Who waits is told at the call's end, when an announcement expires, or when the wait is over."""
    told: dict[str, tuple[float, Stage]] = {}
    async with run_gateway(context={"expires_s": 30}) as it:
        start_s = trio.current_time()

        async def wait(name: str, uuid: UUID, wait_s: float) -> None:
            stage, _ = await it.gateway.reception.outcome(uuid, wait_s)
            told[name] = (round(trio.current_time() - start_s, 1), stage)

        it.gateway.reception.announce(CALL, {})
        it.gateway.reception.announce(OTHER, {})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, "to the end", CALL, 60)
            nursery.start_soon(wait, "not for long", CALL, 1)
            nursery.start_soon(wait, "for nobody", OTHER, 60)
            nursery.start_soon(wait, "for a stranger", UUID(int=9), 60)
            it.call(Script(audio=silence(4000), uuid=CALL))
        await finish(it)
    assert told == {
        "for a stranger": (0.0, Stage.UNKNOWN),
        "not for long": (1.0, Stage.RUNNING),
        "to the end": (told["to the end"][0], Stage.ENDED),
        "for nobody": (30.0, Stage.UNKNOWN),
    }
    assert 4.0 <= told["to the end"][0] <= 5.0


async def test_announcements_are_recorded_and_so_is_what_was_refused(
    autojump_clock: MockClock, run_gateway: GatewayMaker
) -> None:
    """The gateway's log tells what keys came, not what was in them."""
    async with run_gateway() as it:
        reception = it.gateway.reception
        reception.announce(CALL, ANNOUNCED)
        with pytest.raises(ConfigError):
            reception.announce(CALL, {"variables": {"name": 3}})
        with pytest.raises(ConfigError):
            reception.announce(CALL, {"voice": 3})
        reception.begin(CALL)
        with pytest.raises(NotNow):
            reception.announce(CALL, {})
        await finish(it)
    assert Counter(r.event_type for r in it.log if r.event_type.startswith("context.")) == {
        "context.announced": 1,
        "context.refused": 3,
    }
    (announced,) = it.of("context.announced")
    assert announced["keys"] == sorted(ANNOUNCED)
    assert [data["because"] for data in it.of("context.refused")] == [
        "variables: [redacted]",
        "voice: expected a string, got 3",
        f"expected a call that has not begun, got {CALL}",
    ]
