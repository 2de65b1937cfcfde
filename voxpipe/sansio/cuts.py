"""Cuts: the caller speaks over the agent. What the provider is told, once the ledger has said what was heard."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from voxpipe.config import TurnDetectionConfig
from voxpipe.sansio.answers import Answers
from voxpipe.sansio.command_words import CancelResponse, Command, DeleteItem, TruncateItem
from voxpipe.sansio.ledger import CutPoint


class Cuts:
    """The cuts of one session: at most one waits for the ledger's answer.

    ``supports`` tells which commands the provider has a word for.
    """

    def __init__(
        self, answers: Answers, detection: TurnDetectionConfig, supports: Callable[[type], bool] = lambda _: True
    ) -> None:
        self.epoch = 0
        self.cuts = 0
        self.truncations = 0
        self.foreign: frozenset[str] = frozenset()
        """Responses of earlier sessions that may still be heard, which this one's provider does not know."""
        self._answers = answers
        self._server_interrupts = detection.interrupts
        self._supports = supports
        self._waits = False
        self._heard = False
        self._cutting: frozenset[str] = frozenset()

    def begin(self, *, heard: bool = True) -> bool:
        """Take note that the agent is to fall silent; tell whether the playout must be cut for it.

        ``heard``: the provider knows why, and cancels by itself if it is configured to.
        """
        begins = not self._waits
        self._heard = heard or (self._waits and self._heard)
        self._waits = True
        # A response that begins before the ledger has answered is not of this cut.
        self._cutting = frozenset(self._answers.audible)
        return begins

    def finish(self, point: CutPoint) -> list[Command]:
        """Take the ledger's answer: truncate what was begun, delete what was not, cancel what runs uncancelled."""
        self._waits = False
        self.epoch = point.epoch
        commands: list[Command] = []
        point, self.foreign = point.without(self.foreign), frozenset()
        begun = {cut.part.item_id for cut in point.begun} | {part.item_id for part in point.heard}
        unbegun = [part.item_id for part in point.unbegun]
        for response_id, item_ids in self._answers.cut(self._cutting, begun).items():
            # Items of which no audio has come yet are not the ledger's to know.
            unbegun += item_ids
            if not (self._server_interrupts and self._heard):
                commands.append(CancelResponse(response_id))
        commands += [TruncateItem(cut.part.item_id, cut.part.content_index, cut.played_ms) for cut in point.begun]
        commands += [DeleteItem(item_id) for item_id in dict.fromkeys(unbegun) if item_id not in begun]
        self.cuts += bool(point.begun or unbegun)
        self.truncations += len(point.begun) if self._supports(TruncateItem) else 0
        return commands

    def correct(self, refused: Command, counted_ms: int | None) -> TruncateItem | None:
        """Ask again, once, for what the provider says it has: its count of an item may be below what it sent."""
        if not isinstance(refused, TruncateItem) or refused.corrected or counted_ms is None:
            return None
        if counted_ms >= refused.audio_end_ms:
            return None
        self.truncations += 1
        return attrs.evolve(refused, audio_end_ms=counted_ms, corrected=True)
