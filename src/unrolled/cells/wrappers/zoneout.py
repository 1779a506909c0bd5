"""A cell whose state keeps some of its values at random."""

import torch
from torch import Tensor, nn

from ...core import Tree, leaves, unflatten
from .._options import masks_of, zoned
from ._wrapper import Drawing, Probabilities, of_state


class Zoneout(Drawing):
    """Units keep their value of the step before, at random.

    s(t) = m(t) s(t-1) + (1 - m(t)) s̃(t), where s̃(t) is the state that the cell makes of x(t) and s(t-1)

    m(t) is 1 with probability p, drawn for every unit, row and step; in evaluation p stands in its place. Where the
    cell's output is a tensor of its state, as h of most cells, the output is the one that is carried on.

    Args:
        cell: any cell.
        p: probability of keeping; one number for every floating tensor of the state, or a tuple of the state's
            structure, for an LSTM (of h, of c). Tensors of whole numbers are never kept.

    Shape:
        Those of the cell.

    Raises:
        InputTypeError: ``cell`` is no cell.
        InputError: a probability outside [0, 1), or a tuple of another structure.

    Reference:
        Krueger et al. 2017, arXiv:1606.01305.

    Example:
        >>> from unrolled import Recurrent
        >>> from unrolled.cells import LSTM
        >>> layer = Recurrent(Zoneout(LSTM(3, 5), (0.05, 0.5)))
        >>> layer(torch.randn(20, 4, 3))[0].shape
        torch.Size([20, 4, 5])
    """

    def __init__(self, cell: nn.Module, p: Probabilities):
        super().__init__(cell)
        self.p, self.sizes = of_state(self.cell, p, "p")

    def masks(self, steps: int, batch_size: int, like: Tensor) -> tuple[Tensor, ...]:
        """What is kept, True: (T, B, ...) for each tensor of the state that has a probability above 0."""
        pairs = zip(self.p, self.sizes, strict=True)
        return tuple(torch.rand(steps, batch_size, *size, device=like.device) < p for p, size in pairs if p)

    def step(self, x: Tree, state: Tree, noise: Tree | None = None) -> tuple[Tree, Tree]:
        """One step: the cell's output and the state, of which some is as it was."""
        own, inside = ((), ()) if noise is None else noise
        output, after = self.inside(x, state, inside)
        made = leaves(after)
        parts = zip(made, leaves(state), self.p, masks_of(own, self.p), strict=True)
        carried = [zoned(new, before, p, kept) for new, before, p, kept in parts]
        for new, kept_on in zip(made, carried, strict=True):
            if output is new:
                return kept_on, unflatten(after, carried)
        return output, unflatten(after, carried)
