"""The quasi-recurrent neural network."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Cell, InputError
from ._shared import check_sizes, uniform_, weight

GATES = {"f": 2, "fo": 3, "ifo": 4}  # of each pooling: how many blocks of rows its weight has


class QRNNState(NamedTuple):
    """What a QRNN carries from step to step."""

    c: Tensor  # (B, H), the pooled memory
    earlier: tuple[Tensor, ...]  # x(t-1), x(t-2), ..., of a kernel of width k the last k-1 inputs, each (B, I)


class QRNN(Cell):
    """A convolution over time of the inputs alone, then a gated sum: linear in its state.

    z, f, o, i = W_ih [x(t); x(t-1); ...; x(t-k+1)] + b_ih
    c(t) = σ(f) c(t-1) + (1 - σ(f)) φ(z), with φ = tanh; with i: σ(f) c(t-1) + σ(i) φ(z)
    h(t) = σ(o) c(t); without o: c(t)

    The last k-1 inputs are part of the state, so a sequence may come in pieces, and an episode begins without them:
    zeros stand before the first input, as in the paper's masked convolution.

    Args:
        input_size: features I of x.
        hidden_size: features H of c and h.
        kernel_size: width k of the convolution; 1 sees x(t) alone.
        pooling: ``"f"`` (z, f), ``"fo"`` (z, f, o) or ``"ifo"`` (z, f, o, i).
        bias: whether there is b_ih.

    Shape:
        x (B, I); state c (B, H) and earlier, k-1 tensors (B, I); output h (B, H); weight_ih (n H, k I), n = 2, 3 or 4:
        its blocks of rows are those of z, f, o, i, its blocks of columns those of x(t), x(t-1), ...

    Raises:
        InputError: a size below 1, or an unknown pooling.

    Reference:
        Bradbury et al. 2017, Quasi-recurrent neural networks, arXiv:1611.01576.

    Example:
        >>> cell = QRNN(3, 5, kernel_size=3)
        >>> output, state = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> output.shape, state.c.shape, len(state.earlier)
        (torch.Size([4, 5]), torch.Size([4, 5]), 2)
    """

    def __init__(self, input_size: int, hidden_size: int, kernel_size: int = 2, pooling: str = "fo", bias: bool = True):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, kernel_size=kernel_size)
        if pooling not in GATES:
            raise InputError(f"pooling: expected one of {', '.join(GATES)}, got {pooling!r}.")
        self.input_size, self.hidden_size = input_size, hidden_size
        self.kernel_size, self.pooling = kernel_size, pooling
        self.state_size = QRNNState(hidden_size, (input_size,) * (kernel_size - 1))  # type: ignore[arg-type]
        self.weight_ih = weight(GATES[pooling] * hidden_size, kernel_size * input_size)
        self.bias_ih = weight(GATES[pooling] * hidden_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(k I), 1/sqrt(k I)), as torch.nn.Conv1d."""
        uniform_(self, self.kernel_size * self.input_size)

    def step(self, x: Tensor, state: QRNNState) -> tuple[Tensor, QRNNState]:
        """One step: h(t), (c(t), the last k-1 inputs)."""
        window = (x, *state.earlier)
        rows = F.linear(torch.cat(window, -1), self.weight_ih, self.bias_ih)
        z, *gates = rows.chunk(GATES[self.pooling], -1)
        f, *gates = (torch.sigmoid(gate) for gate in gates)
        write = gates[1] if self.pooling == "ifo" else 1 - f
        c = f * state.c + write * torch.tanh(z)
        return gates[0] * c if gates else c, QRNNState(c, window[:-1])
