"""voxpipe joins Asterisk calls (AudioSocket) to realtime speech models; start reading in ``leg.py``.

A program that embeds it needs these names; ``voxpipe.dsp`` has the audio kernels, ``voxpipe.testing`` the peers. Each
is imported when it is first asked for: Python imports this file before a command's first line could catch Ctrl-C.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxpipe.actors.leg_control import LegControl
    from voxpipe.audio import AudioFormat, FormatPair
    from voxpipe.call import Surroundings
    from voxpipe.config import Config
    from voxpipe.config_file import load_config
    from voxpipe.errors import (
        AckTimeout,
        AudioError,
        CommandRefused,
        ConfigError,
        FormatMismatch,
        LocalProtocolError,
        ProtocolError,
        RecordError,
        RemoteProtocolError,
        SessionError,
        SessionLost,
        VoxpipeError,
    )
    from voxpipe.gateway import Gateway
    from voxpipe.leg import LegOutcome, run_leg
    from voxpipe.sansio.digits import DigitEntry
    from voxpipe.sansio.records import Record
    from voxpipe.tools import Tool, ToolContext

    __version__: str

HOMES = {
    "LegControl": "actors.leg_control",
    "AudioFormat": "audio",
    "FormatPair": "audio",
    "Config": "config",
    "load_config": "config_file",
    "Gateway": "gateway",
    "LegOutcome": "leg",
    "Surroundings": "call",
    "run_leg": "leg",
    "DigitEntry": "sansio.digits",
    "Record": "sansio.records",
    "Tool": "tools",
    "ToolContext": "tools",
}
"""Where each public name is defined; those not listed are in ``errors``."""

__all__ = [
    "AckTimeout",
    "AudioError",
    "AudioFormat",
    "CommandRefused",
    "Config",
    "ConfigError",
    "DigitEntry",
    "FormatMismatch",
    "FormatPair",
    "Gateway",
    "LegControl",
    "LegOutcome",
    "LocalProtocolError",
    "ProtocolError",
    "Record",
    "RecordError",
    "RemoteProtocolError",
    "SessionError",
    "SessionLost",
    "Surroundings",
    "Tool",
    "ToolContext",
    "VoxpipeError",
    "load_config",
    "run_leg",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = importlib.import_module("importlib.metadata").version("voxpipe")
    elif name in __all__:
        value = getattr(importlib.import_module(f"voxpipe.{HOMES.get(name, 'errors')}"), name)
    else:
        raise AttributeError(f"module 'voxpipe' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
