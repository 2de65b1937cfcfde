"""The conversation of one leg: which session serves it.

A session is one connection to the provider (``session.py``). This is what lasts longer: the formats that are tried in
turn, the memory of what was said, and the change from one session to another.

Succession. A session has its end (OpenAI's after 60 minutes), and a call need not have one. When renewal is due,
another session is opened beside the one that serves; it is configured and acknowledged as the first was, given the
conversation, and stands by. It takes over in a pause: nobody speaks, nothing waits to be heard, and nothing was said
that it does not know. Where no pause comes before the limit, it takes over then.

Loss. When the session that serves is lost, the leg stays up for ``provider.reconnect_s``, in which sessions are opened
until one takes over in the same way, at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import trio

from voxpipe.actors.access import Access
from voxpipe.actors.chunk_queue import ChunkQueue
from voxpipe.actors.joint import Ending, Joint
from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.retry import Retry
from voxpipe.actors.session import CARRIED_FRAMES, LiveSession
from voxpipe.actors.session_plan import SessionPlan
from voxpipe.actors.sink import CallLog
from voxpipe.actors.tools import ToolRunner
from voxpipe.audio import NS_PER_MS, NS_PER_S, PTIME_MS, FormatPair
from voxpipe.config import Config
from voxpipe.errors import SessionError, SessionLost, describe_error
from voxpipe.sansio.call_timer import LIMIT_REACHED
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.effects import AwaitPlayout
from voxpipe.sansio.ledger import CutPoint
from voxpipe.sansio.memory import Giving, Memory
from voxpipe.sansio.realtime import ConversationGiven, DrainRequested, Event, LegEnded, PlayoutFinished, TalkPressed
from voxpipe.sansio.session_statistics import AppendStatistics, SessionStatistics, Successions
from voxpipe.sansio.tool_words import After, ToolAnswered, ToolCallRequested

CARRIED_NS = CARRIED_FRAMES * PTIME_MS * NS_PER_MS


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
        cut: Callable[[int, bool], CutPoint | None],
        hold: Callable[[bool], None],
        tools: ToolRunner,
        on_lost: Callable[[], None],
    ) -> None:
        self.successions = Successions()
        self.ended: OneShot[Ending] = OneShot()
        self._config = config
        self._plan = SessionPlan(dialect, config, tools.schemas, now_ns())
        self._log = log
        self._on_lost = on_lost
        self._joint = Joint(
            dialect=dialect,
            provider=config.provider,
            access=access,
            log=log,
            appends=appends,
            downlink=downlink,
            cut=cut,
            hold=hold,
            tools=tools,
        )
        self._agreed = formats
        self.requested: list[str] = []
        """The formats asked for, in the order in which they were tried."""
        self._following: FormatPair | None = None
        self._unwanted = trio.Event()
        self._can_ask = trio.Event()
        self._memory = Memory(transcribes=bool(config.session.transcription.model))
        self.opened = 0
        self._item_numbers = itertools.count(1)
        self._earlier: SessionStatistics | None = None
        self._earlier_peak = 0
        self._successor: LiveSession | None = None
        self._giving = Giving(self._memory, str)
        self._opens = False
        self._retry = Retry()
        self._lost_ns = 0
        self._changed = trio.Event()
        self._silent = trio.Event()
        self._farewell: DrainRequested | None = None
        self._owes_words = False
        self._serving = self._make(self._plan.formats[0])

    @property
    def appended(self) -> AppendStatistics:
        """The caller audio that went out, in all sessions."""
        return self._joint.appended

    @property
    def commands_peak(self) -> int:
        """How many commands waited at most."""
        return max(self._earlier_peak, self._serving.commands_peak)

    @property
    def open_calls(self) -> tuple[str, ...]:
        """The tool calls that are not answered yet."""
        return self._memory.open_calls

    @property
    def lost(self) -> bool:
        """Whether the session that served is over, and another one is not there yet."""
        return self._serving.over.value is not None and self.ended.value is None

    def statistics(self) -> SessionStatistics:
        """Tell what the sessions did so far: the counts of all, the state of the latest."""
        latest = self._serving.machine.statistics()
        return latest if self._earlier is None else latest.after(self._earlier)

    # --- from the leg -------------------------------------------------------------------------------------------------

    def end(self, reason: str) -> None:
        """Take note that the caller is gone."""
        self._leave(LegEnded(reason))

    def drain(self, reason: str, *, to_the_end: bool = False) -> None:
        """Finish the running answer, then close; ``to_the_end``: however long it takes to be played."""
        self._leave(DrainRequested(reason, to_the_end))

    def press_to_talk(self, *, agent_speaks: bool) -> None:
        """Take note that the caller pressed the key to talk."""
        self.feed(TalkPressed(agent_speaks))

    def played(self) -> None:
        """Take note that the caller has heard all that waited."""
        self._silent.set()
        self.feed(PlayoutFinished())

    def feed(self, event: Event) -> None:
        """Tell the session that serves the leg what happened on our side."""
        if isinstance(event, ToolAnswered):
            self._memory.note(event, now_ns())  # also where no session serves
            self._owes_words = self._owes_words or (self.lost and event.after is After.REPLY)
        self._serving.feed(event)

    async def request(self, make: Callable[[int], Event], told: tuple[str, str] | None = None) -> None:
        """Feed an event with a ticket once the session is ready, and wait for what becomes of it.

        What a program asks for is ``told`` the log: a word, and the text it is about.

        Raises what refused it, or ``SessionError`` when the session is over or draining.
        """
        await self._can_ask.wait()
        while not self._can_ask.is_set():  # lost again meanwhile
            await self._can_ask.wait()
        machine = self._serving.machine
        if not machine.accepts_requests:
            raise SessionError(f"expected the session to go on, got it {machine.state.name.lower()}")
        if told is not None:
            self._log.record(f"control.{told[0]}", {"text": told[1]})
        await self._joint.tickets.wait(lambda ticket: self.feed(make(ticket)))

    def _leave(self, event: LegEnded | DrainRequested) -> None:
        self._dismiss(event.reason)
        if self.lost and isinstance(event, DrainRequested):
            self._farewell = self._farewell or event
        elif self.lost:
            self._finish(Ending(event.reason))
        self.feed(event)

    def _dismiss(self, reason: str) -> None:
        self._unwanted.set()
        self._changed.set()
        if self._successor is not None:
            self._successor.feed(LegEnded(reason))

    # --- the sessions, one after the other ----------------------------------------------------------------------------

    async def converse(self) -> Ending:
        """Run sessions until one ends that is not to be followed by another.

        Owns its end of ``appends``. Never waits on the playout.
        """
        ending = Ending("cancelled")
        try:
            async with self._joint.appends, trio.open_nursery() as self._nursery:
                ending = await self._try_formats()
                while self._recoverable(ending) and await self._recover():
                    ending = await self._outlive()
                self._finish(await self._last_words(ending))
                self._nursery.start_soon(self._discard_appends)
        finally:
            self._finish(ending)
            self._joint.tickets.end()
        return ending

    async def _try_formats(self) -> Ending:
        preferences = self._plan.formats
        for formats, following in zip(preferences, [*preferences[1:], None], strict=True):
            if self.requested:
                self._replace(self._make(formats))
            self.requested.append(str(formats))
            self._following = following
            self._nursery.start_soon(self._serving.run)
            ending = await self._outlive()
            if following is None or not self._another_format_may_help(ending):
                break
            await self._serving.closed.wait()
            if not self._another_format_may_help(ending):  # the leg has ended meanwhile
                break
            self._log.record("session.retrying", {"refused": str(formats), "next": str(following)})
        return ending

    async def _outlive(self) -> Ending:
        """Wait until a session ends that no other one took over from."""
        while True:
            session = self._serving
            ending = await session.over.get()
            if session is self._serving:
                return ending

    def _another_format_may_help(self, ending: Ending) -> bool:
        wanted = self._agreed.value is None and not self._unwanted.is_set()
        return wanted and self._plan.other_formats_may_help(ending.error)

    def _make(self, formats: FormatPair, *, successor_of: LiveSession | None = None) -> LiveSession:
        machine = self._plan.machine(formats, successor_of=None if successor_of is None else successor_of.machine)
        self.opened += 1
        return LiveSession(self._joint, machine, formats, self, number=self.opened, serves=successor_of is None)

    def _replace(self, session: LiveSession) -> None:
        self._earlier = self.statistics()
        self._earlier_peak = self.commands_peak
        self._serving = session

    async def _last_words(self, ending: Ending) -> Ending:
        """Where the call was to end and the session was lost before: have what it said heard, then end in peace."""
        leaves = self._farewell or self._leaves(ending)
        if leaves is None or self.ended.value is not None:
            return ending
        self._silent = trio.Event()
        try:
            self._joint.downlink.send_nowait(AwaitPlayout())
        except trio.WouldBlock:
            return Ending(leaves.reason)
        with trio.move_on_after(math.inf if leaves.to_the_end else self._config.provider.drain_timeout_s):
            await self._silent.wait()
        return Ending(leaves.reason)

    def _leaves(self, ending: Ending) -> DrainRequested | None:
        return self._serving.machine.leaves if isinstance(ending.error, SessionLost) else None

    def _finish(self, ending: Ending) -> None:
        self._dismiss(ending.reason)
        self.ended.set(ending)
        self._can_ask.set()
        self._retry.hurry()
        self._silent.set()

    async def _discard_appends(self) -> None:
        """Take caller audio while the session says goodbye, so that it does not pass for an overrun of the uplink."""
        async for _ in self._joint.appends:
            self.appended.unsent_chunks += 1

    # --- from one session to another ----------------------------------------------------------------------------------

    def note_ready(self, session: LiveSession) -> None:
        """Take note that the provider has confirmed the formats."""
        self._agreed.set(session.formats)
        if session is self._serving:
            self._can_ask.set()

    def note_event(self, session: LiveSession, event: Event | None) -> None:
        """Take note of what happened in a session, and see whether another may take over now."""
        if session is self._serving and event is not None:
            self._memory.note(event, now_ns())
            if isinstance(event, ToolCallRequested):
                self._memory.close_calls(session.machine.open_calls)
        if session is self._serving and session.machine.leaves and not self._unwanted.is_set():
            self._dismiss("the call ends")
        if self._limit_came and self._opens:
            self._let_wait()  # who asks now is heard by the next session
        if self._successor is not None:
            self._try_take_over(self._successor)

    def note_ending(self, session: LiveSession, ending: Ending) -> None:
        """Take note that a session is over: the leg is, unless another session follows."""
        if session is not self._serving or (self._following is not None and self._another_format_may_help(ending)):
            return
        if not self._recoverable(ending):
            if self._leaves(ending) is None:
                self.ended.set(ending)
            return
        self.successions.lost += 1
        self._lost_ns = now_ns()
        within_s = self._config.provider.reconnect_s
        lost = {"within_s": within_s, **session.machine.underway, **self._memory.lost()}
        self._log.record("session.lost", lost)
        self._let_wait()
        self._on_lost()
        self._retry.hurry()
        self.renew()

    def _let_wait(self) -> None:
        if self._can_ask.is_set():  # otherwise somebody may wait already
            self._can_ask = trio.Event()

    def renew(self) -> None:
        """Open another session, beside the one that serves or in place of one that did."""
        if not self._opens:
            self._opens = True
            self._nursery.start_soon(self._open_successor)

    @property
    def _limit_came(self) -> bool:
        """Whether the session that serves has come to its limit, without a pause before."""
        return self._serving.machine.spent and not self._unwanted.is_set()

    def _recoverable(self, ending: Ending) -> bool:
        lost = isinstance(ending.error, SessionLost) and self._agreed.value is not None
        early = self._limit_came and self._opens  # the next one is not ready yet
        return (lost or early) and not self._unwanted.is_set() and self._config.provider.reconnect_s > 0

    async def _recover(self) -> bool:
        """Keep the leg up until another session serves it; tell whether one does."""
        session = self._serving
        with trio.move_on_after(self._plan.gap_s(now_ns())):
            while not self._unwanted.is_set() and self._serving is session:
                self._changed = trio.Event()
                await self._changed.wait()
        recovered = self._serving is not session
        if not recovered and not self._unwanted.is_set() and self._plan.call_is_over(now_ns()):
            self._leave(DrainRequested(LIMIT_REACHED))
        elif not recovered and not self._unwanted.is_set():
            self._log.record("session.not_recovered", {"after_s": self._seconds_lost()})
        return recovered

    def _seconds_lost(self) -> float:
        return round((now_ns() - self._lost_ns) / NS_PER_S, 3)

    async def _open_successor(self) -> None:
        """Open sessions until one takes over, or nobody wants one any more."""
        assert self._agreed.value is not None
        self._retry = Retry()
        while not self._unwanted.is_set():
            successor = self._make(self._agreed.value, successor_of=self._serving)
            self._successor = successor
            self._giving = Giving(self._memory, lambda: f"vx_item_{next(self._item_numbers)}")
            self._retry.begin()
            self._nursery.start_soon(successor.run)
            ending = await successor.over.get()
            if self._successor is not successor:
                return  # it took over
            self._successor = None
            counts = successor.machine.statistics()
            self._earlier = counts if self._earlier is None else counts.after(self._earlier)
            if self._unwanted.is_set():
                return
            told = {"because": ending.reason} if ending.error is None else describe_error(ending.error)
            self._log.record("session.renewal_failed", {**told, "again_after_s": self._retry.pause_s})
            await self._retry.pause()

    def _try_take_over(self, successor: LiveSession) -> None:
        former = self._serving.machine
        at_once = self.lost or self._limit_came
        if not successor.machine.can_take_over:
            return
        rest = self._giving.take(now_ns(), all_=at_once)
        if rest:
            successor.feed(ConversationGiven(tuple(rest)))  # which comes back here
        elif at_once or (former.pauses(now_ns(), CARRIED_NS) and self._giving.complete(now_ns())):
            self._take_over(successor, self._serving)

    def _take_over(self, successor: LiveSession, former: LiveSession) -> None:
        lost = self.lost
        owes_words = self._owes_words and not self.open_calls
        self._successor, self._opens, self._owes_words = None, False, False
        self._replace(successor)
        successor.take_over(former, self._config.session.resume_instructions, owes_words=owes_words)
        self._memory.change_session()
        if lost:
            self.successions.recovered += 1
            self._log.record("session.recovered", {"after_s": self._seconds_lost()})
        else:
            self.successions.renewed += 1
            self._log.record("session.renewed", former.machine.underway)
        self._can_ask.set()
        self._changed.set()
