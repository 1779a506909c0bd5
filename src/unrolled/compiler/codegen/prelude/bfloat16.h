/* What packing.h leaves to the type, for bfloat16: numbers are given as float and rounded, two that follow each other
 * along k make an item, and sums are float. What is too small for a normal number counts as zero or as itself,
 * whatever the processor's own instruction does.
 */

/* A float whose high half is x rounded to nearest, ties to even; a NaN stays one. */
U_INLINE uint32_t u_rounded_bits_h(float x) {
    const uint32_t bits = u_bits_f(x), rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    return x != x ? bits | 0x400000u : rounded;
}

U_INLINE u_pair u_make_pair_h(float low, float high) {
    return (u_pair)(u_rounded_bits_h(low) >> 16 | (u_rounded_bits_h(high) & 0xffff0000u));
}

/* The K numbers of a row as pairs. */
static __attribute__((unused, noinline)) void u_round_row_h(long K, const float *restrict row, uint16_t *restrict to) {
    for (long k = 0; k < K; k++) to[k] = (uint16_t)(u_rounded_bits_h(row[k]) >> 16);
    if (K % 2) to[K] = 0;
}

/* N pairs of which two rows are the numbers; the second may be missing. */
static __attribute__((unused, noinline)) void u_pair_rows_h(long N, const float *restrict low,
                                                            const float *restrict high, u_pair *restrict to) {
    if (high)
        for (long n = 0; n < N; n++) to[n] = u_make_pair_h(low[n], high[n]);
    else
        for (long n = 0; n < N; n++) to[n] = u_make_pair_h(low[n], 0);
}

/* Pack panels [first_panel, last_panel) of b, whose element (k, n) is b[k * sk + n * sn]. */
static __attribute__((unused)) void u_pack_panels_h(long K, long N, const float *b, long sk, long sn, uint16_t *packed,
                                                    long first_panel, long last_panel) {
    enum { block = 16 }; /* items */
    u_pair buffer[u_PANEL * block];
    for (long begin = 0; begin < u_ITEMS(K); begin += block)
        for (long panel = first_panel; panel < last_panel; panel++) {
            const long first = panel * u_PANEL, width = u_panel_width_h(N - first);
            const long columns = N - first < width ? N - first : width;
            const long numbers = K - 2 * begin < 2 * block ? K - 2 * begin : 2 * block, items = u_ITEMS(numbers);
            const float *from = b + 2 * begin * sk + first * sn;
            u_pair *to = (u_pair *)packed + u_ITEMS(K) * first + begin * width;
            if (sk == 1) {
                for (long n = 0; n < columns; n++) u_round_row_h(numbers, from + n * sn, (uint16_t *)(buffer + n * block));
                u_transpose_h(columns, items, buffer, block, to, width);
            } else if (sn == 1) {
                for (long k = 0; k < numbers; k += 2)
                    u_pair_rows_h(columns, from + k * sk, k + 1 < numbers ? from + (k + 1) * sk : NULL,
                                  to + k / 2 * width);
            } else {
                for (long n = 0; n < columns; n++)
                    for (long k = 0; k < numbers; k += 2)
                        to[k / 2 * width + n] = u_make_pair_h(
                            from[k * sk + n * sn], k + 1 < numbers ? from[(k + 1) * sk + n * sn] : 0);
            }
            u_pad_rows_h(items, columns, width, to);
        }
}

static __attribute__((unused)) void u_pack_h(long K, long N, const float *b, long sk, long sn, uint16_t *packed) {
    u_pack_panels_h(K, N, b, sk, sn, packed, 0, u_panels_h(N));
}

/* C groups of R rows of a as items, written to `buffer`. */
U_INLINE const u_pair *u_rows_as_items_h(long C, long R, long K, const float *a, long lda, long step_a,
                                         u_pair *buffer) {
    for (long g = 0; g < C; g++)
        for (long r = 0; r < R; r++)
            u_round_row_h(K, a + g * step_a + r * lda, (uint16_t *)(buffer + (g * R + r) * u_ITEMS(K)));
    return buffer;
}

/* The columns of a as rows of items, ld apart. */
U_INLINE void u_columns_as_items_h(long R, long M, const float *a, long lda, u_pair *to, long ld) {
    u_pair buffer[u_LANES_PER_VECTOR * u_LANES_PER_VECTOR];
    for (long r = 0; r < R; r += 2 * u_LANES_PER_VECTOR)
        for (long m = 0; m < M; m += u_LANES_PER_VECTOR) {
            const long rows = R - r < 2 * u_LANES_PER_VECTOR ? R - r : 2 * u_LANES_PER_VECTOR;
            const long columns = M - m < u_LANES_PER_VECTOR ? M - m : u_LANES_PER_VECTOR;
            for (long i = 0; i < rows; i += 2) {
                const float *low = a + (r + i) * lda + m;
                u_pair_rows_h(columns, low, i + 1 < rows ? low + lda : NULL, buffer + i / 2 * u_LANES_PER_VECTOR);
            }
            u_transpose_h(u_ITEMS(rows), columns, buffer, u_LANES_PER_VECTOR, to + m * ld + r / 2, ld);
        }
}
