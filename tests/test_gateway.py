"""The gateway: how many legs it takes, that their faults stay apart, how it ends, and that it leaves nothing behind."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from virtual_call import Script, silence, tone, virtual_config
from virtual_gateway import GatewayMaker, VirtualGateway

from voxpipe.errors import ConfigError
from voxpipe.gateway import Gateway

DIGIT = b"\x03\x00\x015"


def uuid(number: int) -> UUID:
    """The UUID of the n-th call."""
    return UUID(int=0xA0000000000000000000000000000000 + number)


def short(number: int, duration_ms: int = 400) -> Script:
    """A short call in silence."""
    return Script(audio=silence(duration_ms), uuid=uuid(number))


def assert_gapless(it: VirtualGateway) -> None:
    """The gateway's log is one file from start to stop, and no record is missing from it."""
    assert [record.seq for record in it.log] == list(range(len(it.log)))
    assert it.log[0].event_type == "gateway.started"
    assert it.log[-1].event_type == "gateway.stopped"
    assert {record.leg for record in it.log} == {None}


# --- how many ---------------------------------------------------------------------------------------------------------


async def test_a_leg_too_many_is_refused_at_once(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """Beyond max_legs the caller is hung up on at once, it is recorded, and the running legs hear their answers."""
    async with run_gateway(gateway={"max_legs": 2}) as it:
        running = [it.call(Script(audio=tone(1000) + silence(3500), uuid=uuid(n))) for n in range(2)]
        await trio.sleep(0.5)
        start_s = trio.current_time()
        refused = it.call(Script(stays=True, uuid=uuid(7)))
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == start_s
        assert refused.hung_up
        assert refused.closed
        assert refused.frames == []
        await trio.sleep(6)
        assert all(phone.spoken for phone in running)
        after = it.call(Script(audio=tone(1000) + silence(3500), uuid=uuid(3)))
        await trio.sleep(6)
        assert after.spoken
        it.gateway.drain()
        await it.stopped.wait()
    assert it.of("leg.refused") == [{"because": "expected fewer than 2 legs, got 2"}]
    assert set(it.outcomes) == {uuid(0), uuid(1), uuid(3)}
    assert all(outcome.error is None for outcome in it.outcomes.values())
    assert it.gateway.statistics.refused == 1
    assert it.gateway.statistics.peak_active == 2
    assert_gapless(it)


# --- faults stay apart ------------------------------------------------------------------------------------------------


async def test_a_bug_in_one_leg_touches_no_other(
    autojump_clock: MockClock, run_gateway: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leg that crashes is hung up on and recorded with its traceback; its neighbours and the next ones go on."""

    def describe(event: object) -> dict[str, Any]:
        raise ZeroDivisionError(f"a bug met {type(event).__name__}")

    # Met by the one leg that sends a digit: the UUID's own record is made without it.
    from voxpipe.actors import leg_reader

    right = leg_reader.describe
    monkeypatch.setattr(
        leg_reader,
        "describe",
        lambda event: describe(event) if type(event).__name__ == "DigitReceived" else right(event),
    )
    async with run_gateway() as it:
        well = it.call(Script(audio=tone(1000) + silence(3500), uuid=uuid(1)))
        crashed = it.call(Script(stays=True, extra=((0.3, DIGIT),), uuid=uuid(2)))
        await trio.sleep(1)
        assert crashed.closed
        assert crashed.hung_up
        after = it.call(Script(audio=tone(1000) + silence(3500), uuid=uuid(3)))
        await trio.sleep(6)
        it.gateway.drain()
        await it.stopped.wait()
    assert well.spoken
    assert after.spoken
    assert set(it.outcomes) == {uuid(1), uuid(3)}
    (crash,) = it.of("leg.crashed")
    assert "a bug met DigitReceived" in crash["traceback"]
    assert "leg_reader.py" in crash["traceback"]
    (warning,) = it.warnings
    assert "a bug met DigitReceived" in warning
    assert it.gateway.statistics.failed == 1
    assert it.leg_log(uuid(2))[-1].event_type == "leg.summary"
    assert_gapless(it)


async def test_a_crash_is_told_with_the_call_it_ended(
    autojump_clock: MockClock, run_gateway: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record names the error itself, not the group that Trio wraps it in, so that it can be searched for."""
    monkeypatch.setattr("voxpipe.actors.session.LiveSession._take", lambda *_: 1 // 0)
    async with run_gateway() as it:
        it.call(Script(stays=True, uuid=uuid(1)))
        await trio.sleep(1)
        it.gateway.drain()
        await it.stopped.wait()
    (crash,) = it.of("leg.crashed")
    assert crash["error"] == "ZeroDivisionError"
    assert crash["message"] == "integer division or modulo by zero"


async def test_what_is_no_call_is_no_fault(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """Port scanners, half a UUID and plain HTTP end without a leg's log, and the gateway's log says what they were."""
    async with run_gateway(leg={"uuid_timeout_s": 1.0}) as it:
        for said in (b"", b"\x01\x00\x10abc", b"GET / HTTP/1.1\r\n\r\n", b"\x10\x01\x40" + bytes(320)):
            line = it.listener.connect()
            await line.send_all(said or b"\x01")
            await trio.sleep(2)
            await trio.aclose_forcefully(line)
        phone = it.call(Script(audio=tone(1000) + silence(3500), uuid=uuid(1)))
        await trio.sleep(6)
        it.gateway.drain()
        await it.stopped.wait()
    assert phone.spoken
    ended = it.of("leg.ended")
    assert [data["uuid"] for data in ended] == [None] * 4 + [str(uuid(1))]
    assert all("expected" in data["because"] for data in ended[:4])
    assert it.of("leg.crashed") == []
    assert_gapless(it)


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_a_drain_cuts_no_word(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """After a drain nobody new is taken, every running answer is played to its end, and every log is complete."""
    async with run_gateway() as it:
        phones = [it.call(Script(audio=tone(3000), stays=True, uuid=uuid(n))) for n in range(3)]
        await trio.sleep(4.5)
        assert all(phone.spoken for phone in phones)
        it.gateway.drain()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BrokenResourceError):
            it.listener.connect()
        with trio.fail_after(9):
            await it.stopped.wait()
    for n, phone in enumerate(phones):
        assert phone.hung_up
        playout = it.outcomes[uuid(n)].summary["playout"]
        assert playout["played_samples"] == playout["received_samples"] > 8 * 2500
        assert it.leg_log(uuid(n))[-1].event_type == "leg.summary"
        assert it.outcomes[uuid(n)].reason == "gateway drains"
    assert it.of("gateway.draining") == [{"active": 3, "timeout_s": 10.0}]
    assert it.of("gateway.drain_timeout") == []
    assert it.log[-1].event_data["legs"] == 3
    assert_gapless(it)


async def test_a_drain_ends_at_its_deadline(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """What is not done by then is cut off: the connections are closed, and the logs are complete all the same."""
    async with run_gateway(gateway={"drain_timeout_s": 1.0}) as it:
        phones = [it.call(Script(audio=tone(3000), stays=True, uuid=uuid(n))) for n in range(3)]
        await trio.sleep(4.5)
        start_s = trio.current_time()
        it.gateway.drain()
        await it.stopped.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert 1.0 <= trio.current_time() - start_s < 2.0
    assert it.of("gateway.drain_timeout") == [{"active": 3}]
    for n, phone in enumerate(phones):
        assert phone.closed  # with or without the word for it: a frame that may be half out forbids another message
        assert it.leg_log(uuid(n))[-1].event_type == "leg.summary"
    assert_gapless(it)


async def test_a_gateway_without_legs_drains_at_once(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """Nobody waits for nobody."""
    async with run_gateway() as it:
        it.gateway.drain()
        start_s = trio.current_time()
        await it.stopped.wait()
        assert trio.current_time() - start_s < 1
    assert [record.event_type for record in it.log] == ["gateway.started", "gateway.draining", "gateway.stopped"]


async def test_a_connection_in_the_midst_of_a_drain_is_refused(
    autojump_clock: MockClock, run_gateway: GatewayMaker
) -> None:
    """One that was accepted a moment too late is hung up on, with the reason in the log."""
    async with run_gateway() as it:
        it.call(Script(audio=tone(3000), stays=True, uuid=uuid(1)))
        await trio.sleep(4.5)
        it.gateway.drain()
        line, leg = trio.testing.memory_stream_pair()
        await it.gateway.serve_stream(leg)
        assert await line.receive_some(10) == b"\x00\x00\x00"
        await it.stopped.wait()
    assert it.of("leg.refused") == [{"because": "gateway drains"}]


# --- nothing is left --------------------------------------------------------------------------------------------------


def open_files() -> int:
    """How many file descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


def living(kind: str) -> int:
    """How many objects of a class there are."""
    gc.collect()
    return sum(type(thing).__name__ == kind for thing in gc.get_objects())


LEFT = ("MemoryChannelState", "Nursery", "WebSocketConnection", "AudioSocketLeg", "Call")


async def assert_nothing_is_left(it: VirtualGateway, before: dict[str, int]) -> None:
    """As many tasks, files, channels and connections as before the calls."""
    await trio.sleep(5)
    await trio.testing.wait_all_tasks_blocked()
    assert it.gateway.statistics.active == 0
    assert counts() == before


def counts() -> dict[str, int]:
    """What a call that is over may not leave."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    return {"tasks": tasks, "files": open_files(), **{kind: living(kind) for kind in LEFT}}


@pytest.mark.slow
async def test_three_hundred_calls_at_once_leave_nothing(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """After 300 concurrent calls no task, file, channel or connection is left, and each had a whole log."""
    async with run_gateway(gateway={"max_legs": 300}, log={"audio": "sidecar"}) as it:
        await trio.sleep(1)
        before = counts()
        for number in range(300):
            it.call(short(number))
        await trio.sleep(0.2)
        assert it.gateway.statistics.active == 300
        it.outcomes.clear()
        await trio.sleep(3)
        assert len(it.outcomes) == 300
        assert all(outcome.error is None for outcome in it.outcomes.values())
        it.outcomes.clear()
        await assert_nothing_is_left(it, before)
        it.gateway.drain()
        await it.stopped.wait()
    assert len(it.of("leg.ended")) == 300
    assert all(it.leg_log(uuid(number))[-1].event_type == "leg.summary" for number in range(300))
    assert_gapless(it)


@pytest.mark.slow
async def test_a_thousand_calls_in_turn_leave_nothing(autojump_clock: MockClock, run_gateway: GatewayMaker) -> None:
    """A gateway that has answered for days is as small as a new one."""
    async with run_gateway() as it:
        await trio.sleep(1)
        before = counts()
        for number in range(1000):
            it.call(short(number, 60))
            await trio.sleep(1)
        assert it.gateway.statistics.legs == 1000
        assert it.gateway.statistics.failed == 0
        it.outcomes.clear()
        await assert_nothing_is_left(it, before)
        it.gateway.drain()
        await it.stopped.wait()
    assert_gapless(it)


# --- before the first call --------------------------------------------------------------------------------------------


@pytest.mark.sockets
async def test_a_port_in_use_is_an_error_of_the_system(tmp_path: Path, nursery: trio.Nursery) -> None:
    """A second gateway on the same address raises OSError, which is not wrapped, and leaves no log."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    config = virtual_config(tmp_path, "openai", {"gateway": {"listen": f"127.0.0.1:{port}"}})
    with pytest.raises(OSError, match="Address already in use"):
        await Gateway(config).serve()
    assert not (tmp_path / "logs").exists()
    await listeners[0].aclose()


@pytest.mark.sockets
async def test_a_log_folder_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    """A gateway that cannot keep evidence does not begin to listen for calls, and names the key."""
    (tmp_path / "logs").write_text("a file where a folder should be")
    config = virtual_config(tmp_path, "openai", {"gateway": {"listen": "127.0.0.1:0"}})
    with pytest.raises(ConfigError) as caught:
        await Gateway(config).serve()
    assert str(caught.value).startswith(
        f"log.dir: expected a folder that can be written, got {str(tmp_path / 'logs')!r}: "
    )


@pytest.mark.sockets
async def test_a_real_socket_is_served(tmp_path: Path, nursery: trio.Nursery) -> None:
    """The address that serve gives is one to connect to; who says nothing and leaves is in the log."""
    config = virtual_config(tmp_path, "openai", {"gateway": {"listen": "127.0.0.1:0"}})
    gateway = Gateway(config)
    stopped = trio.Event()

    async def serve(task_status: trio.TaskStatus[tuple[str, int]]) -> None:
        await gateway.serve(task_status)
        stopped.set()

    host, port = await nursery.start(serve)
    stream = await trio.open_tcp_stream(host, port)
    await stream.send_all(b"\x00\x00\x00")
    with trio.fail_after(10):
        while await stream.receive_some(100):
            pass
        await stream.aclose()
        gateway.drain()
        await stopped.wait()
    assert (gateway.statistics.legs, gateway.statistics.failed) == (0, 1)
