"""The tool calls of a simulated session: what was asked of the client, and whether it was answered. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from voxpipe.testing.provider_evidence import Complaint
from voxpipe.testing.provider_schema import Refusal

Json = dict[str, Any]
PATIENCE_S = 30.0
"""A session may end while a tool runs; a call that has waited for longer than this was forgotten."""


@attrs.frozen
class Call:
    """One call: its item's id, its own, what is called with what, and how long the response goes on after it."""

    item_id: str
    call_id: str
    name: str
    arguments: str
    hold_s: float = 0.0

    def item(self, status: str) -> Json:
        """The item; its arguments are empty until it is completed."""
        body = {"id": self.item_id, "object": "realtime.item", "type": "function_call", "status": status}
        arguments = self.arguments if status == "completed" else ""
        return {**body, "name": self.name, "call_id": self.call_id, "arguments": arguments}

    def events(self, place: Json, previous_item_id: str | None, *, in_conversation: bool) -> Iterator[Json]:
        """The train of events of a call, in the real server's order."""
        part = {**place, "item_id": self.item_id, "call_id": self.call_id}
        begun, done = self.item("in_progress"), self.item("completed")
        previous = {"previous_item_id": previous_item_id}
        yield {"type": "response.output_item.added", **place, "item": begun}
        if in_conversation:
            yield {"type": "conversation.item.added", **previous, "item": begun}
        kind = "response.function_call_arguments"
        yield {"type": f"{kind}.delta", **part, "delta": self.arguments}
        yield {"type": f"{kind}.done", **part, "name": self.name, "arguments": self.arguments}
        yield {"type": "response.output_item.done", **place, "item": done}
        if in_conversation:
            yield {"type": "conversation.item.done", **previous, "item": done}


class ToolLedger:
    """Which calls wait for their result."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, float]] = {}
        self._told: set[str] = set()
        self._answered: set[str] = set()

    def ask(self, call: Call, now_s: float) -> None:
        """A call was sent."""
        self._waiting[call.call_id] = (call.name, now_s)

    def tell(self, call_id: str) -> None:
        """The client told of a call that was made elsewhere; its result may follow."""
        self._told.add(call_id)

    def answer(self, call_id: str) -> Refusal | None:
        """A result came; one for a call that nobody made, or that has one already, is refused."""
        if self._waiting.pop(call_id, None) is not None or call_id in self._told:
            self._told.discard(call_id)
            self._answered.add(call_id)
            return None
        if call_id in self._answered:
            return Refusal("tool_call_already_answered", f"Tool call ID '{call_id}' has a result already.", "item")
        return Refusal("invalid_tool_call_id", f"Tool call ID '{call_id}' not found in conversation.", "item")

    def waiting(self) -> str:
        """The names of the calls that wait, or nothing."""
        return ", ".join(name for name, _ in self._waiting.values())

    def forgotten(self, now_s: float) -> Iterator[Complaint]:
        """The calls which were never answered, at the end of a session."""
        for call_id, (name, asked_s) in self._waiting.items():
            text = f"The call {call_id} of {name} was never answered."
            yield Complaint(now_s, "tool_never_answered", text, harmless=now_s - asked_s < PATIENCE_S)
