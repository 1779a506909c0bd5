"""Whole sequences without gradients: the function that runs them again gives what the usual path gives, or nothing."""

import copy

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from unrolled import Bidirectional, Cell, InputError, Recurrent, Stack
from unrolled.cells import GRU, LSTM, Elman, Jordan
from unrolled.compiler import stepper
from unrolled.layers import streaming
from unrolled.layers.streaming import SEQUENCES

T, B, I, H = 9, 3, 5, 20  # noqa: E741


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(5)


class LearnedStart(Cell):
    """Its first state is a parameter, and its output a tuple."""

    def __init__(self, input_size=I, hidden_size=H):
        super().__init__()
        self.w = nn.Linear(input_size + hidden_size, hidden_size)
        self.first = nn.Parameter(torch.randn(hidden_size))

    def initial_state(self, batch_size):
        return self.first.expand(batch_size, -1)

    def step(self, x, h):
        h = torch.tanh(self.w(torch.cat([x, h], -1)))
        return (h, h.sum(-1, keepdim=True)), h


def flat(tree):
    return [leaf for child in tree for leaf in flat(child)] if isinstance(tree, tuple) else [tree]


def assert_same(found, expected):
    for a, b in zip(flat(found), flat(expected), strict=True):
        assert (a.shape, a.stride(), a.dtype, a.requires_grad) == (b.shape, b.stride(), b.dtype, b.requires_grad)
        assert torch.equal(a, b)


def warm(layer, *given):
    for _ in range(4):
        layer(*given)


def is_served(layer, x, state=None):
    """Whether a function serves; it then gives the very bits, shapes and structure of the usual path."""
    found = layer._again(x, state)[0] if id(layer) in SEQUENCES else None
    if found is None:
        return False
    known = SEQUENCES.pop(id(layer))
    usual = layer(x, state)
    SEQUENCES[id(layer)] = known
    assert type(found[1]) is type(usual[1])
    assert_same(found, usual)
    return True


@pytest.mark.parametrize("cell", [Elman, GRU, LSTM, Jordan, LearnedStart])
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"batch_first": True}])
@torch.no_grad()
def test_the_very_bits_of_the_usual_path(cell, options):
    layer = Recurrent(cell(I, H, 4) if cell is Jordan else cell(I, H), backend="compiled", **options)
    for steps, batch in ((T, B), (1, 1), (1, 40), (40, 1), (3, 70)):
        x = torch.randn(batch, steps, I) if layer.batch_first else torch.randn(steps, batch, I)
        state = layer(x)[1]
        warm(layer, x)
        assert is_served(layer, x)
        assert is_served(layer, x, state) or (cell is LearnedStart and batch == 1)  # whose strides are others
        assert_same(layer(x), layer(x))
        outputs, last = layer(x)
        flat(outputs)[0].zero_()  # nobody else's
        flat(last)[0].zero_()
        assert is_served(layer, x)


@torch.no_grad()
def test_what_has_changed_is_seen():
    layer, x = Recurrent(LSTM(I, H), backend="compiled"), torch.randn(T, B, I)
    for change in (
        lambda: layer.cell.weight_hh.mul_(0.5),
        lambda: layer.cell.weight_ih.data.add_(1),
        lambda: setattr(layer.cell, "bias_ih", nn.Parameter(torch.randn(4 * H))),
        lambda: setattr(layer, "cell", LSTM(I, H)),
        lambda: setattr(layer, "reverse", True),
        lambda: setattr(layer, "batch_first", True),
        lambda: layer.double(),
    ):
        warm(layer, x)
        assert is_served(layer, x)
        change()
        if layer.cell.weight_hh.dtype == torch.float64:
            x = x.double()
        expected = Recurrent(layer.cell, reverse=layer.reverse, batch_first=layer.batch_first, backend="reference")(x)
        for a, b in zip(flat(layer(x)), flat(expected), strict=True):
            torch.testing.assert_close(a, b)


@torch.no_grad()
def test_other_calls_go_the_usual_way():
    layer, x = Recurrent(GRU(I, H), backend="compiled"), torch.randn(T, B, I)
    warm(layer, x)
    assert is_served(layer, x)
    assert not is_served(layer, x[:-1])
    assert not is_served(layer, torch.randn(T, 2 * B, I)[:, ::2])
    assert not is_served(layer, x.double())
    lengths = torch.tensor([T, 2, 0])
    assert layer(x, lengths=lengths)[0][3:, 1:].abs().sum() == 0
    reset = torch.ones(T, B, dtype=torch.bool)
    torch.testing.assert_close(layer(x, reset=reset)[1], layer(x[-1:])[1])
    with torch.enable_grad():
        assert layer(x)[0].requires_grad
    layer.return_all_states = True
    assert len(layer(x)) == 3
    layer.return_all_states, layer.checkpoint_every = False, 2
    assert_same(layer(x), Recurrent(layer.cell, backend="compiled")(x))
    layer.checkpoint_every = None
    for wrong in (x[0], x[..., :-1], x[0, 0]):
        with pytest.raises(InputError):
            layer(wrong)
    with pytest.raises(InputError, match="steps"):
        layer(x, steps=T)
    copied = copy.deepcopy(layer)
    copied.cell.weight_hh.zero_()
    assert not torch.equal(copied(x)[0], layer(x)[0])


@torch.no_grad()
def test_a_step_and_a_sequence_of_one_layer():
    layer, x = Recurrent(Elman(I, H), backend="compiled"), torch.randn(T, B, I)
    for _ in range(5):
        outputs, last = layer(x)
        state = layer.initial_state(B)
        for t in range(T):
            output, state = layer.step(x[t], state)
            assert torch.equal(output, outputs[t])
        assert torch.equal(state, last)
    assert is_served(layer, x)


@torch.no_grad()
def test_threads_and_layers_of_layers():
    layers = [Stack(lambda size: GRU(size, H), I, 2), Bidirectional(GRU(I, H), GRU(I, H))]
    for layer in layers:
        x = torch.randn(T, B, I)
        expected = layer(x)
        warm(layer, x)
        before = torch.get_num_threads()
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for _ in range(4):
                for a, b in zip(flat(layer(x)), flat(expected), strict=True):
                    assert torch.equal(a, b)
        torch.set_num_threads(before)
        assert any(id(part) in SEQUENCES for part in layer.modules())


def test_a_layer_that_is_gone_leaves_nothing():
    layer, x = Recurrent(Elman(I, H), backend="compiled"), torch.randn(T, B, I)
    with torch.no_grad():
        warm(layer, x)
    place = id(layer)
    assert place in SEQUENCES
    del layer
    assert place not in SEQUENCES


def gradients(layer, x, state=None):
    """Outputs, last state and every gradient, from random ones of all that comes out."""
    x = x.clone().requires_grad_()
    state = None if state is None else tuple(part.clone().requires_grad_() for part in state)
    outputs, last = layer(x, state)
    made = [part for part in flat((outputs, last)) if part.requires_grad]
    torch.manual_seed(8)
    wanted = [x, *(state or ()), *layer.parameters()]
    return [*made, *torch.autograd.grad(made, wanted, [torch.randn_like(part) for part in made])]


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"batch_first": True}])
@pytest.mark.parametrize("cell", [LSTM, LearnedStart])
def test_gradients_of_the_usual_path(cell, options):
    layer, x = Recurrent(cell(I, H), backend="compiled", **options), torch.randn(T, B, I)
    batch = T if layer.batch_first else B
    states = [None, (torch.randn(batch, H), torch.randn(batch, H))] if cell is LSTM else [None]
    if cell is LSTM:
        states[1] = type(layer.initial_state(1))(*states[1])
    for state in states:
        usual = gradients(layer, x, state)
        streaming._forget_all()
        for _ in range(4):
            for a, b in zip(gradients(layer, x, state), usual, strict=True):
                assert torch.equal(a, b)
        assert SEQUENCES[id(layer)]


def test_gradients_after_a_change_and_twice():
    layer, x = Recurrent(LSTM(I, H), backend="compiled"), torch.randn(T, B, I)
    for change in (
        lambda: None,
        lambda: layer.cell.weight_hh.data.mul_(0.5),
        lambda: layer.cell.weight_hh.requires_grad_(False),
        lambda: setattr(layer.cell, "bias_ih", nn.Parameter(torch.randn(4 * H))),
    ):
        warm(layer, x)
        with torch.no_grad():
            warm(layer, x)
            change()
        reference = Recurrent(layer.cell, backend="reference")
        wanted = [p for p in layer.parameters() if p.requires_grad]
        for a, b in zip(
            *(torch.autograd.grad(r(x)[0].square().sum(), wanted) for r in (layer, reference)), strict=True
        ):
            torch.testing.assert_close(a, b)
    double, small = Recurrent(LSTM(2, 3), backend="compiled").double(), torch.randn(3, 2, 2, dtype=torch.float64)
    for _ in range(4):
        double(small.clone().requires_grad_())
    assert torch.autograd.gradgradcheck(lambda x: double(x)[0], small.requires_grad_())


CONTEXTS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "forward differentiation": forward_ad.dual_level,
    "anomaly detection": torch.autograd.detect_anomaly,
}


@pytest.mark.filterwarnings("ignore:Anomaly")
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("learning", [False, True])
def test_contexts_in_which_it_does_not_serve(context, learning):
    layer, x = Recurrent(GRU(I, H), backend="compiled"), torch.randn(T, B, I)
    with torch.set_grad_enabled(learning):
        warm(layer, x)
        assert layer._again(x, None)[0] is not None
        with CONTEXTS[context]():
            assert layer._again(x, None)[0] is None
        assert layer._again(x, None)[0] is not None


@pytest.mark.filterwarnings("ignore:Not compiled")
def test_transforms_go_the_usual_way():
    layer, x = Recurrent(GRU(I, H)), torch.randn(T, B, I)
    reference = Recurrent(layer.cell, backend="reference")
    warm(layer, x)
    found = torch.func.grad(lambda x: layer(x)[0].square().sum())(x)
    torch.testing.assert_close(found, torch.func.grad(lambda x: reference(x)[0].square().sum())(x))
    many = torch.func.vmap(lambda x: layer(x)[0])(torch.stack([x, 2 * x]))
    torch.testing.assert_close(many[1], reference(2 * x)[0])


class Noisy(Cell):
    """It draws random numbers, as many as it is called for."""

    hidden_size = H

    def step(self, x, h):
        h = torch.tanh(x + h) + torch.rand_like(h)
        return h, h


def test_random_numbers_are_drawn_once_a_call(monkeypatch):
    layer, x = Recurrent(Noisy(), backend="compiled"), torch.randn(T, B, H).requires_grad_()
    torch.manual_seed(2)
    found = [layer(x)[0] for _ in range(6)]
    monkeypatch.setattr("unrolled.layers.recurrent.note_usual", lambda *_, **__: None)
    torch.manual_seed(2)
    for outputs in found:
        assert torch.equal(layer(x)[0], outputs)


class RandomStart(Cell):
    hidden_size = H

    def initial_state(self, batch_size):
        return torch.randn(batch_size, H)

    def step(self, x, h):
        h = torch.tanh(x + h)
        return h, h


def test_a_random_first_state_is_drawn_once_a_call():
    warmed, x = Recurrent(RandomStart(), backend="compiled"), torch.randn(T, B, H)
    warm(warmed, x)
    for steps in (T, T - 1):
        torch.manual_seed(4)
        expected = Recurrent(RandomStart(), backend="compiled")(x[:steps])[1], torch.randn(3)
        torch.manual_seed(4)
        assert_same((warmed(x[:steps])[1], torch.randn(3)), expected)


def test_within_a_checkpoint_of_the_users():
    layer, x = Recurrent(GRU(I, H), backend="compiled"), torch.randn(T, B, I).requires_grad_()
    for _ in range(6):
        checkpoint(layer, x, use_reentrant=False)[0].sum().backward()
    assert SEQUENCES[id(layer)]


def test_the_backend_that_is_named_later_is_run(monkeypatch):
    layer, x = Recurrent(GRU(I, H)), torch.randn(T, B, I)
    warm(layer, x)
    assert layer._again(x, None)[0] is not None
    monkeypatch.setenv("UNROLLED_BACKEND", "reference")
    assert layer._again(x, None)[0] is None
    monkeypatch.setenv("UNROLLED_BACKEND", "nosuch")
    with pytest.raises(InputError, match="UNROLLED_BACKEND"):
        layer(x)


def test_a_call_that_is_never_served_is_not_prepared_again_and_again(monkeypatch):
    layer, x = Recurrent(GRU(I, H), backend="compiled"), torch.randn(T, B, I)
    made = []
    monkeypatch.setattr("unrolled.layers.recurrent.SEQUENCES", {})  # where nobody looks
    make_again = stepper.make_again
    monkeypatch.setattr(stepper, "make_again", lambda *a, **k: (made.append(1), make_again(*a, **k))[1])
    for _ in range(200):
        layer(x)
    assert 0 < len(made) < 12


def test_the_graph_of_one_call_does_not_hold_the_next():
    layer, x = Recurrent(LSTM(I, H), backend="compiled"), torch.randn(T, B, I)
    warm(layer, x)
    first, second = layer(x)[0], layer(2 * x)[0]
    expected = torch.autograd.grad(layer(2 * x)[0].sum(), layer.cell.weight_ih)[0]
    assert torch.equal(torch.autograd.grad(second.sum(), layer.cell.weight_ih)[0], expected)
    first.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        first.sum().backward()


def test_single_numbers_that_are_changed_behind_pytorch_are_seen():
    """As a numerical derivative does."""
    layer, x = Recurrent(LSTM(4, 6), backend="compiled").double(), torch.randn(3, 2, 4).double()
    with torch.no_grad():
        for _ in range(4):
            layer(x)
    assert torch.autograd.gradcheck(lambda *_: layer(x)[0], tuple(layer.parameters()))


def test_a_function_that_was_crowded_out_is_made_again():
    layer = Recurrent(LSTM(I, H))

    def call(rows, times=3):
        for _ in range(times):
            layer(torch.randn(T, rows, I))

    call(4)
    with torch.no_grad():
        for rows in (1, 2, 3, 5):  # as many functions as are kept: that of the first calls is gone
            call(rows)
    assert len(SEQUENCES[id(layer)]) == 4
    call(4, 4)
    assert streaming._STREAMS[id(layer), False].failed == 0
    assert layer._again(torch.randn(T, 4, I), None)[0] is not None
