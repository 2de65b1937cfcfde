"""Logs made by hand: plain Realtime logs in the two shapes that others write, event by event."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
PCM = {"type": "audio/pcm", "rate": 24000}
VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
WHISPER = {"model": "whisper-1"}


def ga_session(**changes: Any) -> dict[str, Any]:
    """A GA session; ``uplink``, ``downlink``, ``turn_detection`` and ``transcription`` may be given."""
    given = {"uplink": PCM, "downlink": PCM, "turn_detection": VAD, "transcription": WHISPER, **changes}
    return {
        "type": "realtime",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": given["uplink"],
                "turn_detection": given["turn_detection"],
                "transcription": given["transcription"],
            },
            "output": {"format": given["downlink"], "voice": "marin"},
        },
    }


def beta_session(**changes: Any) -> dict[str, Any]:
    """The same in the beta's shape."""
    given = {"uplink": "pcm16", "downlink": "pcm16", "turn_detection": VAD, "transcription": WHISPER, **changes}
    return {
        "model": "gpt-4o-realtime-preview",
        "modalities": ["audio", "text"],
        "voice": "alloy",
        "input_audio_format": given["uplink"],
        "output_audio_format": given["downlink"],
        "input_audio_transcription": given["transcription"],
        "turn_detection": given["turn_detection"],
    }


class PlainLog:
    """Writes lines at times of its own; ``camel`` chooses ``eventType``, ``zone`` what follows a timestamp's digits."""

    def __init__(self, *, camel: bool = False, zone: str = "+00:00", audio: str = "digest") -> None:
        self.lines: list[bytes] = []
        self.at_s = 0.0
        self._keys = ("eventType", "eventData") if camel else ("event_type", "event_data")
        self._zone = zone
        self._audio = audio

    def add(self, name: str, data: dict[str, Any] | None = None, *, after_s: float = 0.0) -> int:
        """Write an event ``after_s`` the one before; return its line number."""
        self.at_s += after_s
        stamp = (START + timedelta(seconds=self.at_s)).replace(tzinfo=None).isoformat(timespec="microseconds")
        line = {"timestamp": stamp + self._zone, self._keys[0]: name, self._keys[1]: data or {}}
        self.lines.append(json.dumps(line).encode() + b"\n")
        return len(self.lines)

    def audio(self, audio: bytes) -> Any:
        """Audio as this log keeps it: ``inline``, ``digest`` or ``absent``."""
        if self._audio == "inline":
            return base64.b64encode(audio).decode()
        return {"bytes": len(audio)} if self._audio == "digest" else None

    def configure(self, session: dict[str, Any], confirmed: dict[str, Any] | None = None) -> None:
        """Open a session, ask for a configuration and confirm it, or another one."""
        self.add("connection.opened", {"url": "wss://api.openai.com/v1/realtime?model=gpt-realtime"})
        self.add("session.created", {"type": "session.created", "session": {"id": "sess_1", **session}}, after_s=0.2)
        self.add("session.update_sent", {"type": "session.update", "session": session}, after_s=0.01)
        body = {"type": "session.updated", "session": session if confirmed is None else confirmed}
        self.add("session.updated", body, after_s=0.1)

    def speak(self, seconds: float, *, frame: bytes = bytes(960), pace_s: float = 0.02) -> None:
        """Send caller audio, a frame each ``pace_s``."""
        for _ in range(round(seconds / pace_s)):
            data = {"type": "input_audio_buffer.append", "audio": self.audio(frame)}
            self.add("input_audio_buffer.append", data, after_s=pace_s)

    def turn(self, number: int, *, said: str | None = "hello", answer_after_s: float = 0.4, beta: bool = False) -> None:
        """A caller's turn of a second with its transcript, and an answer of two seconds."""
        item = {"item_id": f"item_c{number}"}
        self.add("input_audio_buffer.speech_started", {**item, "audio_start_ms": 0}, after_s=0.1)
        self.speak(1.5)
        self.add("input_audio_buffer.speech_stopped", item, after_s=0.01)
        self.add("input_audio_buffer.committed", item)
        done = "conversation.item.input_audio_transcription.completed"
        self.answer(number, after_s=answer_after_s, beta=beta)
        self.add(done, {**item, "transcript": said}, after_s=0.05)

    def answer(self, number: int, *, after_s: float = 0.4, beta: bool = False, chunks: int = 8) -> None:
        """An answer in chunks of a quarter of a second, four times faster than they last, and the time to hear it."""
        ids = {"response_id": f"resp_{number}", "item_id": f"item_a{number}"}
        family = "response.audio" if beta else "response.output_audio"
        self.add("response.created", {"response": {"id": ids["response_id"]}}, after_s=0.02)
        self.add(f"{family}.delta", {**ids, "delta": self.audio(bytes(12_000))}, after_s=after_s)
        for _ in range(chunks - 1):
            self.add(f"{family}.delta", {**ids, "delta": self.audio(bytes(12_000))}, after_s=0.06)
        self.add(f"{family}_transcript.done", {**ids, "transcript": "good day"})
        usage = {"total_tokens": 30, "input_tokens": 10, "output_tokens": 20}
        response = {"id": ids["response_id"], "status": "completed", "usage": usage}
        self.add("response.done", {"response": response}, after_s=0.01)
        self.speak(2.0)

    def write(self, path: Path) -> Path:
        """Write the lines to a file."""
        path.write_bytes(b"".join(self.lines))
        return path
