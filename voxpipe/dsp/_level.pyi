"""The sums a level is computed from. Built from dsp/level.pyx."""

from voxpipe.dsp.buffer import Buffer

def tally(data: Buffer) -> tuple[int, int, int, int, int]:
    """Add up 16-bit little-endian samples, exactly.

    Returns ``(samples, sum, sum of squares, peak, clipped)``: the peak is the largest magnitude (0 to 32 768), and
    clipped counts the samples at either end of the range. Half a sample is an ``AudioError``.
    """
