"""Lines of at most 80 columns."""

import textwrap
from collections.abc import Sequence

WIDTH = 80
SHORTEST = 24  # columns that the first cell of a table keeps at least
INDENT = "  "
GLUE = "\u00a0"  # a space at which no line is broken


def paragraph(text: str, indent: str = "", hanging: str = "") -> list[str]:
    """A text in as many lines as it needs; those after the first begin with ``hanging`` more."""
    return _wrapped(text, WIDTH, indent, indent + hanging)


def _wrapped(text: str, width: int, first: str, later: str) -> list[str]:
    lines = textwrap.wrap(text, width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)
    return [line.replace(GLUE, " ") for line in lines]


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Rows of cells in columns; the first cell is wrapped where the others leave it no room.

    Args:
        rows: texts, as many in each row.
        right: the columns that are set to the right, as numbers are.
    """
    if not rows:
        return []
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    room = max(SHORTEST, WIDTH - len(INDENT) - sum(width + 2 for width in widths[1:] if width))
    widths[0] = min(widths[0], room)
    lines = []
    for first, *others in rows:
        start, *rest = _wrapped(first, widths[0], "", INDENT * 2) or [""]
        cells = [f"{start:<{widths[0]}}"]
        for place, (cell, width) in enumerate(zip(others, widths[1:], strict=True), 1):
            if width:
                cells.append(f"{cell:>{width}}" if place in right else f"{cell:<{width}}")
        lines.append((INDENT + INDENT.join(cells)).rstrip())
        lines += [INDENT + line for line in rest]
    return lines


def listed(label: str, text: str) -> list[str]:
    """A text beside its label."""
    return _wrapped(text, WIDTH, f"{INDENT}{label:<8}", INDENT + " " * 8)


def size(count: int) -> str:
    """A number of bytes as people read it."""
    if count < 10 * 1024:
        return f"{count:,} bytes"
    return f"{count / 1024:,.1f} KiB" if count < 1024**2 else f"{count / 1024**2:,.1f} MiB"


def shortened(text: str, width: int) -> str:
    """The end of a text that is too long."""
    return text if len(text) <= width else f"..{text[2 - width :]}"
