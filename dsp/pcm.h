/* 16-bit samples in memory: little-endian, at any address (a slice of a caller's buffer need not be even). */

#ifndef VOXPIPE_PCM_H
#define VOXPIPE_PCM_H

#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "voxpipe reads slin samples in place and needs a little-endian machine"
#endif

static inline int16_t pcm_load(const unsigned char *at)
{
    int16_t sample;
    memcpy(&sample, at, sizeof sample);
    return sample;
}

static inline void pcm_store(unsigned char *at, int16_t sample)
{
    memcpy(at, &sample, sizeof sample);
}

/* The nearest sample, ties to even; what lies beyond 16 bits is held at the last code. Adding and subtracting 1.5 * 2^23
 * leaves no room for a fraction in a float, which rounds without a call into the mathematics library. The value must lie
 * within +-2^22; the filters give at most about twice full scale. It is held as an integer: comparing floats could trap,
 * and would keep the loop from being vectorised. */
#define PCM_INTEGERS_ONLY 12582912.0f

static inline int16_t pcm_round(float value)
{
    int32_t rounded = (int32_t)((value + PCM_INTEGERS_ONLY) - PCM_INTEGERS_ONLY);
    rounded = rounded > INT16_MAX ? INT16_MAX : rounded;
    return (int16_t)(rounded < INT16_MIN ? INT16_MIN : rounded);
}

#endif
