"""A cell whose input is normed."""

from torch import nn

from ...core import Tree
from ._wrapper import Wrapper, features, on_first


class InputNorm(Wrapper):
    """Layer norm of the input, before the cell reads it.

    x̃(t) = g (x(t) - mean) / sqrt(variance + eps) + b, over the features of x(t); the cell reads x̃(t)

    Args:
        cell: any cell.
        input_size: features of x, where the cell does not name them; of a tuple such as (x, Δt), of the first, which
            alone is normed.
        eps: added to the variance.

    Shape:
        x (B, I), the others those of the cell; ``norm.weight`` (g) and ``norm.bias`` (b) (I,).

    Raises:
        InputTypeError: ``cell`` is no cell.
        InputError: the features of x are not known.

    Reference:
        Ba et al. 2016, arXiv:1607.06450.

    Example:
        >>> import torch
        >>> from unrolled import Recurrent
        >>> from unrolled.cells import GRU
        >>> layer = Recurrent(InputNorm(GRU(3, 5)))
        >>> x = torch.randn(20, 4, 3)
        >>> bool(torch.allclose(layer(x)[0], layer(100 * x + 7)[0], atol=1e-3))
        True
    """

    def __init__(self, cell: nn.Module, *, input_size: int | None = None, eps: float = 1e-5):
        super().__init__(cell)
        self.input_size = features(cell, input_size)
        self.norm = nn.LayerNorm(self.input_size, eps)

    def step(self, x: Tree, state: Tree, noise: Tree | None = None) -> tuple[Tree, Tree]:
        """One step of the cell, of the normed input."""
        return self.inside(on_first(self.norm, x), state, noise)
