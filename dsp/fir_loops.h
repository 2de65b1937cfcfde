/* The loops of fir.h for one instruction set; fir.h includes this once for each, with
 *
 *     FIR_PATH    its name
 *     FIR_TARGET  what lets the compiler use it
 *     FIR_WIDTH   floats in a register
 *     FIR_BLOCK   registers of sums side by side: enough to hide the latency of an addition, few enough to stay there
 */

#define FIR_PASTE(name, path) name##_##path
#define FIR_EXPAND(name, path) FIR_PASTE(name, path)
#define FIR_NAME(name) FIR_EXPAND(name, FIR_PATH)
#define floats FIR_NAME(fir_floats)
#define integers FIR_NAME(fir_integers)
#define samples FIR_NAME(fir_samples)

/* At any address. */
typedef float floats __attribute__((vector_size(4 * FIR_WIDTH), aligned(4), may_alias));
typedef int32_t integers __attribute__((vector_size(4 * FIR_WIDTH)));
typedef int16_t samples __attribute__((vector_size(2 * FIR_WIDTH), aligned(2), may_alias));

/* pcm_round of each lane. */
FIR_TARGET static inline void FIR_NAME(fir_store)(int16_t *to, const floats *sums)
{
    const integers highest = (integers){0} + INT16_MAX, lowest = (integers){0} + INT16_MIN;
    integers rounded = __builtin_convertvector((*sums + PCM_INTEGERS_ONLY) - PCM_INTEGERS_ONLY, integers);
    const integers over = rounded > highest;
    rounded = (rounded & ~over) | (highest & over);
    const integers under = rounded < lowest;
    rounded = (rounded & ~under) | (lowest & under);
    *(samples *)to = __builtin_convertvector(rounded, samples);
}

/* So many registers of sums side by side: to[i] = sum over k of taps[k] * input[offsets[k] + i]. */
#define FIR_SUM(registers)                                                                                             \
    do {                                                                                                               \
        floats sums[registers];                                                                                        \
        for (int r = 0; r < (registers); r++)                                                                          \
            sums[r] = (floats){0};                                                                                     \
        for (int k = 0; k < length; k++) {                                                                             \
            const float *lane = input + offsets[k];                                                                    \
            for (int r = 0; r < (registers); r++)                                                                      \
                sums[r] += taps[k] * *(const floats *)(lane + FIR_WIDTH * r);                                          \
        }                                                                                                              \
        for (int r = 0; r < (registers); r++)                                                                          \
            FIR_NAME(fir_store)(rounded + FIR_WIDTH * r, &sums[r]);                                                    \
    } while (0)

FIR_TARGET static void FIR_NAME(fir_lanes)(const float *taps, const int32_t *offsets, int length, const float *input,
                                           int64_t count, unsigned char *out, int64_t stride)
{
    enum { BLOCK = FIR_WIDTH * FIR_BLOCK };
    int16_t rounded[BLOCK];
    while (count > 0) {
        int64_t ready = count < FIR_LANES ? count : FIR_LANES;
        if (count >= BLOCK) {
            FIR_SUM(FIR_BLOCK);
            ready = BLOCK;
        } else {
            FIR_SUM(FIR_LANES / FIR_WIDTH);
        }
        if (stride == 1)
            memcpy(out, rounded, 2 * ready);
        else
            for (int64_t i = 0; i < ready; i++)
                pcm_store(out + 2 * stride * i, rounded[i]);
        out += 2 * stride * ready;
        input += ready;
        count -= ready;
    }
}

/* Two rows of FIR_PARTS products side by side, in turn, so that one addition need not wait for the last; then the rows
 * are added, and the first half and the second. */
FIR_TARGET static inline fir_quad FIR_NAME(fir_fold)(const float *taps, const float *input, int length)
{
#if FIR_WIDTH < FIR_PARTS
    fir_quad even[2] = {{0}, {0}}, odd[2] = {{0}, {0}};
#define FIR_ADD(row, k)                                                                                                    row[0] += *(const fir_quads *)(taps + (k)) * *(const fir_quads *)(input + (k)),                                            row[1] += *(const fir_quads *)(taps + (k) + 4) * *(const fir_quads *)(input + (k) + 4)
#else
    fir_octet even[1] = {{0}}, odd[1] = {{0}};
#define FIR_ADD(row, k) row[0] += *(const fir_octets *)(taps + (k)) * *(const fir_octets *)(input + (k))
#endif
    int k = 0;
    for (; k + FIR_PARTS < length; k += 2 * FIR_PARTS) {
        FIR_ADD(even, k);
        FIR_ADD(odd, k + FIR_PARTS);
    }
    if (k < length)
        FIR_ADD(even, k);
#undef FIR_ADD
#if FIR_WIDTH < FIR_PARTS
    return (even[0] + odd[0]) + (even[1] + odd[1]);
#else
    union {
        fir_octet whole;
        fir_quad halves[2];
    } sums = {.whole = even[0] + odd[0]};
    return sums.halves[0] + sums.halves[1];
#endif
}

FIR_TARGET static void FIR_NAME(fir_dots)(const float *taps, int length, const float *input, int phases, int step,
                                          int phase, int64_t count, unsigned char *out)
{
    const int whole = step / phases, part = step % phases;
    for (; count > 0; count -= 4, out += 8) {
        fir_quad folded[4];
        int16_t rounded[4];
        for (int i = 0; i < 4; i++) {
            /* Past the last output, the last one's input is read again. */
            folded[i] = FIR_NAME(fir_fold)(taps + (int64_t)phase * length, input, length);
            const int wraps = phase + part >= phases, more = i + 1 < count;
            phase += more * (part - wraps * phases);
            input += more * (whole + wraps);
        }
        fir_round_four(rounded, folded);
        if (count >= 4)
            memcpy(out, rounded, 8);
        else
            memcpy(out, rounded, 2 * count);
    }
}

FIR_TARGET static void FIR_NAME(fir_deal)(float *rows, int64_t row, int streams, int64_t at, const unsigned char *from,
                                          int64_t count)
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

#undef floats
#undef integers
#undef samples
#undef FIR_SUM
#undef FIR_PASTE
#undef FIR_EXPAND
#undef FIR_NAME
#undef FIR_PATH
#undef FIR_TARGET
#undef FIR_WIDTH
#undef FIR_BLOCK
