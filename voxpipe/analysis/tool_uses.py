"""The tools of a call: what the model asked for, and how long it waited for each result."""

from __future__ import annotations

from voxpipe.analysis.events import LogEvent, text_at
from voxpipe.analysis.spelling import fields_of
from voxpipe.analysis.turns import CallerTurn, ToolUse


class ToolUses:
    """The tool calls of a call, oldest first."""

    def __init__(self) -> None:
        self.found: list[ToolUse] = []
        self._by_id: dict[str | None, ToolUse] = {}

    def take_request(self, event: LogEvent, caller_turns: list[CallerTurn]) -> None:
        """The model asked for a call, which two events may tell."""
        fields = fields_of(event)
        if event.type == "response.output_item.done" and (
            fields["item_type"] != "function_call" or fields["status"] == "incomplete"
        ):
            return
        call_id = fields["call_id"]
        known = self._by_id.get(call_id)
        if known is not None and call_id is not None:
            known.name = known.name or fields["name"]
            return
        use = self._by_id[call_id] = ToolUse(event.line_no, call_id, fields["name"], event.t_ns)
        self.found.append(use)
        if caller_turns:
            caller_turns[-1].calls_tools = True

    def take_item(self, event: LogEvent) -> None:
        """An item was put into the conversation: a result, if it is one."""
        if text_at(event.data, "item.type") == "function_call_output":
            use = self._by_id.get(text_at(event.data, "item.call_id"))
            if use is not None and use.answered_ns is None:
                use.answered_ns = event.t_ns
                if use.outcome == "unknown":
                    use.outcome = "answered"

    def take_outcome(self, event: LogEvent) -> None:
        """The client told how a call of its own went (``tool.answered``, ``tool.failed``, ``tool.cancelled``)."""
        use = self._by_id.get(text_at(event.data, "call_id"))
        if use is not None:
            use.outcome = event.type.removeprefix("tool.")
            use.message = text_at(event.data, "message") or text_at(event.data, "because")
            use.name = use.name or text_at(event.data, "name")
