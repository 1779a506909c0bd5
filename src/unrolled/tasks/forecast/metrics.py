"""How good forecasts are: MASE, sMAPE, MSE, MAE, CRPS, and how often the intervals hold."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVELS = tuple(round((index + 0.5) / 20, 10) for index in range(20))  # quantiles of which the CRPS is made, and ...
COVERED = (0.8, 0.95)  # ... shares of intervals that are checked


def levels_of(shares: Sequence[float]) -> tuple[float, ...]:
    """The levels of the quantiles that intervals of these shares need, and the median's."""
    return tuple(sorted({0.5, *(round(0.5 + side * share / 2, 10) for share in shares for side in (-1, 1))}))


def smape(actual: Floats, forecast: Floats) -> Floats:
    """200 |y - f| / (|y| + |f|) of each value, in percent, 0 where both are 0: M4's.

    Reference:
        Makridakis et al. 2020, The M4 competition, doi:10.1016/j.ijforecast.2019.04.014.

    Example:
        >>> import numpy as np
        >>> smape(np.array([100.0, 0.0]), np.array([50.0, 0.0]))
        array([66.66666667,  0.        ])
    """
    size = np.abs(actual) + np.abs(forecast)
    return np.asarray(200 * np.abs(actual - forecast) / np.where(size > 0, size, 1))


def naive_error(history: Floats, season: int) -> float:
    """The mean of |y(t) - y(t - season)| over a history, by which MASE divides; NaN where it is 0 or unknown.

    Reference:
        Hyndman & Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001.
    """
    if len(history) <= season:
        return float("nan")
    found = float(np.abs(history[season:] - history[:-season]).mean())
    return found if found > 0 else float("nan")


def crps_from_quantiles(actual: Floats, quantiles: Floats, levels: Floats) -> Floats:
    """Twice the mean pinball loss over levels at even distances: the continuous ranked probability score.

    Args:
        actual: (...).
        quantiles: (..., Q) at these levels.
        levels: (Q,) such as (i + 0.5) / Q.

    Reference:
        Gneiting & Raftery 2007, doi:10.1198/016214506000001437.
    """
    error = actual[..., None] - quantiles
    return np.asarray(2 * np.maximum(levels * error, (levels - 1) * error).mean(-1))


def crps_from_samples(actual: Floats, samples: Floats) -> Floats:
    """E|X - y| - E|X - X'| / 2 over samples X (..., M), all pairs counted."""
    ordered = np.sort(samples, -1)
    count = samples.shape[-1]
    weights = 2 * np.arange(1, count + 1) - count - 1
    spread = (weights * ordered).sum(-1) / count**2
    return np.asarray(np.abs(samples - actual[..., None]).mean(-1) - spread)


def coverage(actual: Floats, lower: Floats, upper: Floats) -> float:
    """The share of values that lie in their interval."""
    return float(((lower <= actual) & (actual <= upper)).mean())
