"""Random masks of a sequence, drawn before it runs, so that every backend has the same from the same seed."""

from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

from torch import Tensor, nn
from torch.compiler import is_compiling
from torch.nn import functional as F

from ..core import InputError, Step, Tree, batch_of, leaves
from .twin import twin


@dataclass(frozen=True)
class Drawn:
    """What is run in place of a cell's step over x."""

    step: Step
    x: Tree | None
    steps: int | None  # for a sequence without input
    at_random: bool  # whether anything was drawn


def draw(cell: Any, x: Tree | None, state: Tree, steps: int | None) -> Drawn:
    """A cell's step over a sequence (T, B, ...), with what it draws for it.

    That is its ``weight_drop``, and what its ``draw`` returns, which each step is given as a third argument. Two steps
    of the same cell, drawn for at different times, are the same to the compiler.

    Raises:
        InputError: the cell has a ``weight_drop`` but no parameter ``weight_hh`` of its own.
    """
    p = getattr(cell, "weight_drop", 0.0)
    dropped: Any = _with_dropped_weight(cell, p) if p and cell.training else cell
    noise = _noise(cell, x, state, steps)
    if noise is None:
        return Drawn(dropped.step, x, steps, dropped is not cell)
    bind: Any = partial if is_compiling() else MethodType  # the kernel's cache knows a method again
    return Drawn(bind(step_with_noise, dropped), (noise,) if x is None else (x, noise), None, True)


def step_with_noise(cell: Any, given: Tree, state: Tree) -> tuple[Tree, Tree]:
    """The cell's step, of the input and its noise as one input."""
    *x, noise = given
    results: tuple[Tree, Tree] = cell.step(x[0] if x else None, state, noise)
    return results


def _noise(cell: Any, x: Tree | None, state: Tree, steps: int | None) -> Tree | None:
    own = getattr(cell, "draw", None)
    if not callable(own):
        return None
    if x is None:
        return None if steps is None else own(steps, batch_of(state)[0])
    first = next(iter(leaves(x)), None)
    if not isinstance(first, Tensor) or first.dim() < 2:  # refused by who runs it
        return None
    return own(*first.shape[:2])


def _with_dropped_weight(cell: nn.Module, p: float) -> nn.Module:
    """A twin of the cell, which shares all with it but ``weight_hh``, of which elements are dropped.

    A twin for each sequence: as long as there is a graph, its step computes with this very weight.
    """
    weight = cell._parameters.get("weight_hh")
    if weight is None:
        raise InputError(
            f"weight_drop: expected a parameter weight_hh of {type(cell).__name__} itself, got none "
            "(a parametrized weight is none). Set cell.weight_drop = 0."
        )
    dropped: nn.Module = twin(cell, _parameters={**cell._parameters, "weight_hh": F.dropout(weight, p)})
    return dropped
