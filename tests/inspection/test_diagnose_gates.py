"""The squashing functions of a step: found by what they are, named by the user's own words."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unrolled import Cell, Recurrent, cells, diagnose

T, B, I, H = 6, 5, 3, 4  # noqa: E741 (the field's own letters)


@pytest.fixture(autouse=True)
def the_same_numbers():
    torch.manual_seed(4)


def gates(cell, x=None, **options):
    found = diagnose(cell, torch.randn(T, B, I) if x is None else x, **options).layers[0].gates
    return {f"{gate.function} {gate.name}": gate for gate in found}


def squash(v: Tensor) -> Tensor:
    return torch.tanh(v)


class OfMyOwn(Cell):
    def __init__(self):
        super().__init__()
        self.hidden_size = H
        self.weight = nn.Parameter(0.1 * torch.randn(I, H))
        self.curve = nn.Sigmoid()

    def step(self, x, h):
        product = x @ self.weight
        keep = torch.sigmoid(
            product + 4,
        )
        write, read = self.curve(product - 3), product.sigmoid()
        bent = F.hardtanh(h + 9, -2.0, 2.0) + F.hardsigmoid(product) + F.logsigmoid(product)
        other = squash(product)
        for part in (h, product):
            other = other + torch.relu(part - 99)
        h = keep * h + write * torch.tanh_(other * 1) + read * 0 + 0 * bent
        return h, h


def test_names_are_those_of_the_users_code():
    found = gates(OfMyOwn())
    assert list(found) == [
        "sigmoid keep",
        "sigmoid write",
        "sigmoid product",
        "hardtanh h + 9",
        "hardsigmoid product",
        "log sigmoid product",
        "tanh v",
        "relu part - 99",
        "tanh other * 1",
    ]
    line = OfMyOwn.step.__code__.co_firstlineno
    assert found["sigmoid keep"].line == f"test_diagnose_gates.py:{line + 2}"
    assert found["sigmoid write"].line == f"test_diagnose_gates.py:{line + 5}"
    assert found["sigmoid keep"].high == 1
    assert found["sigmoid keep"].low == 0
    assert found["sigmoid write"].low == 1
    assert found["hardtanh h + 9"].high == 1
    assert found["hardtanh h + 9"].mean == 1  # in the range of tanh
    assert found["relu part - 99"].dead == 1
    assert found["log sigmoid product"].mean == pytest.approx(found["sigmoid product"].mean, abs=1e-6)


def test_shares_are_those_of_the_equation():
    cell = cells.GRU(I, H)
    with torch.no_grad():
        cell.weight_ih.mul_(9)
    x = torch.randn(T, B, I)
    found = gates(cell, x, lengths=[6, 6, 2, 0, 1])
    values = []
    for row, length in enumerate([6, 6, 2, 0, 1]):
        h = torch.zeros(1, H)
        for t in range(length):
            a = x[t, row][None] @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh
            values.append(torch.sigmoid(a[:, H : 2 * H]))
            h = cell.step(x[t, row][None], h)[1]
    z = torch.cat(values)
    assert found["sigmoid z"].low == pytest.approx((z < 0.1).float().mean().item())
    assert found["sigmoid z"].high == pytest.approx((z > 0.9).float().mean().item())
    assert found["sigmoid z"].mean == pytest.approx(z.mean().item(), rel=1e-5)
    assert found["sigmoid z"].low > 0.1
    assert list(found) == ["sigmoid r", "sigmoid z", "tanh n"]


def test_what_is_stuck_is_told():
    lstm = cells.LSTM(I, H)
    with torch.no_grad():
        lstm.bias_ih[H : 2 * H] = -9
    text = str(diagnose(lstm, torch.randn(T, B, I)))
    assert "100 % of the values of sigmoid f are at its flat ends" in " ".join(text.split())
    dead = cells.Elman(I, H, nonlinearity="relu")
    with torch.no_grad():
        dead.bias_h[:2] = -9
    found = diagnose(dead, torch.randn(T, B, I))
    (gate,) = found.layers[0].gates
    assert (gate.name, gate.function, gate.dead) == ("h", "relu", 0.5)
    assert "50 % of the units of h are never above 0" in str(found)
    assert "50 % dead" in str(found)


def test_a_step_without_source_and_two_gates_of_one_name():
    scope = {"torch": torch}
    exec("def step(x, h):\n    h = torch.tanh(x + h)\n    return h, h", scope)
    state = torch.zeros(B, I)
    assert list(gates(scope["step"], state=state)) == ["tanh tanh"]

    def twice(x, h):
        f = x + h
        h = torch.tanh(f)
        h = h + 0.5 * torch.tanh(f)
        return h, h

    first, second = gates(twice, state=state)
    line = twice.__code__.co_firstlineno
    assert (first, second) == (f"tanh f (line {line + 2})", f"tanh f (line {line + 3})")


def test_gates_of_layers_are_kept_apart():
    layer = Recurrent(cells.GRU(I, I))

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = layer, Recurrent(cells.Elman(I, H))

        def forward(self, x):
            return self.second(torch.sigmoid(self.first(x)[0]))

    found = diagnose(Pair(), torch.randn(T, B, I)).layers
    assert [[gate.name for gate in one.gates] for one in found] == [["r", "z", "n"], ["h"]]
