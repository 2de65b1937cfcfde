"""The gate for the agent's audio: what is played on, what is refused, what is stale; all of it is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from voxpipe.audio import AudioFormat
from voxpipe.errors import SessionError
from voxpipe.sansio.answers import Answers, Verdict
from voxpipe.sansio.command_words import DeleteItem
from voxpipe.sansio.commands import Commands
from voxpipe.sansio.effects import CompletePart, Effect, FinishResponse, Note, Play
from voxpipe.sansio.ledger import Part
from voxpipe.sansio.realtime import AudioCompleted, AudioReceived, OutputItemAdded, ResponseDone


class AgentAudio:
    """The answers of one session on their way to the caller; ``counts`` has chunks and bytes by what became of them."""

    def __init__(
        self, answers: Answers, format_: AudioFormat, commands: Commands, emit: Callable[[Effect], None]
    ) -> None:
        names = ("played", "refused", "stale")
        self.counts: Counter[str] = Counter({f"{unit}_{name}": 0 for unit in ("chunks", "bytes") for name in names})
        self._answers = answers
        self._format = format_
        self._commands = commands
        self._emit = emit

    def take(self, event: OutputItemAdded | AudioReceived | AudioCompleted, epoch: int) -> None:
        """Pass on what belongs to an answer that goes on; ``SessionError`` for audio that is no whole samples."""
        match event:
            case OutputItemAdded(response_id, item_id, "message"):
                if self._answers.add_item(response_id, item_id) is Verdict.STALE:
                    self._commands.send(DeleteItem(item_id))
            case AudioReceived():
                self._play(event, epoch)
            case AudioCompleted(response_id, item_id, content_index):
                if self._answers.verdict(response_id) is Verdict.PLAY:
                    self._emit(CompletePart(Part(response_id, item_id, content_index), epoch))

    def finish(self, event: ResponseDone, epoch: int) -> None:
        """Take note that a response is done."""
        if self._answers.finish(event.response_id) is Verdict.PLAY:
            self._emit(FinishResponse(event.response_id, epoch))
        if event.status == "failed":
            reason = event.error or event.reason
            self._emit(Note("response.failed", {"response_id": event.response_id, "reason": reason}))

    def refuse(self, event: AudioReceived) -> None:
        """Refuse a chunk for which no format is confirmed, and with it the rest of its response."""
        self._answers.begin_unconfirmed(event.response_id)
        self._turn_away("refused", event, "before the acknowledgement")

    def _play(self, event: AudioReceived, epoch: int) -> None:
        verdict = self._answers.verdict(event.response_id)
        if verdict is Verdict.UNCONFIRMED:
            self._turn_away("refused", event, "response began before the acknowledgement")
        elif verdict is Verdict.STALE:
            self._turn_away("stale", event, "response is over")
        elif len(event.audio) % self._format.sample_bytes:
            raise SessionError(f"expected whole samples of {self._format}, got {len(event.audio)} bytes")
        else:
            self._count("played", event)
            self._emit(Play(Part(event.response_id, event.item_id, event.content_index), event.audio, epoch))

    def _count(self, how: str, event: AudioReceived) -> None:
        self.counts[f"chunks_{how}"] += 1
        self.counts[f"bytes_{how}"] += len(event.audio)

    def _turn_away(self, how: str, event: AudioReceived, because: str) -> None:
        self._count(how, event)
        data = {"response_id": event.response_id, "bytes": len(event.audio), "because": because}
        self._emit(Note(f"audio.{how}", data))
