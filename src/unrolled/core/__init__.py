"""The cell, the state's tree, the errors, and the reference loop that defines every semantic."""

from .cell import Cell, first_floating
from .cutting import chunks, join
from .errors import (
    CheckpointError,
    DataError,
    InputError,
    InputTypeError,
    NonFiniteError,
    UnrolledError,
    UnsupportedStep,
)
from .reference import check_step, run_reference
from .tree import Tree, describe, leaves, map_tree, named_leaves, unflatten
from .unrolling import (
    Step,
    Unrolling,
    at_least_1,
    batch_of,
    batch_size_of,
    checked_flags,
    detach,
    select,
    settle,
    valid_steps,
)

__all__ = [
    "Cell",
    "CheckpointError",
    "DataError",
    "InputError",
    "InputTypeError",
    "NonFiniteError",
    "Step",
    "Tree",
    "UnrolledError",
    "Unrolling",
    "UnsupportedStep",
    "at_least_1",
    "batch_of",
    "batch_size_of",
    "check_step",
    "checked_flags",
    "chunks",
    "describe",
    "detach",
    "first_floating",
    "join",
    "leaves",
    "map_tree",
    "named_leaves",
    "run_reference",
    "select",
    "settle",
    "unflatten",
    "valid_steps",
]
