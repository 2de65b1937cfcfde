"""A session machine for tests: literal events in, effects out."""

from __future__ import annotations

from typing import Any

from voxpipe.audio import PCM24, FormatPair
from voxpipe.config import SessionConfig
from voxpipe.dialects import get_dialect
from voxpipe.errors import SessionError
from voxpipe.sansio.effects import Effect, Fail, Note
from voxpipe.sansio.ledger import Part
from voxpipe.sansio.pending import SessionTimeouts
from voxpipe.sansio.realtime import AudioReceived, Connected, Event, SessionCreated, SessionUpdated
from voxpipe.sansio.session import Session
from voxpipe.sansio.transitions import READY

MS = 1_000_000
S = 1_000_000_000
PCM = FormatPair(PCM24, PCM24)
OK = SessionUpdated(PCM24, PCM24)
CHUNK = AudioReceived("resp_1", "item_1", 0, b"\x01\x02" * 10)
PART = Part("resp_1", "item_1", 0)


def session(config: SessionConfig | None = None, formats: FormatPair = PCM) -> Session:
    """A machine of the GA dialect with the default timeouts."""
    return Session(get_dialect("openai"), config or SessionConfig(), formats, SessionTimeouts())


def feed(machine: Session, *events: Event, now_ns: int = 0) -> list[Effect]:
    """Feed events at one instant and gather the effects, notes left out."""
    effects = [effect for event in events for effect in machine.receive(event, now_ns)]
    return [effect for effect in effects if not isinstance(effect, Note)]


def notes(effects: list[Effect]) -> list[tuple[str, dict[str, Any]]]:
    """The notes among effects."""
    return [(effect.event_type, effect.data) for effect in effects if isinstance(effect, Note)]


def ready(config: SessionConfig | None = None) -> Session:
    """A machine whose formats were confirmed at 0 ns."""
    machine = session(config)
    feed(machine, Connected(), SessionCreated("sess_1"), OK)
    assert machine.state is READY
    return machine


def failure(effects: list[Effect]) -> SessionError:
    """The error of the only effect."""
    (effect,) = effects
    assert isinstance(effect, Fail)
    return effect.error
