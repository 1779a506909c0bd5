/* Run the parts of a kernel: rows are cut into blocks, which the threads take one after the other. */
#ifndef U_DRIVER_H
#define U_DRIVER_H

#include <stdlib.h>

/* Before a loop of which no turn reads what another writes. */
#if defined(__clang__)
#define U_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define U_INDEPENDENT _Pragma("GCC ivdep")
#endif

#define U_ROUND_UP(bytes) (((bytes) + 63) / 64 * 64)

typedef void (*u_parallel)(void (*)(void *), void *, unsigned, unsigned);
typedef struct u_job u_job;
typedef void (*u_part)(const u_job *job, long first, long R, char *scratch);

struct u_job {
    long T, B, reverse, window, done, threads;
    const unsigned char *valid, *restart;
    void **p;       /* the tensors */
    void **packed;  /* weights, each packed once a call */
    u_parallel parallel;
    u_part part;    /* what is running, on how many rows, in which blocks */
    long rows, block_rows, blocks, scratch, next, failed;
};

static __attribute__((unused)) void u_worker(void *argument) {
    u_job *job = argument;
    char *memory = malloc(job->scratch + 64);
    if (!memory) {
        __atomic_store_n(&job->failed, 1, __ATOMIC_RELAXED);
        return;
    }
    for (;;) {
        const long block = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (block >= job->blocks) break;
        const long first = block * job->block_rows;
        const long R = job->rows - first < job->block_rows ? job->rows - first : job->block_rows;
        job->part(job, first, R, (char *)U_ROUND_UP((uintptr_t)memory));
    }
    free(memory);
}

/* One part, for all rows, in blocks of at most `most` rows. */
static __attribute__((unused)) void u_run(u_job *job, u_part part, long rows, long most, long scratch) {
    if (job->failed) return;
    const long share = (rows + job->threads - 1) / job->threads;
    job->part = part;
    job->rows = rows;
    job->block_rows = share < most ? share : most;
    job->blocks = (rows + job->block_rows - 1) / job->block_rows;
    job->scratch = scratch;
    job->next = 0;
    if (job->parallel && job->threads > 1 && job->blocks > 1)
        job->parallel(u_worker, job, job->threads, 0);
    else
        u_worker(job);
}

#endif
