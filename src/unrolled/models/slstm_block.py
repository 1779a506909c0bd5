"""The block of an xLSTM around a scalar memory."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..cells.slstm import SLSTM, SLSTMState, advance, head_size_of, power_law_
from ..core import at_least_1
from ..layers import Recurrent
from .causal_convolution import CausalConvolution
from .dropout import Dropout
from .xlstm_parts import GatedFeedForward, HeadNorm, HeadwiseLinear, last_init_, run, run_step, small_init_


class SLSTMBlockState(NamedTuple):
    """What the block carries from step to step."""

    window: Tensor | tuple[()]  # (B, κ-1, size), the last inputs of the convolution; () without one
    memory: SLSTMState


class _Memory(SLSTM):
    """The recurrence alone, of W_ih x(t) that is given."""

    def __init__(self, size: int, num_heads: int):
        super().__init__(4 * size, size, num_heads)
        del self.weight_ih

    def step(self, x: Tensor, state: SLSTMState) -> tuple[Tensor, SLSTMState]:
        assert self.bias is not None
        return advance(x + self.bias, state, self.weight_hh, self.log_f, self.phi)


class SLSTMBlock(nn.Module):
    """A residual block around a scalar memory, and one around a gated network without memory.

    v = norm(x),  a = silu(conv(v))
    y' = x + headnorm(h(W_i a, W_f a, W_z v, W_o v))
    y = y' + W_down (gelu(g) u),  where g, u = W_up norm(y')

    h is that of :class:`unrolled.cells.SLSTM`, with W_i, W_f, W_z and W_o block-diagonal by heads as its W_hh; conv a
    convolution over the last few steps, feature by feature.

    Args:
        size: features of x and y.
        num_heads: K, heads of the memory.
        kernel_size: steps κ that the convolution sees; 0: there is none, and a = v.
        feed_forward_factor: g and u have feed_forward_factor · size features, rounded up to a multiple of 8.
        dropout: probability of zeroing a feature of h, and of what is added to y'.
        depth: where in its model the block is, from 0, the first, to 1, the last: see
            :meth:`unrolled.cells.SLSTM.reset_parameters`.
        num_blocks: in the model; the first W_down is the smaller, the more there are.
        backend: as in :func:`unrolled.unroll`.

    Shape:
        x and y (T, B, size); the state an :class:`SLSTMBlockState`.

    Raises:
        InputError: heads that do not divide the features, a number below 1.

    Reference:
        Beck et al. 2024, arXiv:2405.04517, figure 10.
    """

    def __init__(
        self,
        size: int,
        *,
        num_heads: int = 4,
        kernel_size: int = 4,
        feed_forward_factor: float = 4 / 3,
        dropout: float = 0.0,
        depth: float = 0.0,
        num_blocks: int = 1,
        backend: str = "auto",
    ):
        super().__init__()
        self.size, self.num_blocks, self.depth = at_least_1(size, "size"), num_blocks, depth
        head_size_of(size, num_heads)
        self.norm = nn.LayerNorm(size, bias=False)
        convolution = Recurrent(CausalConvolution(size, kernel_size), backend=backend) if kernel_size else None
        self.convolution = convolution
        self.gates = nn.ModuleList(HeadwiseLinear(size, num_heads) for _ in range(4))  # i, f, z, o
        self.memory = Recurrent(_Memory(size, num_heads), backend=backend)
        self.head_norm = HeadNorm(size, num_heads)
        self.feed_forward_norm = nn.LayerNorm(size, bias=False)
        self.feed_forward = GatedFeedForward(size, 8 * math.ceil(feed_forward_factor * size / 8))
        self.dropout = Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """That of the authors."""
        for gate in self.gates:
            small_init_(gate.weight, self.size)  # type: ignore[arg-type]
        power_law_(self.memory.cell.bias, self.memory.cell.num_heads, self.depth)
        nn.init.zeros_(self.memory.cell.weight_hh)
        small_init_(self.feed_forward.up.weight, self.size)
        last_init_(self.feed_forward.down.weight, self.size, self.num_blocks)

    def forward(
        self,
        x: Tensor,
        state: SLSTMBlockState | None = None,
        *,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, SLSTMBlockState]:
        """A sequence; the arguments are those of :class:`unrolled.Recurrent`."""
        return self._block(x, state, partial(run, mask=mask, reset=reset))

    def step(self, x: Tensor, state: SLSTMBlockState | None = None) -> tuple[Tensor, SLSTMBlockState]:
        """One step, x (B, size)."""
        return self._block(x, state, run_step)

    def _block(
        self, x: Tensor, state: SLSTMBlockState | None, over_time: Callable[..., Any]
    ) -> tuple[Tensor, SLSTMBlockState]:
        window, memory = ((), None) if state is None else state
        read = seen = self.norm(x)
        if self.convolution is not None:
            seen, window = over_time(self.convolution, read, window if state is not None else None)
            seen = F.silu(seen)
        inputs = zip(self.gates, (seen, seen, read, read), strict=True)
        h, memory = over_time(self.memory, torch.cat([gate(of) for gate, of in inputs], -1), memory)
        x = x + self.head_norm(self.dropout(h))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x))), SLSTMBlockState(window, memory)
