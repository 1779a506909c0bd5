"""The same number of threads, and the same cores, for every library."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

TOPOLOGY = Path("/sys/devices/system/cpu")


@contextmanager
def held_to(threads: int | None) -> Iterator[None]:
    """Run PyTorch, and so our kernels, with so many threads; None: as many as it has.

    Where fewer are asked for than there are cores, the process is held to as many cores: jax takes every core that
    it may use, and has no other setting. What was set before is put back.
    """
    before = torch.get_num_threads()
    cores = _usable()
    torch.set_num_threads(threads or before)
    held = threads is not None and threads < len(cores)
    if held:
        os.sched_setaffinity(0, choose(cores, threads or 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if held:
            os.sched_setaffinity(0, cores)


def usable_cores() -> int | None:
    """How many this process may use; None where the system does not tell."""
    return len(_usable()) or None


def _usable() -> set[int]:
    return set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else set()


def choose(cores: set[int], count: int) -> set[int]:
    """So many of them; two that share one core's units only where there is no other way."""
    taken: list[int] = []
    later: list[int] = []
    siblings: set[int] = set()
    for core in sorted(cores):
        (later if core in siblings else taken).append(core)
        siblings |= _siblings(core)
    return set([*taken, *later][:count])


def _siblings(core: int) -> set[int]:
    """The logical processors of the same core; empty where the system does not tell."""
    try:
        text = (TOPOLOGY / f"cpu{core}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return set()
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
