"""A rolling backtest: what a model says at many places of the series, beside what simple rules say there."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from ..scores import Scores
from .metrics import COVERED, LEVELS, crps_from_quantiles, levels_of, naive_error, smape
from .network import ForecastNetwork
from .outputs import Output, normal_scores
from .panel import Panel
from .preparation import Preparation
from .windows import Batch, Cutter

Floats = NDArray[np.float64]
_AT_ONCE = 256
ALL_LEVELS = tuple(sorted({*LEVELS, *levels_of(COVERED)}))


@dataclass(frozen=True)
class Said:
    """Forecasts in the series' own units."""

    mean: Floats  # (B, N)
    quantiles: Floats  # (B, N, Q) at ALL_LEVELS


Forecaster = Callable[[Batch, NDArray[np.int64], NDArray[np.int64], int], Said]


@dataclass
class _Sums:
    """Sums of every figure, over windows as they come."""

    count: int = 0
    values: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, found: Floats) -> None:
        finite = found[np.isfinite(found)]
        self.values[name] = self.values.get(name, 0.0) + float(finite.sum())
        self.counts[name] = self.counts.get(name, 0) + finite.size

    def means(self) -> dict[str, float]:
        return {name: value / self.counts[name] for name, value in self.values.items() if self.counts[name]}


def backtest(
    cutter: Cutter,
    forecasters: dict[str, Forecaster],
    windows: tuple[NDArray[np.int64], NDArray[np.int64]],
    steps: int,
    standard: tuple[Floats, Floats],
    errors: Floats,
) -> Scores:
    """The figures of several forecasters on the same windows.

    Args:
        cutter: of the panel that holds the windows, whole.
        forecasters: by name.
        windows: series and first step ahead of each.
        steps: ahead.
        standard: mean and standard deviation of each series (S,), in units of which the MSE is told too.
        errors: the naive error of each series (S,), by which MASE divides.
    """
    sums = {name: _Sums() for name in forecasters}
    for begin in range(0, len(windows[0]), _AT_ONCE):
        series, origin = (part[begin : begin + _AT_ONCE] for part in windows)
        batch = cutter.cut(series, origin, steps)
        actual = batch.own_units(batch.target).numpy().T
        for name, forecaster in forecasters.items():
            said = forecaster(batch, series, origin, steps)
            _add(sums[name], actual, said, (standard[1][series, None], errors[series, None]))
    return Scores({name: found.means() for name, found in sums.items()}, len(windows[0]), "forecast")


def _add(sums: _Sums, actual: Floats, said: Said, scales: tuple[Floats, Floats]) -> None:
    spread, error = scales
    levels = np.array(ALL_LEVELS)
    median = said.quantiles[..., ALL_LEVELS.index(0.5)]
    even = np.isin(levels, LEVELS)
    sums.add("MASE", np.abs(actual - median) / error)
    sums.add("sMAPE", smape(actual, median))
    sums.add("CRPS", crps_from_quantiles(actual, said.quantiles[..., even], levels[even]))
    sums.add("MAE", np.abs(actual - median))
    sums.add("MSE", (actual - said.mean) ** 2)
    sums.add("MSE_standardised", ((actual - said.mean) / spread) ** 2)
    sums.add("MAE_standardised", np.abs(actual - median) / spread)
    for share in COVERED:
        low, high = (int(np.argmin(np.abs(levels - side))) for side in (0.5 - share / 2, 0.5 + share / 2))
        held = (said.quantiles[..., low] <= actual) & (actual <= said.quantiles[..., high])
        sums.add(f"coverage_{100 * share:g}", held.astype(np.float64))


def of_network(network: ForecastNetwork, output: Output) -> Forecaster:
    """What the network says."""

    @torch.no_grad()
    def say(batch: Batch, series: NDArray[np.int64], origin: NDArray[np.int64], steps: int) -> Said:
        mean, quantiles = forecast(network, output, batch, ALL_LEVELS)
        return Said(mean, quantiles)

    return say


@torch.no_grad()
def forecast(
    network: ForecastNetwork, output: Output, batch: Batch, levels: tuple[float, ...]
) -> tuple[Floats, Floats]:
    """Mean (B, N) and quantiles (B, N, Q) in the series' own units.

    After a transform the mean is that of quantiles at even distances, since it does not turn a mean into a mean.
    """
    device = next(network.parameters()).device
    window, scale = batch.window.to(device), batch.scale.float().to(device)
    raw, base = network(window)
    quantiles = batch.own_units(output.quantiles(raw, base, scale, levels).cpu())
    if output.counts:  # whole numbers, but for what float32 has lost of them
        quantiles = quantiles.round()
    if batch.transform == "none":
        mean = batch.own_units(output.mean(raw, base, scale).cpu())
    else:
        mean = batch.own_units(output.quantiles(raw, base, scale, LEVELS).cpu()).mean(-1)
    return mean.numpy().T, quantiles.permute(1, 0, 2).numpy()


def of_ridge(network: ForecastNetwork, spread: Floats) -> Forecaster:
    """What the linear model says that the network's linear path began with; its errors as on the training data."""

    @torch.no_grad()
    def say(batch: Batch, series: NDArray[np.int64], origin: NDArray[np.int64], steps: int) -> Said:
        scores = normal_scores(ALL_LEVELS)
        device = network.ridge_weight.device
        mean = network.linear_model(batch.window.history.to(device), steps).cpu()
        place = np.minimum(np.arange(steps), len(spread) - 1)
        apart = torch.from_numpy(spread[place]).float()[:, None, None] * scores.float()
        quantiles = batch.own_units(mean.unsqueeze(-1) + apart)
        return Said(batch.own_units(mean).numpy().T, quantiles.permute(1, 0, 2).numpy())

    return say


def of_season(panel: Panel, season: int, prepared: Preparation) -> Forecaster:
    """The value of one season before, or the last one where the season is 1; its errors as in the window."""

    def say(batch: Batch, series: NDArray[np.int64], origin: NDArray[np.int64], steps: int) -> Said:
        ahead = np.arange(steps)
        back = np.maximum(origin[:, None] - season + ahead % season, 0)
        mean = np.asarray(panel.values[panel.offsets[series][:, None] + back], dtype=np.float64)
        window = np.maximum(origin[:, None] - np.arange(prepared.context, 0, -1), 0)
        history = np.asarray(panel.values[panel.offsets[series][:, None] + window], dtype=np.float64)
        lag = min(season, prepared.context - 1) or 1
        both = origin[:, None] - np.arange(prepared.context, 0, -1)[:-lag] >= 0  # not before the series begins
        moved = np.where(both, history[:, lag:] - history[:, :-lag], 0)
        apart = np.sqrt((moved**2).sum(1) / np.maximum(both.sum(1), 1))[:, None] * np.sqrt(ahead // season + 1)
        scores = normal_scores(ALL_LEVELS).numpy()
        return Said(mean, mean[..., None] + apart[..., None] * scores)

    return say


def baselines(panel: Panel, prepared: Preparation, network: ForecastNetwork, spread: Floats) -> dict[str, Forecaster]:
    """The naive forecast, the seasonal one where there is a season, and the linear model."""
    found: dict[str, Forecaster] = {}
    if prepared.seasons:
        found["seasonal naive"] = of_season(panel, prepared.seasons[0], prepared)
    found["naive"] = of_season(panel, 1, prepared)
    found["linear (ridge)"] = of_ridge(network, spread)
    return found


def naive_errors(panel: Panel, ends: NDArray[np.int64], season: int) -> Floats:
    """The naive error of each series before its test begins (S,)."""
    return np.array([naive_error(np.asarray(panel.series(i)[:end]), season) for i, end in enumerate(ends)])
