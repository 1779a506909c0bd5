"""A cell whose input is added to its output."""

from torch import Tensor

from ...core import InputError, Tree, describe
from ._wrapper import Wrapper


class Residual(Wrapper):
    """The input goes past the cell: what it learns is a difference.

    y(t) = x(t) + f(x(t), s(t-1)), with f(x(t), s(t-1)) the output of the cell

    Args:
        cell: any cell whose output has the shape of its input.

    Shape:
        x and y (B, I); state that of the cell. Of an input that is a tuple, such as (x, Δt), the first is added.

    Raises:
        InputTypeError: ``cell`` is no cell.
        InputError: at the first step, where the output of the cell has another shape than its input.

    Reference:
        He et al. 2016, doi:10.1109/CVPR.2016.90; between recurrent layers: Wu et al. 2016, arXiv:1609.08144.

    Example:
        >>> import torch
        >>> from unrolled import Stack
        >>> from unrolled.cells import GRU
        >>> deep = Stack([Residual(GRU(8, 8)) for _ in range(4)])
        >>> deep(torch.randn(20, 3, 8))[0].shape
        torch.Size([20, 3, 8])
    """

    def step(self, x: Tree, state: Tree, noise: Tree | None = None) -> tuple[Tensor, Tree]:
        """One step: y(t), and the state of the cell."""
        output, state = self.inside(x, state, noise)
        first = x
        while isinstance(first, tuple) and first:
            first = first[0]
        if not isinstance(output, Tensor) or not isinstance(first, Tensor) or output.shape[1:] != first.shape[1:]:
            raise InputError(
                f"cell: expected a cell whose output has the features of its input, to be added to it, got "
                f"{_features(first)} in and {_features(output)} out. Make hidden_size = input_size, or leave "
                "out Residual."
            )
        return output + first, state


def _features(tree: Tree) -> str:
    return str(tuple(tree.shape[1:])) if isinstance(tree, Tensor) else describe(tree)
