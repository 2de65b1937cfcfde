/* The two inner loops of the resampler. README.md, "The filters", has the indices.
 *
 * A sum is always added up in the same order, whatever the sizes of chunks and registers: the compiler may put many sums
 * side by side, and must not reorder one. So a stream equals a one-shot, sample for sample, on every machine. */

#ifndef VOXPIPE_FIR_H
#define VOXPIPE_FIR_H

#include "pcm.h"

/* Wider registers where the machine has them, chosen by the dynamic linker (needs glibc's indirect functions). */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FIR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define FIR_CLONES
#endif

enum { FIR_LANES = 32, FIR_PARTS = 8 };

/* Write `count` samples, `stride` samples apart: out[i] = sum over k of taps[k] * input[i + offsets[k]].
 * Reads, but does not use, up to FIR_LANES - 1 values past the last one it needs. */
FIR_CLONES
static void fir_lanes(const float *taps, const int32_t *offsets, int length, const float *input, int64_t count,
                      unsigned char *out, int64_t stride)
{
    for (int64_t first = 0; first < count; first += FIR_LANES) {
        float sums[FIR_LANES] = {0};
        int16_t samples[FIR_LANES];
        for (int k = 0; k < length; k++) {
            const float tap = taps[k];
            const float *lane = input + first + offsets[k];
            for (int i = 0; i < FIR_LANES; i++)
                sums[i] += tap * lane[i];
        }
        for (int i = 0; i < FIR_LANES; i++)
            samples[i] = pcm_round(sums[i]);
        const int rest = count - first < FIR_LANES ? (int)(count - first) : FIR_LANES;
        for (int i = 0; i < rest; i++, out += 2 * stride)
            pcm_store(out, samples[i]);
    }
}

/* One sample: the sum over k of taps[k] * input[k]; `length` is a multiple of FIR_PARTS. */
FIR_CLONES
static float fir_dot(const float *taps, const float *input, int length)
{
    float parts[FIR_PARTS] = {0};
    for (int k = 0; k < length; k += FIR_PARTS)
        for (int i = 0; i < FIR_PARTS; i++)
            parts[i] += taps[k + i] * input[k + i];
    for (int half = FIR_PARTS / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            parts[i] += parts[i + half];
    return parts[0];
}

/* Deal samples to `streams` rows of `row` floats in turn; the first goes to place `at` of the dealt order.
 * No samples (`from` is NULL) are zeros. */
static void fir_deal(float *rows, int64_t row, int streams, int64_t at, const unsigned char *from, int64_t count)
{
    for (int64_t turn = 0; turn < streams && turn < count; turn++) {
        float *to = rows + (at + turn) % streams * row + (at + turn) / streams;
        if (!from)
            for (int64_t i = turn; i < count; i += streams)
                *to++ = 0.0f;
        else if (streams == 1)
            for (int64_t i = 0; i < count; i++)
                to[i] = pcm_load(from + 2 * i);
        else
            for (int64_t i = turn; i < count; i += streams)
                *to++ = pcm_load(from + 2 * i);
    }
}

#endif
