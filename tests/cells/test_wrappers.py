"""Wrappers of cells: their formulas by hand, the same numbers on every backend, in all that runs cells."""

import copy
import pickle
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from unrolled import Bidirectional, Cell, InputError, InputTypeError, Recurrent, Stack, unroll
from unrolled.cells import GRU, LSTM, RNN, Elman
from unrolled.cells.wrappers import InputNorm, Residual, VariationalDropout, WeightDrop, Zoneout
from unrolled.compiler import engine
from unrolled.core import leaves, map_tree, unflatten

close = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)
T, B, I, H = 6, 4, 3, 5  # noqa: E741
LENGTHS = [6, 0, 3, 5]
RESET = torch.rand(T, B, generator=torch.Generator().manual_seed(4)) < 0.4
DRAWING = {"recurrent_dropout": 0.4, "zoneout": 0.3, "weight_drop": 0.25}


class TwoState(NamedTuple):
    """A state of its own: numbers, and a count of whole numbers."""

    s: Tensor
    count: Tensor


class Own(Cell):
    """A cell of one's own, with a matrix as state, a count, and an inner module."""

    input_size = I

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(I, 2)
        self.rate = nn.Parameter(torch.rand(2, 2))

    def initial_state(self, batch_size, *, device=None, dtype=None):
        like = self.rate
        return TwoState(like.new_zeros(batch_size, 2, 2), torch.zeros(batch_size, 1, dtype=torch.int64))

    def step(self, x, state):
        s = torch.tanh(self.rate * state.s + self.inner(x)[:, None])
        return s.sum(1).repeat(1, 2)[:, :I], TwoState(s, state.count + 1)


CELLS = {
    "residual": lambda: Residual(GRU(I, I)),
    "zoneout": lambda: Zoneout(LSTM(I, H), (0.2, 0.6)),
    "zoneout_of_a_drawing_cell": lambda: Zoneout(GRU(I, H, **DRAWING), 0.3),
    "dropout": lambda: VariationalDropout(LSTM(I, H), input=0.3, output=0.4, state=(0.5, 0.0)),
    "norm": lambda: InputNorm(LSTM(I, H, **DRAWING)),
    "weight_drop": lambda: WeightDrop(LSTM(I, H), 0.5, names=("weight_hh", "bias_ih")),
    "all": lambda: Residual(
        WeightDrop(Zoneout(VariationalDropout(InputNorm(GRU(I, I, **DRAWING)), input=0.3, output=0.2), 0.2), 0.4)
    ),
    "own": lambda: Residual(Zoneout(VariationalDropout(WeightDrop(Own(), 0.3, "inner.weight"), output=0.5), 0.4)),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(31)


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def made(name):
    cell = CELLS[name]().double()
    for parameter in cell.parameters():
        nn.init.normal_(parameter)
    return cell


def seeded(layer, *args, seed=5, **kwargs):
    torch.manual_seed(seed)
    return layer(*args, **kwargs)


def with_gradients(layer, x, **kwargs):
    x = x.clone().requires_grad_()
    outputs, end = seeded(layer, x, **kwargs)
    loss = outputs.square().sum() + sum(leaf.sin().sum() for leaf in leaves(end))
    grads = torch.autograd.grad(loss, [x, *layer.parameters()], allow_unused=True)
    return [outputs, *leaves(end), *(g for g in grads if g is not None)]


# ---------------------------------------------------------------- every backend, every way to run

WAYS = {"plain": {}, "ragged_reverse": {"reverse": True, "lengths": LENGTHS, "reset": RESET}}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CELLS)
def test_the_same_seed_gives_the_same_on_every_backend(name, way, training):
    cell, x = made(name).train(training), rand(T, B, I)
    options = dict(WAYS[way])
    reverse = options.pop("reverse", False)
    truth = with_gradients(Recurrent(cell, reverse=reverse, backend="reference"), x, **options)
    layer = Recurrent(cell, reverse=reverse, backend="compiled")  # a backend that is named never falls back
    found = with_gradients(layer, x, **options)
    close(found, truth)
    other = seeded(layer, x, seed=6, **options)[0]
    draws = name != "residual"
    assert torch.equal(other, found[0]) != (training and draws)


@pytest.mark.parametrize("name", ["all", "own"])
def test_padding_and_computing_again_change_nothing(name):
    cell, x = made(name), rand(T, B, I)
    whole = with_gradients(Recurrent(cell), x, lengths=LENGTHS)
    close(with_gradients(Recurrent(cell, checkpoint_every=4), x, lengths=LENGTHS), whole)
    padded = x.clone()
    for row, length in enumerate(LENGTHS):
        padded[length:, row] = torch.nan
    found = with_gradients(Recurrent(cell), padded, lengths=LENGTHS)
    close(found, whole)


@pytest.mark.parametrize("name", CELLS)
def test_step_by_step_is_the_whole_in_evaluation(name):
    layer, x = Recurrent(made(name).eval()), rand(T, B, I)
    outputs, end = layer(x)
    state = None
    with torch.no_grad():
        for t in range(T):
            output, state = layer.step(x[t], state)
            close(output, outputs[t])
    close(tuple(leaves(state)), tuple(leaves(end)))


def test_training_and_evaluation_take_turns():
    """A call that was prepared in evaluation is not used in training, also where only a cell inside draws."""
    layer, x = Recurrent(Residual(GRU(I, I, zoneout=0.5)).double()), rand(T, B, I)
    truth = Recurrent(layer.cell, backend="reference")
    with torch.no_grad():
        for _ in range(2):
            layer.eval()
            for _ in range(5):
                close(seeded(layer, x)[0], seeded(truth, x)[0])
            layer.train()
            for seed in range(5):
                close(seeded(layer, x, seed=seed)[0], seeded(truth, x, seed=seed)[0])


def test_nothing_is_traced_twice(monkeypatch):
    layer, x = Recurrent(made("all"), backend="compiled"), rand(T, B, I)
    first = seeded(layer, x)[0]
    monkeypatch.setattr(engine, "_find_or_build", None)
    for _ in range(4):
        assert torch.equal(seeded(layer, x)[0], first)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_differences(name, training):
    """In training with what was drawn held fast."""
    layer, x = Recurrent(made(name).train(training), backend="compiled"), rand(3, 2, I).requires_grad_()
    start = map_tree(lambda s: rand(*s.shape).requires_grad_() if s.is_floating_point() else s, layer.initial_state(2))
    names = [n for n, _ in layer.named_parameters()]
    states = [leaf for leaf in leaves(start) if leaf.requires_grad]

    def run(x, *tensors):
        values = dict(zip(names, tensors[len(states) :], strict=True))
        given = iter(tensors)
        begin = unflatten(start, [next(given) if leaf.requires_grad else leaf for leaf in leaves(start)])
        torch.manual_seed(5)
        outputs, end = functional_call(layer, values, (x, begin), {"lengths": [3, 2]})
        return outputs, *(leaf for leaf in leaves(end) if leaf.is_floating_point())

    parameters = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    assert torch.autograd.gradcheck(run, (x, *states, *parameters))


# ---------------------------------------------------------------- each by hand


def test_residual_by_hand():
    inside = LSTM(I, I).double()
    x = rand(T, B, I)
    outputs, end = Recurrent(Residual(inside))(x)
    expected, expected_end = Recurrent(inside)(x)
    assert torch.equal(outputs, expected + x)
    assert torch.equal(end.c, expected_end.c)
    pairs = x, torch.rand(T, B, 1).double()  # of x and the time since the last step, x is added
    inside = GRU(I, I, time_decay=True).double()
    assert torch.equal(Recurrent(Residual(inside))(pairs)[0], Recurrent(inside)(pairs)[0] + x)


def test_zoneout_is_that_of_the_cells_that_have_it():
    x = rand(T, B, I)
    for make, p in ((LSTM, (0.2, 0.6)), (GRU, 0.4), (RNN, 0.1)):
        own = make(I, H, zoneout=p).double()
        plain = make(I, H).double()
        plain.load_state_dict(own.state_dict())
        for training in (True, False):
            wrapped = Recurrent(Zoneout(plain, p).train(training))
            expected = seeded(Recurrent(own.train(training)), x)
            found = seeded(wrapped, x)
            close(found[0], expected[0])
            close(tuple(leaves(found[1])), tuple(leaves(expected[1])))


def test_zoneout_of_an_output_that_is_no_state():
    inside, x = Elman(I, H, 2).double(), rand(T, B, I)
    cell = Zoneout(inside, 0.5)
    torch.manual_seed(5)
    (kept,), nothing = cell.draw(T, B)
    assert nothing == ()
    outputs, end = seeded(Recurrent(cell), x)
    h = torch.zeros(B, H).double()
    for t in range(T):
        y, new = inside.step(x[t], h)
        h = torch.where(kept[t], h, new)
        close(outputs[t], y)
    close(end, h)


def test_dropout_by_hand():
    inside, x = LSTM(I, H).double(), rand(T, B, I)
    cell = VariationalDropout(inside, input=0.3, output=0.4, state=(0.5, 0.0))
    torch.manual_seed(5)
    (of_x, of_h, of_y), _ = cell.draw(T, B)
    for mask, p, size in ((of_x, 0.3, I), (of_h, 0.5, H), (of_y, 0.4, H)):
        assert mask.shape == (T, B, size)
        assert mask.untyped_storage().nbytes() == 8 * B * size  # the memory of one step
        assert {*mask.unique().tolist()} == {0.0, 1 / (1 - p)}
        assert not torch.equal(mask[0, 0], mask[0, 1])
    outputs, end = seeded(Recurrent(cell), x)
    state = inside.initial_state(B)
    for t in range(T):
        y, state = inside.step(x[t] * of_x[0], (state[0] * of_h[0], state[1]))
        close(outputs[t], y * of_y[0])
    close(tuple(end), tuple(state))


def test_dropout_of_h_is_the_recurrent_dropout_of_an_lstm():
    own = LSTM(I, H, recurrent_dropout=0.5).double()
    plain = LSTM(I, H).double()
    plain.load_state_dict(own.state_dict())
    x = rand(T, B, I)
    close(
        seeded(Recurrent(VariationalDropout(plain, state=(0.5, 0.0))), x)[0],
        seeded(Recurrent(own), x)[0],
    )


def test_norm_by_hand():
    cell, x = InputNorm(GRU(I, H), eps=1e-3).double(), 3 * rand(T, B, I) + 1
    nn.init.normal_(cell.norm.weight)
    nn.init.normal_(cell.norm.bias)
    middle = x - x.mean(-1, keepdim=True)
    normed = middle / torch.sqrt(middle.square().mean(-1, keepdim=True) + 1e-3)
    expected, _ = Recurrent(cell.cell)(normed * cell.norm.weight + cell.norm.bias)
    close(Recurrent(cell)(x)[0], expected)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_weight_drop_by_hand(depth):
    inside, x = LSTM(I, I).double(), rand(T, B, I)
    within = inside
    for _ in range(depth):
        within = Residual(within)
    cell = WeightDrop(within, 0.5, names=("weight_ih", "weight_hh"))
    before = copy.deepcopy(inside.state_dict())
    outputs, _ = seeded(Recurrent(cell), x)
    torch.manual_seed(5)
    plain = copy.deepcopy(within)
    dropped = plain
    for _ in range(depth):
        dropped = dropped.cell
    dropped.weight_ih.data = F.dropout(dropped.weight_ih.data, 0.5)
    dropped.weight_hh.data = F.dropout(dropped.weight_hh.data, 0.5)
    expected, _ = Recurrent(plain)(x)
    close(outputs, expected)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    close(inside.weight_hh.grad, dropped.weight_hh.grad * (dropped.weight_hh != 0) * 2)
    close(inside.bias_ih.grad, dropped.bias_ih.grad)
    assert all(torch.equal(inside.state_dict()[name], value) for name, value in before.items())


def test_a_cells_own_weight_drop_is_kept_when_it_is_wrapped():
    own = GRU(I, I, weight_drop=0.5).double()
    x = rand(T, B, I)
    assert torch.equal(seeded(Recurrent(Residual(own)), x)[0], seeded(Recurrent(own), x)[0] + x)


def test_a_buffer_may_be_dropped_too():
    class Fixed(Cell):
        hidden_size = 1

        def __init__(self):
            super().__init__()
            self.register_buffer("gain", torch.ones(100))

        def step(self, x, h):
            return h + self.gain, h

    outputs, _ = Recurrent(WeightDrop(Fixed(), 0.5, "gain"))(torch.zeros(2, 1, 1))
    assert {*outputs.unique().tolist()} == {0.0, 2.0}


@pytest.mark.parametrize(
    "wrap",
    [
        partial(Zoneout, p=0.0),
        VariationalDropout,
        partial(WeightDrop, p=0.0),
        lambda cell: VariationalDropout(cell, input=0.5, output=0.5, state=0.5).eval(),
        lambda cell: WeightDrop(cell, 0.5).eval(),
    ],
)
@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_a_probability_of_0_and_evaluation_are_the_plain_cell(wrap, backend):
    plain, x = LSTM(I, H), torch.randn(T, B, I)
    expected, end = Recurrent(plain, backend=backend)(x)
    before = torch.get_rng_state()
    outputs, other_end = Recurrent(wrap(plain), backend=backend)(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(outputs, expected)
    assert all(torch.equal(a, b) for a, b in zip(other_end, end, strict=True))


# ---------------------------------------------------------------- layers, and what else takes cells


def test_stacks_and_both_directions():
    x = rand(T, B, I)
    stack = Stack(lambda size: WeightDrop(Zoneout(GRU(size, H), 0.3), 0.3), I, 2, bidirectional=True).double()
    outputs, end = seeded(stack, x, lengths=LENGTHS)
    torch.manual_seed(5)
    below = x
    for built in stack.layers:
        below, _ = Bidirectional(built.ahead.cell, built.back.cell)(below, lengths=LENGTHS)
    assert torch.equal(below, outputs)
    assert not torch.equal(seeded(stack, x, seed=6)[0], outputs)
    assert len(end) == 2


def test_all_states_copies_and_pickles():
    cell, x = made("all"), rand(T, B, I)
    outputs, end, states = seeded(Recurrent(cell, return_all_states=True), x)
    assert torch.equal(states[-1], end)
    for other in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert torch.equal(seeded(Recurrent(other), x)[0], outputs)
    again = CELLS["all"]().double()
    again.load_state_dict(cell.state_dict())
    assert torch.equal(seeded(Recurrent(again), x)[0], outputs)


def test_a_wrapper_called_as_a_module_draws():
    cell, x = made("dropout"), rand(B, I)
    torch.manual_seed(5)
    output, _ = cell(x)
    close(output, seeded(Recurrent(cell), x[None])[0][0])


def test_a_cell_without_input_or_parameters():
    class Counting(Cell):
        hidden_size = 1

        def step(self, x, h):
            return h, h + 1

    layer = Recurrent(Zoneout(Counting(), 0.5))
    outputs, _ = seeded(layer, None, torch.zeros(B, 1), steps=T)
    torch.manual_seed(5)
    (kept,), _ = layer.cell.draw(T, B)
    close(outputs[1:], (~kept[:-1]).float().cumsum(0))
    fixed = layer.cell.eval()
    outputs, _ = unroll(fixed.step, None, torch.zeros(B, 1), steps=T)
    close(outputs[:, 0, 0], torch.arange(T) / 2)


# ---------------------------------------------------------------- errors


class Nameless(Cell):
    hidden_size = H

    def step(self, x, h):
        return h, h


def test_errors():
    with pytest.raises(InputTypeError, match=r"cell: expected a Cell, with step and initial_state, got Linear"):
        Residual(nn.Linear(3, 3))
    with pytest.raises(InputError, match=r"got \(3,\) in and \(5,\) out\. Make hidden_size = input_size"):
        Recurrent(Residual(GRU(I, H)))(torch.zeros(T, B, I))
    for wrong in (1.0, -0.1, "0.5", True, (0.1, 1.5)):
        with pytest.raises(InputError, match=r"p: expected a probability, at least 0 and below 1"):
            Zoneout(LSTM(I, H), wrong)
    for wrong in ((0.1,), (0.1, (0.2, 0.3)), (0.1, 0.2, 0.3)):
        with pytest.raises(InputError, match=r"p: expected one number, or a tuple with one for each tensor of the"):
            Zoneout(LSTM(I, H), wrong)
    with pytest.raises(InputError, match=r"p: expected 0 for a tensor of the state that is torch.int64, got 0.1"):
        Zoneout(Own(), (0.1, 0.1))
    with pytest.raises(InputError, match=r"input_size: expected the features of x, .* Nameless does not name"):
        VariationalDropout(Nameless(), input=0.5)
    with pytest.raises(InputError, match=r"input_size: expected the features of x, .* Nameless does not name"):
        InputNorm(Nameless())
    with pytest.raises(InputError, match=r"output_size: expected a size, since a step over zeros does not tell it: x:"):
        VariationalDropout(GRU(I, H, time_decay=True), output=0.5)
    with pytest.raises(InputError, match=r"names: expected weights of GRU, weight_ih, weight_hh, .*, got 'weight_xh'"):
        WeightDrop(GRU(I, H), 0.5, names="weight_xh")


def test_sizes_that_a_cell_does_not_name_may_be_given():
    cell = VariationalDropout(GRU(I, H, time_decay=True).double(), input=0.5, output=0.5, output_size=H)
    x = rand(T, B, I), torch.rand(T, B, 1).double()
    torch.manual_seed(5)
    (of_x, of_y), _ = cell.draw(T, B)
    expected, _ = Recurrent(cell.cell)((x[0] * of_x, x[1]))
    close(seeded(Recurrent(cell), x)[0], expected * of_y)
    assert Recurrent(VariationalDropout(Nameless(), input=0.5, input_size=7))(torch.zeros(T, B, 7))[0].shape[-1] == H
