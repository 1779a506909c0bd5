"""The reference against an oracle that cannot share its mistakes: every row alone, episode by episode, only
the valid steps, no masks and no ``where``.
"""

from functools import partial
from typing import Any, NamedTuple

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unrolled import Cell, Recurrent, unroll
from unrolled.cells import LSTM

close = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)


# ---------------------------------------------------------------- trees, written again for the oracle


def tree_map(function, tree):
    if isinstance(tree, Tensor):
        return function(tree)
    children = [tree_map(function, child) for child in tree]
    return type(tree)(*children) if hasattr(tree, "_fields") else tuple(children)


def flat(tree):
    return [tree] if isinstance(tree, Tensor) else [leaf for child in tree for leaf in flat(child)]


def of_row(tree, b):
    return tree_map(lambda v: v[b : b + 1], tree)


def float_leaves(tree):
    return [leaf for leaf in flat(tree) if leaf.is_floating_point()]


# ---------------------------------------------------------------- the oracle


def episodes_of(valid, reset):
    """The valid times of one row, cut before every one that carries a reset flag."""
    episodes = [[]]
    for t in range(len(valid)):
        if valid[t]:
            if reset[t] and episodes[-1]:
                episodes.append([])
            episodes[-1].append(t)
    return episodes if episodes[0] else []


def run_row(step, x, start, restart, valid, reset, reverse, k):
    """Outputs by time and the final state of one row."""
    last = len(valid) - 1

    def window(t):
        done = last - t if reverse else t
        return done // k if k else 0

    state, at, outputs = start, 0, {}
    episodes = episodes_of(valid, reset)
    for number, times in enumerate(reversed(episodes) if reverse else episodes):
        begins_anew = number > 0 if reverse else reset[times[0]]
        for position, t in enumerate(reversed(times) if reverse else times):
            if window(t) != at:
                state = tree_map(torch.detach, state)
            at = window(t)
            if position == 0 and begins_anew:
                state = restart
            outputs[t], state = step(None if x is None else tree_map(lambda v, t=t: v[t], x), state)
    if window(0 if reverse else last) != at:
        state = tree_map(torch.detach, state)
    return outputs, state


def oracle(step, x, state, steps, valid, reset, reset_state, reverse, k, zero_output):
    rows = []
    for b in range(flat(state)[0].shape[0]):
        x_b = None if x is None else tree_map(lambda v, b=b: v[:, b : b + 1], x)
        outputs, end = run_row(step, x_b, of_row(state, b), of_row(reset_state, b), valid[b], reset[b], reverse, k)
        column = [flat(outputs[t]) if t in outputs else flat(of_row(zero_output, b)) for t in range(steps)]
        rows.append(([torch.stack(leaf) for leaf in zip(*column, strict=True)], flat(end)))
    outputs = [torch.cat(parts, 1) for parts in zip(*(row[0] for row in rows), strict=True)]
    ends = [torch.cat(parts, 0) for parts in zip(*(row[1] for row in rows), strict=True)]
    return outputs, ends


# ---------------------------------------------------------------- equations to run


class Deep(NamedTuple):
    """A state of several ranks and dtypes, one level down too."""

    h: Tensor  # (B, 3)
    inner: tuple  # ((B, 2, 3), (B,) int64)


def make_tree_problem(generator, size):
    """Ids and features in, nested outputs, a counter into a table that ends where a row may end."""
    T, B = size
    rand = partial(torch.randn, generator=generator, dtype=torch.float64)
    table, W, U, v = rand(5, 3), rand(3, 3), rand(2, 3), rand(3)
    position = rand(T + 2, 3)
    closed = [table, W, U, v, position]

    def step(x, state):
        ids, features = x
        h, (memory, count) = state
        memory = 0.5 * memory + features[:, :, None] * torch.tanh(h)[:, None, :]
        h = torch.tanh(h @ W + features @ U + table[ids] + position[count] + memory.sum(1) * v)
        return (h[:, :2], (memory.sum((1, 2)), ids + count)), Deep(h, (memory, count + 1))

    def state():
        return Deep(rand(B, 3), (rand(B, 2, 3), torch.randint(3, (B,), generator=generator)))

    x = (torch.randint(5, (T, B), generator=generator), rand(T, B, 2))
    zero = (rand(B, 2) * 0, (rand(B) * 0, torch.zeros(B, dtype=torch.int64)))
    return step, x, state, closed, zero


def make_singular_problem(generator, size):
    """Singular where x is zero, and where x equals the state: as it would if a row's x came in once more."""
    T, B = size
    positive = partial(torch.rand, generator=generator, dtype=torch.float64)
    w = positive(2) + 0.5

    def step(x, before):
        return (x - before).abs().sqrt() * w + x.log() - 1 / x, x

    x = positive(T, B, 2) + 0.5
    return step, x, lambda: positive(B, 2) - 2, [w], torch.zeros(B, 2, dtype=torch.float64)


def make_autonomous_problem(generator, size):
    B = size[1]
    rand = partial(torch.randn, generator=generator, dtype=torch.float64)
    W = rand(3, 3)

    def step(x, s):
        if x is not None:
            raise ValueError(f"there is no input, got {x}")
        s = torch.sin(s @ W)
        return s[:, 0], s

    return step, None, lambda: rand(B, 3), [W], torch.zeros(B, dtype=torch.float64)


def make_lstm_problem(generator, size):
    T, B = size
    cell = LSTM(2, 3).double()
    for parameter in cell.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    rand = partial(torch.randn, generator=generator, dtype=torch.float64)
    closed = list(cell.parameters())
    return cell.step, rand(T, B, 2), lambda: (rand(B, 3), rand(B, 3)), closed, rand(B, 3) * 0


PROBLEMS = [make_tree_problem, make_singular_problem, make_autonomous_problem, make_lstm_problem]
COMPILED = PROBLEMS[1:]  # the first indexes a table by its state, of which there is no kernel


@st.composite
def sequences(draw):
    T, B = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    bits = st.lists(st.lists(st.booleans(), min_size=T, max_size=T), min_size=B, max_size=B)
    return {
        "T": T,
        "B": B,
        "lengths": draw(st.none() | st.lists(st.integers(0, T), min_size=B, max_size=B)),
        "mask": draw(st.none() | bits),
        "reset": draw(st.none() | bits),
        "reverse": draw(st.booleans()),
        "k": draw(st.none() | st.integers(1, T + 1)),
        "seed": draw(st.integers(0, 2**31)),
    }


def valid_of(case):
    T, B = case["T"], case["B"]
    lengths, mask = case["lengths"] or [T] * B, case["mask"] or [[True] * T] * B
    return [[mask[b][t] and t < lengths[b] for t in range(T)] for b in range(B)]


def poison(x, valid):
    """x with junk in its padding: NaN, infinity, and an id that no table has."""
    hole = ~torch.tensor(valid).T

    def spoil(v):
        junk = torch.full_like(v, torch.nan if v.is_floating_point() else -1, requires_grad=False)
        if v.is_floating_point():
            junk[..., 0] = torch.inf
        return torch.where(hole.reshape(hole.shape + (1,) * (v.dim() - 2)), junk, v)

    return tree_map(spoil, x)


def agree(found, expected, sources, generator):
    """Values, and the gradients of a random sum of them with respect to every source."""
    for mine, theirs in zip(found, expected, strict=True):
        close(mine, theirs)
    weights = [torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in float_leaves(tuple(expected))]

    def gradients(values):
        values = float_leaves(tuple(values))
        loss = sum((weight * value).sum() for weight, value in zip(weights, values, strict=True))
        if not loss.requires_grad:
            return [torch.zeros_like(source) for source in sources]
        return torch.autograd.grad(loss, sources, allow_unused=True, materialize_grads=True)

    for mine, theirs in zip(gradients(found), gradients(expected), strict=True):
        close(mine, theirs)


@settings(deadline=None, max_examples=250)
@given(sequences(), st.sampled_from(PROBLEMS), st.booleans())
def test_unroll_equals_every_row_run_alone(case, problem, own_reset_state):
    check_against_the_oracle(case, problem, own_reset_state, "reference")


@settings(deadline=None, max_examples=100)
@given(sequences(), st.sampled_from(COMPILED), st.booleans())
def test_the_compiled_unroll_equals_every_row_run_alone(case, problem, own_reset_state):
    check_against_the_oracle(case, problem, own_reset_state, "compiled")


def check_against_the_oracle(case, problem, own_reset_state, backend):
    generator = torch.Generator().manual_seed(case["seed"])
    T, B, reverse, k = case["T"], case["B"], case["reverse"], case["k"]
    step, x, new_state, closed, zero_output = problem(generator, (T, B))
    state = new_state()
    reset_state = new_state() if own_reset_state else state
    sources = [*closed, *float_leaves(state)]
    sources += [] if x is None else float_leaves(x)
    sources += float_leaves(reset_state) if own_reset_state else []
    for source in sources:
        source.requires_grad_()
    valid = valid_of(case)
    kwargs: dict[str, Any] = {} if x is not None else {"steps": T}
    if case["lengths"]:
        kwargs["lengths"] = torch.tensor(case["lengths"])
    if case["mask"]:
        kwargs["mask"] = torch.tensor(case["mask"]).T
    if case["reset"]:
        kwargs["reset"] = torch.tensor(case["reset"]).T
    if own_reset_state:
        kwargs["reset_state"] = reset_state
    outputs, end = unroll(
        step,
        None if x is None else poison(x, valid),
        state,
        reverse=reverse,
        truncated_bptt_steps=k,
        backend=backend,
        **kwargs,
    )
    reset = case["reset"] or [[False] * T] * B
    expected, ends = oracle(step, x, state, T, valid, reset, reset_state, reverse, k, zero_output)
    agree([*flat(outputs), *flat(end)], [*expected, *ends], sources, generator)


class Learned(Cell):
    """Starts from a learnt state, of two ranks; its step is not symmetric in anything."""

    def __init__(self, generator):
        super().__init__()
        rand = partial(torch.randn, generator=generator, dtype=torch.float64)
        self.input_size = 2
        self.W, self.U = torch.nn.Parameter(rand(3, 3)), torch.nn.Parameter(rand(2, 3))
        self.h0, self.a0 = torch.nn.Parameter(rand(3)), torch.nn.Parameter(rand(()))

    def initial_state(self, batch_size):
        return self.h0.expand(batch_size, -1), self.a0.expand(batch_size)

    def step(self, x, state):
        h, a = state
        h = torch.tanh(h @ self.W + x @ self.U + a[:, None])
        return h[:, 1:], (h, 0.9 * a + h[:, 0])


@settings(deadline=None, max_examples=150)
@given(sequences(), st.booleans(), st.booleans(), st.sampled_from(["reference", "compiled"]))
def test_recurrent_equals_every_row_run_alone(case, given_state, batch_first, backend):
    generator = torch.Generator().manual_seed(case["seed"])
    T, B = case["T"], case["B"]
    rand = partial(torch.randn, generator=generator, dtype=torch.float64)
    cell = Learned(generator)
    x = rand(T, B, 2).requires_grad_()
    state = (rand(B, 3).requires_grad_(), rand(B).requires_grad_()) if given_state else None
    layer = Recurrent(cell, reverse=case["reverse"], batch_first=batch_first, backend=backend)
    valid = valid_of(case)

    def turn(v):
        return v.transpose(0, 1) if batch_first else v

    mask, reset = (None if case[n] is None else turn(torch.tensor(case[n]).T) for n in ("mask", "reset"))
    outputs, end = layer(turn(poison(x, valid)), state, lengths=case["lengths"], mask=mask, reset=reset)
    reset = case["reset"] or [[False] * T] * B
    start = cell.initial_state(B) if state is None else state
    zero = torch.zeros(B, 2, dtype=torch.float64)
    expected, ends = oracle(cell.step, x, start, T, valid, reset, cell.initial_state(B), case["reverse"], None, zero)
    sources = [*cell.parameters(), x, *(state or ())]
    agree([turn(outputs), *end], [*expected, *ends], sources, generator)
