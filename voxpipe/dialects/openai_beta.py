"""The shape OpenAI Realtime had before GA (dialect ``openai-beta``), for compatible servers and stored logs.

OpenAI itself switched it off in May 2026 and answers ``beta_api_shape_disabled``. Names:
``openai.types.beta.realtime``.
"""

from __future__ import annotations

import attrs

from voxpipe.audio import ALAW8, PCM24, ULAW8, AudioFormat
from voxpipe.dialects.openai import (
    COMMANDS,
    EVENTS,
    INSTRUCTIONS,
    OPENAI,
    add_message,
    max_tokens,
    noise_reduction,
    tools,
    transcription,
    turn_detection,
)
from voxpipe.sansio.command_words import AddMessage, ConfigureSession, InstructSession
from voxpipe.sansio.dialect import EventSpelling, Key, Wire, overlay
from voxpipe.sansio.realtime import UNTOLD, SessionUpdated

FORMATS: dict[AudioFormat, str] = {PCM24: "pcm16", ULAW8: "g711_ulaw", ALAW8: "g711_alaw"}
NAMES: dict[str, AudioFormat] = {name: format_ for format_, name in FORMATS.items()}


def _read_format(wire: object) -> AudioFormat | str:
    return NAMES.get(str(wire), repr(wire))


def _session_update(command: ConfigureSession) -> Wire:
    session = command.session
    wire: Wire = {
        "modalities": ["audio", "text"],
        "instructions": session.instructions,
        "input_audio_format": FORMATS[command.formats.uplink],
        "output_audio_format": FORMATS[command.formats.downlink],
        "input_audio_transcription": transcription(session),
        "input_audio_noise_reduction": noise_reduction(session),
        "turn_detection": turn_detection(session.turn_detection),
        "max_response_output_tokens": max_tokens(session),
        **tools(command.tools),
    }
    optional = {"voice": session.voice, "speed": session.speed}
    wire |= {key: value for key, value in optional.items() if value}
    return {"type": "session.update", "session": overlay(wire, session.extra)}


def _instructions_update(command: InstructSession) -> Wire:
    return {"type": "session.update", "session": {"instructions": command.instructions}}


OPENAI_BETA = attrs.evolve(
    OPENAI,
    name="openai-beta",
    headers={**OPENAI.headers, "OpenAI-Beta": "realtime=v1"},
    default_model="gpt-4o-realtime-preview",
    events=EVENTS
    | {
        "session.updated": EventSpelling(
            SessionUpdated,
            {
                "uplink": Key("session.input_audio_format", _read_format, default=UNTOLD),
                "downlink": Key("session.output_audio_format", _read_format, default=UNTOLD),
                "instructions": INSTRUCTIONS,
            },
        ),
    },
    commands={
        **COMMANDS,
        ConfigureSession: _session_update,
        InstructSession: _instructions_update,
        AddMessage: add_message("text"),
    },
    format_names=FORMATS,
    unknown_keys=frozenset({"session.turn_detection.idle_timeout_ms"}),
)
