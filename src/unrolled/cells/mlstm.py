"""The LSTM with exponential gates and a matrix memory."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell, InputError, Tree, select, valid_steps
from ._shared import check_sizes, weight
from .mlstm_chunks import LEAST, mlstm_chunkwise
from .slstm import head_size_of, log_forget


class MLSTMState(NamedTuple):
    """What an mLSTM carries from step to step; K heads of D features."""

    c: Tensor  # (B, K, D, D), the memory: values by keys, times exp(-m)
    n: Tensor  # (B, K, D), the sum of the keys that are in it, times exp(-m)
    m: Tensor  # (B, K), the stabiliser


class MLSTM(Cell):
    """A matrix memory: values are written under keys, with exponential gates, and read by a query.

    q, k, v, o = W_ih x(t) + b,  k divided by sqrt(D);  i, f = W_g x(t) + b_g, one of each for a head
    m(t) = max(log f(f) + m(t-1), i, 0)
    i' = exp(i - m(t)),  f' = exp(log f(f) + m(t-1) - m(t))
    C(t) = f' C(t-1) + i' v k^T
    n(t) = f' n(t-1) + i' k
    h(t) = σ(o) C(t) q / max(|n(t)^T q|, exp(-m(t)))

    for each head of D = H/K features, where f is σ or exp. h(t) does not depend on m, which only keeps the
    exponentials from overflowing: so the 0 in it, which the paper does not have, changes no output. It keeps exp(-m),
    too, at 1 or below, and allows that all of the state is 0 at first. Where exp(-m) is below 1e-6, that stands in its
    place: a query to which no key answers reads 0, not 0/0.

    Nothing is fed back to the gates, so h(1) ... h(T) can also be computed in pieces of many steps: see
    :meth:`parallel`.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        num_heads: K, which divides H.
        bias: whether there are b and b_g.
        forget_gate: f, ``"sigmoid"`` or ``"exp"``.

    Shape:
        x (B, I); state c (B, K, D, D), n (B, K, D), m (B, K), output h (B, H); weight_ih (4 H, I) with the rows of q,
        k, v, o; weight_gates (2 K, I) with those of i, f.

    Raises:
        InputError: a size below 1, heads that do not divide H, an unknown gate.

    Reference:
        Beck et al. 2024, xLSTM: Extended long short-term memory, arXiv:2405.04517, equations 19 to 27 and appendix A.
        There k has its bias outside of the division; here, as in the authors' code, inside.

    Example:
        >>> import torch
        >>> cell = MLSTM(3, 8, num_heads=2)
        >>> output, state = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> output.shape, state.c.shape
        (torch.Size([4, 8]), torch.Size([4, 2, 4, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_heads: int = 1,
        bias: bool = True,
        *,
        forget_gate: str = "sigmoid",
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        head_size = head_size_of(hidden_size, num_heads)
        self.input_size, self.hidden_size, self.num_heads = input_size, hidden_size, num_heads
        self.state_size = memory_size(num_heads, head_size)
        self.log_f: Callable[[Tensor], Tensor] = log_forget(forget_gate)
        self.weight_ih = weight(4 * hidden_size, input_size)
        self.weight_gates = weight(2 * num_heads, input_size)
        self.bias_ih = weight(4 * hidden_size) if bias else None
        self.bias_gates = weight(2 * num_heads) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """That of the authors: W_ih from N(0, 2/(5 I)), W_g and b 0, the biases of i from N(0, 0.01), those of f from
        3 to 6 over the heads.
        """
        nn.init.normal_(self.weight_ih, std=math.sqrt(2 / (5 * self.input_size)))
        nn.init.zeros_(self.weight_gates)
        if self.bias_ih is not None and self.bias_gates is not None:
            nn.init.zeros_(self.bias_ih)
            gate_biases_(self.bias_gates)

    def step(self, x: Tensor, state: MLSTMState) -> tuple[Tensor, MLSTMState]:
        """One step: h(t), and the memory after it."""
        o, written = self._read(x)
        read, state = advance(written, state)
        return torch.sigmoid(o) * read.flatten(-2), state

    def parallel(
        self,
        x: Tensor,
        state: MLSTMState | None = None,
        *,
        chunk_size: int = 64,
        lengths: Any = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, MLSTMState]:
        """A whole sequence: what ``Recurrent(cell)(x, state)`` gives, by products of ``chunk_size`` steps at a time.

        Arguments and results are those of :class:`unrolled.Recurrent`, with all of their derivatives; how it is
        computed, and why that is faster, says :func:`unrolled.cells.mlstm_chunkwise`.

        Args:
            x: (T, B, I).
            state: before the first step; by default nothing is in the memory.
            chunk_size: steps at a time. It changes the results by rounding only.
            lengths: valid steps of each row.
            mask: (T, B), True = valid.
            reset: (T, B), True = before this step the memory is emptied.

        Raises:
            InputError, InputTypeError: an argument is not as above.

        Example:
            >>> import torch
            >>> from unrolled import Recurrent
            >>> cell, x = MLSTM(3, 8, num_heads=2), torch.randn(100, 4, 3)
            >>> h, state = cell.parallel(x, chunk_size=16)
            >>> torch.allclose(h, Recurrent(cell)(x)[0], atol=1e-5)
            True
        """
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            raise InputError(f"x: expected (T, B, I) with I = input_size = {self.input_size}, got {tuple(x.shape)}.")
        valid = valid_steps(*x.shape[:2], lengths=lengths, mask=mask, device=x.device)
        if valid is not None:  # what stands in the padding, NaN too, must not reach the gradient of a weight
            x = select(valid, x, torch.zeros_like(x))
        if state is None:
            state = self.initial_state(x.shape[1])
        o, (q, k, v, i, log_f) = self._read(x)
        read, end = mlstm_chunkwise(q, k, v, i, log_f, state, chunk_size=chunk_size, mask=valid, reset=reset)
        return torch.sigmoid(o) * read.flatten(-2), MLSTMState(*end)

    def _read(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The output gate's o, and q, k, v, i and log f: all that depends on x alone."""
        *qkv, o = F.linear(x, self.weight_ih, self.bias_ih).chunk(4, -1)
        i, f = F.linear(x, self.weight_gates, self.bias_gates).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)) for part in qkv)
        return o, (q, k / math.sqrt(k.shape[-1]), v, i, self.log_f(f))


def advance(x: Tree, state: MLSTMState) -> tuple[Tensor, MLSTMState]:
    """One step of the memory: what is read, (B, K, D), of (q, k, v, i, log f), with q, k and v (B, K, D) and i and
    log f (B, K).
    """
    q, k, v, i, log_f = x
    c, n, m = state
    log_kept = log_f + m
    m = torch.maximum(log_kept, i).clamp(min=0)
    written, kept = torch.exp(i - m).unsqueeze(-1), torch.exp(log_kept - m).unsqueeze(-1)
    c = kept.unsqueeze(-1) * c + (written * v).unsqueeze(-1) * k.unsqueeze(-2)
    n = kept * n + written * k
    weights = (n * q).sum(-1).abs()
    read = (c * q.unsqueeze(-2)).sum(-1)
    return read / torch.maximum(weights, torch.exp(-m).clamp(min=LEAST)).unsqueeze(-1), MLSTMState(c, n, m)


def memory_size(num_heads: int, head_size: int) -> MLSTMState:
    """The ``state_size`` of such a memory."""
    sizes: Any = [(num_heads, head_size, head_size), (num_heads, head_size), (num_heads,)]
    return MLSTMState(*[torch.Size(size) for size in sizes])  # type: ignore[arg-type]


@torch.no_grad()
def gate_biases_(bias: Tensor) -> None:
    """Fill biases (2 K) of i, from N(0, 0.01), and of f, from 3 to 6 over the heads."""
    of_i, of_f = bias.chunk(2)
    nn.init.normal_(of_i, std=0.1)
    of_f.copy_(torch.linspace(3, 6, len(of_f)))
