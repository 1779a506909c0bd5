"""Lyapunov exponents of a layer's state map along a sequence that it ran."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .watch import Trajectory

_SETTLING = 10  # steps in which the directions turn to those that grow most, not counted (of short rows a quarter)


def exponents(seen: Trajectory, count: int) -> Tensor:
    """The largest exponents (B, count), in nats a step, of each row that has steps; at most as many as the state has.

    The state's tangent map over the sequence is the product J(T) ... J(1) of the steps' Jacobians ds(t)/ds(t-1). It is
    followed from its end, v = J(t)' v, which takes one product of the gradient's a step and has the same singular
    values: after each step the directions are made orthogonal again, and the logarithms of how they grew are averaged.

    Reference:
        Benettin et al. 1980, doi:10.1007/BF02128236; of recurrent networks: Vogt et al. 2022,
        doi:10.3389/fams.2022.818799.
    """
    assert seen.valid is not None
    valid, lags = seen.valid.cpu(), seen.lags.cpu()
    sizes = [leaf[0].numel() for leaf in seen.after[0]]
    count = min(count, sum(sizes))
    start = torch.randn(seen.rows, sum(sizes), count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions = torch.linalg.qr(start)[0]
    lengths = valid.sum(0)
    settling = torch.minimum(torch.tensor(_SETTLING), lengths // 4)
    sums = torch.zeros(seen.rows, count, dtype=torch.float64)
    for step in range(seen.steps - 1, -1, -1):
        moved = _pulled_back(seen.after[step], seen.before[step], directions, sizes)
        if not torch.isfinite(moved).all():
            moved = torch.where(valid[step].view(-1, 1, 1), moved, directions)
            if not torch.isfinite(moved).all():
                return torch.full((int((lengths > 0).sum()), count), float("nan"), dtype=torch.float64)
        turned, grown = torch.linalg.qr(moved)
        here = valid[step]
        directions = torch.where(here.view(-1, 1, 1), turned, directions)
        counted = here & (lags[step] >= settling)
        logs = grown.diagonal(dim1=-2, dim2=-1).abs().log()
        sums = torch.where(counted.unsqueeze(1), sums + logs, sums)
    some = lengths > 0
    return sums[some] / (lengths - settling)[some].unsqueeze(1)


def _pulled_back(after: list[Tensor], before: list[Tensor], directions: Tensor, sizes: Sequence[int]) -> Tensor:
    """J' times directions (B, n, count), J the Jacobian of one step."""
    reached = [place for place, leaf in enumerate(after) if leaf.requires_grad]
    found = []
    for one in directions.unbind(-1):
        parts = one.split(list(sizes), 1)
        given = [parts[place].view(after[place].shape).to(after[place]) for place in reached]
        gradients = torch.autograd.grad(
            [after[place] for place in reached], before, given, retain_graph=True, allow_unused=True
        )
        flat = [
            torch.zeros_like(part) if gradient is None else gradient.flatten(1).cpu().double()
            for part, gradient in zip(parts, gradients, strict=True)
        ]
        found.append(torch.cat(flat, 1))
    return torch.stack(found, -1)
