"""Fewer steps: neighbouring frames joined into one, as sound has many more frames than symbols."""

import torch
from torch import Tensor


def join_frames(x: Tensor, factor: int) -> Tensor:
    """Every ``factor`` neighbouring frames as one: z(t) = (x(kt), x(kt + 1), ..., x(kt + k - 1)), from t = 0.

    Where the last frames are fewer than k, zeros stand for those that are missing.

    Args:
        x: frames, zero where they are padding.
        factor: k.

    Shape:
        x (T, B, F); the result (ceil(T / k), B, k F).
    """
    steps, batch_size, size = x.shape
    joined = -(-steps // factor)
    if missing := joined * factor - steps:
        x = torch.cat([x, x.new_zeros(missing, batch_size, size)])
    return x.view(joined, factor, batch_size, size).transpose(1, 2).reshape(joined, batch_size, factor * size)


def joined_lengths(lengths: Tensor, factor: int) -> Tensor:
    """How many frames of :func:`join_frames` hold a valid one: ceil(length / k)."""
    return torch.div(lengths + factor - 1, factor, rounding_mode="floor")
