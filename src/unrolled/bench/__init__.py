"""The side-by-side benchmark that users run on their own machine: ``unrolled bench``, and :func:`run` in Python.

Only ``options`` is read by the command line before a command runs, so this package imports nothing by itself.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmark import run
    from .options import GROUPS, Options, Shape
    from .results import Results

__all__ = ["GROUPS", "Options", "Results", "Shape", "run"]

_HOME = {"run": "benchmark", "Results": "results", "GROUPS": "options", "Options": "options", "Shape": "options"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME[name]}", __name__), name)
