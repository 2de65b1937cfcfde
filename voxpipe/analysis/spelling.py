"""What a log's names mean: by the tables of the dialects, and by the names that clients give to events of their own.

GA's spelling is the neutral one here. What was renamed since the beta is read by its new name; the few bodies that
differ are told apart by their keys, since a stored log does not say which dialect it is of.
"""

from __future__ import annotations

import re
from typing import Any

from voxpipe.analysis.events import LOCAL, RECEIVED, SENT, LogEvent, as_count, count_at
from voxpipe.audio import AudioFormat
from voxpipe.dialects import REFERENCE, REFERENCE_FLAT, RENAMED
from voxpipe.errors import AudioError, RemoteProtocolError
from voxpipe.sansio.dialect import EventSpelling

APPEND = REFERENCE.audio_type
DELTA = "response.output_audio.delta"
AUDIO_KEYS = REFERENCE.audio_keys

NEW_NAMES = {
    **{old: new for new, old in RENAMED.items()},
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
}
"""Beta's names and what they are called since."""
CLIENT_TYPES = frozenset(
    {
        "session.update",
        APPEND,
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "output_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.delete",
        "conversation.item.truncate",
        "conversation.item.retrieve",
        "response.create",
        "response.cancel",
    }
)
"""What only a client says."""
SENT_NAMES = {"openai.audio_sent": APPEND, **{f"{name}_sent": name for name in CLIENT_TYPES}}
"""What clients call the events that they have sent, in logs which record them as their own."""
PROVIDER_FAMILIES = (
    "session.",
    "response.",
    "conversation.",
    "input_audio_buffer.",
    "output_audio_buffer.",
    "rate_limits.",
    "mcp_list_tools.",
)
OWN_WORDS = {"audiosocket.received": RECEIVED, "audiosocket.sent": SENT}
NO_AUDIO = frozenset({"uuid", "dtmf", "hangup", "error", "unknown", "silence", "0", "1", "3", "255"})
"""Messages of a leg which are no audio, by their names or their kinds."""
BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


KIND = re.compile(r"0x[0-9a-f]{1,2}")


def read_name(name: str) -> tuple[str, str]:
    """Tell a plain log's event by its name: the neutral type, and the direction in which it went."""
    name = SENT_NAMES.get(name, name)
    name = NEW_NAMES.get(name, name)
    if name in CLIENT_TYPES:
        return name, SENT
    if name in OWN_WORDS:
        return name, OWN_WORDS[name]
    if name == "error" or name.startswith(PROVIDER_FAMILIES):
        return name, RECEIVED
    return name, LOCAL


def spelling_of(event_type: str, data: dict[str, Any]) -> EventSpelling | None:
    """Find the table's entry for an event; a flat session body is the beta's."""
    session = data.get("session")
    if event_type == "session.updated" and isinstance(session, dict) and "audio" not in session:
        return REFERENCE_FLAT.events[event_type]
    return REFERENCE.events.get(event_type)


def fields_of(event: LogEvent) -> dict[str, Any]:
    """Read the fields of a provider's event by the dialect's table; what is missing or of no use is ``None``."""
    spelling = spelling_of(event.type, event.data)
    found: dict[str, Any] = {}
    if spelling is not None:
        for name, key in spelling.fields.items():
            try:
                found[name] = key.read(event.data)
            except RemoteProtocolError:
                found[name] = None
    return found


def leg_message(data: dict[str, Any]) -> str:
    """Name a message of the leg as ``NO_AUDIO`` does; logs spell it in capitals, too, and kinds in hexadecimal."""
    name = str(data.get("message_type")).lower()
    return str(int(name, 16)) if KIND.fullmatch(name) else name


def audio_bytes(data: dict[str, Any], key: str) -> int | None:
    """Count the bytes of audio under ``key``: inline (base64), digested (``bytes``), or told beside it or a note.

    ``None`` where the log does not say.
    """
    audio = data.get(key)
    if isinstance(audio, dict):
        return as_count(audio.get("bytes"))
    if isinstance(audio, str) and audio and (size_bytes := inline_bytes(audio)) is not None:
        return size_bytes
    for name in ("bytes", "length", "size", "audio_bytes"):
        if (size_bytes := as_count(data.get(name))) is not None:
            return size_bytes
    return None


def inline_bytes(text: str) -> int | None:
    """Count the bytes of base64 text; ``None`` for text which is none, such as a note that audio was left out."""
    if len(text) % 4 or not BASE64.fullmatch(text):
        return None
    return len(text) // 4 * 3 - text[-2:].count("=")


def told_format(data: dict[str, Any]) -> AudioFormat | None:
    """Read the format that a plain log gives with the leg's audio (``sample_rate``, ``format``); ``None`` if none."""
    rate_hz, name = count_at(data, "sample_rate"), data.get("format")
    name = name.lower() if isinstance(name, str) else ""
    try:
        if "ulaw" in name or "mulaw" in name or "pcmu" in name:
            return AudioFormat.parse("ulaw8") if rate_hz in (None, 8_000) else None
        if "alaw" in name or "pcma" in name:
            return AudioFormat.parse("alaw8") if rate_hz in (None, 8_000) else None
        format_ = None if rate_hz is None else AudioFormat.parse(f"slin{rate_hz // 1000}")
        return format_ if format_ is not None and format_.rate_hz == rate_hz else None
    except AudioError:
        return None
