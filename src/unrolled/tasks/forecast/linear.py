"""The linear model of a window, in closed form: a baseline, and where the network's linear path begins."""

import numpy as np
import torch
from numpy.typing import NDArray

from .windows import Cutter

_AT_ONCE = 1024  # windows
_MOST = 60_000  # windows that the normal equations are made of


def ridge(
    cutter: Cutter, series: NDArray[np.int64], origins: NDArray[np.int64], penalty: float = 0.01
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (H, C) and bias (H,) that map scaled histories to scaled targets with the least squared error.

    Args:
        cutter: cuts the windows, each of which counts as much as every other.
        series: of each window (N,); beyond some ten thousand windows, evenly chosen ones are taken.
        origins: the first step ahead of each (N,), with a whole horizon after it.
        penalty: of the squared weights, as a share of the windows.

    Reference:
        Hoerl & Kennard 1970, Ridge regression.
    """
    context, horizon = cutter.preparation.context, cutter.preparation.horizon
    if len(series) > _MOST:
        chosen = np.linspace(0, len(series) - 1, _MOST).astype(np.int64)
        series, origins = series[chosen], origins[chosen]
    products = torch.zeros(context + 1, context + 1, dtype=torch.float64)
    towards = torch.zeros(context + 1, horizon, dtype=torch.float64)
    for begin in range(0, len(series), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        batch = cutter.cut(series[part], origins[part], horizon)
        history = torch.cat([batch.window.history, torch.ones(1, len(series[part]))]).double()
        products += history @ history.t()
        towards += history @ batch.target.double().t()
    penalties = torch.full((context + 1,), penalty * len(series), dtype=torch.float64)
    penalties[-1] = 1e-6 * len(series)
    weights = torch.linalg.solve(products + torch.diag(penalties), towards).float()
    return weights[:-1].t().contiguous(), weights[-1].contiguous()
