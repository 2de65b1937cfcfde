"""The keypad by itself: what no call does often enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from voxpipe.actors.conversation import Conversation
from voxpipe.actors.digits import Keypad
from voxpipe.actors.sink import CallLog, Entry
from voxpipe.digits_config import DigitsConfig
from voxpipe.sansio.digits import EntryWish


class Session:
    """A conversation that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def feed(self, event: Any) -> None:
        """Take an event."""

    async def request(self, make: Callable[[int], Any]) -> None:
        """Take an event with a ticket."""
        await trio.lowlevel.checkpoint()
        self.told.append(make(1))


@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_an_entry_completed_in_the_instant_of_a_cancellation_is_not_lost(
    autojump_clock: MockClock, cancelled_first: bool
) -> None:
    """It is the tool's where that still runs, and the conversation's where it does not: always one's, never both's."""
    send, _ = trio.open_memory_channel[Entry](100)
    log = CallLog(send, leg=None, start_ns=0, start_unix_ns=0, now_ns=lambda: 0)
    session = Session()
    keypad = Keypad(DigitsConfig(), log, conversation=lambda: cast("Conversation", session), agent_speaks=lambda: False)
    scope = trio.CancelScope()
    got: list[str] = []

    async def tool() -> None:
        with scope:
            got.append((await keypad.ask(EntryWish())).digits)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keypad.run)
        nursery.start_soon(tool)
        await trio.testing.wait_all_tasks_blocked()
        if cancelled_first:
            scope.cancel()
        keypad.press("7")
        keypad.press("#")
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert got == ([] if cancelled_first else ["7"])
    texts = [event.text for event in session.told]
    assert texts == (["The caller pressed 7 on the telephone keypad."] if cancelled_first else [])
