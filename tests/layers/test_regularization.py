"""Recurrent dropout, zoneout and weight drop: the same numbers on every backend, masks where they belong."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unrolled import Bidirectional, Cell, InputError, Recurrent, Stack
from unrolled.cells import GRU, LSTM, RNN
from unrolled.compiler import engine
from unrolled.core import leaves

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-10)
T, B, I, H, P = 6, 4, 3, 5, 2  # noqa: E741
LENGTHS = [6, 0, 3, 5]
RESET = torch.rand(T, B, generator=torch.Generator().manual_seed(4)) < 0.4
BACKENDS = ["reference", "plan", "compiled"]
ALL = {"recurrent_dropout": 0.4, "zoneout": 0.3, "weight_drop": 0.25}
CELLS = {
    "lstm": partial(LSTM, I, H, **ALL),
    "lstm_pair": partial(LSTM, I, H, zoneout=(0.1, 0.5)),
    "lstm_projection": partial(LSTM, I, H, proj_size=P, **ALL),
    "gru": partial(GRU, I, H, **ALL),
    "gru_before_projection": partial(GRU, I, H, reset_after=False, proj_size=P, **ALL),
    "rnn": partial(RNN, I, H, **ALL),
    "dropout": partial(GRU, I, H, recurrent_dropout=0.5),
    "weight_drop": partial(LSTM, I, H, weight_drop=0.5),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(23)


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
    return [outputs, *leaves(end), *torch.autograd.grad(loss, [x, *layer.parameters()])]


# ---------------------------------------------------------------- every backend, every way to run


WAYS = {
    "plain": {},
    "ragged_reverse": {"reverse": True, "lengths": LENGTHS, "reset": RESET},
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CELLS)
def test_the_same_seed_gives_the_same_on_every_backend(name, way, training):
    cell, x = made(name).train(training), rand(T, B, I)
    options = dict(WAYS[way])
    reverse = options.pop("reverse", False)
    truth = with_gradients(Recurrent(cell, reverse=reverse, backend="reference"), x, **options)
    for backend in ("plan", "compiled"):
        layer = Recurrent(cell, reverse=reverse, backend=backend)
        found = with_gradients(layer, x, **options)
        close(found, truth)
        again = with_gradients(layer, x, **options)
        assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
        other = seeded(layer, x, seed=6, **options)[0]
        assert torch.equal(other, found[0]) != training


@pytest.mark.parametrize("backend", ["reference", "compiled"])
@pytest.mark.parametrize("name", ["lstm", "gru_before_projection"])
def test_what_is_computed_again_has_the_same_masks(name, backend):
    cell, x = made(name), rand(T, B, I)
    for reverse in (False, True):
        whole = with_gradients(Recurrent(cell, reverse=reverse, backend=backend), x, lengths=LENGTHS, reset=RESET)
        layer = Recurrent(cell, reverse=reverse, backend=backend, checkpoint_every=4)
        close(with_gradients(layer, x, lengths=LENGTHS, reset=RESET), whole)


@pytest.mark.parametrize("make", [LSTM, GRU, RNN])
def test_a_probability_of_0_and_evaluation_are_the_plain_cell(make):
    torch.manual_seed(1)
    plain = make(I, H)
    torch.manual_seed(1)
    cell = make(I, H, recurrent_dropout=0, zoneout=0.0, weight_drop=0.0)
    dropped = make(I, H, recurrent_dropout=0.5, weight_drop=0.5).eval()
    dropped.load_state_dict(plain.state_dict())
    x = torch.randn(T, B, I)
    for backend in BACKENDS:
        expected, end = Recurrent(plain, backend=backend)(x)
        for other in (cell, dropped):
            before = torch.get_rng_state()
            outputs, other_end = Recurrent(other, backend=backend)(x)
            assert torch.equal(torch.get_rng_state(), before)
            assert torch.equal(outputs, expected)
            assert all(torch.equal(a, b) for a, b in zip(leaves(other_end), leaves(end), strict=True))


def test_a_mask_belongs_to_its_step_and_row():
    cell, x = made("lstm"), rand(T, B, I)
    whole, _ = seeded(Recurrent(cell), x)
    padded = x.clone()
    padded[3:, 2] = torch.nan
    outputs, end = seeded(Recurrent(cell), padded, lengths=[6, 6, 3, 6])
    close(outputs[:3], whole[:3])
    close(outputs[:, [0, 1, 3]], whole[:, [0, 1, 3]])
    close(end.h[2], whole[2, 2])
    swapped, _ = seeded(Recurrent(cell, batch_first=True), x.transpose(0, 1))
    close(swapped.transpose(0, 1), whole)


# ---------------------------------------------------------------- each by hand


def test_recurrent_dropout_by_hand():
    cell, x = RNN(I, H, recurrent_dropout=0.4).double(), rand(T, B, I)
    torch.manual_seed(5)
    (mask,) = cell.draw(T, B)
    assert mask.shape == (T, B, H)
    assert (mask == mask[0]).all()
    assert {*mask.unique().tolist()} == {0.0, 1 / 0.6}
    outputs, _ = seeded(Recurrent(cell), x)
    h = torch.zeros(B, H).double()
    for t in range(T):
        of_h = (h * mask[0]) @ cell.weight_hh.T + cell.bias_hh
        h = torch.tanh(x[t] @ cell.weight_ih.T + cell.bias_ih + of_h)
        close(outputs[t], h)


def test_the_draw_of_recurrent_dropout_takes_the_memory_of_one_step():
    (mask,) = LSTM(I, H, recurrent_dropout=0.4).draw(1000, B)
    assert mask.untyped_storage().nbytes() == 4 * B * H


def test_zoneout_by_hand():
    cell, plain = LSTM(I, H, zoneout=(0.2, 0.6)).double(), LSTM(I, H).double()
    plain.load_state_dict(cell.state_dict())
    x = rand(T, B, I)
    torch.manual_seed(5)
    of_h, of_c = cell.draw(T, B)
    outputs, end = seeded(Recurrent(cell), x)
    h, c = plain.initial_state(B)
    for t in range(T):
        _, (h_new, c_new) = plain.step(x[t], (h, c))
        h, c = torch.where(of_h[t], h, h_new), torch.where(of_c[t], c, c_new)
        close(outputs[t], h)
    close(tuple(end), (h, c))
    h, c = plain.initial_state(B)
    outputs, _ = Recurrent(cell.eval())(x)
    for t in range(T):
        _, (h_new, c_new) = plain.step(x[t], (h, c))
        h, c = 0.2 * h + 0.8 * h_new, 0.6 * c + 0.4 * c_new
        close(outputs[t], h)


@pytest.mark.parametrize("kind", [LSTM, GRU, RNN])
def test_zoneout_is_its_expectation_on_average(kind):
    """Over one step the mean of n draws is the evaluation to some n^-1/2; every row is another draw."""
    cell, n = kind(I, H, zoneout=0.3).double(), 40_000
    x, state = rand(1, 1, I).expand(1, n, I), [rand(1, H).expand(n, H) for _ in range(2)]
    start = tuple(state) if kind is LSTM else state[0]
    drawn = Recurrent(cell)(x, start)
    expected = Recurrent(cell.eval())(x, start)
    for a, b in zip([drawn[0][0], *leaves(drawn[1])], [expected[0][0], *leaves(expected[1])], strict=True):
        spread = a.std(0).clamp(min=1e-12) / n**0.5
        assert ((a.mean(0) - b[0]).abs() < 5 * spread).all()
        assert not torch.equal(a[0], a[1])


def test_weight_drop_by_hand():
    cell, x = LSTM(I, H, weight_drop=0.5).double(), rand(T, B, I)
    layer, before = Recurrent(cell), cell.weight_hh.detach().clone()
    outputs, _ = seeded(layer, x)
    torch.manual_seed(5)
    weight = F.dropout(cell.weight_hh, 0.5)
    assert (weight == 0).any()
    plain = LSTM(I, H).double()
    plain.load_state_dict(cell.state_dict())
    plain.weight_hh.data.copy_(weight)
    expected, _ = Recurrent(plain)(x)
    close(outputs, expected)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    close(cell.weight_hh.grad, plain.weight_hh.grad * (weight != 0) * 2)
    close(cell.weight_ih.grad, plain.weight_ih.grad)
    assert torch.equal(cell.weight_hh, before)
    assert list(dict(layer.named_parameters())) == [f"cell.{name}" for name, _ in plain.named_parameters()]


def test_weight_drop_needs_the_parameter_itself():
    cell = nn.utils.parametrizations.orthogonal(GRU(I, H, weight_drop=0.1), "weight_hh")
    with pytest.raises(InputError, match=r"weight_drop: expected a parameter weight_hh of .* itself, got none"):
        Recurrent(cell)(torch.zeros(T, B, I))


# ---------------------------------------------------------------- layers


def test_two_sequences_of_one_layer_have_weights_of_their_own():
    layer, x = Recurrent(made("weight_drop"), backend="compiled"), rand(T, B, I)
    alone = [with_gradients(layer, x), None]
    torch.manual_seed(5)
    first = layer(x)[0]
    layer(x)  # another draw, before the way back of the first
    weights = torch.autograd.grad(first.square().sum(), layer.cell.weight_ih)
    torch.manual_seed(5)
    again = layer(x)[0]
    close(torch.autograd.grad(again.square().sum(), layer.cell.weight_ih), weights)
    close(first, alone[0][0])


def test_copies_pickles_and_threads():
    layer, x = Recurrent(made("lstm")), rand(T, B, I)
    outputs, _ = seeded(layer, x)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(seeded(other, x)[0], outputs)
    keys = set(layer.cell.__dict__)

    def train(_):
        out, _ = layer(x)
        return torch.autograd.grad(out.sum(), layer.cell.weight_hh)[0].isfinite().all()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(train, range(40)))
    assert set(layer.cell.__dict__) == keys
    assert torch.equal(seeded(layer, x)[0], outputs)


def test_nothing_is_traced_twice(monkeypatch):
    layers = [
        Recurrent(made("lstm"), backend="compiled"),
        Recurrent(made("weight_drop"), backend="compiled", return_all_states=True),
    ]
    x = rand(T, B, I)
    first = [seeded(layer, x) for layer in layers]
    monkeypatch.setattr(engine, "_find_or_build", None)
    for layer, expected in zip(layers, first, strict=True):
        for _ in range(4):
            found = seeded(layer, x)
            assert all(torch.equal(a, b) for a, b in zip(leaves(found), leaves(expected), strict=True))


@pytest.mark.parametrize("name", ["gru", "weight_drop", "lstm_pair"])
@pytest.mark.parametrize("gradients", [True, False])
def test_a_call_that_was_prepared_in_evaluation_draws_nothing_and_in_training_is_not_used(name, gradients):
    layer, x = Recurrent(made(name)), rand(T, B, I)
    truth = Recurrent(layer.cell, backend="reference")
    with torch.set_grad_enabled(gradients):
        for _ in range(2):
            layer.eval()
            expected = seeded(truth, x)[0]
            for _ in range(5):
                close(seeded(layer, x)[0], expected)
                close(layer.step(x[0])[0], expected[0])
            layer.train()
            for seed in range(5):
                close(seeded(layer, x, seed=seed)[0], seeded(truth, x, seed=seed)[0])
                torch.manual_seed(seed)
                one = layer.step(x[0])[0]
                close(one, seeded(truth, x[:1], seed=seed)[0][0])


def test_stacks_and_both_directions_draw_for_every_cell():
    x = rand(T, B, I)
    stack = Stack(lambda size: GRU(size, H, **ALL), I, 2, bidirectional=True).double()
    outputs, end = seeded(stack, x, lengths=LENGTHS)
    torch.manual_seed(5)
    below = x
    for built in stack.layers:
        below, _ = Bidirectional(built.ahead.cell, built.back.cell)(below, lengths=LENGTHS)
    assert torch.equal(below, outputs)
    assert not torch.equal(seeded(stack, x, seed=6)[0], outputs)
    assert len(end) == 2


# ---------------------------------------------------------------- cells of one's own


class Noisy(Cell):
    """Adds a drawn number to what it counts, with or without input."""

    hidden_size = 1

    def draw(self, steps, batch_size):
        return torch.rand(steps, batch_size, 1) if self.training else None

    def step(self, x, h, noise=None):
        h = h + (1 if x is None else x)
        return (h if noise is None else h + noise), h


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("with_input", [True, False])
def test_a_cell_of_ones_own(with_input, backend):
    layer = Recurrent(Noisy(), backend=backend)
    given = {"x": torch.ones(T, B, 1)} if with_input else {"x": None, "state": torch.zeros(B, 1), "steps": T}
    outputs, _ = seeded(layer, **given)
    torch.manual_seed(5)
    counted = torch.arange(1.0, T + 1)[:, None, None].expand(T, B, 1)
    close(outputs, counted + torch.rand(T, B, 1))
    close(seeded(layer.eval(), **given)[0], counted)


def test_a_step_whose_code_changes_is_traced_anew():
    class Changing(Noisy):
        pass

    layer, x = Recurrent(Changing(), backend="compiled"), torch.ones(T, B, 1)
    before, _ = seeded(layer, x)
    Changing.step = lambda self, x, h, noise=None: (2 * (h + x + noise), h + x)
    close(seeded(layer, x)[0], 2 * before)


def test_a_cell_called_as_a_module_draws_too():
    cell, x = GRU(I, H, zoneout=0.5).double(), rand(B, I)
    torch.manual_seed(5)
    output, _ = cell(x)
    close(output, seeded(Recurrent(cell), x[None])[0][0])
    close(cell.eval()(x)[0], Recurrent(cell)(x[None])[0][0])
