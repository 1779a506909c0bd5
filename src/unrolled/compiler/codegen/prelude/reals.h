/* What packing.h leaves to the type, for float and double, whose items are the numbers themselves. */

/* Pack panels [first_panel, last_panel) of b, whose element (k, n) is b[k * sk + n * sn]. */
U_APART void u_T(u_pack_panels)(long K, long N, const u_real *b, long sk, long sn, u_real *packed, long first_panel,
                                long last_panel) {
    enum { block = 16 }; /* rows that stay in the first-level cache, while neighbours in a row are read together */
    for (long begin = 0; begin < K; begin += sk == 1 ? K : block)
        for (long panel = first_panel; panel < last_panel; panel++) {
            const long first = panel * u_PANEL, width = u_T(u_panel_width)(N - first);
            const long columns = N - first < width ? N - first : width;
            const long rows = sk == 1 || K - begin < block ? K - begin : block;
            const u_real *from = b + begin * sk + first * sn;
            u_real *to = packed + K * first + begin * width;
            if (sn == 1 && columns == u_PANEL) {
                for (long k = 0; k < rows; k++) memcpy(to + k * width, from + k * sk, u_PANEL * sizeof(u_real));
            } else if (sn == 1) {
                for (long k = 0; k < rows; k++) memcpy(to + k * width, from + k * sk, columns * sizeof(u_real));
            } else if (sk == 1) {
                u_T(u_transpose)(columns, rows, from, sn, to, width);
            } else {
                for (long n = 0; n < columns; n++)
                    for (long k = 0; k < rows; k++) to[k * width + n] = from[k * sk + n * sn];
            }
            u_T(u_pad_rows)(rows, columns, width, to);
        }
}

static __attribute__((unused)) void u_T(u_pack)(long K, long N, const u_real *b, long sk, long sn, u_real *packed) {
    u_T(u_pack_panels)(K, N, b, sk, sn, packed, 0, u_T(u_panels)(N));
}

/* C groups of R rows of a as items; where they are written, if they are, is `buffer`. */
U_INLINE const u_item *u_T(u_rows_as_items)(long C, long R, long K, const u_real *a, long lda, long step_a,
                                            u_item *buffer) {
    (void)C, (void)R, (void)K, (void)lda, (void)step_a, (void)buffer;
    return a;
}

/* The columns of a as rows of items, ld apart. */
U_INLINE void u_T(u_columns_as_items)(long R, long M, const u_real *a, long lda, u_item *to, long ld) {
    u_T(u_transpose)(R, M, a, lda, to, ld);
}
