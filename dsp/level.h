/* One pass over samples for everything a level is computed from, in whole numbers, so that it is exact. */

#ifndef VOXPIPE_LEVEL_H
#define VOXPIPE_LEVEL_H

#include "pcm.h"

typedef struct {
    int64_t samples, total, squares, clipped;
    int lowest, highest;
    int64_t zero_run, longest_zero_run; /* of samples that are exactly 0; the first is the run at the end */
} level_sums;


/* So many samples add up within 32 bits. */
enum { LEVEL_PIECE = 32768 };

/* The sum of x[i] * x[i - 1] and of x[i] * x[i], where x[-1] is `before`. */
static void level_products(const unsigned char *at, int64_t count, int16_t before, int64_t *lag, int64_t *squares)
{
    int64_t neighbours = 0, energy = 0;
    if (count) {
        const int32_t first = pcm_load(at);
        neighbours = (int64_t)first * before;
        energy = first * first;
    }
    /* Two samples are multiplied and added in 64 bits: no sum of 12 hours overflows. */
    for (int64_t i = 1; i < count; i++) {
        const int32_t here = pcm_load(at + 2 * i), there = pcm_load(at + 2 * i - 2);
        neighbours += here * there;
        energy += here * here;
    }
    *lag += neighbours;
    *squares += energy;
}

static int64_t level_total(const unsigned char *at, int64_t count)
{
    int64_t total = 0;
    for (int64_t begin = 0; begin < count; begin += LEVEL_PIECE) {
        const int64_t end = begin + LEVEL_PIECE < count ? begin + LEVEL_PIECE : count;
        int32_t piece = 0;
        for (int64_t i = begin; i < end; i++)
            piece += pcm_load(at + 2 * i);
        total += piece;
    }
    return total;
}

static void level_swap(int16_t *to, const unsigned char *at, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const uint16_t sample = (uint16_t)pcm_load(at + 2 * i);
        to[i] = (int16_t)(uint16_t)(sample << 8 | sample >> 8);
    }
}

static inline void level_zero(level_sums *sums, int16_t sample)
{
    sums->zero_run = sample ? 0 : sums->zero_run + 1;
    if (sums->zero_run > sums->longest_zero_run)
        sums->longest_zero_run = sums->zero_run;
}

/* Follow runs of zeros, four samples at a time where none of them is zero or all are. */
static void level_zeros(level_sums *sums, const unsigned char *at, int64_t count)
{
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        uint64_t four;
        memcpy(&four, at + 2 * i, sizeof four);
        /* The well-known test for a zero lane; a borrow can only mark a lane above one that is zero. */
        if (!((four - 0x0001000100010001u) & ~four & 0x8000800080008000u)) {
            sums->zero_run = 0;
        } else if (four) {
            for (int lane = 0; lane < 4; lane++)
                level_zero(sums, pcm_load(at + 2 * (i + lane)));
        } else {
            sums->zero_run += 3;
            level_zero(sums, 0);
        }
    }
    for (; i < count; i++)
        level_zero(sums, pcm_load(at + 2 * i));
}

static void level_scan(level_sums *sums, const unsigned char *at, int64_t count)
{
    int zeros = 0;
    int16_t lowest = INT16_MAX, highest = INT16_MIN;
    for (int64_t i = 0; i < count; i++) {
        const int16_t sample = pcm_load(at + 2 * i);
        lowest = sample < lowest ? sample : lowest;
        highest = sample > highest ? sample : highest;
        zeros |= sample == 0;
    }
    sums->total += level_total(at, count);
    sums->samples += count;
    if (!count)
        return;
    sums->lowest = lowest < sums->lowest ? lowest : sums->lowest;
    sums->highest = highest > sums->highest ? highest : sums->highest;
    /* Both are rare, and only then worth another look. */
    if (highest == INT16_MAX || lowest == INT16_MIN)
        for (int64_t i = 0; i < count; i++) {
            const int16_t sample = pcm_load(at + 2 * i);
            sums->clipped += sample == INT16_MAX || sample == INT16_MIN;
        }
    if (zeros)
        level_zeros(sums, at, count);
    else
        sums->zero_run = 0;
}

#endif
