"""Long short-term memory."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Cell
from ._shared import check_sizes, uniform_, weight


class LSTMState(NamedTuple):
    """The two tensors that an LSTM carries from step to step."""

    h: Tensor  # (B, H), the output
    c: Tensor  # (B, H), the memory


class LSTM(Cell):
    """A memory c that gates write, keep and read.

    i, f, g, o = W_ih x(t) + b_ih + W_hh h(t-1) + b_hh
    c(t) = sigmoid(f) c(t-1) + sigmoid(i) tanh(g)
    h(t) = sigmoid(o) tanh(c(t))

    Parameters, their names and the order of the gates are those of torch.nn.LSTMCell, whose ``state_dict``
    loads here.

    Args:
        input_size: features I of x.
        hidden_size: features H of h and c.
        bias: whether there are b_ih and b_hh.

    Shape:
        x (B, I), state (h, c) each (B, H), output h (B, H); weight_ih (4 H, I), weight_hh (4 H, H).

    Raises:
        InputError: a size below 1.

    Reference:
        Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget gate: Gers et al. 2000,
        doi:10.1162/089976600300015015.

    Example:
        >>> cell = LSTM(3, 5)
        >>> output, state = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> output.shape, state.c.shape
        (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.state_size = LSTMState(h=hidden_size, c=hidden_size)  # type: ignore[arg-type]
        self.weight_ih = weight(4 * hidden_size, input_size)
        self.weight_hh = weight(4 * hidden_size, hidden_size)
        self.bias_ih = weight(4 * hidden_size) if bias else None
        self.bias_hh = weight(4 * hidden_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.LSTM."""
        uniform_(self, self.hidden_size)

    def step(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """One step: h(t), (h(t), c(t))."""
        h, c = state
        gates = F.linear(x, self.weight_ih, self.bias_ih) + F.linear(h, self.weight_hh, self.bias_hh)
        i, f, g, o = gates.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, LSTMState(h, c)
