/* Matrix products c (+)= a b. This text is compiled once for each type: u_T(name) is name_f or name_d.
 *
 * Every element of c is one chain of multiply-adds over k = 0, 1, ..., K - 1, whatever tile computes it: a row's bits
 * do not depend on how many rows are multiplied together. A chain that accumulates starts from c's value.
 *
 * Packed b is panels of U_PANEL_VECTORS vectors of columns, [panel][k][column], zero padded; the last panel is only as
 * many vectors wide as its columns need.
 *
 * R rows of a and c, K inner, N columns of b and c; ld* and s* are strides in elements.
 */
#define u_LANES_PER_VECTOR ((long)(sizeof(u_T(u_vector)) / sizeof(u_real)))
#define u_PANEL (U_PANEL_VECTORS * u_LANES_PER_VECTOR)

U_INLINE long u_T(u_panel_width)(long columns) {
    long vectors = (columns + u_LANES_PER_VECTOR - 1) / u_LANES_PER_VECTOR;
    return columns >= u_PANEL ? u_PANEL : vectors * u_LANES_PER_VECTOR;
}

/* Elements of a packed K x N matrix. */
static __attribute__((unused)) long u_T(u_packed_size)(long K, long N) {
    return K * (N / u_PANEL * u_PANEL + u_T(u_panel_width)(N % u_PANEL));
}

/* Pack b, whose element (k, n) is b[k * sk + n * sn]. */
static __attribute__((unused)) void u_T(u_pack)(long K, long N, const u_real *b, long sk, long sn, u_real *packed) {
    for (long first = 0; first < N; first += u_PANEL) {
        long width = u_T(u_panel_width)(N - first);
        long columns = N - first < width ? N - first : width;
        const u_real *source = b + first * sn;
        for (long begin = 0; begin < K; begin += 16) { /* a block of rows stays in the first-level cache */
            long end = begin + 16 < K ? begin + 16 : K;
            if (sn == 1) {
                for (long k = begin; k < end; k++)
                    memcpy(packed + k * width, source + k * sk, columns * sizeof(u_real));
            } else {
                for (long n = 0; n < columns; n++)
                    for (long k = begin; k < end; k++) packed[k * width + n] = source[k * sk + n * sn];
            }
            for (long k = begin; k < end; k++)
                for (long n = columns; n < width; n++) packed[k * width + n] = 0;
        }
        packed += K * width;
    }
}

/* rows x (panels * vectors) accumulators, all three constants; packed rows are ldb apart, panels panel_stride. */
U_INLINE void u_T(u_tile)(int rows, int panels, int vectors, long K, const u_real *a, long lda, const u_real *b,
                          long ldb, long panel_stride, u_real *c, long ldc, int accumulate) {
    u_T(u_vector) sum[U_TILE_ROWS][U_ROW_PANELS * U_PANEL_VECTORS];
    int width = panels * vectors;
    u_vector_bits kept = (u_vector_bits){0} - (accumulate != 0); /* half the code of a branch around the loads */
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < width; v++)
            sum[r][v] = (u_T(u_vector))(kept & *(const u_unaligned_bits *)(c + r * ldc + v * u_LANES_PER_VECTOR));
    for (long k = 0; k < K; k++) {
        u_T(u_vector) column[U_ROW_PANELS * U_PANEL_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < width; v++) {
            column[v] = *(const u_T(u_unaligned) *)(b + v / vectors * panel_stride + k * ldb +
                                                    v % vectors * u_LANES_PER_VECTOR);
            if (rows > 1) U_IN_REGISTER(column[v]);
        }
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            u_T(u_vector) element = a[r * lda + k] - (u_T(u_vector)){0};
#pragma GCC unroll 8
            for (int v = 0; v < width; v++) sum[r][v] = u_T(u_vector_fma)(element, column[v], sum[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < width; v++) *(u_T(u_unaligned) *)(c + r * ldc + v * u_LANES_PER_VECTOR) = sum[r][v];
}

#define u_TILE(ROWS, VECTORS) u_T(u_tile)(ROWS, 1, VECTORS, K, a, lda, b, ldb, 0, c, ldc, accumulate)
#define u_TILE_PARAMETERS                                                                                          \
    long rows, long K, const u_real *a, long lda, const u_real *b, long ldb, u_real *c, long ldc, int accumulate

static __attribute__((unused, noinline)) void u_T(u_full_tile)(u_TILE_PARAMETERS) {
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
#define u_NARROW_TILES(NAME, VECTORS)                                                       \
    static __attribute__((unused, noinline)) void u_T(NAME)(u_TILE_PARAMETERS) {            \
        for (; rows >= 4; rows -= 4, a += 4 * lda, c += 4 * ldc) u_TILE(4, VECTORS);        \
        for (; rows >= 2; rows -= 2, a += 2 * lda, c += 2 * ldc) u_TILE(2, VECTORS);        \
        if (rows) u_TILE(1, VECTORS);                                                       \
    }
u_NARROW_TILES(u_narrow_tile_1, 1)
#if U_PANEL_VECTORS > 2
u_NARROW_TILES(u_narrow_tile_2, 2)
#endif

/* Up to U_TILE_ROWS rows times one panel of the given width, of which the first `columns` are stored. */
static __attribute__((unused)) void u_T(u_panel)(long rows, long K, const u_real *a, long lda, const u_real *b,
                                                 long width, u_real *c, long ldc, long columns, int accumulate) {
    u_real padded[U_TILE_ROWS * u_PANEL];
    u_real *target = c;
    long ldt = ldc;
    if (columns < width) {
        target = padded;
        ldt = u_PANEL;
        memset(padded, 0, sizeof padded);
        for (long r = 0; accumulate && r < rows; r++)
            memcpy(padded + r * ldt, c + r * ldc, columns * sizeof(u_real));
    }
    if (width == u_PANEL) {
        u_T(u_full_tile)(rows, K, a, lda, b, width, target, ldt, accumulate);
    } else {
        long first = 0;
#if U_PANEL_VECTORS > 2
        for (; first + 2 * u_LANES_PER_VECTOR <= width; first += 2 * u_LANES_PER_VECTOR)
            u_T(u_narrow_tile_2)(rows, K, a, lda, b + first, width, target + first, ldt, accumulate);
#endif
        for (; first < width; first += u_LANES_PER_VECTOR)
            u_T(u_narrow_tile_1)(rows, K, a, lda, b + first, width, target + first, ldt, accumulate);
    }
    for (long r = 0; columns < width && r < rows; r++)
        memcpy(c + r * ldc, padded + r * ldt, columns * sizeof(u_real));
}

/* C groups of R rows: c[g * step_c + r * ldc + n] (+)= sum over k of a[g * step_a + r * lda + k] b(k, n), b from
 * u_pack. Columns from a multiple of u_PANEL on are a product of their own: packed + K * first, c + first. */
static __attribute__((unused)) void u_T(u_product)(long C, long R, long K, long N, const u_real *a, long lda,
                                                   long step_a, const u_real *packed, u_real *c, long ldc, long step_c,
                                                   int accumulate) {
    if (C > 1 && step_a == R * lda && step_c == R * ldc) {
        R *= C;
        C = 1;
    }
    long first = 0;
    for (; R == 1 && first + U_ROW_PANELS * u_PANEL <= N; first += U_ROW_PANELS * u_PANEL)
        for (long g = 0; g < C; g++)
            u_T(u_tile)(1, U_ROW_PANELS, U_PANEL_VECTORS, K, a + g * step_a, lda, packed + K * first, u_PANEL,
                        K * u_PANEL, c + g * step_c + first, ldc, accumulate);
    long tiles = (R + U_TILE_ROWS - 1) / U_TILE_ROWS; /* of nearly equal height */
    for (; first < N; first += u_PANEL) {
        long width = u_T(u_panel_width)(N - first);
        long columns = N - first < width ? N - first : width;
        for (long g = 0; g < C; g++)
            for (long tile = 0, r = 0; tile < tiles; tile++) {
                long rows = R / tiles + (tile < R % tiles);
                u_T(u_panel)(rows, K, a + g * step_a + r * lda, lda, packed + K * first, width,
                             c + g * step_c + r * ldc + first, ldc, columns, accumulate);
                r += rows;
            }
    }
}

/* A dot product in U_LANES partial sums, whatever the width of a vector. */
static __attribute__((unused)) u_real u_T(u_dot)(long K, const u_real *a, const u_real *b) {
    enum { vectors = u_LANES * sizeof(u_real) / U_VECTOR_BYTES };
    u_T(u_vector) sum[vectors];
    u_real lanes[u_LANES];
    long k = 0;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sum[v] = (u_T(u_vector)){0};
    for (; k + u_LANES <= K; k += u_LANES)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[v] = u_T(u_vector_fma)(*(const u_T(u_unaligned) *)(a + k + v * u_LANES_PER_VECTOR),
                                       *(const u_T(u_unaligned) *)(b + k + v * u_LANES_PER_VECTOR), sum[v]);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) *(u_T(u_unaligned) *)(lanes + v * u_LANES_PER_VECTOR) = sum[v];
    for (long i = 0; k + i < K; i++) lanes[i] = u_FMA(a[k + i], b[k + i], lanes[i]);
    return u_T(u_sum_lanes)(lanes);
}

/* Rows of c as sums of scaled rows of b, both with elements side by side; K > 0. */
static __attribute__((unused)) void u_T(u_scaled_rows)(long M, long K, long N, const u_real *a, long as_m, long as_k,
                                                       const u_real *b, long bs_k, u_real *restrict c, long cs_m) {
    for (long m = 0; m < M; m++) {
        u_real *restrict row = c + m * cs_m;
        u_real first = a[m * as_m];
        for (long n = 0; n < N; n++) row[n] = first * b[n];
        for (long k = 1; k < K; k++) {
            u_real element = a[m * as_m + k * as_k];
            for (long n = 0; n < N; n++) row[n] = u_FMA(element, b[k * bs_k + n], row[n]);
        }
    }
}

/* c = a b for small matrices with any strides, not packed: c[m * cs_m + n * cs_n]; c overlaps neither a nor b. */
static __attribute__((unused)) void u_T(u_small_product)(long M, long K, long N, const u_real *a, long as_m, long as_k,
                                                         const u_real *b, long bs_k, long bs_n, u_real *c, long cs_m,
                                                         long cs_n) {
    if (K > 0 && N > 1 && bs_n == 1 && cs_n == 1) {
        u_T(u_scaled_rows)(M, K, N, a, as_m, as_k, b, bs_k, c, cs_m);
    } else if (K > 0 && M > 1 && as_m == 1 && cs_m == 1) { /* the same, transposed */
        u_T(u_scaled_rows)(N, K, M, b, bs_n, bs_k, a, as_k, c, cs_n);
    } else {
        int dots = as_k == 1 && bs_k == 1;
        for (long m = 0; m < M; m++)
            for (long n = 0; n < N; n++) {
                const u_real *left = a + m * as_m, *right = b + n * bs_n;
                u_real sum = 0;
                if (dots)
                    sum = u_T(u_dot)(K, left, right);
                else
                    for (long k = 0; k < K; k++) sum = u_FMA(left[k * as_k], right[k * bs_k], sum);
                c[m * cs_m + n * cs_n] = sum;
            }
    }
}

#undef u_LANES_PER_VECTOR
#undef u_PANEL
#undef u_TILE
#undef u_TILE_PARAMETERS
#undef u_NARROW_TILES
