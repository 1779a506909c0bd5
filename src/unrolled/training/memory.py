"""Memory that a training step frees is what the next one needs: it is kept, not given back to the system."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT = 2**30  # bytes


def keep_freed_memory() -> bool:
    """Have glibc keep up to 1 GiB of what this process frees; whether there is a glibc to ask.

    By default it returns each block of more than some MB to the system and asks for it again at the next step,
    which clears every page: in a step with 400 x 10,000 logits a quarter of the time.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, _KEPT)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
