"""From the leg to the uplink channel.

Asterisk writes each frame with one non-blocking write and drops the call when our socket is full. So the reader never
waits for anything but the leg: where the uplink is full, the oldest frame gives way and the loss is recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import attrs
import trio

from voxpipe.actors.audiosocket_leg import Leg
from voxpipe.actors.ear import Ear
from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.sink import CallLog
from voxpipe.audio import NS_PER_S
from voxpipe.sansio.audiosocket import Framer
from voxpipe.sansio.leg import (
    DigitReceived,
    LegAudioReceived,
    LegErrorReported,
    LegEvent,
    LegFormatConfirmed,
    LegHungUp,
    LegIdentified,
    UnknownKindReceived,
)

LOSSES_INTERVAL_NS = NS_PER_S
AUDIO_MESSAGE = {"message_type": "audio"}


@attrs.define
class UplinkStatistics:
    """What went from the leg into the uplink, in frames."""

    frames: int = 0
    overrun_frames: int = 0


async def read_leg(
    leg: Leg,
    uplink: trio.MemorySendChannel[bytes],
    oldest: trio.MemoryReceiveChannel[bytes],
    formats: OneShot[LegFormatConfirmed],
    log: CallLog,
    statistics: UplinkStatistics,
    on_end: Callable[[str], None],
    on_digit: Callable[[str], None] = lambda _digit: None,
    on_audio: Callable[[bytes], None] = lambda _audio: None,
    show_digit: Callable[[str], str] = lambda digit: digit,
) -> None:
    """Read the leg until it ends, then tell ``on_end`` why; tell ``on_digit`` each DTMF digit and ``on_audio`` all
    caller audio.

    ``show_digit`` says what of a digit the log may hold.

    Owns the sending end of ``uplink``, and a receiving end to drop the oldest frame with. Ends at hang-up or the end of
    the connection. Never waits on anything but the leg.
    """
    reader = _Reader(uplink, oldest, formats, log, statistics, on_audio, show_digit)
    reason = "leg closed by the peer"
    with uplink, oldest, closing_losses(reader):
        while (events := await leg.receive()) is not None:
            for event in events:
                reader.take(event)
                if isinstance(event, DigitReceived):
                    on_digit(event.digit)
            if any(isinstance(event, LegHungUp) for event in events):
                reason = "leg hung up by the peer"
                break
    log.record("audiosocket.closed", {"because": reason}, "received")
    on_end(reason)


@contextlib.contextmanager
def closing_losses(reader: _Reader) -> Iterator[None]:
    """Leave no loss untold, however the reading ends."""
    try:
        yield
    finally:
        reader.tell_losses()


class _Reader:
    def __init__(
        self,
        uplink: trio.MemorySendChannel[bytes],
        oldest: trio.MemoryReceiveChannel[bytes],
        formats: OneShot[LegFormatConfirmed],
        log: CallLog,
        statistics: UplinkStatistics,
        on_audio: Callable[[bytes], None],
        show_digit: Callable[[str], str],
    ) -> None:
        self._on_audio = on_audio
        self._show_digit = show_digit
        self._uplink = uplink
        self._oldest = oldest
        self._formats = formats
        self._log = log
        self._statistics = statistics
        self._framer: Framer | None = None
        self._ear: Ear | None = None
        self._untold_frames = 0
        self._tell_again_ns = 0

    def take(self, event: LegEvent) -> None:
        if isinstance(event, LegAudioReceived):
            self._take_audio(event.audio)
        elif isinstance(event, LegFormatConfirmed):
            self._framer = Framer(event.uplink)
            self._ear = Ear("uplink", event.uplink, self._log)
            self._formats.set(event)
            self._log.record("leg.format", {"uplink": str(event.uplink), "downlink": str(event.downlink)})
        else:
            if isinstance(event, DigitReceived):
                event = DigitReceived(self._show_digit(event.digit))
            self._log.record("audiosocket.received", describe(event), "received")

    def _take_audio(self, audio: bytes) -> None:
        confirmed = self._formats.value
        assert confirmed is not None
        assert self._framer is not None
        assert self._ear is not None
        self._log.record_audio(
            "audiosocket.received", AUDIO_MESSAGE, "received", audio, confirmed.uplink, side="uplink"
        )
        self._ear.hear(audio)
        self._on_audio(audio)
        for frame in self._framer.cut(audio):
            self._statistics.frames += 1
            try:
                self._uplink.send_nowait(frame)
            except trio.WouldBlock:
                self._oldest.receive_nowait()
                self._uplink.send_nowait(frame)
                self._statistics.overrun_frames += 1
                self._untold_frames += 1
        if self._untold_frames and now_ns() >= self._tell_again_ns:
            self.tell_losses()

    def tell_losses(self) -> None:
        """Record what was lost since last told: the first loss at once, a storm of them once a second."""
        if self._untold_frames:
            total = self._statistics.overrun_frames
            self._log.record("uplink.overrun", {"frames": self._untold_frames, "total_frames": total})
            self._untold_frames = 0
            self._tell_again_ns = now_ns() + LOSSES_INTERVAL_NS


def describe(event: LegEvent) -> dict[str, object]:
    """Say in a record's words what a leg's message was."""
    match event:
        case LegIdentified(uuid):
            return {"message_type": "uuid", "uuid": str(uuid)}
        case DigitReceived(digit):
            return {"message_type": "dtmf", "digit": digit}
        case LegHungUp():
            return {"message_type": "hangup"}
        case LegErrorReported(code, flags):
            return {"message_type": "error", "code": code, "flags": list(flags)}
        case UnknownKindReceived(kind, length):
            return {"message_type": "unknown", "kind": f"0x{kind:02x}", "length": length}
    return {"message_type": type(event).__name__}
