"""The minimal gated unit."""

from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Cell, InputError
from ._shared import Nonlinearity, check_sizes, named, uniform_, weight

GATES = ("xhb", "hb", "h", "b")


class MGU(Cell):
    """A gated recurrent unit with one gate, which resets and updates.

    f = σ(W_if x(t) + W_hf h(t-1) + b_f)
    n = φ(W_in x(t) + W_hn (f h(t-1)) + b_n)
    h(t) = (1 - f) h(t-1) + f n

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        gate: what the gate sees: ``"xhb"``, all of the above; ``"hb"``, σ(W_hf h(t-1) + b_f), called MGU1; ``"h"``,
            σ(W_hf h(t-1)), MGU2; ``"b"``, σ(b_f), MGU3.
        reset_after: n = φ(W_in x(t) + b_n + f (W_hn h(t-1) + b_hn)), as in a GRU with its reset after the product.
        nonlinearity: φ, a name or any function of a tensor.
        gate_nonlinearity: σ, likewise.
        bias: whether there are biases.

    Shape:
        x (B, I), state and output h (B, H); weight_ih (2 H, I), weight_hh (2 H, H), bias (2 H,): rows of f, then of n;
        those of f are left out where the gate does not see x, h or a bias; ``bias_hn`` (H,).

    Raises:
        InputError: a size below 1, an unknown gate or nonlinearity, or a gate of nothing.

    Reference:
        Zhou et al. 2016, Minimal gated unit for recurrent neural networks, arXiv:1603.09420; the smaller gates: Heck
        and Salem 2017, Simplified minimal gated unit variations for recurrent neural networks, arXiv:1701.03452.

    Example:
        >>> cell = MGU(3, 5)
        >>> output, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> h.shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        gate: str = "xhb",
        reset_after: bool = False,
        nonlinearity: Nonlinearity = "tanh",
        gate_nonlinearity: Nonlinearity = "sigmoid",
        bias: bool = True,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        if gate not in GATES or (gate == "b" and not bias):
            raise InputError(f"gate: expected one of {', '.join(GATES)} ('b' with a bias only), got {gate!r}.")
        self.input_size, self.hidden_size, self.reset_after = input_size, hidden_size, reset_after
        self.phi, self.sigma = named(nonlinearity), named(gate_nonlinearity, "gate_nonlinearity")
        of_x, of_h, of_b = ((2 if letter in gate else 1) * hidden_size for letter in "xhb")
        self.weight_ih = weight(of_x, input_size)
        self.weight_hh = weight(of_h, hidden_size)
        self.bias = weight(of_b) if bias else None
        self.bias_hn = weight(hidden_size) if bias and reset_after else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.GRU."""
        uniform_(self, self.hidden_size)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the output."""
        size = self.hidden_size
        *f_x, n = F.linear(x, self.weight_ih).split(size, -1)
        *w_f, w_n = self.weight_hh.split(size)
        *b_f, b_n = (None,) if self.bias is None else self.bias.split(size)
        f = self.sigma(reduce(torch.add, [*f_x, *(F.linear(h, w) for w in w_f), *b_f]))
        n = n if b_n is None else n + b_n
        n = n + (f * F.linear(h, w_n, self.bias_hn) if self.reset_after else F.linear(f * h, w_n))
        h = (1 - f) * h + f * self.phi(n)
        return h, h
