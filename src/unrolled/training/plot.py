"""The picture of a run: training and validation loss over the steps."""

import io
from pathlib import Path
from typing import Any

from .checkpoint import write_atomically


def plot_losses(path: Path, records: list[dict[str, Any]]) -> None:
    """Draw the losses of metrics.jsonl into an SVG file."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # half a second: only where it is needed
    from matplotlib.figure import Figure

    trained = [(r["step"], r["loss"]) for r in records if "loss" in r]
    checked = [(r["step"], r["validation_loss"]) for r in records if "validation_loss" in r]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    if trained:
        steps, losses = zip(*trained, strict=True)
        axes.plot(steps, losses, color="tab:blue", alpha=0.25, linewidth=0.8)
        axes.plot(steps, _smooth(losses), color="tab:blue", label="training (smoothed)")
    if checked:
        steps, losses = zip(*checked, strict=True)
        axes.plot(steps, losses, "o-", color="tab:orange", label="validation")
        best_step, best = min(checked, key=lambda point: point[1])
        axes.annotate(f"best {best:.3f}", (best_step, best), (0, 10), textcoords="offset points", ha="right")
    axes.set(xlabel="step", ylabel="loss", title="Loss over training")
    axes.grid(alpha=0.3)
    if trained or checked:
        axes.legend()
    picture = io.StringIO()
    figure.savefig(picture, format="svg")
    write_atomically(path, picture.getvalue())


def _smooth(values: tuple[float, ...]) -> list[float]:
    """An exponential moving average over about a hundredth of the run; at first, of what there is."""
    weight = 1 / max(1.0, len(values) / 100)
    average, smoothed = 0.0, []
    for done, value in enumerate(values):
        average += max(weight, 1 / (done + 1)) * (value - average)
        smoothed.append(average)
    return smoothed
