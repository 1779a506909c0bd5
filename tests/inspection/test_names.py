"""The values of a step have the user's names, and operations are written as in Python."""

from typing import NamedTuple

import torch
from torch import nn

import unrolled
from unrolled import cells, explain
from unrolled.core import Cell

I, H = 3, 5  # noqa: E741 (the field's own letters)


def names(values):
    return [value.name for value in values]


def texts(operations):
    return [f"{operation.value.name} = {operation.text}" for operation in operations]


class Pair(NamedTuple):
    a: torch.Tensor
    b: torch.Tensor


def test_names_are_the_users():
    scale = torch.full((3,), 0.5)

    def step(x, state):
        a, b = state.a * scale + x[0], torch.relu(state.b - x[1])
        return {"y": a}["y"], Pair(a, b)

    x = (torch.zeros(1, 1, 3), torch.zeros(1, 1, 3))
    facts = explain(step, x, Pair(torch.zeros(1, 3), torch.zeros(1, 3, requires_grad=True)), stage="graph").facts
    assert names(facts.inputs) == ["x[0]", "x[1]"]
    assert names(facts.state) == ["state.a", "state.b"]
    assert names(facts.parameters) == ["scale"]
    assert [result.name for result in facts.step.results] == ["output", "new_state.a", "new_state.b"]
    assert [result.name for result in facts.derivative.results] == ["grad_state.a", "grad_state.b"]
    assert any("state.a * scale" in text for text in texts(facts.step.operations))
    assert {operation.line.partition(":")[0] for operation in facts.step.operations} == {"test_names.py"}
    assert facts.name == "step"


def test_two_tensors_of_one_name_keep_how_they_are_reached():
    class Twice(Cell):
        def __init__(self, inner):
            super().__init__()
            self.input_size = self.hidden_size = 3
            self.inner = inner
            self.weight = nn.Parameter(torch.randn(3))

        def step(self, x, h):
            h = self.inner(h) * self.weight + x
            return h, h

    facts = explain(Twice(nn.Linear(3, 3)), stage="graph").facts
    assert sorted(names(facts.parameters)) == ["inner.bias", "inner.weight", "weight"]

    def make(weight):
        return lambda h: h * weight

    weight, other = torch.randn(3), make(torch.randn(3))

    def step(x, h):
        h = other(h) + weight * x
        return h, h

    found = names(explain(step, torch.zeros(1, 1, 3), torch.zeros(1, 3), stage="graph").facts.parameters)
    assert len(set(found)) == 2
    assert all(name.endswith("weight") for name in found)


def test_operations_as_they_are_written():
    def step(x, h):
        h = torch.where(h > 0.25, -h, h.flip(-1)) / 3
        h = torch.cat([h[:, :1], (h**2)[:, 1:]], -1) + x.to(torch.float32)
        return h.unsqueeze(-1).expand(-1, -1, 2).amax(1), h

    x = torch.zeros(1, 1, 4, dtype=torch.float64)
    facts = explain(step, x, torch.zeros(1, 4), stage="graph", backward=False).facts
    found = " | ".join(operation.text for operation in facts.step.operations)
    for part in ("state > 0.25", "-state", "where(", "state.flip(1)", "/ 3", "x.to(float32)", "[:, 0:1]", ".amax("):
        assert part in found


def test_a_recurrent_layer_is_its_cell():
    cell = cells.GRU(I, H)
    assert str(explain(unrolled.Recurrent(cell))) == str(explain(cell))


def test_a_cell_without_input_and_one_whose_state_follows_its_input():
    class Alone(Cell):
        hidden_size = 3

        def step(self, x, h):
            h = 3.9 * h * (1 - h)
            return h, h

    facts = explain(Alone(), None, torch.zeros(1, 3, requires_grad=True), stage="graph").facts
    assert facts.inputs == ()
    assert [result.name for result in facts.derivative.results] == ["grad_state"]

    class Sum(Cell):
        input_size = hidden_size = 3

        def step(self, x, h):
            return x + h, x + h

    facts = explain(Sum(), torch.zeros(1, 1, 3, dtype=torch.float64), stage="graph", backward=False).facts
    assert {value.dtype for value in facts.state} == {"float64"}
