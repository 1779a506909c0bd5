"""unrolled: write one time step, run the whole sequence, forward and back through time.

``import unrolled`` itself imports nothing: each public name is imported when it is first used, so the
command line answers ``--help`` without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import cells, core, inspection, layers, models, nn, tasks, training
    from .core import (
        Cell,
        CheckpointError,
        DataError,
        InputError,
        InputTypeError,
        NonFiniteError,
        UnrolledError,
        UnsupportedStep,
    )
    from .inspection import diagnose, equations, explain
    from .layers import Bidirectional, Recurrent, Stack, unroll
    from .nn import Conversion, convert, restore

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(("diagnose", "equations", "explain"), "inspection"),
    **dict.fromkeys(("Bidirectional", "Recurrent", "Stack", "unroll"), "layers"),
    **dict.fromkeys(("Conversion", "convert", "restore"), "nn"),
    **dict.fromkeys(
        (
            "Cell",
            "CheckpointError",
            "DataError",
            "InputError",
            "InputTypeError",
            "NonFiniteError",
            "UnrolledError",
            "UnsupportedStep",
        ),
        "core",
    ),
}
_ROOMS = ("cells", "core", "inspection", "layers", "models", "nn", "tasks", "training")

__all__ = [
    "Bidirectional",
    "Cell",
    "CheckpointError",
    "Conversion",
    "DataError",
    "InputError",
    "InputTypeError",
    "NonFiniteError",
    "Recurrent",
    "Stack",
    "UnrolledError",
    "UnsupportedStep",
    "cells",
    "convert",
    "core",
    "diagnose",
    "equations",
    "explain",
    "inspection",
    "layers",
    "models",
    "nn",
    "restore",
    "tasks",
    "training",
    "unroll",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
