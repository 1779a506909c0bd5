"""Lyapunov exponents of systems whose exponents are known."""

import math

import pytest
import torch

from unrolled import Recurrent, cells, diagnose


def exponents(step, state, steps, **options):
    return diagnose(step, steps=steps, state=state, **options).layers[0].exponents


def words(found):
    return " ".join(str(found).split())


def test_a_linear_map_has_the_logarithms_of_its_eigenvalues():
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(4, 4, dtype=torch.float64, generator=generator)
    values = torch.tensor([1.2, -0.9, 0.5, 0.1], dtype=torch.float64)
    A = basis @ torch.diag(values) @ basis.inverse()

    def linear(_, s):
        s = s @ A.T
        return s, s

    start = torch.randn(2, 4, dtype=torch.float64, generator=generator)
    known = values.abs().log().tolist()
    assert exponents(linear, start, 400, exponents=9) == pytest.approx(known, abs=0.01)
    assert exponents(linear, start, 400) == pytest.approx(known[:1], abs=0.01)

    def in_two_parts(_, state):
        s = torch.cat(state, 1) @ A.T
        return s, (s[:, :1], s[:, 1:])

    parts = start[:, :1].clone(), start[:, 1:].clone()
    assert exponents(in_two_parts, parts, 400, exponents=4) == pytest.approx(known, abs=0.01)


def test_a_rotation_keeps_every_length():
    angle = torch.tensor(0.6, dtype=torch.float64)
    R = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)

    def turn(_, s):
        return s @ R.T, s @ R.T

    found = diagnose(turn, steps=50, state=torch.ones(3, 2, dtype=torch.float64), exponents=2)
    assert found.layers[0].exponents == pytest.approx([0, 0], abs=1e-12)
    assert "differences stay as they are" in words(found)


def test_the_logistic_map():
    def logistic(_, s):
        s = 4 * s * (1 - s)
        return s, s

    start = torch.rand(16, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = diagnose(logistic, steps=1000, state=start)
    assert found.layers[0].exponents == pytest.approx([math.log(2)], abs=0.003)
    assert found.layers[0].cell == "logistic"
    assert "a difference doubles in 1.0 steps" in words(found)


def test_the_map_of_henon():
    def henon(_, state):
        x, y = state
        state = 1 - 1.4 * x * x + y, 0.3 * x
        return state[0], state

    start = 0.1 * torch.rand(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    largest, least = exponents(henon, (start[:, :1].clone(), start[:, 1:].clone()), 1500, exponents=2)
    assert largest == pytest.approx(0.419, abs=0.01)  # Sprott 2003, Chaos and Time-Series Analysis
    assert largest + least == pytest.approx(math.log(0.3), abs=1e-9)  # the area shrinks by the same at each step


def test_a_contraction_and_what_forgets_at_once():
    found = exponents(lambda x, s: (torch.tanh(0.3 * s),) * 2, torch.full((2, 3), 0.01), 60)
    assert found == pytest.approx([math.log(0.3)], abs=1e-4)
    found = diagnose(lambda x, s: (x, x), torch.randn(20, 2, 3, requires_grad=True), state=torch.zeros(2, 3))
    assert found.layers[0].exponents == (-math.inf,)
    assert "one step forgets everything" in words(found)
    assert found.to_dict()["layers"][0]["exponents"] == [None]


def test_each_row_over_its_own_length():
    cell = cells.Elman(3, 4).double()
    x = torch.randn(60, 3, 3, dtype=torch.float64)
    lengths = [60, 24, 0]
    together = diagnose(cell, x, lengths=lengths, exponents=4).layers[0]
    alone = [
        diagnose(Recurrent(cell), x[:length, row : row + 1], exponents=4).layers[0].exponents
        for row, length in enumerate(lengths[:2])
    ]
    means = [sum(pair) / 2 for pair in zip(*alone, strict=True)]
    # the directions that a row begins with are others when it is alone; they turn in some steps
    assert together.exponents == pytest.approx(means, abs=0.05)
