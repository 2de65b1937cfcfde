"""What is told of a voice that was detected on the leg itself."""

from __future__ import annotations

import attrs


@attrs.frozen
class VoiceStarted:
    """The caller's voice has started on the leg; ``agent_speaks``: while something of the agent was to be heard."""

    agent_speaks: bool


@attrs.frozen
class VoiceStopped:
    """It has stopped, after ``voice_ms`` without the silence that ended it."""

    voice_ms: int


@attrs.frozen
class HoldOver:
    """What the playout was held for has not come in time."""


VoiceEvent = VoiceStarted | VoiceStopped | HoldOver
