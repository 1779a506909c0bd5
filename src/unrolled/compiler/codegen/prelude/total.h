/* Sums over all rows of two sequences, as weights' gradients are. Compiled once for each type, after product.h.
 *
 * Every element of c is a chain of multiply-adds over the rows of a block, 0, 1, ..., to which the next block's is added,
 * and so on, whoever computes it: the error grows with the square root of a block, not of all rows.
 */
enum {
    u_T(u_total_depth) = U_TOTAL_DEPTH / sizeof(u_item),            /* items of each column that are packed at once */
    u_T(u_total_columns) = U_TOTAL_COLUMNS / sizeof(u_item),        /* columns of b that are packed at once */
    u_T(u_total_height) = 96,                                       /* columns of a that are turned at once */
    u_T(u_total_stride) = u_T(u_total_depth) + 64 / sizeof(u_item), /* rows do not fall on each other in the cache */
};

/* Elements of u_total's workspace, one for each thread, which begins at a multiple of 64 bytes. */
static __attribute__((unused)) long u_T(u_total_workspace)(long N) {
    const long columns = N < u_T(u_total_columns) ? N : u_T(u_total_columns);
    return (u_T(u_packed_size)(u_T(u_total_depth) * u_NUMBERS, columns) / u_NUMBERS +
            u_T(u_total_height) * u_T(u_total_stride)) *
           (long)(sizeof(u_item) / sizeof(u_real));
}

/* height rows of c, from so many turned columns of a. Meanwhile the next of them, some_next rows of a from `next` on,
 * are fetched: the processor would not foresee them. */
static __attribute__((unused)) void u_T(u_total_block)(long height, long items, long N, const u_item *upright,
                                                       const u_item *packed, u_real *c, long ldc, int accumulate,
                                                       const u_real *next, long lda, long some_next) {
    const long tiles = (height + U_TILE_ROWS - 1) / U_TILE_ROWS * u_T(u_panels)(N);
    const long share = (some_next + tiles - 1) / tiles;
    for (long first = 0; first < N; first += u_PANEL) {
        const long width = u_T(u_panel_width)(N - first);
        for (long m = 0; m < height; m += U_TILE_ROWS) {
            const long rows = height - m < U_TILE_ROWS ? height - m : U_TILE_ROWS;
            for (long r = 0; r < share && some_next > 0; r++, some_next--, next += lda)
                for (long i = 0; i < height; i += 64 / sizeof(u_real)) __builtin_prefetch(next + i, 0, 2);
            const long columns = N - first < width ? N - first : width;
            u_real part[U_TILE_ROWS * u_PANEL], *target = c + m * ldc + first;
            u_T(u_panel)(rows, items, upright + m * u_T(u_total_stride), u_T(u_total_stride), packed + items * first,
                         width, accumulate ? part : target, accumulate ? u_PANEL : ldc, columns, u_T(u_zeros), 0, 0);
            for (long r = 0; accumulate && r < rows; r++)
                for (long n = 0; n < columns; n++) target[r * ldc + n] += part[r * u_PANEL + n];
        }
    }
}

/* c[m * ldc + n] = sum over r < rows of a[r * lda + m] b[r * ldb + n], for m in [m_first, m_last) and n < N. */
static __attribute__((unused)) void u_T(u_total)(long rows, long M, long N, const u_real *a, long lda, const u_real *b,
                                                 long ldb, u_real *c, long ldc, long m_first, long m_last,
                                                 u_real *workspace) {
    const long depth = u_T(u_total_depth) * u_NUMBERS, stride = u_T(u_total_stride);
    u_item *upright = (u_item *)workspace, *packed = upright + u_T(u_total_height) * stride;
    (void)M;
    for (long n = 0; n < N; n += u_T(u_total_columns))
        for (long r = 0; !r || r < rows; r += depth) {
            const long columns = N - n < u_T(u_total_columns) ? N - n : u_T(u_total_columns);
            const long some = rows - r < depth ? rows - r : depth;
            u_T(u_pack)(some, columns, b + r * ldb + n, ldb, 1, (u_packed *)packed);
            for (long m = m_first, height; m < m_last; m += height) {
                height = m_last - m < u_T(u_total_height) ? m_last - m : u_T(u_total_height);
                const int last = m + height == m_last; /* then the next columns are the first ones further down */
                const u_real *next = last ? a + (r + some) * lda + m_first : a + r * lda + m + height;
                u_T(u_columns_as_items)(some, height, a + r * lda + m, lda, upright, stride);
                const long left = rows - r - some, below = left < depth ? left : depth;
                u_T(u_total_block)(height, u_ITEMS(some), columns, upright, packed, c + m * ldc + n, ldc, r > 0, next,
                                   lda, last ? below : some);
            }
        }
}

/* c[m] = sum over r < rows of a[r * lda + m], likewise, for m in [m_first, m_last). */
static __attribute__((unused)) void u_T(u_total_rows)(long rows, long M, const u_real *a, long lda, u_real *restrict c,
                                                      long m_first, long m_last) {
    enum { side = 64 }; /* columns at once */
    (void)M;
    for (long m = m_first; m < m_last; m += side) {
        const long columns = m_last - m < side ? m_last - m : side;
        u_real total[side] = {0};
        for (long begin = 0; begin < rows; begin += u_T(u_total_depth)) {
            const long end = rows - begin < u_T(u_total_depth) ? rows : begin + u_T(u_total_depth);
            u_real sum[side] = {0};
            for (long r = begin; r < end; r++)
                for (long j = 0; j < columns; j++) sum[j] += a[r * lda + m + j];
            for (long j = 0; j < columns; j++) total[j] += sum[j];
        }
        for (long j = 0; j < columns; j++) c[m + j] = total[j];
    }
}
