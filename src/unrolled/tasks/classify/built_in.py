"""Examples that are there without a download: handwritten digits, which scikit-learn brings along."""

import numpy as np
from numpy.typing import NDArray


def digits() -> tuple[NDArray[np.float32], list[str]]:
    """1797 digits of 8 x 8 pixels from 0 to 16, each a sequence of 8 steps (its rows) of 8 features, and their labels.

    Reference:
        Alpaydin and Kaynak 1998, Optical recognition of handwritten digits, doi:10.24432/C50P49.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images.astype(np.float32), [str(label) for label in bunch.target]
