"""The gated recurrent unit."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Cell
from ._shared import check_sizes, uniform_, weight


class GRU(Cell):
    """A state that one gate updates and another resets, after the product (as torch.nn.GRU).

    r = sigmoid(W_ir x(t) + b_ir + W_hr h(t-1) + b_hr)
    z = sigmoid(W_iz x(t) + b_iz + W_hz h(t-1) + b_hz)
    n = tanh(W_in x(t) + b_in + r (W_hn h(t-1) + b_hn))
    h(t) = (1 - z) n + z h(t-1)

    Parameters, their names and the order of the gates are those of torch.nn.GRUCell, whose ``state_dict``
    loads here.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        bias: whether there are biases.

    Shape:
        x (B, I), state and output h (B, H); weight_ih (3 H, I), weight_hh (3 H, H).

    Raises:
        InputError: a size below 1.

    Reference:
        Cho et al. 2014, arXiv:1406.1078; reset after the product: arXiv:1412.3555 and cuDNN.

    Example:
        >>> cell = GRU(3, 5)
        >>> output, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> h.shape
        torch.Size([4, 5])
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.weight_ih = weight(3 * hidden_size, input_size)
        self.weight_hh = weight(3 * hidden_size, hidden_size)
        self.bias_ih = weight(3 * hidden_size) if bias else None
        self.bias_hh = weight(3 * hidden_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.GRU."""
        uniform_(self, self.hidden_size)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the output."""
        of_x = F.linear(x, self.weight_ih, self.bias_ih)
        of_h = F.linear(h, self.weight_hh, self.bias_hh)
        r_x, z_x, n_x = of_x.chunk(3, -1)
        r_h, z_h, n_h = of_h.chunk(3, -1)
        r = torch.sigmoid(r_x + r_h)
        z = torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + r * n_h)
        h = (1 - z) * n + z * h
        return h, h
