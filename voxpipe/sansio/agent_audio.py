"""The gate for the agent's audio: what is played on, what is refused, what is stale; all of it is counted."""

from __future__ import annotations

from collections import Counter

from voxpipe.sansio.answers import Answers, Verdict
from voxpipe.sansio.effects import Note, Play
from voxpipe.sansio.ledger import Part
from voxpipe.sansio.realtime import AudioReceived


class AgentAudio:
    """The chunks of one session; ``counts`` has chunks and bytes by what became of them."""

    def __init__(self, answers: Answers) -> None:
        names = ("played", "refused", "stale")
        self.counts: Counter[str] = Counter({f"{unit}_{name}": 0 for unit in ("chunks", "bytes") for name in names})
        self._answers = answers

    def take(self, event: AudioReceived, epoch: int) -> Play | Note:
        """Play a chunk on, unless its response is over or was never confirmed."""
        verdict = self._answers.verdict(event.response_id)
        if verdict is Verdict.UNCONFIRMED:
            return self._turn_away("refused", event, "response began before the acknowledgement")
        if verdict is Verdict.STALE:
            return self._turn_away("stale", event, "response is over")
        self._count("played", event)
        return Play(Part(event.response_id, event.item_id, event.content_index), event.audio, epoch)

    def refuse(self, event: AudioReceived) -> Note:
        """Refuse a chunk for which no format is confirmed, and with it the rest of its response."""
        self._answers.begin_unconfirmed(event.response_id)
        return self._turn_away("refused", event, "before the acknowledgement")

    def _count(self, how: str, event: AudioReceived) -> None:
        self.counts[f"chunks_{how}"] += 1
        self.counts[f"bytes_{how}"] += len(event.audio)

    def _turn_away(self, how: str, event: AudioReceived, because: str) -> Note:
        self._count(how, event)
        data = {"response_id": event.response_id, "bytes": len(event.audio), "because": because}
        return Note(f"audio.{how}", data)
