/* s(t) = A(t) s(t-1) + b(t) for all t, in parallel over time.
 *
 * Time is cut into pieces. The first runs; each of the others but the last runs from zero, which gives its own part of
 * its last state, and multiplies its A: the state at its end is that product times the state at its beginning, plus its
 * own part. Put together one after the other, that tells where each piece begins, and the others run from there. A is
 * made of blocks, one for each place of K arrays of n numbers. How time is cut depends on T alone, so the result does
 * not depend on the threads. Where a product is large, or no number at all, the pieces run one after the other: large
 * parts that cancel would leave their rounding, where the loop has only small numbers.
 */
#ifndef U_SCAN_H
#define U_SCAN_H
enum { U_SCAN_MOST = 4, U_SCAN_PIECES = 16, U_SCAN_LARGE = 4096 };
#endif

typedef struct {
    u_job team; /* of which only the threads are used */
    long T, n, K, reverse, pieces, length;
    const u_real *a[U_SCAN_MOST * U_SCAN_MOST], *b[U_SCAN_MOST]; /* NULL: zero */
    long step_a[U_SCAN_MOST * U_SCAN_MOST], step_b[U_SCAN_MOST]; /* from one time to the next; 0: always the same */
    u_real *before[U_SCAN_MOST], *after[U_SCAN_MOST];            /* sequences, or NULL: nobody asks */
    u_real *state; /* of each piece K x n numbers, its own part and then its state, and K x K x n, its product */
    u_real *room;  /* of each thread K x n */
    int broken;
} u_T(u_scan);

/* w = A(t) v (+ b(t) if `whole`), K x n numbers each. */
static void u_T(u_scan_step)(const u_T(u_scan) *q, long t, const u_real *v, u_real *w, int whole) {
    const long n = q->n, K = q->K;
    for (long i = 0; i < K; i++) {
        u_real *restrict to = w + i * n;
        if (whole && q->b[i])
            memcpy(to, q->b[i] + t * q->step_b[i], n * sizeof(u_real));
        else
            memset(to, 0, n * sizeof(u_real));
        for (long l = 0; l < K; l++) {
            if (!q->a[i * K + l]) continue;
            const u_real *restrict a = q->a[i * K + l] + t * q->step_a[i * K + l], *restrict s = v + l * n;
            for (long j = 0; j < n; j++) to[j] += a[j] * s[j];
        }
    }
}

static long u_T(u_scan_size)(const u_T(u_scan) *q) { return q->K * (1 + q->K) * q->n; }
static u_real *u_T(u_scan_state)(const u_T(u_scan) *q, long piece) { return q->state + piece * u_T(u_scan_size)(q); }

/* A piece's own part and its product. */
static void u_T(u_scan_sum)(const u_T(u_scan) *q, long piece, u_real *room) {
    const long n = q->n, K = q->K;
    u_real *restrict own = u_T(u_scan_state)(q, piece), *restrict product = own + K * n;
    memset(own, 0, u_T(u_scan_size)(q) * sizeof(u_real));
    for (long i = 0; i < K; i++)
        for (long j = 0; j < n; j++) product[(i * K + i) * n + j] = 1;
    for (long k = piece * q->length; k < (piece + 1) * q->length; k++) {
        const long t = q->reverse ? q->T - 1 - k : k;
        if (K == 1 && q->a[0] && q->b[0]) {
            const u_real *restrict a = q->a[0] + t * q->step_a[0], *restrict b = q->b[0] + t * q->step_b[0];
            for (long j = 0; j < n; j++) {
                own[j] = a[j] * own[j] + b[j];
                product[j] *= a[j];
            }
            continue;
        }
        for (long c = 0; c <= K; c++) { /* own part, then the product's columns */
            u_T(u_scan_step)(q, t, own + c * K * n, room, c == 0);
            memcpy(own + c * K * n, room, K * n * sizeof(u_real));
        }
    }
}

/* A piece from where it begins to where the next begins. */
static void u_T(u_scan_run)(const u_T(u_scan) *q, long piece, u_real *room) {
    const long n = q->n, K = q->K, end = piece + 1 < q->pieces ? (piece + 1) * q->length : q->T;
    u_real *restrict s = u_T(u_scan_state)(q, piece);
    for (long k = piece * q->length; k < end; k++) {
        const long t = q->reverse ? q->T - 1 - k : k;
        for (long i = 0; i < K; i++)
            if (q->before[i]) memcpy(q->before[i] + t * n, s + i * n, n * sizeof(u_real));
        if (K == 1 && q->a[0] && q->b[0]) {
            const u_real *restrict a = q->a[0] + t * q->step_a[0], *restrict b = q->b[0] + t * q->step_b[0];
            for (long j = 0; j < n; j++) s[j] = a[j] * s[j] + b[j];
        } else {
            u_T(u_scan_step)(q, t, s, room, 1);
            memcpy(s, room, K * n * sizeof(u_real));
        }
        for (long i = 0; i < K; i++)
            if (q->after[i]) memcpy(q->after[i] + t * n, s + i * n, n * sizeof(u_real));
    }
}

/* Where the next piece begins: product times where this one begins, plus own part; put in place of its own part. */
static void u_T(u_scan_join)(const u_T(u_scan) *q, const u_real *begin, long piece, u_real *room) {
    const long n = q->n, K = q->K;
    u_real *own = u_T(u_scan_state)(q, piece), *product = own + K * n;
    for (long i = 0; i < K; i++)
        for (long j = 0; j < n; j++) {
            u_real sum = own[i * n + j];
            for (long c = 0; c < K; c++) sum += product[(c * K + i) * n + j] * begin[c * n + j];
            room[i * n + j] = sum;
        }
}

static int u_T(u_scan_finite)(const u_real *v, long count) {
    u_real sum = 0;
    for (long j = 0; j < count; j++) sum += v[j] * 0;
    return sum == 0;
}

static int u_T(u_scan_small)(const u_real *v, long count) {
    long small = 0; /* not so if it is NaN */
    for (long j = 0; j < count; j++) small += v[j] >= -U_SCAN_LARGE && v[j] <= U_SCAN_LARGE;
    return small == count;
}

static void u_T(u_scan_worker)(void *argument) {
    u_T(u_scan) *q = argument;
    u_job *job = &q->team;
    const long team = u_team_size(job), me = u_team_place(job), count = q->K * q->n;
    u_real *room = q->room + me * count, *first = q->room + job->threads * count;
    for (;;) {
        const long piece = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (piece >= q->pieces - 1) break;
        if (piece)
            u_T(u_scan_sum)(q, piece, room);
        else {
            memcpy(q->state, first, count * sizeof(u_real));
            u_T(u_scan_run)(q, 0, room);
        }
    }
    if (team > 1) u_meet(job, team);
    if (me == 0) { /* from here on the state of piece k holds where it begins */
        q->broken = !u_T(u_scan_finite)(q->state, count);
        u_real *own = u_T(u_scan_state)(q, 1);
        memcpy(first, q->state, count * sizeof(u_real)); /* where piece 1 begins */
        for (long piece = 1; piece < q->pieces; piece++, own += u_T(u_scan_size)(q)) {
            if (piece + 1 < q->pieces) {
                q->broken |= !u_T(u_scan_small)(own + count, q->K * count);
                u_T(u_scan_join)(q, first, piece, room);
            }
            memcpy(own, first, count * sizeof(u_real));
            memcpy(first, room, count * sizeof(u_real));
            q->broken |= !u_T(u_scan_finite)(own, count);
        }
        job->next = 1;
    }
    if (team > 1) u_meet(job, team);
    while (!q->broken) {
        const long piece = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (piece >= q->pieces) break;
        u_T(u_scan_run)(q, piece, room);
    }
    for (long piece = 1; q->broken && me == 0 && piece < q->pieces; piece++) {
        memcpy(u_T(u_scan_state)(q, piece), u_T(u_scan_state)(q, piece - 1), count * sizeof(u_real));
        u_T(u_scan_run)(q, piece, room);
    }
}

#define U_SCAN_EXPORTED __attribute__((visibility("default")))

/* Bytes that a call needs; n: T, n, K, reverse, threads. */
U_SCAN_EXPORTED long u_T(u_scan_memory)(const long *n) {
    return n[1] * n[2] * (U_SCAN_PIECES * (1 + n[2]) + n[4] + 1) * (long)sizeof(u_real);
}

/* All of it. p: A row by row (K x K), b, before, after, and the first and the last state, K arrays each; steps: of A and
 * b as they stand in p. */
U_SCAN_EXPORTED void u_T(u_scan_all)(const long *n, void **p, const long *steps, const u_pool *pool, void *memory) {
    u_T(u_scan) q = {.team = {.threads = n[4], .pool = pool}, .T = n[0], .n = n[1], .K = n[2], .reverse = n[3]};
    const long K = q.K, count = K * q.n;
    q.pieces = q.T / 32 < U_SCAN_PIECES ? q.T / 32 : U_SCAN_PIECES;
    if (q.pieces < 2) q.pieces = 2;
    q.length = q.T / q.pieces;
    q.state = memory;
    q.room = q.state + U_SCAN_PIECES * u_T(u_scan_size)(&q);
    u_real *first = q.room + q.team.threads * count;
    for (long i = 0; i < K * K; i++) q.a[i] = p[i], q.step_a[i] = steps[i];
    p += K * K;
    for (long i = 0; i < K; i++) {
        q.b[i] = p[i], q.step_b[i] = steps[K * K + i];
        q.before[i] = p[K + i], q.after[i] = p[2 * K + i];
        memcpy(first + i * q.n, p[3 * K + i], q.n * sizeof(u_real));
    }
    if (q.team.threads > 1 && pool->parallel)
        pool->parallel(u_T(u_scan_worker), &q, q.team.threads, 0);
    else
        u_T(u_scan_worker)(&q);
    for (long i = 0; i < K; i++)
        memcpy(p[4 * K + i], u_T(u_scan_state)(&q, q.pieces - 1) + i * q.n, q.n * sizeof(u_real));
}
#undef U_SCAN_EXPORTED
