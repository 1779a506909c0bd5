"""Learning what a small change of the input, the worst of its size, must not change."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..batches import valid_steps


def worst_nearby(read: Sequence[Tensor], loss: Tensor, lengths: Tensor, size: float) -> list[Tensor]:
    """For each row r with the gradient g of the loss r + s ‖r‖ g / ‖g‖: to first order the worst change of this size.

    Args:
        read: what a network read (T, B, F), of each member; parts of the graph of the loss, which stays.
        loss: a scalar.
        lengths: valid steps of each row (B,); norms are over these.
        size: s, the size of the change, of that of the row itself.

    Returns:
        As ``read``; gradients pass through r, not through the change.

    Reference:
        Miyato et al. 2017, arXiv:1605.07725.
    """
    inside = valid_steps(read[0], lengths)[..., None]
    changed = []
    for features, gradient in zip(read, torch.autograd.grad(loss, list(read), retain_graph=True), strict=True):
        step = torch.where(inside, gradient, 0)
        own = _norm(torch.where(inside, features.detach(), 0))
        changed.append(features + size * own * step / _norm(step).clamp(min=torch.finfo(step.dtype).tiny))
    return changed


def _norm(features: Tensor) -> Tensor:
    """Of each row (1, B, 1)."""
    norm: Tensor = torch.linalg.vector_norm(features, dim=(0, 2), keepdim=True)
    return norm
