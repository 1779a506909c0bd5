"""Pictures: the confusion matrix, and which steps of a sequence mattered."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import InputError
from ...training.checkpoint import write_atomically
from .explain import Explanation

FORMATS = (".svg", ".png", ".pdf")
MOST_NAMES = 60  # beside a confusion matrix; of more classes every second name, or third, ... has room


def check_plot(path: str | Path) -> Path:
    """The path of a picture to write.

    Raises:
        InputError: its name does not end as a picture's, or its folder is not there.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--plot: expected a name that ends in {', '.join(FORMATS)}, got {str(path)!r}.")
    if not path.parent.is_dir():
        raise InputError(f"--plot: {path}: there is no folder {path.parent}; make it first.")
    return path


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
    names = [_short(classes[place]) for place in places]
    axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(places, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(classes) <= 30:
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    _save(figure, path)


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
    above.set_title(f"{_short(explanation.label)}, {100 * explanation.probability:.0f} %")
    _save(figure, path)


def _short(name: str) -> str:
    cut = name if len(name) <= 24 else name[:22] + "..."
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in cut)
    return shown.replace("$", r"\$")  # else it begins a formula


def _save(figure: Any, path: Path) -> None:
    import matplotlib

    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        # text stays text in an SVG, drawn with the fonts of whoever looks at it; here they may lack letters
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format=path.suffix[1:].lower())
    write_atomically(path, stream.getvalue())
