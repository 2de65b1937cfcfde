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
    """Writes events at times of its own; ``camel`` chooses ``eventType``, ``zone`` what follows a timestamp's digits.

    ``audio`` is how the log keeps audio: ``inline``, ``digest`` or ``absent``. ``after_s`` moves the cursor; what
    ``uplink`` writes goes beside it.
    """

    def __init__(self, *, camel: bool = False, zone: str = "+00:00", audio: str = "digest") -> None:
        self.at_s = 0.0
        self._events: list[tuple[float, str, dict[str, Any]]] = []
        self._keys = ("eventType", "eventData") if camel else ("event_type", "event_data")
        self._zone = zone
        self._audio = audio

    def add(self, name: str, data: dict[str, Any] | None = None, *, after_s: float = 0.0) -> None:
        """Write an event ``after_s`` the one before."""
        self.at_s += after_s
        self._events.append((self.at_s, name, data or {}))

    @property
    def lines(self) -> list[bytes]:
        """The log so far, in the order of time."""
        return [self._line(*event) for event in sorted(self._events, key=lambda event: event[0])]

    def _line(self, at_s: float, name: str, data: dict[str, Any]) -> bytes:
        stamp = (START + timedelta(seconds=at_s)).replace(tzinfo=None).isoformat(timespec="microseconds")
        return json.dumps({"timestamp": stamp + self._zone, self._keys[0]: name, self._keys[1]: data}).encode() + b"\n"

    def audio(self, audio: bytes) -> Any:
        """Audio as this log keeps it."""
        if self._audio == "inline":
            return base64.b64encode(audio).decode()
        return {"bytes": len(audio)} if self._audio == "digest" else None

    def configure(self, session: dict[str, Any], confirmed: dict[str, Any] | None = None, ack_s: float = 0.1) -> None:
        """Open a session, ask for a configuration and confirm it, or another one."""
        self.add("connection.opened", {"url": "wss://api.openai.com/v1/realtime?model=gpt-realtime"})
        self.add("session.created", {"type": "session.created", "session": {"id": "sess_1", **session}}, after_s=0.2)
        self.add("session.update_sent", {"type": "session.update", "session": session}, after_s=0.01)
        body = {"type": "session.updated", "session": session if confirmed is None else confirmed}
        self.add("session.updated", body, after_s=ack_s)

    def uplink(
        self,
        until_s: float,
        *,
        voice: bytes = bytes(960),
        frame_bytes: int = 960,
        pace_s: float = 0.02,
        from_s: float | None = None,
    ) -> None:
        """Send caller audio, a frame each ``pace_s``, out of ``voice``, over and over."""
        begin_s = self.at_s if from_s is None else from_s
        for number in range(round((until_s - begin_s) / pace_s)):
            at = number * frame_bytes % max(frame_bytes, len(voice) // frame_bytes * frame_bytes)
            data = {"type": "input_audio_buffer.append", "audio": self.audio(voice[at : at + frame_bytes])}
            self._events.append((begin_s + (number + 1) * pace_s, "input_audio_buffer.append", data))

    def turn(self, number: int, *, said: str | None = "hello", seconds: float = 1.5, settled: bool = True) -> None:
        """A turn of the caller, and its transcript half a second later."""
        item = {"item_id": f"item_c{number}"}
        self.add("input_audio_buffer.speech_started", {**item, "audio_start_ms": 0}, after_s=0.1)
        self.add("input_audio_buffer.speech_stopped", item, after_s=seconds)
        self.add("input_audio_buffer.committed", item)
        if settled:
            name = "conversation.item.input_audio_transcription.completed"
            self._events.append((self.at_s + 0.5, name, {**item, "transcript": said}))

    def answer(self, number: int, *, after_s: float = 0.4, chunks: int = 8, beta: bool = False) -> None:
        """An answer in chunks of a quarter of a second, four times faster than they last, and the time to hear it."""
        ids = {"response_id": f"resp_{number}", "item_id": f"item_a{number}"}
        family = "response.audio" if beta else "response.output_audio"
        self.add("response.created", {"response": {"id": ids["response_id"]}}, after_s=0.02)
        for index in range(chunks):
            chunk = {**ids, "delta": self.audio(bytes(12_000))}
            self.add(f"{family}.delta", chunk, after_s=0.06 if index else after_s)
        self.add(f"{family}_transcript.done", {**ids, "transcript": "good day"})
        usage = {"total_tokens": 30, "input_tokens": 10, "output_tokens": 20}
        self.add("response.done", {"response": {"id": ids["response_id"], "status": "completed", "usage": usage}})
        self.at_s += chunks * 0.25

    def tool(self, call_id: str = "call_1", *, answered_after_s: float | None = 0.5) -> None:
        """The model asks for a tool, and is given a result, or none."""
        asked = {"response_id": "resp_t", "call_id": call_id, "name": "look_up", "arguments": "{}"}
        self.add("response.function_call_arguments.done", asked, after_s=0.1)
        if answered_after_s is not None:
            item = {"type": "function_call_output", "call_id": call_id, "output": "found"}
            self.add("conversation.item.create", {"item": item}, after_s=answered_after_s)

    def write(self, path: Path) -> Path:
        """Write the lines to a file."""
        path.write_bytes(b"".join(self.lines))
        return path


def conversation(log: PlainLog, turns: int = 5, **uplink: Any) -> PlainLog:
    """Let caller and agent talk for as many turns, the caller's audio flowing all the time, and hang up."""
    begin_s = log.at_s
    for number in range(turns):
        log.turn(number)
        log.answer(number)
    log.at_s += 1
    log.uplink(log.at_s, from_s=begin_s, **uplink)
    log.add("connection.closed", {"code": 1000, "reason": ""}, after_s=0.1)
    return log
