"""A cell with weights of which elements are dropped."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from ...core import InputError, Tree
from .._options import probability
from ._wrapper import Wrapper


class WeightDrop(Wrapper):
    """Elements of weights are zeroed, anew for each sequence (DropConnect).

    W̃ = m W, in place of W in the cell, with m 0 with probability p and 1/(1-p) otherwise

    It is drawn once a sequence in training by :class:`unrolled.Recurrent`, and all that is made of it; the cell's own
    weight stays what it is, gets the gradient, and is saved. In evaluation, and in ``step`` by itself, W̃ is W.

    Args:
        cell: any cell.
        p: probability of dropping an element.
        names: of weights, parameters or buffers, as ``cell.named_parameters()`` has them. In a cell that wraps
            another, the other's may be named as if they were its own.

    Shape:
        Those of the cell.

    Raises:
        InputTypeError: ``cell`` is no cell.
        InputError: a probability outside [0, 1), or a name that the cell does not have.

    Reference:
        Wan et al. 2013, Regularization of neural networks using DropConnect, ICML; of recurrent weights: Merity et al.
        2018, arXiv:1708.02182.

    Example:
        >>> import torch
        >>> from unrolled import Recurrent
        >>> from unrolled.cells import GRU
        >>> layer = Recurrent(WeightDrop(GRU(3, 5), 0.5, names=("weight_hh", "weight_ih")))
        >>> layer(torch.randn(20, 4, 3))[0].shape
        torch.Size([20, 4, 5])
    """

    def __init__(self, cell: nn.Module, p: float, names: Iterable[str] = ("weight_hh",)):
        super().__init__(cell)
        self.weight_drop = probability(p, "p")
        self.weight_drop_names = tuple(_found(cell, name) for name in ([names] if isinstance(names, str) else names))

    def step(self, x: Tree, state: Tree, noise: Tree | None = None) -> tuple[Tree, Tree]:
        """One step of the cell."""
        return self.inside(x, state, noise)


def _found(cell: nn.Module, name: str) -> str:
    """Where the weight of that name is, seen from the wrapper."""
    place, holder = "cell.", cell
    known = [known for known, _ in (*cell.named_parameters(), *cell.named_buffers())]
    while name not in _own(holder):
        inner: Any = getattr(holder, "cell", None)
        if not isinstance(inner, nn.Module):
            raise InputError(f"names: expected weights of {type(cell).__name__}, {', '.join(known)}, got {name!r}.")
        place, holder = f"{place}cell.", inner
    return place + name


def _own(cell: nn.Module) -> set[str]:
    return {name for name, _ in (*cell.named_parameters(), *cell.named_buffers())}
