"""The agent's side of a conversation: responses, from the provider and as they were played."""

from __future__ import annotations

from typing import Any

from voxpipe.analysis.events import LogEvent, count_at, dig, text_at
from voxpipe.analysis.spelling import fields_of
from voxpipe.analysis.turns import AgentTurn, CallerTurn

MAX_WORDS = 4_000
"""Pieces of a transcript that are kept while it is not complete."""


class Tokens:
    """What the provider charged, by its own account."""

    def __init__(self) -> None:
        self.responses = 0
        self.untold = 0
        self.sums: dict[str, int] = {}

    def take(self, usage: Any) -> None:
        """Take the ``usage`` of one response."""
        if not isinstance(usage, dict):
            self.untold += 1
            return
        self.responses += 1
        self._add("", usage)

    def _add(self, prefix: str, usage: dict[str, Any]) -> None:
        for name, value in usage.items():
            if isinstance(value, dict) and not prefix:
                self._add(f"{name.removesuffix('_token_details')}.", value)
            elif (count := count_at(usage, name)) is not None:
                self.sums[prefix + name] = self.sums.get(prefix + name, 0) + count

    def to_json(self) -> dict[str, Any]:
        """Write the sums as JSON data; without any report they are unknown, which is null."""
        return {
            "responses_told": self.responses,
            "responses_untold": self.untold,
            "sums": dict(sorted(self.sums.items())) if self.responses else None,
        }


class AgentSide:
    """The agent's turns, oldest first; ``turns`` are responses, with or without audio."""

    def __init__(self) -> None:
        self.turns: list[AgentTurn] = []
        self.tokens = Tokens()
        self.playing: AgentTurn | None = None
        self.tells_playout = False
        """Whether the log tells what is played, so that nothing need be estimated."""
        self._by_id: dict[str, AgentTurn] = {}

    def take_created(self, event: LogEvent, caller_turns: list[CallerTurn]) -> AgentTurn:
        """The agent begins an answer: to the caller's latest turn, or to nobody."""
        turn = AgentTurn(event.line_no, fields_of(event)["response_id"], event.t_ns)
        self.turns.append(turn)
        if turn.response_id is not None:
            self._by_id[turn.response_id] = turn
        # The caller may have gone on speaking before the answer to what was said so far was begun.
        asked = next((asked for asked in reversed(caller_turns) if asked.ended_ns is not None), None)
        if asked is not None and asked.marks.created is None:
            asked.marks.created, asked.answer_id = event.t_ns, turn.response_id
            turn.answers = asked
        elif asked is not None and asked.calls_tools and asked.marks.received is None:
            turn.answers = asked  # what the tool's result led to
        return turn

    def find(self, response_id: str | None) -> AgentTurn | None:
        """Find the turn of a response; without an id, the latest."""
        if response_id is None:
            return self.turns[-1] if self.turns else None
        return self._by_id.get(response_id)

    def take_audio(self, event: LogEvent, duration_ns: int | None) -> bool:
        """Audio of an answer came, of known length or not; tell whether it is the first of it."""
        turn = self.find(text_at(event.data, "response_id"))
        if turn is None:  # a log that does not tell of responses
            return False
        turn.chunks += 1
        turn.sized = turn.sized and duration_ns is not None
        first = turn.received_ns is None
        if turn.received_ns is None:
            turn.received_ns, turn.received_line = event.t_ns, event.line_no
            if turn.answers is not None and turn.answers.marks.received is None:
                turn.answers.marks.received = event.t_ns
        elif turn.sized:
            starved_ns = event.t_ns - turn.received_ns - turn.audio_ns
            if starved_ns > turn.starved_ns:
                turn.starved_ns, turn.starved_line = starved_ns, event.line_no
        turn.audio_ns += duration_ns or 0
        return first

    def take_words(self, event: LogEvent) -> None:
        """Some of the agent's words, or all of them, were told."""
        fields = fields_of(event)
        turn = self.find(fields["response_id"])
        if turn is None:
            return
        if event.type.endswith(".done"):
            turn.words.clear()
            said = fields["transcript"]
            turn.transcript = f"{turn.transcript} {said}" if turn.transcript and said else said or turn.transcript
        elif len(turn.words) < MAX_WORDS and fields["delta"]:
            turn.words.append(fields["delta"])

    def take_done(self, event: LogEvent) -> None:
        """The answer is generated, or was ended."""
        fields = fields_of(event)
        turn = self.find(fields["response_id"])
        self.tokens.take(dig(event.data, "response.usage"))
        if turn is None:
            return
        turn.status, turn.reason = fields["status"], fields["error"] or fields["reason"]
        if turn.transcript is None and turn.words:
            turn.transcript = "".join(turn.words)
        turn.words.clear()
        if turn.transcript is None:
            turn.transcript = _said(dig(event.data, "response.output"))
        if turn.status == "cancelled" and turn.playout_ns is None and turn.received_ns is not None:
            turn.cut = True
            turn.ended_ns = min(event.t_ns, turn.received_ns + turn.audio_ns) if turn.sized else event.t_ns

    def take_playout(self, event: LogEvent) -> None:
        """The first frame of an item was played."""
        turn = self.find(text_at(event.data, "response_id"))
        if turn is None:
            return
        self.playing = turn
        if turn.playout_ns is None:
            turn.playout_ns = event.t_ns
            if turn.answers is not None and turn.answers.marks.played is None:
                turn.answers.marks.played = event.t_ns
        turn.ended_ns = None

    def take_playout_end(self, event: LogEvent, *, cut: bool) -> AgentTurn | None:
        """What was played has come to its end, or was cut; return whose it was."""
        turn, self.playing = self.playing, None
        if turn is not None:
            turn.ended_ns, turn.cut = event.t_ns, cut or turn.cut
        return turn

    def finish(self, t_ns: int) -> None:
        """Take note of the end of the log: what was still being played ends, an answer that is not done is starved."""
        if self.playing is not None:
            self.playing.ended_ns = t_ns
        for turn in self.turns:
            if turn.transcript is None and turn.words:
                turn.transcript = "".join(turn.words)
            if turn.status is None and turn.received_ns is not None and turn.sized and not turn.cut:
                turn.starved_ns = max(turn.starved_ns, t_ns - turn.received_ns - turn.audio_ns)
                turn.starved_line = turn.starved_line or turn.received_line

    def speaking(self, t_ns: int) -> AgentTurn | None:
        """Return the turn that the caller hears now; in a log without playout, the one whose audio would still last."""
        if self.playing is not None or self.tells_playout:
            return self.playing
        latest = self.turns[-1] if self.turns else None
        if latest is None or latest.playout_ns is not None or latest.received_ns is None or latest.cut:
            return None
        return latest if latest.received_ns + latest.audio_ns > t_ns else None


def _said(output: Any) -> str | None:
    """The words in the items of ``response.done``."""
    items = output if isinstance(output, list) else []
    parts = [part for item in items if isinstance(item, dict) for part in _contents(item)]
    return " ".join(words for part in parts if (words := text_at(part, "transcript") or text_at(part, "text"))) or None


def _contents(item: dict[str, Any]) -> list[Any]:
    content = item.get("content")
    return content if isinstance(content, list) else []
