/* The inner loops of the resampler, for each instruction set worth one. README.md, "The loops", has the indices.
 *
 * A sum is always added up in the same order, whatever the sizes of chunks and registers: sums stand side by side in
 * registers, and none is split or reordered. Products are rounded before they are added (-ffp-contract=off). So a
 * stream equals a one-shot, and every path equals every other, sample for sample.
 *
 * The vectors are explicit: left alone, GCC unrolls the loop over the taps first and then finds nothing to vectorise.
 * Each path has its registers' own width, since a vector wider than that is kept in memory. */

#ifndef VOXPIPE_FIR_H
#define VOXPIPE_FIR_H

#include "pcm.h"

/* Lanes may read, but do not use, so many values less one past the last they need. */
enum { FIR_LANES = 16 };
/* A sum of `dots` has so many parts. */
#define FIR_PARTS 8

typedef float fir_quad __attribute__((vector_size(16)));
typedef float fir_quads __attribute__((vector_size(16), aligned(4), may_alias));
typedef float fir_octet __attribute__((vector_size(32)));
typedef float fir_octets __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t fir_places __attribute__((vector_size(16)));
typedef int16_t fir_four __attribute__((vector_size(8), aligned(2), may_alias));

#if defined(__clang__)
#define FIR_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define FIR_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (fir_places){__VA_ARGS__})
#endif

/* Add up the four sums of each of four outputs, first with third and second with fourth, then both; and pcm_round. */
static inline __attribute__((always_inline)) void fir_round_four(int16_t *to, const fir_quad *sums)
{
    const fir_quad ab = FIR_SHUFFLE(sums[0], sums[1], 0, 4, 1, 5) + FIR_SHUFFLE(sums[0], sums[1], 2, 6, 3, 7);
    const fir_quad cd = FIR_SHUFFLE(sums[2], sums[3], 0, 4, 1, 5) + FIR_SHUFFLE(sums[2], sums[3], 2, 6, 3, 7);
    const fir_quad totals = FIR_SHUFFLE(ab, cd, 0, 1, 4, 5) + FIR_SHUFFLE(ab, cd, 2, 3, 6, 7);
    const fir_places highest = (fir_places){0} + INT16_MAX, lowest = (fir_places){0} + INT16_MIN;
    fir_places rounded = __builtin_convertvector((totals + PCM_INTEGERS_ONLY) - PCM_INTEGERS_ONLY, fir_places);
    const fir_places over = rounded > highest;
    rounded = (rounded & ~over) | (highest & over);
    const fir_places under = rounded < lowest;
    rounded = (rounded & ~under) | (lowest & under);
    *(fir_four *)to = __builtin_convertvector(rounded, fir_four);
}

typedef struct {
    const char *name;
    /* Write `count` samples, `stride` samples apart: out[i] = sum over k of taps[k] * input[i + offsets[k]]. */
    void (*lanes)(const float *taps, const int32_t *offsets, int length, const float *input, int64_t count,
                  unsigned char *out, int64_t stride);
    /* Write `count` samples, each of another phase: the sum over k of taps[phase * length + k] * input[k], where input
     * moves on by one when `phase` passes `phases`; `length` is a multiple of FIR_PARTS. */
    void (*dots)(const float *taps, int length, const float *input, int phases, int step, int phase, int64_t count,
                 unsigned char *out);
    /* Deal samples to `streams` rows of `row` floats in turn; the first goes to place `at` of the dealt order. No
     * samples (`from` is NULL) are zeros. */
    void (*deal)(float *rows, int64_t row, int streams, int64_t at, const unsigned char *from, int64_t count);
} fir_path;

#define FIR_ENTRY(path) {#path, fir_lanes_##path, fir_dots_##path, fir_deal_##path}

/* What every machine of the architecture has: SSE2, or NEON on aarch64. 16 registers or more of 4 floats. */
#define FIR_PATH baseline
#define FIR_TARGET
#define FIR_WIDTH 4
#define FIR_BLOCK 10
#include "fir_loops.h"

#if defined(__x86_64__)

#define FIR_PATH avx2
#define FIR_TARGET __attribute__((target("avx2")))
#define FIR_WIDTH 8
#define FIR_BLOCK 10
#include "fir_loops.h"

/* 5 and 10 registers hold 80 sums, of which 160, 320, 480 and 960, the samples of a frame, are multiples. */
#define FIR_PATH avx512
#define FIR_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define FIR_WIDTH 16
#define FIR_BLOCK 5
#include "fir_loops.h"

static const fir_path FIR_PATHS[] = {FIR_ENTRY(baseline), FIR_ENTRY(avx2), FIR_ENTRY(avx512)};

static int fir_available(int path)
{
    __builtin_cpu_init();
    return path == 0 || (path == 1 && __builtin_cpu_supports("avx2")) ||
           (path == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
}

#else

static const fir_path FIR_PATHS[] = {FIR_ENTRY(baseline)};

static int fir_available(int path)
{
    return path == 0;
}

#endif

enum { FIR_PATH_COUNT = sizeof FIR_PATHS / sizeof FIR_PATHS[0] };

#endif
