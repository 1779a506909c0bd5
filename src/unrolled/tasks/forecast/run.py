"""A trained forecaster: it forecasts, and it is measured beside simple rules."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...core import DataError, InputError
from .. import running
from ..origin import paths_to_go_on_with
from ..scores import MODEL, Scores
from .backtest import backtest, baselines, forecast, naive_errors, of_network
from .ends import ends_of, panel_of_ends
from .forecasts import Forecasts
from .frequency import Frequency, Whole
from .memory import source_in_memory
from .metrics import levels_of
from .panel import Panel
from .source import read_source
from .task import TASK, build, check_alike, recorded
from .windows import Cutter

_AT_ONCE = 256

__all__ = ["ForecastRun", "ends_of"]


class ForecastRun:
    """A trained forecaster.

    Args:
        run: the run folder.
        cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.
        weights: ``"best"`` on validation, or ``"last"``.

    Raises:
        CheckpointError: the folder is not a run of forecasting, or a file in it is damaged.
    """

    def __init__(self, run: str | Path, *, cell: str | None = None, weights: str = "best"):
        trained = running.open_trained(TASK, run, cell=cell, weights=weights)
        self.folder, self.options = trained.folder, trained.options
        self.kept = recorded(trained.folder)
        self.preparation = self.kept.preparation
        frequency = None if self.kept.frequency is None else Frequency(**self.kept.frequency)
        self.frequency = frequency
        self.network, self.output = build(self.preparation, trained.options, frequency)
        trained.give_weights(self.network)
        self._ends = panel_of_ends(trained.folder, frequency)

    @property
    def horizon(self) -> int:
        """Steps ahead that were learnt."""
        return self.preparation.horizon

    def read(self, data: Any = None) -> Panel:
        """The series of files or of data in memory, read as those of training; by default those of training.

        Raises:
            DataError: they cannot be used.
        """
        options = self.options.data.model_copy(update={"validation": None})
        if self.frequency is not None and options.frequency is None and data is not None:
            options = options.model_copy(update={"frequency": str(self.frequency)})
        if data is None and self._ends is not None:
            return self._ends
        if data is None:
            paths = paths_to_go_on_with(self.folder)
            extra = [] if self.options.data.validation is None else [Path(self.options.data.validation)]
            panel = read_source([*paths, *extra], options, self.kept.columns).panel
        elif isinstance(data, str | Path):
            panel = read_source([Path(data)], options, self.kept.columns).panel
        elif isinstance(data, list | tuple) and data and all(isinstance(path, str | Path) for path in data):
            panel = read_source([Path(path) for path in data], options, self.kept.columns).panel
        else:
            panel = source_in_memory(data, options, self.kept.columns).panel
        check_alike(panel, self.preparation)
        return panel

    def predict(self, data: Any = None, *, horizon: int | None = None, levels: Sequence[float] = (80, 95)) -> Forecasts:
        """Forecast the steps after the end of each series.

        Args:
            data: files, or data in memory, as for training; by default the series of training.
            horizon: steps ahead, any number; by default those that were learnt.
            levels: percents of the intervals.

        Raises:
            DataError: the data cannot be used, or covariates do not reach so far ahead.
            InputError: an argument is out of range.
        """
        panel = self.read(data)
        steps = self.horizon if horizon is None else horizon
        if steps < 1:
            raise InputError(f"horizon: expected at least 1 step, got {steps}.")
        if not levels or not all(0 < level < 100 for level in levels):
            raise InputError(f"levels: expected percents between 0 and 100, got {list(levels)}.")
        shares = tuple(sorted({round(float(level) / 100, 10) for level in levels}))
        _check_reach(panel, panel.lengths, steps)
        cutter = Cutter(panel, self.preparation)
        wanted = levels_of(shares)
        means, quantiles = [], []
        for begin in range(0, len(panel), _AT_ONCE):
            series = np.arange(begin, min(begin + _AT_ONCE, len(panel)))
            mean, found = forecast(self.network, self.output, cutter.cut(series, panel.lengths[series], steps), wanted)
            means.append(mean)
            quantiles.append(found)
        return Forecasts(panel, np.concatenate(means), np.concatenate(quantiles), wanted, shares)

    def evaluate(
        self, data: Any = None, *, horizon: int | None = None, last: int | None = None, stride: int = 1
    ) -> Scores:
        """A rolling backtest over the end of each series, beside simple rules on the same windows.

        Args:
            data: files, or data in memory, as for training; by default the series of training.
            horizon: steps ahead; by default those that were learnt.
            last: steps at each series' end within which forecasts begin and end; by default one horizon.
            stride: steps from one forecast's beginning to the next.

        Raises:
            DataError: the data cannot be used, or a series is too short.
            InputError: an argument is out of range.
        """
        if data is None and self._ends is not None:
            raise InputError("X: expected the series to measure on, got none; only the ends of those of fit are kept.")
        panel = self.read(data)
        steps = self.horizon if horizon is None else horizon
        if steps < 1 or stride < 1:
            raise InputError(f"expected a horizon and a stride of at least 1 step, got {steps} and {stride}.")
        last = max(last or 0, steps) if last is None else last
        if last < steps:
            raise InputError(f"--last: expected at least the horizon of {steps} steps, got {last}.")
        short = np.flatnonzero(panel.lengths < last + 2)
        if len(short):
            index = int(short[0])
            raise DataError(
                f"series {panel.names[index]}: expected at least {last + 2} values, 2 of history before the {last} to "
                f"forecast, got {int(panel.lengths[index])}; give longer series, or a smaller --last or --horizon."
            )
        begins = panel.lengths - last
        windows = [(index, np.arange(begin, begin + last - steps + 1, stride)) for index, begin in enumerate(begins)]
        series = np.concatenate([np.full(len(origins), index) for index, origins in windows])
        return self.measure(panel, (series, np.concatenate([origins for _, origins in windows])), begins, steps)

    def measure(self, panel: Panel, windows: tuple[Whole, Whole], begins: Whole, steps: int) -> Scores:
        """The figures on these windows: series and first step ahead of each; what is tested begins at ``begins``."""
        cutter = Cutter(panel, self.preparation)
        season = self.preparation.seasons[0] if self.preparation.seasons else 1
        mean, spread = [], []
        for index, name in enumerate(panel.names):
            before = np.asarray(panel.series(index)[: begins[index]])
            known = self.kept.standard.get(name)
            mean.append(known[0] if known else float(before.mean()))
            spread.append((known[1] if known else float(before.std())) or float("nan"))
        others = baselines(panel, self.preparation, self.network, self.kept.spread)
        return backtest(
            cutter,
            {MODEL: of_network(self.network, self.output), **others},
            windows,
            steps,
            (np.array(mean), np.array(spread)),
            naive_errors(panel, begins, season),
        )


def _check_reach(panel: Panel, ends: Whole, steps: int) -> None:
    if not panel.future.shape[1]:
        return
    reach = np.diff(panel.future_offsets) - ends
    short = np.flatnonzero(reach < steps)
    if len(short):
        index = int(short[0])
        raise DataError(
            f"series {panel.names[index]}: expected future covariates for the {steps} steps ahead, got them for "
            f"{int(reach[index])}; add rows with an empty target that tell them, or use a smaller --horizon."
        )
