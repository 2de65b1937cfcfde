"""What a session did, in numbers."""

from __future__ import annotations

import attrs


@attrs.frozen
class SessionStatistics:
    """What a session did so far; times in nanoseconds, audio in chunks and bytes of the provider's format."""

    state: str
    ack_ns: int | None
    chunks_played: int
    bytes_played: int
    chunks_refused: int
    bytes_refused: int
    chunks_stale: int
    bytes_stale: int
    caller_turns: int
    responses: int
    cuts: int
    truncations: int
    commands_refused: int
    commands_unanswered: int
    errors: int

    def after(self, earlier: SessionStatistics) -> SessionStatistics:
        """Add the counts of an earlier session of the same leg; state and ``ack_ns`` stay those of this one."""
        own = attrs.asdict(self, filter=lambda field, _value: field.name not in ("state", "ack_ns"))
        return attrs.evolve(self, **{name: count + getattr(earlier, name) for name, count in own.items()})


@attrs.define
class AppendStatistics:
    """Caller audio that went out, and what came too late for it."""

    chunks: int = 0
    bytes: int = 0
    unsent_chunks: int = 0


@attrs.define
class Successions:
    """How often the leg changed from one session to another."""

    renewed: int = 0
    lost: int = 0
    recovered: int = 0
