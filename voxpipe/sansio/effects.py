"""What the session machine asks its actor to do. Effects are values; only the actor touches the world."""

from __future__ import annotations

from typing import Any

import attrs

from voxpipe.errors import SessionError
from voxpipe.sansio.command_words import Command
from voxpipe.sansio.ledger import Part


@attrs.frozen
class Send:
    """Send a command to the provider."""

    command_id: str
    command: Command


@attrs.frozen
class Play:
    """Put agent audio, in the provider's format, behind what waits for the caller."""

    part: Part
    audio: bytes = attrs.field(repr=False)
    epoch: int


@attrs.frozen
class CompletePart:
    """No more audio of a part comes."""

    part: Part
    epoch: int


@attrs.frozen
class FinishResponse:
    """No more audio of a response comes."""

    response_id: str
    epoch: int


@attrs.frozen
class CutPlayout:
    """Drop what waits for the caller, at once; answer with ``PlayoutCut``.

    ``prompts_only``: do so only where a prompt of ours is among it, and otherwise nothing at all.
    """

    prompts_only: bool = False


@attrs.frozen
class HoldPlayout:
    """Play nothing more for now, at once; what waits stays."""


@attrs.frozen
class ResumePlayout:
    """Go on with the next sample."""


@attrs.frozen
class AwaitPlayout:
    """Answer with ``PlayoutFinished`` when the caller has heard all that was sent before."""


@attrs.frozen
class Settle:
    """Tell whoever holds a ticket what became of it; ``error`` is ``None`` when it was done."""

    ticket: int
    error: SessionError | None


@attrs.frozen
class CallTool:
    """Call a tool; answer with ``ToolAnswered``, whatever becomes of it. ``arguments`` is what the model wrote."""

    call_id: str
    name: str
    arguments: str


@attrs.frozen
class CancelTools:
    """The caller speaks: cancel the running calls that are marked for it; each is answered all the same."""


@attrs.frozen
class Renew:
    """Open another session beside this one, which will come to its end."""


@attrs.frozen
class Fail:
    """The session is over, with an error."""

    error: SessionError


@attrs.frozen
class Close:
    """The session is over, in peace: close the connection."""

    reason: str


@attrs.frozen
class Note:
    """Write a record of our own."""

    event_type: str
    data: dict[str, Any]


Chunk = Play | CompletePart | FinishResponse | AwaitPlayout
"""What travels to the downlink converter, in order."""
Playing = CutPlayout | HoldPlayout | ResumePlayout
Effect = Send | Chunk | Playing | Settle | CallTool | CancelTools | Renew | Fail | Close | Note
