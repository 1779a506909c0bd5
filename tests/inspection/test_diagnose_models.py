"""What ``diagnose`` looks into, what stays as it was, and what is refused."""

import json
import math
import threading

import pytest
import torch
from torch import nn

import unrolled
from small_cells import SMALL
from unrolled import Recurrent, Stack, cells, diagnose
from unrolled.models import LanguageModel, SequenceToSequence, SequenceToVector

T, B, I, H = 12, 5, 3, 4  # noqa: E741 (the field's own letters)
LENGTHS = [12, 3, 7, 0, 12]


def test_what_is_found_in_models():
    def gru(size):
        return cells.GRU(size, H)

    tokens, x = torch.randint(9, (T, B)), torch.randn(T, B, I)
    found = diagnose(LanguageModel(9, gru, 6, 2), tokens)
    assert [layer.name for layer in found.layers] == ["layers.layers.0", "layers.layers.1"]
    found = diagnose(SequenceToVector(I, gru, 7, pooling="attention"), x, lengths=LENGTHS)
    assert found.layers[0].state.rows[0] == 4
    found = diagnose(SequenceToSequence(I, gru, 7, bidirectional=True), x, lengths=LENGTHS)
    assert [layer.reverse for layer in found.layers] == [False, True]
    assert found.layers[1].state.mean[3] > 0

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.reader = Recurrent(cells.GRU(I, I))
            self.rnn = unrolled.nn.LSTM(I, H, 2, bidirectional=True)

        def forward(self, x):
            once, _ = self.reader(x)
            return {"logits": self.rnn(self.reader(once)[0])[0]}

    found = diagnose(Twice(), x)
    names = [layer.name for layer in found.layers]
    assert names == ["reader", "reader (call 2)", *["rnn.layer 0"] * 2, *["rnn.layer 1"] * 2]
    assert found.layers[0].state.mean[0] > 0  # through the second call


def test_a_model_is_afterwards_what_it_was():
    model = Stack(lambda size: cells.LSTM(size, H, zoneout=0.3), I, 2, dropout=0.5)
    model.layers[0].eval()
    frozen = next(model.parameters()).requires_grad_(False)
    modes = [module.training for module in model.modules()]
    x = torch.randn(T, B, I, requires_grad=True)
    model(x)[0].sum().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    values = [None if gradient is None else gradient.clone() for gradient in gradients]
    before, random = x.grad.clone(), torch.get_rng_state()
    texts = {str(diagnose(model, x)) for _ in range(2)}
    with torch.no_grad():
        texts.add(str(diagnose(model, x)))
    with torch.inference_mode():
        texts.add(str(diagnose(model, x * 1)))
    assert len(texts) == 1
    assert modes == [module.training for module in model.modules()]
    assert torch.equal(random, torch.get_rng_state())
    assert torch.equal(before, x.grad)
    assert not frozen.requires_grad
    for parameter, gradient, value in zip(model.parameters(), gradients, values, strict=True):
        assert parameter.grad is gradient
        assert gradient is None or torch.equal(gradient, value)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_other_threads_go_their_usual_way():
    usual = Recurrent.forward
    other, seen = Recurrent(cells.Elman(I, H)), []
    x = torch.randn(T, B, I)

    def step(given, state):
        if not seen:
            assert Recurrent.forward is not usual
            thread = threading.Thread(target=lambda: seen.append(other(x)[0].shape))
            thread.start()
            thread.join()
        return state, torch.tanh(state + given)

    assert len(diagnose(step, x, state=torch.zeros(B, I)).layers) == 1
    assert seen == [(T, B, H)]
    assert Recurrent.forward is usual

    def fails(given, state):
        raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        diagnose(fails, x, state=torch.zeros(B, I))
    assert Recurrent.forward is usual


class NoRecurrence(nn.Module):
    def forward(self, x):
        return x


class Names(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = Recurrent(cells.Elman(I, H))

    def forward(self, x):
        self.layer(x)
        return "a name"


X = torch.zeros(T, B, I)
ELMAN = cells.Elman(I, H)


@pytest.mark.parametrize(
    ("model", "x", "options", "kind", "message"),
    [
        (cells.LSTM, X, {}, TypeError, "model: expected a module .* got the class LSTM"),
        (3, X, {}, TypeError, "model: expected .* got int"),
        (lambda x, s: (s, s), X, {}, ValueError, "state: expected a state .* with a step function"),
        (NoRecurrence(), X, {}, ValueError, "expected recurrent layers .* found none in NoRecurrence.*convert"),
        (nn.LSTM(I, H), X, {}, ValueError, "found none in LSTM"),
        (NoRecurrence(), X, {"lengths": LENGTHS}, ValueError, "lengths: expected none, since NoRecurrence"),
        (ELMAN, X[:, :0], {}, ValueError, "at least one row, got B = 0"),
        (ELMAN, X[:1], {}, ValueError, "at least 2 time steps .* got 1"),
        (ELMAN, X, {"lengths": [1, 0, 1, 0, 0]}, ValueError, "at least 2 time steps .* got 1"),
        (ELMAN, X, {"lengths": [13] * B}, ValueError, "lengths: expected values from 0 to T = 12"),
        (ELMAN, X, {"loss": lambda result: result[0]}, ValueError, r"scalar tensor, got shape \(12, 5, 4\)"),
        (ELMAN, X, {"loss": lambda result: 3.0}, ValueError, "scalar tensor, got float"),
        (ELMAN, X, {"loss": lambda result: torch.zeros(())}, ValueError, "does not depend on it"),
        (ELMAN, X, {"exponents": 0}, ValueError, "exponents: expected at least 1"),
        (ELMAN, None, {}, ValueError, "state: expected a state"),
        (ELMAN, X[..., :2], {}, ValueError, "input_size = 3"),
        (Names(), X, {}, ValueError, "loss: expected a model whose output begins with a tensor"),
    ],
)
def test_what_is_wrong_is_said(model, x, options, kind, message):
    with pytest.raises(kind, match=message) as caught:
        diagnose(model, x, **options)
    assert isinstance(caught.value, unrolled.UnrolledError)


def test_where_gating_keeps_a_gradient_that_elman_loses():
    """Weights as they are drawn, the forget gate begun open: over 100 steps more than ten orders of magnitude."""
    torch.manual_seed(0)
    x = torch.randn(101, 4, 8)
    elman, lstm = cells.Elman(8, 32), cells.LSTM(8, 32, forget_bias=4.0)
    lost, kept = (diagnose(cell, x).layers[0].state for cell in (elman, lstm))
    assert lost.mean[100] < 1e-15 * lost.mean[0]
    assert kept.mean[100] > 1e-3 * kept.mean[0]
    assert lost.memory < 15
    assert kept.memory is None


@pytest.mark.parametrize("name", SMALL)
def test_every_cell_can_be_looked_into(name):
    torch.manual_seed(0)
    small = SMALL[name]
    found = diagnose(small.make().double(), small.x(9, 3), lengths=[9, 4, 7], exponents=2)
    (layer,) = found.layers
    assert layer.state.rows == (3, 3, 3, 3, 2, 2, 2, 1, 1)
    assert layer.state.not_finite is None
    assert max(layer.state.mean) > 0
    assert max(layer.input.mean) > 0
    assert not any(math.isnan(value) for value in layer.exponents)
    assert len(layer.exponents) == 2
    assert all(len(line) <= 80 for line in str(found).splitlines())
    json.dumps(found.to_dict(), allow_nan=False)
