"""A caller: one end of a leg, which behaves as Asterisk's AudioSocket client does.

It connects, sends its UUID, then one frame every 20 ms by a clock that does not drift: the speech, and silence after
it, as a live line does. It never stops reading, keeps what it was played with the time of each arrival, and closes the
socket when it has had enough. For whatever any Asterisk would drop the call for, it
drops the call too, and says so in ``CallResult.faults``.

Its framing is its own, after res_audiosocket.c: a peer that shares code with what it tests proves nothing. It runs
over any ``trio.abc.Stream``, so a whole call over a memory stream takes no time under ``trio.testing.MockClock``.
"""

from __future__ import annotations

import itertools
import math
import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

import attrs
import trio

from voxpipe.audio import PTIME_MS, SLIN8, AudioFormat, Encoding
from voxpipe.errors import AudioError
from voxpipe.testing.caller_result import VOICED_DB, CallResult, EndedBy, level_db

KIND_HANG_UP, KIND_UUID, KIND_DTMF = 0x00, 0x01, 0x03
KINDS_BY_RATE = {
    8_000: 0x10,
    12_000: 0x11,
    16_000: 0x12,
    24_000: 0x13,
    32_000: 0x14,
    44_100: 0x15,
    48_000: 0x16,
    96_000: 0x17,
    192_000: 0x18,
}
HEADER = struct.Struct("!BH")
DIGITS = frozenset("0123456789*#ABCD")

SEND_TIMEOUT_S = 2.0
"""Asterisk drops the call at its first short write; we give a busy machine this long."""
IDLE_TIMEOUT_S = 2.0
"""MAX_WAIT_TIMEOUT_MSEC of app_audiosocket.c: nothing from either side for so long ends the call."""
PAYLOAD_TIMEOUT_S = 0.005
"""How long Asterisk waits inside a payload (seen with 22.10: a pause of 5 ms passes, 6 ms drops the call). So a
message must leave the gateway in one write."""
LISTEN_AFTER_S = 2.0
"""Without a plan of its own the caller hangs up after so much silence."""
VERDICT_TIMEOUT_S = 1.0
"""After a send has failed: how long the reader may take to find out why."""
PAUSE_S = 0.2
"""A longer pause than this between voiced frames ends a stretch of the agent's speech."""

PTIME_S = PTIME_MS / 1000


class Voice(Protocol):
    """Who speaks and listens at the caller's end, one frame at a time; neither method may block."""

    def next_frame(self) -> bytes | None:
        """Give the next frame, at most 20 ms of the leg's format; ``None`` when all has been spoken."""

    def hear(self, audio: bytes) -> None:
        """Take what the gateway played."""


class Speech:
    """A voice that speaks given audio once. ``AudioError`` when that is not whole samples."""

    def __init__(self, audio: bytes, format: AudioFormat) -> None:
        format.samples(len(audio))
        self._frames = (audio[start : start + format.frame_bytes] for start in range(0, len(audio), format.frame_bytes))

    def next_frame(self) -> bytes | None:
        """Give the next frame; the last may be short."""
        return next(self._frames, None)

    def hear(self, audio: bytes) -> None:
        """Take no notice."""


@attrs.frozen
class CallerEvent:
    """Something happened at the caller's end, ``at_s`` seconds after the UUID."""

    at_s: float
    name: Literal["connected", "spoken", "digit", "agent-spoke", "ended"]
    detail: str = ""


OnEvent: TypeAlias = Callable[[CallerEvent], None]


def heard_format(format: AudioFormat) -> AudioFormat:
    """What a caller on a leg of this format is played: Asterisk reads kind 0x10 as slin8, also on a G.711 leg."""
    return format if format.encoding is Encoding.SLIN else SLIN8


async def call(
    stream: trio.abc.Stream,
    voice: Voice | bytes,
    format: AudioFormat,
    *,
    call_id: UUID,
    digits: Sequence[tuple[float, str]] = (),
    seconds: float | None = None,
    listen_after_s: float | None = None,
    sends_silence: bool = True,
    hang_up: trio.Event | None = None,
    on_event: OnEvent | None = None,
) -> CallResult:
    """Hold one call on a connected stream, and close the stream.

    ``voice`` is what speaks, or whole samples of ``format``. ``digits`` are ``(seconds after the UUID, digit)``. The
    caller hangs up after ``seconds``, or when ``hang_up`` is set; with neither, or with ``listen_after_s`` and no
    ``seconds``, once it has spoken and then heard no speech for so long (2 s). With ``sends_silence=False`` it sends
    nothing after its speech, as a channel that waits does.

    Only bad arguments raise (``AudioError``, ``ValueError``); what the peer does wrong is in the result's ``faults``.
    """
    for _, digit in digits:
        if digit not in DIGITS:
            raise ValueError(f"expected a DTMF digit (0-9 * # A-D), got {digit!r}")
    if isinstance(voice, bytes):
        voice = Speech(voice, format)
    line = _Line(stream, voice, format, call_id, sorted(digits), on_event or (lambda event: None))
    if listen_after_s is None:
        listen_after_s = LISTEN_AFTER_S if hang_up is None else math.inf
    line.seconds, line.listen_after_s, line.sends_silence, line.hang_up = (
        seconds,
        listen_after_s,
        sends_silence,
        hang_up,
    )
    async with stream:
        await line.hold()
    return line.result()


class _Line:
    """State of one call: the speaking task writes the sent half, the listening task the heard half."""

    seconds: float | None
    listen_after_s: float
    sends_silence: bool
    hang_up: trio.Event | None

    def __init__(
        self,
        stream: trio.abc.Stream,
        voice: Voice,
        format: AudioFormat,
        call_id: UUID,
        digits: list[tuple[float, str]],
        on_event: OnEvent,
    ) -> None:
        self.stream, self.voice, self.format, self.call_id, self.digits = stream, voice, format, call_id, digits
        self.on_event = on_event
        self.heard_format = heard_format(format)
        self.kind = KINDS_BY_RATE[format.rate_hz]
        self.start_s = trio.current_time()
        self.active_s = 0.0
        # The sent half.
        self.frames_sent = 0
        self.digits_sent = ""
        self.spoken_s: float | None = None
        self.speech_end_s: float | None = None
        self.send_late_s = array("d")
        # The heard half.
        self.heard = bytearray()
        self.arrivals_s = array("d")
        self.sizes_bytes = array("I")
        self.voiced_s = array("d")
        # The end.
        self.ended_by: EndedBy | None = None
        self.faults: list[str] = []
        self.duration_s = 0.0
        self.scope = trio.CancelScope()

    def now_s(self) -> float:
        return trio.current_time() - self.start_s

    def tell(self, name: Literal["connected", "spoken", "digit", "agent-spoke", "ended"], detail: str = "") -> None:
        self.on_event(CallerEvent(self.now_s(), name, detail))

    async def hold(self) -> None:
        with self.scope:
            await self.send(KIND_UUID, self.call_id.bytes)
            self.start_s = trio.current_time()
            self.tell("connected", str(self.call_id))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.listen)
                nursery.start_soon(self.speak)

    def end(self, ended_by: EndedBy, fault: str = "") -> None:
        """End the call; only the first end counts."""
        if self.ended_by is None:
            self.ended_by, self.duration_s = ended_by, self.now_s()
            if fault:
                self.faults.append(fault)
            self.tell("ended", fault or ended_by)
        self.scope.cancel()

    # Speaking ---------------------------------------------------------------------------------------------------------

    async def speak(self) -> None:
        for tick in itertools.count():
            due_s = tick * PTIME_S
            await trio.sleep_until(self.start_s + due_s)
            if self.is_over(self.now_s()):
                return
            while self.digits and self.digits[0][0] <= due_s:
                await self.send_digit(self.digits.pop(0)[1])
            frame = self.next_frame()
            if frame is not None:
                await self.send(self.kind, frame)
                self.frames_sent += 1
                self.send_late_s.append(max(0.0, self.now_s() - due_s))

    def next_frame(self) -> bytes | None:
        silence = self.format.silence
        if self.spoken_s is None:
            frame = self.voice.next_frame()
            if frame is not None:
                if frame != silence and level_db(frame, self.format.encoding) > VOICED_DB:
                    self.speech_end_s = self.now_s()
                return frame + silence[len(frame) :]
            self.spoken_s = self.now_s()
            self.tell("spoken")
        return silence if self.sends_silence else None

    async def send_digit(self, digit: str) -> None:
        await self.send(KIND_DTMF, digit.encode())
        self.digits_sent += digit
        self.tell("digit", digit)

    async def send(self, kind: int, payload: bytes) -> None:
        # Half a message may be on the wire after this timeout, so the call ends with it.
        with trio.move_on_after(SEND_TIMEOUT_S) as timeout:
            try:
                await self.stream.send_all(HEADER.pack(kind, len(payload)) + payload)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                with trio.move_on_after(VERDICT_TIMEOUT_S):
                    await trio.sleep_forever()
                self.end("error", "expected a socket to write to, got a connection that is lost")
                await trio.lowlevel.checkpoint()
        if timeout.cancelled_caught:
            self.end("error", f"expected the gateway to read, got a write that took longer than {SEND_TIMEOUT_S:g} s")
            await trio.lowlevel.checkpoint()
        self.active_s = self.now_s()

    def is_over(self, now_s: float) -> bool:
        """Whether the call is over, which it is ended by then."""
        if (self.seconds is not None and now_s >= self.seconds) or (self.hang_up is not None and self.hang_up.is_set()):
            self.end("caller")
        elif now_s - self.active_s >= IDLE_TIMEOUT_S:
            self.end("error", f"expected activity on either side, got none for {IDLE_TIMEOUT_S:g} s")
        elif self.seconds is None and self.spoken_s is not None and not self.digits:
            quiet_since_s = max(self.spoken_s, self.voiced_s[-1] if self.voiced_s else 0.0)
            if now_s - quiet_since_s >= self.listen_after_s:
                self.end("caller")
        return self.ended_by is not None

    # Listening --------------------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        unread = bytearray()
        while True:
            with trio.move_on_after(PAYLOAD_TIMEOUT_S if len(unread) >= HEADER.size else math.inf) as timeout:
                try:
                    data = await self.stream.receive_some()
                except trio.BrokenResourceError:
                    # As a close with the caller's audio unread makes it. To Asterisk this is no orderly end either.
                    return self.end("error", "expected the gateway to close in order, got a connection that was reset")
            if timeout.cancelled_caught:
                wait_ms = PAYLOAD_TIMEOUT_S * 1000
                return self.end("error", f"expected the rest of a payload within {wait_ms:g} ms, got nothing")
            if not data:
                if unread:
                    return self.end("error", f"expected a whole message, got its first {len(unread)} bytes and the end")
                return self.end("eof")
            unread += data
            self.active_s = self.now_s()
            if not self.take_messages(unread):
                return None

    def take_messages(self, unread: bytearray) -> bool:
        """Take whole messages off the front; False when one of them ended the call."""
        start = 0
        while len(unread) - start >= HEADER.size:
            kind, size_bytes = HEADER.unpack_from(unread, start)
            if kind == KIND_HANG_UP:
                self.end("hang-up")
                return False
            fault = self.fault_in(kind, size_bytes)
            if fault:
                self.end("error", fault)
                return False
            if len(unread) - start - HEADER.size < size_bytes:
                break
            start += HEADER.size + size_bytes
            self.hear(bytes(unread[start - size_bytes : start]))
        del unread[:start]
        return True

    def fault_in(self, kind: int, size_bytes: int) -> str:
        # An Asterisk that knows the other kind resamples it, an older one drops the call.
        if kind != self.kind:
            name = self.heard_format.name
            return f"expected audio of kind 0x{self.kind:02x} ({name}) or a hang-up, got kind 0x{kind:02x}"
        if size_bytes == 0:
            return "expected audio, got a message of length 0"
        try:
            self.heard_format.samples(size_bytes)
        except AudioError as error:
            return str(error)
        return ""

    def hear(self, audio: bytes) -> None:
        now_s = self.now_s()
        self.heard += audio
        self.arrivals_s.append(now_s)
        self.sizes_bytes.append(len(audio))
        if audio != self.heard_format.silence and level_db(audio, self.heard_format.encoding) > VOICED_DB:
            if not self.voiced_s or now_s - self.voiced_s[-1] > PAUSE_S:
                self.tell("agent-spoke")
            self.voiced_s.append(now_s)
        self.voice.hear(audio)

    # The end ----------------------------------------------------------------------------------------------------------

    def result(self) -> CallResult:
        return CallResult(
            call_id=self.call_id,
            format=self.format,
            heard_format=self.heard_format,
            frames_sent=self.frames_sent,
            frames_heard=len(self.arrivals_s),
            digits_sent=self.digits_sent,
            heard=bytes(self.heard),
            arrivals_s=self.arrivals_s,
            sizes_bytes=self.sizes_bytes,
            send_late_s=self.send_late_s,
            speech_end_s=self.speech_end_s,
            first_answer_s=self.voiced_s[0] if self.voiced_s else None,
            answer_delay_s=self.answer_delay_s(),
            ended_by=self.ended_by or "caller",
            faults=tuple(self.faults),
            duration_s=self.duration_s,
        )

    def answer_delay_s(self) -> float | None:
        end_s = math.inf if self.speech_end_s is None else self.speech_end_s
        answer_s = next((instant_s for instant_s in self.voiced_s if instant_s > end_s), None)
        spoke_over = any(end_s - PAUSE_S < instant_s <= end_s for instant_s in self.voiced_s)
        return None if answer_s is None or spoke_over else answer_s - end_s
