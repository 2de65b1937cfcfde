"""G.711: one byte a sample, 8 kHz. Built from dsp/g711.pyx; bit-exact for every sample and every code.

Samples are 16-bit signed little-endian (*slin*). Each function takes any contiguous buffer, borrows it for the call
only, and keeps no state.
"""

from voxpipe.dsp.buffer import Buffer

def ulaw_decode(data: Buffer) -> bytes:
    """Decode mu-law codes to samples: n bytes to 2 n, in a range of -32 124 to 32 124."""

def alaw_decode(data: Buffer) -> bytes:
    """Decode A-law codes to samples: n bytes to 2 n, in a range of -32 256 to 32 256."""

def ulaw_encode(data: Buffer) -> bytes:
    """Encode samples to mu-law codes: 2 n bytes to n. Half a sample is an ``AudioError``."""

def alaw_encode(data: Buffer) -> bytes:
    """Encode samples to A-law codes: 2 n bytes to n. Half a sample is an ``AudioError``."""
