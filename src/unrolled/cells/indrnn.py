"""The network of units that remember each for itself."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell
from ._shared import Nonlinearity, check_sizes, named, weight


class IndRNN(Cell):
    """Each unit sees its own past only; units meet in the layer above.

    h(t) = φ(W_ih x(t) + u h(t-1) + b), the product with u element by element

    The gradient of a unit goes back through k steps as u^k (times the derivatives of φ), so |u| ≤ 2^(1/T) keeps it from
    exploding over T steps. Where that is to hold in training, call :meth:`constrain` after each step of the optimizer.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        steps: T, the steps over which nothing may grow beyond twice its size; None for any number of them, |u| ≤ 1.
        nonlinearity: φ, a name or any function of a tensor.
        bias: whether there is b.

    Shape:
        x (B, I), state and output h (B, H); weight_ih (H, I); weight_hh (H,) is u.

    Raises:
        InputError: a size or a number of steps below 1, or an unknown nonlinearity.

    Reference:
        Li et al. 2018, Independently recurrent neural network (IndRNN): building a longer and deeper RNN,
        arXiv:1803.04831.

    Example:
        >>> cell = IndRNN(3, 5, steps=100)
        >>> _ = nn.init.constant_(cell.weight_hh, 1.5)  # as training might leave it
        >>> cell.constrain()
        >>> [round(u, 4) for u in cell.weight_hh.tolist()]
        [1.007, 1.007, 1.007, 1.007, 1.007]
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        steps: int | None = None,
        nonlinearity: Nonlinearity = "relu",
        bias: bool = True,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        if steps is not None:
            check_sizes(steps=steps)
        self.input_size, self.hidden_size, self.steps = input_size, hidden_size, steps
        self.phi = named(nonlinearity)
        self.weight_ih = weight(hidden_size, input_size)
        self.weight_hh = weight(hidden_size)
        self.bias = weight(hidden_size) if bias else None
        self.reset_parameters()

    @property
    def bound(self) -> float:
        """The largest |u|: 2^(1/T), or 1."""
        return 1.0 if self.steps is None else float(2 ** (1 / self.steps))

    def reset_parameters(self) -> None:
        """As in the paper u is uniform between 0 and 2^(1/T); W_ih as He et al. 2015 for rectified units, b = 0."""
        nn.init.kaiming_uniform_(self.weight_ih, nonlinearity="relu")
        nn.init.uniform_(self.weight_hh, 0, self.bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @torch.no_grad()
    def constrain(self) -> None:
        """Bring every u back between -2^(1/T) and 2^(1/T)."""
        self.weight_hh.clamp_(-self.bound, self.bound)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the output."""
        h = self.phi(F.linear(x, self.weight_ih, self.bias) + self.weight_hh * h)
        return h, h
