/* One product, or one sum over rows, by all threads. This text is compiled once for each type, after driver.h.
 *
 * The larger side of the result is cut into as many parts as there are threads: the other one's numbers are then read by
 * each of them. Every element is the same chain of multiply-adds whoever computes it. Where each thread has many rows it
 * packs what it needs of b itself, as much as stays in its cache, and uses it at once; else all of b is packed first.
 */
enum {
    u_T(u_gemm_depth) = 384 * u_NUMBERS,     /* rows of b that a thread packs at once */
    u_T(u_gemm_bytes) = 384 << 10,           /* bytes of them, about */
};

typedef struct {
    u_job team;
    long R, K, N, lda, sk, sn, workspace;
    const u_real *a, *b, *start;
    u_packed *packed;
    int kept;
    u_real *c;
    char *memory;
} u_T(u_gemm);

/* The part of `count` things that is mine, in whole groups of `size`. */
U_INLINE void u_T(u_gemm_part)(long count, long size, long me, long team, long *from, long *to) {
    const long groups = (count + size - 1) / size;
    *from = groups * me / team * size;
    *to = groups * (me + 1) / team * size;
    if (*to > count) *to = count;
}

/* So many columns of b are packed at once by one thread. */
U_INLINE long u_T(u_gemm_columns)(long K) {
    const long depth = K < u_T(u_gemm_depth) ? K : u_T(u_gemm_depth);
    const long columns = u_T(u_gemm_bytes) / (long)sizeof(u_packed) / (depth + 1) / u_PANEL * u_PANEL;
    return columns > u_PANEL ? columns : u_PANEL;
}

/* Rows [r, r_end) of columns [n, n_end), b packed bit by bit in `local`. */
static void u_T(u_gemm_local)(const u_T(u_gemm) *g, long r, long r_end, long n, long n_end, u_packed *local) {
    const long columns = u_T(u_gemm_columns)(g->K);
    for (long k = 0; !k || k < g->K; k += u_T(u_gemm_depth))
        for (long first = n; first < n_end; first += columns) {
            const long depth = g->K - k < u_T(u_gemm_depth) ? g->K - k : u_T(u_gemm_depth);
            const long some = n_end - first < columns ? n_end - first : columns;
            u_real *to = g->c + r * g->N + first;
            u_T(u_pack)(depth, some, g->b + k * g->sk + first * g->sn, g->sk, g->sn, local);
            u_T(u_product)(1, r_end - r, depth, some, g->a + r * g->lda + k, g->lda, 0, local, to, g->N, 0,
                           k ? to : g->start ? g->start + first : NULL, k ? g->N : 0);
        }
}

static void u_T(u_gemm_product_worker)(void *argument) {
    u_T(u_gemm) *g = argument;
    const long team = u_team_size(&g->team), me = u_team_place(&g->team), panels = u_T(u_panels)(g->N);
    long r = 0, r_end = g->R, n = 0, n_end = g->N;
    if (g->packed && !g->kept) {
        u_T(u_pack_panels)(g->K, g->N, g->b, g->sk, g->sn, g->packed, panels * me / team, panels * (me + 1) / team);
        if (team > 1) u_meet(&g->team, team);
    }
    if (g->N > g->R)
        u_T(u_gemm_part)(g->N, u_PANEL, me, team, &n, &n_end);
    else
        u_T(u_gemm_part)(g->R, U_TILE_ROWS, me, team, &r, &r_end);
    if (r >= r_end || n >= n_end) return;
    if (g->packed)
        u_T(u_product)(1, r_end - r, g->K, n_end - n, g->a + r * g->lda, g->lda, 0,
                       g->packed + u_T(u_packed_size)(g->K, n), g->c + r * g->N + n, g->N, 0,
                       g->start ? g->start + n : NULL, 0);
    else
        u_T(u_gemm_local)(g, r, r_end, n, n_end, (u_packed *)(g->memory + me * g->workspace));
}

static void u_T(u_gemm_total_worker)(void *argument) {
    u_T(u_gemm) *g = argument;
    const long team = u_team_size(&g->team), me = u_team_place(&g->team), M = g->K;
    long m = 0, m_end = M, n = 0, n_end = g->N;
    if (g->N > M)
        u_T(u_gemm_part)(g->N, u_PANEL, me, team, &n, &n_end);
    else
        u_T(u_gemm_part)(M, U_TILE_ROWS, me, team, &m, &m_end);
    if (m < m_end && n < n_end)
        u_T(u_total)(g->R, M, n_end - n, g->a, g->lda, g->b + n, g->sk, g->c + n, g->N, m, m_end,
                     (u_real *)(g->memory + me * g->workspace));
}

#define U_GEMM_EXPORTED __attribute__((visibility("default")))
#define U_GEMM_RUN(worker)                                   \
    if (g.team.threads > 1 && pool->parallel)                \
        pool->parallel(u_T(worker), &g, g.team.threads, 0);  \
    else                                                     \
        u_T(worker)(&g)

/* Bytes of a packed K x N matrix. */
U_GEMM_EXPORTED long u_T(u_gemm_packed)(long K, long N) { return u_T(u_packed_size)(K, N) * (long)sizeof(u_packed); }

/* Bytes that u_gemm_total needs for each thread. */
U_GEMM_EXPORTED long u_T(u_gemm_workspace)(long N) {
    return U_ROUND_UP(u_T(u_total_workspace)(N) * (long)sizeof(u_real));
}

/* Bytes that u_gemm_product needs for each thread where b is not packed as a whole. */
U_GEMM_EXPORTED long u_T(u_gemm_local_size)(long K, long N) {
    const long depth = K < u_T(u_gemm_depth) ? K : u_T(u_gemm_depth), columns = u_T(u_gemm_columns)(K);
    return U_ROUND_UP(u_T(u_packed_size)(depth, N < columns ? N : columns) * (long)sizeof(u_packed));
}

/* Whether `packed` still is b: of a small one every number tells, of others at least one of each row and column. */
U_GEMM_EXPORTED int u_T(u_gemm_holds)(long K, long N, const u_real *b, long sk, long sn, const u_real *packed) {
    const int all = K * N <= 4096;
    for (long i = 0; all ? i < K * N : i < K || i < N; i++) {
        const long k = all ? i / N : i % K, n = i % N;
        if (memcmp(b + k * sk + n * sn, packed + u_T(u_packed_place)(K, N, k, n), sizeof(u_real))) return 0;
    }
    return 1;
}

/* c (R, N) = start (N) + a (R, K) b (K, N); n: R, K, N, strides of a's rows and of b, threads, whether `packed` is b
 * already. `packed` has room for b, or else, NULL, `memory` for each thread. */
U_GEMM_EXPORTED void u_T(u_gemm_product)(const long *n, const u_real *a, const u_real *b, const u_real *start,
                                         u_packed *packed, char *memory, u_real *c, const u_pool *pool) {
    u_T(u_gemm) g = {.team = {.threads = n[6], .pool = pool}, .R = n[0], .K = n[1], .N = n[2], .lda = n[3], .sk = n[4],
                     .sn = n[5], .kept = n[7], .a = a, .b = b, .start = start, .packed = packed, .memory = memory, .c = c,
                     .workspace = u_T(u_gemm_local_size)(n[1], n[2])};
    U_GEMM_RUN(u_gemm_product_worker);
}

/* c (M, N) = the transpose of a (R, M), times b (R, N); n: R, M, N, strides of a's and of b's rows, threads. */
U_GEMM_EXPORTED void u_T(u_gemm_total)(const long *n, const u_real *a, const u_real *b, u_real *c, char *memory,
                                       const u_pool *pool) {
    u_T(u_gemm) g = {.team = {.threads = n[5], .pool = pool}, .R = n[0], .K = n[1], .N = n[2], .lda = n[3], .sk = n[4],
                     .a = a, .b = b, .c = c, .memory = memory, .workspace = u_T(u_gemm_workspace)(n[2])};
    U_GEMM_RUN(u_gemm_total_worker);
}
#undef U_GEMM_RUN
#undef U_GEMM_EXPORTED
