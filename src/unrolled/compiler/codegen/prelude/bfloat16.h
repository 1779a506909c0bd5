/* What packing.h leaves to the type, for bfloat16: numbers are given as float and rounded, two that follow each other
 * along k make an item, and sums are float. The processor's own instruction takes what is too small for a normal
 * number for zero.
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
U_APART void u_round_row_h(long K, const float *restrict row, uint16_t *restrict to) {
    for (long k = 0; k < K; k++) to[k] = (uint16_t)(u_rounded_bits_h(row[k]) >> 16);
    if (K % 2) to[K] = 0;
}

/* N pairs of which two rows are the numbers; the second may be missing. */
U_APART void u_pair_rows_h(long N, const float *restrict low, const float *restrict high, u_pair *restrict to) {
    if (high)
        for (long n = 0; n < N; n++) to[n] = u_make_pair_h(low[n], high[n]);
    else
        for (long n = 0; n < N; n++) to[n] = u_make_pair_h(low[n], 0);
}

enum { u_pack_block_h = 32 }; /* items, whose rows stay in the first-level cache */

/* Some rows of one panel. */
U_APART void u_pack_rows_h(long K, long columns, long width, const float *b, long sk, long sn, u_pair *to) {
    u_pair buffer[u_PANEL * u_pack_block_h];
    if (sk == 1) {
        for (long n = 0; n < columns; n++) u_round_row_h(K, b + n * sn, (uint16_t *)(buffer + n * u_pack_block_h));
        u_transpose_h(columns, u_ITEMS(K), buffer, u_pack_block_h, to, width);
    } else {
        for (long k = 0; k < K; k += 2) {
            const float *low = b + k * sk, *high = k + 1 < K ? low + sk : NULL;
            if (sn == 1)
                u_pair_rows_h(columns, low, high, to + k / 2 * width);
            else
                for (long n = 0; n < columns; n++)
                    to[k / 2 * width + n] = u_make_pair_h(low[n * sn], high ? high[n * sn] : 0);
        }
    }
    u_pad_rows_h(u_ITEMS(K), columns, width, to);
}

/* Pack panels [first_panel, last_panel) of b, whose element (k, n) is b[k * sk + n * sn]. */
static __attribute__((unused)) void u_pack_panels_h(long K, long N, const float *b, long sk, long sn, uint16_t *packed,
                                                    long first_panel, long last_panel) {
    const long items = u_ITEMS(K), together = sk == 1 ? items : u_pack_block_h;
    for (long begin = 0; begin < items; begin += together) /* neighbours in a row of b are read together */
        for (long panel = first_panel; panel < last_panel; panel++)
            for (long k = begin; k < items && k < begin + together; k += u_pack_block_h) {
                const long first = panel * u_PANEL, width = u_panel_width_h(N - first);
                const long columns = N - first < width ? N - first : width;
                const long rows = items - k < u_pack_block_h ? K - 2 * k : 2 * u_pack_block_h;
                u_pack_rows_h(rows, columns, width, b + 2 * k * sk + first * sn, sk, sn,
                              (u_pair *)packed + items * first + k * width);
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
