"""The LSTM with its forget gate alone."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell
from ._shared import Nonlinearity, check_sizes, named, weight


class JANET(Cell):
    """Just another network: one gate forgets, and what it forgets is written anew.

    s, c = W_ih x(t) + W_hh h(t-1) + b
    h(t) = σ(s) h(t-1) + (1 - σ(s - β)) φ(c)

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        beta: β; above 0 more is written than is forgotten. 0 gives the plain form of the gate.
        steps: T, the longest memory that is expected, for the first values of the gate's bias: exp(b_s) is then
            uniform between 1 and T - 1, and σ(b_s) forgets over as many steps. None for b_s = 1.
        nonlinearity: φ, a name or any function of a tensor.
        gate_nonlinearity: σ, likewise.
        bias: whether there is b.

    Shape:
        x (B, I), state and output h (B, H); weight_ih (2 H, I), weight_hh (2 H, H), bias (2 H,): rows of s, then of c.

    Units:
        T is a number of steps.

    Raises:
        InputError: a size or a number of steps below 1, or an unknown nonlinearity.

    Reference:
        van der Westhuizen and Lasenby 2018, The unreasonable effectiveness of the forget gate, arXiv:1804.04849; the
        first biases: Tallec and Ollivier 2018, Can recurrent neural networks warp time?, arXiv:1804.11188.

    Example:
        >>> cell = JANET(3, 5, steps=100)
        >>> output, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> bool((cell.bias[:5].exp() <= 99.001).all())
        True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        beta: float = 1.0,
        steps: int | None = None,
        nonlinearity: Nonlinearity = "tanh",
        gate_nonlinearity: Nonlinearity = "sigmoid",
        bias: bool = True,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        if steps is not None:
            check_sizes(steps=steps)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.beta, self.steps = beta, steps
        self.phi, self.sigma = named(nonlinearity), named(gate_nonlinearity, "gate_nonlinearity")
        self.weight_ih = weight(2 * hidden_size, input_size)
        self.weight_hh = weight(2 * hidden_size, hidden_size)
        self.bias = weight(2 * hidden_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As in the paper: W_ih and W_hh by Glorot and Bengio's rule, b_s = log U(1, T - 1), b_c = 0."""
        nn.init.xavier_uniform_(self.weight_ih)
        nn.init.xavier_uniform_(self.weight_hh)
        if self.bias is None:
            return
        with torch.no_grad():
            of_gate, of_new = self.bias.chunk(2)
            of_new.zero_()
            if self.steps is None:
                of_gate.fill_(1)
            else:
                of_gate.uniform_(1, max(1, self.steps - 1)).log_()

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the output."""
        s, c = (F.linear(x, self.weight_ih, self.bias) + F.linear(h, self.weight_hh)).chunk(2, -1)
        h = self.sigma(s) * h + (1 - self.sigma(s - self.beta)) * self.phi(c)
        return h, h
