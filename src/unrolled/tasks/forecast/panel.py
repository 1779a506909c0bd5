"""Many series at once: their values one after another, when each begins, and what is known besides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..storage import store
from .frequency import Frequency, Whole


@dataclass(frozen=True)
class Panel:
    """S series, in memory or mapped from a file; rows without a target at a series' end tell of its future."""

    names: tuple[str, ...]
    values: NDArray[Any]  # (N,) the targets, series after series
    offsets: Whole  # (S + 1,) where in them each series begins and ends
    starts: Whole  # (S,) the number of each series' first step
    phases: Whole  # (S,) seconds from the beginning of a step to its time
    frequency: Frequency | None  # None where no time is told
    past: NDArray[Any]  # (N, P) covariates known of the past only
    future: NDArray[Any]  # (M, F) covariates known ahead, from each series' first step on
    future_offsets: Whole  # (S + 1,)
    static: NDArray[Any]  # (S, K) covariates of a series
    zone: str = ""  # what follows each time, such as Z or +01:00
    dated: bool = True  # whether the starts are dates; otherwise only the length of a step is known

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lengths(self) -> Whole:
        """Targets of each series (S,)."""
        return np.diff(self.offsets)

    def series(self, index: int) -> NDArray[Any]:
        """The targets of one series."""
        found: NDArray[Any] = self.values[self.offsets[index] : self.offsets[index + 1]]
        return found

    def times(self, index: int, begin: int, end: int) -> NDArray[Any]:
        """The times of steps begin ... end - 1 of a series; their numbers from 0 where no time is told."""
        numbers = np.arange(begin, end, dtype=np.int64)
        if self.frequency is None or not self.dated:
            return numbers
        return self.frequency.times(numbers + self.starts[index], int(self.phases[index]))


def panel_of(
    series: Sequence[NDArray[Any]],
    names: Sequence[str] | None = None,
    *,
    frequency: Frequency | None = None,
    starts: Sequence[int] | None = None,
    phases: Sequence[int] | None = None,
    past: Sequence[NDArray[Any]] | None = None,
    future: Sequence[NDArray[Any]] | None = None,
    static: NDArray[Any] | None = None,
    zone: str = "",
    dated: bool = True,
) -> Panel:
    """A panel of arrays: a target (n,) each, past covariates (n, P), future ones (m, F) with m at least n.

    What does not fit in memory is mapped from a temporary file.
    """
    count = len(series)
    lengths = np.array([len(values) for values in series], dtype=np.int64)
    empty = [np.zeros((length, 0)) for length in lengths]
    future = empty if future is None else future
    return Panel(
        tuple(names) if names is not None else tuple(str(index + 1) for index in range(count)),
        store(np.asarray(values, dtype=np.float64) for values in series).values if count else np.zeros(0),
        _offsets(lengths),
        np.zeros(count, dtype=np.int64) if starts is None else np.asarray(starts, dtype=np.int64),
        np.zeros(count, dtype=np.int64) if phases is None else np.asarray(phases, dtype=np.int64),
        frequency,
        _joined(empty if past is None else past),
        _joined(future),
        _offsets(np.array([len(rows) for rows in future], dtype=np.int64)),
        np.zeros((count, 0)) if static is None else static,
        zone,
        dated,
    )


def _joined(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    width = rows[0].shape[1] if rows else 0
    if not width:
        return np.zeros((sum(map(len, rows)), 0))
    return store(np.asarray(part, dtype=np.float64) for part in rows).values


def _offsets(lengths: Whole) -> Whole:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
