"""The threads of PyTorch's own OpenMP runtime, for kernels to run on: a second pool would fight with it for cores.

Kernels hold no OpenMP code of their own. They are given the addresses of three functions of the runtime that
PyTorch has loaded, and call ``GOMP_parallel(function, data, thread_count, 0)``, in which every thread asks for its
number and for the size of the team: it may be smaller than was asked for.
"""

import ctypes
import functools
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Runtime:
    """Addresses in PyTorch's OpenMP runtime: all three, or three times 0 and the reason why."""

    parallel: int = 0
    thread_number: int = 0
    team_size: int = 0
    why_not: str = ""


_forked = False  # whether this process was forked after this module was imported
_asked = False  # whether a kernel may have used the threads


def pool() -> Any:
    """The addresses of the three functions as a kernel takes them: an array, of nulls where it runs serially.

    They are those of ``GOMP_parallel(void (*)(void *), void *, unsigned, unsigned)``, ``int omp_get_thread_num(void)``
    and ``int omp_get_num_threads(void)``.
    """
    global _asked
    _asked = True
    return _addresses(runtime())


@functools.cache
def _addresses(found: "Runtime") -> Any:
    return (ctypes.c_void_p * 3)(found.parallel, found.thread_number, found.team_size)


def thread_count() -> int:
    """How many threads a kernel may ask for now: ``torch.get_num_threads()``; 1 where threads would hang or fail.

    A forked process has the pool's books but none of its threads, and would wait for them for ever.
    Ask before every launch: the number changes with ``torch.set_num_threads`` and in a fork.
    """
    return torch.get_num_threads() if runtime().parallel else 1


def runtime() -> Runtime:
    """The functions of the runtime, as this process may use them now."""
    return Runtime(why_not="this process was forked from one that may have used them") if _forked else _found()


@functools.cache
def _found() -> Runtime:
    if "ATen parallel backend: OpenMP" not in torch.__config__.parallel_info():
        return Runtime(why_not="this PyTorch was built without OpenMP")
    if sys.platform == "win32":
        return Runtime(why_not="PyTorch's OpenMP runtime has other functions on Windows")
    for open_library in (_public, _linked_with_torch):
        try:
            library = open_library()
            names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
            parallel, thread_number, team_size = (_address(library, name) for name in names)
            if _is_torchs(library):
                return Runtime(parallel, thread_number, team_size)
        except (OSError, AttributeError):  # no such library, or it lacks one of the names
            continue
    return Runtime(why_not="PyTorch's OpenMP runtime was not found")


def _public() -> ctypes.CDLL:
    """What every library sees: PyTorch makes its runtime visible, unless another was there before (LD_PRELOAD)."""
    return ctypes.CDLL(None)


def _linked_with_torch() -> ctypes.CDLL:
    """The library of PyTorch's kernels, as it is already loaded: names are searched in what it was linked with."""
    name = "libtorch_cpu.dylib" if sys.platform == "darwin" else "libtorch_cpu.so"
    return ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / name), mode=os.RTLD_NOW | os.RTLD_NOLOAD)


def _is_torchs(library: ctypes.CDLL) -> bool:
    """Whether PyTorch sees what is set here. A thread of its own asks, since the setting is each thread's own."""
    seen = []

    def ask() -> None:
        other = torch.get_num_threads() + 1
        library.omp_set_num_threads(other)
        seen.append(torch.get_num_threads() == other)

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    return seen == [True]


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


def _remember_fork() -> None:
    global _forked
    _forked = True
    if _asked:  # PyTorch's own operations would wait for the lost threads as well
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember_fork)
