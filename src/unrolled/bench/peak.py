"""The processor's peak in float32, measured: independent multiply-adds on registers, and nothing else.

Only a kernel of our own can tell it: a library's matrix product may be far below what the processor can do.
"""

import ctypes
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..compiler.codegen.prelude import prelude
from ..compiler.runtime import load, pool, thread_count

TRIES = 12
CHUNKS = 8  # for each thread: on a processor with slow and fast cores the fast ones take more of them
SECONDS = 0.01  # of one try

# A multiply-add takes about four cycles until its result can be used, and up to four can begin in each cycle: so
# many must be independent of each other. With 16 registers there is room for 12 sums and the two factors.
SOURCE = """
#if defined(__aarch64__)
#define U_SUMS 20
#else
#define U_SUMS 12
#endif

typedef void (*u_peak_parallel)(void (*)(void *), void *, unsigned, unsigned);
typedef struct { long rounds, chunks, next; float sink; } u_peak_job;

static void u_peak_worker(void *argument) {
    u_peak_job *job = argument;
    u_vector_f sums[U_SUMS], factor, more;
    for (int i = 0; i < U_VECTOR_BYTES / 4; i++) {
        factor[i] = 0.999f; /* the sums go to 1: neither infinite nor denormal */
        more[i] = 0.001f;
    }
#pragma GCC unroll 20
    for (int s = 0; s < U_SUMS; s++) sums[s] = more * (float)s;
    while (__atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED) < job->chunks)
        for (long round = 0; round < job->rounds; round++) {
#pragma GCC unroll 20
            for (int s = 0; s < U_SUMS; s++) {
                sums[s] = u_vector_fma_f(sums[s], factor, more);
                U_IN_REGISTER(sums[s]);
            }
        }
    u_vector_f all = sums[0];
#pragma GCC unroll 20
    for (int s = 1; s < U_SUMS; s++) all += sums[s];
    if (all[0] < 0) job->sink = all[0]; /* never: but it must be computed */
}

/* Operations done, a multiply-add counted as two. */
__attribute__((visibility("default")))
double u_peak(long rounds, long chunks, long threads, u_peak_parallel parallel) {
    u_peak_job job = {.rounds = rounds, .chunks = chunks};
    if (parallel && threads > 1)
        parallel(u_peak_worker, &job, threads, 0);
    else
        u_peak_worker(&job);
    return 2.0 * rounds * chunks * U_SUMS * (U_VECTOR_BYTES / 4);
}
"""


@dataclass(frozen=True)
class Peak:
    """GFLOP/s of one thread and of all."""

    one_thread: float
    all_threads: float


def measure() -> Peak:
    """The best of several tries of each.

    Raises:
        UnsupportedStep: there is no C compiler, or no place for kernels.
    """
    count = thread_count()
    one = max(burst(1) for _ in range(TRIES))
    return Peak(one, one if count == 1 else max(burst(count) for _ in range(TRIES)))


def burst(threads: int) -> float:
    """GFLOP/s of one try."""
    function = _function()
    rounds = _rounds()
    begin = time.perf_counter()
    done = function(rounds, CHUNKS * threads, threads, ctypes.c_void_p(pool()[0]))
    return float(done) / (time.perf_counter() - begin) / 1e9


@cache
def _rounds() -> int:
    """So many that a try of one thread takes about ``SECONDS``."""
    rounds = 1000
    while True:
        begin = time.perf_counter()
        _function()(rounds, CHUNKS, 1, None)
        if (taken := time.perf_counter() - begin) >= SECONDS:
            return max(1, round(rounds * SECONDS / taken))
        rounds *= 2


@cache
def _function() -> Any:
    function = load(prelude() + SOURCE).u_peak
    function.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_long, ctypes.c_void_p]
    function.restype = ctypes.c_double
    return function
