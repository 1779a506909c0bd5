"""Features brought to mean 0 and deviation 1: those of a training set, or of one sequence by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core import InputError

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FeatureScaler:
    """z = (x - mean) / deviation, feature by feature; a feature that never changes has deviation 1.

    Learnt from the training data and kept with the model, so that new data, also a stream of them, are treated alike.

    Args:
        mean: (F,).
        deviation: (F,), above 0.

    Raises:
        InputError: the two are not of one size, or not finite, or a deviation is not above 0.

    Example:
        >>> import numpy as np, torch
        >>> scaler = FeatureScaler.learn([np.array([[1.0], [3.0]]), np.array([[5.0]])])
        >>> scaler(torch.tensor([[3.0]])).tolist(), FeatureScaler.from_dict(scaler.to_dict()).mean.tolist()
        ([[0.0]], [3.0])
    """

    mean: Floats
    deviation: Floats

    def __post_init__(self) -> None:
        shapes = self.mean.shape, self.deviation.shape
        if len(shapes[0]) != 1 or shapes[0] != shapes[1]:
            raise InputError(
                f"expected a mean and a deviation of each feature, got shapes {shapes[0]} and {shapes[1]}."
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.deviation).all() and (self.deviation > 0).all()):
            raise InputError("expected finite means and deviations above 0, got others.")

    @classmethod
    def learn(cls, rows: Sequence[NDArray[Any]]) -> "FeatureScaler":
        """From all steps of sequences (T, F), in two passes.

        Raises:
            InputError: there is no step, or sequences have unequally many features.
        """
        steps = sum(len(row) for row in rows)
        if not steps:
            raise InputError("expected sequences with a step at least, got none.")
        if len(sizes := {row.shape[1:] for row in rows}) > 1:
            raise InputError(f"expected sequences of equally many features, got {sorted(sizes)}.")
        mean = sum(row.sum(0, dtype=np.float64) for row in rows) / steps
        squares = sum(np.square(row - mean).sum(0) for row in rows) / steps
        deviation = np.sqrt(squares)
        constant = deviation <= 1e-6 * np.maximum(1.0, np.abs(mean))
        deviation = np.where(constant, 1.0, deviation)
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    def __call__(self, features: Tensor) -> Tensor:
        """Standardised features (..., F)."""
        if features.shape[-1:] != self.mean.shape:
            raise InputError(f"features: expected (..., F) with F = {len(self.mean)}, got {tuple(features.shape)}.")
        return (features - torch.from_numpy(self.mean)) / torch.from_numpy(self.deviation)

    def padded(self, rows: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor]:
        """Standardised sequences (T, B, F), zero after a row's end, and the lengths (B,)."""
        lengths = [len(row) for row in rows]
        batch = np.zeros((max(lengths), len(rows), len(self.mean)), dtype=np.float32)
        for position, row in enumerate(rows):
            batch[: len(row), position] = (row - self.mean) / self.deviation
        return torch.from_numpy(batch), torch.tensor(lengths)

    def to_dict(self) -> dict[str, list[float]]:
        """For a file of JSON."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "FeatureScaler":
        """What :meth:`to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is not of that form.
        """
        mean, deviation = (np.asarray(found[name], dtype=np.float32) for name in ("mean", "deviation"))
        return cls(mean, deviation)


def standardised(features: Tensor) -> Tensor:
    """One sequence (T, F) by its own mean and deviation: what a room and a microphone add to all its frames goes away.

    The whole sequence must be there: a model that hears samples as they come uses a :class:`FeatureScaler`.

    Example:
        >>> import torch
        >>> standardised(torch.tensor([[1.0, 5.0], [3.0, 5.0]])).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    return FeatureScaler.learn([features.numpy()])(features) if len(features) else features
