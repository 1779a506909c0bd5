"""The linear model of a window, in closed form: a baseline, and where the network's linear path begins."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .division import Division
from .network import go_on
from .panel import Panel
from .preparation import Preparation
from .windows import Cutter

_AT_ONCE = 1024  # windows
_MOST = 60_000  # windows that the normal equations are made of
_HELD = 2000  # windows that it is measured on
_PENALTY = 0.01  # of the squared weights, as a share of the windows


@dataclass(frozen=True)
class Linear:
    """Weights (H, C) and bias (H,) from a scaled history to scaled steps ahead, and how far they were off."""

    weight: Tensor
    bias: Tensor
    spread: NDArray[np.float64]  # (H,) root of the mean squared error in the training windows, of their scales
    error: float = 0.0  # mean absolute error in held-out windows, of each one's scale of the values themselves

    @classmethod
    def none(cls, prepared: Preparation) -> "Linear":
        """Zeros, where weights are loaded later."""
        shape = (prepared.horizon, prepared.context)
        return cls(torch.zeros(shape), torch.zeros(shape[0]), np.zeros(shape[0]))


def with_typical(panel: Panel, prepared: Preparation, division: Division) -> Preparation:
    """The same, knowing what a training window is divided by on average, and when it is as good as constant.

    That is where it moves a thousandth of its size, or less by far than is usual: series may lie far from 0.
    """
    learnt, _ = division.origins(prepared)
    windows = learnt.spread(_HELD)
    batch = Cutter(panel, replace(prepared, least=0.0)).cut(*windows, 1)
    moved = (batch.scale / batch.location.abs())[batch.scale > 1e-9 * batch.location.abs()]
    if len(moved):
        prepared = replace(prepared, least=min(prepared.least, 0.1 * float(moved.median())))
    scale = Cutter(panel, prepared).cut(*windows, 1).scale
    return replace(prepared, typical=float(scale.mean()))


def fit_linear(panel: Panel, prepared: Preparation, division: Division) -> Linear:
    """The linear model with the least squared error over the windows of training, with a penalty.

    Reference:
        Hoerl & Kennard 1970, Ridge regression, doi:10.1080/00401706.1970.10488634.
    """
    cutter = Cutter(panel, prepared)
    learnt, held_out = division.origins(prepared)
    context, horizon = prepared.context, prepared.horizon
    products = torch.zeros(context + 1, context + 1, dtype=torch.float64)
    towards = torch.zeros(context + 1, horizon, dtype=torch.float64)
    squares = torch.zeros(horizon, dtype=torch.float64)
    total = 0.0
    series, origins = learnt.spread(_MOST)
    for begin in range(0, len(series), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        batch = cutter.cut(series[part], origins[part], horizon)
        history = torch.cat([batch.window.history, torch.ones(1, len(series[part]))]).double()
        target, weight = batch.target.double(), batch.weight.double().square()
        products += history * weight @ history.t()
        towards += history * weight @ target.t()
        squares += (weight * target.square()).sum(1)
        total += float(weight.sum())
    penalties = torch.full((context + 1,), _PENALTY * total, dtype=torch.float64)
    penalties[-1] = 1e-6 * total
    weights = torch.linalg.solve(products + torch.diag(penalties), towards)
    left = squares - 2 * (weights * towards).sum(0) + (weights * (products @ weights)).sum(0)
    spread = (left / total).clamp(min=1e-8).sqrt().numpy()
    found = Linear(weights[:-1].t().float().contiguous(), weights[-1].float().contiguous(), spread)
    return Linear(found.weight, found.bias, spread, _error(cutter, found, *held_out.spread(_HELD)))


def _error(cutter: Cutter, linear: Linear, series: NDArray[np.int64], origins: NDArray[np.int64]) -> float:
    """Over held-out windows, the absolute error of the values themselves, over the mean absolute value of each."""
    total = []
    for begin in range(0, len(series), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        batch = cutter.cut(series[part], origins[part], cutter.preparation.horizon)
        said = batch.own_units(go_on(batch.window.history, linear.weight, linear.bias, len(batch.target)))
        actual = batch.own_units(batch.target)
        size = actual.abs().mean(0).clamp(min=1e-300)
        total.append(((said - actual).abs().mean(0) / size).clamp(max=1e6))
    return float(torch.cat(total).mean())
