"""The minimal long short-term memory."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Cell
from ._shared import check_sizes, positive, uniform_, weight


class MinLSTM(Cell):
    """An LSTM whose gates and candidate see the input alone, so that it is linear in its state.

    i, f, g = W_ih x(t) + b_ih
    h(t) = (σ(f) h(t-1) + σ(i) g) / (σ(f) + σ(i))

    The quotient σ(f) / (σ(f) + σ(i)) is computed as σ(log σ(f) - log σ(i)), which is the same number and has no 0 / 0
    where both gates are closed.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        bias: whether there is b_ih.
        normalized: False: h(t) = σ(f) h(t-1) + σ(i) g, whose size may grow with the time.
        positive: φ(g) in place of g, with φ(a) = a + 0.5 where a >= 0 and σ(a) elsewhere: a candidate above 0, as the
            paper's version in log space needs it.

    Shape:
        x (B, I); state and output h (B, H); weight_ih (3 H, I), its rows those of i, f, g; bias_ih (3 H,).

    Raises:
        InputError: a size below 1.

    Reference:
        Feng et al. 2024, Were RNNs all we needed?, arXiv:2410.01201.

    Example:
        >>> cell = MinLSTM(3, 5)
        >>> output, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> h.shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        normalized: bool = True,
        positive: bool = False,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.normalized, self.positive = normalized, positive
        self.weight_ih = weight(3 * hidden_size, input_size)
        self.bias_ih = weight(3 * hidden_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(I), 1/sqrt(I)), as torch.nn.Linear."""
        uniform_(self, self.input_size)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), h(t)."""
        i, f, g = F.linear(x, self.weight_ih, self.bias_ih).chunk(3, -1)
        if self.normalized:
            ratio = F.logsigmoid(f) - F.logsigmoid(i)
            keep, write = torch.sigmoid(ratio), torch.sigmoid(-ratio)
        else:
            keep, write = torch.sigmoid(f), torch.sigmoid(i)
        h = keep * h + write * (positive(g) if self.positive else g)
        return h, h
