"""How the sessions of one leg are made: each with a machine of its own, all from one configuration."""

from __future__ import annotations

import attrs

from voxpipe.audio import NS_PER_S, FormatPair
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
                round(provider.session_limit_s * NS_PER_S),
                round(provider.renew_before_s * NS_PER_S),
            ),
            timer=CallTimer(self.config.leg, self.start_ns, session.turn_detection),
            tools=self.tools,
            stands_by=successor_of is not None,
            voice=self.config.voice,
        )

    def other_formats_may_help(self, error: SessionError | None) -> bool:
        """Tell whether a session that ended so may do better with other formats."""
        if isinstance(error, CommandRefused):
            return error.code not in self.dialect.fatal_codes
        return isinstance(error, FormatMismatch | AckTimeout)
