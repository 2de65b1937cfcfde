"""What the length of a call and the silence in it bring about: the agent speaks up, is warned, and the call ends."""

from __future__ import annotations

from voxpipe.audio import NS_PER_S
from voxpipe.config import LegConfig, TurnDetectionConfig
from voxpipe.sansio.realtime import DrainRequested, LocalEvent, SpeechRequested, TurnGivenUp, WarningDue
from voxpipe.sansio.voice_words import HoldOver

WARNING = "The call ends in {:g} seconds: bring the conversation to its end now, and say goodbye."
LIMIT_REACHED = "call limit reached"
IDLE_LIMIT_REACHED = "idle limit reached"
LONGEST_TURN_NS = 20 * NS_PER_S
"""A turn whose end nobody tells is over by then: a noise that began one and led to nothing would block all requests."""


class CallTimer:
    """The deadlines of one call that began at ``start_ns``. It never asks for the time."""

    def __init__(self, config: LegConfig, start_ns: int, detection: TurnDetectionConfig | None = None) -> None:
        watched_by_provider = detection is not None and detection.idle_timeout_ms > 0
        self._idle_ns = 0 if watched_by_provider else round(config.idle_timeout_s * NS_PER_S)
        self._idle_limit = config.idle_limit
        self._idle_instructions = config.idle_instructions
        self._spoken_up = 0
        self._warning = WARNING.format(config.warn_before_end_s)
        self._idle_at_ns: int | None = None
        self._hold_at_ns: int | None = None
        self._turn_at_ns: int | None = None
        self._warn_at_ns: int | None = None
        self._end_at_ns: int | None = None
        if config.max_call_s:
            self._end_at_ns = start_ns + round(config.max_call_s * NS_PER_S)
            if config.warn_before_end_s:
                self._warn_at_ns = self._end_at_ns - round(config.warn_before_end_s * NS_PER_S)

    @property
    def watches_silence(self) -> bool:
        """Whether anything is due after so much silence."""
        return self._idle_ns > 0

    @property
    def deadline_ns(self) -> int | None:
        """When ``take_due`` must be called, at the latest."""
        deadlines = (self._hold_at_ns, self._turn_at_ns, self._idle_at_ns, self._warn_at_ns, self._end_at_ns)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def limit_ns(self) -> int | None:
        """When the call is over, whatever else is due."""
        return self._end_at_ns

    def note_silence(self, now_ns: int) -> None:
        """Take note that nobody speaks from now on."""
        if self._idle_ns:
            self._idle_at_ns = now_ns + self._idle_ns

    def note_agent(self) -> None:
        """Take note that the agent speaks, or is about to."""
        self._idle_at_ns = None

    def hold_until(self, at_ns: int | None) -> None:
        """Take note that the playout is held until then, or no more."""
        self._hold_at_ns = at_ns

    def expect_end(self, began_ns: int | None) -> None:
        """Take note that a turn of the caller's began, whose end may not be told; ``None``: it is over, or will be."""
        self._turn_at_ns = None if began_ns is None else began_ns + LONGEST_TURN_NS

    def note_caller(self) -> None:
        """Take note that the caller speaks: is still there."""
        self._idle_at_ns = None
        self._spoken_up = 0

    def postpone(self, now_ns: int) -> None:
        """Take note that somebody is there without speaking: silence that is counted counts anew."""
        self._spoken_up = 0
        if self._idle_at_ns is not None:
            self.note_silence(now_ns)

    def take_due(self, now_ns: int, *, heard: bool = True) -> list[LocalEvent]:
        """Return what is due, each once; silence counts anew when it is noted anew.

        While the agent cannot be ``heard`` yet, a warning waits: nobody could take it.
        """
        due: list[LocalEvent] = []
        if self._hold_at_ns is not None and now_ns >= self._hold_at_ns:
            self._hold_at_ns = None
            due.append(HoldOver())
        if self._turn_at_ns is not None and now_ns >= self._turn_at_ns:
            self._turn_at_ns = None
            due.append(TurnGivenUp())
        if heard and self._warn_at_ns is not None and now_ns >= self._warn_at_ns:
            self._warn_at_ns = None
            due.append(WarningDue(self._warning))
        if self._end_at_ns is not None and now_ns >= self._end_at_ns:
            self._end_at_ns = self._idle_at_ns = None
            due.append(DrainRequested(LIMIT_REACHED))
        if self._idle_at_ns is not None and now_ns >= self._idle_at_ns:
            self._idle_at_ns = None
            if self._idle_limit and self._spoken_up == self._idle_limit:
                due.append(DrainRequested(IDLE_LIMIT_REACHED))
            else:
                self._spoken_up += 1
                due.append(SpeechRequested(self._idle_instructions))
        return due
