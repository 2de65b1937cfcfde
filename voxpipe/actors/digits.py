"""The caller's keypad: digits become entries, and entries reach the conversation, or the tool that waits for one.

The reader of the leg must never wait, so ``press`` does not; what it completes goes into the channel ``entries``, from
which it reaches the session as soon as one is ready. While a tool asks, the next entry is the tool's, begun with
what was pressed before it asked; a tool that is cancelled leaves what it was given to the conversation.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import attrs
import trio

from voxpipe.actors.conversation import Conversation
from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.one_shot import OneShot
from voxpipe.actors.sink import CallLog
from voxpipe.audio import NS_PER_S
from voxpipe.digits_config import DigitsConfig
from voxpipe.errors import SessionError
from voxpipe.sansio.digit_words import DigitPressed, DigitsEntered
from voxpipe.sansio.digits import Collector, DigitEntry, EntryRules, EntryWish
from voxpipe.sansio.records import REDACTED

ENTRIES_CAPACITY = 16
UNASKED, LEG_ENDED = "nobody asked for them", "the leg ended"
LISTEN_EVERY_S = 0.5
"""How often a tool that waits for the first digit looks whether the agent is still heard."""


@attrs.define
class KeypadStatistics:
    """What became of the digits of one leg."""

    entries: int = 0
    unsent_digits: int = 0


class Keypad:
    """The keypad of one leg. ``press`` never waits; ``run`` minds the pauses and hands entries over."""

    def __init__(
        self,
        config: DigitsConfig,
        log: CallLog,
        *,
        conversation: Callable[[], Conversation],
        agent_speaks: Callable[[], bool],
    ) -> None:
        self.statistics = KeypadStatistics()
        self._config = config
        self._log = log
        self._conversation = conversation
        self._agent_speaks = agent_speaks
        self._rules = EntryRules.unasked(config)
        self._collector = Collector(self._rules)
        self._to_text = config.to == "text"
        self._asking = trio.Lock()
        self._asked: OneShot[DigitEntry] | None = None
        self._held: DigitEntry | None = None
        self._items = 0
        self._rescheduled = trio.Event()
        self._complete, self._entries = trio.open_memory_channel[DigitEntry](ENTRIES_CAPACITY)

    @property
    def entries_peak(self) -> int:
        """How many entries waited for the session at most."""
        return self._entries.statistics().peak_buffer_used

    def press(self, digit: str) -> None:
        """Take a digit. It silences the agent if that is configured and somebody wants it."""
        if not self._to_text and self._asked is None:
            return
        if not self._collector.trails(digit, now_ns()):
            self._conversation().feed(DigitPressed(self._config.interrupt))
        self._take(self._collector.note(digit, now_ns()))

    async def ask(self, wish: EntryWish) -> DigitEntry:
        """Wait for an entry; who asks meanwhile is next. ``ValueError`` for a wish beyond what is possible."""
        rules = EntryRules.asked(self._config, wish)
        async with self._asking:
            self._asked = reply = OneShot[DigitEntry]()
            self._take(self._collector.change(rules, now_ns()))
            try:
                while reply.value is None:
                    with trio.move_on_after(LISTEN_EVERY_S):
                        await reply.get()
                    if self._agent_speaks():
                        self._postpone()
            except trio.Cancelled:
                self._give_back(reply)
                raise
        return reply.value

    async def run(self) -> None:
        """Hand entries over as they are complete. Ends when cancelled. Never waits on the playout."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            async for entry in self._entries:
                self._held = entry
                await self._send(entry)

    def close(self) -> None:
        """Take note that the leg is over: what was not sent is recorded."""
        self._lose_held(LEG_ENDED)
        with suppress(trio.WouldBlock):
            while True:
                self._lose_entry(self._entries.receive_nowait(), LEG_ENDED)
        self._lose(self._collector.clear(), LEG_ENDED)

    async def _watch(self) -> None:
        while True:
            deadline_ns = self._collector.deadline_ns
            self._rescheduled = trio.Event()
            if deadline_ns is None:
                await self._rescheduled.wait()
                continue
            with trio.move_on_at(deadline_ns / NS_PER_S) as scope:
                await self._rescheduled.wait()
            if not scope.cancelled_caught:
                continue
            if not self._collector.waiting_digits and self._agent_speaks():
                self._postpone()
                continue
            # A deadline in float seconds may come back a nanosecond early.
            entry = self._collector.expire(max(now_ns(), deadline_ns))
            self._take([] if entry is None else [entry])

    async def _send(self, entry: DigitEntry) -> None:
        self._items += 1
        item_id = f"vx_digits_{self._items}"

        def make(ticket: int) -> DigitsEntered:
            self._held = None
            return DigitsEntered(item_id, self._text(entry), ticket)

        try:
            await self._conversation().request(make)
        except SessionError as error:  # if it was sent, what became of the command is in the log already
            self._lose_held(str(error) if self._conversation().ended.value is None else LEG_ENDED)

    def _text(self, entry: DigitEntry) -> str:
        return self._config.text.replace("{digits}", entry.digits or self._config.terminator)

    def _take(self, entries: list[DigitEntry]) -> None:
        changes = False
        for entry in entries:
            asked, self._asked = self._asked, None
            changes = changes or asked is not None
            self._note(entry, "tool" if asked is not None else "text")
            if asked is not None:
                asked.set(entry)
            else:
                self._queue(entry)
        if changes:
            self._listen_unasked()
        self._rescheduled.set()

    def _listen_unasked(self) -> None:
        self._take(self._collector.change(self._rules, now_ns()))
        if not self._to_text:
            self._lose(self._collector.clear(), UNASKED)

    def _give_back(self, reply: OneShot[DigitEntry]) -> None:
        """The task that asked was cancelled: what it was given, or would have been, is the conversation's."""
        if reply.value is not None:
            self._queue(reply.value)
        else:
            self._asked = None
            self._listen_unasked()

    def _queue(self, entry: DigitEntry) -> None:
        if not entry.digits and entry.because == "pause":
            return
        if not self._to_text:
            self._lose_entry(entry, UNASKED)
            return
        try:
            self._complete.send_nowait(entry)
        except trio.WouldBlock:
            self._lose_entry(entry, f"{ENTRIES_CAPACITY} entries wait already")

    def _note(self, entry: DigitEntry, to: str) -> None:
        self.statistics.entries += 1
        if not self._config.log:
            self._log.conceal(entry.concealed(self._text(entry), entry.words))
        digits = entry.digits if self._config.log else REDACTED
        data = {"digits": digits, "count": len(entry.digits), "because": entry.because, "to": to}
        self._log.record("digits.entered", data)

    def _lose_held(self, because: str) -> None:
        if self._held is not None:
            self._lose_entry(self._held, because)
            self._held = None

    def _lose_entry(self, entry: DigitEntry, because: str) -> None:
        self._lose(max(1, len(entry.digits)), because)  # a terminator alone is a digit too

    def _lose(self, count: int, because: str) -> None:
        if count:
            self.statistics.unsent_digits += count
            self._log.record("digits.unsent", {"count": count, "because": because})

    def _postpone(self) -> None:
        self._collector.postpone(now_ns())
        self._rescheduled.set()
