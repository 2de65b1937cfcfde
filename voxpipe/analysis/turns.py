"""Turns, as heard: what the caller said, what the agent answered, and where one spoke over the other."""

from __future__ import annotations

from typing import Any

import attrs

from voxpipe.analysis.latency import Marks
from voxpipe.audio import NS_PER_S

COMPLETED, FAILED, PENDING = "completed", "failed", "none"


@attrs.define
class CallerTurn:
    """One contribution of the caller, as the provider's turn detection (or a commit) cut it out."""

    line_no: int
    item_id: str | None
    started_ns: int | None
    """``None`` where nothing told the beginning: without turn detection."""
    stopped_line: int | None = None
    ended_ns: int | None = None
    transcription: str = PENDING
    transcript: str | None = None
    transcript_line: int | None = None
    trouble: str | None = None
    """Why there is no transcript, in the provider's words."""
    marks: Marks = attrs.field(factory=Marks)
    answer_id: str | None = None
    calls_tools: bool = False

    def to_json(self) -> dict[str, Any]:
        """Write the turn as JSON data; times in seconds from the beginning of the log."""
        return {
            "speaker": "caller",
            "line": self.line_no,
            "item_id": self.item_id,
            "begin_s": seconds(self.started_ns),
            "end_s": seconds(self.ended_ns),
            "transcription": self.transcription,
            "transcript": self.transcript,
            "latency": self.marks.to_json(),
        }


@attrs.define
class AgentTurn:
    """One response, spoken or not."""

    line_no: int
    response_id: str | None
    created_ns: int
    answers: CallerTurn | None = None
    received_ns: int | None = None
    received_line: int | None = None
    audio_ns: int = 0
    sized: bool = True
    """Whether the length of every chunk is known."""
    chunks: int = 0
    playout_ns: int | None = None
    """When its first frame was played; ``None`` where the log has no playout."""
    ended_ns: int | None = None
    """When its last frame was played or it was cut."""
    starved_ns: int = 0
    """The longest wait for its next chunk when all that had come would have been spoken."""
    starved_line: int | None = None
    status: str | None = None
    reason: str | None = None
    transcript: str | None = None
    words: list[str] = attrs.field(factory=list)
    cut: bool = False

    @property
    def begin_ns(self) -> int | None:
        """When the caller heard it begin, or else when its first audio came."""
        return self.playout_ns if self.playout_ns is not None else self.received_ns

    @property
    def end_ns(self) -> int | None:
        """When the caller heard its end; else when what had come would have been spoken, if its length is known."""
        if self.ended_ns is not None or self.begin_ns is None or not self.sized:
            return self.ended_ns
        return self.begin_ns + self.audio_ns

    def to_json(self) -> dict[str, Any]:
        """Write the turn as JSON data; times in seconds from the beginning of the log."""
        return {
            "speaker": "agent",
            "line": self.line_no,
            "response_id": self.response_id,
            "begin_s": seconds(self.begin_ns),
            "end_s": seconds(self.end_ns),
            "heard_by": "playout" if self.playout_ns is not None else "arrival",
            "audio_s": seconds(self.audio_ns) if self.sized else None,
            "status": self.status or "unknown",
            "reason": self.reason,
            "cut": self.cut,
            "transcript": self.transcript,
        }


@attrs.define
class Interruption:
    """The caller spoke over the agent."""

    line_no: int
    began_ns: int
    response_id: str | None
    waiting_ns: int = 0
    """How much of what had come the caller could not have heard yet, in a log without playout."""
    silent_ns: int | None = None
    """When the last frame of the cut answer had been played; ``None`` where the log has no playout."""
    silent_line: int | None = None
    late_frames: int = 0
    """Frames of the agent that were played after the cut."""
    played_ms: dict[str, int] = attrs.field(factory=dict)
    """By item: what the caller had heard of it, by the ledger's account."""
    written_ms: dict[str, int] = attrs.field(factory=dict)
    """By item: the same, counted from the frames in the log."""
    foreign_items: set[str] = attrs.field(factory=set)
    """Items which the session that serves never had: a prompt, or what was left of a session before."""
    truncations: list[tuple[str, int, int]] = attrs.field(factory=list)
    """Item, milliseconds and line of what the provider was told."""
    confirmed: int = 0

    @property
    def silence_ns(self) -> int | None:
        """From the beginning of the caller's speech, as the provider told it, to the agent's silence."""
        return None if self.silent_ns is None else max(0, self.silent_ns - self.began_ns)

    def to_json(self) -> dict[str, Any]:
        """Write the interruption as JSON data."""
        return {
            "line": self.line_no,
            "at_s": seconds(self.began_ns),
            "response_id": self.response_id,
            "silence_ns": self.silence_ns,
            "played_ms": dict(self.played_ms),
            "truncated_ms": {item: told_ms for item, told_ms, _ in self.truncations},
            "truncations_confirmed": self.confirmed,
            "late_frames": self.late_frames,
        }


@attrs.define
class ToolUse:
    """One tool call: asked for by the model, answered by the client."""

    line_no: int
    call_id: str | None
    name: str | None
    asked_ns: int
    answered_ns: int | None = None
    outcome: str = "unknown"
    message: str | None = None

    @property
    def duration_ns(self) -> int | None:
        """From the request to the result that was sent back."""
        return None if self.answered_ns is None else self.answered_ns - self.asked_ns

    def to_json(self) -> dict[str, Any]:
        """Write the call as JSON data."""
        return {
            "line": self.line_no,
            "call_id": self.call_id,
            "name": self.name,
            "duration_ns": self.duration_ns,
            "outcome": self.outcome,
            "message": self.message,
        }


def seconds(t_ns: int | None) -> float | None:
    """Nanoseconds as seconds, to the microsecond; unknown stays unknown."""
    return None if t_ns is None else round(t_ns / NS_PER_S, 6)
