"""The extended LSTM: residual blocks around memories with exponential gates."""

from typing import Any

import torch
from torch import Tensor, nn

from ..core import InputError, InputTypeError, Tree, at_least_1, select, valid_steps
from ..layers.stack import state_of_each
from .mlstm_block import MLSTMBlock
from .slstm_block import SLSTMBlock

KINDS = "ms"


class XLSTM(nn.Module):
    """Residual blocks, each around a matrix memory (m) or a scalar memory (s), and a layer norm after the last.

    x_b = block_b(x_(b-1)),  y = norm(x_B)

    The blocks are :class:`unrolled.models.MLSTMBlock` and :class:`unrolled.models.SLSTMBlock`. It reads and makes
    features: put an embedding before it and an output layer after it.

    Args:
        size: features of x and y.
        blocks: a letter for each block: ``"mmms"``. The xLSTM[7:1] of the paper is ``"mmmmmmms"`` or another order of
            these; an early s was found good.
        num_heads: heads of each memory; it divides ``size``.
        kernel_size: steps that the convolutions of the blocks see.
        chunk_size: steps that a matrix memory takes at a time, as in :func:`unrolled.cells.mlstm_chunkwise`; None:
            step by step, by a kernel.
        dropout: probability of zeroing a feature of what a block adds.
        backend: as in :func:`unrolled.unroll`.

    Shape:
        x and y (T, B, size); the state is a tuple with one entry a block.

    Raises:
        InputError: a number or a letter is not as above.

    Reference:
        Beck et al. 2024, xLSTM: Extended long short-term memory, arXiv:2405.04517.

    Example:
        >>> model = XLSTM(16, "ms", num_heads=2)
        >>> y, state = model(torch.randn(20, 4, 16), lengths=[20, 12, 7, 0])
        >>> y.shape
        torch.Size([20, 4, 16])
        >>> y, state = model.step(torch.randn(4, 16), state)
        >>> y.shape
        torch.Size([4, 16])
    """

    def __init__(
        self,
        size: int,
        blocks: str = "mmms",
        *,
        num_heads: int = 4,
        kernel_size: int = 4,
        chunk_size: int | None = 64,
        dropout: float = 0.0,
        backend: str = "auto",
    ):
        super().__init__()
        self.size = at_least_1(size, "size")
        if not isinstance(blocks, str) or not blocks or set(blocks) - set(KINDS):
            raise InputError(f"blocks: expected a letter for each block, m or s, such as 'mmms', got {blocks!r}.")
        options: dict[str, Any] = {
            "num_heads": num_heads,
            "kernel_size": kernel_size,
            "dropout": dropout,
            "num_blocks": len(blocks),
            "backend": backend,
        }
        self.blocks = nn.ModuleList(
            MLSTMBlock(size, chunk_size=chunk_size, **options)
            if kind == "m"
            else SLSTMBlock(size, depth=index / max(len(blocks) - 1, 1), **options)
            for index, kind in enumerate(blocks)
        )
        self.norm = nn.LayerNorm(size, bias=False)

    def forward(
        self,
        x: Tensor,
        state: tuple[Tree, ...] | None = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tree, ...]]:
        """Run every block; the arguments mean what they mean in :class:`unrolled.Recurrent`.

        Args:
            x: the sequence; what stands in its padding changes nothing.
            state: what a call or a step before returned; None: from the beginning.
            lengths: valid steps of each row.
            mask: (T, B), True = valid.
            reset: (T, B), True = an episode begins here.

        Returns:
            y, 0 where a step is not valid, and the state after each row's last valid step.
        """
        self._check(x, 3, "(T, B, I)")
        valid = valid_steps(*x.shape[:2], lengths=lengths, mask=mask, device=x.device)
        if valid is not None:
            x = select(valid, x, torch.zeros_like(x))
        ends = []
        for block, before in zip(self.blocks, self._states(state), strict=True):
            x, end = block(x, before, mask=valid, reset=reset)
            ends.append(end)
        y: Tensor = self.norm(x)
        if valid is not None:
            y = select(valid, y, torch.zeros_like(y))
        return y, tuple(ends)

    def step(self, x: Tensor, state: tuple[Tree, ...] | None = None) -> tuple[Tensor, tuple[Tree, ...]]:
        """One time step, for sequences that come bit by bit: x and y (B, size)."""
        self._check(x, 2, "(B, I)")
        ends = []
        for block, before in zip(self.blocks, self._states(state), strict=True):
            x, end = block.step(x, before)  # type: ignore[operator]
            ends.append(end)
        return self.norm(x), tuple(ends)

    def _check(self, x: Tensor, dim: int, order: str) -> None:
        if not isinstance(x, Tensor):
            raise InputTypeError(f"x: expected a tensor, got {type(x).__name__}.")
        if x.dim() != dim or x.shape[-1] != self.size:
            raise InputError(f"x: expected {order} with I = size = {self.size}, got {tuple(x.shape)}.")

    def _states(self, state: tuple[Tree, ...] | None) -> tuple[Tree, ...]:
        return state_of_each(state, len(self.blocks), "blocks")
