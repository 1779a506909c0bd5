"""What is held out of the data, by chance."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import DataError

_STREAM = 7  # of the seed's random numbers


def division_draw(seed: int) -> np.random.Generator:
    """The random numbers that divide the data of a run."""
    return np.random.default_rng([seed, _STREAM])


def draw_held_out(count: int, share: float, seed: int, what: str, counted: str = "in all") -> NDArray[Any]:
    """Places below ``count`` that are held out, in the order of the draw.

    Args:
        count: of what is divided.
        share: that is held out.
        seed: of the draw.
        what: is divided, for the error.
        counted: what the count is of, for the error.

    Raises:
        DataError: all would be held out, or none.

    Example:
        >>> sorted(draw_held_out(10, 0.2, 0, "sentences").tolist())
        [3, 7]
    """
    some = round(count * share)
    if not 0 < some < count:
        raise DataError(
            f"expected {what} for training and for validation, got {count} {counted}, of which {some} would be held "
            "out; give more, or another --validation-share."
        )
    return division_draw(seed).permutation(count)[:some]
