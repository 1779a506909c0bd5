"""``return_all_states``: the states that the reference passes through, with their gradients."""

from functools import partial

import pytest
import torch

from unrolled import Cell, Recurrent
from unrolled.cells import GRU, LSTM, Elman, LSTMState
from unrolled.core import leaves

close = partial(torch.testing.assert_close, rtol=1e-11, atol=1e-12)
T, B, I, H = 7, 4, 2, 3  # noqa: E741
BACKENDS = ["reference", "plan", "compiled"]
MASK = torch.rand(T, B, generator=torch.Generator().manual_seed(2)) < 0.6
MASK[:, 3] = False  # a row with no valid step
MASK[:2, 1] = MASK[-2:, 1] = False
RESET = torch.rand(T, B, generator=torch.Generator().manual_seed(4)) < 0.4
WAYS = {
    "plain": {},
    "lengths": {"lengths": [7, 3, 0, 5]},
    "mask": {"mask": MASK},
    "resets": {"reset": RESET},
    "all": {"mask": MASK, "reset": RESET, "lengths": [7, 6, 2, 5]},
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(7)


class Learnt(LSTM):
    def __init__(self):
        super().__init__(I, H)
        self.start = torch.nn.Parameter(torch.randn(2, H))

    def initial_state(self, batch_size, **options):
        return LSTMState(*(row.expand(batch_size, -1) for row in self.start))


def passed_through(cell, x, state, reverse, lengths=None, mask=None, reset=None):
    """The state after every step, by the last states of ever longer runs of the reference."""
    layer = Recurrent(cell, reverse=reverse, backend="reference")
    valid = torch.ones(T, B, dtype=torch.bool) if mask is None else mask
    if lengths is not None:
        valid = valid & (torch.arange(T)[:, None] < torch.tensor(lengths))
    ends = []
    for t in range(T):
        done = torch.arange(T)[:, None] >= t if reverse else torch.arange(T)[:, None] <= t
        ends.append(layer(x, state, mask=valid & done, reset=reset)[1])
    return LSTMState(*(torch.stack(column) for column in zip(*ends, strict=True)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_they_are_the_states_of_the_reference(way, reverse, backend):
    cell, x = Learnt().double(), torch.randn(T, B, I).double().requires_grad_()
    layer = Recurrent(cell, reverse=reverse, return_all_states=True, backend=backend)
    given = LSTMState(*(torch.randn(B, H).double().requires_grad_() for _ in range(2)))
    weights = torch.randn(2, T, B, H).double()
    for state in (None, given):
        outputs, end, states = layer(x, state, **WAYS[way])
        expected = passed_through(cell, x, state, reverse, **WAYS[way])
        plain, plain_end = Recurrent(cell, reverse=reverse, backend=backend)(x, state, **WAYS[way])
        assert isinstance(states, LSTMState)
        close(tuple(states), tuple(expected))
        close((outputs, *end), (plain, *plain_end))
        close(tuple(s[0 if reverse else -1] for s in states), tuple(end))
        sources = [x, *cell.parameters(), *(state or ())]
        gradients = [
            torch.autograd.grad((weights * torch.stack(tuple(s))).sum(), sources, materialize_grads=True)
            for s in (states, expected)
        ]
        close(*gradients)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batch_first(backend):
    cell, x = GRU(I, H), torch.randn(T, B, I)
    make = partial(Recurrent, cell, return_all_states=True, backend=backend)
    outputs, end, states = make()(x, mask=MASK)
    mine = make(batch_first=True)(x.transpose(0, 1), mask=MASK.T)
    assert torch.equal(mine[0], outputs.transpose(0, 1))
    assert torch.equal(mine[1], end)
    assert torch.equal(mine[2], states.transpose(0, 1))


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_together_with_checkpoints(backend):
    cell, x = LSTM(I, H).double(), torch.randn(T, B, I).double()
    results = []
    for every in (None, 3):
        layer = Recurrent(cell, return_all_states=True, checkpoint_every=every, backend=backend)
        outputs, _, states = layer(x, mask=MASK)
        loss = outputs.sum() + states.c.square().sum()
        results.append([outputs, *states, *torch.autograd.grad(loss, list(cell.parameters()))])
    close(*results)


class Counter(Cell):
    """A state of two ranks and dtypes; the output is a tree; no parameters."""

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 2, 1), torch.full((batch_size,), 5)

    def step(self, x, state):
        total, count = state
        total = total + x[:, None]
        return (x, total.sum((1, 2))), (total, count + 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_of_every_rank_and_dtype(backend):
    x = torch.arange(1.0, 5).reshape(4, 1, 1)
    layer = Recurrent(Counter(), return_all_states=True, backend=backend)
    (same, sums), _, (total, count) = layer(x, mask=torch.tensor([[False], [True], [False], [True]]))
    assert same.flatten().tolist() == [0, 2, 0, 4]
    assert sums.flatten().tolist() == [0, 4, 0, 12]
    assert total[:, 0, 0, 0].tolist() == [0, 2, 2, 6]
    assert count.flatten().tolist() == [5, 6, 6, 7]
    assert total.shape == (4, 1, 2, 1)
    assert count.dtype == torch.int64


def test_without_input():
    class Doubling(Cell):
        def step(self, _, s):
            return (), 2 * s

    layer = Recurrent(Doubling(), return_all_states=True)
    outputs, end, states = layer(None, torch.ones(1), steps=4)
    assert outputs == ()
    assert end.tolist() == [16]
    assert states.flatten().tolist() == [2, 4, 8, 16]


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_few_rows(rows, backend):
    layer = Recurrent(LSTM(I, H), return_all_states=True, backend=backend)
    _, end, states = layer(torch.randn(1, rows, I), lengths=[1] * rows)
    for a, b in zip(leaves(states), leaves(end), strict=True):
        assert a.shape == (1, rows, H)
        assert torch.equal(a[0], b)


def test_under_autocast_states_keep_their_dtype():
    layer = Recurrent(Elman(I, H), return_all_states=True, backend="reference")
    with torch.autocast("cpu", torch.bfloat16):
        outputs, end, states = layer(torch.randn(T, B, I), mask=MASK)
    assert (outputs.dtype, end.dtype, states.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    assert "return_all_states=True" in repr(layer)
