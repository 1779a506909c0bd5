"""What of each series is learnt from, what is held out, and the sizes that follow from the data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core import DataError, InputError
from .frequency import Whole
from .options import DataOptions, ForecastOptions, ModelOptions, parse_seasons
from .panel import Panel
from .preparation import Preparation, Standard

_HORIZONS = {"hour": 24, "day": 14, "business day": 10, "week": 13, "month": 12, "quarter": 8, "year": 6}
_CONTEXT = 512  # steps at most, by default


@dataclass(frozen=True)
class Origins:
    """Windows by their first step ahead: of each series those from ``first`` on, ``count`` of them."""

    first: Whole  # (S,)
    count: Whole  # (S,)

    @property
    def total(self) -> int:
        """Windows of all series."""
        return int(self.count.sum())

    def at(self, index: NDArray[np.int64]) -> tuple[Whole, Whole]:
        """Series and first step ahead of windows, by their place among all of them."""
        ends = np.cumsum(self.count)
        series = np.searchsorted(ends, index, side="right")
        return series, self.first[series] + index - (ends - self.count)[series]

    def spread(self, most: int) -> tuple[Whole, Whole]:
        """All of them, or so many at even distances."""
        if self.total <= most:
            return self.at(np.arange(self.total))
        return self.at(np.linspace(0, self.total - 1, most).astype(np.int64))


@dataclass(frozen=True)
class Division:
    """Where in each series the steps of training and of validation end."""

    training: Whole  # (S,)
    validation: Whole  # (S,)

    def origins(self, prepared: Preparation) -> tuple[Origins, Origins]:
        """The windows of training, and those of validation."""
        horizon = prepared.horizon
        first = np.maximum(1, np.minimum(prepared.context, self.training // 2))
        first = np.minimum(first, np.maximum(1, self.training - horizon))
        learnt = Origins(first, np.maximum(0, self.training - horizon - first + 1))
        return learnt, Origins(self.training, np.maximum(0, self.validation - horizon - self.training + 1))


def divide(panel: Panel, options: DataOptions, horizon: int, held_out: Whole | None = None) -> Division:
    """The end of each series is held out: a share of it, or so many steps, at least one horizon.

    Args:
        panel: the series.
        options: how much.
        horizon: steps ahead.
        held_out: where in each series a file for validation begins.

    Raises:
        DataError: a series is too short for it.
    """
    end = panel.lengths - options.test_steps
    if held_out is None:
        share = np.round(options.validation_share * end).astype(np.int64)
        steps = np.full(len(panel), options.validation_steps) if options.validation_steps else share
        held_out = end - np.maximum(steps, horizon)
    short = np.flatnonzero((held_out < horizon + 1) | (end - held_out < horizon))
    if len(short):
        index = int(short[0])
        length = int(panel.lengths[index])
        tested = f" besides {options.test_steps} for testing" if options.test_steps else ""
        held = max(int(end[index] - held_out[index]), horizon)
        raise DataError(
            f"series {panel.names[index]}: expected at least {horizon + 1 + held} values{tested}, {horizon + 1} to "
            f"learn from and {held} to validate on, got {length}; give longer series, or a smaller --horizon."
        )
    return Division(held_out, end)


def seasons_of(panel: Panel, options: DataOptions) -> tuple[int, ...]:
    """The seasons that the user names, or those of the frequency that the series hold at least three times."""
    if options.seasonality is not None:
        return parse_seasons(options.seasonality)
    if panel.frequency is None:
        return ()
    usual = int(np.median(panel.lengths)) - options.test_steps
    return tuple(season for season in panel.frequency.seasons() if 3 * season <= usual)


def default_horizon(panel: Panel) -> int:
    """One season, or what is usual at this frequency; less where the series are short."""
    usual, frequency = 12, panel.frequency
    if frequency is not None:
        seasons = frequency.seasons() or (usual,)
        usual = min(seasons[0], 96) if frequency.every > 1 else _HORIZONS.get(frequency.unit, 60)
    return max(1, min(usual, int(panel.lengths.min()) // 6))


def prepare(panel: Panel, options: ForecastOptions, held_out: Whole | None = None) -> tuple[Preparation, Division]:
    """All that is settled from the training data.

    Raises:
        DataError: the series are too short, or are no counts where the model wants counts.
        InputError: the context is shorter than is possible.
    """
    horizon = options.data.horizon or default_horizon(panel)
    seasons = seasons_of(panel, options.data)
    division = divide(panel, options.data, horizon, held_out)
    usual = int(np.median(division.training))
    wanted = max([3 * horizon, 2 * max(seasons, default=1), 3 * min(seasons, default=1), 16])
    context = options.data.context or max(1, min(wanted, _CONTEXT, max(usual - 2 * horizon, usual // 2)))
    seasons = tuple(season for season in seasons if season <= context)
    rows = _training_rows(panel.offsets, division.training)
    ahead = _training_rows(panel.future_offsets, division.training)
    counts = options.model.says == "negative-binomial"
    if counts:
        check_counts(panel)
        if options.model.transform == "log":
            raise InputError("--transform: expected none or auto with --says negative-binomial, got log.")
    prepared = Preparation(
        context,
        horizon,
        seasons,
        scaling="mean-absolute" if counts else options.model.scaling,
        transform="log" if options.model.transform == "log" else "none",
        counts=counts,
        emphasis=emphasis_of(options.model, options.model.transform),
        calendar=options.model.calendar and panel.frequency is not None and panel.dated,
        year=_years(panel) >= 2,
        past=Standard.of(panel.past[rows] if panel.past.shape[1] else panel.past),
        future=Standard.of(panel.future[ahead] if panel.future.shape[1] else panel.future),
        static=Standard.of(panel.static),
    )
    if prepared.transform == "log":
        check_positive(panel)
    return prepared, division


def emphasis_of(model: ModelOptions, transform: str) -> str:
    """What a window counts in the loss: on a logarithmic scale, what it is divided by is its relative change."""
    return ("scale" if transform == "log" else "equal") if model.emphasis == "auto" else model.emphasis


def all_positive(panel: Panel) -> bool:
    """Whether the logarithm of every value exists."""
    return bool(len(panel.values)) and bool((np.asarray(panel.values) > 0).all())


def check_positive(panel: Panel) -> None:
    """Raise DataError where a value has no logarithm."""
    wrong = np.flatnonzero(np.asarray(panel.values) <= 0)
    if len(wrong):
        series = int(np.searchsorted(panel.offsets, wrong[0], side="right")) - 1
        raise DataError(
            f"series {panel.names[series]}: expected values above 0 where the logarithm is taken, got "
            f"{panel.values[wrong[0]]:g}; train with --transform none."
        )


def check_counts(panel: Panel) -> None:
    """Raise DataError where a value is no count."""
    values = np.asarray(panel.values)
    wrong = np.flatnonzero((values < 0) | (values != np.round(values)))
    if len(wrong):
        series = int(np.searchsorted(panel.offsets, wrong[0], side="right")) - 1
        raise DataError(
            f"series {panel.names[series]}: expected counts from 0 on, with --says negative-binomial, got "
            f"{values[wrong[0]]:g}; use --says quantiles."
        )


def _training_rows(offsets: Whole, training: Whole) -> NDArray[np.int64]:
    parts = [np.arange(begin, begin + end) for begin, end in zip(offsets[:-1], training, strict=True)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _years(panel: Panel) -> float:
    """How long the longest series is."""
    if panel.frequency is None or not panel.dated or not len(panel):
        return 0.0
    index = int(np.argmax(panel.lengths))
    first, last = panel.times(index, 0, 1), panel.times(index, int(panel.lengths[index]) - 1, int(panel.lengths[index]))
    return float((last[0] - first[0]).astype(np.int64)) / (365.25 * 86400)
