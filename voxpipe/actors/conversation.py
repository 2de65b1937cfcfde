"""The conversation of one leg: which session serves it.

A session is one connection to the provider (``session.py``). This is what lasts longer: the formats that are tried in
turn, and what a leg asks of whichever session serves it.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from voxpipe.actors.access import Access
from voxpipe.actors.chunk_queue import ChunkQueue
from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.session import Ending, Joint, LiveSession
from voxpipe.actors.sink import CallLog
from voxpipe.actors.tools import ToolRunner
from voxpipe.audio import NS_PER_S, FormatPair
from voxpipe.config import Config
from voxpipe.errors import AckTimeout, CommandRefused, FormatMismatch, SessionError
from voxpipe.sansio.call_timer import CallTimer
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.ledger import CutPoint
from voxpipe.sansio.pending import SessionTimeouts
from voxpipe.sansio.realtime import DrainRequested, Event, LegEnded, PlayoutFinished, TalkPressed
from voxpipe.sansio.session import Session
from voxpipe.sansio.session_statistics import AppendStatistics, SessionStatistics


class Conversation:
    """The sessions of one leg, one after the other. ``converse`` runs them; the rest may be called meanwhile."""

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
        self._dialect = dialect
        self._config = config
        self._start_ns = now_ns()
        self._log = log
        self._joint = Joint(
            dialect=dialect,
            provider=config.provider,
            access=access,
            log=log,
            appends=appends,
            downlink=downlink,
            cut=cut,
            tools=tools,
        )
        self._agreed = formats
        self._requested: list[str] = []
        self._following: FormatPair | None = None
        self._wanted = True
        self.ended: OneShot[Ending] = OneShot()
        self._can_ask = trio.Event()
        self._earlier: SessionStatistics | None = None
        self._serving = self._make(FormatPair.parse(config.provider.formats[0]))

    @property
    def appended(self) -> AppendStatistics:
        """The caller audio that went out, in all sessions."""
        return self._joint.appended

    @property
    def commands_peak(self) -> int:
        """How many commands waited at most."""
        return self._serving.commands_peak

    @property
    def requested(self) -> tuple[str, ...]:
        """The formats asked for, in the order in which they were tried."""
        return tuple(self._requested)

    def statistics(self) -> SessionStatistics:
        """Tell what the sessions did so far: the counts of all, the state of the latest."""
        latest = self._serving.machine.statistics()
        return latest if self._earlier is None else latest.after(self._earlier)

    def end(self, reason: str) -> None:
        """Take note that the caller is gone."""
        self._wanted = False
        self.feed(LegEnded(reason))

    def drain(self, reason: str, *, to_the_end: bool = False) -> None:
        """Finish the running answer, then close; ``to_the_end``: however long it takes to be played."""
        self._wanted = False
        self.feed(DrainRequested(reason, to_the_end))

    def press_to_talk(self, *, agent_speaks: bool) -> None:
        """Take note that the caller pressed the key to talk."""
        self.feed(TalkPressed(agent_speaks))

    def played(self) -> None:
        """Take note that the caller has heard all that waited."""
        self.feed(PlayoutFinished())

    def feed(self, event: Event) -> None:
        """Tell the session that serves the leg what happened on our side."""
        self._serving.feed(event)

    async def request(self, make: Callable[[int], Event]) -> None:
        """Feed an event with a ticket once the session is ready, and wait for what becomes of it.

        Raises what refused it, or ``SessionError`` when the session is over or draining.
        """
        await self._can_ask.wait()
        machine = self._serving.machine
        if not machine.accepts_requests:
            raise SessionError(f"expected the session to go on, got it {machine.state.name.lower()}")
        await self._joint.tickets.wait(lambda ticket: self.feed(make(ticket)))

    async def converse(self) -> Ending:
        """Run sessions until one ends that is not to be tried again with the next formats of the list.

        Owns its end of ``appends``. Never waits on the playout.
        """
        ending = Ending("cancelled")
        try:
            async with self._joint.appends:
                ending = await self._try_formats()
        finally:
            self.ended.set(ending)
            self._can_ask.set()
            self._joint.tickets.end()
        return ending

    async def _try_formats(self) -> Ending:
        preferences = [FormatPair.parse(name) for name in self._config.provider.formats]
        for formats, following in zip(preferences, [*preferences[1:], None], strict=True):
            if self._requested:
                self._earlier = self.statistics()
                self._serving = self._make(formats)
            self._requested.append(str(formats))
            self._following = following
            ending = await self._serving.run()
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

    def _make(self, formats: FormatPair) -> LiveSession:
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
        timer = CallTimer(self._config.leg, self._start_ns, self._config.session.turn_detection)
        machine = Session(
            self._dialect, self._config.session, formats, timeouts, timer=timer, tools=self._joint.tools.schemas
        )
        return LiveSession(self._joint, machine, formats, on_ready=self._note_ready, on_ended=self._note_end)

    def _note_ready(self, session: LiveSession) -> None:
        self._agreed.set(session.formats)
        self._can_ask.set()

    def _note_end(self, _session: LiveSession, ending: Ending) -> None:
        if self._following is None or not self._another_format_may_help(ending):
            self.ended.set(ending)
