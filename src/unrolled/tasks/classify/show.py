"""Examples, and what is said of them, as a few lines of plain text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..bars import bars, levels

if TYPE_CHECKING:
    from .data import Part

_SHADES = " ░▒▓█"
_WIDTH = 78


def shown_examples(part: "Part", places: Sequence[int], said: Tensor, classes: Sequence[str]) -> str:
    """Some examples of a part, what they are and what they are taken for.

    Args:
        part: the examples.
        places: which of its rows.
        said: log-probabilities (N, C) of all of its rows.
        classes: their names.
    """
    pictures, captions = [], []
    for place in places:
        row, best = part.rows[place], int(said[place].argmax())
        truth, taken = classes[part.targets[place]], classes[best]
        captions.append(verdict(taken, float(said[place, best].exp()), truth))
        if part.examples.kind == "text":
            pictures.append([" ".join(next(iter(part.examples.texts([row]))))])
        else:
            pictures.append(picture(part.examples.rows[row]))
    if all(len(lines) > 1 for lines in pictures):
        return side_by_side(pictures, captions)
    width = max(len(caption) for caption in captions) + 2
    lines = (f"{c:<{width}}{_cut(p[0], _WIDTH - width)}" for c, p in zip(captions, pictures, strict=True))
    return "\n".join(line.rstrip() for line in lines)


def verdict(taken: str, probability: float, truth: str | None = None) -> str:
    """What an example is taken for, and what it is, where that differs.

    Example:
        >>> verdict("good", 0.913, "good"), verdict("good", 0.6, "bad")
        ('good 91 %', 'good 60 % not bad')
    """
    said = f"{taken} {100 * probability:.0f} %"
    return said if truth in (None, taken) else f"{said} not {truth}"


def picture(values: NDArray[Any]) -> list[str]:
    """Numbers (T, F) drawn: a curve for one feature, shades for a few steps of a few, else nothing (one empty line)."""
    steps, features = values.shape
    if features == 1:
        return [curve(values[:, 0])]
    if steps <= 16 and features <= 16:
        return ["".join(_SHADES[level] * 2 for level in row) for row in levels(values, len(_SHADES))]
    return [""]


def curve(values: NDArray[Any], width: int = 48) -> str:
    """A line of bars, the mean of neighbours where there are more steps than room.

    Example:
        >>> curve(np.arange(8.0))
        '▁▂▃▄▅▆▇█'
    """
    if len(values) > width:
        values = np.array([part.mean() for part in np.array_split(values, width)])
    return bars(values)


def side_by_side(pictures: Sequence[Sequence[str]], captions: Sequence[str]) -> str:
    """Pictures in a row, each over its caption, as many as there is room for."""
    cells: list[tuple[Sequence[str], str, int]] = []
    used = 0
    for lines, caption in zip(pictures, captions, strict=True):
        width = max(len(caption), *(len(line) for line in lines)) + 2
        if used + width > _WIDTH and cells:
            break
        used += width
        cells.append((lines, caption, width))
    height = max(len(lines) for lines, _, _ in cells)
    rows = ["".join((lines[at] if at < len(lines) else "").ljust(width) for lines, _, width in cells).rstrip()
            for at in range(height)]  # fmt: skip
    return "\n".join([*rows, "".join(caption.ljust(width) for _, caption, width in cells).rstrip()])


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 4] + " ..."
