"""The worked example: forward against numbers by hand, back through time against the formula of each term."""

import math

import pytest
import torch

from unrolled import InputError, unroll
from unrolled.cells import GRU, LSTM, EchoState, Elman
from unrolled.inspection.numbers import numbers

W_XH, W_HH, B_H, W_HY, B_Y = 0.5, 0.3, 0.1, 0.4, 0.2
X = [1.0, 2.0, 3.0]


def by_hand():
    """h(0), ..., h(3) and y(1), ..., y(3)."""
    h, y = [0.0], []
    for x in X:
        h.append(math.tanh(W_XH * x + W_HH * h[-1] + B_H))
        y.append(W_HY * h[-1] + B_Y)
    return h, y


def test_forward():
    found = numbers(Elman(1, 1, 1))
    assert found.columns == ("x(t)", "a(t)", "h(t)", "y(t)")
    rows = [[round(value, 5) for value in row] for row in found.rows]
    assert rows == [
        [1.0, 0.6, 0.53705, 0.41482],
        [2.0, 1.26111, 0.85137, 0.54055],
        [3.0, 1.85541, 0.95225, 0.5809],
    ]


def test_every_term_of_every_gradient():
    h, _ = by_hand()
    found = {gradient.symbol: gradient for gradient in numbers(Elman(1, 1, 1)).gradients}
    assert set(found) == {"W_xh", "W_hh", "b_h", "W_hy", "b_y"}
    for t in (1, 2, 3):
        for s in range(1, t + 1):
            back = W_HY  # dy(t)/da(s): by way of each state between
            for k in range(s + 1, t + 1):
                back *= (1 - h[k] ** 2) * W_HH
            back *= 1 - h[s] ** 2
            expected = {
                "W_hh": back * h[s - 1],
                "W_xh": back * X[s - 1],
                "b_h": back,
                "W_hy": h[t] if s == t else 0.0,
                "b_y": 1.0 if s == t else 0.0,
            }
            for symbol, value in expected.items():
                assert found[symbol].at(t, s) == pytest.approx(value, rel=1e-12, abs=1e-15)
    assert found["W_hy"].total == pytest.approx(h[1] + h[2] + h[3], rel=1e-14)


@pytest.mark.parametrize("cell", [LSTM(1, 1), GRU(1, 1, reset_after=False)])
def test_the_terms_of_other_cells_add_up_to_autograds_gradient(cell):
    before = [p.clone() for p in cell.parameters()]
    found = numbers(cell, [0.5, -1.0, 2.0, 0.25])
    assert all(torch.equal(a, b) for a, b in zip(before, cell.parameters(), strict=True))  # it was copied
    cell = cell.double()
    places = {m.symbol.name: m for m in found.equations.legend if m.path}
    parameters = dict(cell.named_parameters())
    with torch.no_grad():
        for symbol, value in found.values.items():
            parameters[places[symbol].path][places[symbol].part[1]] = value
    x = torch.tensor(found.inputs, dtype=torch.float64).reshape(-1, 1, 1)
    outputs, _ = unroll(cell.step, x, cell.initial_state(1), backend="reference")
    outputs.sum().backward()
    assert [row[-1] for row in found.rows] == pytest.approx(outputs.flatten().tolist(), rel=1e-12)
    for gradient in found.gradients:
        place = places[gradient.symbol]
        expected = float(parameters[place.path].grad[place.part[1]].sum())
        assert gradient.total == pytest.approx(expected, rel=1e-11, abs=1e-15)


def test_the_page_and_the_data():
    found = numbers(Elman(1, 1, 1), [1, 0], {"W_hh": -0.5})
    page = str(found)
    assert all(len(line) <= 80 for line in page.splitlines())
    assert "W_hh = -0.5" in page
    assert "back through time, L = y(1) + y(2)" in page
    assert page.count("dL/d") == 5
    data = found.to_dict()
    assert data["values"]["W_hh"] == -0.5
    assert data["steps"][1]["x(t)"] == 0.0
    assert {gradient["symbol"] for gradient in data["gradients"]} == set(data["values"])


def test_refusals():
    with pytest.raises(InputError, match="values: expected symbols among W_xh, b_h, W_hh, W_hy, b_y, got W"):
        numbers(Elman(1, 1, 1), values={"W": 1.0})
    with pytest.raises(InputError, match="all sizes 1, in which W_xh is one number, got 6"):
        numbers(Elman(2, 3))


def test_a_cell_that_learns_nothing_has_no_gradient():
    found = numbers(EchoState(1, 1))
    assert found.gradients == ()
    assert len(found.rows) == 3
    assert "nothing is learned" in str(found)
