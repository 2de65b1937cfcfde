"""What was said in a call, in words, so that another session can go on with it.

A provider forgets a conversation with its session. What we have of it are transcripts and tool calls: those of the
caller only where transcription is configured. What the caller did not hear of an answer that was cut is not
remembered: the words of an item are cut where its audio was, in proportion, at the end of a word, since providers do
not say when which word is spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Literal

import attrs

from voxpipe.audio import NS_PER_S
from voxpipe.sansio.command_words import AddMessage, AddToolCall, Command
from voxpipe.sansio.digit_words import DigitsEntered
from voxpipe.sansio.ledger import CutPoint
from voxpipe.sansio.realtime import (
    AudioCommitted,
    Event,
    ItemDeleted,
    OutputItemAdded,
    PlayoutCut,
    PlayoutFinished,
    ResponseDone,
    TranscriptCompleted,
    TranscriptionCompleted,
    TranscriptionFailed,
    TranscriptReceived,
)
from voxpipe.sansio.tool_calls import NOT_CALLED
from voxpipe.sansio.tool_words import SendToolResult, ToolAnswered, ToolCallRequested

ENTRIES = 200
"""How much is remembered: then the oldest is forgotten."""
TEXT_CHARS = 8_000
TRANSCRIPT_WAIT_NS = 10 * NS_PER_S
"""A transcript that has not come by then is not waited for."""


@attrs.define(eq=False)
class Said:
    """One item of speech, in words; ``final`` when no more of it comes, ``heard`` when no cut takes any of it away."""

    item_id: str
    speaker: Literal["caller", "agent"]
    since_ns: int
    response_id: str | None = None
    text: str = ""
    final: bool = False
    heard: bool = False


@attrs.define(eq=False)
class Called:
    """One tool call, and its result once it is known."""

    call_id: str
    name: str
    arguments: str
    output: str | None = None


class Memory:
    """The conversation of one call, over all of its sessions. ``note`` is told whatever happens in the serving one."""

    def __init__(self, *, transcribes: bool) -> None:
        self.forgotten = 0
        self._transcribes = transcribes
        self._entries: list[Said | Called] = []

    @property
    def open_calls(self) -> tuple[str, ...]:
        """The tool calls without a result."""
        return tuple(entry.call_id for entry in self._entries if isinstance(entry, Called) and entry.output is None)

    @property
    def entries(self) -> tuple[Said | Called, ...]:
        """What is remembered, oldest first."""
        return tuple(self._entries)

    def settled(self, entry: Said | Called, now_ns: int) -> bool:
        """Tell whether an entry will change no more, or may not be waited for."""
        if isinstance(entry, Called):
            return entry.output is not None
        if entry.speaker == "agent":
            return entry.final and entry.heard
        patience_ns = TRANSCRIPT_WAIT_NS if self._transcribes else 0
        return entry.final or now_ns - entry.since_ns >= patience_ns

    def note(self, event: Event, now_ns: int) -> None:
        """Take what happened in the serving session."""
        match event:
            case AudioCommitted(str(item_id)):
                self._said(item_id, "caller", now_ns)
            case TranscriptionCompleted(str(item_id), transcript):
                self._write(item_id, "caller", transcript or "", now_ns, final=True)
            case TranscriptionFailed(str(item_id), _):
                self._write(item_id, "caller", "", now_ns, final=True)
            case DigitsEntered(item_id, text):
                self._write(item_id, "caller", text, now_ns, final=True)
            case OutputItemAdded(response_id, item_id, "message"):
                self._said(item_id, "agent", now_ns).response_id = response_id
            case TranscriptReceived(_, str(item_id), delta):
                self._write(item_id, "agent", self._said(item_id, "agent", now_ns).text + delta, now_ns, final=False)
            case TranscriptCompleted(_, str(item_id), str(transcript)):
                self._write(item_id, "agent", transcript, now_ns, final=True)
            case ResponseDone(response_id):
                for entry in self._of_response(response_id):
                    entry.final = True
            case PlayoutCut(point):
                self._cut(point)
                self._note_heard()
            case PlayoutFinished():
                self._note_heard()
            case ItemDeleted(str(item_id)):
                self._forget(item_id)
            case ToolCallRequested(call_id, _, _, str(name), arguments):
                if all(entry.call_id != call_id for entry in self._entries if isinstance(entry, Called)):
                    self._add(Called(call_id, name, arguments))
            case ToolAnswered(call_id, output, _):
                for call in self._entries:
                    if isinstance(call, Called) and call.call_id == call_id:
                        call.output = output

    def close_calls(self, open_ids: Collection[str]) -> None:
        """Take note of which tool calls run: what else has no result was not called, and the model was told so."""
        for entry in self._entries:
            if isinstance(entry, Called) and entry.output is None and entry.call_id not in open_ids:
                entry.output = NOT_CALLED

    def change_session(self) -> None:
        """Take note that another session serves: of what was said in the former one no more words come."""
        for entry in self._entries:
            if isinstance(entry, Said):
                entry.final = True

    def lost(self) -> dict[str, Any]:
        """Say what of the conversation so far has no words, for the log."""
        caller = [entry for entry in self._entries if isinstance(entry, Said) and entry.speaker == "caller"]
        return {
            "untranscribed_turns": sum(not entry.text.strip() for entry in caller),
            "forgotten_items": self.forgotten,
        }

    def _said(self, item_id: str, speaker: Literal["caller", "agent"], now_ns: int) -> Said:
        for entry in reversed(self._entries):
            if isinstance(entry, Said) and entry.item_id == item_id:
                return entry
        entry = Said(item_id, speaker, now_ns)
        self._add(entry)
        return entry

    def _write(self, item_id: str, speaker: Literal["caller", "agent"], text: str, now_ns: int, *, final: bool) -> None:
        entry = self._said(item_id, speaker, now_ns)
        if not entry.final:
            entry.text, entry.final = text[:TEXT_CHARS], final

    def _add(self, entry: Said | Called) -> None:
        self._entries.append(entry)
        if len(self._entries) > ENTRIES:
            del self._entries[0]
            self.forgotten += 1

    def _of_response(self, response_id: str) -> list[Said]:
        return [entry for entry in self._entries if isinstance(entry, Said) and entry.response_id == response_id]

    def _cut(self, point: CutPoint) -> None:
        begun = {cut.part.item_id: cut for cut in point.begun}
        heard = {part.item_id for part in point.heard}
        unheard = {part.item_id for part in point.unbegun}
        for entry in [entry for entry in self._entries if isinstance(entry, Said) and entry.speaker == "agent"]:
            if (cut := begun.get(entry.item_id)) is not None:
                entry.text = cut_text(entry.text, cut.played_samples, cut.received_samples)
                entry.final = True
            elif entry.item_id in unheard or not (entry.final or entry.item_id in heard):
                self._forget(entry.item_id)

    def _note_heard(self) -> None:
        for entry in self._entries:
            if isinstance(entry, Said):
                entry.heard = entry.final

    def _forget(self, item_id: str) -> None:
        self._entries = [entry for entry in self._entries if not (isinstance(entry, Said) and entry.item_id == item_id)]


def cut_text(text: str, played: int, received: int) -> str:
    """Keep as much of a text as was played of its audio, up to the end of a word."""
    if played >= received:
        return text
    kept = text[: len(text) * played // max(received, 1)]
    return kept.rstrip() if text[len(kept) : len(kept) + 1].isspace() else kept.rpartition(" ")[0].rstrip()


class Giving:
    """What of a memory one session was given already; the rest, in order, is ``take``'s."""

    def __init__(self, memory: Memory, item_ids: Callable[[], str]) -> None:
        self._memory = memory
        self._item_ids = item_ids
        self._given: set[str] = set()

    def take(self, now_ns: int, *, all_: bool) -> list[Command]:
        """Return what is to be given now: all there is, or what comes before the first entry that may still change."""
        commands: list[Command] = []
        for entry in self._memory.entries:
            if not all_ and not self._memory.settled(entry, now_ns):
                break
            commands += self._spell(entry)
        return commands

    def complete(self, now_ns: int) -> bool:
        """Tell whether nothing is left that may still change."""
        return all(self._memory.settled(entry, now_ns) for entry in self._memory.entries)

    def _spell(self, entry: Said | Called) -> list[Command]:
        match entry:
            case Said(item_id, speaker, text=text) if text.strip() and self._is_new(item_id):
                return [AddMessage(self._item_ids(), speaker, text.strip())]
            case Called(call_id, name, arguments, output):
                call = [AddToolCall(self._item_ids(), call_id, name, arguments)] if self._is_new(call_id) else []
                answered = output is not None and self._is_new(f"{call_id} answered")
                return [*call, *([SendToolResult(call_id, output)] if answered and output is not None else [])]
        return []

    def _is_new(self, key: str) -> bool:
        new = key not in self._given
        self._given.add(key)
        return new
