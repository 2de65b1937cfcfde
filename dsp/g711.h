/* G.711 by table, four samples at a time: what limits it is the number of loads and stores. */

#ifndef VOXPIPE_G711_H
#define VOXPIPE_G711_H

#include "pcm.h"

static void g711_decode(unsigned char *restrict out, const unsigned char *restrict codes, int64_t count,
                        const int16_t *restrict linear)
{
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const int16_t four[4] = {linear[codes[i]], linear[codes[i + 1]], linear[codes[i + 2]], linear[codes[i + 3]]};
        memcpy(out + 2 * i, four, sizeof four);
    }
    for (; i < count; i++)
        pcm_store(out + 2 * i, linear[codes[i]]);
}

/* A sample's upper bits, `shift` fewer than 16, are its place in `codes`. */
static void g711_encode(unsigned char *restrict out, const unsigned char *restrict samples, int64_t count,
                        const unsigned char *restrict codes, int shift)
{
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        uint16_t four[4];
        memcpy(four, samples + 2 * i, sizeof four);
        for (int k = 0; k < 4; k++)
            out[i + k] = codes[four[k] >> shift];
    }
    for (; i < count; i++)
        out[i] = codes[(uint16_t)pcm_load(samples + 2 * i) >> shift];
}

#endif
