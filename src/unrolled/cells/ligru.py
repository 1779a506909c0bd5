"""The light gated recurrent unit."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell
from ._options import normed
from ._shared import Nonlinearity, check_sizes, each_gate_, named, weight


class LiGRU(Cell):
    """A gated recurrent unit without its reset gate, with rectified units.

    z, n = W_ih x(t) + b + W_hh h(t-1)
    h(t) = σ(z) h(t-1) + (1 - σ(z)) φ(n)

    In the paper the products with x are batch normed, which keeps the rectified units from exploding. A step of this
    library never mixes rows of the batch, so ``layer_norm=True`` stands in for that: it norms each product over its
    own H units instead. (A batch norm of x itself can stand before the layer.)

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        layer_norm: norm(W_z x) and norm(W_n x) in place of the products, each over its H rows, with gain ``norm_ih``;
            the bias is added after it.
        nonlinearity: φ, a name or any function of a tensor.
        gate_nonlinearity: σ, likewise.
        bias: whether there is b.

    Shape:
        x (B, I), state and output h (B, H); weight_ih (2 H, I), weight_hh (2 H, H), bias (2 H,): rows of z, then of n.

    Raises:
        InputError: a size below 1, or an unknown nonlinearity.

    Reference:
        Ravanelli et al. 2018, Light gated recurrent units for speech recognition, arXiv:1803.10225; layer norm: Ba et
        al. 2016, arXiv:1607.06450.

    Example:
        >>> cell = LiGRU(3, 5, layer_norm=True)
        >>> output, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> h.shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        layer_norm: bool = False,
        nonlinearity: Nonlinearity = "relu",
        gate_nonlinearity: Nonlinearity = "sigmoid",
        bias: bool = True,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.phi, self.sigma = named(nonlinearity), named(gate_nonlinearity, "gate_nonlinearity")
        self.weight_ih = weight(2 * hidden_size, input_size)
        self.weight_hh = weight(2 * hidden_size, hidden_size)
        self.bias = weight(2 * hidden_size) if bias else None
        self.norm_ih = weight(2 * hidden_size) if layer_norm else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As in the paper: W_ih by Glorot and Bengio's rule, W_hh orthogonal, b = 0; gains 1."""
        each_gate_(self.weight_ih, 2, nn.init.xavier_uniform_)
        each_gate_(self.weight_hh, 2, nn.init.orthogonal_)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        if self.norm_ih is not None:
            nn.init.ones_(self.norm_ih)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the output."""
        z, n = (self._of_x(x) + F.linear(h, self.weight_hh)).chunk(2, -1)
        z = self.sigma(z)
        h = z * h + (1 - z) * self.phi(n)
        return h, h

    def _of_x(self, x: Tensor) -> Tensor:
        if self.norm_ih is None:
            return F.linear(x, self.weight_ih, self.bias)
        z, n = F.linear(x, self.weight_ih).chunk(2, -1)
        of_z, of_n = self.norm_ih.chunk(2)
        both = torch.cat([normed(z, of_z, None), normed(n, of_n, None)], -1)
        return both if self.bias is None else both + self.bias
