"""The minimal gated recurrent unit."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Cell
from ._shared import check_sizes, positive, uniform_, weight


class MinGRU(Cell):
    """A GRU whose gate and candidate see the input alone, so that it is linear in its state.

    z, n = W_ih x(t) + b_ih
    h(t) = (1 - σ(z)) h(t-1) + σ(z) n

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        bias: whether there is b_ih.
        positive: g(n) in place of n, with g(a) = a + 0.5 where a >= 0 and σ(a) elsewhere: a candidate above 0, as the
            paper's version in log space needs it.

    Shape:
        x (B, I); state and output h (B, H); weight_ih (2 H, I), its rows those of z, then of n; bias_ih (2 H,).

    Raises:
        InputError: a size below 1.

    Reference:
        Feng et al. 2024, Were RNNs all we needed?, arXiv:2410.01201.

    Example:
        >>> cell = MinGRU(3, 5)
        >>> output, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> h.shape
        torch.Size([4, 5])
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, positive: bool = False):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.positive = input_size, hidden_size, positive
        self.weight_ih = weight(2 * hidden_size, input_size)
        self.bias_ih = weight(2 * hidden_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(I), 1/sqrt(I)), as torch.nn.Linear."""
        uniform_(self, self.input_size)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), h(t)."""
        z, n = F.linear(x, self.weight_ih, self.bias_ih).chunk(2, -1)
        z = torch.sigmoid(z)
        h = (1 - z) * h + z * (positive(n) if self.positive else n)
        return h, h
