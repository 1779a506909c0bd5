"""Stacks: what they are made of, dropout, residual connections, states, the random state."""

from functools import partial

import pytest
import torch
from torch import nn

from unrolled import Bidirectional, Cell, InputError, Recurrent, Stack
from unrolled.cells import GRU, LSTM, Elman

close = partial(torch.testing.assert_close, rtol=1e-6, atol=1e-6)
T, B, I, H = 6, 3, 4, 5  # noqa: E741
LENGTHS = torch.tensor([6, 2, 0])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(31)


def test_the_outputs_of_each_layer_are_the_inputs_of_the_next():
    cells = [LSTM(I, H), GRU(H, 2), Elman(2, 3, output_size=7)]
    stack = Stack(cells)
    x = torch.randn(T, B, I)
    reset = torch.rand(T, B) < 0.3
    outputs, ends = stack(x, lengths=LENGTHS, reset=reset)
    assert len(ends) == 3
    for cell, end in zip(cells, ends, strict=True):
        x, expected_end = Recurrent(cell)(x, lengths=LENGTHS, reset=reset)
        torch.testing.assert_close(end, expected_end, rtol=0, atol=0)
    assert torch.equal(outputs, x)


def test_a_factory_is_told_the_size_of_what_is_below():
    asked = []

    def make(size):
        asked.append(size)
        return Elman(size, 3, output_size=7)

    stack = Stack(make, I, 3)
    assert asked == [I, 7, 7]
    assert stack.output_size == 7
    assert stack(torch.randn(T, B, I))[0].shape == (T, B, 7)


@pytest.mark.parametrize(("merge", "size"), [("concat", 2 * H), ("sum", H)])
def test_a_factory_for_both_directions(merge, size):
    asked = []

    def make(size):
        asked.append(size)
        return GRU(size, H)

    stack = Stack(make, I, 2, bidirectional=True, merge=merge)
    assert asked == [I, I, size, size]
    x = torch.randn(T, B, I)
    outputs, ends = stack(x, lengths=LENGTHS)
    for layer, end in zip(stack.layers, ends, strict=True):
        pair = Bidirectional(layer.ahead.cell, layer.back.cell, merge=merge)
        x, expected_end = pair(x, lengths=LENGTHS)
        torch.testing.assert_close(end, expected_end, rtol=0, atol=0)
    assert torch.equal(outputs, x)
    assert outputs.shape[-1] == size


def test_a_list_of_pairs():
    pairs = [(LSTM(I, H), GRU(I, 2)), (Elman(H + 2, 3), Elman(H + 2, 3))]
    x = torch.randn(T, B, I)
    outputs, ends = Stack(pairs, bidirectional=True)(x)
    middle, first = Bidirectional(*pairs[0])(x)
    expected, _ = Bidirectional(*pairs[1])(middle)
    assert torch.equal(outputs, expected)
    assert torch.equal(ends[0][0].c, first[0].c)


def test_the_state_goes_in_as_it_came_out():
    stack = Stack(lambda size: LSTM(size, H), I, 2).double()
    x = torch.randn(T, B, I).double()
    whole, end = stack(x)
    first, between = stack(x[:4])
    second, last = stack(x[4:], between)
    close(torch.cat([first, second]), whole)
    for mine, theirs in zip(last, end, strict=True):
        close(mine.c, theirs.c)
    assert torch.equal(stack(x, stack.initial_state(B))[0], whole)
    partial_state = (None, between[1])
    assert not torch.allclose(stack(x, partial_state)[0], whole)


def test_batch_first():
    stack = Stack(lambda size: LSTM(size, I), I, 2, bidirectional=True, merge="sum", residual=True)
    x, mask, reset = torch.randn(T, B, I), torch.rand(T, B) < 0.6, torch.rand(T, B) < 0.3
    expected, ends = stack(x, mask=mask, reset=reset)
    stack.batch_first = True
    outputs, mine = stack(x.transpose(0, 1), mask=mask.T, reset=reset.T)
    assert torch.equal(outputs, expected.transpose(0, 1))
    torch.testing.assert_close(mine, ends, rtol=0, atol=0)


# ---------------------------------------------------------------- states


@pytest.mark.parametrize("batch_first", [False, True])
def test_the_states_after_every_step_of_every_layer(batch_first):
    x, mask = torch.randn(T, B, I), torch.rand(T, B) < 0.7
    cells = [LSTM(I, H), GRU(H, 2)]
    stack = Stack(cells, return_all_states=True, batch_first=batch_first)
    given, given_mask = (x.transpose(0, 1), mask.T) if batch_first else (x, mask)
    outputs, ends, states = stack(given, mask=given_mask)
    assert isinstance(states, tuple)
    below = x
    for cell, end, every in zip(cells, ends, states, strict=True):
        below, expected_end, expected = Recurrent(cell, return_all_states=True)(below, mask=mask)
        every = [e.transpose(0, 1) if batch_first else e for e in (every if isinstance(every, tuple) else (every,))]
        torch.testing.assert_close(end, expected_end, rtol=0, atol=0)
        expected = expected if isinstance(expected, tuple) else (expected,)
        torch.testing.assert_close(tuple(every), tuple(expected), rtol=0, atol=0)
    assert torch.equal(outputs.transpose(0, 1) if batch_first else outputs, below)
    assert isinstance(states[0], type(ends[0]))


def test_the_states_after_every_step_of_both_directions():
    x = torch.randn(T, B, I)
    pair = Bidirectional(LSTM(I, H), GRU(I, 2), return_all_states=True)
    outputs, (ahead, back), (all_ahead, all_back) = pair(x, lengths=LENGTHS)
    first = Recurrent(pair.ahead.cell, return_all_states=True)(x, lengths=LENGTHS)
    second = Recurrent(pair.back.cell, reverse=True, return_all_states=True)(x, lengths=LENGTHS)
    assert torch.equal(outputs, torch.cat([first[0], second[0]], -1))
    for mine, theirs in ((ahead, first[1]), (back, second[1]), (all_ahead, first[2]), (all_back, second[2])):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    stack = Stack([(pair.ahead.cell, pair.back.cell)], bidirectional=True, return_all_states=True, batch_first=True)
    _, _, ((of_ahead, of_back),) = stack(x.transpose(0, 1), lengths=LENGTHS)
    assert torch.equal(of_ahead.c.transpose(0, 1), all_ahead.c)
    assert torch.equal(of_back.transpose(0, 1), all_back)


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_one_state_for_every_row(backend):
    def one(*sizes):
        return tuple(torch.randn(1, size).double().requires_grad_() for size in sizes)

    x, reset = torch.randn(T, B, I).double(), torch.rand(T, B) < 0.3
    cell = LSTM(I, H).double()
    layer, state = Recurrent(cell, backend=backend), one(H, H)
    results = []
    for given, options in ((state, {"broadcast_state": True}), (tuple(s.expand(B, -1) for s in state), {})):
        outputs, end = layer(x, given, reset=reset, **options)
        gradients = torch.autograd.grad(outputs.square().sum() + end.c.sum(), state)
        results.append((outputs, *end, *gradients))
    torch.testing.assert_close(*results, rtol=0, atol=0)
    turned, _ = Recurrent(cell, backend=backend, batch_first=True)(x.transpose(0, 1), state, broadcast_state=True)
    torch.testing.assert_close(turned.transpose(0, 1), layer(x, tuple(s.expand(B, -1) for s in state))[0])

    stack = Stack([(cell, GRU(I, H).double())], bidirectional=True, backend=backend)
    pair = ((state, one(H)[0]),)
    expanded = ((tuple(s.expand(B, -1) for s in state), pair[0][1].expand(B, -1)),)
    assert torch.equal(stack(x, pair, broadcast_state=True)[0], stack(x, expanded)[0])
    assert torch.equal(stack(x, expanded, broadcast_state=True)[0], stack(x, expanded)[0])
    assert torch.equal(stack(x[:, :1], pair)[0], stack(x[:, :1], pair, broadcast_state=True)[0])
    assert layer(x[:, :0], state, broadcast_state=True)[0].shape == (T, 0, H)


def test_a_state_of_one_row_is_not_every_rows_by_itself():
    layer, x, state = Recurrent(GRU(I, H)), torch.randn(T, B, I), torch.randn(1, H)
    expected = r"x: expected \(T, B, ...\) with B = 1 as in state, got \(6, 3, 4\) as .* Use broadcast_state=True"
    with pytest.raises(InputError, match=expected):
        layer(x, state)
    with pytest.raises(InputError, match=r"with B = 2 as in state, got \(6, 3, 4\)"):
        layer(x, torch.randn(2, H), broadcast_state=True)
    with pytest.raises(InputError, match="broadcast_state: expected an input x, which tells the number of rows"):
        layer(None, state, steps=3, broadcast_state=True)


# ---------------------------------------------------------------- dropout


class Pass(Cell):
    """The output is the input, so what dropout did is seen."""

    hidden_size = 1

    def step(self, x, h):
        return x, h


def test_dropout_acts_between_layers_only_and_in_training_only():
    x = torch.ones(50, 8, 16)
    assert torch.equal(Stack([Pass()], dropout=0.5)(x)[0], x)
    stack = Stack([Pass(), Pass(), Pass()], dropout=0.5)
    outputs, _ = stack(x)
    assert set(outputs.unique().tolist()) == {0.0, 4.0}  # twice dropped, twice scaled by 1 / (1 - p)
    assert abs((outputs == 0).float().mean().item() - 0.75) < 0.03
    assert torch.equal(stack.eval()(x)[0], x)


def test_the_same_seed_gives_the_same_dropout():
    stack = Stack(lambda size: LSTM(size, H), I, 3, dropout=0.4)
    x = torch.randn(T, B, I)

    def run(seed):
        torch.manual_seed(seed)
        return stack(x)[0]

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


# ---------------------------------------------------------------- residual


def test_residual_adds_a_layers_input_where_the_sizes_allow():
    cells = [GRU(I, H), GRU(H, H), GRU(H, 2)]
    x = torch.randn(T, B, I)
    outputs, _ = Stack(cells, residual=True)(x)
    first, _ = Recurrent(cells[0])(x)
    second = Recurrent(cells[1])(first)[0] + first
    expected, _ = Recurrent(cells[2])(second)
    assert torch.equal(outputs, expected)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_residual_keeps_the_padding_out(bidirectional):
    stack = Stack(lambda size: GRU(size, I), I, 2, residual=True, bidirectional=bidirectional, merge="sum")
    padding = torch.arange(T)[:, None] >= LENGTHS
    x = torch.randn(T, B, I).masked_fill(padding[..., None], torch.nan).requires_grad_()
    outputs, _ = stack(x, lengths=LENGTHS)
    assert (outputs[padding] == 0).all()
    outputs.square().sum().backward()
    assert (x.grad[padding] == 0).all()
    assert x.grad[~padding].ne(0).all()
    for b, length in enumerate(LENGTHS.tolist()[:2]):
        alone, _ = stack(x[:length, b : b + 1].detach())
        close(outputs[:length, b], alone[:, 0])


# ---------------------------------------------------------------- construction


class Noisy(GRU):
    """Draws random numbers in its step and has a batch norm, which one row cannot train."""

    def __init__(self, size):
        super().__init__(size, H)
        self.norm = nn.BatchNorm1d(H)

    def step(self, x, h):
        h = self.norm(super().step(x, h)[0]) + torch.randn(())
        return h, h


@pytest.mark.parametrize("make", [lambda size: LSTM(size, H), Noisy])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_construction_draws_the_parameters_and_nothing_else(make, bidirectional):
    torch.manual_seed(4)
    stack = Stack(make, I, 2, bidirectional=bidirectional, dropout=0.5)
    after = torch.rand(5)
    torch.manual_seed(4)
    directions = 2 if bidirectional else 1
    cells = [make(size) for size in [I] * directions + [directions * H] * directions]
    assert torch.equal(torch.rand(5), after)
    mine, theirs = list(stack.parameters()), [p for cell in cells for p in cell.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert all(module.training for module in stack.modules())
    for name, buffer in stack.named_buffers():
        if name.endswith("num_batches_tracked"):
            assert buffer == 0


def test_the_same_cell_twice_shares_its_weights():
    cell = GRU(I, I)
    stack = Stack([cell, cell])
    x = torch.randn(T, B, I)
    outputs, ends = stack(x)
    once, first = Recurrent(cell)(x)
    assert torch.equal(outputs, Recurrent(cell)(once)[0])
    assert torch.equal(ends[0], first)
    assert len(list(stack.parameters())) == 4


class Embedded(Cell):
    """Reads ids: (T, B) of whole numbers, so that zeros of floats cannot probe it."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.table = torch.nn.Embedding(input_size, hidden_size)

    def step(self, x, h):
        h = torch.tanh(self.table(x) + h)
        return h, h


def test_a_single_layer_of_ids_needs_no_probe():
    stack = Stack(lambda size: Embedded(size, 5), 7, 1)
    outputs, _ = stack(torch.randint(7, (4, 2)))
    assert outputs.shape == (4, 2, 5)


def test_output_size_of_both_directions():
    def factory(size):
        return GRU(size, 5)

    assert Stack(factory, 3, 2).output_size == 5
    assert Stack(factory, 3, 2, bidirectional=True).output_size == 10
    assert Stack(factory, 3, 2, bidirectional=True, merge="sum").output_size == 5
    assert Stack([GRU(3, 5)]).output_size is None
