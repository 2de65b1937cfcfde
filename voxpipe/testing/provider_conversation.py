"""The items of a simulated conversation, in order, with the audio of the recent ones. No I/O.

The real server keeps a conversation as long as the session; here at most ``ITEMS`` items are taken, and when their
audio exceeds ``KEPT_AUDIO_BYTES`` that of the oldest is forgotten (its length is not, so truncation stays exact).
"""

from __future__ import annotations

import base64
from typing import Any

import attrs

from voxpipe.audio import PCM24, AudioFormat
from voxpipe.testing.provider_schema import Refusal

Json = dict[str, Any]
ITEMS = 5_000
KEPT_AUDIO_BYTES = 16 * 1024 * 1024


@attrs.define(eq=False)
class Item:
    """One item in GA spelling; ``audio`` is that of its first content."""

    body: Json
    format: AudioFormat = PCM24
    audio: bytearray = attrs.field(factory=bytearray)
    audio_bytes: int = 0

    @property
    def id(self) -> str:
        """The item's id."""
        return str(self.body["id"])

    @property
    def audio_ms(self) -> int:
        """How long its audio is."""
        return int(self.format.duration_ms(self.audio_bytes))

    def extend(self, audio: bytes) -> None:
        """Audio of this item was sent or heard."""
        self.audio += audio
        self.audio_bytes += len(audio)

    def with_audio(self) -> Json:
        """The item as ``conversation.item.retrieve`` gives it."""
        if not self.audio:
            return self.body
        first, *others = self.body["content"]
        return {**self.body, "content": [{**first, "audio": base64.b64encode(self.audio).decode()}, *others]}


class Conversation:
    """Items in their order."""

    def __init__(self, id_: str) -> None:
        self.id = id_
        self._items: dict[str, Item] = {}
        self._order: list[str] = []

    @property
    def last_id(self) -> str | None:
        """The id of the last item."""
        return self._order[-1] if self._order else None

    def add(self, item: Item, after: str | None = None) -> Refusal | None:
        """Put an item behind another (None: at the end, ``root``: at the start)."""
        if item.id in self._items:
            text = f"Error adding item: an item with id '{item.id}' already exists."
            return Refusal("item_create_duplicate_item_id", text, "item.id")
        if after not in (None, "root") and after not in self._items:
            text = f"Error adding item: the previous item with id '{after}' does not exist."
            return Refusal("item_create_invalid_previous_item_id", text, "previous_item_id")
        if len(self._items) >= ITEMS:
            return Refusal("conversation_too_long", f"Expected at most {ITEMS} items in a conversation.")
        place = len(self._order) if after is None else 0 if after == "root" else self._order.index(after) + 1
        self._order.insert(place, item.id)
        self._items[item.id] = item
        return None

    def before(self, item_id: str) -> str | None:
        """The id of the item before this one; None for the first, and for one that is not there."""
        place = self._order.index(item_id) if item_id in self._items else 0
        return self._order[place - 1] if place else None

    def get(self, item_id: str, verb: str) -> Item | Refusal:
        """Find an item, or say in the server's words that it cannot be retrieved, deleted or truncated."""
        if item_id in self._items:
            return self._items[item_id]
        code = f"item_{verb}_invalid_item_id"
        return Refusal(code, f"Error: the item with id '{item_id}' does not exist, cannot {verb} it.", "item_id")

    def delete(self, item_id: str) -> None:
        """Remove an item that is there."""
        del self._items[item_id]
        self._order.remove(item_id)

    def truncate(self, item: Item, audio_end_ms: int, undercount_ms: int) -> Refusal | None:
        """Cut an assistant's audio; its transcript goes with it."""
        if item.body.get("role") != "assistant" or not item.audio_bytes:
            return Refusal(None, "Only model output audio messages can be truncated")
        has_ms = max(item.audio_ms - undercount_ms, 0)
        if audio_end_ms > has_ms:
            text = f"Audio content of {has_ms}ms is already shorter than {audio_end_ms}ms"
            return Refusal("invalid_value", text, "audio_end_ms")
        item.audio_bytes = item.format.bytes_of_ms(audio_end_ms)
        del item.audio[item.audio_bytes :]
        if item.body["content"]:
            item.body = {**item.body, "content": [{**item.body["content"][0], "transcript": ""}]}
        return None

    def forget_old_audio(self) -> None:
        """Keep the audio within its bound, the newest first."""
        room_bytes = KEPT_AUDIO_BYTES
        for item_id in reversed(self._order):
            item = self._items[item_id]
            room_bytes -= len(item.audio)
            if room_bytes < 0:
                item.audio = bytearray()
