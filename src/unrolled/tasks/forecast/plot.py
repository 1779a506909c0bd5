"""The picture of forecasts: the end of each history, the median ahead, and the intervals."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ...core import InputError
from ...training.checkpoint import write_atomically
from .forecasts import Forecasts

_MOST = 8  # series in one picture


def check_plot(path: Path) -> None:
    """Raise InputError where a picture cannot be drawn into this file."""
    if path.suffix.lower() != ".svg":
        raise InputError(f"--plot: expected a file that ends with .svg, got {path}.")
    if not path.parent.is_dir():
        raise InputError(f"--plot: expected a folder that is there, got {path.parent}.")


def plot_forecasts(path: str | Path, forecasts: Forecasts, most: int = _MOST) -> None:
    """Draw the first series' forecasts into an SVG file.

    Raises:
        InputError: the file has another ending.
        OSError: it cannot be written.
    """
    path = Path(path)
    check_plot(path)
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # half a second: only where it is needed
    from matplotlib.figure import Figure

    count = min(len(forecasts.panel), most)
    figure = Figure(figsize=(9, 1.2 + 2.3 * count), layout="constrained")
    FigureCanvasSVG(figure)
    for index in range(count):
        _draw(figure.add_subplot(count, 1, index + 1), forecasts, index)
    if len(forecasts.panel) > count:
        figure.supxlabel(f"the first {count} of {len(forecasts.panel)} series", fontsize=9)
    text = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # of a name: the series are seen still
        figure.savefig(text, format="svg", metadata={"Date": None})
    write_atomically(path, text.getvalue())


def _title(name: str) -> str:
    cut = name if len(name) <= 80 else name[:77] + "..."
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in cut)


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
    axes.set_title(_title(panel.names[index]), fontsize=10, loc="left", parse_math=False)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    if index == 0:
        where: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2, "frameon": False}
        axes.legend(fontsize=8, ncols=2 + len(forecasts.shares), **where)
