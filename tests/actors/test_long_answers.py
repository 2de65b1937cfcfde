"""Answers that come much faster than they are spoken: five minutes of speech within ten seconds."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import attrs
import pytest
import trio
from trio.testing import MockClock

from voxpipe.actors.chunk_queue import ChunkQueue
from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.playout import Playout
from voxpipe.actors.sink import CallLog, Entry
from voxpipe.actors.transcode import drop_unconverted, transcode_downlink
from voxpipe.audio import PCM24, SLIN8, AudioFormat, FormatPair
from voxpipe.sansio.clock import Clock
from voxpipe.sansio.effects import FinishResponse, Play
from voxpipe.sansio.ledger import CutPoint, Ledger, Part
from voxpipe.sansio.leg import LegFormatConfirmed

PART = Part("resp_1", "item_1", 0)
CHUNKS, CHUNK_S = 300, 1
SECOND = b"\x00\x10" * PCM24.rate_hz


@attrs.define
class HearingLeg:
    """A leg which notes when a frame of speech comes, and counts the silent ones."""

    spoken_s: list[float] = attrs.field(factory=list)

    async def write_frame(self, _format: AudioFormat, audio: bytes) -> None:
        """Note the time of a frame of speech."""
        if any(audio):
            self.spoken_s.append(round(trio.current_time(), 6))
        await trio.lowlevel.checkpoint()


@attrs.define
class Listening:
    """What five minutes of speech came to."""

    leg: HearingLeg
    ledger: Ledger
    point: CutPoint
    peak_chunks: int


async def listen(*, cut_at_s: float) -> Listening:
    """Deliver a second of speech each 33 ms; cut at a time."""
    send, _receive = trio.open_memory_channel[Entry](100_000)
    log = CallLog(send, leg=None, start_ns=0, start_unix_ns=0, now_ns=now_ns)
    queue, ledger, leg = ChunkQueue(1000), Ledger(SLIN8, limit_samples=600 * SLIN8.rate_hz), HearingLeg()
    playout = Playout(ledger, Clock(now_ns()), SLIN8, log)
    leg_formats, formats, known = OneShot[LegFormatConfirmed](), OneShot[FormatPair](), OneShot[Playout]()
    leg_formats.set(LegFormatConfirmed(SLIN8, SLIN8))
    formats.set(FormatPair(PCM24, PCM24))
    known.set(playout)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(playout.play, leg))  # type: ignore[arg-type]
        nursery.start_soon(transcode_downlink, queue, leg_formats, formats, known, log, lambda: None)
        nursery.start_soon(deliver, queue)
        await trio.sleep(cut_at_s)
        point = drop_unconverted(queue, ledger.cut(), log)
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    return Listening(leg, ledger, point, queue.statistics().peak_buffer_used)


async def deliver(queue: ChunkQueue) -> None:
    """Be a provider thirty times faster than real time."""
    for number in range(CHUNKS):
        queue.send_nowait(Play(PART, SECOND, 0))
        await trio.sleep_until(10.0 * (number + 1) / CHUNKS)
    queue.send_nowait(FinishResponse(PART.response_id, 0))


async def test_five_minutes_in_ten_seconds_are_played_to_the_end(autojump_clock: MockClock) -> None:
    """Every sample is played, a frame each 20 ms without a gap, and what waits is never more than what was sent."""
    heard = await listen(cut_at_s=301)
    assert len(heard.leg.spoken_s) in (15_000, 15_001)  # the filter's tail may fill a frame more
    assert {round(after - before, 6) for before, after in pairwise(heard.leg.spoken_s)} == {0.02}
    counts = heard.ledger.statistics()
    assert counts.played_samples == counts.received_samples == CHUNKS * CHUNK_S * SLIN8.rate_hz
    assert counts.overrun_samples == counts.underruns == counts.dropped_samples == 0
    assert counts.peak_waiting_samples <= 291 * SLIN8.rate_hz
    assert heard.peak_chunks <= 2
    assert heard.point.begun == heard.point.unbegun == ()


@pytest.mark.parametrize("cut_at_s", [0.011, 5.0, 9.999, 10.5, 137.211, 299.9])
async def test_a_long_answer_can_be_cut_anywhere(autojump_clock: MockClock, cut_at_s: float) -> None:
    """The cut tells what was heard; only a frame being written then may follow, and nothing waits any more."""
    heard = await listen(cut_at_s=cut_at_s)
    (part,) = heard.point.begun
    being_written_samples = len(heard.leg.spoken_s) * SLIN8.frame_samples - part.played_samples
    assert being_written_samples in (0, SLIN8.frame_samples)
    assert abs(part.played_ms / 1000 - cut_at_s) <= 0.02
    assert heard.ledger.waiting_samples == 0
