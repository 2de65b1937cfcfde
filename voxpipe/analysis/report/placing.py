"""Where in a call each stretch of audio was heard: from the frames' times to pieces that sound without a break.

A frame's time jitters with the network and the scheduler, and audio that was held up comes in a burst. Placed one by
one, frames would crackle; so a piece goes on for as long as its frames are on time but for a delay that is caught up.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import attrs
import numpy as np

from voxpipe.audio import NS_PER_MS, NS_PER_S

HELD_UP_FRAMES = 100
"""A delay which so many frames later is caught up (2 s) was the network's; a longer one is a pause."""
TOLERANCE_NS = 60 * NS_PER_MS
"""How far the clocks of both ends may have drifted apart before a new piece is begun."""


@attrs.frozen
class Piece:
    """``samples`` of a side's audio from ``offset_samples`` on, heard from ``at_ns`` on."""

    at_ns: int
    offset_samples: int
    samples: int

    def end_ns(self, rate_hz: int) -> int:
        """When its last sample was over."""
        return self.at_ns + self.samples * NS_PER_S // rate_hz


class Frames:
    """Frames in order: when each passed, and which samples it had. As arrays, for there are 180 000 in an hour."""

    def __init__(self) -> None:
        self.times_ns = array("q")
        self.offsets = array("q")
        self.counts = array("q")

    def __len__(self) -> int:
        return len(self.times_ns)

    def add(self, t_ns: int, offset_samples: int, samples: int) -> None:
        """Take a frame."""
        if samples > 0:
            self.times_ns.append(t_ns)
            self.offsets.append(offset_samples)
            self.counts.append(samples)

    def pieces(self, rate_hz: int) -> list[Piece]:
        """Join the frames to pieces, none of which overlap."""
        if not self.times_ns:
            return []
        times_ns, offsets, counts = (np.array(column) for column in (self.times_ns, self.offsets, self.counts))
        ends = offsets + counts
        # What is skipped in the audio, or played again, begins a new stretch of frames.
        borders = np.flatnonzero(offsets[1:] != ends[:-1]) + 1
        found: list[Piece] = []
        for begin, end in zip([0, *borders], [*borders, len(offsets)], strict=True):
            lateness_ns = times_ns[begin:end] - offsets[begin:end] * NS_PER_S // rate_hz
            for first, last, anchor_ns in _on_time(lateness_ns):
                offset = int(offsets[begin + first])
                at_ns = anchor_ns + offset * NS_PER_S // rate_hz
                found.append(Piece(at_ns, offset, int(ends[begin + last]) - offset))
        return without_overlaps(found, rate_hz)


def _on_time(lateness_ns: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Split frames where they are late for good, or early: first, last, and the lateness of all between."""
    padded = np.concatenate([lateness_ns, np.full(HELD_UP_FRAMES - 1, lateness_ns[-1])])
    settled = np.lib.stride_tricks.sliding_window_view(padded, HELD_UP_FRAMES).min(axis=1).tolist()
    first, anchor_ns = 0, settled[0]
    for number, late_ns in enumerate(settled):
        if abs(late_ns - anchor_ns) > TOLERANCE_NS:
            yield first, number - 1, anchor_ns
            first, anchor_ns = number, late_ns
    yield first, len(settled) - 1, anchor_ns


def without_overlaps(pieces: list[Piece], rate_hz: int) -> list[Piece]:
    """Sort pieces by time, and let each end where the next begins; none begins before the call."""
    kept: list[Piece] = []
    for piece in sorted(pieces, key=lambda one: one.at_ns):
        if piece.at_ns < 0:
            early = -piece.at_ns * rate_hz // NS_PER_S
            piece = Piece(0, piece.offset_samples + early, piece.samples - early)
        if kept and kept[-1].end_ns(rate_hz) > piece.at_ns:
            before = kept.pop()
            shorter = attrs.evolve(before, samples=(piece.at_ns - before.at_ns) * rate_hz // NS_PER_S)
            if shorter.samples > 0:
                kept.append(shorter)
        if piece.samples > 0:
            kept.append(piece)
    return kept


@attrs.define
class Item:
    """What came of one item: the stretches of the side's audio that it consists of, in order."""

    response_id: str | None
    stretches: list[tuple[int, int, int]] = attrs.field(factory=list)
    """Place in the item, place in the side's audio, and length, in samples."""
    samples: int = 0
    played_ns: int = 0
    """How much of it was played."""

    def add(self, offset_samples: int, samples: int) -> None:
        """Take a chunk."""
        if self.stretches:
            place, offset, length = self.stretches[-1]
            if offset + length == offset_samples:
                self.stretches[-1] = (place, offset, length + samples)
                self.samples += samples
                return
        self.stretches.append((self.samples, offset_samples, samples))
        self.samples += samples

    def offset_at(self, place: int) -> int | None:
        """Where in the side's audio a place of the item is; ``None`` beyond what came."""
        for begin, offset, length in reversed(self.stretches):
            if begin <= place < begin + length:
                return offset + place - begin
        return None


@attrs.define
class Strange:
    """A stretch in which the caller was played something whose audio is not in the log."""

    name: str
    begin_ns: int
    end_ns: int


class AgentPlaces:
    """The agent's audio: it comes faster than it is heard, so each frame played is looked up in what came of its item.

    A log without playout tells only when audio came; there each answer is taken to be spoken from its first chunk on.
    """

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._arrivals: list[tuple[int, str | None, int, int]] = []
        self._played = Frames()
        self._playing: Item | None = None
        self._name = ""
        self.strange: list[Strange] = []
        """What was played and did not come from the provider: prompts."""

    def take_chunk(
        self, t_ns: int, item_id: str | None, response_id: str | None, offset_samples: int, samples: int
    ) -> None:
        """Audio of an item came."""
        self._items.setdefault(item_id or "", Item(response_id)).add(offset_samples, samples)
        self._arrivals.append((t_ns, response_id, offset_samples, samples))

    def begin(self, item_id: str | None) -> None:
        """The next frame is the first of an item."""
        self._name = item_id or ""
        self._playing = self._items.get(self._name)

    def take_frame(self, t_ns: int, duration_ns: int, rate_hz: int) -> None:
        """A frame was played; ``rate_hz`` is that of the agent's audio."""
        item = self._playing
        if item is None:
            self._take_strange(t_ns, duration_ns)
            return
        begin = item.played_ns * rate_hz // NS_PER_S
        item.played_ns += duration_ns
        end = min(item.played_ns * rate_hz // NS_PER_S, item.samples)
        offset = item.offset_at(begin)
        if offset is not None:
            self._played.add(t_ns, offset, end - begin)

    def _take_strange(self, t_ns: int, duration_ns: int) -> None:
        last = self.strange[-1] if self.strange else None
        if last is None or last.name != self._name or t_ns - last.end_ns > TOLERANCE_NS:
            self.strange.append(Strange(self._name, t_ns, t_ns + duration_ns))
        else:
            last.end_ns = t_ns + duration_ns

    def pieces(self, rate_hz: int, cut_ns: dict[str | None, int], *, played: bool) -> list[Piece]:
        """Place everything; ``cut_ns`` is when an answer was cut, ``played`` whether the log tells of playout."""
        if played:
            return self._played.pieces(rate_hz)
        found: list[Piece] = []
        due_ns: dict[str | None, int] = {}
        for t_ns, response_id, offset, samples in self._arrivals:
            at_ns = max(t_ns, due_ns.get(response_id, 0))
            due_ns[response_id] = at_ns + samples * NS_PER_S // rate_hz
            room_ns = cut_ns.get(response_id, due_ns[response_id]) - at_ns
            heard = min(samples, room_ns * rate_hz // NS_PER_S)
            if heard > 0:
                found.append(Piece(at_ns, offset, heard))
        return without_overlaps(found, rate_hz)
