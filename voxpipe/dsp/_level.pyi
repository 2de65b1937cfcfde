"""Exact sums over samples, for levels and suspicions. Built from dsp/level.pyx; used through ``voxpipe.dsp``."""

from typing import final

from voxpipe.dsp.buffer import Buffer

_Sums = tuple[int, int, int, int, int, int]

def tally(data: Buffer) -> _Sums:
    """Add up 16-bit little-endian samples, exactly.

    Returns ``(samples, sum, sum of squares, peak, clipped, longest run of zeros)``: the peak is the largest magnitude
    (0 to 32 768), and clipped counts the samples at either end of the range. Half a sample is an ``AudioError``.
    """

def correlate(data: Buffer, reading: str) -> tuple[int, int, int, int]:
    """Read bytes as ``slin``, ``byte-swapped``, ``ulaw`` or ``alaw``, whatever they are said to be.

    Returns ``(samples, sum, sum of squares, sum of products of neighbours)`` of at most 4 096 samples; half a sample at
    the end is left out. Another name is a ``ValueError``.
    """

@final
class Meter:
    """Exact sums over a stream of 16-bit samples, as a whole and by slices of equal length."""

    def __new__(cls, slice_samples: int) -> Meter: ...
    @property
    def slice_samples(self) -> int:
        """Samples in a slice."""
    def add(self, data: Buffer) -> int:
        """Take samples; return how many slices are complete since the last ``take``.

        Beyond 128 slices the last one takes the rest. Half a sample is an ``AudioError``, and nothing is taken.
        """
    def take(self) -> tuple[_Sums, list[int], list[int]]:
        """Return the sums as ``tally`` gives them and, of each complete slice, the sum of squares and that of products
        of neighbours; begin anew, but for the slice that is not complete."""
