"""A picture of where the model looked."""

from pathlib import Path

from ..pictures import label, save_picture
from .translating import Translation

_LONGEST = 24  # characters of a token that are shown


def plot_attention(path: Path, found: Translation) -> None:
    """Draw attention: a row for each token of the translation, a column for each of the source.

    Args:
        path: of the picture.
        found: a translation by a model with attention, of at least one token.
    """
    from matplotlib.figure import Figure

    assert found.attention is not None
    rows, columns = found.attention.shape
    size = (min(20.0, 1.8 + 0.32 * columns), min(20.0, 1.8 + 0.32 * rows))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.imshow(found.attention.cpu().numpy(), cmap="Greys", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(columns), [label(piece, _LONGEST) for piece in found.source], rotation=90)
    axes.set_yticks(range(rows), [label(piece, _LONGEST) for piece in found.pieces])
    axes.xaxis.tick_top()
    axes.set_xlabel("source")
    axes.set_ylabel("translation")
    save_picture(figure, path)
