"""The update gate network."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell
from ._shared import Nonlinearity, check_sizes, each_gate_, named, weight


class UGRNN(Cell):
    """A plain network and one gate that keeps the state instead.

    g, c = W_ih x(t) + W_hh h(t-1) + b
    h(t) = σ(g) h(t-1) + (1 - σ(g)) φ(c)

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        forget_bias: the first value of the gate's bias; above 0 the state is rather kept.
        nonlinearity: φ, a name or any function of a tensor; the paper has tanh and ReLU.
        gate_nonlinearity: σ, likewise.
        bias: whether there is b.

    Shape:
        x (B, I), state and output h (B, H); weight_ih (2 H, I), weight_hh (2 H, H), bias (2 H,): rows of g, then of c.

    Raises:
        InputError: a size below 1, or an unknown nonlinearity.

    Reference:
        Collins, Sohl-Dickstein and Sussillo 2017, Capacity and trainability in recurrent neural networks,
        arXiv:1611.09913.

    Example:
        >>> cell = UGRNN(3, 5)
        >>> output, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> h.shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget_bias: float = 1.0,
        nonlinearity: Nonlinearity = "tanh",
        gate_nonlinearity: Nonlinearity = "sigmoid",
        bias: bool = True,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.forget_bias = input_size, hidden_size, forget_bias
        self.phi, self.sigma = named(nonlinearity), named(gate_nonlinearity, "gate_nonlinearity")
        self.weight_ih = weight(2 * hidden_size, input_size)
        self.weight_hh = weight(2 * hidden_size, hidden_size)
        self.bias = weight(2 * hidden_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """W_ih by Glorot and Bengio's rule, W_hh orthogonal, b_g = ``forget_bias``, b_c = 0.

        The paper searches for scales of all of them anew for each task.
        """
        each_gate_(self.weight_ih, 2, nn.init.xavier_uniform_)
        each_gate_(self.weight_hh, 2, nn.init.orthogonal_)
        if self.bias is not None:
            with torch.no_grad():
                self.bias.zero_()[: self.hidden_size] = self.forget_bias

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the output."""
        g, c = (F.linear(x, self.weight_ih, self.bias) + F.linear(h, self.weight_hh)).chunk(2, -1)
        g = self.sigma(g)
        h = g * h + (1 - g) * self.phi(c)
        return h, h
