"""Where kernels are built, kept and started: every side effect of compiling is in this room."""

from .cache import clear_cache, find_text, load, settings, store_text
from .folder import cache_folder
from .memory import MEMORY
from .threads import pool, thread_count
from .toolchain import instruction_set

__all__ = [
    "MEMORY",
    "cache_folder",
    "clear_cache",
    "find_text",
    "instruction_set",
    "load",
    "pool",
    "settings",
    "store_text",
    "thread_count",
]
