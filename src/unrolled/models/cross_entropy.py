"""The output layer and its loss in one: most of the time of a model with many words is spent here."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..layers.linear import linear, product, total

_RARE = 1e-30  # a probability
_PART = 2**22  # logits that are made at once where no gradient is wanted


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, *, label_smoothing: float = 0.0
) -> Tensor:
    """The mean over rows of -log softmax(W h + c)[target], with the gradients of ``F.cross_entropy(F.linear(...))``.

    With label smoothing e it is (1 - e) times that plus e times the mean of -log softmax(W h + c) over all V classes.
    It goes over the N V logits once besides the products, from them to their gradient in place, never scaled.

    Args:
        hidden: h.
        weight: W.
        bias: c.
        targets: whole numbers below V.
        label_smoothing: e, from 0 to below 1.

    Shape:
        hidden (N, H), weight (V, H), bias (V,), targets (N,); the result is a scalar.

    Reference:
        Label smoothing: Szegedy et al. 2016, arXiv:1512.00567.
    """
    loss: Tensor = _LinearCrossEntropy.apply(hidden, weight, bias, targets, label_smoothing)
    return loss


@torch.no_grad()
def linear_cross_entropies(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """-log softmax(W h + c)[target] of each row (N,), without gradients; never more than some MB of logits at once."""
    rows = max(1, _PART // len(weight))
    parts = [
        F.cross_entropy(linear(h, weight, bias), t, reduction="none")
        for h, t in zip(hidden.split(rows), targets.split(rows), strict=True)
    ]
    return torch.cat(parts)


class _LinearCrossEntropy(torch.autograd.Function):
    """Gradients are made on the way forward, for a loss of which the derivative is 1, in the memory of the logits."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        logits = linear(hidden, weight, bias)
        if smoothing:  # of each row the mean logit, less that of the target
            further = logits.mean(1) - logits.gather(1, targets[:, None]).squeeze(1)
        probabilities = torch.softmax(logits, 1, out=logits)
        rows = torch.arange(len(targets), device=targets.device)
        likely = probabilities.gather(1, targets[:, None]).squeeze(1)  # which refuses what is no class
        losses = -likely.log()
        rare = likely < max(_RARE, 1024 * torch.finfo(likely.dtype).tiny)
        if rare.any():  # too small for its logarithm to be exact
            losses[rare] = linear_cross_entropies(hidden[rare], weight, bias, targets[rare])
        if smoothing:  # the mean of all -log p is -log p of the target less what the mean logit is more
            losses -= smoothing * further
        loss = losses.mean()
        d_logits = probabilities
        d_logits[rows, targets] -= 1 - smoothing
        if smoothing:
            d_logits -= smoothing / d_logits.shape[1]
        scale = 1 / max(len(targets), 1)  # of what is smaller, in place of the logits' gradient
        ctx.save_for_backward(
            product(d_logits, weight).mul_(scale) if ctx.needs_input_grad[0] else None,
            total(d_logits, hidden * scale) if ctx.needs_input_grad[1] else None,
            d_logits.sum(0).mul_(scale) if ctx.needs_input_grad[2] else None,
        )
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        made = ctx.saved_tensors
        if grad.device.type != "cpu" or float(grad) != 1:  # to ask a GPU would mean to wait for it
            made = [None if part is None else part * grad for part in made]
        return (*made, None, None)
