"""Logs of calls with providers that have other words: seen in those of the reference dialect.

What such a provider says has no responses, or no ends of turns; what the gateway made of it is in the log, as records
of our own under the reference's names. Here these are taken for the provider's, and the provider's own messages for
what they amount to. Sound belongs to the response that is open; outside of one it is no answer's.
"""

from __future__ import annotations

from typing import Any

from voxpipe.analysis.events import LOCAL, RECEIVED, SENT, LogEvent, text_at
from voxpipe.analysis.spelling import APPEND, DELTA
from voxpipe.dialects import DIALECTS
from voxpipe.dialects.neutral import MADE
from voxpipe.sansio.dialect import Dialect


class Interpreter:
    """Sees the events of one log in the reference's words."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._asked: dict[str, Any] = {}
        self._response_id: str | None = None
        self._item_id: str | None = None

    def see(self, event: LogEvent) -> LogEvent:
        """Return the event as it is to be read."""
        if event.direction == LOCAL:
            return self._see_made(event) if event.type in MADE else event
        key = self._dialect.audio_keys.get(event.type)
        if key is not None:
            return self._see_audio(event, event.data.get(key))
        view = self._dialect.views.get(event.type)
        if view is None:
            return event
        try:
            data = view.make(event.data, self._asked)
        except (AttributeError, KeyError, TypeError, ValueError):  # not of the shape its type has
            data = event.data
        if event.direction == SENT and isinstance(data.get("session"), dict):
            self._asked = data["session"]
        return event._replace(type=view.wire_type, data=data)

    def _see_made(self, event: LogEvent) -> LogEvent:
        if event.type == "response.created":
            self._response_id = text_at(event.data, "response.id")
        elif event.type == "response.output_item.added":
            self._item_id = text_at(event.data, "item.id")
        elif event.type == "response.done":
            self._response_id = self._item_id = None
        return event._replace(direction=RECEIVED)

    def _see_audio(self, event: LogEvent, audio: Any) -> LogEvent:
        if event.direction == SENT:
            return event._replace(type=APPEND, data={"audio": audio})
        if self._response_id is None:
            return event._replace(type="provider.sound")
        ids = {"response_id": self._response_id, "item_id": self._item_id, "content_index": 0}
        return event._replace(type=DELTA, data={**ids, "delta": audio})


def interpreter_for(event: LogEvent) -> Interpreter | None:
    """Return who is needed to read a log that begins so, if anybody is."""
    dialect = DIALECTS.get(str(event.data.get("dialect"))) if event.type == "leg.started" else None
    return Interpreter(dialect) if dialect is not None and dialect.views else None
