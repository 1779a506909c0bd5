"""The LSTM with exponential gates and a scalar memory."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell, InputError
from ._shared import NAMED, Nonlinearity, check_sizes, named, weight

FORGET_GATES: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": F.logsigmoid, "exp": NAMED["identity"]}
"""The logarithm of f(t) from its pre-activation, by the name of f."""

NOTHING_YET = -1e30  # m of a memory in which nothing is: far below any gate; in float16, which ends before, its least


class SLSTMState(NamedTuple):
    """What an sLSTM carries from step to step."""

    h: Tensor  # (B, H), the output
    c: Tensor  # (B, H), the memory, times exp(-m)
    n: Tensor  # (B, H), the sum of the weights of what is in it, times exp(-m)
    m: Tensor  # (B, H), the stabiliser


class SLSTM(Cell):
    """A memory that is a weighted mean, with weights that are exponential gates.

    i, f, z, o = W_ih x(t) + b + W_hh h(t-1)
    m(t) = max(log f(f) + m(t-1), i)
    i' = exp(i - m(t)),  f' = exp(log f(f) + m(t-1) - m(t))
    c(t) = f' c(t-1) + i' φ(z)
    n(t) = f' n(t-1) + i'
    h(t) = σ(o) c(t) / n(t)

    where f is σ or exp. h(t) does not depend on m, which only keeps the exponentials from overflowing: whatever the
    gates are, i' and f' are at most 1 and n(t) at least 1. Units are parted into heads, and W_hh is block-diagonal: a
    head sees its own h(t-1) only. At first m is -1e30, a number that stands for log 0: then m(1) = i and h(1) is
    σ(o) φ(z), as it should be and as the authors' code has it.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        num_heads: K, which divides H.
        bias: whether there is b.
        forget_gate: f, ``"sigmoid"`` or ``"exp"``.
        nonlinearity: φ, a name or any function of a tensor.

    Shape:
        x (B, I); state (h, c, n, m) each (B, H), output h (B, H); weight_ih (4 H, I) with the rows of i, f, z, o;
        weight_hh (K, 4 H/K, H/K), for each head likewise.

    Raises:
        InputError: a size below 1, heads that do not divide H, an unknown gate or nonlinearity.

    Reference:
        Beck et al. 2024, xLSTM: Extended long short-term memory, arXiv:2405.04517, equations 8 to 17 and appendix A.

    Example:
        >>> import torch
        >>> cell = SLSTM(3, 8, num_heads=2)
        >>> output, state = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> output.shape, state.m.shape
        (torch.Size([4, 8]), torch.Size([4, 8]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_heads: int = 1,
        bias: bool = True,
        *,
        forget_gate: str = "sigmoid",
        nonlinearity: Nonlinearity = "tanh",
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        head_size = head_size_of(hidden_size, num_heads)
        self.input_size, self.hidden_size, self.num_heads = input_size, hidden_size, num_heads
        self.state_size = SLSTMState(*(hidden_size,) * 4)  # type: ignore[arg-type]
        self.log_f = log_forget(forget_gate)
        self.phi = named(nonlinearity)
        self.weight_ih = weight(4 * hidden_size, input_size)
        self.weight_hh = weight(num_heads, 4 * head_size, head_size)
        self.bias = weight(4 * hidden_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self, depth: float = 0.0) -> None:
        """That of the authors: W_ih from N(0, 2/(5 I)), W_hh 0, the biases of f by a power law from 5 down to -7 over
        the units of a head, the others 0.

        Args:
            depth: where in a model of several layers this one is, from 0, the first, to 1, the last: the deeper, the
                more units begin with a long memory.
        """
        nn.init.normal_(self.weight_ih, std=math.sqrt(2 / (5 * self.input_size)))
        nn.init.zeros_(self.weight_hh)
        if self.bias is not None:
            power_law_(self.bias, self.num_heads, depth)

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> SLSTMState:
        """h, c and n are 0, m stands for log 0."""
        zeros: SLSTMState = super().initial_state(batch_size, device=device, dtype=dtype)
        nothing = max(NOTHING_YET, torch.finfo(zeros.m.dtype).min)
        return zeros._replace(m=torch.full_like(zeros.m, nothing))

    def step(self, x: Tensor, state: SLSTMState) -> tuple[Tensor, SLSTMState]:
        """One step: h(t), and the state with it."""
        of_x = F.linear(x, self.weight_ih, self.bias)
        return advance(of_x, state, self.weight_hh, self.log_f, self.phi)


def advance(
    of_x: Tensor,
    state: SLSTMState,
    weight_hh: Tensor,
    log_f: Callable[[Tensor], Tensor],
    phi: Callable[[Tensor], Tensor] = torch.tanh,
) -> tuple[Tensor, SLSTMState]:
    """One step from ``of_x``, W_ih x(t) + b, (B, 4 H)."""
    h, c, n, m = state
    by_head = h.unflatten(-1, (len(weight_hh), -1))
    of_h = torch.einsum("bkd,ked->bke", by_head, weight_hh).unflatten(-1, (4, -1)).transpose(1, 2)
    i, f, z, o = (of_x.unflatten(-1, (4, -1)) + of_h.flatten(2)).unbind(1)
    log_kept = log_f(f) + m
    m = torch.maximum(log_kept, i)
    written, kept = torch.exp(i - m), torch.exp(log_kept - m)
    c = kept * c + written * phi(z)
    n = kept * n + written
    h = torch.sigmoid(o) * c / n
    return h, SLSTMState(h, c, n, m)


def head_size_of(hidden_size: int, num_heads: int) -> int:
    """The features of one head.

    Raises:
        InputError: the heads do not divide the features.
    """
    check_sizes(num_heads=num_heads)
    if hidden_size % num_heads:
        raise InputError(f"num_heads: expected a divisor of hidden_size = {hidden_size}, got {num_heads}.")
    return hidden_size // num_heads


def log_forget(name: str) -> Callable[[Tensor], Tensor]:
    """The logarithm of f(t), as a function of its pre-activation.

    Raises:
        InputError: the gate is unknown.
    """
    if name not in FORGET_GATES:
        raise InputError(f"forget_gate: expected one of {', '.join(FORGET_GATES)}, got {name!r}.")
    return FORGET_GATES[name]


@torch.no_grad()
def power_law_(bias: Tensor, num_heads: int, depth: float = 0.0) -> None:
    """Fill biases (4 H) of i, f, z and o: those of f with 5 - 12 r^(0.3 + 1.3 depth), r from 0 to 1 over the units of
    each head, the others with 0.
    """
    nn.init.zeros_(bias)
    head_size = len(bias) // (4 * num_heads)
    r = torch.arange(head_size, dtype=torch.float64) / max(head_size - 1, 1)
    bias.view(4, num_heads, head_size)[1] = (5 - 12 * r ** (0.3 + 1.3 * depth)).to(bias)
