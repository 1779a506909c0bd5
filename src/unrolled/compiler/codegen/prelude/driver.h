/* Run a kernel: the rows of the batch are cut into slices, and each runs through all time steps.
 *
 * With rows enough, every thread takes slices of its own and never waits. With few rows all threads run one slice
 * together: each computes a share of every value's columns, and they wait for each other where one reads what another
 * has written. Time is cut into chunks: what stands before the loop is computed for one chunk, then the loop runs
 * through it, then what stands after it, so that all of it is still in the cache.
 */
#ifndef U_DRIVER_H
#define U_DRIVER_H

#include <sched.h>
#include <stdlib.h>

/* Before a loop of which no turn reads what another writes. */
#if defined(__clang__)
#define U_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define U_INDEPENDENT _Pragma("GCC ivdep")
#endif

#if defined(__x86_64__) || defined(__i386__)
#define U_PAUSE __builtin_ia32_pause()
#else
#define U_PAUSE ((void)0)
#endif

#define U_ROUND_UP(bytes) (((bytes) + 63) / 64 * 64)

/* The threads of PyTorch's own OpenMP runtime. */
typedef struct {
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    int (*number)(void);
    int (*size)(void);
} u_pool;

typedef struct u_job u_job;

/* Rows of the batch that run through time together, and whose share of the columns is computed. */
typedef struct {
    u_job *job;
    long first, R, me, team;
    char *scratch;
} u_slice;

/* What decides how the rows are run. */
typedef struct {
    long slice;  /* at most so many rows run through time together */
    long chunk;  /* at least so many rows at once before and after the loop: a weight is read once for them */
    long few;    /* threads with fewer rows than this had better work together */
    long shared; /* if a step has at least so many multiply-adds, so that they do not only wait for each other */
} u_habits;

/* A call of one time step that is made again and again: what stands in it is filled in by Python. */
typedef struct {
    const long *n;
    void **p, **packed;
    const u_pool *pool;
    const u_habits *habits;
    char *memory;
} u_call;

struct u_job {
    long T, B, reverse, window, done, threads;
    const unsigned char *valid, *restart;
    void **p;           /* the tensors */
    void **packed;      /* weights, packed */
    unsigned long kept; /* bit i: packed[i] is as it should be */
    const u_pool *pool;
    const u_habits *habits;
    char *memory;
    const long *at;     /* where each array lies in a slice's scratch, and their size */
    long slice, slices, together, chunk, chunks, scratch;
    long totals, workspace; /* where in memory the threads have room for sums over all rows, and how much each */
    void (*pack)(u_job *job, long me, long team); /* NULL: nothing to do */
    void (*run)(const u_slice *s);
    void (*total)(u_job *job, long me, long team); /* likewise */
    long next __attribute__((aligned(64)));
    long arrived __attribute__((aligned(64)));
    long phase __attribute__((aligned(64)));
};

/* Wait until the whole team is here. */
static __attribute__((unused, noinline)) void u_meet(u_job *job, long team) {
    const long phase = __atomic_load_n(&job->phase, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&job->arrived, 1, __ATOMIC_ACQ_REL) == team) {
        __atomic_store_n(&job->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&job->phase, phase + 1, __ATOMIC_RELEASE);
        return;
    }
    for (long spins = 0; __atomic_load_n(&job->phase, __ATOMIC_ACQUIRE) == phase; spins++) {
        if (spins < 4096)
            U_PAUSE;
        else
            sched_yield(); /* there may be fewer cores than threads */
    }
}

/* How many threads run this, and which of them I am. */
U_INLINE long u_team_size(const u_job *job) {
    return job->threads > 1 && job->pool->parallel ? job->pool->size() : 1;
}
U_INLINE long u_team_place(const u_job *job) { return u_team_size(job) > 1 ? job->pool->number() : 0; }

U_INLINE void u_wait(const u_slice *s) {
    if (s->team > 1) u_meet(s->job, s->team);
}

/* The share of `count` columns that is mine, in whole vectors. */
U_INLINE long u_from(const u_slice *s, long count) {
    return s->team == 1 ? 0 : (count + 15) / 16 * s->me / s->team * 16;
}
U_INLINE long u_to(const u_slice *s, long count) {
    const long to = s->team == 1 ? count : (count + 15) / 16 * (s->me + 1) / s->team * 16;
    return to < count ? to : count;
}
/* The rows of a result before which one thread's share ends: whole tiles. */
U_INLINE long u_share(long count, long me, long team) {
    return me == team ? count : count * me / team / U_TILE_ROWS * U_TILE_ROWS;
}
U_INLINE void u_at_least(long *size, long other) {
    if (*size < other) *size = other;
}
/* The same of things that are computed one by one. */
U_INLINE long u_first(const u_slice *s, long count) { return s->team == 1 ? 0 : count * s->me / s->team; }
U_INLINE long u_last(const u_slice *s, long count) { return s->team == 1 ? count : count * (s->me + 1) / s->team; }

/* My columns of rows of n bytes: from `from` to `to`, all of them or those that a flag chooses. */
static __attribute__((unused)) void u_take(const u_slice *s, long R, long n, size_t size, void *to, const void *from,
                                           const unsigned char *flags, int wanted) {
    const size_t begin = u_from(s, n) * size, bytes = u_to(s, n) * size - begin, row = n * size;
    if (!flags && bytes == row) {
        memcpy(to, from, R * row);
        return;
    }
    for (long r = 0; r < R; r++)
        if (!flags || !flags[r] == !wanted) memcpy((char *)to + r * row + begin, (const char *)from + r * row + begin, bytes);
}

/* The same with zeros. */
static __attribute__((unused)) void u_clear(const u_slice *s, long R, long n, size_t size, void *to,
                                            const unsigned char *flags, int wanted) {
    const size_t begin = u_from(s, n) * size, bytes = u_to(s, n) * size - begin, row = n * size;
    for (long r = 0; r < R; r++)
        if (!flags || !flags[r] == !wanted) memset((char *)to + r * row + begin, 0, bytes);
}

/* Rows of the slice up to the last that has a valid step among `count` from time `low` on. */
static __attribute__((unused)) long u_active(const u_slice *s, long low, long count) {
    const u_job *job = s->job;
    if (!job->valid) return s->R;
    long R = 0;
    for (long t = low; t < low + count; t++)
        for (long r = s->R; r > R; r--)
            if (job->valid[t * job->B + s->first + r - 1]) R = r;
    return R;
}

/* Rows from R on of sequences of n elements: zero, at `count` times from `low` on. */
static __attribute__((unused)) void u_blank(const u_slice *s, long low, long count, long R, long n, size_t size,
                                            void *sequence) {
    for (long t = low + s->me; t < low + count; t += s->team)
        memset((char *)sequence + (t * s->job->B + s->first + R) * n * size, 0, (s->R - R) * n * size);
}

/* u_product, of which each of a team computes its panels. Columns that are equal modulo `period` go to one thread, as far
 * as panels allow: the gates of one unit, for example. */
#define U_SHARED_PRODUCT(S, REAL, ITEM, PACKED)                                                                                      \
    static __attribute__((unused)) void u_shared_product_##S(                                                          \
        const u_slice *s, long C, long R, long K, long N, const REAL *a, long lda, long step_a, const PACKED *packed,  \
        REAL *c, long ldc, long step_c, long period) {                                                                 \
        const long panel = U_PANEL_VECTORS * U_VECTOR_BYTES / (long)sizeof(ITEM);                                      \
        for (long first = 0, next; first < N; first = next) {                                                          \
            next = s->team == 1 ? N : first + panel;                                                                   \
            if (first % period * s->team / period != s->me) continue;                                                  \
            while (next < N && next % period * s->team / period == s->me) next += panel;                               \
            if (next > N) next = N;                                                                                    \
            u_product_##S(C, R, K, next - first, a, lda, step_a, packed + u_packed_size_##S(K, first), c + first, ldc, \
                          step_c, NULL, 0);                                                                            \
        }                                                                                                              \
    }
/* Whether a packed weight still is what it was packed of, as far as 64 elements tell. */
#define U_PACK_HOLDS(S, REAL)                                                                                          \
    static __attribute__((unused)) int u_pack_holds_##S(long K, long N, const REAL *b, long sk, long sn,               \
                                                        const REAL *packed) {                                          \
        const long count = K * N;                                                                                      \
        for (long i = 0; i < 64 && i < count; i++) {                                                                   \
            const long place = count <= 64 ? i : i * (count - 1) / 63, k = place / N, n = place % N;                   \
            if (memcmp(b + k * sk + n * sn, packed + u_packed_place_##S(K, N, k, n), sizeof(REAL))) return 0;          \
        }                                                                                                              \
        return 1;                                                                                                      \
    }
U_PACK_HOLDS(f, float)
U_PACK_HOLDS(d, double)

U_SHARED_PRODUCT(f, float, float, float)
U_SHARED_PRODUCT(d, double, double, double)
#ifdef U_BF16
U_SHARED_PRODUCT(h, float, u_pair, uint16_t)
#define u_pack_holds_h(K, N, b, sk, sn, packed) 0
#endif

/* Decide how the rows are run: the same for both directions, whatever the cell. `work`: multiply-adds of a row. */
static __attribute__((unused)) void u_schedule(u_job *job, double work) {
    const long share = (job->B + job->threads - 1) / job->threads;
    job->together = job->threads > 1 && share < job->habits->few && job->B * work >= job->habits->shared;
    const long rows = job->together ? job->B : share;
    const long parts = (rows + job->habits->slice - 1) / job->habits->slice;
    job->slice = (rows + parts - 1) / parts;
    job->slices = (job->B + job->slice - 1) / job->slice;
    job->chunk = (job->habits->chunk + job->slice - 1) / job->slice;
    if (job->chunk > job->T) job->chunk = job->T;
    job->chunks = (job->T + job->chunk - 1) / job->chunk;
}

static __attribute__((unused)) void u_worker(void *argument) {
    u_job *job = argument;
    const long team = u_team_size(job), me = u_team_place(job);
    u_slice s = {.job = job, .me = me, .team = team, .scratch = job->memory};
    if (job->pack) {
        job->pack(job, me, team);
        u_wait(&s);
    }
    u_slice mine = s;
    if (!job->together) mine = (u_slice){.job = job, .team = 1, .scratch = job->memory + me * job->scratch};
    for (long taken = 0;; taken++) {
        const long slice = job->together ? taken : __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (slice >= job->slices) break;
        mine.first = slice * job->slice;
        mine.R = job->B - mine.first < job->slice ? job->B - mine.first : job->slice;
        job->run(&mine);
        if (slice + 1 < job->slices) u_wait(&mine);
    }
    if (!job->total) return;
    u_wait(&s);
    job->total(job, me, team);
}

static __attribute__((unused)) void u_run(u_job *job) {
    if (job->threads > 1 && job->pool->parallel && (job->together || job->slices > 1))
        job->pool->parallel(u_worker, job, job->threads, 0);
    else
        u_worker(job);
}

#endif
