/* Products of small or strided matrices, which are not packed. This text is compiled once for each type. */

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
