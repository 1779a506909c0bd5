"""The network that is a stable differential equation."""

from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell
from ._shared import Nonlinearity, check_sizes, named, weight


class AntisymmetricRNN(Cell):
    """A step of Euler's method along an equation that neither explodes nor forgets.

    A = W_hh - W_hhᵀ - γ I
    h(t) = h(t-1) + ε φ(A h(t-1) + V x(t) + b)

    and with ``gated=True``

    z = σ(A h(t-1) + V_z x(t) + b_z)
    h(t) = h(t-1) + ε z φ(A h(t-1) + V x(t) + b)

    The eigenvalues of W - Wᵀ are imaginary, so h turns and keeps its length; γ makes Euler's steps stable too.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        epsilon: ε, the length of a step. The paper chooses it and γ anew for each task.
        gamma: γ, the diffusion.
        gated: whether there is the gate z; it shares A.
        nonlinearity: φ, a name or any function of a tensor.
        gate_nonlinearity: σ, likewise.
        bias: whether there are b and b_z.

    Shape:
        x (B, I), state and output h (B, H); weight_hh (H, H); weight_ih (H, I) is V; with the gate (2 H, I), first the
        rows of V, then those of V_z; bias likewise.

    Raises:
        InputError: a size below 1, or an unknown nonlinearity.

    Reference:
        Chang et al. 2019, AntisymmetricRNN: a dynamical system view on recurrent neural networks, arXiv:1902.09689.

    Example:
        >>> import torch
        >>> cell = AntisymmetricRNN(3, 5, gated=True)
        >>> output, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> h.shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        epsilon: float = 0.1,
        gamma: float = 0.01,
        gated: bool = False,
        nonlinearity: Nonlinearity = "tanh",
        gate_nonlinearity: Nonlinearity = "sigmoid",
        bias: bool = True,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.epsilon, self.gamma, self.gated = epsilon, gamma, gated
        self.phi, self.sigma = named(nonlinearity), named(gate_nonlinearity, "gate_nonlinearity")
        rows = (2 if gated else 1) * hidden_size
        self.weight_ih = weight(rows, input_size)
        self.weight_hh = weight(hidden_size, hidden_size)
        self.bias = weight(rows) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As in the paper: W_hh normal with variance 1/H (there also multiples of it), V with 1/I, biases 0."""
        nn.init.normal_(self.weight_ih, std=self.input_size**-0.5)
        nn.init.normal_(self.weight_hh, std=self.hidden_size**-0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the output."""
        of_x, *gate_x = F.linear(x, self.weight_ih, self.bias).split(self.hidden_size, -1)
        of_h = F.linear(h, self.weight_hh - self.weight_hh.T) - self.gamma * h
        change = self.epsilon * self.phi(of_x + of_h)
        for of_gate in gate_x:
            change = self.sigma(of_gate + of_h) * change
        h = h + change
        return h, h
