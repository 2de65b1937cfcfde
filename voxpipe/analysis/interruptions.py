"""Interruptions: when the agent fell silent, and whether the provider was told exactly what the caller had heard."""

from __future__ import annotations

import math

from voxpipe.analysis.events import LogEvent, count_at, dig, text_at
from voxpipe.analysis.turns import AgentTurn, Interruption
from voxpipe.audio import NS_PER_S

FLOWING_ITEMS = 64
CAUSE_NS = NS_PER_S
"""A key, or a voice that was heard here, is what a cut is for if the cut comes so soon."""


class Interruptions:
    """The interruptions of a call, oldest first."""

    def __init__(self) -> None:
        self.found: list[Interruption] = []
        self.received_ms: dict[str, float] = {}
        """By item: how much audio of it came; of the latest items."""
        self.impossible: list[tuple[str, int, float, int]] = []
        """Truncations beyond what had come: item, told, received, line."""
        self._written: dict[str, int] = {}
        self._item_id: str | None = None
        self._cut: Interruption | None = None
        self._awaited: Interruption | None = None
        self._noticed: LogEvent | None = None
        self._held: LogEvent | None = None

    def notice(self, event: LogEvent) -> None:
        """The caller pressed a key, or a voice was heard here: the agent may be cut without the provider's word."""
        self._noticed = event

    def hold(self, event: LogEvent) -> None:
        """The agent was held (``playout.held``), and so is silent before anything is cut."""
        self._held = event
        if self._noticed is None or event.t_ns - self._noticed.t_ns > CAUSE_NS:
            self._noticed = event

    def resume(self, _event: LogEvent) -> None:
        """The agent goes on where it was held."""
        self._held = self._noticed = None

    def begin(self, event: LogEvent, agent: AgentTurn | None) -> None:
        """The caller begins to speak; it is an interruption when the agent speaks."""
        self._awaited = None
        if agent is not None:
            self._awaited = Interruption(event.line_no, event.t_ns, agent.response_id)
            if agent.playout_ns is None and agent.received_ns is not None:
                self._awaited.waiting_ns = max(0, agent.received_ns + agent.audio_ns - event.t_ns)
            self.found.append(self._awaited)

    def take_audio(self, item_id: str | None, duration_ns: int | None) -> None:
        """Audio of an item came; one of unknown length makes nothing known of the item."""
        if item_id is not None and duration_ns is None:
            self.received_ms[item_id] = math.inf
        elif item_id is not None and duration_ns is not None:
            self.received_ms[item_id] = self.received_ms.get(item_id, 0.0) + duration_ns / 1e6
            while len(self.received_ms) > FLOWING_ITEMS:
                del self.received_ms[next(iter(self.received_ms))]

    def change_session(self) -> None:
        """Another session serves from now on, or none: it never had the items that came so far."""
        self.received_ms.clear()

    def take_playout(self, event: LogEvent) -> None:
        """The first frame of an item was played: what was cut before is over."""
        self._cut, self._item_id = None, text_at(event.data, "item_id")
        while len(self._written) >= FLOWING_ITEMS:
            del self._written[next(iter(self._written))]
        if self._item_id is not None:
            self._written.setdefault(self._item_id, 0)

    def take_frame(self, event: LogEvent) -> None:
        """A frame of the agent was played."""
        if self._cut is not None:
            self._cut.late_frames += 1
            self._cut.silent_ns, self._cut.silent_line = event.t_ns, event.line_no
        if self._item_id is not None:
            self._written[self._item_id] += count_at(event.data, "samples") or 0

    def finish(self, event: LogEvent) -> None:
        """What was played has come to its own end: over an interruption, if nothing was cut."""
        if self._awaited is not None:
            self._awaited.silent_ns, self._awaited.silent_line = event.t_ns, event.line_no
            self._awaited = None

    def cut(self, event: LogEvent, agent: AgentTurn | None, rate_hz: int | None) -> None:
        """What waited was dropped."""
        silent = self._held or event
        if self._awaited is None:  # a key or a voice, not the provider's word, has cut it
            noticed = self._noticed
            near = noticed is not None and silent.t_ns - noticed.t_ns <= CAUSE_NS
            began_ns = noticed.t_ns if noticed is not None and near else silent.t_ns
            self._awaited = Interruption(event.line_no, began_ns, agent.response_id if agent else None)
            self.found.append(self._awaited)
        self._cut, self._awaited, self._held, self._noticed = self._awaited, None, None, None
        self._cut.silent_ns, self._cut.silent_line = silent.t_ns, silent.line_no
        begun = dig(event.data, "begun")
        for part in begun if isinstance(begun, list) else []:
            item_id, played_ms = text_at(part, "part.item_id"), count_at(part, "played_ms")
            if item_id is None or played_ms is None:
                continue
            if item_id not in self.received_ms:
                self._cut.foreign_items.add(item_id)
            self._cut.played_ms[item_id] = self._cut.played_ms.get(item_id, 0) + played_ms
            if rate_hz and item_id in self._written:
                self._cut.written_ms[item_id] = self._written[item_id] * 1000 // rate_hz

    def take_truncation(self, event: LogEvent) -> None:
        """The provider was told how much of an item was heard."""
        item_id, told_ms = text_at(event.data, "item_id"), count_at(event.data, "audio_end_ms")
        if item_id is None or told_ms is None:
            return
        if self.found:
            self.found[-1].truncations.append((item_id, told_ms, event.line_no))
        came_ms = self.received_ms.get(item_id)
        if came_ms is not None and told_ms > came_ms + 1:
            self.impossible.append((item_id, told_ms, round(came_ms, 1), event.line_no))

    def take_confirmation(self) -> None:
        """The provider has cut an item as it was told."""
        if self.found:
            self.found[-1].confirmed += 1
