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

    That is what its ``draw`` returns, which each step is given as a third argument, and the ``weight_drop`` of the cell
    and of the modules inside it: a probability for ``weight_hh``, or for the ``weight_drop_names``. Two steps of the
    same cell, drawn for at different times, are the same to the compiler.

    Raises:
        InputError: a module has a ``weight_drop`` but no parameter of that name of its own.
    """
    dropped: Any = with_dropped_weights(cell)
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


def with_dropped_weights(cell: nn.Module) -> nn.Module:
    """A twin of the cell, which shares all with it but the weights of which elements are dropped; or the cell itself,
    where it has none, or does not train.

    A twin for each sequence: as long as there is a graph, its step computes with these very weights.
    """
    dropped = cell
    for path, p in _to_drop(cell, ()):
        dropped = _with_dropped(dropped, path, p)
    return dropped


def _to_drop(module: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], float]]:
    """Where each weight is that a module, or one inside it, says to drop, and the probability."""
    p, found = getattr(module, "weight_drop", 0.0), []
    if p and module.training:
        names = getattr(module, "weight_drop_names", ("weight_hh",))
        found = [((*path, *name.split(".")), p) for name in names]
    for name, inner in module._modules.items():
        if inner is not None:
            found += _to_drop(inner, (*path, name))
    return found


def _with_dropped(module: Any, path: tuple[str, ...], p: float) -> Any:
    """A twin of a module, in which the weight at the path has elements dropped."""
    name, *rest = path
    if rest and module._modules.get(name) is not None:
        inner = _with_dropped(module._modules[name], tuple(rest), p)
        return twin(module, _modules={**module._modules, name: inner})
    for kind in ("_parameters", "_buffers"):
        weight = getattr(module, kind).get(name)
        if weight is not None and not rest:
            return twin(module, **{kind: {**getattr(module, kind), name: F.dropout(weight, p)}})
    owner = type(module).__name__
    raise InputError(
        f"weight_drop: expected a parameter {'.'.join(path)} of {owner} itself, got none "
        "(a parametrized weight is none). Set cell.weight_drop = 0."
    )
