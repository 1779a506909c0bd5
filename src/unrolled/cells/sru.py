"""The simple recurrent unit."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell
from ._shared import Nonlinearity, check_sizes, named, weight


class SRU(Cell):
    """A gated sum over time, linear in its state, beside a highway for the input.

    z, f, r, p = W_ih x(t), with p = x(t) where I = H
    c(t) = σ(f + b_f) c(t-1) + (1 - σ(f + b_f)) z
    h(t) = σ(r + b_r) φ(c(t)) + (1 - σ(r + b_r)) α p

    The gates see the input alone, as in the first version of the paper, which makes c(t) linear in c(t-1).

    Args:
        input_size: features I of x.
        hidden_size: features H of c and h.
        peephole: f + v_f c(t-1) and r + v_r c(t-1) in place of f and r: the published version, which is not linear in
            its state; v_f, v_r are the rows of ``weight_ch``.
        nonlinearity: φ, a name or any function of a tensor; the identity in the published version.
        highway_bias: what b_r is at first; below 0 more of the input passes.
        alpha: α; by default sqrt(1 + 2 exp(highway_bias)), with which h has at first about the variance of x. The first
            version has 1.

    Shape:
        x (B, I); state c (B, H); output h (B, H); weight_ih (3 H, I), its rows those of z, f, r, or (4 H, I), with
        those of p, where I is not H; bias (2 H,), b_f and b_r; weight_ch (2, H).

    Raises:
        InputError: a size below 1, or an unknown nonlinearity.

    Reference:
        Lei et al. 2018, Simple recurrent units for highly parallelizable recurrence, arXiv:1709.02755; its first
        version is arXiv:1709.02755v1.

    Example:
        >>> cell = SRU(3, 5)
        >>> output, c = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> output.shape, c.shape
        (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        peephole: bool = False,
        nonlinearity: Nonlinearity = "identity",
        highway_bias: float = 0.0,
        alpha: float | None = None,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.highway_bias = input_size, hidden_size, highway_bias
        self.phi = named(nonlinearity)
        self.alpha = math.sqrt(1 + 2 * math.exp(highway_bias)) if alpha is None else alpha
        self.weight_ih = weight((3 if input_size == hidden_size else 4) * hidden_size, input_size)
        self.bias = weight(2 * hidden_size)
        self.weight_ch = weight(2, hidden_size) if peephole else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights of variance 1/I, U(-sqrt(3/I), sqrt(3/I)); b_f 0 and b_r ``highway_bias``. With ``peephole`` the rows
        of f and r, and v_f and v_r (else of variance 1), are divided by sqrt(2), since each gate has two terms.
        """
        size, bound = self.hidden_size, math.sqrt(3 / self.input_size)
        nn.init.uniform_(self.weight_ih, -bound, bound)
        nn.init.zeros_(self.bias[:size])
        nn.init.constant_(self.bias[size:], self.highway_bias)
        if self.weight_ch is not None:
            nn.init.uniform_(self.weight_ch, -math.sqrt(1.5), math.sqrt(1.5))
            with torch.no_grad():
                self.weight_ih[size : 3 * size] /= math.sqrt(2)

    def step(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), c(t)."""
        z, f, r, *p = F.linear(x, self.weight_ih).chunk(3 if self.input_size == self.hidden_size else 4, -1)
        b_f, b_r = self.bias.chunk(2)
        f, r = f + b_f, r + b_r
        if self.weight_ch is not None:
            v_f, v_r = self.weight_ch.unbind(0)
            f, r = f + v_f * c, r + v_r * c
        f, r = torch.sigmoid(f), torch.sigmoid(r)
        c = f * c + (1 - f) * z
        return r * self.phi(c) + (1 - r) * self.alpha * (p[0] if p else x), c
