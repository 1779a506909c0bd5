"""Pictures: the confusion matrix, and which steps of a sequence mattered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pictures import label, save_picture
from .explain import Explanation

MOST_NAMES = 60  # beside a confusion matrix; of more classes every second name, or third, ... has room


def plot_confusion(path: Path, counts: Sequence[Sequence[int]], classes: Sequence[str]) -> None:
    """Draw a confusion matrix: rows are the true classes, columns what they were taken for."""
    from matplotlib.figure import Figure

    matrix = np.asarray(counts)
    shares = matrix / np.maximum(1, matrix.sum(1, keepdims=True))
    size = min(14.0, 2.4 + 0.5 * len(classes))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(0, len(classes), -(-len(classes) // MOST_NAMES))
    names = [label(classes[place], 24) for place in places]
    axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(places, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(classes) <= 30:
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    save_picture(figure, path)


def plot_explanation(path: Path, values: NDArray[Any], explanation: Explanation) -> None:
    """Draw a sequence (T, F) over what its steps contributed to the score of the predicted class."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    if values.shape[1] <= 6:
        above.plot(values)
        above.set_ylabel("values")
    else:
        above.imshow(values.T, aspect="auto", origin="lower", cmap="magma", interpolation="nearest")
        above.set_ylabel("feature")
    weights = explanation.weights.numpy()
    below.bar(range(len(weights)), weights, color=np.where(weights >= 0, "tab:blue", "tab:red"), width=1.0)
    below.axhline(0, color="black", linewidth=0.5)
    below.set_ylabel("gradient x input")
    below.set_xlabel("step")
    above.set_title(f"{label(explanation.label, 24)}, {100 * explanation.probability:.0f} %")
    save_picture(figure, path)
