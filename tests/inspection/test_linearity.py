"""What explain says of the linearity of a state: the words, and the same as data."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from unrolled import explain

X, H = torch.zeros(1, 2, 4), torch.zeros(2, 4)


class State(NamedTuple):
    memory: torch.Tensor
    last: torch.Tensor


def leaky(x, h):
    h = h + torch.sigmoid(x) * (torch.tanh(x) - h)
    return h, h


def near_miss(x, h):
    z = torch.sigmoid(x + h)
    h = h + z * (torch.tanh(x) - h)
    return h, h


def windowed(x, state):
    memory = torch.sigmoid(x + state.last) * state.memory + x
    return memory, State(memory, x)


def turned(x, state):
    re, im = state
    return re, (x * re - im, x * im + re)


W = nn.Parameter(torch.randn(4, 4))


def dense(x, h):
    return h, x + h @ W


SAID = {
    leaky: "state: linear in the state, element by element: s(t) = a(t) s(t-1) + b(t); can run in parallel over time",
    near_miss: "state: not linear in the state: sigmoid at test_linearity.py:25",
    windowed: "state.memory: linear in the state, given state.last, element by element: s(t) = a(t) s(t-1) + b(t); "
    "can run in parallel over time",
    turned: "state[0], state[1]: linear in the state, in blocks of 2 elements: s(t) = A(t) s(t-1) + b(t); "
    "can run in parallel over time",
    dense: "state: linear in the state, but not element by element: s(t) = A(t) s(t-1) + b(t)",
}


@pytest.mark.parametrize("step", SAID, ids=lambda step: step.__name__)
def test_the_page_says_whether_a_state_is_linear(step):
    state = {windowed: State(H, H), turned: (H, H)}.get(step, H)
    page = " ".join(str(explain(step, X, state)).split())
    assert SAID[step] in page


def test_a_state_that_forgets_itself_is_told_apart():
    page = str(explain(windowed, X, State(H, H)))
    assert "\nstate.last: does not depend on its last value\n" in page


def test_the_same_as_data():
    found = explain(near_miss, X, H).to_dict()["linearity"]
    cause = "sigmoid at test_linearity.py:25"
    assert found == [{"state": ["state"], "kind": "nonlinear", "block": 1, "given": [], "cause": cause}]
    last, memory = explain(windowed, X, State(H, H)).facts.linearity
    assert (last.kind, last.state) == ("known", ("state.last",))
    assert (memory.kind, memory.given, memory.cause) == ("elements", ("state.last",), "")
