"""What the rest of voxpipe uses of the compiled kernels: G.711, resampling, and both at once by format; levels.

All of it is synchronous and takes microseconds a frame. Samples are 16-bit little-endian mono; any contiguous buffer is
taken and no buffer is kept. ``reference`` has the same in plain Python.
"""

from __future__ import annotations

from voxpipe.dsp._g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from voxpipe.dsp._resample import Resampler
from voxpipe.dsp.buffer import Buffer
from voxpipe.dsp.convert import Converter
from voxpipe.dsp.diagnosis import Diagnosis, Second, Suspicion
from voxpipe.dsp.level import Level, measure_level

__all__ = [
    "Buffer",
    "Converter",
    "Diagnosis",
    "Level",
    "Resampler",
    "Second",
    "Suspicion",
    "alaw_decode",
    "alaw_encode",
    "measure_level",
    "ulaw_decode",
    "ulaw_encode",
]
