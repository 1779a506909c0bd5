"""What a plan puts where: the loop's borders, what is kept for the way back, products in pieces."""

import random
from itertools import combinations

import pytest
import torch
from torch import nn

from unrolled import UnsupportedStep
from unrolled.cells import GRU, LSTM, Elman
from unrolled.compiler.build import build
from unrolled.compiler.fingerprint import read
from unrolled.compiler.graph import Graph, Node, Ref, ancestors
from unrolled.compiler.keep import cheapest_cut
from unrolled.core import settle

X, H = 3, 5


def plan_of(step, x, state, **options):
    return build(step, settle(x, state, **options), read(step), compiled=False).plan


def plan_of_cell(cell):
    return plan_of(cell.step, torch.zeros(1, 1, X, requires_grad=True), cell.initial_state(1))


def ops(plan, nodes):
    return [plan.graph.nodes[index].op for index in nodes]


def sequences(plan, nodes):
    """Of each value with rows: its operation and its size."""
    graph = plan.graph
    return sorted((graph.nodes[index].op, graph.row_size(index)) for index in nodes if graph.is_rows(index))


def test_elman():
    plan = plan_of_cell(Elman(X, H))
    assert sequences(plan, plan.forward.reads) == [("add", H)]  # U x(t) + b
    assert sequences(plan, plan.saved) == [("input", X), ("input", H), ("tanh", H)]
    assert sequences(plan, plan.backward.reads) == [("input", H), ("tanh", H)]  # the output's adjoint, and h
    assert ops(plan, plan.backward.before) == []
    assert sequences(plan, plan.backward.writes) == [("mul", H)]


def test_lstm_keeps_its_gates_and_computes_their_derivatives_in_the_loop():
    plan = plan_of_cell(LSTM(X, H))
    assert sequences(plan, plan.forward.reads) == [("add", 4 * H)]
    kept = [("sigmoid", H)] * 3 + [("tanh", H)] * 2 + [("input", H)] * 2 + [("input", X)]
    assert sequences(plan, plan.saved) == sorted(kept)
    assert ops(plan, plan.backward.before) == []
    assert sum(size for _, size in sequences(plan, plan.backward.reads)) == 7 * H
    assert sequences(plan, plan.backward.writes) == [("cat", 4 * H)]


def test_gru_keeps_the_part_of_a_product_that_is_read():
    plan = plan_of_cell(GRU(X, H))
    assert ("slice", H) in sequences(plan, plan.saved)
    assert sum(size for _, size in sequences(plan, plan.saved)) == X + 5 * H
    assert sequences(plan, plan.backward.writes) == [("cat", 3 * H)] * 2


def test_a_linear_of_input_and_state_leaves_the_input_out_of_the_loop():
    linear = nn.Linear(X + H, H)

    def step(x, h):
        h = torch.tanh(linear(torch.cat([x, h], -1)))
        return h, h

    plan = plan_of(step, torch.zeros(1, 1, X, requires_grad=True), torch.zeros(1, H))
    (product,) = (index for index in plan.forward.loop if plan.graph.nodes[index].op == "mm")
    assert plan.graph.row_shape(plan.graph.nodes[product].args[1].index) == (H, H)
    (product,) = (index for index in plan.backward.loop if plan.graph.nodes[index].op == "mm")
    assert plan.graph.row_shape(plan.graph.nodes[product].args[1].index) == (H, H)
    rows = {index for index in plan.backward.after if plan.graph.is_rows(index)}
    assert "cat" not in ops(plan, rows)  # the weight's gradient is put together without [x, h]


def test_what_a_parameter_does_several_times_in_a_step_is_added_before_it_is_summed():
    spring, pull = nn.Parameter(torch.rand(H, 4)), nn.Parameter(torch.rand(H, 4))

    def step(x, h):
        for _ in range(3):
            h = torch.tanh(spring * h + pull * x[:, None])
        return h, h

    plan = plan_of(lambda x, h: step(x[..., :1], h), torch.zeros(1, 1, X), torch.zeros(1, H, 4))
    sums = [n for n in plan.backward.after if plan.graph.nodes[n].op == "sum" and not plan.graph.is_rows(n)]
    of_rows = [n for n in sums if plan.graph.is_rows(plan.graph.nodes[n].args[0].index)]
    assert len(of_rows) == 2  # one of each parameter, though each is used three times
    assert sum(size for _, size in sequences(plan, plan.backward.writes)) == 2 * 4 * H


def test_random_draws_are_kept_and_never_drawn_again():
    def step(x, h):
        h = torch.tanh(nn.functional.dropout(h, 0.5) + x)
        return h, h

    plan = plan_of(step, torch.zeros(1, 1, H, requires_grad=True), torch.zeros(1, H))
    assert "rand" in ops(plan, plan.forward.before)
    backward = plan.backward
    assert not {"rand", "randn"} & set(ops(plan, (*backward.before, *backward.loop, *backward.after)))


def test_nothing_is_kept_where_no_gradient_is_wanted():
    cell = LSTM(X, H)
    with torch.no_grad():
        plan = plan_of(cell.step, torch.zeros(1, 1, X), cell.initial_state(1))
    assert plan.saved == ()
    assert plan.backward is None


@pytest.mark.parametrize("seed", range(60))
def test_the_cut_is_the_cheapest(seed):
    """Against all sets of values, in random small graphs."""
    draw = random.Random(seed)
    nodes: list[Node] = []
    for index in range(8):
        operands = draw.sample(range(index), min(index, draw.randint(0, 2)))
        nodes.append(Node("add" if operands else "input", tuple(map(Ref, operands)), (7919, 1), torch.float32))
    none = ()
    graph = Graph(7919, tuple(nodes), none, none, none, none, none)
    again = {index for index in range(8) if nodes[index].op == "add" and draw.random() < 0.7}
    prices = [draw.choice([1, 2, 3, 5, None if index in again else 4]) for index in range(8)]
    needed = draw.sample(range(8), 3)

    def enough(stored):
        return all(i in stored or i in again for i in ancestors(graph, needed, stop=lambda index: index in stored))

    found = cheapest_cut(graph, needed, again.__contains__, prices.__getitem__)
    assert enough(found)
    storable = [index for index in range(8) if prices[index] is not None]
    every = [set(chosen) for size in range(9) for chosen in combinations(storable, size)]
    assert sum(prices[i] for i in found) == min(sum(prices[i] for i in chosen) for chosen in every if enough(chosen))


def test_a_draw_that_belongs_to_no_row_is_refused():
    def step(x, h):
        h = torch.tanh(h + x * torch.rand(()))
        return h, h

    with pytest.raises(UnsupportedStep, match=r"belong to no row at .*test_plan\.py:\d+"):
        plan_of(step, torch.zeros(1, 1, H), torch.zeros(1, H))
