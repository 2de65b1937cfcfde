"""The Realtime session actor: the WebSocket on one side, the session machine on the other.

The machine decides, this actor does: it reads messages, asks the dialect what they mean, feeds the machine, and carries
out the effects. All effects but sending are carried out on the spot, without waiting, so that one event is done with
before the next one is read. Nothing here waits for a consumer: pongs and ``speech_started`` would be late.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import Any, Protocol

import attrs
import trio

from voxpipe.actors.chunk_queue import ChunkQueue
from voxpipe.actors.farewell import take_leave
from voxpipe.actors.joint import Ending, Joint
from voxpipe.actors.keep_alive import Outlet, keep_alive
from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.sink import SessionLog
from voxpipe.audio import NS_PER_S, PTIME_MS, FormatPair
from voxpipe.dialects.neutral import spell
from voxpipe.errors import RemoteProtocolError, SessionError, describe_error
from voxpipe.sansio.dialect import Wire
from voxpipe.sansio.effects import (
    CallTool,
    CancelTools,
    Close,
    CutPlayout,
    Effect,
    Fail,
    HoldPlayout,
    Note,
    Renew,
    ResumePlayout,
    Send,
    Settle,
)
from voxpipe.sansio.realtime import (
    AudioReceived,
    Connected,
    ConnectionLost,
    Event,
    PlayoutCut,
    ProviderEvent,
    SpeechStopped,
    Superseded,
    TookOver,
)
from voxpipe.sansio.session import Session
from voxpipe.websocket import WebSocket, WebSocketClosed, WebSocketRefused, connect_websocket

COMMANDS_CAPACITY = 64
SUPERSEDED = "another session took over"
CARRIED_FRAMES = 30
"""Caller audio (600 ms) from before a session took over, which it is given: a word may have begun in it unnoticed.

What belongs to a turn that has ended is left out: it would be a turn again."""


class Observer(Protocol):
    """Who follows the sessions of a leg; all of it is called on the spot and must not wait."""

    def note_ready(self, session: LiveSession) -> None:
        """The provider has confirmed the formats."""

    def note_event(self, session: LiveSession, event: Event | None) -> None:
        """Something happened, and is done with; ``None`` for a deadline."""

    def note_ending(self, session: LiveSession, ending: Ending) -> None:
        """The session is over; its connection may not be."""

    def renew(self) -> None:
        """The session will come to its end: another one is to be opened beside it."""

    def feed(self, event: Event) -> None:
        """Tell whichever session serves the leg what came of something that outlasts sessions."""

    @property
    def open_calls(self) -> tuple[str, ...]:
        """The tool calls that are not answered yet."""


class LiveSession:
    """One session over one connection: that which serves the leg, or one which stands by (``serves`` is false)."""

    def __init__(
        self,
        joint: Joint,
        machine: Session,
        formats: FormatPair,
        observer: Observer,
        *,
        number: int = 1,
        serves: bool = True,
    ) -> None:
        self.machine = machine
        self.formats = formats
        self.commands_peak = 0
        self._joint = joint
        self._dialect = joint.dialect
        self._reader = joint.dialect.reader(number)
        self._log = SessionLog(joint.log, number)
        self._observer = observer
        self._serves = trio.Event()
        if serves:
            self._serves.set()
        self._heir: LiveSession | None = None
        self._carried: deque[bytes] = deque()
        self._recent: deque[bytes] = deque(maxlen=0)
        self._sent_ms = 0.0
        self.over: OneShot[Ending] = OneShot()
        self.closed = trio.Event()
        """The connection is closed, too."""
        self._ending: Ending | None = None
        self._scope = trio.CancelScope()
        self._rescheduled = trio.Event()
        self._watched_ns: int | None = None
        self._send_command, self._commands = trio.open_memory_channel[Send](COMMANDS_CAPACITY)

    def feed(self, event: Event) -> None:
        """Tell the machine what happened, and do what it makes of it."""
        self._carry_out(self.machine.receive(event, now_ns()))
        if self.machine.deadline_ns != self._watched_ns:
            self._rescheduled.set()
        self._observer.note_event(self, event)

    @property
    def retired(self) -> bool:
        """Whether another session took over."""
        return self._heir is not None

    def keep_recent(self) -> None:
        """Keep the caller audio of late, for whoever takes over: a word may have begun in it."""
        self._recent = deque(self._recent, maxlen=CARRIED_FRAMES)

    def take_over(self, former: LiveSession, resume: str, *, owes_words: bool) -> None:
        """Serve the leg in place of another session, which ends.

        ``resume`` is for an answer at once, if the other leaves something unsaid or ``owes_words``; empty: none.
        """
        self._carried.extend([*former._recent, *former._carried])
        former._carried.clear()
        former._heir = self
        former.feed(Superseded(SUPERSEDED))
        lost = former.machine.underway
        unsaid = owes_words or lost["running_responses"] or lost["unanswered_turn"]
        epoch, foreign = former.machine.epoch, former.machine.known_responses
        calls = self._observer.open_calls
        told = former.machine.instructions
        # With a call open there will be words about its result; before it, the provider may refuse to go on.
        self.feed(TookOver(epoch, calls, foreign, told, resume if unsaid and not calls else None))
        self._serves.set()

    async def run(self) -> Ending:
        """Connect, and be one session from its beginning to its end. Never waits on the playout."""
        async with trio.open_nursery() as connection:
            websocket: WebSocket | None = None
            with self._scope:
                websocket = await self._connect(connection)
            if websocket is not None:
                self._scope = trio.CancelScope()
                if self._ending is None:
                    with self._scope:
                        await self._exchange(websocket)
                    await take_leave(websocket, self._dialect, self._log)
                # Outside of the scope: closing needs the reader, which lives in the connection's nursery.
                await websocket.aclose(1000)
            connection.cancel_scope.cancel()
        self._commands.close()
        self.closed.set()
        assert self._ending is not None
        return self._ending

    async def _connect(self, nursery: trio.Nursery) -> WebSocket | None:
        """Open the WebSocket; the error of one that cannot be opened ends the session."""
        access = self._joint.access
        door = access.door(self.formats)
        where = door.shown.partition("?")[0]
        self._log.record("connection.opening", {"url": door.shown, "formats": str(self.formats)})
        timeout_s = self._joint.provider.connect_timeout_s
        try:
            with trio.fail_after(timeout_s):
                websocket = await connect_websocket(
                    nursery, door.url, door.headers, dial=access.dial, ssl_context=access.ssl_context
                )
        except (WebSocketRefused, trio.TooSlowError) as cause:
            why = f": {cause}" if isinstance(cause, WebSocketRefused) else f" within {timeout_s:g} s, got none"
            error = SessionError(f"expected a WebSocket at {where}{why}")
            error.__cause__ = cause
            self._finish(Ending("no connection", error))
        else:
            self._log.record("connection.opened", {"url": door.shown})
            return websocket
        return None

    async def _exchange(self, websocket: WebSocket) -> None:
        outlet = Outlet(websocket)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_commands, outlet)
            nursery.start_soon(self._send_appends, outlet)
            if (word := self._dialect.keepalive) is not None:
                text, after_s = self._dialect.serialize(word), self._dialect.keepalive_s
                nursery.start_soon(outlet.break_silence, text, after_s, self._note_silence, self._lose)
            if gap_s := self._dialect.fills_gaps_s:
                silence = self.formats.uplink.silence * round(gap_s * 1000 / PTIME_MS)
                fill = partial(self._note_gap, silence)
                nursery.start_soon(outlet.break_silence, self._dialect.encode_audio(silence), gap_s, fill, self._lose)
            nursery.start_soon(keep_alive, websocket, self._joint.provider.ping_interval_s, self._lose)
            nursery.start_soon(self._watch_deadline)
            self.feed(Connected())
            self._happen(self._reader.begin())
            while True:
                try:
                    message = await websocket.get_message()
                except WebSocketClosed as closed:
                    self._lose(closed)
                    break
                self._take(message)

    # --- from the provider --------------------------------------------------------------------------------------------

    def _take(self, message: str | bytes) -> None:
        try:
            wire = self._dialect.parse(message)
        except RemoteProtocolError as error:
            self._log.record("error.parsing", {"message": str(error)}, "received")
            return
        try:
            decoded = self._dialect.decode(wire)
        except RemoteProtocolError as error:
            self._log.record_unreadable(error, wire, self._dialect.audio_keys.get(wire["type"]))
            return
        events = self._reader.read(decoded)
        audio = getattr(decoded, "audio", None)
        if not isinstance(audio, bytes):
            self._log.record(wire["type"], wire, "received")
        elif not any(isinstance(event, AudioReceived) for event in events):
            self._log_audio(wire, audio)
        for event in events:
            if isinstance(event, AudioReceived) and isinstance(audio, bytes):
                self._log_audio(wire, audio)  # where it is among what was made of the message
                audio = None
            self._happen([event], made=event is not decoded)

    def _happen(self, events: list[ProviderEvent], *, made: bool = True) -> None:
        for event in events:
            if made and (told := spell(event)) is not None:
                self._log.record(*told)
            if isinstance(event, SpeechStopped) and event.audio_end_ms is not None:
                after = max(0, math.ceil((self._sent_ms - event.audio_end_ms) / PTIME_MS))
                while len(self._recent) > after:
                    self._recent.popleft()
            self.feed(event)

    def _log_audio(self, wire: Wire, audio: bytes) -> None:
        # Before the acknowledgement nobody knows what these bytes are, and half a sample is no format's.
        whole = len(audio) % self.formats.downlink.sample_bytes == 0
        confirmed = self.formats.downlink if self.machine.accepts_downlink and whole else None
        key = self._dialect.audio_keys[wire["type"]]
        self._log.record_audio(wire["type"], wire, "received", audio, confirmed, key=key, side="downlink")

    def _lose(self, closed: WebSocketClosed) -> None:
        if self._ending is not None:
            return  # the reader and the sender see the same end
        self._log.record("connection.closed", {"code": closed.code, "reason": closed.reason}, "received")
        self._happen(self._reader.end())
        self.feed(ConnectionLost(closed.code, closed.reason))

    # --- the machine --------------------------------------------------------------------------------------------------

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._queue(self._send_command, effect, "commands")
                case Note(event_type, data):
                    self._log.record(event_type, data)
                    if event_type == "session.ready":
                        self._observer.note_ready(self)
                case Settle(ticket, error):
                    self._joint.tickets.settle(ticket, error)
                case CutPlayout(prompts_only):
                    self._cut_playout(prompts_only)
                case HoldPlayout() | ResumePlayout():
                    self._joint.hold(isinstance(effect, HoldPlayout))
                case CallTool():
                    self._joint.tools.call(effect, self._observer.feed)
                case CancelTools():
                    self._joint.tools.cancel()
                case Renew():
                    self.keep_recent()
                    self._observer.renew()
                case Fail(error):
                    self._finish(Ending(str(error), error))
                case Close(reason):
                    self._finish(Ending(reason))
                case _:
                    self._queue(self._joint.downlink, effect, "downlink")
        self.commands_peak = max(self.commands_peak, self._commands.statistics().current_buffer_used)

    def _queue(self, channel: trio.MemorySendChannel[Any] | ChunkQueue, effect: Any, name: str) -> None:
        try:
            channel.send_nowait(effect)
        except trio.WouldBlock:
            capacity = channel.statistics().max_buffer_size
            message = f"expected room in the channel {name}, got {capacity:g} waiting"
            self._finish(Ending(message, SessionError(message)))

    def _cut_playout(self, prompts_only: bool) -> None:
        if (point := self._joint.cut(self.machine.epoch, prompts_only)) is not None:
            if point.begun or point.unbegun or point.dropped_samples:
                self._log.record("playout.cut", attrs.asdict(point))
            self.feed(PlayoutCut(point))

    def _finish(self, ending: Ending) -> None:
        if self._ending is not None:
            return
        self._ending = ending
        if ending.error is None:
            self._log.record("session.closed", {"because": ending.reason})
        else:
            self._log.record("session.failed", describe_error(ending.error))
        self.over.set(ending)  # nobody need wait for the closing handshake
        self._observer.note_ending(self, ending)
        self._scope.cancel()

    async def _watch_deadline(self) -> None:
        while True:
            self._watched_ns = self.machine.deadline_ns
            self._rescheduled = trio.Event()
            if self._watched_ns is None:
                await self._rescheduled.wait()
                continue
            with trio.move_on_at(self._watched_ns / NS_PER_S) as scope:
                await self._rescheduled.wait()
            if scope.cancelled_caught:
                # A deadline in float seconds may come back a nanosecond early.
                self._carry_out(self.machine.expire(max(now_ns(), self._watched_ns)))
                self._observer.note_event(self, None)

    # --- to the provider ----------------------------------------------------------------------------------------------

    def _note_silence(self) -> bool:
        if self.machine.confirmed and self._dialect.keepalive is not None:
            self._log.record(self._dialect.keepalive["type"], self._dialect.keepalive, "sent")
        return self.machine.confirmed

    def _note_gap(self, silence: bytes) -> bool:
        if self.machine.accepts_downlink:
            self._log_append(silence)
        return self.machine.accepts_downlink

    async def _send_commands(self, outlet: Outlet) -> None:
        try:
            async for send in self._commands:
                wire = self._dialect.encode(send.command, send.command_id)
                self._log.record(wire["type"], wire, "sent")
                await outlet.send(self._dialect.serialize(wire))
        except WebSocketClosed as closed:
            self._lose(closed)

    async def _send_appends(self, outlet: Outlet) -> None:
        await self._serves.wait()
        try:
            while True:
                audio = await self._joint.appends.receive()
                if self._heir is not None:  # it was ours by a hair's breadth
                    self._heir._carried.append(audio)
                    return
                self._carried.append(audio)
                while self._carried and not self.machine.keeps_uplink:
                    await self._append(outlet, self._carried.popleft())
                if self.machine.keeps_uplink:
                    await trio.sleep_forever()  # to the end of the session; what comes meanwhile waits in the uplink
        except trio.EndOfChannel:
            pass
        except WebSocketClosed as closed:
            self._lose(closed)

    async def _append(self, outlet: Outlet, audio: bytes) -> None:
        if not self.machine.accepts_uplink:
            self._joint.appended.unsent_chunks += 1
            return
        self._recent.append(audio)
        self._sent_ms += self.formats.uplink.duration_ms(len(audio))
        await outlet.send(self._dialect.encode_audio(audio))
        self._joint.appended.chunks += 1
        self._joint.appended.bytes += len(audio)
        self._log_append(audio)

    def _log_append(self, audio: bytes) -> None:
        wire_type = self._dialect.audio_type
        key = self._dialect.audio_keys[wire_type]
        self._log.record_audio(wire_type, {"type": wire_type}, "sent", audio, self.formats.uplink, key=key)
