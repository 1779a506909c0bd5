"""Figures as plain text that fits in 80 columns."""

from collections.abc import Sequence

from ..tasks.scores import Scores


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under a header, the first from the left, the others from the right."""
    widths = [max(len(row[place]) for row in [header, *rows]) for place in range(len(header))]
    lines = []
    for row in [header, *rows]:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([row[0].ljust(len(first)), *others]).rstrip())
    return "\n".join(lines)


def scores_table(scores: Scores, metrics: Sequence[str] | None = None, title: str | None = None) -> str:
    """A model's figures over those of the baselines; a figure that one of them does not have is left out."""
    names = list(metrics or scores.model)
    header = [
        title or f"{scores.count:,} {scores.unit}{'s' * (scores.count != 1)}",
        *(n.replace("_", " ") for n in names),
    ]
    rows = [
        [who, *(shown(figures[name]) if name in figures else "" for name in names)]
        for who, figures in scores.figures.items()
    ]
    return table(header, rows)


def shown(value: float) -> str:
    """A figure with four digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"
