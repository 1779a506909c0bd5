"""The block of an xLSTM around a matrix memory."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..cells.mlstm import MLSTMState, advance, gate_biases_, memory_size
from ..cells.mlstm_chunks import mlstm_chunkwise
from ..cells.slstm import head_size_of
from ..core import Cell, Tree, at_least_1
from ..layers import Recurrent
from ..layers.linear import Linear
from ..layers.recurrent import initial_state_beside
from .causal_convolution import CausalConvolution
from .dropout import Dropout
from .xlstm_parts import HeadNorm, HeadwiseLinear, last_init_, run, run_step, small_init_


class MLSTMBlockState(NamedTuple):
    """What the block carries from step to step."""

    window: Tensor  # (B, κ-1, F), the last inputs of the convolution
    memory: MLSTMState


class _Memory(Cell):
    """The memory alone, of q, k, v, i and log f that are given."""

    def __init__(self, num_heads: int, head_size: int):
        super().__init__()
        self.state_size = memory_size(num_heads, head_size)

    def step(self, x: Tree, state: MLSTMState) -> tuple[Tensor, MLSTMState]:
        return advance(x, state)


class MLSTMBlock(nn.Module):
    """A residual block around a matrix memory, which works on more features than the model has.

    u, g = W_up norm(x),  a = silu(conv(u))
    q, k = W_q a, W_k a,  v = W_v u,  i, f = W_g [q; k; v] + b_g,  k then divided by sqrt(D)
    y = x + W_down ((headnorm(read(q, k, v, i, f)) + s a) silu(g))

    read is that of :class:`unrolled.cells.MLSTM`; conv a convolution over the last few steps, feature by feature; s a
    learned weight for each feature; W_q, W_k and W_v are block-diagonal.

    Args:
        size: features of x and y.
        num_heads: K, heads of the memory.
        up_factor: F = up_factor · size features of u and g.
        kernel_size: steps κ that the convolution sees.
        projection_size: features of a block of W_q, W_k and W_v, or the next number above it that divides F.
        chunk_size: steps that the memory takes at a time, as in :func:`unrolled.cells.mlstm_chunkwise`; None: step by
            step, by :class:`unrolled.Recurrent`.
        dropout: probability of zeroing a feature of what is added to x.
        num_blocks: in the model; the first W_down is the smaller, the more there are.
        backend: as in :func:`unrolled.unroll`.

    Shape:
        x and y (T, B, size); the state a :class:`MLSTMBlockState`.

    Raises:
        InputError: heads that do not divide the features F, a number below 1.

    Reference:
        Beck et al. 2024, arXiv:2405.04517, figure 11.
    """

    def __init__(
        self,
        size: int,
        *,
        num_heads: int = 4,
        up_factor: int = 2,
        kernel_size: int = 4,
        projection_size: int = 4,
        chunk_size: int | None = 64,
        dropout: float = 0.0,
        num_blocks: int = 1,
        backend: str = "auto",
    ):
        super().__init__()
        self.size, self.num_blocks = at_least_1(size, "size"), num_blocks
        inner = size * at_least_1(up_factor, "up_factor")
        head_size = head_size_of(inner, num_heads)
        most = max(inner // at_least_1(projection_size, "projection_size"), 1)
        parts = next(parts for parts in range(most, 0, -1) if inner % parts == 0)
        self.num_heads = num_heads
        self.chunk_size = None if chunk_size is None else at_least_1(chunk_size, "chunk_size")
        self.norm = nn.LayerNorm(size, bias=False)
        self.up = Linear(size, 2 * inner, bias=False)
        self.convolution = Recurrent(CausalConvolution(inner, kernel_size), backend=backend)
        self.query, self.key, self.value = (HeadwiseLinear(inner, parts) for _ in range(3))
        self.gates = Linear(3 * inner, 2 * num_heads)
        self.memory = Recurrent(_Memory(num_heads, head_size), backend=backend)
        self.head_norm = HeadNorm(inner, num_heads)
        self.skip = nn.Parameter(torch.ones(inner))
        self.down = Linear(inner, size, bias=False)
        self.dropout = Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """That of the authors."""
        for part in (self.up, self.query, self.key, self.value):
            small_init_(part.weight, self.size)
        last_init_(self.down.weight, self.size, self.num_blocks)
        nn.init.zeros_(self.gates.weight)
        gate_biases_(self.gates.bias)

    def forward(
        self,
        x: Tensor,
        state: MLSTMBlockState | None = None,
        *,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, MLSTMBlockState]:
        """A sequence; the arguments are those of :class:`unrolled.Recurrent`."""
        over_time = partial(run, mask=mask, reset=reset)
        remember = over_time
        if self.chunk_size is not None:
            remember = partial(self._in_chunks, mask=mask, reset=reset)
        return self._block(x, state, over_time, remember)

    def step(self, x: Tensor, state: MLSTMBlockState | None = None) -> tuple[Tensor, MLSTMBlockState]:
        """One step, x (B, size)."""
        return self._block(x, state, run_step, run_step)

    def _block(
        self, x: Tensor, state: MLSTMBlockState | None, over_time: Callable[..., Any], remember: Callable[..., Any]
    ) -> tuple[Tensor, MLSTMBlockState]:
        window, memory = (None, None) if state is None else state
        u, gate = self.up(self.norm(x)).chunk(2, -1)
        seen, window = over_time(self.convolution, u, window)
        seen = F.silu(seen)
        q, k, v = self.query(seen), self.key(seen), self.value(u)
        i, f = self.gates(torch.cat([q, k, v], -1)).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)) for part in (q, k, v))
        read, memory = remember(self.memory, (q, k / k.shape[-1] ** 0.5, v, i, F.logsigmoid(f)), memory)
        made = (self.head_norm(read.flatten(-2)) + self.skip * seen) * F.silu(gate)
        return x + self.dropout(self.down(made)), MLSTMBlockState(window, memory)

    def _in_chunks(self, layer: Recurrent, x: Tree, state: MLSTMState | None, **flags: Any) -> tuple[Tensor, Any]:
        if state is None:
            state = initial_state_beside(layer.cell, x[0].shape[1], x)
        q, k, v, i, log_f = x
        assert self.chunk_size is not None
        read, end = mlstm_chunkwise(q, k, v, i, log_f, state, chunk_size=self.chunk_size, **flags)
        return read, MLSTMState(*end)
