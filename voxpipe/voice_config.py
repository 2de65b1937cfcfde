"""The configuration's table for local voice detection."""

from __future__ import annotations

from typing import Literal

import attrs

from voxpipe.keys import between, key, zero_or


@attrs.frozen
class VoiceConfig:
    """Hearing the caller's voice on the leg itself, before the provider tells of it or where it does not."""

    detect: Literal["off", "on"] = key(
        "off",
        "on: the caller's voice is detected here, and holds the agent at once; with session.turn_detection.type none "
        "it makes the turns, too; needs voxpipe[voice]",
    )
    threshold: float = key(0.5, "how probable speech must be, 0 to 1", check=between(0, 1))
    level_dbfs: float = key(-50.0, "what is quieter is not the caller", check=between(-90, 0))
    unexplained: float = key(
        0.5,
        "the share of the caller's line, 0 to 1, that must be neither echo of the agent nor steady noise",
        check=between(0, 1),
    )
    min_speech_ms: int = key(60, "speech that starts a voice", check=between(20, 2_000))
    silence_ms: int = key(500, "silence that ends it", check=between(40, 10_000))
    resume_after_s: float = key(
        2.0,
        "an agent who was held goes on where it was when the provider hears no speech for so long, or with "
        "turn_detection.type none when no words came so long after the voice; 0: not held but cut at once",
        check=zero_or(0.1, 30),
    )
    min_words_ms: int = key(
        300, "where nothing is transcribed, a voice of such length has said words", check=between(20, 10_000)
    )
