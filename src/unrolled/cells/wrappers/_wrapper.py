"""What all wrappers share: the cell inside, its state, and what it draws beside what they draw."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...core import Cell, InputError, InputTypeError, Tree, first_floating, leaves, map_tree
from ...core.tree import rebuild
from .._options import probability
from .._shared import check_sizes

Probabilities = float | tuple[Any, ...]
"""One for every floating tensor of the state, or a tuple of the state's structure."""


class Wrapper(Cell):
    """A cell that is another cell, but for what a subclass changes in ``step``."""

    def __init__(self, cell: nn.Module):
        super().__init__()
        if not (callable(getattr(cell, "step", None)) and callable(getattr(cell, "initial_state", None))):
            raise InputTypeError(f"cell: expected a Cell, with step and initial_state, got {type(cell).__name__}.")
        self.cell: Any = cell
        self.input_size = getattr(cell, "input_size", None)
        self.hidden_size = getattr(cell, "hidden_size", None)

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Tree:
        """That of the cell inside."""
        asked = {name: value for name, value in (("device", device), ("dtype", dtype)) if value is not None}
        return self.cell.initial_state(batch_size, **asked)

    def draw(self, steps: int, batch_size: int) -> Tree | None:
        """What the cell inside draws."""
        own: Callable[[int, int], Tree | None] | None = getattr(self.cell, "draw", None)
        return own(steps, batch_size) if callable(own) else None

    def inside(self, x: Tree, state: Tree, noise: Tree | None) -> tuple[Tree, Tree]:
        """One step of the cell inside, with what it drew, None or () for nothing."""
        nothing = noise is None or (isinstance(noise, tuple) and not noise)
        made: tuple[Tree, Tree] = self.cell.step(x, state) if nothing else self.cell.step(x, state, noise)
        return made


class Drawing(Wrapper):
    """A wrapper that draws. Its noise is the pair (its own masks, what the cell inside drew), () for nothing."""

    def masks(self, steps: int, batch_size: int, like: Tensor) -> tuple[Tensor, ...]:
        """What it draws itself, in training, on the device and in the dtype of ``like``."""
        raise NotImplementedError

    def draw(self, steps: int, batch_size: int) -> Tree | None:
        """Its own masks, and what the cell inside draws."""
        like = first_floating(self)
        own = self.masks(steps, batch_size, torch.empty(0) if like is None else like) if self.training else ()
        inside = super().draw(steps, batch_size)
        return (own, () if inside is None else inside) if own or inside is not None else None


def once(p: float, steps: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A mask of dropout, 0 or 1/(1-p), the same for all steps: (T, B, ...)."""
    kept = torch.full(shape, 1 - p, dtype=like.dtype, device=like.device)
    return (kept.bernoulli() / (1 - p)).expand(steps, *shape)


def on_first(change: Callable[[Tensor], Tensor], x: Tree) -> Tree:
    """The input with its features changed: those of x itself, or of the first of a tuple such as (x, dt)."""
    return rebuild(x, [on_first(change, x[0]), *x[1:]]) if isinstance(x, tuple) and x else change(x)


def features(cell: Any, given: int | None) -> int:
    """The features of the input: those given, or those that the cell names.

    Raises:
        InputError: there are none.
    """
    size = getattr(cell, "input_size", None) if given is None else given
    if size is None:
        raise InputError(
            f"input_size: expected the features of x, which {type(cell).__name__} does not name, got None."
        )
    check_sizes(input_size=size)
    return int(size)


def of_state(cell: Any, p: Any, name: str) -> tuple[tuple[float, ...], tuple[tuple[int, ...], ...]]:
    """A probability and the sizes (without the batch) for each tensor of a cell's state.

    Raises:
        InputError: a probability outside [0, 1), or not a number or a tuple of the state's structure; or above 0 for a
            tensor of whole numbers.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        state = cell.initial_state(1)
    if not isinstance(p, tuple):
        chosen = probability(p, name)
        each = map_tree(lambda leaf: chosen if leaf.is_floating_point() else 0.0, state)
    elif _same_structure(p, state):
        each = map_tree(lambda value: probability(value, name), p)
    else:
        raise InputError(f"{name}: expected one number, or a tuple with one for each tensor of the state, got {p!r}.")
    values: list[Any] = leaves(each)
    for value, leaf in zip(values, leaves(state), strict=True):
        if value and not leaf.is_floating_point():
            raise InputError(f"{name}: expected 0 for a tensor of the state that is {leaf.dtype}, got {value}.")
    return tuple(values), tuple(tuple(leaf.shape[1:]) for leaf in leaves(state))


def _same_structure(a: Any, b: Any) -> bool:
    if not (isinstance(a, tuple) and isinstance(b, tuple)):
        return not isinstance(a, tuple) and not isinstance(b, tuple)
    return len(a) == len(b) and all(map(_same_structure, a, b))
