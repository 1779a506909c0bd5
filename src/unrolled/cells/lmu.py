"""The Legendre memory unit."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell, InputError
from ._shared import Nonlinearity, bound_of, check_sizes, named, weight


class LMUState(NamedTuple):
    """The two tensors that an LMU carries from step to step."""

    h: Tensor  # (B, H), the output
    m: Tensor  # (B, d), the memory


class LMU(Cell):
    """A memory that holds the last θ steps of one signal as Legendre polynomials, and a hidden layer that writes it.

    u(t) = e_x x(t) + e_h h(t-1) + e_m m(t-1), one number
    m(t) = A m(t-1) + B u(t)
    h(t) = φ(W_x x(t) + W_h h(t-1) + W_m m(t))

    A and B are those of dm/dt = A' m + B' u with u held during a step (zero-order hold), where row i of A' and B',
    counted from 0, is (2 i + 1) / θ times: -1 for j > i, else (-1)^(i - j + 1); and (-1)^i. Then
    u(t - s θ) ≈ Σ_i P_i(2 s - 1) m_i(t) for 0 <= s <= 1, with the Legendre polynomials P_i.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        memory_size: order d of the memory; by default H.
        theta: the window θ; by default d.
        nonlinearity: φ, a name or any function of a tensor.
        learn_memory: whether A and B are parameters; else they are buffers, which do not change.

    Shape:
        x (B, I); state h (B, H) and m (B, d); output h; e_x (1, I), e_h (1, H), e_m (1, d); W_x (H, I), W_h (H, H),
        W_m (H, d); A (d, d), B (d, 1).

    Units:
        θ is counted in steps.

    Raises:
        InputError: a size below 1, an unknown nonlinearity, θ not above 0.

    Reference:
        Voelker et al. 2019, Legendre memory units: continuous-time representation in recurrent neural networks,
        NeurIPS 32.

    Example:
        >>> cell = LMU(3, 5, memory_size=8, theta=20)
        >>> h, state = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> h.shape, state.m.shape
        (torch.Size([4, 5]), torch.Size([4, 8]))
    """

    A: Tensor
    B: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        memory_size: int | None = None,
        theta: float | None = None,
        *,
        nonlinearity: Nonlinearity = "tanh",
        learn_memory: bool = False,
    ):
        super().__init__()
        memory_size = hidden_size if memory_size is None else memory_size
        check_sizes(input_size=input_size, hidden_size=hidden_size, memory_size=memory_size)
        theta = float(memory_size) if theta is None else theta
        if not theta > 0:
            raise InputError(f"theta: expected a number of steps above 0, got {theta!r}.")
        self.input_size, self.hidden_size, self.memory_size, self.theta = input_size, hidden_size, memory_size, theta
        self.state_size = LMUState(hidden_size, memory_size)  # type: ignore[arg-type]
        self.phi = named(nonlinearity)
        self.e_x, self.e_h, self.e_m = weight(1, input_size), weight(1, hidden_size), weight(1, memory_size)
        self.W_x, self.W_h = weight(hidden_size, input_size), weight(hidden_size, hidden_size)
        self.W_m = weight(hidden_size, memory_size)
        for name, columns in (("A", memory_size), ("B", 1)):
            matrix = weight(memory_size, columns)
            if learn_memory:
                self.register_parameter(name, matrix)
            else:
                self.register_buffer(name, matrix.detach())
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """e_x and e_h uniform of variance 1 / I and 1 / H, e_m 0; W_x, W_h, W_m normal after Glorot; A, B as above."""
        for encoder in (self.e_x, self.e_h):
            bound = 3**0.5 * bound_of(encoder.shape[1])
            nn.init.uniform_(encoder, -bound, bound)
        nn.init.zeros_(self.e_m)
        for kernel in (self.W_x, self.W_h, self.W_m):
            nn.init.xavier_normal_(kernel)
        with torch.no_grad():
            for held, value in zip((self.A, self.B), legendre(self.memory_size, self.theta), strict=True):
                held.copy_(value)

    def step(self, x: Tensor, state: LMUState) -> tuple[Tensor, LMUState]:
        """One step: h(t), (h(t), m(t))."""
        h, m = state
        u = F.linear(x, self.e_x) + F.linear(h, self.e_h) + F.linear(m, self.e_m)
        m = F.linear(m, self.A) + F.linear(u, self.B)
        h = self.phi(F.linear(x, self.W_x) + F.linear(h, self.W_h) + F.linear(m, self.W_m))
        return h, LMUState(h, m)


def legendre(order: int, theta: float) -> tuple[Tensor, Tensor]:
    """A (d, d) and B (d, 1) of one step, in float64: the exact solution of dm/dt = A' m + B' u with u held."""
    i = torch.arange(order, dtype=torch.float64, device="cpu")[:, None]  # whatever device the cell is made on
    j = i.T
    sign = 1 - 2 * ((i - j) % 2)  # (-1)^(i-j)
    scale = (2 * i + 1) / theta
    system = torch.zeros(order + 1, order + 1, dtype=torch.float64, device="cpu")
    system[:order, :order] = scale * torch.where(i < j, -1.0, -sign)
    system[:order, order:] = scale * (1 - 2 * (i % 2))
    exact = _exponential(system)  # of [[A', B'], [0, 0]]: [[A, B], [0, 1]]
    return exact[:order, :order], exact[:order, order:]


def _exponential(a: Tensor) -> Tensor:
    """The matrix exponential: its series for a 2^-k of it, squared k times; torch's errs by 1e-10 for some norms."""
    halvings = max(0, math.ceil(math.log2(torch.linalg.matrix_norm(a, 1).item())) + 1)
    a = a / 2**halvings  # of a norm of at most 1/2: the 19th term of the series is below 1e-22
    total = term = torch.eye(len(a), dtype=a.dtype, device=a.device)
    for n in range(1, 19):
        term = term @ a / n
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total
