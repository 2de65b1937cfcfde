"""Cuts held against an ear: what the provider is told is what was heard, whatever came before, in random scripts."""

from __future__ import annotations

from collections import Counter
from itertools import count

import attrs
import numpy as np
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from session_machine import ready

from voxpipe.actors.chunk_queue import ChunkQueue
from voxpipe.actors.ear import Ear
from voxpipe.actors.playout import Playout
from voxpipe.actors.sink import CallLog, Entry
from voxpipe.actors.transcode import DownlinkStage, drop_unconverted
from voxpipe.audio import NS_PER_MS, PCM24, PTIME_MS
from voxpipe.config import SessionConfig, TurnDetectionConfig
from voxpipe.dsp import Converter
from voxpipe.sansio.clock import Clock
from voxpipe.sansio.command_words import CancelResponse, DeleteItem, TruncateItem
from voxpipe.sansio.effects import CutPlayout, Effect, Fail, Note, Send
from voxpipe.sansio.ledger import Frame, Ledger
from voxpipe.sansio.realtime import (
    AudioCompleted,
    AudioReceived,
    Event,
    OutputItemAdded,
    PlayoutCut,
    ResponseCreated,
    ResponseDone,
    SpeechStarted,
)

SAMPLES_PER_MS = PCM24.rate_hz // 1000


@attrs.define(eq=False)
class Item:
    """One item as the provider knows it; each of its samples has the item's number as its value."""

    number: int
    response_id: str
    sent_samples: int = 0
    complete: bool = False
    truncated_ms: int | None = None
    deleted: bool = False

    @property
    def id(self) -> str:
        """The item's id on the wire."""
        return f"item_{self.number}"


class Bench:
    """The session machine, the queue, the converter, the ledger and the clock, between a provider and an ear."""

    def __init__(self, *, interrupts: bool, limit_samples: int) -> None:
        detection = TurnDetectionConfig(interrupt_response=interrupts)
        self.interrupts = interrupts
        self.now_ns = 0
        self.machine = ready(SessionConfig(turn_detection=detection))
        self.ledger = Ledger(PCM24, limit_samples=limit_samples)
        self.clock = Clock(0)
        self.queue = ChunkQueue(10_000)
        send, self._records = trio.open_memory_channel[Entry](100_000)
        self.log = CallLog(send, leg=None, start_ns=0, start_unix_ns=0, now_ns=lambda: self.now_ns)
        playout = Playout(self.ledger, self.clock, PCM24, self.log)
        self.stage = DownlinkStage(
            Converter(PCM24, PCM24), Ear("downlink", PCM24, self.log), self.log, playout, lambda: None
        )
        self.heard: Counter[int] = Counter()
        self.items: dict[str, Item] = {}
        self.responses, self.numbers = count(1), count(1)
        self.running: str | None = None
        self.cancelled: set[str] = set()
        self.item: Item | None = None

    # --- the provider -------------------------------------------------------------------------------------------------

    def chunk(self, duration_ms: int) -> None:
        """Send audio of the current item, of a new one where there is none."""
        if self.item is None:
            self.announce()
        assert self.item is not None
        samples = duration_ms * SAMPLES_PER_MS
        self.item.sent_samples += samples
        audio = self.item.number.to_bytes(2, "little") * samples
        self.feed(AudioReceived(self.item.response_id, self.item.id, 0, audio))

    def announce(self) -> None:
        """Begin an item, in a new response where none runs."""
        if self.running is None:
            self.running = f"resp_{next(self.responses)}"
            self.feed(ResponseCreated(self.running))
        self.complete()
        self.item = Item(next(self.numbers), self.running)
        self.items[self.item.id] = self.item
        self.feed(OutputItemAdded(self.running, self.item.id, "message"))

    def complete(self) -> None:
        """Say that the current item has all its audio; one without any is left as it is."""
        if self.item is not None and self.item.sent_samples:
            self.item.complete = True
            self.feed(AudioCompleted(self.item.response_id, self.item.id, 0))
        self.item = None

    def done(self, status: str = "completed") -> None:
        """End the running response."""
        if self.running is not None:
            self.complete()
            # A response that has ended has no item without content.
            self.items = {id_: item for id_, item in self.items.items() if item.sent_samples or item.deleted}
            response_id, self.running = self.running, None
            self.feed(ResponseDone(response_id, status, None))

    # --- the caller ---------------------------------------------------------------------------------------------------

    def play(self, frames: int) -> None:
        """Hear so many frames, silence included, by the clock."""
        for _ in range(frames):
            self.now_ns = max(self.now_ns, self.clock.due_ns)
            self.hear(self.ledger.take())
            self.clock.tick(self.now_ns)

    def hear(self, frame: Frame | None) -> None:
        """Hear a frame, sample by sample."""
        if frame is not None:
            assert len(frame.audio) == PCM24.frame_bytes
            self.heard.update(np.frombuffer(frame.audio, "<i2").tolist())
            self.ledger.mark_played(frame)

    def stall(self, duration_ms: int) -> None:
        """Let time pass in which nothing is written."""
        self.now_ns += duration_ms * NS_PER_MS

    def convert(self, chunks: int) -> None:
        """Let the converter take so many chunks."""
        for _ in range(chunks):
            if (chunk := self.queue.take_nowait()) is not None:
                self.stage.take(chunk)

    def barge_in(self, *, writing: bool) -> None:
        """Speak over the agent, perhaps while a frame is being written; then compare."""
        frame = self.ledger.take() if writing else None
        before = {item.id for item in self.items.values() if item.truncated_ms is not None or item.deleted}
        self.feed(SpeechStarted("u", 0))
        self.compare(before, 0 if frame is None else PTIME_MS)
        self.hear(frame)

    # --- the actor ----------------------------------------------------------------------------------------------------

    def feed(self, event: Event) -> None:
        """Do what the session actor does."""
        for effect in self.machine.receive(event, self.now_ns):
            self.carry_out(effect)

    def carry_out(self, effect: Effect) -> None:
        """Carry out one effect; commands are taken down as the provider would."""
        match effect:
            case Send(_, TruncateItem(item_id, _, audio_end_ms)):
                assert self.items[item_id].truncated_ms is None
                assert not self.items[item_id].deleted
                self.items[item_id].truncated_ms = audio_end_ms
            case Send(_, DeleteItem(item_id)):
                assert self.items[item_id].truncated_ms is None
                assert not self.items[item_id].deleted
                self.items[item_id].deleted = True
            case Send(_, CancelResponse(response_id)):
                assert not self.interrupts
                assert response_id == self.running
                assert response_id not in self.cancelled
                self.cancelled.add(response_id)
            case CutPlayout():
                self.feed(PlayoutCut(drop_unconverted(self.queue, self.ledger.cut(), self.log)))
            case Note():
                pass
            case Fail(error):
                raise error
            case _:
                self.queue.send_nowait(effect)  # type: ignore[arg-type]

    def compare(self, before: set[str], writing_ms: int) -> None:
        """Hold what the provider was told by this cut against the ear."""
        for item in self.items.values():
            if item.id in before:
                continue
            heard, sent = self.heard[item.number], item.sent_samples
            if item.truncated_ms is not None:
                assert item.truncated_ms == heard // SAMPLES_PER_MS
                assert item.truncated_ms <= sent // SAMPLES_PER_MS
                assert heard > 0 or writing_ms
            elif item.deleted:
                assert heard == 0
            else:
                assert item.complete
                assert heard == sent

    def settle(self) -> None:
        """After the script: nothing of a cut item was heard past its cut, and the next answer is heard whole."""
        for item in self.items.values():
            if item.truncated_ms is not None:
                assert -1 < self.heard[item.number] / SAMPLES_PER_MS - item.truncated_ms <= PTIME_MS
            elif item.deleted:
                assert self.heard[item.number] == 0
        self.done()
        self.convert(10_000)
        while self.ledger.ready:
            self.play(1)
        self.chunk(110)
        last = self.item
        assert last is not None
        self.done()
        self.convert(10)
        self.play(10)
        assert self.heard[last.number] == last.sent_samples
        assert not self.ledger.speaking


STEPS = st.one_of(
    st.tuples(st.just("chunk"), st.integers(1, 300)),
    st.tuples(st.just("chunk"), st.integers(1, 300)),
    st.tuples(st.just("announce"), st.just(0)),
    st.tuples(st.just("complete"), st.just(0)),
    st.tuples(st.just("done"), st.just(0)),
    st.tuples(st.just("play"), st.integers(1, 25)),
    st.tuples(st.just("play"), st.integers(1, 25)),
    st.tuples(st.just("convert"), st.integers(1, 6)),
    st.tuples(st.just("convert"), st.just(10_000)),
    st.tuples(st.just("stall"), st.integers(1, 500)),
    st.tuples(st.just("barge_in"), st.integers(0, 1)),
)


def run(bench: Bench, steps: list[tuple[str, int]]) -> None:
    """Play a script."""
    for name, amount in steps:
        match name:
            case "announce" | "complete" | "done":
                getattr(bench, name)()
            case "barge_in":
                bench.barge_in(writing=bool(amount))
                if bench.interrupts:
                    bench.done("cancelled")
            case _:
                getattr(bench, name)(amount)
    bench.settle()


@given(st.lists(STEPS, max_size=40), st.booleans(), st.sampled_from([600_000, 400]))
@settings(max_examples=1000, deadline=None)
def test_the_provider_is_told_what_the_ear_heard(steps: list[tuple[str, int]], interrupts: bool, limit_ms: int) -> None:
    """Whatever was sent, stalled, refused and cut: truncations are the ear's count, what it never heard is deleted."""
    run(Bench(interrupts=interrupts, limit_samples=limit_ms * SAMPLES_PER_MS), steps)
