"""Windows of a panel as the network reads them: cut, scaled each by itself, with what the calendar says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .network import Window
from .panel import Panel
from .preparation import Preparation

_TABLE = 5_000_000  # steps of the calendar that are kept ready


@dataclass(frozen=True)
class Batch:
    """Windows, and how to go back from their scale to the series' own."""

    window: Window
    target: Tensor  # (N, B) in units of the scale; NaN after a series' end
    location: Tensor  # (B,) float64, as is the next
    scale: Tensor  # (B,)
    weight: Tensor  # (B,) what each counts in the loss
    transform: str

    def own_units(self, scaled: Tensor) -> Tensor:
        """Numbers (N, B, ...) of the window's scale in the series' units, as float64."""
        more = (1,) * (scaled.dim() - 2)
        found = scaled.double() * self.scale.view(-1, *more) + self.location.view(-1, *more)
        return found.exp() if self.transform == "log" else found


class Cutter:
    """Cuts windows out of a panel: a pure function of which series and which first step ahead.

    Args:
        panel: the series.
        preparation: how they are scaled, and what is told besides.
    """

    def __init__(self, panel: Panel, preparation: Preparation):
        self.panel, self.preparation = panel, preparation
        self._calendar: NDArray[np.float32] | None = None
        self._first = self._last = 0
        if panel.frequency is not None and panel.dated and preparation.calendar and len(panel):
            last = int((panel.starts + panel.lengths).max()) + 4 * preparation.horizon + 1
            self._first = int(panel.starts.min()) - preparation.context
            if last - self._first <= _TABLE:
                self._calendar = self._told(np.arange(self._first, last))
                self._last = last

    def _told(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        assert self.panel.frequency is not None
        return self.panel.frequency.calendar(numbers, year=self.preparation.year)

    def _dates(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """The calendar's features of steps (T, B): (T, B, K)."""
        if self.panel.frequency is None or not self.preparation.calendar:
            return np.zeros((*numbers.shape, 0), dtype=np.float32)
        if self._calendar is not None and self._first <= numbers.min() and numbers.max() < self._last:
            return self._calendar[numbers - self._first]
        return self._told(numbers.ravel()).reshape(*numbers.shape, -1)

    def cut(self, series: NDArray[np.int64], origin: NDArray[np.int64], steps: int) -> Batch:
        """Windows of these series (B,), whose first step ahead is ``origin`` (B,), for so many steps ahead."""
        panel, prepared = self.panel, self.preparation
        context = prepared.context
        back = origin + np.arange(-context, 0)[:, None]  # (C, B)
        valid = back >= 0
        ahead = origin + np.arange(steps)[:, None]  # (N, B)
        place = panel.offsets[series] + np.maximum(back, 0)
        history = prepared.bent(panel.values[place])
        location, scale = prepared.scales(history, valid)
        scaled = np.where(valid, (history - location) / scale, 0)
        length = panel.lengths[series]
        known = ahead < length
        target = prepared.bent(panel.values[panel.offsets[series] + np.minimum(ahead, length - 1)])
        target = np.where(known, (target - location) / scale, np.nan)
        now, then = self._dates(panel.starts[series] + back), self._dates(panel.starts[series] + ahead)
        rows = panel.future_offsets[series]
        last = panel.future_offsets[series + 1] - 1 - rows
        of_past = prepared.past.scaled(np.asarray(panel.past[place]))
        of_now = prepared.future.scaled(np.asarray(panel.future[rows + np.clip(back, 0, last)]))
        of_then = prepared.future.scaled(np.asarray(panel.future[rows + np.minimum(ahead, last)]))
        static = prepared.static.scaled(np.asarray(panel.static[series]))
        level = prepared.level(location, scale)  # what scaling has taken away
        static = np.concatenate([static, level], -1)
        past = np.concatenate([now, of_past, of_now, np.broadcast_to(static, (context, *static.shape))], -1)
        future = np.concatenate([then, of_then, np.broadcast_to(static, (steps, *static.shape))], -1)
        if not valid.all():
            past = np.where(valid[..., None], past, 0)
        window = Window(
            _tensor(scaled), _tensor(past), _tensor(future), None if valid.all() else torch.from_numpy(valid)
        )
        return Batch(
            window,
            _tensor(target),
            torch.from_numpy(location),
            torch.from_numpy(scale),
            _tensor(prepared.weights(scale)),
            prepared.transform,
        )


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
