"""The plain network that begins as the identity."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell
from ._shared import Nonlinearity, check_sizes, named, weight


class IRNN(Cell):
    """A network of rectified units that at first copies its state and adds the input.

    h(t) = φ(W_ih x(t) + W_hh h(t-1) + b), at first with W_hh = s I

    The equation is Elman's; what the paper adds is where the training begins. Then the state is kept, and the gradient
    goes back unchanged wherever a unit is above 0.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        scale: s; below 1 the network begins by forgetting (the paper has 0.01 for short memories).
        nonlinearity: φ, a name or any function of a tensor.
        bias: whether there is b.

    Shape:
        x (B, I), state and output h (B, H); weight_ih (H, I), weight_hh (H, H).

    Raises:
        InputError: a size below 1, or an unknown nonlinearity.

    Reference:
        Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of rectified linear units,
        arXiv:1504.00941.

    Example:
        >>> cell = IRNN(3, 5)
        >>> output, h = cell.step(torch.zeros(4, 3), torch.ones(4, 5))
        >>> bool((h == 1).all())
        True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        scale: float = 1.0,
        nonlinearity: Nonlinearity = "relu",
        bias: bool = True,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.scale = input_size, hidden_size, float(scale)
        self.phi = named(nonlinearity)
        self.weight_ih = weight(hidden_size, input_size)
        self.weight_hh = weight(hidden_size, hidden_size)
        self.bias = weight(hidden_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As in the paper: W_hh = s I, W_ih normal with standard deviation 0.001, b = 0."""
        nn.init.normal_(self.weight_ih, std=0.001)
        with torch.no_grad():
            nn.init.eye_(self.weight_hh).mul_(self.scale)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the output."""
        h = self.phi(F.linear(x, self.weight_ih, self.bias) + F.linear(h, self.weight_hh))
        return h, h
