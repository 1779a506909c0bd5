"""convert and restore: the same module with another class."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import unrolled
from unrolled import nn as ours

KINDS = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]


class Own(nn.LSTM):
    """Somebody's subclass."""

    def forward(self, x, hx=None):
        return super().forward(2 * x, hx)


class Model(nn.Module):
    """Recurrent modules in several places; two of them the same, two with one weight."""

    def __init__(self):
        super().__init__()
        self.inside = nn.ModuleList([nn.GRU(3, 4, 2), nn.Sequential(nn.Linear(4, 4))])
        self.lstm = nn.LSTM(4, 5, bidirectional=True, dropout=0.5, num_layers=2)
        self.again = self.lstm
        self.cell = nn.RNNCell(10, 6, nonlinearity="relu")
        self.first, self.second = nn.RNN(6, 6, nonlinearity="relu"), nn.RNN(6, 6)
        self.second.weight_hh_l0 = self.first.weight_hh_l0
        self.own = Own(6, 6)

    def forward(self, x):
        y = self.inside[1](self.inside[0](x)[0])
        y = self.lstm(y)[0]
        y = torch.stack([self.cell(step) for step in y])
        return self.own(self.second(self.first(y)[0])[0])[0]


def test_a_model_converted_and_restored():
    model = Model().eval()
    x = torch.randn(7, 2, 3)
    parameters = list(model.parameters())
    modules = list(model.modules())
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    seen = []
    model.lstm.register_forward_hook(lambda *_: seen.append(1))
    expected = model(x)
    done = unrolled.convert(model)
    assert done.replaced == ("inside.0", "lstm", "cell", "first", "second")
    assert list(done.left) == ["own"]
    assert "may compute something else" in str(done)
    assert all(now is before for now, before in zip(model.parameters(), parameters, strict=True))
    assert all(now is before for now, before in zip(model.modules(), modules, strict=True))
    assert type(model.lstm) is ours.LSTM
    assert model.again is model.lstm
    assert isinstance(model.lstm, nn.LSTM)
    assert model.second.weight_hh_l0 is model.first.weight_hh_l0
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-6)
    assert len(seen) == 3
    model(x).sum().backward()
    before = model.lstm.weight_ih_l0.clone()
    optimizer.step()
    assert not torch.equal(before, model.lstm.weight_ih_l0)
    again = unrolled.convert(model)
    assert again.replaced == ()
    moved = model(x)
    back = unrolled.restore(model)
    assert back.replaced == done.replaced
    assert type(model.lstm) is nn.LSTM
    torch.testing.assert_close(model(x), moved, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(kind):
    module = getattr(nn, kind)(3, 4)
    assert unrolled.convert(module).replaced == ("",)
    assert type(module) is getattr(ours, kind)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(twin) is getattr(ours, kind)
        x = torch.randn(5, 2, 3) if "Cell" not in kind else torch.randn(2, 3)
        with torch.no_grad():
            torch.testing.assert_close(twin(x), module(x))
    assert unrolled.restore(module).replaced == ("",)
    assert type(module) is getattr(nn, kind)
    pickle.loads(pickle.dumps(module))


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_parametrized(norm):
    module = nn.GRU(3, 4).eval()
    norm(module, "weight_hh_l0")
    x = torch.randn(5, 2, 3)
    expected, _ = module(x)
    assert unrolled.convert(module).replaced == ("",)
    assert isinstance(module, ours.GRU)
    torch.testing.assert_close(module(x)[0], expected)
    module(x)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    torch.nn.utils.parametrize.remove_parametrizations(module, "weight_hh_l0")
    assert type(module) is ours.GRU
    torch.testing.assert_close(module(x)[0], expected)
    unrolled.restore(module)
    assert type(module) is nn.GRU


def test_what_is_left():
    model = nn.ModuleDict({"plain": ours.GRU(3, 4), "peephole": ours.LSTM(3, 4, peephole=True)})
    done = unrolled.restore(model)
    assert done.replaced == ("plain",)
    assert "peephole=True" in done.left["peephole"]
    with pytest.raises(unrolled.InputTypeError, match=r"module: expected a torch.nn.Module, got dict"):
        unrolled.convert({})


def test_running_wrappers_go_on():
    model = nn.Sequential(nn.GRU(3, 4))
    compiled = nn.DataParallel(model)
    x = torch.randn(5, 2, 3)
    expected = compiled(x)[0]
    assert unrolled.convert(compiled).replaced == ("module.0",)
    torch.testing.assert_close(compiled(x)[0], expected)


class Twice(unrolled.Cell):
    """A cell of one's own that is made of a module of torch."""

    def __init__(self):
        super().__init__()
        self.inner = nn.LSTMCell(3, 4)
        self.state_size = (4, 4)

    def step(self, x, state):
        """One step of the module inside."""
        state = self.inner(x, state)
        return 2 * state[0], tuple(state)


def test_inside_a_cell_of_ones_own(monkeypatch):
    cell, x = Twice(), torch.randn(5, 2, 3)
    layer = unrolled.Recurrent(cell, backend="compiled")
    with torch.no_grad():
        expected = layer(x)[0]
        assert unrolled.convert(cell).replaced == ("inner",)
        torch.testing.assert_close(layer(x)[0], expected)
        monkeypatch.setattr("unrolled.compiler.build.build", None)  # it is known by now: nothing is traced again
        for _ in range(4):
            torch.testing.assert_close(layer(x)[0], expected)
        cell.inner.weight_ih.add_(1)
        assert not torch.allclose(layer(x)[0], expected)
