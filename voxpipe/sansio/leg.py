"""What a leg tells, whatever carries it. AudioSocket is the first kind of leg."""

from __future__ import annotations

from uuid import UUID

import attrs

from voxpipe.audio import AudioFormat


@attrs.frozen
class LegIdentified:
    """The leg said which call it is; always first."""

    uuid: UUID


@attrs.frozen
class LegFormatConfirmed:
    """The format of the leg's audio is proven: by its configuration and its first audio, or by that audio alone."""

    uplink: AudioFormat
    downlink: AudioFormat


@attrs.frozen
class LegAudioReceived:
    """One message of audio, as long as the peer made it."""

    audio: bytes


@attrs.frozen
class DigitReceived:
    """A DTMF digit: one of ``0-9 * # A-D``."""

    digit: str


@attrs.frozen
class LegHungUp:
    """The peer said that the call is over."""


@attrs.frozen
class LegErrorReported:
    """The peer reported an error of its own; ``flags`` names the known bits of ``code``."""

    code: int | None
    flags: tuple[str, ...]


@attrs.frozen
class UnknownKindReceived:
    """A message of a kind we do not know was skipped; told once for each kind."""

    kind: int
    length: int


LegEvent = (
    LegIdentified
    | LegFormatConfirmed
    | LegAudioReceived
    | DigitReceived
    | LegHungUp
    | LegErrorReported
    | UnknownKindReceived
)
