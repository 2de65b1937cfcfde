"""How the sessions of one leg are made: each with a machine of its own, all from one configuration."""

from __future__ import annotations

import math

import attrs

from voxpipe.audio import NS_PER_MS, NS_PER_S, FormatPair
from voxpipe.config import Config
from voxpipe.errors import AckTimeout, CommandRefused, FormatMismatch, SessionError
from voxpipe.sansio.call_timer import CallTimer
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.pending import SessionTimeouts
from voxpipe.sansio.session import Session
from voxpipe.sansio.tool_words import ToolSchema


@attrs.frozen
class SessionPlan:
    """What every session of a leg that began at ``start_ns`` goes by."""

    dialect: Dialect
    config: Config
    tools: tuple[ToolSchema, ...]
    start_ns: int

    @property
    def formats(self) -> list[FormatPair]:
        """The formats to try, in order."""
        return [FormatPair.parse(name) for name in self.config.provider.formats]

    def machine(self, formats: FormatPair, *, successor_of: Session | None = None) -> Session:
        """Make the machine of a session: the first one, or one that stands by with the instructions of another.

        ``SessionError`` for a format that the dialect does not know.
        """
        for side in (formats.uplink, formats.downlink):
            if side not in self.dialect.formats:
                raise SessionError(
                    f"expected a format {self.dialect.name} knows ({', '.join(map(str, self.dialect.formats))}), "
                    f"got {side} in provider.formats"
                )
        provider, session = self.config.provider, self.config.session
        if successor_of is not None:
            session = attrs.evolve(session, instructions=successor_of.instructions)
        return Session(
            self.dialect,
            session,
            formats,
            SessionTimeouts(
                round(provider.ack_timeout_s * NS_PER_S),
                round(provider.drain_timeout_s * NS_PER_S),
                round((provider.session_limit_s or self.dialect.session_limit_s) * NS_PER_S),
                round(provider.renew_before_s * NS_PER_S),
            ),
            timer=CallTimer(self.config.leg, self.start_ns, session.turn_detection),
            tools=self.tools,
            model=provider.model or self.dialect.default_model,
            accept_silent_ack=provider.accept_silent_ack,
            stands_by=successor_of is not None,
            voice=self.config.voice,
        )

    def gap_s(self, now_ns: int) -> float:
        """Tell how long the leg may be without a session: as configured, but not beyond the end of the call."""
        left_s = self.config.leg.max_call_s - (now_ns - self.start_ns) / NS_PER_S
        return min(self.config.provider.reconnect_s, max(left_s, 0.0) if self.config.leg.max_call_s else math.inf)

    def call_is_over(self, now_ns: int) -> bool:
        """Tell whether the call has come to its limit."""
        limit_ns = round(self.config.leg.max_call_s * NS_PER_S)
        return 0 < limit_ns <= now_ns - self.start_ns + NS_PER_MS  # a deadline in float seconds may come back early

    def other_formats_may_help(self, error: SessionError | None) -> bool:
        """Tell whether a session that ended so may do better with other formats."""
        if isinstance(error, CommandRefused):
            return error.code not in self.dialect.fatal_codes
        return isinstance(error, FormatMismatch | AckTimeout)
