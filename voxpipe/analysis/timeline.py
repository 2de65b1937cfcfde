"""The readable timeline: a line for each event worth reading, in lanes, as the log goes by.

Each line has the time from the beginning of the log, the time since the latest turn mark (a party began or ended to
speak; where no playout is logged, the agent begins with its first audio), the lane, what happened, and the line of the
log. What repeats within a second is told once, with its count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from voxpipe.analysis.configuration import read_facts
from voxpipe.analysis.events import LogEvent, count_at, dig, text_at
from voxpipe.analysis.legible import legible
from voxpipe.analysis.spelling import fields_of
from voxpipe.analysis.troubles import ERRORS
from voxpipe.audio import NS_PER_S

CALLER, AGENT, SESSION, TOOLS, FAULTS = LANES = ("caller", "agent", "session", "tools", "faults")
LONGEST = 160
Words = Callable[[LogEvent], str]


@attrs.define
class Line:
    """One line of the timeline; times in nanoseconds, ``since_ns`` is ``None`` before the first turn mark."""

    line_no: int
    t_ns: int
    since_ns: int | None
    lane: str
    words: str
    count: int = 1

    def __str__(self) -> str:
        since = "" if self.since_ns is None else f"+{self.since_ns / NS_PER_S:.3f}"
        times = f" (x{self.count})" if self.count > 1 else ""
        return f"{self.t_ns / NS_PER_S:10.3f}  {since:>9}  {self.lane:7}  {self.words}{times}  [{self.line_no}]"


def _say(words: str) -> Words:
    return lambda _event: words


def _get(template: str, *paths: str) -> Words:
    return lambda event: template.format(*(_shown(dig(event.data, path)) for path in paths))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return str(round(value, 6))
    return "unknown" if value is None else str(value)


def _configured(words: str) -> Words:
    def tell(event: LogEvent) -> str:
        session = event.data.get("session")
        if not isinstance(session, dict):
            return words
        facts = read_facts(event, session)
        known = [f"{side} {getattr(facts, side)}" for side in ("uplink", "downlink")]
        detection = facts.turn_detection
        kind = detection if isinstance(detection, str) else str(detection.get("type"))
        transcription = facts.transcription
        model = transcription if isinstance(transcription, str) else str(transcription.get("model"))
        return f"{words}: {', '.join(known)}, turn detection {kind}, transcription {model}"

    return tell


def _fault(event: LogEvent) -> str:
    told = ERRORS[event.type](event)
    return "" if told is None else f"{event.type} {': '.join(words for words in told if words)}"


def _prompt(event: LogEvent) -> str:
    key = event.type.removeprefix("leg.").replace("_wav", " WAV")
    wrong = text_at(event.data, "message")
    if wrong is not None:
        return f"{key}: {wrong}"
    return f"{key} {_shown(event.data.get('path'))}, {_shown(event.data.get('duration_ms'))} ms"


def _answered(event: LogEvent) -> str:
    fields = fields_of(event)
    tokens = count_at(event.data, "response.usage.total_tokens")
    because = f", {fields['reason']}" if fields["reason"] else ""
    spent = f", {tokens} tokens" if tokens is not None else ""
    return f"response {fields['status'] or 'done'}{because}{spent}"


def _cut(event: LogEvent) -> str:
    begun = event.data.get("begun")
    parts = begun if isinstance(begun, list) else []
    heard = ", ".join(f"{text_at(part, 'part.item_id')} at {_shown(dig(part, 'played_ms'))} ms" for part in parts)
    return f"cut: {heard or 'nothing had begun'}, {_shown(event.data.get('dropped_samples'))} samples dropped"


def _tool(event: LogEvent) -> str:
    fields = fields_of(event)
    if event.type == "response.output_item.done" and fields["item_type"] != "function_call":
        return ""
    return f"asked for {_shown(fields['name'])}({fields['arguments'] or ''})"


def _sent_item(event: LogEvent) -> str:
    if text_at(event.data, "item.type") == "function_call_output":
        return f"result sent: {_shown(dig(event.data, 'item.output'))}"
    return ""


_TRANSCRIPTION = "conversation.item.input_audio_transcription"
WORTH: dict[str, tuple[str, Words]] = {
    "connection.opening": (SESSION, _get("connecting to {}", "url")),
    "connection.opened": (SESSION, _say("connected")),
    "session.created": (SESSION, _configured("session created, with the provider's defaults")),
    "session.update": (SESSION, _configured("asked for")),
    "session.updated": (SESSION, _configured("confirmed")),
    "session.ready": (SESSION, _get("ready after {} ms", "ack_ms")),
    "session.retrying": (SESSION, _get("{} did not work, trying {}", "refused", "next")),
    "session.draining": (SESSION, _get("draining: {}", "because")),
    "session.closed": (SESSION, _get("closed: {}", "because")),
    "session.took_over": (SESSION, _get("takes over, told {} items of the conversation", "items")),
    "session.recovered": (SESSION, _get("recovered: without a session for {} s", "after_s")),
    "leg.started": (SESSION, _get("leg started, format {}, dialect {}", "format", "dialect")),
    "leg.context": (SESSION, _say("context announced")),
    "session.instructed": (SESSION, _say("instructions replaced")),
    "leg.format": (SESSION, _get("leg format: uplink {}, downlink {}", "uplink", "downlink")),
    "leg.summary": (SESSION, _get("ended: {}", "because")),
    "connection.closed": (SESSION, _say("connection closed")),
    "audiosocket.closed": (CALLER, _get("{}", "because")),
    "digits.entered": (CALLER, _get("entered {} ({} digits, {}), for {}", "digits", "count", "because", "to")),
    "provider.warned": (FAULTS, _get("the provider warns: {} {}", "code", "message")),
    "digits.unsent": (FAULTS, _get("{} digits were told to nobody: {}", "count", "because")),
    "voice.started": (CALLER, _say("voice begins, heard here")),
    "voice.stopped": (CALLER, _say("voice ends, heard here")),
    "turn.pressed": (CALLER, _get("key pressed: {}", "meaning")),
    "input_audio_buffer.speech_started": (CALLER, _say("speaks")),
    "input_audio_buffer.speech_stopped": (CALLER, _say("has spoken")),
    "input_audio_buffer.timeout_triggered": (CALLER, _say("silent for too long")),
    "input_audio_buffer.commit": (CALLER, _say("turn ended by the client")),
    f"{_TRANSCRIPTION}.completed": (CALLER, _get("said: {}", "transcript")),
    "response.create": (AGENT, _say("asked to speak")),
    "response.created": (AGENT, _say("response begun")),
    "response.done": (AGENT, _answered),
    "response.cancel": (AGENT, _say("response cancelled by us")),
    "response.output_audio_transcript.done": (AGENT, _get("says: {}", "transcript")),
    "playout.started": (AGENT, _say("speaks")),
    "playout.finished": (AGENT, _say("has spoken")),
    "playout.cut": (AGENT, _cut),
    "playout.held": (AGENT, _say("held")),
    "playout.resumed": (AGENT, _get("goes on after {} ms: {}", "held_ms", "because")),
    "control.hang_up": (SESSION, _say("hang-up requested")),
    "conversation.item.truncate": (AGENT, _get("{} truncated at {} ms", "item_id", "audio_end_ms")),
    "truncation.corrected": (AGENT, _get("truncation corrected to {} ms", "counted_ms")),
    **dict.fromkeys(("response.output_item.done", "response.function_call_arguments.done"), (TOOLS, _tool)),
    "conversation.item.create": (TOOLS, _sent_item),
    "tool.called": (TOOLS, _get("{} called", "name")),
    "tool.answered": (TOOLS, _get("{} answered after {} ms", "name", "duration_ms")),
    "tool.cancelled": (TOOLS, _get("{} cancelled: {}", "name", "because")),
    "audio.suspect": (FAULTS, _get("{}: {}", "side", "message")),
    "audio.refused": (FAULTS, _get("audio refused: {}", "because")),
    "uplink.overrun": (FAULTS, _get("{} frames of the caller dropped", "frames")),
    "playout.underrun": (FAULTS, _say("nothing to play inside an answer")),
    "playout.overrun": (FAULTS, _say("no room for agent audio")),
    "playout.slip": (FAULTS, _say("the playout was late, its clock set anew")),
    "records.lost": (FAULTS, _get("{} records lost", "records")),
    **{name: (FAULTS, _fault) for name in ERRORS if name not in ("response.done", "connection.closed")},
    **dict.fromkeys(("leg.welcome_wav", "leg.reconnect_wav", "leg.failure_wav", "leg.prompt"), (AGENT, _prompt)),
    "session.renewal_failed": (SESSION, _get("did not take over, another is tried after {} s", "again_after_s")),
}
"""The events worth a line: the lane of each, and its words; no line where there are none."""
MARKS = frozenset(
    {
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "playout.started",
        "playout.finished",
        "playout.cut",
    }
)
FOLDED_NS = NS_PER_S


def timeline_of(events: Iterable[LogEvent]) -> Iterator[Line]:
    """Turn a log into lines, in constant memory."""
    teller = _Teller()
    mark_ns: int | None = None
    waiting: Line | None = None
    for event in events:
        lane, words, is_mark = teller.tell(event)
        if not words:
            continue
        since_ns = None if mark_ns is None else event.t_ns - mark_ns
        if event.session > 1 and lane in (SESSION, FAULTS):
            words = f"session {event.session}: {words}"
        line = Line(event.line_no, event.t_ns, since_ns, lane, legible(words, LONGEST))
        if waiting is not None and not is_mark and _repeats(line, waiting):
            waiting.count += 1
            continue
        if waiting is not None:
            yield waiting
        waiting = line
        if is_mark:
            mark_ns = event.t_ns
    if waiting is not None:
        yield waiting


def _repeats(line: Line, before: Line) -> bool:
    return (line.lane, line.words) == (before.lane, before.words) and line.t_ns - before.t_ns < FOLDED_NS


class _Teller:
    """Finds the words for an event; for a first chunk of audio it must know what came before."""

    def __init__(self) -> None:
        self._heard: str | None = None
        self._tells_playout = False

    def tell(self, event: LogEvent) -> tuple[str, str, bool]:
        """Return lane, words (none for what is not worth a line), and whether it is a turn mark."""
        if event.type == "response.output_audio.delta":
            return self._tell_audio(event)
        if event.type == "audiosocket.received":
            digit = text_at(event.data, "digit")
            return CALLER, f"pressed {digit}" if digit else "", False
        if event.type not in WORTH:
            return SESSION, "", False
        if event.type == "leg.started":
            self._tells_playout = True
        elif event.type == "response.created":
            self._heard = None
        elif event.type == "connection.closed" and (fault := _fault(event)):
            return FAULTS, fault, False
        lane, words = WORTH[event.type]
        return lane, words(event), event.type in MARKS

    def _tell_audio(self, event: LogEvent) -> tuple[str, str, bool]:
        response_id = text_at(event.data, "response_id") or ""
        if response_id == self._heard:
            return AGENT, "", False
        self._heard = response_id
        # In a plain log nothing is nearer to the agent's first word.
        return AGENT, "first audio received", not self._tells_playout
