"""The playout accounts: what waits for the caller, what was played, and where an answer was cut.

All accounts are in samples of the leg's downlink format, one account for each part (response, item, content index) of
an answer. *Played* means written to the leg's socket, never "sent by the provider" and never "since the answer began":
after a stall, wall-clock time says more than the caller has heard.

An account is *begun* when its first sample was taken to be written, and *complete* when the provider has said that no
more audio of it comes. A cut drops all that waits and starts a new *epoch*: chunks that were on their way from before
the cut are stale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

import attrs

from voxpipe.audio import AudioFormat

OURS = "voxpipe:"


@attrs.frozen
class Part:
    """One stretch of agent audio: the provider's response, item and index of the content in the item."""

    response_id: str
    item_id: str
    content_index: int

    @classmethod
    def of_ours(cls, name: str) -> Part:
        """Name a stretch that is no agent's: a prompt."""
        return cls(OURS + name, name, 0)

    @property
    def ours(self) -> bool:
        """Whether it is a prompt of ours, of which the provider knows nothing."""
        return self.response_id.startswith(OURS)


@attrs.define(eq=False)
class Account:
    """Samples received and played of one part."""

    part: Part
    received_samples: int = 0
    played_samples: int = 0
    begun: bool = False
    complete: bool = False
    refused: bool = False
    """Whether some of it found no room: the rest would be a piece of speech after a hole."""

    @property
    def settled(self) -> bool:
        """Whether all that was taken in was played, and no more is to come."""
        return self.complete and self.played_samples >= self.received_samples


@attrs.frozen
class Frame:
    """Exactly one frame to write, and whose samples are in it; ``padding_samples`` of silence fill it up."""

    audio: bytes
    shares: tuple[tuple[Account, int], ...]
    padding_samples: int
    begins: Part | None
    """The part of which this frame holds the first sample, if any."""


@attrs.frozen
class PartCut:
    """Where one part was cut; times are rounded down, so that they never exceed what was played."""

    part: Part
    played_samples: int
    received_samples: int
    played_ms: int


@attrs.frozen
class CutPoint:
    """What a cut found: the parts the caller heard the beginning of, those never begun, and what was dropped.

    ``heard`` are parts that were complete and played to their end while their response went on.
    """

    begun: tuple[PartCut, ...]
    unbegun: tuple[Part, ...]
    dropped_samples: int
    epoch: int
    heard: tuple[Part, ...] = ()

    def without(self, response_ids: Collection[str]) -> CutPoint:
        """Leave out prompts of ours, and the parts of these responses."""

        def told(part: Part) -> bool:
            return not part.ours and part.response_id not in response_ids

        begun = tuple(cut for cut in self.begun if told(cut.part))
        unbegun = tuple(part for part in self.unbegun if told(part))
        return attrs.evolve(self, begun=begun, unbegun=unbegun, heard=tuple(filter(told, self.heard)))

    def with_unheard(self, parts: Iterable[Part]) -> CutPoint:
        """Count in parts of which audio had come, but not into the ledger: what it does not know was not begun."""
        known = {cut.part for cut in self.begun}
        unbegun = dict.fromkeys([*self.unbegun, *(part for part in parts if part not in known)])
        return attrs.evolve(self, unbegun=tuple(unbegun))


@attrs.frozen
class LedgerStatistics:
    """The ledger's sums, in samples of the leg's downlink format unless named otherwise."""

    received_samples: int
    played_samples: int
    padding_samples: int
    dropped_samples: int
    stale_samples: int
    overrun_samples: int
    frames: int
    cuts: int
    underruns: int
    underrun_frames: int
    peak_waiting_samples: int


class Ledger:
    """The long queue of one leg's downlink, bounded by ``limit_samples``. One writer: the downlink side of the leg."""

    def __init__(self, format_: AudioFormat, *, limit_samples: int) -> None:
        self._format = format_
        self._limit_samples = limit_samples
        self._waiting = bytearray()
        self._read_bytes = 0
        self._queue: deque[tuple[Account, int]] = deque()
        self._accounts: dict[Part, Account] = {}
        self._open_responses: set[str] = set()
        self._heard: list[Part] = []
        self._epoch = 0
        self._in_underrun = False
        self._held = False
        self._received = self._played = self._padding = self._dropped = self._stale = self._overrun = 0
        self._frames = self._cuts = self._underruns = self._underrun_frames = self._peak = 0

    @property
    def epoch(self) -> int:
        """How many cuts there were; chunks name the epoch in which they were received."""
        return self._epoch

    @property
    def waiting_samples(self) -> int:
        """Samples received and not yet taken."""
        return (len(self._waiting) - self._read_bytes) // self._format.sample_bytes

    @property
    def speaking(self) -> bool:
        """Whether an answer is under way: something waits, or more of an answer is to come."""
        return bool(self._open_responses) or self.waiting_samples > 0

    @property
    def answering(self) -> bool:
        """Whether a part has begun to be taken and more of it is to come: a gap now is one inside of it."""
        return any(account.begun and not account.settled for account in self._accounts.values())

    @property
    def prompting(self) -> bool:
        """Whether a prompt of ours is not played to its end."""
        return any(account.part.ours and not account.settled for account in self._accounts.values())

    @property
    def ready(self) -> bool:
        """Whether ``take`` would give a frame."""
        if self._held:
            return False
        waiting_bytes = len(self._waiting) - self._read_bytes
        if not 0 < waiting_bytes < self._format.frame_bytes:
            return waiting_bytes > 0
        last = self._queue[-1][0]
        return last.complete or last.part.response_id not in self._open_responses

    def add(self, part: Part, audio: bytes, epoch: int) -> bool:
        """Put audio behind what waits; ``False``, and counted, when it is stale or the ledger is full.

        Once a chunk found no room, the rest of its part is refused too.
        """
        samples = self._format.samples(len(audio))
        if epoch != self._epoch:
            self._stale += samples
            return False
        account = self._accounts.get(part)
        if account is None:
            account = self._accounts[part] = Account(part)
            self._open_responses.add(part.response_id)
        if account.refused or self.waiting_samples + samples > self._limit_samples:
            account.refused = True
            self._overrun += samples
            return False
        account.received_samples += samples
        self._received += samples
        if samples:
            self._waiting += audio
            self._queue.append((account, len(audio)))
            self._peak = max(self._peak, self.waiting_samples)
        return True

    def complete(self, part: Part, epoch: int) -> None:
        """Take note that no more audio of a part comes."""
        account = self._accounts.get(part)
        if account is not None and epoch == self._epoch:
            account.complete = True
            self._settle(account)

    def finish(self, response_id: str, epoch: int) -> None:
        """Take note that no more audio of a response comes; its last frame may be filled up with silence."""
        if epoch != self._epoch:
            return
        self._open_responses.discard(response_id)
        self._heard = [part for part in self._heard if part.response_id != response_id]
        for account in [account for part, account in self._accounts.items() if part.response_id == response_id]:
            account.complete = True
            self._settle(account)

    def take(self) -> Frame | None:
        """Return the next frame, or ``None`` when nothing is due for the caller.

        A frame is filled up with silence only where a part ends and nothing has come after it; less than a frame in
        the middle of a part waits for the rest.
        """
        size = self._format.frame_bytes
        waiting_bytes = len(self._waiting) - self._read_bytes
        if not self.ready:
            self._note_underrun()
            return None
        self._in_underrun = False
        taken_bytes = min(size, waiting_bytes)
        end = self._read_bytes + taken_bytes
        audio = bytes(self._waiting[self._read_bytes : end])
        self._read_bytes = end
        if end == len(self._waiting) or end > 1 << 16:
            del self._waiting[:end]
            self._read_bytes = 0
        begins, shares = self._shares(taken_bytes)
        padding_samples = (size - taken_bytes) // self._format.sample_bytes
        if padding_samples:
            audio += self._format.silence[: size - taken_bytes]
        return Frame(audio, shares, padding_samples, begins)

    def mark_played(self, frame: Frame) -> None:
        """Take note that a frame was written. A frame taken before a cut still counts: the caller hears it."""
        self._frames += 1
        self._padding += frame.padding_samples
        for account, samples in frame.shares:
            account.played_samples += samples
            self._played += samples
            self._settle(account)

    def hold(self, held: bool) -> None:
        """Give no frame from now on, or go on with the next sample; all else goes on. A cut ends a hold."""
        self._held = held

    def cut(self) -> CutPoint:
        """Drop all that waits, and tell how much of each part was played."""
        begun, unbegun = [], []
        for account in self._accounts.values():
            if account.begun:
                played_ms = account.played_samples * 1000 // self._format.rate_hz
                begun.append(PartCut(account.part, account.played_samples, account.received_samples, played_ms))
            else:
                unbegun.append(account.part)
        dropped = self.waiting_samples
        self._dropped += dropped
        self._cuts += bool(self._accounts)
        self._epoch += 1
        self._waiting.clear()
        self._read_bytes = 0
        self._queue.clear()
        self._accounts.clear()
        self._open_responses.clear()
        heard, self._heard = tuple(self._heard), []
        self._in_underrun = self._held = False
        return CutPoint(tuple(begun), tuple(unbegun), dropped, self._epoch, heard)

    def statistics(self) -> LedgerStatistics:
        """Tell the sums so far."""
        return LedgerStatistics(
            received_samples=self._received,
            played_samples=self._played,
            padding_samples=self._padding,
            dropped_samples=self._dropped,
            stale_samples=self._stale,
            overrun_samples=self._overrun,
            frames=self._frames,
            cuts=self._cuts,
            underruns=self._underruns,
            underrun_frames=self._underrun_frames,
            peak_waiting_samples=self._peak,
        )

    def _shares(self, size_bytes: int) -> tuple[Part | None, tuple[tuple[Account, int], ...]]:
        shares = []
        begins: Part | None = None
        while size_bytes:
            account, available = self._queue[0]
            part_bytes = min(available, size_bytes)
            shares.append((account, part_bytes // self._format.sample_bytes))
            if not account.begun:
                account.begun = True
                begins = begins or account.part
            size_bytes -= part_bytes
            if part_bytes == available:
                self._queue.popleft()
            else:
                self._queue[0] = (account, available - part_bytes)
        return begins, tuple(shares)

    def _settle(self, account: Account) -> None:
        # What is complete and played to its end is out of reach of a cut. What was refused is not: the provider must
        # be told, at the next cut, that the caller never heard it; of a prompt of ours there is nothing to tell.
        if account.settled and (account.part.ours or not account.refused):
            known = self._accounts.pop(account.part, None) is not None
            if known and account.begun and account.part.response_id in self._open_responses:
                self._heard.append(account.part)

    def _note_underrun(self) -> None:
        if self._held or not self.answering:
            return
        self._underrun_frames += 1
        if not self._in_underrun:
            self._in_underrun = True
            self._underruns += 1
