"""A call, made out of its log: one pass over the events, each told to the accounts it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from voxpipe.analysis.agent import AgentSide
from voxpipe.analysis.caller import CallerSide
from voxpipe.analysis.configuration import Configuration
from voxpipe.analysis.events import SENT, LogEvent, count_at, text_at
from voxpipe.analysis.flow import Flow, FlowStatistics
from voxpipe.analysis.hearing import Heard, Listener
from voxpipe.analysis.interruptions import Interruptions
from voxpipe.analysis.reader import LogReader
from voxpipe.analysis.spelling import APPEND, AUDIO_KEYS, DELTA, NO_AUDIO, audio_bytes, leg_message, told_format
from voxpipe.analysis.tool_uses import ToolUses
from voxpipe.analysis.troubles import ERRORS, LIFE, LOSSES, Troubles
from voxpipe.analysis.uplink_marks import UplinkMarks
from voxpipe.audio import NS_PER_S, AudioFormat
from voxpipe.errors import AudioError

SHOWN_LINES = 8
Take = Callable[[LogEvent], None]


class CallAccounts:
    """All accounts of one call. ``take`` every event, in order; then they can be read."""

    def __init__(self) -> None:
        self.configuration = Configuration()
        self.leg_uplink = Flow("leg to gateway", continuous=True)
        self.uplink = Flow("gateway to provider", continuous=True)
        self.downlink = Flow("provider to gateway", continuous=False)
        self.leg_downlink = Flow("gateway to leg", continuous=True)
        self.silence_frames = 0
        self.uplink_marks = UplinkMarks()
        self.caller = CallerSide(self.configuration, self.uplink_marks)
        self.agent = AgentSide()
        self.interruptions = Interruptions()
        self.tools = ToolUses()
        self.troubles = Troubles()
        self.successions = dict.fromkeys(("lost", "recovered", "renewed"), 0)
        """How often a session was lost in mid-call, a loss made good, and a session replaced before its end."""
        self.listeners = {"uplink": Listener(), "downlink": Listener()}
        self.summary: dict[str, Any] | None = None
        self.because: str | None = None
        self.closed: tuple[int, int | None] | None = None
        """Line and code of the connection's close, where the log tells it."""
        self.digits = 0
        self.gateway = False
        self.duration_ns = 0
        self.first_update_line: int | None = None
        self.early_chunks: dict[str, list[int]] = {"uplink": [], "downlink": []}
        """Lines of audio that went before any configuration was acknowledged; the first few of each side."""
        self._takes = self._dispatch()

    def take(self, event: LogEvent) -> None:
        """Tell one event to the accounts it belongs to."""
        self.duration_ns = event.t_ns
        for take in self._takes.get(event.type, ()):
            take(event)

    def _dispatch(self) -> dict[str, list[Take]]:
        takes: dict[str, list[Take]] = {
            "audiosocket.received": [self._take_leg_uplink],
            "audiosocket.sent": [self._take_leg_downlink],
            APPEND: [self._take_append],
            DELTA: [self._take_delta],
            "leg.started": [self._note_leg],
            "leg.format": [self._take_leg_format],
            "leg.summary": [self._take_summary],
            "audio.level": [self._take_level],
            "audio.suspect": [self._take_level],
            "playout.silence": [self._take_silence],
            "playout.started": [self.agent.take_playout, self.interruptions.take_playout],
            "playout.finished": [self._finish_playout],
            "playout.cut": [self._cut],
            "voice.started": [self.interruptions.notice],
            "playout.held": [self.interruptions.hold],
            "playout.resumed": [self.interruptions.resume],
            "input_audio_buffer.speech_started": [self._start_speech],
            "input_audio_buffer.speech_stopped": [self.caller.take_stop],
            "input_audio_buffer.committed": [self.caller.take_commit],
            "input_audio_buffer.commit": [self._take_commit_sent],
            "conversation.item.create": [self.tools.take_item],
            "conversation.item.truncate": [self.interruptions.take_truncation],
            "conversation.item.truncated": [lambda _event: self.interruptions.take_confirmation()],
            "response.created": [self._create_response],
            "response.done": [self.agent.take_done],
            "session.closed": [self.troubles.take_end],
            "connection.closed": [self._close],
            "gateway.started": [self._note_gateway],
        }
        for outcome in ("completed", "failed"):
            takes[f"conversation.item.input_audio_transcription.{outcome}"] = [self.caller.take_transcript]
        for what in ("delta", "done"):
            takes[f"response.output_audio_transcript.{what}"] = [self.agent.take_words]
        for name in ("response.output_item.done", "response.function_call_arguments.done"):
            takes[name] = [lambda event: self.tools.take_request(event, self.caller.turns)]
        for outcome in ("answered", "failed", "cancelled"):
            takes[f"tool.{outcome}"] = [self.tools.take_outcome]
        session = ("session.created", "session.update", "session.updated", "connection.opening", "connection.opened")
        for name in (*session, "session.ready", "session.took_over", "error"):
            takes[name] = [self._configure]
        for name in ERRORS:
            takes.setdefault(name, []).append(self._take_error)
        for name in LOSSES:
            takes.setdefault(name, []).append(self.troubles.take_loss)
        takes["uplink.overrun"].append(self._lose_uplink)
        for name in self.successions:
            takes.setdefault(f"session.{name}", []).append(self._count_succession)
        for name in LIFE:
            takes.setdefault(name, []).append(self.troubles.take_life)
        return takes

    # --- audio --------------------------------------------------------------------------------------------------------

    def _take_leg_uplink(self, event: LogEvent) -> None:
        kind = leg_message(event.data)
        if kind in NO_AUDIO:
            if kind in ("dtmf", "3"):
                self.digits += 1
                self.interruptions.notice(event)
            return
        if self.leg_uplink.format is None:
            self.leg_uplink.format = told_format(event.data)
        size_bytes = audio_bytes(event.data, "audio")
        self.leg_uplink.add(event.t_ns, size_bytes, event.line_no)
        self.uplink_marks.read(event.t_ns, _duration_ns(self.leg_uplink.format, size_bytes))

    def _take_leg_downlink(self, event: LogEvent) -> None:
        if leg_message(event.data) in NO_AUDIO:
            return
        if self.leg_downlink.format is None:
            self.leg_downlink.format = told_format(event.data)
        self.leg_downlink.add(event.t_ns, audio_bytes(event.data, "audio"), event.line_no)
        self.interruptions.take_frame(event)

    def _take_append(self, event: LogEvent) -> None:
        self._note_early("uplink", event)
        key = AUDIO_KEYS[APPEND]
        size_bytes = audio_bytes(event.data, key)
        format_ = self.configuration.uplink
        self.uplink.format = format_
        self.uplink.add(event.t_ns, size_bytes, event.line_no)
        self.uplink_marks.sent(event.t_ns, _duration_ns(format_, size_bytes))
        self.listeners["uplink"].take_audio(event.data.get(key), format_, event.line_no)

    def _take_delta(self, event: LogEvent) -> None:
        self._note_early("downlink", event)
        key = AUDIO_KEYS[DELTA]
        size_bytes = audio_bytes(event.data, key)
        format_ = self.configuration.downlink
        duration_ns = _duration_ns(format_, size_bytes)
        if self.agent.take_audio(event, duration_ns):
            self.downlink.begin()
        self.downlink.format = format_
        self.downlink.add(event.t_ns, size_bytes, event.line_no)
        self.interruptions.take_audio(text_at(event.data, "item_id"), duration_ns)
        self.listeners["downlink"].take_audio(event.data.get(key), format_, event.line_no)

    def _note_early(self, side: str, event: LogEvent) -> None:
        lines = self.early_chunks[side]
        if self.configuration.confirmed is None and len(lines) < SHOWN_LINES:
            lines.append(event.line_no)

    def _take_leg_format(self, event: LogEvent) -> None:
        self.leg_uplink.format = _parse_format(event.data.get("uplink"))
        self.leg_downlink.format = _parse_format(event.data.get("downlink"))

    def _take_silence(self, event: LogEvent) -> None:
        self.silence_frames += count_at(event.data, "frames") or 0

    def _take_level(self, event: LogEvent) -> None:
        listener = self.listeners.get(str(event.data.get("side")))
        if listener is not None and event.type == "audio.level":
            listener.take_level(event)
        elif listener is not None:
            listener.take_suspicion(event)

    def _lose_uplink(self, event: LogEvent) -> None:
        self.uplink_marks.lose(event.t_ns, count_at(event.data, "frames"))

    def _take_error(self, event: LogEvent) -> None:
        # A session that failed beside the one that serves is told by session.renewal_failed, and ends nothing.
        if event.type != "session.failed" or self.configuration.serves(event):
            self.troubles.take_error(event)

    # --- the session and the conversation -----------------------------------------------------------------------------

    def _configure(self, event: LogEvent) -> None:
        if event.type == "session.update" and event.direction == SENT and self.first_update_line is None:
            self.first_update_line = event.line_no
        if self.configuration.take(event):
            self.uplink_marks.begin_session()
            self.interruptions.change_session()

    def _count_succession(self, event: LogEvent) -> None:
        self.successions[event.type.removeprefix("session.")] += 1
        if event.type == "session.lost":
            self.interruptions.change_session()

    def _start_speech(self, event: LogEvent) -> None:
        self.interruptions.begin(event, self.agent.speaking(event.t_ns))
        self.caller.take_start(event)

    def _take_commit_sent(self, _event: LogEvent) -> None:
        self.caller.commits_sent += 1

    def _create_response(self, event: LogEvent) -> None:
        self.agent.take_created(event, self.caller.turns)

    def _finish_playout(self, event: LogEvent) -> None:
        self.agent.take_playout_end(event, cut=False)
        self.interruptions.finish(event)
        self.leg_downlink.begin()

    def _cut(self, event: LogEvent) -> None:
        format_ = self.leg_downlink.format
        turn = self.agent.take_playout_end(event, cut=True)
        self.interruptions.cut(event, turn, format_.rate_hz if format_ is not None else None)
        self.leg_downlink.begin()

    def _take_summary(self, event: LogEvent) -> None:
        self.summary = event.data
        self.because = text_at(event.data, "because") or self.because

    def _close(self, event: LogEvent) -> None:
        code, reason = count_at(event.data, "code"), text_at(event.data, "reason")
        self.closed = event.line_no, code
        known = [words for words in (None if code is None else f"code {code}", reason) if words]
        self.because = ", ".join(["connection closed", *known])

    def _note_leg(self, _event: LogEvent) -> None:
        self.agent.tells_playout = True  # it is a log of ours

    def _note_gateway(self, _event: LogEvent) -> None:
        self.gateway = True


class Call:
    """What one log tells of one call: the accounts, the flows summed up, and how the log itself was read."""

    def __init__(self, reader: LogReader, accounts: CallAccounts) -> None:
        assert reader.shape is not None
        self.path = reader.path
        self.shape = reader.shape.name
        self.own = reader.shape.name == "voxpipe"
        self.started_at = reader.started_at
        self.lines = reader.lines
        self.skipped = reader.skipped
        self.skipped_faults = [str(error) for error in reader.faults]
        self.torn = reader.torn
        self.missing_lines = reader.shape.missing_lines
        self.steps_back = reader.shape.steps_back
        accounts.agent.finish(accounts.duration_ns)
        self.accounts = accounts
        self.duration_ns = accounts.duration_ns
        flows = (accounts.leg_uplink, accounts.uplink, accounts.downlink, accounts.leg_downlink)
        self.flows: tuple[FlowStatistics, ...] = tuple(flow.statistics() for flow in flows)
        self.heard: dict[str, Heard] = {side: listener.heard for side, listener in accounts.listeners.items()}
        self.troubles = accounts.troubles.kinds()

    @property
    def leg_uplink(self) -> FlowStatistics:
        """The caller's audio as it came from the leg."""
        return self.flows[0]

    @property
    def uplink(self) -> FlowStatistics:
        """The caller's audio as it went to the provider."""
        return self.flows[1]

    @property
    def downlink(self) -> FlowStatistics:
        """The agent's audio as it came from the provider."""
        return self.flows[2]


def read_call(path: Path, *, lenient: bool = False, on_progress: Callable[[int], None] = lambda _bytes: None) -> Call:
    """Read one log. ``RecordError`` for a bad line unless ``lenient``, or for a file that is no log; ``OSError``."""
    reader = LogReader(path, lenient=lenient, on_progress=on_progress)
    accounts = CallAccounts()
    take_all(reader, accounts)
    return Call(reader, accounts)


def take_all(events: Iterable[LogEvent], accounts: CallAccounts) -> None:
    """Tell all events to the accounts."""
    take = accounts.take
    for event in events:
        take(event)


def _duration_ns(format_: AudioFormat | None, size_bytes: int | None) -> int | None:
    if format_ is None or size_bytes is None:
        return None
    return size_bytes * NS_PER_S // (format_.sample_bytes * format_.rate_hz)


def _parse_format(name: object) -> AudioFormat | None:
    try:
        return AudioFormat.parse(name) if isinstance(name, str) else None
    except AudioError:
        return None
