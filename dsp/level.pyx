# cython: language_level=3, freethreading_compatible=True, autotestdict=False, auto_pickle=False
"""What a level, and a suspicion, are computed from: exact sums over a stream of samples."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int16_t, int64_t
from libc.string cimport memset

cimport cython

from voxpipe.dsp._g711 import alaw_decode, ulaw_decode
from voxpipe.errors import AudioError


cdef extern from "pcm.h" nogil:
    short pcm_load(const unsigned char *at)


cdef extern from "level.h" nogil:
    ctypedef struct level_sums:
        int64_t samples, total, squares, clipped
        int lowest, highest
        int64_t zero_run, longest_zero_run
    int64_t level_total(const unsigned char *at, int64_t count)
    void level_swap(int16_t *to, const unsigned char *at, int64_t count)
    void level_scan(level_sums *sums, const unsigned char *at, int64_t count)
    void level_products(const unsigned char *at, int64_t count, int16_t before, int64_t *lag, int64_t *squares)


cdef enum:
    CAPACITY = 128
    # Samples of a frame at 192 kHz, 20 ms, and a little more.
    LONGEST = 4096


def tally(data):
    """Return (samples, sum, sum of squares, peak magnitude, clipped samples, longest run of zeros) of samples."""
    meter = Meter(1)
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        meter.scan(<const unsigned char *>view.buf, whole_samples(view.len))
    finally:
        PyBuffer_Release(&view)
    return meter.sums_so_far()


cdef Py_ssize_t whole_samples(Py_ssize_t size_bytes) except -1:
    if size_bytes % 2:
        raise AudioError(f"expected whole 16-bit samples (2 bytes each), got {size_bytes} bytes")
    return size_bytes // 2


@cython.final
cdef class Meter:
    """Exact sums over a stream, and for each slice of it the sums that tell speech from other bytes."""

    cdef readonly int slice_samples
    cdef level_sums sums
    cdef int64_t slice_lag, slice_squares
    cdef int in_slice
    cdef int16_t before
    cdef int slices
    cdef int64_t lags[CAPACITY]
    cdef int64_t energies[CAPACITY]

    def __cinit__(self, int slice_samples):
        if slice_samples < 1:
            raise ValueError(f"expected a slice of at least one sample, got {slice_samples}")
        self.slice_samples = slice_samples
        self.clear()

    cdef void clear(self) noexcept:
        memset(&self.sums, 0, sizeof(self.sums))
        self.sums.lowest = 32767
        self.sums.highest = -32768
        self.slices = 0

    cdef void scan(self, const unsigned char *at, Py_ssize_t count) noexcept:
        cdef int64_t lag = 0
        level_scan(&self.sums, at, count)
        level_products(at, count, 0, &lag, &self.sums.squares)

    cdef tuple sums_so_far(self):
        cdef int peak = max(self.sums.highest, -self.sums.lowest) if self.sums.samples else 0
        return (
            self.sums.samples, self.sums.total, self.sums.squares, peak, self.sums.clipped, self.sums.longest_zero_run,
        )

    def add(self, data):
        """Take samples; return how many slices are complete. Beyond CAPACITY slices the last one takes the rest."""
        cdef Py_buffer view
        cdef const unsigned char *at
        cdef int64_t left, now
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            left = whole_samples(view.len)
            at = <const unsigned char *>view.buf
            with cython.critical_section(self):
                level_scan(&self.sums, at, left)
                while left:
                    now = min(left, self.slice_samples - self.in_slice)
                    level_products(at, now, self.before, &self.slice_lag, &self.slice_squares)
                    self.before = pcm_load(at + 2 * now - 2)
                    self.in_slice += now
                    at += 2 * now
                    left -= now
                    if self.in_slice == self.slice_samples:
                        self.end_slice()
                return self.slices
        finally:
            PyBuffer_Release(&view)

    cdef void end_slice(self) noexcept:
        cdef int index = min(self.slices, CAPACITY - 1)
        if self.slices < CAPACITY:
            self.lags[index] = self.energies[index] = 0
            self.slices += 1
        self.lags[index] += self.slice_lag
        self.energies[index] += self.slice_squares
        self.sums.squares += self.slice_squares
        self.slice_lag = self.slice_squares = 0
        self.in_slice = 0

    def take(self):
        """Return (sums as of tally, sums of squares of the slices, lag sums of the slices), and begin anew."""
        cdef int i
        with cython.critical_section(self):
            self.sums.squares += self.slice_squares
            taken = (
                self.sums_so_far(),
                [self.energies[i] for i in range(self.slices)],
                [self.lags[i] for i in range(self.slices)],
            )
            self.clear()
            self.sums.squares = -self.slice_squares
        return taken


def correlate(data, str reading):
    """Return (samples, sum, sum of squares, sum of products of neighbours) of bytes read as `reading`."""
    cdef Py_buffer view
    cdef int64_t total = 0, squares = 0, lag = 0
    cdef Py_ssize_t count
    cdef const unsigned char *at
    cdef int16_t[LONGEST] swapped
    swapped[0] = 0
    if reading == "ulaw":
        return correlate(ulaw_decode(data), "slin")
    if reading == "alaw":
        return correlate(alaw_decode(data), "slin")
    if reading not in ("slin", "byte-swapped"):
        raise ValueError(f"expected slin, byte-swapped, ulaw or alaw, got {reading!r}")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        at = <const unsigned char *>view.buf
        count = min(view.len // 2, <Py_ssize_t>LONGEST)
        if reading == "byte-swapped":
            level_swap(swapped, at, count)
            at = <const unsigned char *>swapped
        total = level_total(at, count)
        level_products(at, count, 0, &lag, &squares)
    finally:
        PyBuffer_Release(&view)
    return count, total, squares, lag
