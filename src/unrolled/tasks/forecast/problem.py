"""Learning to forecast: windows drawn by chance, their loss, and the figures on the held-out ends."""

import numpy as np
import torch
from torch import Tensor, nn

from ...core import Tree
from ...training.problem import Evaluation, Loss
from ..bars import bars
from .backtest import ALL_LEVELS, forecast
from .division import Origins
from .frequency import Whole
from .metrics import smape
from .network import ForecastNetwork
from .outputs import Output
from .windows import Batch, Cutter

_AT_ONCE = 256  # windows of an evaluation
_WIDTH = 48  # steps of a sample
_NAME = 16  # characters of a series' name beside it


class ForecastProblem:
    """A network and the series that it learns from, as the training loop wants it.

    Args:
        network: the model.
        output: how it is read.
        cutter: of the series.
        learnt: the windows to learn from.
        held_out: series and first step ahead of the windows of validation.
        errors: the naive error of each series, by which MASE divides.
        batch_size: windows a step.
        seed: of which windows a step draws.
    """

    def __init__(
        self,
        network: ForecastNetwork,
        output: Output,
        cutter: Cutter,
        learnt: Origins,
        held_out: tuple[Whole, Whole],
        errors: np.ndarray,
        batch_size: int,
        seed: int,
    ):
        self.model: nn.Module = network
        self.network = network
        self.output, self.cutter = output, cutter
        self.learnt, self.held_out, self.errors = learnt, held_out, errors
        self.batch_size, self.seed = batch_size, seed

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which as many windows are drawn as there are."""
        return max(1, self.learnt.total // self.batch_size)

    def start(self) -> Tree:
        """Nothing is carried from step to step."""
        return ()

    def loss(self, step: int, carry: Tree) -> Loss:
        """The mean loss of windows that the seed and the step choose."""
        chance = np.random.default_rng((self.seed % 2**63, step))
        index = chance.integers(self.learnt.total, size=self.batch_size)
        batch = self.cutter.cut(*self.learnt.at(index), self.cutter.preparation.horizon)
        value, count = self._loss(batch)
        return Loss(value, (), count)

    def _loss(self, batch: Batch) -> tuple[Tensor, int]:
        device = next(self.network.parameters()).device
        raw, base = self.network(batch.window.to(device))
        losses = self.output.loss(raw, base, batch.target.to(device), batch.scale.float().to(device))
        losses = losses * batch.weight.to(device)
        return losses.mean(), len(batch.window.history) * losses.shape[1] + losses.numel()

    def figures(self, loss: float) -> dict[str, float]:
        """None: the loss is in units of each window's own scale."""
        return {}

    @torch.no_grad()
    def evaluate(self) -> Evaluation:
        """The loss on the held-out windows; MASE and sMAPE of the median, and how often the intervals of 80 % hold."""
        total, rows = 0.0, 0
        found: dict[str, list[np.ndarray]] = {"MASE": [], "sMAPE": [], "coverage_80": []}
        middle, low, high = (ALL_LEVELS.index(level) for level in (0.5, 0.1, 0.9))
        for begin in range(0, len(self.held_out[0]), _AT_ONCE):
            series, origin = (part[begin : begin + _AT_ONCE] for part in self.held_out)
            batch = self.cutter.cut(series, origin, self.cutter.preparation.horizon)
            total += float(self._loss(batch)[0]) * len(series)
            rows += len(series)
            _, quantiles = forecast(self.network, self.output, batch, ALL_LEVELS)
            actual = batch.own_units(batch.target).numpy().T
            found["MASE"].append(np.abs(actual - quantiles[..., middle]) / self.errors[series, None])
            found["sMAPE"].append(smape(actual, quantiles[..., middle]))
            held = (quantiles[..., low] <= actual) & (actual <= quantiles[..., high])
            found["coverage_80"].append(held.astype(np.float64))
        figures = {}
        for name, parts in found.items():
            every = np.concatenate(parts)
            if np.isfinite(every).any():
                figures[name] = float(np.nanmean(every))
        return Evaluation(total / rows, figures)

    def sample(self) -> str:
        """The last held-out window as a row of bars: what came, and under it what was said."""
        series, origin = (part[-1:] for part in self.held_out)
        batch = self.cutter.cut(series, origin, self.cutter.preparation.horizon)
        _, quantiles = forecast(self.network, self.output, batch, (0.5,))
        actual = batch.own_units(batch.target).numpy()[:, 0]
        name = self.cutter.panel.names[int(series[0])]
        name = name if len(name) <= _NAME else f"{name[: _NAME - 3]}..."
        shown = np.linspace(0, len(actual) - 1, min(_WIDTH, len(actual))).astype(int)
        both = np.stack([actual, quantiles[0, :, 0]])[:, shown]
        came, said = (bars(row, float(both.min()), float(both.max())) for row in both)
        return f"{name}: came     {came}\n{' ' * len(name)}  forecast {said}"
