"""One leg, from its UUID to its last record. START READING HERE.

::

                uplink (what the caller says)
    Asterisk -> read_leg -> transcode_uplink -> converse ------> provider
                Decoder     Converter           Session          WebSocket
    Asterisk <- play <- Ledger <- transcode_downlink <- converse <- provider
                Clock             Converter             Session
                downlink (what the caller hears)

    every event and every effect -> CallLog -> write_records -> <time>-<uuid>.jsonl

Channels: all bounded, one policy each.

=========== ============= ================================ ============================================================
channel     carries       capacity                         when full, and why
=========== ============= ================================ ============================================================
``uplink``  one frame     ``limits.uplink_ms`` (1 s)       drop the oldest, record ``uplink.overrun``: the reader must
                                                           never wait (Asterisk's write does not block; a full socket
                                                           ends the call), and fresh speech is worth more
``appends`` one frame     0                                wait: one bound a direction; two queues in a row double the
                                                           staleness
``commands`` one ``Send`` 64                               ``SessionError``: a full command queue is a fault, not a load
``downlink`` one chunk    ``limits.downlink_chunks``       ``SessionError``: if the WebSocket's reader waited, pongs and
                                                           ``speech_started`` would starve, and with them barge-in
``records`` one record    ``limits.records`` (10 000)      count what is lost and write ``records.lost`` as soon as
                                                           there is room: logging never delays voice
reader of   one record    1 000, or as it asks             drop the oldest, and tell the reader ``records.lost``: nobody
records                                                    who reads along may delay voice, and the last one must come
=========== ============= ================================ ============================================================

Tools run in tasks of their own, ``tools.max_calls`` at a time; a further call is not made, and the model is told.
The ledger holds the long queue (providers send faster than real time), bounded by ``limits.ledger_s``; beyond it audio
is refused and recorded as ``playout.overrun``. The peak use of each is in the leg's last record.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import trio

from voxpipe.actors.access import build_access, find_api_key, known_secrets
from voxpipe.actors.audiosocket_leg import AudioSocketLeg, aclosing_leg
from voxpipe.actors.chunk_queue import ChunkQueue
from voxpipe.actors.leg_control import LegControl
from voxpipe.actors.leg_reader import UplinkStatistics, read_leg
from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.playout import Playout
from voxpipe.actors.session import Conversation
from voxpipe.actors.sink import CallLog, Entry, RecordObserver, write_records
from voxpipe.actors.tools import ToolRunner
from voxpipe.actors.transcode import drop_unconverted, transcode_downlink, transcode_uplink
from voxpipe.audio import PTIME_MS, SLIN8, AudioFormat, FormatPair
from voxpipe.builtin_tools import all_tools
from voxpipe.config import Config
from voxpipe.context import LegContext
from voxpipe.dialects import get_dialect
from voxpipe.dsp import Converter
from voxpipe.errors import ProtocolError, RemoteProtocolError, VoxpipeError, describe_error
from voxpipe.sansio.audiosocket import downlink_format
from voxpipe.sansio.clock import Clock
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.ledger import CutPoint, Ledger, Part
from voxpipe.sansio.leg import LegFormatConfirmed, LegIdentified
from voxpipe.sansio.records import format_timestamp
from voxpipe.summary import summarise
from voxpipe.tools import Tool, ToolContext
from voxpipe.wav import read_wav
from voxpipe.websocket import Dial, dial_tcp

KEEP_UP_INTERVAL_S = 1.0
"""Half of the two seconds without activity after which Asterisk drops a call (app_audiosocket.c)."""
FAILURE_PART = Part("voxpipe", "failure", 0)
"""The account of the WAV that is played when a session fails."""


@attrs.frozen(kw_only=True)
class Surroundings:
    """What a leg needs besides its stream and its configuration; the defaults are those of a gateway of its own."""

    dial: Dial = dial_tcp
    ssl_context: ssl.SSLContext | None = None
    on_record: RecordObserver | None = None
    on_warning: Callable[[str], None] = lambda _text: None
    drain: trio.Event = attrs.field(factory=trio.Event)
    """Set it, and the leg finishes what waits and hangs up."""
    admit: Callable[[UUID], str] = lambda _uuid: ""
    """Asked once the UUID is known: a reason to refuse the leg, or nothing."""
    context: Callable[[UUID], LegContext | None] = lambda _uuid: None
    """Asked once the leg is admitted: what was announced for it, its configuration included."""
    on_start: Callable[[LegControl], None] = lambda _control: None
    """Given a handle to the call once its log is open; it must not wait."""
    unix_ns: Callable[[], int] = time.time_ns
    tools: Sequence[Tool] = ()
    """What the agent may call, besides the built-in tools of the configuration."""


@attrs.frozen
class LegOutcome:
    """How a leg ended: ``error`` is ``None`` after a peaceful end, ``log`` is ``None`` when no UUID ever came.

    ``next`` is where the agent sent the caller, if it did.
    """

    uuid: UUID | None
    reason: str
    error: VoxpipeError | None
    log: Path | None
    summary: dict[str, Any]
    next: str | None = None


async def run_leg(stream: trio.abc.Stream, config: Config, surroundings: Surroundings | None = None) -> LegOutcome:
    """Answer one AudioSocket connection and join it to a session, until either ends; then hang up.

    What peers do wrong ends the leg and is in the outcome and the log. Cancelling it hangs up and completes the log.
    ``ConfigError``: the tools of configuration and surroundings do not go together.
    """
    given = surroundings or Surroundings()
    configured = None if config.leg.format == "auto" else AudioFormat.parse(config.leg.format)
    leg = AudioSocketLeg(stream, configured, write_timeout_s=config.leg.write_timeout_s)
    async with aclosing_leg(leg):
        tools = all_tools(config.tools, given.tools)
        try:
            uuid = await _identify(leg, config.leg.uuid_timeout_s)
        except RemoteProtocolError as error:
            return LegOutcome(None, str(error), error, None, {})
        if uuid is None:
            return LegOutcome(None, "leg closed before its UUID", None, None, {})
        if refused := given.admit(uuid):
            return LegOutcome(uuid, refused, None, None, {})
        context = given.context(uuid) or LegContext(config)
        config = context.config
        tools = tuple(tool for tool in tools if context.tools is None or tool.name in context.tools)
        start_ns, start_unix_ns = now_ns(), given.unix_ns()
        path = _log_path(config, uuid, start_unix_ns)
        send, receive = trio.open_memory_channel[Entry](config.limits.records)
        dialect = get_dialect(config.provider.dialect)
        api_key = find_api_key(config.provider)
        log = CallLog(
            send,
            leg=str(uuid),
            start_ns=start_ns,
            start_unix_ns=start_unix_ns,
            now_ns=now_ns,
            audio=config.log.audio,
            secrets=known_secrets(config.provider) | context.secrets,
            observer=given.on_record,
        )
        call = Call(leg, configured, config, log, given, dialect, api_key, uuid, tools)
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(write_records, receive, path, log, given.on_warning)
            except OSError as error:
                refusal = VoxpipeError(f"expected to write {path}, got {error}")
                return LegOutcome(uuid, str(refusal), refusal, None, {})
            log.record("leg.started", {"format": config.leg.format, "log": path.name, "dialect": dialect.name})
            if context.told:
                log.record("leg.context", dict(context.told))
            try:
                given.on_start(LegControl(uuid, call.conversation, log))
                await call.run()
            finally:
                with trio.CancelScope(shield=True):
                    summary = summarise(call, now_ns() - start_ns, send.statistics().peak_buffer_used)
                    await log.finish("leg.summary", summary)
    return LegOutcome(uuid, call.reason, call.error, path, summary, call.next)


class Call:
    """The actors of one leg and what they share."""

    def __init__(
        self,
        leg: AudioSocketLeg,
        configured: AudioFormat | None,
        config: Config,
        log: CallLog,
        given: Surroundings,
        dialect: Dialect,
        api_key: str,
        uuid: UUID,
        tools: Sequence[Tool],
    ) -> None:
        self.leg = leg
        self.config = config
        self.log = log
        self.reason = "cancelled"
        self.error: VoxpipeError | None = None
        self.next: str | None = None
        self.tools = ToolRunner(tools, ToolContext(uuid, config.tools.send_to, self._leave), config.tools, log)
        self.leg_formats: OneShot[LegFormatConfirmed] = OneShot()
        self.session_formats: OneShot[FormatPair] = OneShot()
        self.playout: OneShot[Playout] = OneShot()
        self.uplink_counts = UplinkStatistics()
        self._given = given
        self._leg_over = trio.Event()
        self._left = False
        self._kept_up_frames = 0
        if configured is not None:
            self.leg_formats.set(LegFormatConfirmed(configured, downlink_format(configured)))
        frames = max(1, config.limits.uplink_ms // PTIME_MS)
        self.uplink, self._uplink_end = trio.open_memory_channel[bytes](frames)
        self._uplink_rest = self._uplink_end.clone()
        self.appends, appends_end = trio.open_memory_channel[bytes](0)
        self.downlink = ChunkQueue(config.limits.downlink_chunks)
        self.conversation = Conversation(
            dialect,
            config,
            build_access(dialect, config.provider, api_key, given.dial, given.ssl_context),
            log,
            appends=appends_end,
            downlink=self.downlink,
            formats=self.session_formats,
            cut=self._cut,
            tools=self.tools,
        )

    async def run(self) -> None:
        """Start the actors, wait for the session to end, play the failure's WAV if there is one, and hang up.

        The connection to the provider is closed beside that: a dead one takes its time, which is not the caller's.
        """
        async with trio.open_nursery() as session:
            session.start_soon(self.conversation.converse)
            await self._answer()
            # After the playout, which is the leg's other writer, and before the log's last write, which may take time.
            await self.leg.hang_up()

    async def _answer(self) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.tools.run)
            nursery.start_soon(self._read)
            nursery.start_soon(transcode_uplink, self._uplink_end, self.appends, self.leg_formats, self.session_formats)
            nursery.start_soon(
                transcode_downlink,
                self.downlink,
                self.leg_formats,
                self.session_formats,
                self.playout,
                self.log,
                self.conversation.played,
            )
            nursery.start_soon(self._play)
            nursery.start_soon(self._learn_format)
            nursery.start_soon(self._drain)
            ending = await self.conversation.ended.get()
            self._note_end(ending.reason, ending.error)
            nursery.start_soon(self._discard_uplink)
            if ending.error is not None and self.config.leg.failure_wav:
                await self._play_failure()
            nursery.cancel_scope.cancel()

    def _note_end(self, reason: str, error: VoxpipeError | None = None) -> None:
        if self.reason == "cancelled":
            self.reason, self.error = reason, error

    def _fail(self, error: VoxpipeError) -> None:
        self.log.record("leg.failed", describe_error(error))
        self._note_end(str(error), error)
        self._end("leg failed")

    def _end(self, reason: str) -> None:
        self._note_end(reason)
        self._leg_over.set()
        self.conversation.end(reason)

    async def _read(self) -> None:
        try:
            oldest = self._uplink_end.clone()
            await read_leg(
                self.leg,
                self.uplink,
                oldest,
                self.leg_formats,
                self.log,
                self.uplink_counts,
                self._end,
                self._take_digit,
            )
        except ProtocolError as error:
            self._fail(error)

    def _take_digit(self, digit: str) -> None:
        if digit == self.config.session.push_to_talk:
            playout = self.playout.value
            self.conversation.press_to_talk(agent_speaks=playout is not None and playout.ledger.speaking)

    async def _discard_uplink(self) -> None:
        # Nobody hears it any more, and it is no loss worth a record.
        async for _ in self._uplink_rest:
            pass

    async def _play(self) -> None:
        try:
            format_ = await self._keep_up()
            limit_samples = self.config.limits.ledger_s * format_.rate_hz
            ledger = Ledger(format_, limit_samples=limit_samples)
            playout = Playout(ledger, Clock(now_ns()), format_, self.log, silence_frames=self._kept_up_frames)
            self.playout.set(playout)
            await playout.play(self.leg)
        except ProtocolError as error:
            self._fail(error)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # The reader sees the same end, and it is the reader that ends the leg.

    async def _keep_up(self) -> AudioFormat:
        """Wait for the leg's format. Meanwhile silence in slin8, which Asterisk takes on every leg, keeps the call."""
        while True:
            with trio.move_on_after(KEEP_UP_INTERVAL_S):
                return (await self.leg_formats.get()).downlink
            await self.leg.write_frame(SLIN8, SLIN8.silence)
            self._kept_up_frames += 1
            self.log.record("playout.silence", {"frames": 1})

    async def _learn_format(self) -> None:
        timeout_s = self.config.leg.uuid_timeout_s
        with trio.move_on_after(timeout_s) as scope:
            await self.leg_formats.get()
        if scope.cancelled_caught:
            self._fail(
                RemoteProtocolError(
                    f"expected audio within {timeout_s:g} s to learn the leg's format, got none: configure leg.format"
                )
            )

    async def _drain(self) -> None:
        await self._given.drain.wait()
        self.conversation.drain("gateway drains")

    def _leave(self, reason: str, next_: str | None) -> None:
        """End the leg as the agent wants it: what is being said is played first."""
        if not self._left:
            self._left, self.next = True, next_
            self.conversation.drain(reason, to_the_end=True)

    def _cut(self, epoch: int) -> CutPoint:
        playout = self.playout.value
        point = CutPoint((), (), 0, epoch) if playout is None else playout.ledger.cut()
        return drop_unconverted(self.downlink, point, self.log)

    async def _play_failure(self) -> None:
        path = self.config.leg.failure_wav
        try:
            audio, source = await trio.to_thread.run_sync(read_wav, Path(path))
        except (OSError, VoxpipeError) as error:
            self._given.on_warning(f"leg.failure_wav: {error}")
            self.log.record("leg.failure_wav", describe_error(error))
            return
        played = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when, self._leg_over, nursery.cancel_scope)
            playout = await self.playout.get()
            target = (await self.leg_formats.get()).downlink
            converter = Converter(source, target)
            epoch = playout.ledger.cut().epoch
            playout.ledger.add(FAILURE_PART, converter.convert(audio) + converter.flush(), epoch)
            playout.ledger.finish(FAILURE_PART.response_id, epoch)
            self.log.record("leg.failure_wav", {"path": path, "duration_ms": round(source.duration_ms(len(audio)), 1)})
            playout.tell_when_idle(played.set)
            playout.wake()
            await played.wait()
            nursery.cancel_scope.cancel()


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


async def _identify(leg: AudioSocketLeg, timeout_s: float) -> UUID | None:
    with trio.move_on_after(timeout_s):
        while (events := await leg.receive()) is not None:
            if events:
                assert isinstance(events[0], LegIdentified)
                leg.push_back(events)
                return events[0].uuid
        return None
    raise RemoteProtocolError(f"expected the UUID within {timeout_s:g} s, got nothing")


def _log_path(config: Config, uuid: UUID, unix_ns: int) -> Path:
    stamp = format_timestamp(unix_ns).translate({ord("-"): None, ord(":"): None, ord("."): ord("-")}).partition("+")[0]
    return Path(config.log.dir) / f"{stamp}-{uuid}.jsonl"
