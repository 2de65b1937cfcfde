"""Which of the provider's audio is played: the session machine's gate for it, and what passed or was turned away."""

from __future__ import annotations

from voxpipe.audio import AudioFormat
from voxpipe.sansio.answers import Answers, Verdict
from voxpipe.sansio.effects import CompletePart, Note, Play
from voxpipe.sansio.ledger import Part
from voxpipe.sansio.realtime import AudioCompleted, AudioReceived

REASONS = {
    Verdict.UNCONFIRMED: ("refused", "response began before the acknowledgement"),
    Verdict.STALE: ("stale", "response is over"),
}
"""How audio of such a response is turned away, and why."""


class AgentAudio:
    """The audio of one session's answers, counted by what became of it."""

    def __init__(self, answers: Answers, format_: AudioFormat) -> None:
        self._answers = answers
        self._format = format_
        self.counts = {f"{what}_{how}": 0 for how in ("played", "refused", "stale") for what in ("chunks", "bytes")}
        """Chunks and bytes that were played, refused (made under an unconfirmed configuration) or stale."""

    def fault(self, event: AudioReceived) -> str:
        """Tell what is wrong with audio that would be played; nothing if it is whole samples."""
        if self._answers.verdict(event.response_id) is Verdict.PLAY and len(event.audio) % self._format.sample_bytes:
            return f"expected whole samples of {self._format}, got {len(event.audio)} bytes"
        return ""

    def take(self, event: AudioReceived, epoch: int) -> Play | Note:
        """Play audio of a running response, turn away any other."""
        verdict = self._answers.verdict(event.response_id)
        if verdict is not Verdict.PLAY:
            return self.turn_away(event, *REASONS[verdict])
        self._count("played", event)
        return Play(Part(event.response_id, event.item_id, event.content_index), event.audio, epoch)

    def turn_away(self, event: AudioReceived, how: str, because: str) -> Note:
        """Count audio that is not played, and say why."""
        self._count(how, event)
        data = {"response_id": event.response_id, "bytes": len(event.audio), "because": because}
        return Note(f"audio.{how}", data)

    def complete(self, event: AudioCompleted, epoch: int) -> list[CompletePart]:
        """End a part of a running response."""
        if self._answers.verdict(event.response_id) is not Verdict.PLAY:
            return []
        return [CompletePart(Part(event.response_id, event.item_id, event.content_index), epoch)]

    def _count(self, how: str, event: AudioReceived) -> None:
        self.counts[f"chunks_{how}"] += 1
        self.counts[f"bytes_{how}"] += len(event.audio)
