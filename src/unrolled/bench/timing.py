"""Times of several sides, in turns: what the machine does meanwhile happens to all of them alike."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .sides import Side

TURN = 0.02  # seconds of runs in a row, before it is the next side's turn
MOST = 200  # runs in a row
LEAST_ROUNDS = 3
SLICE, PATIENCE = 0.005, 1.0  # seconds: to look whether threads are still, and to wait for it


@dataclass(frozen=True)
class Times:
    """Seconds of one run, the best and the median of ``count`` runs; or bytes, measured once."""

    best: float
    median: float
    count: int

    @staticmethod
    def of(samples: Sequence[float], per: int = 1) -> "Times":
        """Of runs that did ``per`` units of work each."""
        return Times(min(samples) / per, statistics.median(samples) / per, len(samples))


def race(
    sides: Sequence[Side],
    seconds: float,
    *,
    clock: Callable[[], float] = time.perf_counter,
    wait: Callable[[], None] | None = None,
) -> list[list[float]]:
    """The seconds of every timed run of each side.

    In a round each side has its turn, in an order that turns round each time; a turn is as many runs as take about
    ``TURN`` seconds. Before it the threads of another pool must have come to rest, and one run that is not counted
    wakes the side's own.

    Args:
        sides: they have all been run before.
        seconds: rounds are added until so much time has gone by; there are ``LEAST_ROUNDS`` at least.
        clock: for tests.
        wait: called between sides of different pools.
    """
    wait = wait or wait_until_quiet
    samples: list[list[float]] = [[] for _ in sides]
    turns: list[int | None] = [None] * len(sides)
    order = list(range(len(sides)))
    before = ""
    rounds, began = 0, clock()
    with no_garbage_collection():
        while rounds < LEAST_ROUNDS or clock() - began < seconds:
            for k in order:
                side = sides[k]
                if before and side.pool != before:
                    wait()
                before = side.pool
                known = turns[k]
                if known is None or known > 1:  # a long run need not be led in
                    lead_in = _timed(side, clock)
                    turns[k] = known = known or _runs(lead_in)
                samples[k] += [_timed(side, clock) for _ in range(known)]
            order.reverse()
            rounds += 1
    return samples


def _timed(side: Side, clock: Callable[[], float]) -> float:
    begin = clock()
    side.run()  # what it returns is dropped after the clock, as a user's loop would do
    return clock() - begin


def _runs(seconds: float) -> int:
    return min(MOST, max(1, math.ceil(TURN / max(seconds, 1e-9))))


def wait_until_quiet() -> None:
    """Wait until the threads of this process use no more processor time: pools spin for a while after a run."""
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE:
        used = time.process_time()
        time.sleep(SLICE)
        if time.process_time() - used < SLICE / 5:
            return


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Python's collector must not run in the middle of a time."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
