"""Which steps are called linear in the state: those that are, by superposition, and never one that is not."""

import random
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unrolled.cells import GRU, LRU, LSTM, QRNN, SRU, Elman, MinGRU, MinLSTM
from unrolled.compiler.build import build
from unrolled.compiler.fingerprint import read
from unrolled.compiler.linear import stages
from unrolled.core import leaves, settle, unflatten

B, H = 2, 4


def judged(step, state, x=None):
    x = torch.randn(1, B, H, dtype=torch.float64) if x is None else x
    run = settle(x, state)
    graph = build(step, run, read(step), compiled=False).plan.graph
    return graph, stages(graph, graph.state, graph.new_state)


def kinds(step, *sizes):
    torch.manual_seed(0)
    made = [torch.randn(B, *(size if isinstance(size, tuple) else (size,)), dtype=torch.float64) for size in sizes]
    return {stage.leaves: stage.kind for stage in judged(step, made[0] if len(made) == 1 else tuple(made))[1]}


def gate(x):
    return torch.sigmoid(x)


def test_own_steps_that_are_linear_element_by_element():
    w = nn.Parameter(torch.randn(H, dtype=torch.float64))

    def leaky(x, h):
        h = h + gate(x) * (torch.tanh(x) - h)
        return torch.tanh(h), h

    def many(x, h):
        h = torch.where(x > 0, -h / (1 + x * x), w * h.reshape(len(h), 2, 2).flatten(1)) - x + w
        return h.sum(-1), h

    def pieces(x, h):
        a, b = h.chunk(2, -1)
        return h, torch.cat([a * gate(x[:, :2]), b - x[:, 2:]], -1)

    def in_place(x, h):
        h = h.clone()
        h *= gate(x)
        h[:, 1] = 2
        h[:, 2] += x[:, 1]
        return h, h

    for step in (leaky, many, pieces, in_place):
        assert kinds(step, H) == {(0,): "elements"}, step.__name__


def test_near_misses_are_not_linear_and_the_line_is_told():
    def square(x, h):
        return h, x + h * h  # the line

    def gated(x, h):
        return h, torch.sigmoid(x + h) * h  # the line

    def own_coefficient(x, h):
        return h, h / (1 + h.detach())  # the line

    def chosen(x, h):
        return h, torch.where(h > 0, h, x)  # the line

    def rectified(x, h):
        return h, F.relu(0.5 * h + x)  # the line

    def largest(x, h):
        return h, torch.maximum(h, x)  # the line

    def with_sum(x, h):
        return h, h * h.sum(-1, keepdim=True)  # the line

    def in_place(x, h):
        g = h.clone()
        g += 1
        g *= h  # the line
        return g, g

    def normed(x, h):
        return h, x + h / h.norm(dim=-1, keepdim=True)  # the line

    def inverse(x, h):
        return h, x / h  # the line

    def rounded(x, h):
        return h, x + h.to(torch.int64)  # the line

    source = Path(__file__).read_text().splitlines()
    for step in (
        square,
        gated,
        own_coefficient,
        chosen,
        rectified,
        largest,
        with_sum,
        in_place,
        normed,
        inverse,
        rounded,
    ):
        graph, (stage,) = judged(step, torch.randn(B, H, dtype=torch.float64))
        assert stage.kind == "nonlinear", step.__name__
        assert stage.cause is not None
        line = int(graph.nodes[stage.cause].where.rpartition(":")[2])
        assert "# the line" in source[line - 1], (step.__name__, graph.nodes[stage.cause])


def test_linear_but_not_element_by_element():
    w = nn.Parameter(torch.randn(H, H, dtype=torch.float64))
    steps = {
        "dense": lambda x, h: (h, x + h @ w),
        "delay line": lambda x, h: (h, torch.cat([x, h[:, :-H]], -1)),
    }
    assert kinds(steps["dense"], H) == {(0,): "dense"}
    assert kinds(steps["delay line"], 16 * H) == {(0,): "dense"}


def test_elements_that_are_coupled_form_blocks():
    def turned(x, state):
        re, im = state
        a, b = gate(x), torch.tanh(x)
        return re, (a * re - b * im + x, b * re + a * im)

    def flipped(x, h):
        return h, gate(x) * h.flip(-1)

    def pairs(x, h):
        h = h.reshape(len(h), H // 2, 2)
        return x, (h * gate(x[:, :2, None]) + h.flip(-1)).flatten(1)

    def summed(x, h):
        return h, x + h.sum(-1, keepdim=True)

    def written(x, h):
        h = h.clone()
        h[:, 1] = x[:, 2] - h[:, 0].clone()
        return h, h

    assert kinds(turned, H, H) == {(0, 1): "blocks"}
    cases = ((turned, 2, True), (flipped, 2, False), (pairs, 2, False), (summed, H, False), (written, 2, False))
    for step, block, aligned in cases:
        state = torch.randn(B, H, dtype=torch.float64)
        _, (stage,) = judged(step, (state, state.clone()) if step is turned else state)
        assert (stage.kind, stage.block, stage.aligned) == ("blocks", block, aligned), step.__name__


def test_a_stage_is_judged_given_those_before_it():
    class State(NamedTuple):
        memory: torch.Tensor
        total: torch.Tensor
        most: torch.Tensor
        last: torch.Tensor

    def step(x, s):
        most = torch.maximum(s.most + x, s.last)
        memory = torch.exp(s.most - most) * s.memory + s.last
        return memory / s.total, State(memory, memory.detach() + s.total, most, x)

    found = judged(step, State(*(torch.randn(B, H, dtype=torch.float64) for _ in range(4))))[1]
    order = [stage.leaves for stage in found]
    assert {stage.leaves: stage.kind for stage in found} == {
        (0,): "elements", (1,): "elements", (2,): "nonlinear", (3,): "known",
    }  # fmt: skip
    assert order.index((3,)) < order.index((2,)) < order.index((0,)) < order.index((1,))


def test_tensors_that_need_each_other_are_one_stage():
    def step(x, state):
        a, b = state
        return x, (gate(b), a * x)

    _, (stage,) = judged(step, (torch.randn(B, H, dtype=torch.float64), torch.randn(B, H, dtype=torch.float64)))
    assert (stage.leaves, stage.kind) == ((0, 1), "nonlinear")


def test_rounding_to_fewer_bits_than_the_state_has_is_not_linear():
    def wide(dtype):
        return judged(lambda x, h: (x, (0.9 * h.to(dtype)).to(h.dtype) + x), torch.ones(B, H), torch.ones(1, B, H))[1][
            0
        ]

    assert wide(torch.float64).kind == "elements"
    assert wide(torch.bfloat16).kind == "nonlinear"


def test_a_state_of_whole_numbers_is_not_called_linear():
    _, (stage,) = judged(lambda x, n: (x * n, n + 1), torch.ones(B, H, dtype=torch.int64))
    assert (stage.kind, stage.cause) == ("nonlinear", None)


@pytest.mark.parametrize("cell", [Elman, GRU])
def test_cells_whose_state_goes_through_a_nonlinearity(cell):
    cell = cell(H, 3).double()
    assert [stage.kind for stage in judged(cell.step, cell.initial_state(B))[1]] == ["nonlinear"]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (MinGRU, {(0,): "elements"}),
        (MinLSTM, {(0,): "elements"}),
        (SRU, {(0,): "elements"}),
        (lambda *sizes: SRU(*sizes, peephole=True), {(0,): "nonlinear"}),
        (QRNN, {(0,): "elements", (1,): "known"}),
        (LRU, {(0, 1): "blocks"}),
    ],
)
def test_cells_that_are_linear_and_one_that_just_is_not(make, expected):
    cell = make(H, 3).double()
    assert {stage.leaves: stage.kind for stage in judged(cell.step, cell.initial_state(B))[1]} == expected


def test_the_lstm_is_not_linear_since_its_gates_read_h():
    cell = LSTM(H, 3).double()
    (stage,) = judged(cell.step, cell.initial_state(B))[1]
    assert (stage.leaves, stage.kind) == ((0, 1), "nonlinear")


LINEAR = (
    lambda h, x, w: h * gate(x),
    lambda h, x, w: h + torch.tanh(x),
    lambda h, x, w: x - h,
    lambda h, x, w: -h,
    lambda h, x, w: h / (1 + x * x),
    lambda h, x, w: torch.where(x > 0, h, x),
    lambda h, x, w: torch.where(x > 0, h * w, h + w),
    lambda h, x, w: h.flip(-1),
    lambda h, x, w: torch.cat([h[:, 1:], h[:, :1]], -1),
    lambda h, x, w: torch.cat([h[:, :2], x[:, 2:]], -1),
    lambda h, x, w: h @ torch.outer(w, w),
    lambda h, x, w: h.reshape(h.shape[0], 2, 2).sum(1).repeat(1, 2),
    lambda h, x, w: h.reshape(h.shape[0], 2, 2).transpose(1, 2).flatten(1),
    lambda h, x, w: h.roll(1, -1),
    lambda h, x, w: F.pad(h[:, 1:3], (1, 1)),
    lambda h, x, w: h.mean(-1, keepdim=True) + x,
    lambda h, x, w: torch.lerp(h, x, gate(w)),
    lambda h, x, w: torch.lerp(x, h, gate(x)),
)
TWO = (
    lambda h, g, x: h + g,
    lambda h, g, x: h - x * g,
    lambda h, g, x: torch.where(x > 0.2, h, g),
    lambda h, g, x: torch.cat([h[:, :1], g[:, 1:]], -1),
)
OTHER = (
    lambda h, g, x: h * g,
    lambda h, g, x: h * gate(g),
    lambda h, g, x: h / (2 + g.abs()),
    lambda h, g, x: torch.where(g > 0, h, x),
    lambda h, g, x: F.relu(h) + g,
    lambda h, g, x: torch.maximum(h, g),
    lambda h, g, x: torch.tanh(h) - g,
    lambda h, g, x: h * g.detach(),
    lambda h, g, x: h.abs() + x,
    lambda h, g, x: (h * g).sum(-1, keepdim=True) + x,
    lambda h, g, x: x**2 / (1 + h * h),
    lambda h, g, x: h * (g > 0),
    lambda h, g, x: h.softmax(-1) * g,
)


def drawn(seed, share):
    """A random step of two state tensors; ``share`` of its operations may be anything."""
    draw = random.Random(seed)
    plan = []
    for _ in range(draw.randint(2, 5)):
        kind = draw.random()
        pool = OTHER if kind < share else TWO if kind < 0.6 else LINEAR
        plan.append((pool, draw.randrange(len(pool)), draw.randrange(1 << 16), draw.randrange(1 << 16)))
    ends = draw.randrange(1 << 16), draw.randrange(1 << 16)
    w = torch.randn(H, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

    def step(x, state):
        values = list(state)
        for pool, which, first, second in plan:
            a, b = values[first % len(values)], values[second % len(values)]
            values.append(pool[which](a, x, w) if pool is LINEAR else pool[which](a, b, x))
        return values[-1], tuple(values[-1 - end % len(values)] for end in ends)

    return step


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_what_is_called_linear_is_so_by_superposition(share):
    torch.manual_seed(1)
    claimed = nonlinear = 0
    for seed in range(60):
        step = drawn(seed, share)
        x = torch.randn(1, B, H, dtype=torch.float64)
        state = tuple(torch.randn(B, H, dtype=torch.float64) for _ in range(2))
        for stage in judged(step, state, x)[1]:
            if stage.is_affine:
                claimed += 1
                superposition_holds(step, x[0], state, stage, seed)
            else:
                nonlinear += 1
    assert claimed > 20
    assert (nonlinear > 10) if share else (nonlinear == 0)


def superposition_holds(step, x, state, stage, seed):
    """An affine function keeps sums whose weights add up to one; a known one is constant; a block keeps to itself."""

    def after(*moved):
        given = list(state)
        for k, value in zip(stage.leaves, moved, strict=True):
            given[k] = value
        new = leaves(step(x, unflatten(state, given))[1])
        return torch.stack([new[k] for k in stage.leaves])

    p, q, r = (torch.randn(len(stage.leaves), B, H, dtype=torch.float64) * 3 for _ in range(3))
    whole = after(*(2 * p - 3 * q + 2 * r))
    torch.testing.assert_close(
        whole, 2 * after(*p) - 3 * after(*q) + 2 * after(*r), rtol=1e-9, atol=1e-9, msg=f"{seed}"
    )
    if stage.kind == "known":
        assert torch.equal(after(*p), after(*q)), seed
    if stage.kind in ("elements", "blocks"):
        moves = 0
        for k in range(len(stage.leaves)):
            for j in range(H):
                other = p.clone()
                other[k, :, j] += 1.5
                changed = ((after(*p) - after(*other)).abs() > 1e-12).any(1).flatten()
                changed[k * H + j] = True
                assert int(changed.sum()) <= stage.block, seed
                if stage.aligned:
                    assert not changed.reshape(-1, H)[:, [i for i in range(H) if i != j]].any(), seed
                moves += 1
        assert moves
