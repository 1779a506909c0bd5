"""What the two blocks of an xLSTM share: maps of parts of the features, a norm for each head, the first weights."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import InputError, Tree
from ..layers import Recurrent
from ..layers.linear import Linear


class HeadwiseLinear(nn.Module):
    """A linear map without bias for each of several equal parts of the features: a block-diagonal matrix.

    Args:
        size: features read, and features made.
        parts: blocks P, which divide them.

    Shape:
        x and the result (..., size); weight (P, size/P, size/P).
    """

    def __init__(self, size: int, parts: int):
        super().__init__()
        if size % parts:
            raise InputError(f"size: expected a multiple of {parts} parts, got {size}.")
        self.weight = nn.Parameter(torch.empty(parts, size // parts, size // parts))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        of_parts = x.unflatten(-1, (len(self.weight), -1))
        return torch.einsum("...pi,poi->...po", of_parts, self.weight).flatten(-2)


class HeadNorm(nn.Module):
    """A layer norm for each head by itself: gain (v - mean) / sqrt(variance + 1e-5), with a gain for each feature.

    Shape:
        v and the result (..., size); weight (size,).
    """

    def __init__(self, size: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, v: Tensor) -> Tensor:
        """The same shape."""
        heads = v.unflatten(-1, (self.num_heads, -1))
        return F.layer_norm(heads, heads.shape[-1:]).flatten(-2) * self.weight


class GatedFeedForward(nn.Module):
    """y = W_down (gelu(g) u), where g and u are the halves of W_up x; no biases.

    Args:
        size: features of x and y.
        inner_size: features of g and of u.
    """

    def __init__(self, size: int, inner_size: int):
        super().__init__()
        self.up = Linear(size, 2 * inner_size, bias=False)
        self.down = Linear(inner_size, size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        gate, up = self.up(x).chunk(2, -1)
        made: Tensor = self.down(F.gelu(gate) * up)
        return made


def small_init_(weight: Tensor, size: int) -> None:
    """N(0, 2/(5 size)): of what reads the features of the model."""
    nn.init.normal_(weight, std=math.sqrt(2 / (5 * size)))


def last_init_(weight: Tensor, size: int, num_blocks: int) -> None:
    """N(0, (2/num_blocks)²/size): of what is added to the features of the model."""
    nn.init.normal_(weight, std=2 / num_blocks / math.sqrt(size))


def run(layer: Recurrent, x: Tree, state: Tree | None, *, mask: Tensor | None, reset: Tensor | None) -> tuple[Any, Any]:
    """A layer over a sequence."""
    outputs, end = layer(x, state, mask=mask, reset=reset)
    return outputs, end


def run_step(layer: Recurrent, x: Tree, state: Tree | None) -> tuple[Any, Any]:
    """A layer over one step."""
    return layer.step(x, state)
