"""The Realtime session actor: the WebSocket on one side, the session machine on the other.

The machine decides, this actor does: it reads messages, asks the dialect what they mean, feeds the machine, and carries
out the effects. All effects but sending are carried out on the spot, without waiting, so that one event is done with
before the next one is read. Nothing here waits for a consumer: pongs and ``speech_started`` would be late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio

from voxpipe.actors.access import Access
from voxpipe.actors.chunk_queue import ChunkQueue
from voxpipe.actors.keep_alive import keep_alive
from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.sink import CallLog
from voxpipe.actors.tickets import Tickets
from voxpipe.actors.tools import ToolRunner
from voxpipe.audio import NS_PER_S, FormatPair
from voxpipe.config import Config
from voxpipe.errors import (
    AckTimeout,
    CommandRefused,
    FormatMismatch,
    RemoteProtocolError,
    SessionError,
    describe_error,
)
from voxpipe.sansio.call_timer import CallTimer
from voxpipe.sansio.dialect import Dialect, Wire
from voxpipe.sansio.effects import CallTool, CancelTools, Close, CutPlayout, Effect, Fail, Note, Send, Settle
from voxpipe.sansio.ledger import CutPoint
from voxpipe.sansio.pending import SessionTimeouts
from voxpipe.sansio.realtime import (
    AudioReceived,
    Connected,
    ConnectionLost,
    DrainRequested,
    Event,
    LegEnded,
    PlayoutCut,
    PlayoutFinished,
    TalkPressed,
)
from voxpipe.sansio.session import Session
from voxpipe.sansio.session_statistics import AppendStatistics, SessionStatistics
from voxpipe.websocket import WebSocket, WebSocketClosed, WebSocketRefused, connect_websocket

COMMANDS_CAPACITY = 64


@attrs.frozen
class Ending:
    """Why a session is over; ``error`` is ``None`` when it ended in peace."""

    reason: str
    error: SessionError | None = None


class Conversation:
    """The session of one leg, over however many formats are tried.

    ``converse`` runs it; the rest may be called meanwhile.
    """

    def __init__(
        self,
        dialect: Dialect,
        config: Config,
        access: Access,
        log: CallLog,
        *,
        appends: trio.MemoryReceiveChannel[bytes],
        downlink: ChunkQueue,
        formats: OneShot[FormatPair],
        cut: Callable[[int], CutPoint],
        tools: ToolRunner,
    ) -> None:
        self.appended = AppendStatistics()
        self.commands_peak = 0
        self._dialect = dialect
        self._config = config
        self._start_ns = now_ns()
        self._access = access
        self._log = log
        self._appends = appends
        self._downlink = downlink
        self._agreed = formats
        self._cut = cut
        self._tools = tools
        self._requested: list[str] = []
        self._following: FormatPair | None = None
        self._wanted = True
        self.ended: OneShot[Ending] = OneShot()
        self._can_ask = trio.Event()
        self._tickets = Tickets()
        self._earlier: SessionStatistics | None = None
        self._begin(FormatPair.parse(config.provider.formats[0]))

    def statistics(self) -> SessionStatistics:
        """Tell what the sessions did so far: the counts of all, the state of the latest."""
        latest = self._machine.statistics()
        return latest if self._earlier is None else latest.after(self._earlier)

    @property
    def requested(self) -> tuple[str, ...]:
        """The formats asked for, in the order in which they were tried."""
        return tuple(self._requested)

    def end(self, reason: str) -> None:
        """Take note that the caller is gone."""
        self._wanted = False
        self._feed(LegEnded(reason))

    def drain(self, reason: str, *, to_the_end: bool = False) -> None:
        """Finish the running answer, then close; ``to_the_end``: however long it takes to be played."""
        self._wanted = False
        self._feed(DrainRequested(reason, to_the_end))

    def press_to_talk(self, *, agent_speaks: bool) -> None:
        """Take note that the caller pressed the key to talk."""
        self._feed(TalkPressed(agent_speaks))

    async def request(self, make: Callable[[int], Event]) -> None:
        """Feed an event with a ticket once the session is ready, and wait for what becomes of it.

        Raises what refused it, or ``SessionError`` when the session is over or draining.
        """
        await self._can_ask.wait()
        if not self._machine.accepts_requests:
            raise SessionError(f"expected the session to go on, got it {self._machine.state.name.lower()}")
        await self._tickets.wait(lambda ticket: self._feed(make(ticket)))

    def played(self) -> None:
        """Take note that the caller has heard all that waited."""
        self._feed(PlayoutFinished())

    async def converse(self) -> Ending:
        """Run sessions until one ends that is not to be tried again with the next formats of the list.

        Owns its end of ``appends``. Ends with the session. Never waits on the playout.
        """
        ending = Ending("cancelled")
        try:
            async with self._appends:
                ending = await self._try_formats()
        finally:
            self.ended.set(ending)
            self._can_ask.set()
            self._tickets.end()
        return ending

    async def _try_formats(self) -> Ending:
        preferences = [FormatPair.parse(name) for name in self._config.provider.formats]
        for formats, following in zip(preferences, [*preferences[1:], None], strict=True):
            if self._requested:
                self._earlier = self.statistics()
                self._begin(formats)
            self._requested.append(str(formats))
            self._following = following
            ending = await self._run()
            if following is None or not self._another_format_may_help(ending):
                break
            self._log.record("session.retrying", {"refused": str(formats), "next": str(following)})
        return ending

    def _another_format_may_help(self, ending: Ending) -> bool:
        # The leg may have ended while the refused session was being closed.
        if self._agreed.value is not None or not self._wanted:
            return False
        if isinstance(ending.error, CommandRefused):
            return ending.error.code not in self._dialect.fatal_codes
        return isinstance(ending.error, FormatMismatch | AckTimeout)

    def _begin(self, formats: FormatPair) -> None:
        provider = self._config.provider
        for side in (formats.uplink, formats.downlink):
            if side not in self._dialect.formats:
                raise SessionError(
                    f"expected a format {self._dialect.name} knows ({', '.join(map(str, self._dialect.formats))}), "
                    f"got {side} in provider.formats"
                )
        timeouts = SessionTimeouts(
            round(provider.ack_timeout_s * NS_PER_S),
            round(provider.drain_timeout_s * NS_PER_S),
            round(provider.session_limit_s * NS_PER_S),
        )
        self._formats = formats
        timer = CallTimer(self._config.leg, self._start_ns, self._config.session.turn_detection)
        self._machine = Session(
            self._dialect, self._config.session, formats, timeouts, timer=timer, tools=self._tools.schemas
        )
        self._ending: Ending | None = None
        self._scope = trio.CancelScope()
        self._rescheduled = trio.Event()
        self._watched_ns: int | None = None
        self._send_command, self._commands = trio.open_memory_channel[Send](COMMANDS_CAPACITY)

    async def _run(self) -> Ending:
        async with trio.open_nursery() as connection:
            websocket: WebSocket | None = None
            with self._scope:
                websocket = await self._connect(connection)
            if websocket is not None:
                self._scope = trio.CancelScope()
                if self._ending is None:
                    with self._scope:
                        await self._exchange(websocket)
                # Outside of the scope: closing needs the reader, which lives in the connection's nursery.
                connection.start_soon(self._discard_appends)
                await websocket.aclose(1000)
            connection.cancel_scope.cancel()
        self._commands.close()
        assert self._ending is not None
        return self._ending

    async def _connect(self, nursery: trio.Nursery) -> WebSocket | None:
        """Open the WebSocket; the error of one that cannot be opened ends the session."""
        access = self._access
        where = access.shown.partition("?")[0]
        self._log.record("connection.opening", {"url": access.shown, "formats": str(self._formats)})
        timeout_s = self._config.provider.connect_timeout_s
        try:
            with trio.fail_after(timeout_s):
                websocket = await connect_websocket(
                    nursery, access.url, access.headers, dial=access.dial, ssl_context=access.ssl_context
                )
        except WebSocketRefused as error:
            self._finish(Ending("no connection", SessionError(f"expected a WebSocket at {where}: {error}")))
        except trio.TooSlowError:
            message = f"expected a WebSocket at {where} within {timeout_s:g} s, got none"
            self._finish(Ending("no connection", SessionError(message)))
        else:
            self._log.record("connection.opened", {"url": access.shown})
            return websocket
        return None

    async def _exchange(self, websocket: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_commands, websocket)
            nursery.start_soon(self._send_appends, websocket)
            nursery.start_soon(keep_alive, websocket, self._config.provider.ping_interval_s, self._lose)
            nursery.start_soon(self._watch_deadline)
            self._feed(Connected())
            while True:
                try:
                    message = await websocket.get_message()
                except WebSocketClosed as closed:
                    self._lose(closed)
                    break
                self._take(message)

    # --- from the provider --------------------------------------------------------------------------------------------

    def _take(self, text: str | bytes) -> None:
        try:
            wire = self._dialect.parse(text)
        except RemoteProtocolError as error:
            self._log.record("error.parsing", {"message": str(error)}, "received")
            return
        try:
            event: Event = self._dialect.decode(wire)
        except RemoteProtocolError as error:
            audio = self._dialect.audio_keys.get(wire["type"])
            event_data = {name: value for name, value in wire.items() if name != audio}
            data = {"message": str(error), "type": wire["type"], "event": event_data}
            self._log.record("error.parsing", data, "received")
            return
        if isinstance(event, AudioReceived):
            self._log_audio(wire, event)
        else:
            self._log.record(wire["type"], wire, "received")
        self._feed(event)

    def _log_audio(self, wire: Wire, event: AudioReceived) -> None:
        # Before the acknowledgement nobody knows what these bytes are, and half a sample is no format's.
        whole = len(event.audio) % self._formats.downlink.sample_bytes == 0
        confirmed = self._formats.downlink if self._machine.accepts_downlink and whole else None
        key = self._dialect.audio_keys[wire["type"]]
        self._log.record_audio(wire["type"], wire, "received", event.audio, confirmed, key=key, side="downlink")

    def _lose(self, closed: WebSocketClosed) -> None:
        self._log.record("connection.closed", {"code": closed.code, "reason": closed.reason}, "received")
        self._feed(ConnectionLost(closed.code, closed.reason))

    # --- the machine --------------------------------------------------------------------------------------------------

    def _feed(self, event: Event) -> None:
        self._carry_out(self._machine.receive(event, now_ns()))
        if self._machine.deadline_ns != self._watched_ns:
            self._rescheduled.set()

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._queue(self._send_command, effect, "commands")
                case Note(event_type, data):
                    self._log.record(event_type, data)
                    if event_type == "session.ready":
                        self._agreed.set(self._formats)
                        self._can_ask.set()
                case Settle(ticket, error):
                    self._tickets.settle(ticket, error)
                case CutPlayout():
                    self._feed(PlayoutCut(self._cut_playout()))
                case CallTool():
                    self._tools.call(effect, self._feed)
                case CancelTools():
                    self._tools.cancel()
                case Fail(error):
                    self._finish(Ending(str(error), error))
                case Close(reason):
                    self._finish(Ending(reason))
                case _:
                    self._queue(self._downlink, effect, "downlink")
        self.commands_peak = max(self.commands_peak, self._commands.statistics().current_buffer_used)

    def _queue(self, channel: trio.MemorySendChannel[Any] | ChunkQueue, effect: Any, name: str) -> None:
        try:
            channel.send_nowait(effect)
        except trio.WouldBlock:
            capacity = channel.statistics().max_buffer_size
            message = f"expected room in the channel {name}, got {capacity:g} waiting"
            self._finish(Ending(message, SessionError(message)))

    def _cut_playout(self) -> CutPoint:
        point = self._cut(self._machine.epoch)
        if point.begun or point.unbegun or point.dropped_samples:
            self._log.record("playout.cut", attrs.asdict(point))
        return point

    def _finish(self, ending: Ending) -> None:
        if self._ending is not None:
            return
        self._ending = ending
        if ending.error is None:
            self._log.record("session.closed", {"because": ending.reason})
        else:
            self._log.record("session.failed", describe_error(ending.error))
        if self._following is None or not self._another_format_may_help(ending):
            self.ended.set(ending)  # nobody need wait for the closing handshake
        self._scope.cancel()

    async def _watch_deadline(self) -> None:
        while True:
            self._watched_ns = self._machine.deadline_ns
            self._rescheduled = trio.Event()
            if self._watched_ns is None:
                await self._rescheduled.wait()
                continue
            with trio.move_on_at(self._watched_ns / NS_PER_S) as scope:
                await self._rescheduled.wait()
            if scope.cancelled_caught:
                # A deadline in float seconds may come back a nanosecond early.
                self._carry_out(self._machine.expire(max(now_ns(), self._watched_ns)))

    # --- to the provider ----------------------------------------------------------------------------------------------

    async def _send_commands(self, websocket: WebSocket) -> None:
        try:
            async for send in self._commands:
                wire = self._dialect.encode(send.command, send.command_id)
                self._log.record(wire["type"], wire, "sent")
                await websocket.send_message(self._dialect.serialize(wire))
        except WebSocketClosed as closed:
            self._lose(closed)

    async def _send_appends(self, websocket: WebSocket) -> None:
        wire_type = self._dialect.audio_type
        key = self._dialect.audio_keys[wire_type]
        try:
            while True:
                audio = await self._appends.receive()
                if not self._machine.accepts_uplink:
                    self.appended.unsent_chunks += 1
                    continue
                await websocket.send_message(self._dialect.encode_audio(audio))
                self.appended.chunks += 1
                self.appended.bytes += len(audio)
                self._log.record_audio(wire_type, {"type": wire_type}, "sent", audio, self._formats.uplink, key=key)
        except trio.EndOfChannel:
            pass
        except WebSocketClosed as closed:
            self._lose(closed)

    async def _discard_appends(self) -> None:
        """Take caller audio while the session says goodbye, so that it does not pass for an overrun of the uplink."""
        async for _ in self._appends:
            self.appended.unsent_chunks += 1
