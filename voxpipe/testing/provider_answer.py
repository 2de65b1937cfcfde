"""One response being generated: the train of events from ``response.created`` to ``response.done``. No I/O, no clock.

The order is the real server's. Events are in GA spelling and without ids of their own.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import attrs

from voxpipe.audio import AudioFormat
from voxpipe.testing.provider_conversation import Item
from voxpipe.testing.provider_tools import Call
from voxpipe.testing.scenario import Pace

Json = dict[str, Any]
AUDIO_TOKEN_IN_MS = 100
AUDIO_TOKEN_OUT_MS = 50


@attrs.frozen
class Manner:
    """What session and ``response.create`` say about a response, in GA spelling."""

    settings: Json
    """The fields of the response object that are echoed: modalities, tokens, audio.output, metadata."""
    format: AudioFormat
    conversation_id: str | None
    """None for a response outside the conversation."""

    @property
    def text_only(self) -> bool:
        """Whether there is no audio."""
        return "audio" not in self.settings["output_modalities"]


@attrs.define(eq=False)
class Answer:
    """A response: an item of ``audio`` in the manner's format, ``transcript`` spread over its chunks, then tool calls.

    Without an item it is ``wordless``.
    """

    id: str
    item: Item
    manner: Manner
    audio: bytes
    transcript: str
    heard_ms: int = 0
    status: str = "in_progress"
    reason: str | None = None
    sent_bytes: int = 0
    wordless: bool = False
    calls: list[Call] = attrs.field(factory=list)
    """The calls still to be sent."""
    _called: list[Call] = attrs.field(factory=list)
    _item_status: str = "in_progress"
    _told: str = ""
    _begun: bool = False

    @property
    def running(self) -> bool:
        """Whether it is still being generated."""
        return self.status == "in_progress"

    @property
    def in_conversation(self) -> bool:
        """Whether its item belongs to the conversation."""
        return self.manner.conversation_id is not None

    def chunk_sizes(self, pace: Pace) -> Iterator[int]:
        """Sizes in bytes of the audio's chunks, all whole samples; without audio one chunk of nothing."""
        left, turn = 0 if self.manner.text_only else len(self.audio), 0
        yield from () if left else (0,)
        while left:
            wanted = self.manner.format.bytes_of_ms(pace.chunk_ms[turn % len(pace.chunk_ms)])
            size = min(max(wanted, self.manner.format.sample_bytes), left)
            yield size
            left, turn = left - size, turn + 1

    def created(self) -> list[Json]:
        """The response exists."""
        return [{"type": "response.created", "response": self._body()}, RATE_LIMITS]

    def begin(self, previous_item_id: str | None) -> list[Json]:
        """The item and its content part exist."""
        self._begun = True
        events: list[Json] = [{"type": "response.output_item.added", **self._place(), "item": self._item()}]
        if self.in_conversation:
            events.append(
                {"type": "conversation.item.added", "previous_item_id": previous_item_id, "item": self._item()}
            )
        events.append({"type": "response.content_part.added", **self._part_place(), "part": self._part("")})
        return events

    def chunk(self, size_bytes: int) -> list[Json]:
        """The next piece of audio, after the words that belong to it."""
        piece = self.audio[self.sent_bytes : self.sent_bytes + size_bytes]
        self.sent_bytes += len(piece)
        self.item.extend(piece)
        share = self.sent_bytes / len(self.audio) if piece else 1.0
        told = self.transcript[: round(len(self.transcript) * share)]
        words, self._told = told[len(self._told) :], told
        events: list[Json] = []
        if words:
            kind = "text" if self.manner.text_only else "audio_transcript"
            events.append({"type": f"response.output_{kind}.delta", **self._part_place(), "delta": words})
        if piece:
            delta = base64.b64encode(piece).decode()
            events.append({"type": "response.output_audio.delta", **self._part_place(), "delta": delta})
        return events

    def finish(self, status: str, reason: str | None, previous_item_id: str | None) -> list[Json]:
        """The end, complete or cancelled; the same events either way, with what was sent so far."""
        events = self._end_item(status, previous_item_id)
        self.status, self.reason = status, reason
        return [*events, {"type": "response.done", "response": self._body()}, RATE_LIMITS]

    def call(self, call: Call, previous_item_id: str | None) -> list[Json]:
        """A tool call, after the end of the words."""
        events = self._end_item("completed", previous_item_id)
        place = {"response_id": self.id, "output_index": self._begun + len(self._called)}
        self._called.append(call)
        previous = self.item.id if self._begun else previous_item_id
        return [*events, *call.events(place, previous, in_conversation=self.in_conversation)]

    def _end_item(self, status: str, previous_item_id: str | None) -> list[Json]:
        if not self._begun or self._item_status != "in_progress":
            return []
        self._item_status = "completed" if status == "completed" else "incomplete"
        self.item.body = self._item()
        events: list[Json] = []
        if self.manner.text_only:
            events.append({"type": "response.output_text.done", **self._part_place(), "text": self._told})
        else:
            events.append({"type": "response.output_audio.done", **self._part_place()})
            transcript = {**self._part_place(), "transcript": self._told}
            events.append({"type": "response.output_audio_transcript.done", **transcript})
        events.append({"type": "response.content_part.done", **self._part_place(), "part": self._part(self._told)})
        events.append({"type": "response.output_item.done", **self._place(), "item": self._item()})
        if self.in_conversation:
            events.append(
                {"type": "conversation.item.done", "previous_item_id": previous_item_id, "item": self._item()}
            )
        return events

    def _place(self) -> Json:
        return {"response_id": self.id, "output_index": 0}

    def _part_place(self) -> Json:
        return {**self._place(), "item_id": self.item.id, "content_index": 0}

    def _part(self, words: str) -> Json:
        return {"type": "text", "text": words} if self.manner.text_only else {"type": "audio", "transcript": words}

    def _item(self) -> Json:
        text_only = self.manner.text_only
        content = {"type": "output_text", "text": self._told}
        if not text_only:
            content = {"type": "output_audio", "transcript": self._told}
        begun = self._item_status == "in_progress"
        return {**self.item.body, "status": self._item_status, "content": [] if begun else [content]}

    def _body(self) -> Json:
        details = None if self.reason is None else {"type": self.status, "reason": self.reason}
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": details,
            "output": [] if self.running else self._output(),
            "conversation_id": self.manner.conversation_id,
            **self.manner.settings,
            "usage": None if self.running else self._usage(),
        }

    def _output(self) -> list[Json]:
        calls = [call.item("completed") for call in self._called]
        return [self._item(), *calls] if self._begun else calls

    def _usage(self) -> Json:
        audio_in = self.heard_ms // AUDIO_TOKEN_IN_MS
        audio_out = int(self.manner.format.duration_ms(self.sent_bytes)) // AUDIO_TOKEN_OUT_MS
        text_out = len(self._told.split())
        return {
            "total_tokens": audio_in + audio_out + text_out,
            "input_tokens": audio_in,
            "output_tokens": audio_out + text_out,
            "input_token_details": {"text_tokens": 0, "audio_tokens": audio_in, "cached_tokens": 0},
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }


RATE_LIMITS: Json = {
    "type": "rate_limits.updated",
    "rate_limits": [{"name": "tokens", "limit": 60000, "remaining": 58320, "reset_seconds": 1.7}],
}
