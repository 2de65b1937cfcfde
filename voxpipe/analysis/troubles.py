"""What went wrong, by kind: errors with their codes, and losses with their sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from voxpipe.analysis.events import LogEvent, count_at, dig, text_at
from voxpipe.analysis.spelling import fields_of
from voxpipe.dialects import REFERENCE, counted_ms

SHOWN_LINES = 8
MAX_KINDS = 200
"""Kinds that are told apart; a code made up anew for each error must not fill the memory."""
CLOSED_IN_PEACE = (1000, 1001)
HARMLESS_CODES = REFERENCE.busy_codes | {"response_cancel_not_active", "input_audio_buffer_commit_empty"}
"""Refusals that a client meets when its command and the provider's event cross; the call goes on as it would."""
FATAL = frozenset({"session.failed", "session.not_recovered", "leg.failed", "leg.crashed"})


@attrs.define
class Trouble:
    """One kind of error. ``recovered``: the conversation went on after the last of them; ``None`` is unknown."""

    kind: str
    code: str
    message: str
    harmless: bool
    first_ns: int
    last_ns: int
    count: int = 0
    lines: list[int] = attrs.field(factory=list)
    recovered: bool | None = None

    @property
    def words(self) -> str:
        """Code and message, where there is one."""
        return f"{self.code}: {self.message}" if self.message else self.code

    def to_json(self) -> dict[str, Any]:
        """Write the kind as JSON data."""
        return {**attrs.asdict(self), "recovered": "unknown" if self.recovered is None else self.recovered}


@attrs.define
class Loss:
    """One kind of loss, in records and in units (frames, bytes, nanoseconds: the name says which)."""

    name: str
    unit: str
    records: int = 0
    total: int = 0
    lines: list[int] = attrs.field(factory=list)

    def to_json(self) -> dict[str, Any]:
        """Write the loss as JSON data."""
        return attrs.asdict(self)


LOSSES: dict[str, tuple[str, Callable[[dict[str, Any]], int | None]]] = {
    "uplink.overrun": ("frames", lambda data: count_at(data, "frames")),
    "playout.underrun": ("underruns", lambda data: 1),
    "playout.overrun": ("bytes", lambda data: count_at(data, "bytes")),
    "playout.slip": ("nanoseconds", lambda data: count_at(data, "slipped_ns")),
    "audio.stale": ("bytes", lambda data: count_at(data, "bytes")),
    "audio.refused": ("bytes", lambda data: count_at(data, "bytes")),
    "records.lost": ("records", lambda data: count_at(data, "records")),
}


def _provider_error(event: LogEvent) -> tuple[str, str] | None:
    error = event.data.get("error")
    code = text_at(error, "code") or text_at(event.data, "code") or text_at(error, "type") or "no code"
    words = text_at(error, "message") or text_at(event.data, "message") or (error if isinstance(error, str) else "")
    return code, words


def _own_error(event: LogEvent) -> tuple[str, str] | None:
    names = ("code", "error", "command", "name")
    code = next((found for name in names if (found := text_at(event.data, name))), "no code")
    told = (text_at(event.data, name) for name in ("message", "reason", "because", "expected"))
    return code, next((words for words in told if words), "")


def _closed(event: LogEvent) -> tuple[str, str] | None:
    code = count_at(event.data, "code")
    if code is None or code in CLOSED_IN_PEACE:
        return None
    return str(code), text_at(event.data, "reason") or "no reason given"


def _lost(event: LogEvent) -> tuple[str, str]:
    words = {"running_responses": "an answer", "caller_speaks": "the caller's turn", "unanswered_turn": "an answer due"}
    torn = [told for name, told in words.items() if event.data.get(name)]
    return "in mid-call", f"in the middle of {' and '.join(torn)}" if torn else "while nobody spoke"


def _not_recovered(event: LogEvent) -> tuple[str, str]:
    after_s = dig(event.data, "after_s")
    return "no other session", f"none took over within {'some' if after_s is None else after_s} s"


def _prompt(event: LogEvent) -> tuple[str, str] | None:
    return _own_error(event) if "error" in event.data else None  # otherwise it was played


def _broken_playout(event: LogEvent) -> tuple[str, str] | None:
    waiting = count_at(event.data, "waiting_samples")
    if waiting == 0:
        return None  # the leg was gone when nobody spoke, as it is at the end of every call
    return "leg gone", f"{'an unknown number of' if waiting is None else waiting} samples of the agent were not played"


def _failed_response(event: LogEvent) -> tuple[str, str] | None:
    fields = fields_of(event)
    if fields["status"] not in ("failed", "incomplete"):
        return None
    code = text_at(event.data, "response.status_details.error.code") or fields["reason"] or fields["status"]
    return str(code), fields["error"] or fields["reason"] or f"the response was {fields['status']}"


ERRORS: dict[str, Callable[[LogEvent], tuple[str, str] | None]] = {
    "error": _provider_error,
    "response.done": _failed_response,
    "connection.closed": _closed,
    "conversation.item.input_audio_transcription.failed": _provider_error,
    **dict.fromkeys(("error.parsing", "command.refused", "command.unanswered", "command.unsupported"), _own_error),
    **dict.fromkeys(("session.failed", "session.drain_timeout", "leg.failed", "leg.crashed"), _own_error),
    "session.renewal_failed": _own_error,
    "session.lost": _lost,
    "session.not_recovered": _not_recovered,
    **dict.fromkeys(("leg.welcome_wav", "leg.reconnect_wav", "leg.failure_wav", "leg.prompt"), _prompt),
    "tool.failed": _own_error,
    "playout.broken": _broken_playout,
}
"""The events that may tell of an error, with how each tells its code and its words."""
LIFE = frozenset({"response.created", "input_audio_buffer.speech_started", "session.ready", "response.done"})
"""After one of these, whatever was wrong before was survived."""


class Troubles:
    """Errors and losses, by kind, in the order of their first line."""

    def __init__(self) -> None:
        self.losses = {name: Loss(name, unit) for name, (unit, _) in LOSSES.items()}
        self._kinds: dict[tuple[str, str], Trouble] = {}
        self._alive_ns = self._peaceful_ns = -1

    def take_error(self, event: LogEvent) -> None:
        """Take an event that may tell of an error."""
        reader = ERRORS.get(event.type, _own_error)
        told = reader(event)
        if told is None:
            return
        code, words = told
        key = (event.type, code)
        if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
            key = (event.type, "other codes")
        kind = self._kinds.get(key)
        if kind is None:
            harmless = event.type == "playout.broken" or (event.type == "error" and is_harmless(code, words))
            kind = self._kinds[key] = Trouble(event.type, key[1], words[:500], harmless, event.t_ns, event.t_ns)
        kind.count += 1
        kind.last_ns = event.t_ns
        if len(kind.lines) < SHOWN_LINES:
            kind.lines.append(event.line_no)

    def take_loss(self, event: LogEvent) -> None:
        """Take a loss."""
        loss = self.losses[event.type]
        loss.records += 1
        loss.total += LOSSES[event.type][1](event.data) or 0
        if len(loss.lines) < SHOWN_LINES:
            loss.lines.append(event.line_no)

    def take_life(self, event: LogEvent) -> None:
        """Take note that the conversation goes on."""
        if event.type != "response.done" or dig(event.data, "response.status") == "completed":
            self._alive_ns = event.t_ns

    def take_end(self, event: LogEvent) -> None:
        """Take note that a session ended in peace."""
        self._peaceful_ns = event.t_ns

    def kinds(self) -> list[Trouble]:
        """Return all kinds, each with whether the call went on after it."""
        failed = any(kind.kind in FATAL and kind.last_ns > self._alive_ns for kind in self._kinds.values())
        for kind in self._kinds.values():
            if kind.last_ns < self._alive_ns:
                kind.recovered = True
            else:
                kind.recovered = False if failed else True if kind.last_ns <= self._peaceful_ns else None
        return list(self._kinds.values())


def is_harmless(code: str, words: str) -> bool:
    """Tell whether an error of the provider changes nothing; a truncation beyond its own count is asked for again."""
    return code in HARMLESS_CODES or counted_ms(words) is not None
