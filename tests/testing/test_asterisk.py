"""The caller, against a gateway written here by hand: whole calls over memory streams, in virtual time."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
import trio
import trio.testing

from voxpipe.audio import ALAW8, SLIN8, SLIN24, SLIN48, ULAW8, AudioFormat
from voxpipe.errors import AudioError
from voxpipe.testing import signals
from voxpipe.testing.asterisk import CallerEvent, call
from voxpipe.testing.caller_result import CallResult

CALL_ID = UUID("0a1b2c3d-0000-4000-8000-000000000001")
SPOKEN = signals.speech_like(SLIN8, 0.5)
LOUD = signals.tone(SLIN8, 440, 0.02)
QUIET = bytes(320)


def message(kind: int, payload: bytes = b"") -> bytes:
    """One message as the wire has it: kind, length (big-endian), payload."""
    return struct.pack("!BH", kind, len(payload)) + payload


class Gateway:
    """The other end: reads whole messages, notes when they came, and answers as told."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.messages: list[tuple[float, int, bytes]] = []
        self.eof = False
        self.start_s = trio.current_time()

    async def read(self) -> None:
        """Read until the caller closes."""
        unread = b""
        async for data in self.stream:
            unread += data
            while len(unread) >= 3 and len(unread) >= 3 + struct.unpack("!BH", unread[:3])[1]:
                kind, size = struct.unpack("!BH", unread[:3])
                self.messages.append((trio.current_time() - self.start_s, kind, unread[3 : 3 + size]))
                unread = unread[3 + size :]
        assert unread == b""
        self.eof = True

    def audio(self) -> bytes:
        """Everything the caller said."""
        return b"".join(payload for _, kind, payload in self.messages if kind >= 0x10)


Answer = Callable[[trio.abc.Stream], Awaitable[None]]


async def hold(
    answer: Answer | None = None, speech: bytes = SPOKEN, format: AudioFormat = SLIN8, **options: Any
) -> tuple[CallResult, Gateway]:
    """Hold one call with a gateway that reads everything and answers by ``answer``."""
    near, far = trio.testing.memory_stream_pair()
    gateway = Gateway(far)

    async def answer_until_gone(answer: Answer) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await answer(far)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.read)
        if answer is not None:
            nursery.start_soon(answer_until_gone, answer)
        result: CallResult = await call(near, speech, format, call_id=CALL_ID, **options)
        await trio.sleep(0.1)  # the end arrives
        nursery.cancel_scope.cancel()
    return result, gateway


async def test_uuid_is_first_then_a_frame_every_20_ms_and_silence_after_the_speech(autojump_clock: Any) -> None:
    """The caller sends its UUID, then its speech and then silence, a frame each 20 ms with no drift, and closes."""
    result, gateway = await hold(seconds=10)
    assert gateway.messages[0][1:] == (0x01, CALL_ID.bytes)
    assert {kind for _, kind, _ in gateway.messages[1:]} == {0x10}
    due_s = [index * 0.02 for index in range(len(gateway.messages) - 1)]
    assert [instant_s for instant_s, _, _ in gateway.messages[1:]] == pytest.approx(due_s, abs=1e-9)
    assert gateway.audio() == SPOKEN + QUIET * (500 - 25)
    assert (result.frames_sent, result.ended_by, result.faults, result.duration_s) == (500, "caller", (), 10.0)
    assert gateway.eof


@pytest.mark.parametrize(
    ("format", "kind", "size_bytes"),
    [(SLIN8, 0x10, 320), (SLIN24, 0x13, 960), (SLIN48, 0x16, 1920), (ULAW8, 0x10, 160), (ALAW8, 0x10, 160)],
    ids=str,
)
async def test_each_format_has_asterisks_kind_and_size(
    autojump_clock: Any, format: AudioFormat, kind: int, size_bytes: int
) -> None:
    """A linear leg uses the kind of its rate, and a G.711 leg kind 0x10 with one byte a sample; it hears slin8."""
    result, gateway = await hold(speech=format.silence[:-2], format=format, seconds=0.1)
    assert {(kind_, len(payload)) for _, kind_, payload in gateway.messages[1:]} == {(kind, size_bytes)}
    assert gateway.audio() == format.silence * 5
    assert result.heard_format == (SLIN8 if format in (ULAW8, ALAW8) else format)


async def test_the_caller_hangs_up_when_the_answer_has_been_heard(autojump_clock: Any) -> None:
    """With no duration given the call ends two seconds after the last speech of either side."""

    async def answer(stream: trio.abc.Stream) -> None:
        await trio.sleep(1.0)
        for _ in range(50):
            await stream.send_all(message(0x10, LOUD))
            await trio.sleep(0.02)
        while True:
            await stream.send_all(message(0x10, QUIET))
            await trio.sleep(0.02)

    events: list[CallerEvent] = []
    with trio.move_on_after(20):
        result, _ = await hold(answer, on_event=events.append)
    assert result.duration_s == pytest.approx(1.98 + 2.0, abs=0.021)
    assert result.ended_by == "caller"
    assert result.speech_end_s == pytest.approx(0.48, abs=0.061)
    assert result.first_answer_s == pytest.approx(1.0)
    assert result.answer_delay_s == pytest.approx(1.0 - result.speech_end_s)
    assert [event.name for event in events] == ["connected", "spoken", "agent-spoke", "ended"]


async def test_an_agent_that_speaks_already_has_no_answer_delay(autojump_clock: Any) -> None:
    """Speech which began before the caller's ended is no answer to it."""

    async def answer(stream: trio.abc.Stream) -> None:
        for _ in range(100):
            await stream.send_all(message(0x10, LOUD))
            await trio.sleep(0.02)

    result, _ = await hold(answer)
    assert result.first_answer_s == 0.0
    assert result.answer_delay_s is None


async def test_digits_are_sent_at_their_times(autojump_clock: Any) -> None:
    """DTMF goes as kind 0x03 with one character, at the first tick that is due, between whole frames."""
    result, gateway = await hold(seconds=1.0, digits=[(0.5, "#"), (0.21, "1")])
    digits = [(round(at_s, 2), payload) for at_s, kind, payload in gateway.messages if kind == 0x03]
    assert digits == [(0.22, b"1"), (0.5, b"#")]
    assert result.digits_sent == "1#"
    assert result.frames_sent == 50


async def test_heard_audio_is_kept_with_its_arrivals_and_laid_on_the_time_line(autojump_clock: Any) -> None:
    """Audio is kept byte for byte; the recording has silence where nothing was played, and a burst waits its turn."""
    second = signals.tone(SLIN8, 1000, 0.02)

    async def answer(stream: trio.abc.Stream) -> None:
        await trio.sleep(0.1)
        await stream.send_all(message(0x10, LOUD) + message(0x10, second))
        await trio.sleep(0.3)
        await stream.send_all(message(0x10, LOUD))

    result, _ = await hold(answer, seconds=1.0)
    assert result.heard == LOUD + second + LOUD
    assert list(result.arrivals_s) == pytest.approx([0.1, 0.1, 0.4])
    assert (result.frames_heard, result.bursts) == (3, 1)
    assert result.recording() == bytes(1600) + LOUD + second + bytes(6400 - 1600 - 640) + LOUD + bytes(16000 - 6720)
    assert result.gaps is not None
    assert (result.gaps.p50_ms, result.gaps.max_ms) == (150.0, 300.0)
    assert result.to_json()["heard_ms"] == 60.0


async def test_jitter_below_a_frame_makes_no_gap_in_the_recording(autojump_clock: Any) -> None:
    """Frames that come a few milliseconds late are joined without a click."""

    async def answer(stream: trio.abc.Stream) -> None:
        for gap_s in (0.025, 0.015, 0.02, 0.019):
            await stream.send_all(message(0x10, LOUD))
            await trio.sleep(gap_s)

    result, _ = await hold(answer, seconds=0.2)
    assert result.recording().startswith(LOUD * 4)


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (message(0x03, b"1"), "expected audio of kind 0x10 (slin8) or a hang-up, got kind 0x03"),
        (message(0x12, bytes(640)), "expected audio of kind 0x10 (slin8) or a hang-up, got kind 0x12"),
        (message(0x10), "expected audio, got a message of length 0"),
        (message(0x10, bytes(3)), "expected whole samples of slin8 (2 bytes each), got 3 bytes"),
        (message(0x10, bytes(320))[:100], "expected the rest of a payload within 5 ms, got nothing"),
    ],
    ids=["dtmf", "other kind", "empty", "half a sample", "half a message"],
)
@pytest.mark.parametrize("piece_bytes", [1, 10_000], ids=["by the byte", "whole"])
async def test_what_asterisk_drops_a_call_for_is_a_fault(
    autojump_clock: Any, sent: bytes, fault: str, piece_bytes: int
) -> None:
    """The caller ends the call at the first such message and says what was expected and what came."""

    async def answer(stream: trio.abc.Stream) -> None:
        whole = message(0x10, QUIET) + sent
        await trio.sleep(0.5)
        for start in range(0, len(whole), piece_bytes):
            await stream.send_all(whole[start : start + piece_bytes])

    result, _ = await hold(answer, seconds=5)
    assert (result.ended_by, result.faults, result.frames_heard) == ("error", (fault,), 1)
    assert result.duration_s == pytest.approx(0.5, abs=0.01)


async def test_a_close_inside_a_message_is_a_fault(autojump_clock: Any) -> None:
    """A message that is cut short by the end of the connection is reported with the size of what came."""

    async def answer(stream: trio.abc.Stream) -> None:
        await stream.send_all(message(0x10, QUIET)[:103])
        await stream.aclose()

    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer, far)
        result = await call(near, SPOKEN, SLIN8, call_id=CALL_ID, seconds=5)
    assert result.faults == ("expected a whole message, got its first 103 bytes and the end",)


@pytest.mark.parametrize(("sent", "ended_by"), [(message(0x00), "hang-up"), (b"", "eof")], ids=["hang-up", "eof"])
async def test_hang_up_and_eof_are_normal_ends(autojump_clock: Any, sent: bytes, ended_by: str) -> None:
    """The gateway ends a call by a hang-up message or by closing; neither is a fault, and the caller then closes."""
    near, far = trio.testing.memory_stream_pair()

    async def answer() -> None:
        await trio.sleep(0.5)
        await far.send_all(message(0x10, LOUD) + sent)
        await far.send_stream.aclose()

    gateway = Gateway(far)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.read)
        nursery.start_soon(answer)
        result = await call(near, SPOKEN, SLIN8, call_id=CALL_ID, seconds=5)
    assert (result.ended_by, result.faults, result.heard) == (ended_by, (), LOUD)
    assert result.duration_s == pytest.approx(0.5)
    assert gateway.eof


async def test_a_gateway_that_stops_reading_loses_the_call(autojump_clock: Any) -> None:
    """A write that takes longer than two seconds ends the call, as a short write of Asterisk's does."""
    near, far = trio.testing.lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(far.receive_some, 19)
        result = await call(near, SPOKEN, SLIN8, call_id=CALL_ID, seconds=60)
    assert result.faults == ("expected the gateway to read, got a write that took longer than 2 s",)
    assert (result.frames_sent, result.duration_s) == (0, pytest.approx(2.0))


async def test_two_seconds_without_activity_end_the_call(autojump_clock: Any) -> None:
    """A channel that sends nothing while it waits is dropped when the gateway plays nothing for two seconds either."""
    result, gateway = await hold(sends_silence=False, seconds=60)
    assert result.faults == ("expected activity on either side, got none for 2 s",)
    assert result.duration_s == pytest.approx(0.48 + 2.0, abs=0.021)
    assert gateway.audio() == SPOKEN


async def test_silence_from_the_gateway_keeps_a_quiet_call(autojump_clock: Any) -> None:
    """Frames from the gateway count as activity."""

    async def answer(stream: trio.abc.Stream) -> None:
        while True:
            await stream.send_all(message(0x10, QUIET))
            await trio.sleep(1.9)

    with trio.move_on_after(20):
        result, _ = await hold(answer, sends_silence=False, seconds=10)
    assert (result.ended_by, result.faults, result.duration_s) == ("caller", (), pytest.approx(10.0))


async def test_a_connection_that_breaks_is_a_fault(autojump_clock: Any) -> None:
    """When a write fails and the reader never learns why, the call ends with a fault instead of hanging."""

    class Broken(trio.abc.Stream):
        async def send_all(self, data: Any) -> None:
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError

        async def wait_send_all_might_not_block(self) -> None:
            await trio.lowlevel.checkpoint()

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    result = await call(Broken(), SPOKEN, SLIN8, call_id=CALL_ID, seconds=5)
    assert result.faults == ("expected a socket to write to, got a connection that is lost",)


async def test_hang_up_event_ends_the_call(autojump_clock: Any) -> None:
    """A test may decide when the caller hangs up; the speech's end does not matter then."""
    hang_up = trio.Event()
    async with trio.open_nursery() as nursery:

        async def later() -> None:
            await trio.sleep(7)
            hang_up.set()

        nursery.start_soon(later)
        result, _ = await hold(hang_up=hang_up)
    assert (result.ended_by, result.duration_s) == ("caller", pytest.approx(7.0, abs=0.021))


async def test_bad_arguments_raise(autojump_clock: Any) -> None:
    """A digit that no telephone has and half a sample are the test's own mistakes."""
    near, _ = trio.testing.memory_stream_pair()
    with pytest.raises(ValueError, match="expected a DTMF digit"):
        await call(near, SPOKEN, SLIN8, call_id=CALL_ID, digits=[(0, "x")])
    with pytest.raises(AudioError, match="expected whole samples"):
        await call(near, b"123", SLIN8, call_id=CALL_ID)
