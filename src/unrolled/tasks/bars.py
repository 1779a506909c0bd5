"""Numbers as a row of bars, for a terminal."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BARS = "▁▂▃▄▅▆▇█"


def bars(values: NDArray[Any], low: float | None = None, high: float | None = None) -> str:
    """A bar for each number; the scale goes from ``low`` to ``high``, by default those of the numbers.

    Example:
        >>> bars(np.arange(8.0))
        '▁▂▃▄▅▆▇█'
    """
    return "".join(_BARS[level] for level in levels(values, len(_BARS), low, high))


def levels(values: NDArray[Any], count: int, low: float | None = None, high: float | None = None) -> NDArray[np.int64]:
    """Of each number which of so many levels it has, on a scale from ``low`` to ``high``; of a constant the lowest."""
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    share = (values.astype(np.float64) - low) / ((high - low) or 1.0)
    return np.minimum((share * count).astype(np.int64), count - 1)
