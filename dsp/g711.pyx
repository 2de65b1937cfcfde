# cython: language_level=3, freethreading_compatible=True, autotestdict=False
"""G.711 by table, the tables built at import from the rule of the Recommendation (README.md, "G.711")."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t

from voxpipe.errors import AudioError


cdef extern from "g711.h" nogil:
    void g711_decode(unsigned char *out, const unsigned char *codes, int64_t count, const short *linear)
    void g711_encode(
        unsigned char *out, const unsigned char *samples, int64_t count, const unsigned char *codes, int shift
    )


# mu-law works on 14 bits and A-law on 13, so an encoder has an entry for each value of those, not of all 16.
cdef enum:
    ULAW_SHIFT = 2
    ALAW_SHIFT = 3
    ULAW_BIAS = 33
    ULAW_LARGEST = 8158
    # Bytes from which the GIL is let go: 20 us of work and more.
    RELEASING = 65536

cdef short ulaw_linear[256]
cdef short alaw_linear[256]
cdef unsigned char ulaw_codes[65536 >> ULAW_SHIFT]
cdef unsigned char alaw_codes[65536 >> ALAW_SHIFT]


cdef int segment_of(int magnitude, int largest) noexcept:
    """Number of the segment, 0 to 7, where `largest` ends segment 0 and each next one is twice as long."""
    cdef int segment = 0
    while magnitude > largest and segment < 7:
        largest = 2 * largest + 1
        segment += 1
    return segment


cdef unsigned char ulaw_code(int linear) noexcept:
    """Code of a 14-bit value: the bias makes each segment begin at a power of two."""
    cdef int magnitude = min(abs(linear), ULAW_LARGEST) + ULAW_BIAS
    cdef int segment = segment_of(magnitude, 0x3F)
    return (segment << 4 | (magnitude >> (segment + 1) & 15)) ^ (0x7F if linear < 0 else 0xFF)


cdef unsigned char alaw_code(int linear) noexcept:
    """Code of a 13-bit value: even bits inverted, and segments 0 and 1 share a step."""
    cdef int magnitude = ~linear if linear < 0 else linear
    cdef int segment = segment_of(magnitude, 0x1F)
    return (segment << 4 | (magnitude >> max(segment, 1) & 15)) ^ (0x55 if linear < 0 else 0xD5)


cdef void fill_tables() noexcept:
    cdef int value, code, segment, magnitude
    for value in range(-(32768 >> ULAW_SHIFT), 32768 >> ULAW_SHIFT):
        ulaw_codes[value & (65535 >> ULAW_SHIFT)] = ulaw_code(value)
    for value in range(-(32768 >> ALAW_SHIFT), 32768 >> ALAW_SHIFT):
        alaw_codes[value & (65535 >> ALAW_SHIFT)] = alaw_code(value)
    for code in range(256):
        segment = (code ^ 0xFF) >> 4 & 7
        magnitude = ((2 * ((code ^ 0xFF) & 15) + ULAW_BIAS) << segment) - ULAW_BIAS
        ulaw_linear[code] = (magnitude if code & 0x80 else -magnitude) << ULAW_SHIFT
        segment = (code ^ 0x55) >> 4 & 7
        magnitude = 2 * ((code ^ 0x55) & 15) + (33 if segment else 1)
        magnitude <<= max(segment, 1) - 1
        alaw_linear[code] = (magnitude if code & 0x80 else -magnitude) << ALAW_SHIFT


fill_tables()


cdef bytes decode(data, const short *linear):
    cdef Py_buffer view
    # A frame is decoded in the time it takes to ask for a buffer, so bytes are read without asking.
    if type(data) is bytes:
        return decode_at(<const unsigned char *>PyBytes_AS_STRING(data), len(<bytes>data), linear)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return decode_at(<const unsigned char *>view.buf, view.len, linear)
    finally:
        PyBuffer_Release(&view)


cdef bytes decode_at(const unsigned char *codes, Py_ssize_t count, const short *linear):
    cdef bytes result = PyBytes_FromStringAndSize(NULL, 2 * count)
    cdef unsigned char *out = <unsigned char *>PyBytes_AS_STRING(result)
    if count < RELEASING:
        g711_decode(out, codes, count, linear)
    else:
        with nogil:
            g711_decode(out, codes, count, linear)
    return result


cdef bytes encode(data, const unsigned char *codes, int shift):
    cdef Py_buffer view
    if type(data) is bytes:
        return encode_at(<const unsigned char *>PyBytes_AS_STRING(data), len(<bytes>data), codes, shift)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return encode_at(<const unsigned char *>view.buf, view.len, codes, shift)
    finally:
        PyBuffer_Release(&view)


cdef bytes encode_at(const unsigned char *samples, Py_ssize_t size_bytes, const unsigned char *codes, int shift):
    if size_bytes % 2:
        raise AudioError(f"expected whole 16-bit samples (2 bytes each), got {size_bytes} bytes")
    cdef bytes result = PyBytes_FromStringAndSize(NULL, size_bytes // 2)
    cdef unsigned char *out = <unsigned char *>PyBytes_AS_STRING(result)
    if size_bytes < RELEASING:
        g711_encode(out, samples, size_bytes // 2, codes, shift)
    else:
        with nogil:
            g711_encode(out, samples, size_bytes // 2, codes, shift)
    return result


def ulaw_decode(data):
    """Decode mu-law codes to 16-bit samples: n bytes to 2 n."""
    return decode(data, ulaw_linear)


def alaw_decode(data):
    """Decode A-law codes to 16-bit samples: n bytes to 2 n."""
    return decode(data, alaw_linear)


def ulaw_encode(data):
    """Encode 16-bit samples to mu-law codes: 2 n bytes to n; half a sample is an AudioError."""
    return encode(data, ulaw_codes, ULAW_SHIFT)


def alaw_encode(data):
    """Encode 16-bit samples to A-law codes: 2 n bytes to n; half a sample is an AudioError."""
    return encode(data, alaw_codes, ALAW_SHIFT)
