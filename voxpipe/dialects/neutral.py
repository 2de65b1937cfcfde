"""The words of the reference dialect for neutral events: how a log tells what was made of a provider's messages."""

from __future__ import annotations

from typing import Any

from voxpipe.dialects.openai import EVENTS
from voxpipe.sansio.dialect import Wire
from voxpipe.sansio.realtime import (
    AudioCommitted,
    AudioCompleted,
    OutputItemAdded,
    ProviderEvent,
    ResponseCreated,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptionCompleted,
)
from voxpipe.sansio.tool_words import ToolCallRequested

TOLD = (
    AudioCommitted,
    AudioCompleted,
    OutputItemAdded,
    ResponseCreated,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    ToolCallRequested,
    TranscriptCompleted,
    TranscriptionCompleted,
)
"""What is told: turns, answers and their words. All else is in the messages themselves."""
_BY_CLASS = {spelling.event: (wire_type, spelling.fields) for wire_type, spelling in reversed(EVENTS.items())}
MADE = frozenset(_BY_CLASS[kind][0] for kind in TOLD)
"""The types under which a log tells them."""


def spell(event: ProviderEvent) -> tuple[str, Wire] | None:
    """Spell an event as the reference dialect would; ``None`` for one that is not told."""
    if not isinstance(event, TOLD):
        return None
    wire_type, fields = _BY_CLASS[type(event)]
    wire: Wire = {}
    for name, key in fields.items():
        value = getattr(event, name)
        if value is not None:
            _put(wire, key.keys, value)
    return wire_type, wire


def _put(wire: Wire, keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        wire = wire.setdefault(key, {})
    wire[keys[-1]] = value
