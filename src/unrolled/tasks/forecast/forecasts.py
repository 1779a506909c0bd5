"""Forecasts of many series: times, mean, median and intervals; as rows, as a file, as lines on a terminal."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import InputError
from ...training.checkpoint import write_atomically
from .backtest import Floats
from .panel import Panel

FORMATS = (".csv", ".jsonl")


@dataclass(frozen=True)
class Forecasts:
    """What is said of N steps after the end of each of S series.

    Attributes:
        panel: the series, to their ends.
        mean: (S, N).
        quantiles: (S, N, Q).
        levels: of the quantiles (Q,), each in (0, 1).
        shares: of the intervals, such as 0.8 for the one from the quantile 0.1 to the quantile 0.9.
    """

    panel: Panel
    mean: Floats
    quantiles: Floats
    levels: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def steps(self) -> int:
        """N."""
        return int(self.mean.shape[1])

    @property
    def median(self) -> Floats:
        """The middle (S, N)."""
        return self.quantile(0.5)

    def quantile(self, level: float) -> Floats:
        """The quantile (S, N) at one of the levels.

        Raises:
            InputError: it is none of them.
        """
        apart = np.abs(np.array(self.levels) - level)
        place = int(np.argmin(apart))
        if not apart[place] < 1e-9:
            known = ", ".join(f"{one:g}" for one in self.levels)
            raise InputError(
                f"expected a quantile that was forecast, one of {known}, got {level:g}; "
                "name the percents of the intervals, levels, when you forecast."
            )
        return np.asarray(self.quantiles[..., place])

    def interval(self, share: float) -> tuple[Floats, Floats]:
        """The lower and the upper bound (S, N) of one of the intervals.

        Raises:
            InputError: it is none of them.
        """
        return self.quantile(0.5 - share / 2), self.quantile(0.5 + share / 2)

    def times(self, index: int) -> list[str]:
        """The times of the steps ahead of a series as text; their numbers from its beginning where no time is told."""
        length = int(self.panel.lengths[index])
        return shown_times(self.panel, self.panel.times(index, length, length + self.steps))

    def columns(self) -> tuple[str, ...]:
        """The names of what is in a row."""
        return ("id", "time", "mean", "median", *(name for share in self.shares for name in _bounds(share)))

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for every step of every series."""
        bounds = {share: self.interval(share) for share in self.shares}
        names = self.columns()
        for index, name in enumerate(self.panel.names):
            for step, time in enumerate(self.times(index)):
                row: list[Any] = [name, time, float(self.mean[index, step]), float(self.median[index, step])]
                row += [float(bound[index, step]) for share in self.shares for bound in bounds[share]]
                yield dict(zip(names, row, strict=True))

    def write(self, path: str | Path) -> None:
        """Write all rows into a file, .csv or .jsonl, whole or not at all.

        Raises:
            InputError: another ending.
            OSError: it cannot be written.
        """
        path = Path(path)
        check_output(path)
        if path.suffix.lower() == ".jsonl":
            write_atomically(path, "".join(json.dumps(_rounded(row)) + "\n" for row in self.rows()))
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(_rounded(row) for row in self.rows())
        write_atomically(path, text.getvalue())


def check_output(path: Path) -> None:
    """Raise InputError where a file for the predictions has another ending, or no folder."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--output: expected a file that ends with {' or '.join(FORMATS)}, got {path}.")
    if not path.parent.is_dir():
        raise InputError(f"--output: expected a folder that is there, got {path.parent}.")


def _bounds(share: float) -> tuple[str, str]:
    return f"lower_{100 * share:g}", f"upper_{100 * share:g}"


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {name: float(f"{value:.9g}") if isinstance(value, float) else value for name, value in row.items()}


def shown_times(panel: Panel, times: NDArray[Any]) -> list[str]:
    """Times as text: of months and longer steps without their hours, and with the zone of the table."""
    if panel.frequency is None or not panel.dated:
        return [str(time) for time in times]
    if not len(times):
        return []
    whole = bool((times.astype("datetime64[D]") == times).all())
    unit = "D" if whole and panel.frequency.unit not in ("second", "minute", "hour") else "s"
    return [text.replace("T", " ") + panel.zone for text in np.datetime_as_string(times.astype(f"datetime64[{unit}]"))]
