"""The picture of forecasts: the end of each history, the median ahead, and the intervals."""

from pathlib import Path
from typing import Any

import numpy as np

from ..pictures import check_picture, label, save_picture
from .forecasts import Forecasts

_MOST = 8  # series in one picture


def plot_forecasts(path: str | Path, forecasts: Forecasts, most: int = _MOST) -> None:
    """Draw the first series' forecasts into a file: .svg, .png or .pdf.

    Raises:
        InputError: the file has another ending.
        OSError: it cannot be written.
    """
    path = check_picture(path)
    from matplotlib.figure import Figure  # half a second: only where it is needed

    count = min(len(forecasts.panel), most)
    figure = Figure(figsize=(9, 1.2 + 2.3 * count), layout="constrained")
    for index in range(count):
        _draw(figure.add_subplot(count, 1, index + 1), forecasts, index)
    if len(forecasts.panel) > count:
        figure.supxlabel(f"the first {count} of {len(forecasts.panel)} series", fontsize=9)
    save_picture(figure, path)


def _draw(axes: Any, forecasts: Forecasts, index: int) -> None:
    panel, steps = forecasts.panel, forecasts.steps
    length = int(panel.lengths[index])
    before = max(0, length - max(3 * steps, 30))
    history = panel.times(index, before, length)
    ahead = panel.times(index, length, length + steps)
    axes.plot(history, np.asarray(panel.series(index)[before:]), color="tab:blue", linewidth=1.2, label="history")
    axes.plot(ahead, forecasts.median[index], color="tab:orange", linewidth=1.4, label="median")
    for place, share in enumerate(sorted(forecasts.shares, reverse=True)):
        lower, upper = forecasts.interval(share)
        strength = 0.18 + 0.22 * place / max(1, len(forecasts.shares) - 1)
        axes.fill_between(
            ahead,
            lower[index],
            upper[index],
            color="tab:orange",
            alpha=strength,
            linewidth=0,
            label=f"{100 * share:g} %",
        )
    axes.set_title(label(panel.names[index], 80), fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    if index == 0:
        where: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2, "frameon": False}
        axes.legend(fontsize=8, ncols=2 + len(forecasts.shares), **where)
