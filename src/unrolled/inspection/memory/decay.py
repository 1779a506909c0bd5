"""From the gradients of a loss at every step to how they fall or grow with the lag."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .facts import Decay

LITTLE = 0.01  # of the first norm: what is left when something counts as forgotten


def norms(gradients: Sequence[Tensor | None], shape: tuple[int, int]) -> Tensor:
    """The norm of each row of gradients (B, ...), one a step: (T, B), in float64; 0 where it is below what the
    gradients' own dtype can tell.
    """
    found = torch.zeros(shape, dtype=torch.float64)
    for step, gradient in enumerate(gradients):
        if gradient is not None:
            of_rows = norm(gradient.detach().cpu().double().flatten(1))
            found[step] = torch.where(of_rows < torch.finfo(gradient.dtype).tiny, 0.0, of_rows)
    return found


def norm(rows: Tensor) -> Tensor:
    """The norm of each row (B, n), of numbers too whose squares are out of range."""
    largest = rows.abs().amax(1)
    scale = torch.where((largest > 0) & torch.isfinite(largest), largest, 1.0)
    scaled: Tensor = scale * torch.linalg.vector_norm(rows / scale.unsqueeze(1), dim=1)
    return scaled


def by_lag(values: Tensor, lags: Tensor, valid: Tensor) -> Tensor:
    """Values (T, B) of steps as values (K, B) of lags; -1 where a row has no such lag."""
    found = torch.full_like(values, -1)
    step, row = valid.cpu().nonzero(as_tuple=True)
    found[lags.cpu()[step, row], row] = values[step, row]
    return found[: int(valid.sum(0).max())]


def decay_of(name: str, values: Tensor) -> Decay:
    """What the norms (K, B) of a gradient come to, which are -1 where there is none."""
    mean, rows, whole = [], [], []
    lower: list[float] = []
    upper: list[float] = []
    not_finite = None
    for lag, row in enumerate(values):
        finite = row[torch.isfinite(row) & (row >= 0)]
        if not_finite is None and not torch.isfinite(row).all():
            not_finite = lag
        some = finite[finite > 0]
        whole.append(len(some) == len(finite))
        mean.append(float(some.log().mean().exp()) if len(some) else 0.0)
        of_rows = finite if len(finite) else torch.zeros(1, dtype=torch.float64)
        for quarter, quartiles in ((0.25, lower), (0.75, upper)):
            quartiles.append(float(of_rows.quantile(quarter)))
        rows.append(len(finite))
    return Decay(
        name,
        tuple(mean),
        tuple(lower),
        tuple(upper),
        tuple(rows),
        _rate(mean, whole) or _rate(mean, [True] * len(mean)),
        _memory(mean, LITTLE, not_finite),
        _memory(mean, 1 / math.e, not_finite),
        not_finite,
    )


def _rate(mean: Sequence[float], usable: Sequence[bool]) -> float | None:
    """The factor of one step back: the exponential of the slope of the logarithms over usable lags, by least squares.

    Where the gradient of some rows is too small for a number, the mean of the others says too much.
    """
    points = [(float(lag), math.log(value)) for lag, value in enumerate(mean) if value > 0 and usable[lag]]
    if len(points) < 2:
        return None
    centre = sum(lag for lag, _ in points) / len(points)
    spread = sum((lag - centre) ** 2 for lag, _ in points)
    return math.exp(sum((lag - centre) * log for lag, log in points) / spread)


def _memory(mean: Sequence[float], share: float, not_finite: int | None) -> int | None:
    """From how many steps back on less than a share of the first norm is left; None: more than there are."""
    first = next((value for value in mean if value > 0), None)
    if first is None or not_finite is not None:
        return None
    last = max(lag for lag, value in enumerate(mean) if value > share * first)
    return None if last == len(mean) - 1 else last + 1
