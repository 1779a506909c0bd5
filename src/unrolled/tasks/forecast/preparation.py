"""What is settled before training, from the training data, and kept in the run folder: sizes, scales, seasons."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .frequency import Frequency

Floats = NDArray[np.float64]

_COVARIATES = ("past", "future", "static")


@dataclass(frozen=True)
class Standard:
    """Columns of covariates, each brought to mean 0 and standard deviation 1 of the training data."""

    mean: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()

    @classmethod
    def of(cls, rows: NDArray[Any]) -> "Standard":
        """From rows (N, K) of the training data; a constant column is only shifted."""
        if not rows.shape[1]:
            return cls()
        spread = rows.std(0, dtype=np.float64)
        return cls(tuple(map(float, rows.mean(0, dtype=np.float64))), tuple(float(s) if s > 0 else 1.0 for s in spread))

    def scaled(self, rows: NDArray[Any]) -> Floats:
        """Rows (..., K) in units of the training data."""
        return np.asarray((rows - np.array(self.mean)) / np.array(self.spread))


@dataclass(frozen=True)
class Preparation:
    """How windows are cut and scaled: of the run, not of one panel."""

    context: int
    horizon: int
    seasons: tuple[int, ...]
    scaling: str = "standard"
    transform: str = "none"  # or "log", before all else
    counts: bool = False  # scaled, but not shifted
    emphasis: str = "equal"  # or "scale": what a window counts in the loss
    least: float = 1e-3  # share of its size that a window's scale is at least: what moves less is a constant
    typical: float = 1.0  # scale of a training window, in units of which it counts then
    calendar: bool = True
    year: bool = True
    past: Standard = Standard()
    future: Standard = Standard()
    static: Standard = Standard()

    @classmethod
    def from_saved(cls, saved: dict[str, Any]) -> "Preparation":
        """From what ``dataclasses.asdict`` made, as JSON keeps it."""
        rows = {name: {key: tuple(values) for key, values in saved[name].items()} for name in _COVARIATES}
        standards = {name: Standard(**row) for name, row in rows.items()}
        return cls(**{**saved, **standards, "seasons": tuple(saved["seasons"])})

    def bent(self, values: NDArray[Any]) -> Floats:
        """Targets in their own units, transformed."""
        return np.asarray(np.log(values) if self.transform == "log" else values, dtype=np.float64)

    def scales(self, history: Floats, valid: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Location and scale (B,) of each window (C, B), of its valid steps; a constant window has a scale too."""
        count = np.maximum(valid.sum(0), 1)
        mean = np.where(valid, history, 0).sum(0) / count
        size = np.where(valid, np.abs(history), 0).sum(0) / count
        if self.scaling == "none":
            return (np.zeros_like(mean) if self.counts else mean), np.ones_like(mean)
        if self.scaling == "mean-absolute":
            scale = size
        elif self.scaling == "seasonal":
            season = self.seasons[0] if self.seasons else 1
            both = valid[season:] & valid[:-season]
            moved = np.where(both, np.abs(history[season:] - history[:-season]), 0).sum(0)
            scale = moved / np.maximum(both.sum(0), 1)
        else:
            scale = np.sqrt(np.where(valid, (history - mean) ** 2, 0).sum(0) / count)
        least = self.least * size
        scale = np.where(scale > least, scale, np.where(size > 0, np.maximum(least, 1e-300), 1.0))
        return (np.zeros_like(mean) if self.counts else mean), scale

    def weights(self, scale: Floats) -> Floats:
        """What windows of these scales (B,) count in the loss."""
        return scale / self.typical if self.emphasis == "scale" else np.ones_like(scale)

    def level(self, location: Floats, scale: Floats) -> Floats:
        """What scaling takes away, of no unit: the level over the scale, squeezed; (B, 1)."""
        return np.arcsinh(location / scale)[:, None] / 4

    def dates(self, frequency: Frequency | None) -> int:
        """Features of the calendar."""
        if frequency is None or not self.calendar:
            return 0
        return int(frequency.calendar(np.zeros(1, dtype=np.int64), year=self.year).shape[1])

    def past_size(self, dates: int) -> int:
        """Features of the past besides the target, with so many of the calendar."""
        return dates + len(self.past.mean) + len(self.future.mean) + len(self.static.mean) + 1

    def ahead_size(self, dates: int) -> int:
        """Features of the steps ahead, with so many of the calendar."""
        return dates + len(self.future.mean) + len(self.static.mean) + 1
