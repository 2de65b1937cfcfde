"""From the ledger to the leg, one frame per ptime, by the clock.

The first frame of an answer leaves at once; from there on the clock paces. When nothing waits, silence is written:
Asterisk ends a call after two seconds in which neither side sent anything, and a phone's jitter buffer likes a steady
stream.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from voxpipe.actors.audiosocket_leg import Leg
from voxpipe.actors.monotonic import Pace, now_ns, sleep_until_ns
from voxpipe.actors.sink import CallLog
from voxpipe.audio import NS_PER_S, AudioFormat
from voxpipe.sansio.clock import Clock
from voxpipe.sansio.ledger import Frame, Ledger

SILENCE_REPORT_FRAMES = 50
"""Silence is recorded by the second, not by the frame."""


class Playout:
    """The playout of one leg: who waits for it, and what it counts besides the ledger and the clock."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        format_: AudioFormat,
        log: CallLog,
        *,
        silence_frames: int = 0,
        on_written: Callable[[bytes], None] = lambda _frame: None,
        pace: Pace = sleep_until_ns,
    ) -> None:
        self.ledger = ledger
        self.clock = clock
        self.silence_frames = silence_frames
        self._format = format_
        self._log = log
        self._on_written = on_written
        self._pace = pace
        self._arrived = trio.Event()
        self._on_idle: list[Callable[[], None]] = []
        self._answering_epoch: int | None = None
        self._unreported_silence = 0
        self._unreported_underruns = 0

    def wake(self) -> None:
        """Take note that the ledger has changed."""
        if self.ledger.ready:
            self._arrived.set()

    def tell_when_idle(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` once nothing of an answer waits or is to come."""
        self._on_idle.append(tell)

    async def play(self, leg: Leg) -> None:
        """Write one frame per ptime to the leg.

        Owns the leg's writing end. Ends when cancelled; a leg that is gone ends it too. Never waits on anything but the
        leg and the clock.
        """
        try:
            while True:
                await self._play_one(leg)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The reader sees the same end, and it is the reader that ends the leg.
            self._log.record("playout.broken", {"waiting_samples": self.ledger.waiting_samples})
        finally:
            self._report_silence()

    async def _play_one(self, leg: Leg) -> None:
        frame = self.ledger.take()
        if frame is not None:
            await self._write(leg, frame)
            await self._pace(self.clock.due_ns)
            return
        self._report_underruns()
        self._note_finished()
        self._tell_if_idle()
        await leg.write_frame(self._format, self._format.silence)
        self._on_written(self._format.silence)
        self._note_tick()
        self.silence_frames += 1
        self._unreported_silence += 1
        if self._unreported_silence >= SILENCE_REPORT_FRAMES:
            self._report_silence()
        await self._wait_for_audio()

    async def _write(self, leg: Leg, frame: Frame) -> None:
        self._report_silence()
        self._answering_epoch = self.ledger.epoch
        await leg.write_frame(self._format, frame.audio)
        self.ledger.mark_played(frame)
        self._on_written(frame.audio)
        self._note_tick()
        if frame.begins is not None:
            self._log.record(
                "playout.started", {"response_id": frame.begins.response_id, "item_id": frame.begins.item_id}
            )
        samples = sum(samples for _, samples in frame.shares)
        self._log.record_audio(
            "audiosocket.sent",
            {"message_type": "audio", "samples": samples, "padding_samples": frame.padding_samples},
            "sent",
            frame.audio,
            self._format,
        )
        self._note_finished()

    async def _wait_for_audio(self) -> None:
        """Wait for the next tick, or for the first audio of an answer, which is due at once."""
        if self.ledger.answering:  # what comes late waits for its tick: at once, it would be a frame too many
            await self._pace(self.clock.due_ns)
            return
        if self.ledger.ready:  # it came while the silence was being written
            self.clock.restart(now_ns())
            return
        self._arrived = trio.Event()
        with trio.move_on_at(self.clock.due_ns / NS_PER_S):
            await self._arrived.wait()
            self.clock.restart(now_ns())

    def _note_finished(self) -> None:
        """Record the end of an answer, which may be told after its last frame; one that was cut has none."""
        if self._answering_epoch is not None and not self.ledger.speaking:
            if self._answering_epoch == self.ledger.epoch:
                self._log.record("playout.finished", {"played_samples": self.ledger.statistics().played_samples})
            self._answering_epoch = None

    def _tell_if_idle(self) -> None:
        if not self.ledger.speaking:
            tells, self._on_idle = self._on_idle, []
            for tell in tells:
                tell()

    def _note_tick(self) -> None:
        slipped_ns = self.clock.tick(now_ns())
        if slipped_ns:
            self._log.record("playout.slip", {"slipped_ns": slipped_ns})

    def _report_silence(self) -> None:
        if self._unreported_silence:
            self._log.record("playout.silence", {"frames": self._unreported_silence})
            self._unreported_silence = 0

    def _report_underruns(self) -> None:
        underruns = self.ledger.statistics().underruns
        if underruns > self._unreported_underruns:
            self._unreported_underruns = underruns
            self._log.record("playout.underrun", {"underruns": underruns})
