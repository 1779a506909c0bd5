/* Matrix products c = start + a b. This text is compiled once for each type, after packing.h.
 *
 * Every element of c is one chain of multiply-adds over k = 0, 1, ..., K - 1, whatever tile computes it: a row's bits
 * do not depend on how many rows are multiplied together. A chain begins with zero or with an element of `start`.
 *
 * R rows of a and c, K inner, N columns of b and c; ld* and s* are strides in elements. Below u_product, K counts
 * items.
 */
static const u_real u_T(u_zeros)[U_ROW_PANELS * U_PANEL_VECTORS * U_VECTOR_BYTES / sizeof(u_real)];

/* rows x (panels * vectors) accumulators, all three constants, which begin with `start`'s values; packed rows are ldb
 * apart, panels panel_stride. */
U_INLINE void u_T(u_tile)(int rows, int panels, int vectors, long K, const u_item *a, long lda, const u_item *b,
                          long ldb, long panel_stride, const u_real *start, long ld_start, u_real *c, long ldc) {
    u_T(u_vector) sum[U_TILE_ROWS][U_ROW_PANELS * U_PANEL_VECTORS];
    int width = panels * vectors;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < width; v++)
            sum[r][v] = *(const u_T(u_unaligned) *)(start + r * ld_start + v * u_LANES_PER_VECTOR);
    for (long k = 0; k < K; k++) {
        u_T(u_items) column[U_ROW_PANELS * U_PANEL_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < width; v++) {
            column[v] = *(const u_T(u_unaligned_items) *)(b + v / vectors * panel_stride + k * ldb +
                                                          v % vectors * u_LANES_PER_VECTOR);
            if (rows > 1) U_IN_REGISTER(column[v]);
        }
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            u_T(u_items) element = a[r * lda + k] - (u_T(u_items)){0};
#pragma GCC unroll 8
            for (int v = 0; v < width; v++) sum[r][v] = u_T(u_items_fma)(element, column[v], sum[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < width; v++) *(u_T(u_unaligned) *)(c + r * ldc + v * u_LANES_PER_VECTOR) = sum[r][v];
}

#define u_TILE(ROWS, VECTORS) u_T(u_tile)(ROWS, 1, VECTORS, K, a, lda, b, ldb, 0, start, ld_start, c, ldc)
#define u_TILE_PARAMETERS                                                                                        \
    long rows, long K, const u_item *a, long lda, const u_item *b, long ldb, const u_real *start, long ld_start, \
        u_real *c, long ldc

U_APART void u_T(u_full_tile)(u_TILE_PARAMETERS) {
    switch (rows) {
        case 1: u_TILE(1, U_PANEL_VECTORS); break;
        case 2: u_TILE(2, U_PANEL_VECTORS); break;
        case 3: u_TILE(3, U_PANEL_VECTORS); break;
        case 4: u_TILE(4, U_PANEL_VECTORS); break;
#if U_TILE_ROWS == 6
        case 5: u_TILE(5, U_PANEL_VECTORS); break;
        case 6: u_TILE(6, U_PANEL_VECTORS); break;
#endif
    }
}

/* The vectors of a panel that is not full: fewer shapes, each of which costs compile time. */
#define u_TILES_OF(ROWS, VECTORS) \
    for (; rows >= ROWS; rows -= ROWS, a += ROWS * lda, start += ROWS * ld_start, c += ROWS * ldc) u_TILE(ROWS, VECTORS)
#define u_NARROW_TILES(NAME, VECTORS)           \
    U_APART void u_T(NAME)(u_TILE_PARAMETERS) { \
        u_TILES_OF(U_TILE_ROWS, VECTORS);       \
        u_TILES_OF(3, VECTORS);                 \
        u_TILES_OF(1, VECTORS);                 \
    }
u_NARROW_TILES(u_narrow_tile_1, 1)
#if U_PANEL_VECTORS > 2
u_NARROW_TILES(u_narrow_tile_2, 2)
#endif

/* Up to U_TILE_ROWS rows times one panel of the given width, of which the first `columns` are stored. So many rows of c
 * as the next tile will store are fetched meanwhile. */
U_APART void u_T(u_panel)(long rows, long K, const u_item *a, long lda, const u_item *b, long width, u_real *c,
                          long ldc, long columns, const u_real *start, long ld_start, long next) {
    u_real padded[U_TILE_ROWS * u_PANEL];
    u_real *target = c;
    long ldt = ldc;
    if (columns < width) {
        target = padded;
        ldt = u_PANEL;
        if (start != u_T(u_zeros)) {
            memset(padded, 0, sizeof padded);
            for (long r = 0; r < rows; r++)
                memcpy(padded + r * ldt, start + r * ld_start, columns * sizeof(u_real));
            start = padded;
            ld_start = ldt;
        }
    }
    for (long r = rows; r < rows + next; r++)
        for (long n = 0; n < columns; n += 64 / sizeof(u_real)) __builtin_prefetch(c + r * ldc + n, 1);
    if (width == u_PANEL) {
        u_T(u_full_tile)(rows, K, a, lda, b, width, start, ld_start, target, ldt);
    } else {
        long first = 0;
#if U_PANEL_VECTORS > 2
        for (; first + 2 * u_LANES_PER_VECTOR <= width; first += 2 * u_LANES_PER_VECTOR)
            u_T(u_narrow_tile_2)(rows, K, a, lda, b + first, width, start + first, ld_start, target + first, ldt);
#endif
        for (; first < width; first += u_LANES_PER_VECTOR)
            u_T(u_narrow_tile_1)(rows, K, a, lda, b + first, width, start + first, ld_start, target + first, ldt);
    }
    for (long r = 0; columns < width && r < rows; r++) memcpy(c + r * ldc, padded + r * ldt, columns * sizeof(u_real));
}

/* u_product of items [begin, end) of the K that each packed column has; the rows of `start` are ld_start apart, its
 * groups step_start. */
static __attribute__((unused)) void u_T(u_product_between)(long begin, long end, long C, long R, long K, long N,
                                                           const u_item *a, long lda, long step_a, const u_item *packed,
                                                           u_real *c, long ldc, long step_c, const u_real *start,
                                                           long ld_start, long step_start) {
    const long inner = end - begin;
    long first = 0;
    for (; R == 1 && first + U_ROW_PANELS * u_PANEL <= N; first += U_ROW_PANELS * u_PANEL)
        for (long g = 0; g < C; g++)
            u_T(u_tile)(1, U_ROW_PANELS, U_PANEL_VECTORS, inner, a + g * step_a, lda,
                        packed + K * first + begin * u_PANEL, u_PANEL, K * u_PANEL,
                        start ? start + g * step_start + first : u_T(u_zeros), 0, c + g * step_c + first, ldc);
    const int fetched = C * R * N * (long)sizeof(u_real) > U_NEAR_BYTES;
    long tiles = (R + U_TILE_ROWS - 1) / U_TILE_ROWS; /* of nearly equal height */
    for (; first < N; first += u_PANEL) {
        long width = u_T(u_panel_width)(N - first);
        long columns = N - first < width ? N - first : width;
        for (long g = 0; g < C; g++)
            for (long tile = 0, r = 0; tile < tiles; tile++) {
                long rows = R / tiles + (tile < R % tiles);
                u_T(u_panel)(rows, inner, a + g * step_a + r * lda, lda, packed + K * first + begin * width, width,
                             c + g * step_c + r * ldc + first, ldc, columns,
                             start ? start + g * step_start + r * ld_start + first : u_T(u_zeros), ld_start,
                             fetched ? rows : 0);
                r += rows;
            }
    }
}

/* C groups of R rows: c[g * step_c + r * ldc + n] = start[r * ld_start + n] + sum over k of a[g * step_a + r * lda + k]
 * b(k, n), b from u_pack, start NULL for zeros. Columns from a multiple of u_PANEL on are a product of their own: packed + u_packed_size(K, first), c +
 * first.
 *
 * It goes by blocks of rows, and of k, that stay in the cache while all panels of b are read.
 */
static __attribute__((unused)) void u_T(u_product)(long C, long R, long K, long N, const u_real *a, long lda,
                                                   long step_a, const u_packed *packed, u_real *c, long ldc,
                                                   long step_c, const u_real *start, long ld_start) {
    enum {
        rounded = u_NUMBERS > 1,
        deepest = (rounded ? U_ROUNDED_DEPTH : U_BLOCK_DEPTH) / sizeof(u_item),
        most = (rounded ? U_ROUNDED_BYTES : U_BLOCK_BYTES) / sizeof(u_item),
    };
    u_item buffer[rounded ? most : 1] __attribute__((aligned(64)));
    if (C > 1 && step_a == R * lda && step_c == R * ldc) {
        R *= C;
        C = 1;
    }
    if (C * R == 0) return;
    const long items = u_ITEMS(K), depth = items < deepest ? items : deepest;
    long height = R, groups = C;
    if (C * R * depth > most) {
        const long fit = most / depth, blocks = (R + fit - 1) / fit; /* of nearly equal height */
        height = (R + blocks - 1) / blocks;
        groups = blocks > 1 ? 1 : fit / R;
    }
    for (long g = 0; g < C; g += groups)
        for (long r = 0; r < R; r += height)
            for (long k = 0; !k || k < items; k += deepest) {
                const long some = C - g < groups ? C - g : groups, rows = R - r < height ? R - r : height;
                const long end = items - k < deepest ? items : k + deepest;
                const long numbers = (end * u_NUMBERS < K ? end * u_NUMBERS : K) - k * u_NUMBERS;
                const u_real *from = a + g * step_a + r * lda + k * u_NUMBERS;
                const u_item *left = u_T(u_rows_as_items)(some, rows, numbers, from, lda, step_a, buffer);
                const long ld = rounded ? end - k : lda, step = rounded ? rows * ld : step_a;
                u_real *to = c + g * step_c + r * ldc;
                u_T(u_product_between)(k, end, some, rows, items, N, left, ld, step, (const u_item *)packed,
                                       to, ldc, step_c, k ? to : start ? start + r * ld_start : NULL,
                                       k ? ldc : ld_start, k ? step_c : 0);
            }
}
