"""Public peers, as ``trio.testing`` is public: a caller, a provider, a bad network.

All of them run over any ``trio.abc.Stream``: over memory streams under ``trio.testing.MockClock`` a call of a minute
takes milliseconds.
"""

from voxpipe.testing.asterisk import CallerEvent, Speech, Voice, call
from voxpipe.testing.caller_result import CallResult
from voxpipe.testing.caller_run import CallRefused, load_speech, run_calls
from voxpipe.testing.network import Direction, Network, NetworkStream
from voxpipe.testing.provider import Provider
from voxpipe.testing.provider_evidence import Complaint, ProviderNote, ProviderSession
from voxpipe.testing.scenario import PARROT, SCENARIOS, CallTool, Scenario, Step, Trigger

__all__ = [
    "PARROT",
    "SCENARIOS",
    "CallRefused",
    "CallResult",
    "CallTool",
    "CallerEvent",
    "Complaint",
    "Direction",
    "Network",
    "NetworkStream",
    "Provider",
    "ProviderNote",
    "ProviderSession",
    "Scenario",
    "Speech",
    "Step",
    "Trigger",
    "Voice",
    "call",
    "load_speech",
    "run_calls",
]
