"""The playout by itself, on a leg that only notes what is written when."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.playout import Playout
from voxpipe.actors.sink import CallLog, Entry
from voxpipe.audio import SLIN8, AudioFormat
from voxpipe.sansio.clock import Clock
from voxpipe.sansio.ledger import Ledger, Part

PART = Part("resp_1", "item_1", 0)


class NotingLeg:
    """A leg on which an answer comes in just while the first frame of silence is being written."""

    def __init__(self) -> None:
        self.written: list[tuple[float, bool]] = []
        self.playout: Playout | None = None

    async def write_frame(self, _format: AudioFormat, audio: bytes) -> None:
        """Note the time, and whether it was speech."""
        self.written.append((round(trio.current_time(), 6), any(audio)))
        if self.playout is not None:
            self.playout.ledger.add(PART, b"\x01\x00" * 320, 0)
            self.playout.wake()
            self.playout = None
        await trio.lowlevel.checkpoint()


async def test_an_answer_that_comes_while_silence_is_written_leaves_at_once(autojump_clock: MockClock) -> None:
    """No wake-up is lost between looking for audio and waiting for it."""
    send, receive = trio.open_memory_channel[Entry](100)
    log = CallLog(send, leg=None, start_ns=0, start_unix_ns=0, now_ns=now_ns)
    leg = NotingLeg()
    leg.playout = Playout(Ledger(SLIN8, limit_samples=8000), Clock(now_ns()), SLIN8, log)
    with trio.move_on_after(0.05):
        await leg.playout.play(leg)  # type: ignore[arg-type]
    assert leg.written == [(0.0, False), (0.0, True), (0.02, True), (0.04, False)]
    receive.close()
