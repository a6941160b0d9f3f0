/* Theorem 1 written out by hand: the forward pass of every sequence, all logits, the first largest one.

   gcc -O3 -march=native -ffp-contract=off -shared -fPIC c_engine.c -lm

   Sequences come in blocks of LANES, so that the compiler has vectors to fill. Nothing is shared between sequences: it
   is what a careful hand gets without the engine's ideas, and the yardstick of its benchmark. */

#include <math.h>
#include <stdint.h>

#define LANES 32
#define POSITIONS 64
#define TOKENS 255

/* Return how many of the sequences of ranks first..first+count-1 are not generated; -1 where a size is too large. */
long wrong_sequences(int vocab, int length, double temperature, long first, long count)
{
    if (vocab > TOKENS || length > POSITIONS) return -1;
    static float number[TOKENS], slope[TOKENS], shift[TOKENS], own[POSITIONS], other[POSITIONS];
    for (int v = 0; v < vocab; v++) {
        double y = (double)v / vocab;
        number[v] = (float)y;
        slope[v] = (float)(2.0 * y - 1.0);
        shift[v] = (float)(0.25 - y * y);
    }
    for (int i = 0; i < length; i++) { /* softmax of one score of 1 among i of 0, both heads alike */
        float leak = expf(-(float)(temperature / sqrt((double)length)));
        float sum = 1.0f;
        for (int k = 0; k < i; k++) sum += leak;
        own[i] = 1.0f / sum;
        other[i] = leak / sum;
    }
    long wrong = 0, rank = first;
    uint8_t digit[POSITIONS];
    for (int j = length - 1; j >= 0; j--) {
        digit[j] = (uint8_t)(rank % vocab);
        rank /= vocab;
    }
    for (long block = first; block < first + count; block += LANES) {
        static uint8_t token[POSITIONS][LANES];
        static float given[POSITIONS][LANES];
        long lanes = first + count - block < LANES ? first + count - block : LANES;
        for (int l = 0; l < LANES; l++) {
            for (int j = 0; j < length; j++) {
                token[j][l] = digit[j];
                given[j][l] = number[digit[j]];
            }
            for (int j = length - 1; j >= 0 && ++digit[j] == vocab; j--) digit[j] = 0;
        }
        for (int i = 0; i < length; i++) {
            float x[LANES], best[LANES];
            int chosen[LANES];
            float to_first = i ? own[i] : 1.0f; /* head "first": position 0 has score 1 */
            for (int l = 0; l < LANES; l++) x[l] = 0.0f, best[l] = -INFINITY, chosen[l] = 0;
            for (int j = 0; j < length; j++) {
                float code = j == i ? own[i] : j < i ? other[i] : 0.0f;
                for (int l = 0; l < LANES; l++) {
                    float hidden = to_first * given[j][l];
                    hidden = code + hidden;
                    hidden = hidden - 1.0f;
                    x[l] = x[l] + (hidden > 0.0f ? hidden : 0.0f);
                }
            }
            for (int v = 0; v < vocab; v++)
                for (int l = 0; l < LANES; l++) {
                    float logit = slope[v] * x[l];
                    logit = logit + shift[v];
                    int larger = logit > best[l];
                    best[l] = larger ? logit : best[l];
                    chosen[l] = larger ? v : chosen[l];
                }
            for (int l = 0; l < lanes; l++) wrong += chosen[l] != token[i][l];
        }
    }
    return wrong;
}
