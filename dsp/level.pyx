# cython: language_level=3, freethreading_compatible=True, autotestdict=False
"""The sums a level is computed from, in one pass and in whole numbers, so that they are exact."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t

from voxpipe.errors import AudioError


cdef extern from "pcm.h" nogil:
    short pcm_load(const unsigned char *at)


def tally(data):
    """Return (samples, sum, sum of squares, peak magnitude, clipped samples) of 16-bit samples."""
    cdef Py_buffer view
    cdef Py_ssize_t i, count
    cdef const unsigned char *samples
    cdef int sample
    cdef int lowest = 0, highest = 0
    cdef int64_t total = 0, squares = 0, clipped = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if view.len % 2:
            raise AudioError(f"expected whole 16-bit samples (2 bytes each), got {view.len} bytes")
        count = view.len // 2
        samples = <const unsigned char *>view.buf
        for i in range(count):
            sample = pcm_load(samples + 2 * i)
            total += sample
            # 2^33 samples of full scale, 12 hours at 192 kHz, before 63 bits are full.
            squares += sample * sample
            lowest = min(lowest, sample)
            highest = max(highest, sample)
            clipped += sample == 32767 or sample == -32768
    finally:
        PyBuffer_Release(&view)
    return count, total, squares, max(highest, -lowest), clipped
