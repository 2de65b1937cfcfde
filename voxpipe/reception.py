"""Where calls are announced before they come and asked about after their end: the book, with a clock and a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import trio

from voxpipe.actors.monotonic import now_ns, sleep_until_ns
from voxpipe.audio import NS_PER_S
from voxpipe.config import Config
from voxpipe.context import Book, Ended, LegContext, NotNow, Stage, prepare
from voxpipe.errors import ConfigError
from voxpipe.leg import LegOutcome
from voxpipe.sansio.records import REDACTED


class Reception:
    """Owns the book of one gateway. Only ``outcome``, ``settle`` and ``expire`` wait.

    ``record`` writes into the gateway's log; an announcement may allow some of the ``known_tools``.
    """

    def __init__(
        self,
        config: Config,
        record: Callable[[str, dict[str, Any]], None],
        known_tools: frozenset[str] = frozenset(),
    ) -> None:
        self._known_tools = known_tools
        self._config = config
        self._record = record
        self._book = Book(config.context)
        self._changed = trio.Event()

    @property
    def expects_calls(self) -> bool:
        """Whether announced calls have not come yet."""
        return len(self._book) > 0

    def announce(self, uuid: UUID, tree: Mapping[str, Any]) -> bool:
        """Take a call's context (see ``context.Announcement``); tell whether it replaces one.

        Raises ``ConfigError`` for a key that does not fit and ``NotNow`` when the call has begun or there is no room.
        """
        self._expire()
        try:
            replaced = self._book.announce(uuid, prepare(tree, self._config, self._known_tools), now_ns())
        except (ConfigError, NotNow) as error:
            self.note_refusal(uuid, error)
            raise
        expires_s = self._config.context.expires_s
        data = {"uuid": str(uuid), "keys": sorted(tree), "replaced": replaced, "expires_s": expires_s}
        self._record("context.announced", data)
        self._tell()
        return replaced

    def note_refusal(self, uuid: UUID, error: ConfigError | NotNow) -> None:
        """Record that an announcement was refused, without what it says of the caller."""
        because, open_ = str(error), self._config.context.log_variables
        key = error.path.partition(".")[0] if isinstance(error, ConfigError) else ""
        if key in ("caller", "variables") and not open_:
            because = f"{key}: {REDACTED}"
        self._record("context.refused", {"uuid": str(uuid), "because": because})

    def why_unannounced(self, uuid: UUID) -> str:
        """Give the reason to refuse a call, when only announced ones may come and this one is not."""
        if not self._config.context.announced_only or self._book.is_announced(uuid, now_ns()):
            return ""
        return f"expected an announced call, got {uuid}"

    def begin(self, uuid: UUID) -> LegContext | None:
        """Use up the context of a call that begins; each ``begin`` has its ``end``."""
        return self._book.begin(uuid, now_ns())

    def refuse(self, uuid: UUID, because: str) -> None:
        """Keep that a call was refused."""
        self._book.refuse(uuid, because, now_ns())
        self._tell()

    def end(self, uuid: UUID, ended: Ended) -> None:
        """Keep how a call ended."""
        self._expire()
        self._book.end(uuid, ended, now_ns())
        self._tell()

    async def outcome(self, uuid: UUID, wait_s: float = 0) -> tuple[Stage, Ended | None]:
        """Tell where a call is and how it ended, waiting so long for its end."""
        with trio.move_on_after(wait_s):
            while self._book.look_up(uuid, now_ns())[0] in (Stage.ANNOUNCED, Stage.RUNNING):
                await self._changed.wait()
        found = self._book.look_up(uuid, now_ns())
        if found[0] is Stage.ENDED:
            self._tell()
        return found

    async def settle(self, timeout_s: float) -> None:
        """Wait until the announced calls that have just ended have been asked about, so long at most."""
        since_ns = now_ns() - round(timeout_s * NS_PER_S)
        with trio.move_on_after(timeout_s):
            while self._book.unasked(since_ns):
                await self._changed.wait()

    async def expire(self) -> None:
        """Record each announcement whose call does not come, when it expires. Ends when cancelled."""
        while True:
            due_ns, changed = self._book.next_expiry_ns, self._changed
            async with trio.open_nursery() as nursery:
                if due_ns is not None:
                    nursery.start_soon(_cancel_at, due_ns, nursery.cancel_scope)
                await changed.wait()
                nursery.cancel_scope.cancel()
            self._expire()

    def _expire(self) -> None:
        for uuid in self._book.expire(now_ns()):
            self._record("context.expired", {"uuid": str(uuid)})
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


async def _cancel_at(deadline_ns: int, scope: trio.CancelScope) -> None:
    await sleep_until_ns(deadline_ns)
    scope.cancel()


def ended_of(outcome: LegOutcome) -> Ended:
    """Tell a leg's outcome as a dialplan asks for it."""
    return Ended(
        "completed" if outcome.error is None else "failed",
        outcome.reason,
        "" if outcome.error is None else type(outcome.error).__name__,
        float(outcome.summary.get("duration_s", 0.0)),
        "" if outcome.log is None else outcome.log.name,
        outcome.next or "",
    )
