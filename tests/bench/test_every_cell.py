"""The group of every cell: each is found by itself, size and lines are right, its time stands beside two others."""

import pytest
import torch
from torch import nn

from unrolled import Cell, cells
from unrolled.bench import Options, Shape, every_cell, run
from unrolled.bench.code_lines import code_lines, lines_of
from unrolled.bench.options import BY_DEFAULT, CELLS_SHAPE, FULL, GROUPS, QUICK
from unrolled.bench.report import report

TINY = Options(groups=("cells",), shapes=(Shape(3, 2, 4),), seconds=0)

SOURCE = '''"""A module."""

import os
from math import (
    pi,
    tau,
)

SIZE = 3  # a comment beside code


# a comment
class A:
    """A class.

    Of several lines.
    """

    def f(self):
        """A docstring."""
        return (
            pi,

            """text that is a value,
            of two lines""",
        )
'''


@pytest.fixture(autouse=True)
def one_try(monkeypatch):
    monkeypatch.setattr("unrolled.bench.peak.TRIES", 1)


class Mixes(Cell):
    """Cannot be compiled: the rows of a batch meet."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.inner = nn.Linear(input_size, hidden_size)
        self.register_buffer("fixed", torch.ones(hidden_size))

    def step(self, x, h):
        h = torch.tanh(self.inner(x) + h.mean(0) * self.fixed)
        return h, h


def test_lines_of_code():
    assert code_lines(SOURCE) == 8  # SIZE, class, def, return ( and the five lines that it spans but the empty one
    assert code_lines("") == 0
    assert lines_of(type("Made", (), {"__module__": "nowhere"})) is None
    assert 10 < lines_of(cells.Elman) < 60


def test_every_cell_of_two_sizes_is_there():
    kinds = [getattr(cells, name) for name in cells.__all__]
    all_cells = {kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, Cell)}
    assert {"Elman", "GRU", "LSTM"} <= set(every_cell.names()) <= all_cells
    assert every_cell.names() == sorted(every_cell.names(), key=str.casefold)


def test_every_cell_is_measured():
    results = run(TINY)
    assert results.failures == []
    assert [one.name for one in results.cells] == every_cell.names()
    assert [one.name for one in results.cells if one.fallback] == []
    sizes = {one.name: (one.parameters, one.fixed) for one in results.cells}
    assert sizes["Elman"] == (4 * 4 * 2 + 4, 0)
    assert sizes["LSTM"] == (4 * (4 * 4 * 2 + 4 * 2), 0)
    for one in results.cells:
        assert one.code_lines > 10
        assert one.ratios["loop"]["best"] == one.loop.best / one.ours.best
        assert one.ratios["lstm"]["median"] == one.lstm.median / one.ours.median
    text = report(results)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert all(f"\n  {name[:18]:<18}" in text for name in every_cell.names())
    assert "Cells of the library, training, 3x2x4" in text
    assert results.to_dict()["cells"][0]["ratio"]["loop"]["best"] > 0


def test_a_cell_that_falls_back_is_said_to(monkeypatch):
    monkeypatch.setattr(every_cell, "made_of_two_sizes", lambda: {"Mixes": Mixes})
    results = run(TINY)
    assert results.failures == []
    (found,) = results.cells
    assert "the number of rows B" in found.fallback
    assert (found.parameters, found.fixed) == (4 * 4 + 4, 4)
    text = " ".join(report(results).split())
    assert "* Mixes has no kernel here and runs as a loop:" in text
    assert "Mixes: 4 more numbers, which are not trained." in text


def test_only_who_asks_waits_for_it():
    assert set(GROUPS) - set(BY_DEFAULT) == {"cells"}
    assert Options().groups == BY_DEFAULT
    assert [Options(shapes=shapes).cells_shapes for shapes in (FULL, QUICK)] == [(CELLS_SHAPE,)] * 2
    assert TINY.cells_shapes == TINY.shapes
