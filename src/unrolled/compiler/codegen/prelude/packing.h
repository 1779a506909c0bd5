/* Matrices laid out for products. This text is compiled once for each type: u_T(name) is name_f, name_d or name_h.
 *
 * Numbers are kept as items: one number each, or with bfloat16 a pair of two that follow each other along k.
 * Packed b is panels of U_PANEL_VECTORS vectors of columns, [panel][item][column], zero padded; the last panel is only
 * as many vectors wide as its columns need. K inner, N columns of b; ld* and s* are strides in elements.
 */
#define u_LANES_PER_VECTOR ((long)(U_VECTOR_BYTES / sizeof(u_item)))
#define u_PANEL (U_PANEL_VECTORS * u_LANES_PER_VECTOR)
#define u_NUMBERS ((long)(sizeof(u_item) / sizeof(u_packed))) /* in an item */
#define u_ITEMS(K) (((K) + u_NUMBERS - 1) / u_NUMBERS)

U_INLINE long u_T(u_panel_width)(long columns) {
    long vectors = (columns + u_LANES_PER_VECTOR - 1) / u_LANES_PER_VECTOR;
    return columns >= u_PANEL ? u_PANEL : vectors * u_LANES_PER_VECTOR;
}

/* The panels of N columns. */
static __attribute__((unused)) long u_T(u_panels)(long N) { return (N + u_PANEL - 1) / u_PANEL; }

/* Numbers of a packed K x N matrix. */
static __attribute__((unused)) long u_T(u_packed_size)(long K, long N) {
    return u_ITEMS(K) * u_NUMBERS * (N / u_PANEL * u_PANEL + u_T(u_panel_width)(N % u_PANEL));
}

/* Where number (k, n) of a matrix lies in its pack, for items of one number each. */
U_INLINE long u_T(u_packed_place)(long K, long N, long k, long n) {
    const long first = n / u_PANEL * u_PANEL;
    return K * first + k * u_T(u_panel_width)(N - first) + n - first;
}

/* A square as wide as a vector turns when the first half of its rows is merged with the second, again and again. */
U_APART void u_T(u_transpose_square)(const u_item *from, long ld_from, u_item *to, long ld_to) {
    u_T(u_items) rows[u_LANES_PER_VECTOR], merged[u_LANES_PER_VECTOR];
#pragma GCC unroll 16
    for (int i = 0; i < u_LANES_PER_VECTOR; i++) rows[i] = *(const u_T(u_unaligned_items) *)(from + i * ld_from);
#pragma GCC unroll 4
    for (int merges = 1; merges < u_LANES_PER_VECTOR; merges *= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < u_LANES_PER_VECTOR / 2; i++) {
            merged[2 * i] = u_T(u_zip_low)(rows[i], rows[i + u_LANES_PER_VECTOR / 2]);
            merged[2 * i + 1] = u_T(u_zip_high)(rows[i], rows[i + u_LANES_PER_VECTOR / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < u_LANES_PER_VECTOR; i++) rows[i] = merged[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < u_LANES_PER_VECTOR; i++) *(u_T(u_unaligned_items) *)(to + i * ld_to) = rows[i];
}

/* to[c * ld_to + r] = from[r * ld_from + c]. The last squares overlap the ones before them. */
U_APART void u_T(u_transpose)(long rows, long columns, const u_item *from, long ld_from, u_item *to, long ld_to) {
    const long side = u_LANES_PER_VECTOR;
    if (rows < side || columns < side) {
        for (long r = 0; r < rows; r++)
            for (long c = 0; c < columns; c++) to[c * ld_to + r] = from[r * ld_from + c];
        return;
    }
    for (long i = 0; i < rows; i += side) {
        long r = i + side <= rows ? i : rows - side;
        for (long j = 0; j < columns; j += side) {
            long c = j + side <= columns ? j : columns - side;
            u_T(u_transpose_square)(from + r * ld_from + c, ld_from, to + c * ld_to + r, ld_to);
        }
    }
}

/* Zeros behind the columns of a panel's rows. */
U_INLINE void u_T(u_pad_rows)(long rows, long columns, long width, u_item *panel) {
    for (long k = 0; columns < width && k < rows; k++)
        for (long n = columns; n < width; n++) panel[k * width + n] = 0;
}
