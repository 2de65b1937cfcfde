"""The caller's side of a conversation: turns as the provider heard them, and their transcripts."""

from __future__ import annotations

from voxpipe.analysis.configuration import Configuration
from voxpipe.analysis.events import LogEvent, count_at
from voxpipe.analysis.spelling import fields_of
from voxpipe.analysis.turns import COMPLETED, FAILED, PENDING, CallerTurn
from voxpipe.analysis.uplink_marks import UplinkMarks


class CallerSide:
    """The caller's turns, oldest first."""

    def __init__(self, configuration: Configuration, uplink: UplinkMarks) -> None:
        self.turns: list[CallerTurn] = []
        self.commits_sent = 0
        self._by_item: dict[str, CallerTurn] = {}
        self._configuration = configuration
        self._uplink = uplink

    @property
    def open(self) -> CallerTurn | None:
        """The turn that has begun and not ended."""
        return self.turns[-1] if self.turns and self.turns[-1].ended_ns is None else None

    def take_start(self, event: LogEvent) -> None:
        """The provider hears the caller."""
        self._add(CallerTurn(event.line_no, fields_of(event)["item_id"], event.t_ns))

    def take_stop(self, event: LogEvent) -> None:
        """The provider heard the end of the turn."""
        fields = fields_of(event)
        turn = self._find(fields["item_id"]) or self.open
        if turn is None:
            turn = self._add(CallerTurn(event.line_no, fields["item_id"], None))
        turn.ended_ns = turn.marks.stopped = event.t_ns
        turn.stopped_line = event.line_no
        self._uplink.mark(turn.marks, fields["audio_end_ms"], self.silence_ms)

    def take_commit(self, event: LogEvent) -> None:
        """The caller's audio became an item: by a turn's end that is known already, or by a client's own decision."""
        item_id = fields_of(event)["item_id"]
        turn = self._find(item_id)
        if turn is None and self.turns and self.turns[-1].item_id is None and self.turns[-1].ended_ns is not None:
            turn = self.turns[-1]
        if turn is None:
            turn = self._add(CallerTurn(event.line_no, item_id, None))
        if turn.ended_ns is None:
            turn.ended_ns = turn.marks.stopped = event.t_ns
            turn.stopped_line = event.line_no
        if turn.item_id is None and item_id is not None:
            turn.item_id = item_id
            self._by_item[item_id] = turn

    def take_transcript(self, event: LogEvent) -> None:
        """The provider wrote down what the caller said, or could not."""
        fields = fields_of(event)
        turn = self._find(fields["item_id"]) if fields["item_id"] else None
        if turn is None:
            turn = next((turn for turn in self.turns if turn.transcription == PENDING), None)
        if turn is None:
            return
        turn.transcript_line = event.line_no
        if event.type.endswith(".failed"):
            turn.transcription, turn.trouble = FAILED, fields["message"]
        else:
            turn.transcription, turn.transcript = COMPLETED, fields["transcript"]

    @property
    def silence_ms(self) -> int | None:
        """The silence that ends a turn, by the configuration in force; ``None`` where it has no such number."""
        facts = self._configuration.effective
        detection = facts.turn_detection if facts is not None else None
        return count_at(detection, "silence_duration_ms")

    def _find(self, item_id: str | None) -> CallerTurn | None:
        return None if item_id is None else self._by_item.get(item_id)

    def _add(self, turn: CallerTurn) -> CallerTurn:
        self.turns.append(turn)
        if turn.item_id is not None:
            self._by_item[turn.item_id] = turn
        return turn
