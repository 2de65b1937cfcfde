# cython: language_level=3, freethreading_compatible=True, autotestdict=False, auto_pickle=False
"""Streaming polyphase resampler; README.md beside this file has the mathematics and the figures."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport M_PI, sin, sqrt
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memmove, memset

cimport cython

from voxpipe import audio
from voxpipe.errors import AudioError


cdef extern from "taps.h" nogil:
    ctypedef struct taps_design:
        int source_hz, target_hz
        int phases, step
        int half
    double TAPS_BETA
    taps_design *TAPS_DESIGNS
    int TAPS_DESIGN_COUNT


cdef extern from "fir.h" nogil:
    int FIR_LANES
    int FIR_PARTS
    int FIR_PATH_COUNT
    ctypedef struct fir_path:
        const char *name
        void (*lanes)(
            const float *taps, const int32_t *offsets, int length, const float *input, int64_t count,
            unsigned char *out, int64_t stride
        ) noexcept nogil
        void (*dots)(
            const float *taps, int length, const float *input, int phases, int step, int phase, int64_t count,
            unsigned char *out
        ) noexcept nogil
        void (*deal)(
            float *rows, int64_t row, int streams, int64_t at, const unsigned char *source, int64_t count
        ) noexcept nogil
    const fir_path *FIR_PATHS
    bint fir_available(int path)


# A frame of 20 ms fills the lanes only if the ratio's terms are small; 44.1 kHz has terms of up to 640.
cdef int LARGEST_LANE_TERM = 24
# Input is worked through in pieces of a frame or more, so that the buffers have a fixed size.
cdef int SMALLEST_PIECE = 1024
cdef enum:
    CACHE_LINE = 64
    # Letting go of the GIL and taking it again costs 0.1 us alone and up to 5 ms with a busy thread: not for a frame,
    # but for a second of audio, which takes 40 us or more.
    RELEASING = 8000

cdef const fir_path *path = &FIR_PATHS[0]
_plans = {}


def paths():
    """Return the names of the instruction sets this build has loops for and this machine can run, slowest first."""
    return tuple(FIR_PATHS[i].name.decode() for i in range(FIR_PATH_COUNT) if fir_available(i))


def use_path(str name):
    """Run the loops of one instruction set from now on, in every resampler."""
    global path
    for i in range(FIR_PATH_COUNT):
        if FIR_PATHS[i].name.decode() == name and fir_available(i):
            path = &FIR_PATHS[i]
            return
    raise ValueError(f"expected {' or '.join(paths())}, got {name!r}")


def design(int source_hz, int target_hz):
    """Return (phases, step, half, beta) of the filter of a pair of rates."""
    cdef const taps_design *found = find_design(source_hz, target_hz)
    return found.phases, found.step, found.half, TAPS_BETA


cdef const taps_design *find_design(int source_hz, int target_hz) except NULL:
    cdef int i
    for i in range(TAPS_DESIGN_COUNT):
        if TAPS_DESIGNS[i].source_hz == source_hz and TAPS_DESIGNS[i].target_hz == target_hz:
            return &TAPS_DESIGNS[i]
    raise AudioError(f"expected two different rates of {rate_list()} Hz, got {source_hz} and {target_hz}")


cdef rate_list():
    return " or ".join(map(str, audio.LINEAR_RATES_HZ))


# Division as in C: every divisor below is a term of a ratio, at least 1, and the dividends are not negative.
@cython.cdivision(True)
cdef inline int64_t ceil_div(int64_t dividend, int64_t divisor) noexcept nogil:
    return (dividend + divisor - 1) / divisor


@cython.cdivision(True)
cdef double bessel_i0(double x) noexcept nogil:
    """The modified Bessel function of order 0, by its power series, until a term no longer changes the sum."""
    cdef double term = 1.0, total = 1.0
    cdef int k = 1
    while term > total * 1e-17:
        term *= (x / 2 / k) * (x / 2 / k)
        total += term
        k += 1
    return total


# What the loops read, without a Python object, so that they can run without the GIL.
cdef struct filter_plan:
    int phases, step, half
    int length
    int streams
    int64_t row
    int piece
    float *taps
    int32_t *offsets
    int *lengths


@cython.final
cdef class _Plan:
    """The taps of one pair, sorted by place; built once, then read only, and shared by all its resamplers.

    The outputs of one place in a block of `phases` have the same taps. Where lanes are used, taps that are 0 are left
    out, so each place has a count of its own.
    """

    cdef filter_plan filter
    cdef void *memory

    def __cinit__(self, int source_hz, int target_hz):
        cdef const taps_design *chosen = find_design(source_hz, target_hz)
        cdef filter_plan *plan = &self.filter
        plan.phases, plan.step, plan.half = chosen.phases, chosen.step, chosen.half
        plan.length = (2 * plan.half + plan.phases) // plan.phases
        plan.streams = plan.step
        if max(plan.phases, plan.step) > LARGEST_LANE_TERM:
            plan.streams = 1
            plan.length = (plan.length + FIR_PARTS - 1) // FIR_PARTS * FIR_PARTS
        plan.piece = max(SMALLEST_PIECE, source_hz // 50)
        # A row holds the past a sum reaches back to, a piece, one incomplete round of dealing at each end, and
        # what the lanes may read too far.
        plan.row = (plan.length + plan.piece) // plan.streams + 3 + FIR_LANES
        self.memory = PyMem_Calloc(plan.phases * plan.length * sizeof(float) + CACHE_LINE, 1)
        plan.offsets = <int32_t *>PyMem_Calloc(plan.phases * plan.length, sizeof(int32_t))
        plan.lengths = <int *>PyMem_Calloc(plan.phases, sizeof(int))
        if self.memory == NULL or plan.offsets == NULL or plan.lengths == NULL:
            raise MemoryError
        # A register of taps that lies across two lines takes twice as long to load.
        plan.taps = <float *>((<uintptr_t>self.memory + CACHE_LINE - 1) & ~<uintptr_t>(CACHE_LINE - 1))
        self.fill()

    def __dealloc__(self):
        PyMem_Free(self.memory)
        PyMem_Free(self.filter.offsets)
        PyMem_Free(self.filter.lengths)

    cdef double prototype(self, int tap):
        """One tap of the windowed sinc, from 0 to 2 * half; its zeros are exact."""
        cdef const filter_plan *plan = &self.filter
        cdef int time = tap - plan.half
        cdef int period = max(plan.phases, plan.step)
        if time == 0:
            return 1
        if time % period == 0:
            return 0
        cdef double place = <double>time / (plan.half + 1)
        cdef double angle = M_PI * time / period
        return bessel_i0(TAPS_BETA * sqrt(1 - place * place)) / bessel_i0(TAPS_BETA) * sin(angle) / angle

    cdef int fill(self) except -1:
        """The taps of each place, oldest sample first; each place adds up to 1."""
        cdef filter_plan *plan = &self.filter
        cdef int place, first, back, k, count
        cdef double total
        cdef list taps
        for place in range(plan.phases):
            first = (place * plan.step + plan.half) % plan.phases
            taps = [self.prototype(k) for k in range(first, 2 * plan.half + 1, plan.phases)]
            total = sum(taps)
            count = 0
            for k in range(len(taps) - 1, -1, -1):
                # Python's division: the oldest samples of the first outputs have negative numbers.
                back = (place * plan.step + plan.half) // plan.phases - k
                if plan.streams == plan.step:
                    if taps[k] != 0:
                        plan.taps[place * plan.length + count] = <float>(taps[k] / total)
                        plan.offsets[place * plan.length + count] = (back % plan.step) * plan.row + back // plan.step
                        count += 1
                else:
                    # By phase, with zeros before the oldest sample.
                    plan.taps[first * plan.length + plan.length - 1 - k] = <float>(taps[k] / total)
            plan.lengths[place] = count
        return 0


cdef _Plan plan_of(int source_hz, int target_hz):
    plan = _plans.get((source_hz, target_hz))
    if plan is None:
        # Two threads may both get here; both plans are the same and one is kept.
        plan = _plans.setdefault((source_hz, target_hz), _Plan(source_hz, target_hz))
    return plan


@cython.final
cdef class Resampler:
    """16-bit mono audio from one rate to another, as a stream."""

    cdef readonly int source_hz
    cdef readonly int target_hz
    cdef readonly int delay_samples
    cdef _Plan plan
    cdef const filter_plan *filter
    cdef bint busy
    cdef float *rows
    cdef int64_t origin, taken, given

    def __cinit__(self, int source_hz, int target_hz):
        for rate_hz in (source_hz, target_hz):
            if rate_hz not in audio.LINEAR_RATES_HZ:
                raise AudioError(f"expected a rate of {rate_list()} Hz, got {rate_hz}")
        self.source_hz = source_hz
        self.target_hz = target_hz
        if source_hz == target_hz:
            return
        self.plan = plan_of(source_hz, target_hz)
        self.filter = &self.plan.filter
        self.delay_samples = self.filter.half // self.filter.step
        self.rows = <float *>PyMem_Calloc(self.filter.streams * self.filter.row, sizeof(float))
        if self.rows == NULL:
            raise MemoryError
        self.start()

    def __dealloc__(self):
        PyMem_Free(self.rows)

    @property
    def delay_s(self):
        """Group delay in seconds."""
        return self.delay_samples / self.target_hz

    def process(self, data):
        """Take samples and return all that can be computed from what was taken so far."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if view.len % 2:
                raise AudioError(f"expected whole 16-bit samples (2 bytes each), got {view.len} bytes")
            if self.plan is None:
                return data if type(data) is bytes else PyBytes_FromStringAndSize(<char *>view.buf, view.len)
            with cython.critical_section(self):
                self.claim()
                try:
                    return self.push(<const unsigned char *>view.buf, view.len // 2)
                finally:
                    self.busy = False
        finally:
            PyBuffer_Release(&view)

    def flush(self):
        """Return the samples still owed, as if silence followed, and reset."""
        if self.plan is None:
            return b""
        with cython.critical_section(self):
            self.claim()
            try:
                tail = self.drain()
            finally:
                self.busy = False
            self.start()
        return tail

    def reset(self):
        """Forget the stream; the next sample is the first."""
        if self.plan is not None:
            with cython.critical_section(self):
                self.claim()
                self.start()
                self.busy = False

    cdef int claim(self) except -1:
        """A long chunk is worked through without the GIL, and no other thread may meanwhile touch the stream."""
        if self.busy:
            raise RuntimeError("expected one thread at a time in a stream, got another while a chunk was worked through")
        self.busy = True
        return 0

    cdef void start(self) noexcept nogil:
        """As new: silence before the first sample."""
        self.taken = 0
        self.given = 0
        self.origin = self.needed_from(0)
        memset(self.rows, 0, self.filter.streams * self.filter.row * sizeof(float))

    # Division as in C, after the sign was taken care of: `streams` is at least 1.
    @cython.cdivision(True)
    cdef int64_t needed_from(self, int64_t output) noexcept nogil:
        """The oldest input sample an output needs, rounded down to a whole round of dealing."""
        cdef const filter_plan *plan = self.filter
        cdef int64_t oldest = (output * plan.step + plan.half) / plan.phases - (plan.length - 1)
        if oldest < 0:
            return -ceil_div(-oldest, plan.streams) * plan.streams
        return oldest / plan.streams * plan.streams

    cdef int64_t ready(self, int64_t taken) noexcept nogil:
        """Count the outputs which so many input samples suffice for."""
        cdef int64_t outputs = ceil_div(taken * self.filter.phases, self.filter.step) - self.delay_samples
        return outputs if outputs > 0 else 0

    cdef bytes push(self, const unsigned char *samples, Py_ssize_t count):
        cdef int64_t outputs = self.ready(self.taken + count) - self.given
        cdef bytes result = PyBytes_FromStringAndSize(NULL, 2 * outputs)
        cdef unsigned char *out = <unsigned char *>PyBytes_AS_STRING(result)
        if count < RELEASING:
            self.run(samples, count, out, self.given + outputs)
        else:
            with nogil:
                self.run(samples, count, out, self.given + outputs)
        return result

    cdef bytes drain(self):
        cdef int64_t total = ceil_div(self.taken * self.filter.phases, self.filter.step)
        cdef bytes result = PyBytes_FromStringAndSize(NULL, 2 * (total - self.given))
        self.run(NULL, ceil_div(self.filter.half, self.filter.phases), <unsigned char *>PyBytes_AS_STRING(result), total)
        return result

    cdef void run(self, const unsigned char *samples, int64_t count, unsigned char *out, int64_t last) noexcept nogil:
        """Take `count` samples (zeros, if `samples` is NULL) and write the outputs that follow, up to `last`."""
        cdef const filter_plan *plan = self.filter
        cdef int64_t piece, until
        while count > 0:
            piece = min(count, plan.piece)
            path.deal(self.rows, plan.row, plan.streams, self.taken - self.origin, samples, piece)
            self.taken += piece
            until = min(self.ready(self.taken), last)
            if until > self.given:
                if plan.streams == plan.step:
                    self.run_lanes(out, until)
                else:
                    self.run_dots(out, until)
                out += 2 * (until - self.given)
                self.given = until
            self.forget()
            if samples != NULL:
                samples += 2 * piece
            count -= piece

    # Division as in C: `phases` is at least 1 and outputs are counted from 0. No Python object is indexed: the counts
    # that bound the pointers are those `row` was sized for.
    @cython.cdivision(True)
    cdef void run_lanes(self, unsigned char *out, int64_t until) noexcept nogil:
        """Outputs of the same place in a block of `phases` have the same taps: one run of lanes for each place."""
        cdef const filter_plan *plan = self.filter
        cdef int64_t first, place, block
        for first in range(self.given, min(until, self.given + plan.phases)):
            place = first % plan.phases
            block = first / plan.phases - self.origin / plan.step
            path.lanes(
                plan.taps + place * plan.length,
                plan.offsets + place * plan.length,
                plan.lengths[place],
                self.rows + block,
                ceil_div(until - first, plan.phases),
                out + 2 * (first - self.given),
                plan.phases,
            )

    # As above.
    @cython.cdivision(True)
    cdef void run_dots(self, unsigned char *out, int64_t until) noexcept nogil:
        """One output after the other, each of the next phase."""
        cdef const filter_plan *plan = self.filter
        cdef int64_t at = self.given * plan.step + plan.half
        path.dots(
            plan.taps,
            plan.length,
            self.rows + (at / plan.phases - (plan.length - 1) - self.origin),
            plan.phases,
            plan.step,
            at % plan.phases,
            until - self.given,
            out,
        )

    # Division as in C: both dividends are multiples of `streams` or not negative.
    @cython.cdivision(True)
    cdef void forget(self) noexcept nogil:
        """Move what later outputs still need to the front of the rows."""
        cdef const filter_plan *plan = self.filter
        cdef int64_t origin = self.needed_from(self.given)
        cdef int64_t gone = (origin - self.origin) / plan.streams
        cdef int64_t kept = ceil_div(self.taken - origin, plan.streams)
        cdef int stream
        if gone == 0:
            return
        for stream in range(plan.streams):
            memmove(
                self.rows + stream * plan.row, self.rows + stream * plan.row + gone, max(kept, 0) * sizeof(float)
            )
        self.origin = origin


use_path(paths()[-1])
