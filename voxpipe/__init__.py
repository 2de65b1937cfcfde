"""voxpipe joins Asterisk calls (AudioSocket) to realtime speech models; start reading in ``leg.py``.

A program that embeds it needs these names; ``voxpipe.dsp`` has the audio kernels, ``voxpipe.testing`` the peers.
"""

from importlib.metadata import version

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

__version__ = version("voxpipe")

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
