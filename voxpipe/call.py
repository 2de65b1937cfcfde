"""The actors of one leg, what they share, and what surrounds them. ``leg.py`` makes a call of a stream."""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import attrs
import trio

from voxpipe.actors.access import Access
from voxpipe.actors.audiosocket_leg import AudioSocketLeg
from voxpipe.actors.chunk_queue import ChunkQueue
from voxpipe.actors.conversation import Conversation
from voxpipe.actors.digits import Keypad
from voxpipe.actors.leg_control import LegControl
from voxpipe.actors.leg_reader import UplinkStatistics, read_leg
from voxpipe.actors.monotonic import Pace, now_ns, sleep_until_ns
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.playout import Playout
from voxpipe.actors.prompt import Prompt
from voxpipe.actors.sink import CallLog, RecordObserver
from voxpipe.actors.tools import ToolRunner
from voxpipe.actors.transcode import drop_unconverted, transcode_downlink, transcode_uplink
from voxpipe.actors.voice import VoiceChange, VoiceWatch
from voxpipe.audio import PTIME_MS, SLIN8, AudioFormat, FormatPair
from voxpipe.config import Config
from voxpipe.context import LegContext
from voxpipe.errors import AudioError, ProtocolError, RemoteProtocolError, VoxpipeError, describe_error
from voxpipe.sansio.audiosocket import downlink_format
from voxpipe.sansio.clock import Clock
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.ledger import CutPoint, Ledger
from voxpipe.sansio.leg import LegFormatConfirmed
from voxpipe.sansio.records import REDACTED
from voxpipe.sansio.voice_words import VoiceStarted, VoiceStopped
from voxpipe.tools import Tool, ToolContext
from voxpipe.websocket import Dial, dial_tcp

KEEP_UP_INTERVAL_S = 1.0
"""Half of the two seconds without activity after which Asterisk drops a call (app_audiosocket.c)."""


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
    pace: Pace = sleep_until_ns
    """Waits until a frame is due; a replay waits as long as it took then."""
    tools: Sequence[Tool] = ()
    """What the agent may call, besides the built-in tools of the configuration."""


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
        self.keypad = Keypad(
            config.digits, log, conversation=lambda: self.conversation, agent_speaks=lambda: self._agent_speaks
        )
        context = ToolContext(uuid, config.tools.send_to, self._leave, self.keypad.ask)
        self.tools = ToolRunner(tools, context, config.tools, log)
        self.leg_formats: OneShot[LegFormatConfirmed] = OneShot()
        self.session_formats: OneShot[FormatPair] = OneShot()
        self.playout: OneShot[Playout] = OneShot()
        self.uplink_counts = UplinkStatistics()
        ours = config.session.turn_detection.type == "none"
        self.voice = VoiceWatch(config.voice, log, self._take_voice, makes_turns=ours)
        self._given = given
        self._leg_over = trio.Event()
        self._left = False
        self._session_lost = trio.Event()
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
            Access(dialect, config.provider, api_key, given.dial, given.ssl_context),
            log,
            appends=appends_end,
            downlink=self.downlink,
            formats=self.session_formats,
            cut=self._cut,
            hold=self._hold,
            tools=self.tools,
            on_lost=lambda: self._session_lost.set(),
        )

    async def run(self) -> None:
        """Start the actors, wait for the session to end, play the failure's WAV if there is one, and hang up.

        The connection to the provider is closed beside that: a dead one takes its time, which is not the caller's.
        """
        async with trio.open_nursery() as session:
            session.start_soon(self.conversation.converse)
            try:
                await self._answer()
            finally:
                self.keypad.close()
            # After the playout, which is the leg's other writer, and before the log's last write, which may take time.
            await self.leg.hang_up()

    async def _answer(self) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.tools.run)
            nursery.start_soon(self.keypad.run)
            nursery.start_soon(self._read)
            nursery.start_soon(
                transcode_uplink,
                self._uplink_end,
                self.appends,
                self.leg_formats,
                self.session_formats,
                self.voice.pass_on,
            )
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
            nursery.start_soon(self._welcome)
            nursery.start_soon(self._bridge_gaps)
            nursery.start_soon(self.voice.run, self.leg_formats)
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
                self.voice.heard,
                self._show_digit,
            )
        except ProtocolError as error:
            self._fail(error)

    def _take_digit(self, digit: str) -> None:
        if digit == self.config.session.push_to_talk:
            self.conversation.press_to_talk(agent_speaks=self._agent_speaks)
        else:
            self.keypad.press(digit)

    def _show_digit(self, digit: str) -> str:
        return digit if self.config.digits.log or digit == self.config.session.push_to_talk else REDACTED

    def _take_voice(self, change: VoiceChange) -> None:
        self.conversation.feed(VoiceStarted(self._agent_speaks) if change.started else VoiceStopped(change.voice_ms))

    @property
    def _agent_speaks(self) -> bool:
        playout = self.playout.value
        return playout is not None and playout.ledger.speaking

    async def _discard_uplink(self) -> None:
        # Nobody hears it any more, and it is no loss worth a record.
        async for _ in self._uplink_rest:
            pass

    async def _play(self) -> None:
        try:
            format_ = await self._keep_up()
            limit_samples = self.config.limits.ledger_s * format_.rate_hz
            ledger = Ledger(format_, limit_samples=limit_samples)
            playout = Playout(
                ledger,
                Clock(now_ns()),
                format_,
                self.log,
                silence_frames=self._kept_up_frames,
                on_written=self.voice.played,
                pace=self._given.pace,
            )
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

    async def _welcome(self) -> None:
        if self.config.leg.welcome_wav:
            prompt = Prompt(self.config.leg.welcome_wav, "leg.welcome_wav", "welcome", self.log)
            if wrong := await prompt.load():
                self._given.on_warning(wrong)
            else:
                prompt.put(await self.playout.get(), (await self.leg_formats.get()).downlink)

    async def load(self, path: str) -> Callable[[], Awaitable[bool]]:
        """Read a WAV file; return what plays it behind all that waits, and tells at the end whether it was not cut.

        ``AudioError`` for a file that cannot be read or played.
        """
        prompt = Prompt(path, "leg.prompt", "prompt", self.log)
        if wrong := await prompt.load():
            raise AudioError(wrong)

        async def play() -> bool:
            return await prompt.play(await self.playout.get(), (await self.leg_formats.get()).downlink)

        return play

    async def _bridge_gaps(self) -> None:
        """Play the prompt of ``leg.reconnect_wav``, if there is one, whenever a session was lost."""
        prompt = Prompt(self.config.leg.reconnect_wav, "leg.reconnect_wav", "reconnect", self.log)
        while self.config.leg.reconnect_wav:
            await self._session_lost.wait()
            self._session_lost = trio.Event()
            if wrong := await prompt.load():
                self._given.on_warning(wrong)
            elif self.conversation.lost:
                prompt.put(await self.playout.get(), (await self.leg_formats.get()).downlink)

    def _cut(self, epoch: int, prompts_only: bool) -> CutPoint | None:
        playout = self.playout.value
        if prompts_only and (playout is None or not playout.ledger.prompting):
            return None
        point = CutPoint((), (), 0, epoch) if playout is None else playout.ledger.cut()
        return drop_unconverted(self.downlink, point, self.log)

    def _hold(self, held: bool) -> None:
        if (playout := self.playout.value) is not None:
            playout.ledger.hold(held)
            playout.wake()

    async def _play_failure(self) -> None:
        prompt = Prompt(self.config.leg.failure_wav, "leg.failure_wav", "failure", self.log)
        if wrong := await prompt.load():
            self._given.on_warning(wrong)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when, self._leg_over, nursery.cancel_scope)
            playout = await self.playout.get()
            playout.ledger.cut()
            await prompt.play(playout, (await self.leg_formats.get()).downlink)
            nursery.cancel_scope.cancel()


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
