"""Kernels run on the threads that PyTorch already has."""

PROGRAM = """
import ctypes, os, signal, threading, time
import torch
from unrolled.compiler import runtime

library = runtime.load('''
typedef void parallel_function(void (*)(void *), void *, unsigned, unsigned);
typedef int number_function(void);
static number_function *thread_number, *team_size;
struct team { int size; int seen[64]; double sum[64]; };
static void work(void *data) {
    struct team *team = data;
    int me = thread_number();
    double sum = 0;
    for (int i = 1; i < 300000; i++) sum += 1.0 / i;
    if (me == 0) team->size = team_size();
    team->seen[me]++;
    team->sum[me] = sum;
}
__attribute__((visibility("default")))
void run(parallel_function *parallel, number_function *number, number_function *size, void *team, int count) {
    thread_number = number, team_size = size;
    parallel(work, team, count, 0);
}
''')

class Team(ctypes.Structure):
    _fields_ = [("size", ctypes.c_int), ("seen", ctypes.c_int * 64), ("sum", ctypes.c_double * 64)]

library.run.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int]

def run():
    team, count = Team(), runtime.thread_count()
    library.run(*runtime.pool(), ctypes.byref(team), count)
    assert count == team.size and list(team.seen) == [1] * count + [0] * (64 - count), list(team.seen)

def tasks():
    return len(os.listdir("/proc/self/task"))

def in_a_child(function):
    child = os.fork()
    if not child:
        signal.alarm(20)  # what hangs is killed
        function()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_the_pool_is_torchs_own(python):
    python(f"""{PROGRAM}
torch.set_num_threads(3)
assert runtime.pool()[0] and runtime.thread_count() == 3
assert torch.get_num_threads() == 3  # asking has changed nothing, here or in a new thread
seen = []
thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
thread.start()
thread.join()
assert seen == [3]
(torch.ones(1000, 1000) + 1).sum()  # starts the pool
before = tasks()
for _ in range(20):
    run()
assert tasks() == before >= 3, (tasks(), before)
torch.set_num_threads(2)
run()
""")


def test_several_python_threads_at_once(python):
    python(f"""{PROGRAM}
torch.set_num_threads(2)
faults = []
def repeat():
    try:
        for _ in range(30):
            run()
    except AssertionError as fault:
        faults.append(fault)
threads = [threading.Thread(target=repeat) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not faults, faults
""")


def test_a_fork_after_use_runs_serially_and_does_not_hang(python):
    python(f"""{PROGRAM}
torch.set_num_threads(3)
run()
def child():
    assert runtime.thread_count() == 1
    assert list(runtime.pool()) == [None] * 3
    in_a_child(lambda: runtime.thread_count() == 1 or os._exit(1))
in_a_child(child)
run()  # the parent goes on as before
""")


def test_without_openmp_everything_runs_serially(monkeypatch):
    import torch

    from unrolled.compiler.runtime import pool, thread_count, threads

    threads._found.cache_clear()
    try:
        monkeypatch.setattr(torch.__config__, "parallel_info", lambda: "ATen parallel backend: native thread pool")
        assert (thread_count(), pool()[0]) == (1, None)
    finally:
        threads._found.cache_clear()


def test_a_runtime_that_is_not_torchs_is_not_used(monkeypatch):
    from unrolled.compiler.runtime import pool, thread_count, threads

    threads._found.cache_clear()
    try:
        monkeypatch.setattr(threads, "_is_torchs", lambda _: False)
        assert (thread_count(), pool()[0]) == (1, None)
        assert threads.runtime().why_not == "PyTorch's OpenMP runtime was not found"
    finally:
        threads._found.cache_clear()
