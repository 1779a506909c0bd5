"""docs/cells.md has a row for every cell, and for nothing else."""

import re
from pathlib import Path

from unrolled import Cell, cells

PAGE = (Path(__file__).parents[2] / "docs" / "cells.md").read_text(encoding="utf-8")
HEADER = "| cell | in one line | reference | state | options | linear |"


def rows():
    """The cells of each row of the tables of families: (name, the other columns)."""
    for table in re.findall(rf"^{re.escape(HEADER)}\n\|[-|]+\|\n((?:\|.*\n)*)", PAGE, re.MULTILINE):
        for line in table.splitlines():
            name, *columns = (part.strip() for part in line.strip("|").split("|"))
            yield name.strip("`"), columns


def test_every_cell_has_one_row():
    kinds = {name: getattr(cells, name) for name in cells.__all__}
    wanted = sorted(name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, Cell))
    assert sorted(name for name, _ in rows()) == wanted


def test_every_row_is_whole():
    for name, columns in rows():
        assert len(columns) == 5, name
        assert all(columns), name


def test_a_paper_that_is_named_is_the_cells():
    """What can be looked up, a DOI or a number of arXiv, stands in the cell's own docstring too."""
    for name, columns in rows():
        for found in re.findall(r"(?:doi|arXiv):\s*(\S*[\w/])", columns[1]):
            assert found in getattr(cells, name).__doc__, name
