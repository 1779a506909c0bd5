"""Steps and calls as users write them: modules in a step, comparisons after a relu, changed outputs, state in self."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unrolled import Recurrent, UnsupportedStep, unroll
from unrolled.cells import GRU, LSTM, Elman
from unrolled.compiler import fallback
from unrolled.compiler.recent import Recent

X = torch.randn(5, 3, 6, dtype=torch.float64)
S = torch.randn(3, 6, dtype=torch.float64)


def results(step, x, state, parameters, backend):
    x, state = x.clone().requires_grad_(), state.clone().requires_grad_()
    outputs, last = unroll(step, x, state, backend=backend)
    loss = outputs.sin().sum() + last.cos().sum()
    return [outputs, last, *torch.autograd.grad(loss, [x, state, *parameters])]


def agree(step, x, state, parameters=(), tolerance=1e-12):
    truth = results(step, x, state, parameters, "reference")
    for a, b in zip(results(step, x, state, parameters, "compiled"), truth, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


COMPARED = {
    "relu": torch.relu,
    "relu squared": lambda h: torch.relu(h) ** 2,
    "not 0": lambda h: h * (torch.relu(h) != 0),
    "above 0": lambda h: h * (torch.relu(h) > 0),
    "clamp": lambda h: h * (h.clamp(min=0) > 0) + h.clamp(min=0),
    "maximum": lambda h: h * (torch.maximum(h, torch.zeros_like(h)) <= 0),
    "where": lambda h: h * (torch.where(h > 0, h, 0.0) <= 0) + torch.where(h > 0, h, 0.0),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [3, 6, 12])
def test_a_comparison_after_a_choice(size, dtype):
    """Some versions of GCC compile these wrongly unless told otherwise; which sizes depends on the rest."""
    weight = (0.4 * torch.randn(size, size, dtype=dtype)).requires_grad_()
    x, state = torch.randn(5, 3, size, dtype=dtype), torch.zeros(3, size, dtype=dtype)

    def step(x, h):
        h = torch.tanh(h @ weight + x)
        return torch.cat([function(h) for function in COMPARED.values()], -1), h

    agree(step, x, state, [weight], 1e-12 if dtype == torch.float64 else 1e-4)
    for function in COMPARED.values():
        agree(lambda x, h, f=function: (f(torch.tanh(h @ weight + x)), torch.tanh(h @ weight + x)), x, state, [weight],
              1e-12 if dtype == torch.float64 else 1e-4)  # fmt: skip


MODULES = {
    "attention": lambda: nn.MultiheadAttention(3, 1, batch_first=True),
    "encoder layer": lambda: nn.TransformerEncoderLayer(3, 1, 8, dropout=0.0, batch_first=True),
    "batch norm, evaluating": lambda: nn.BatchNorm1d(2).eval(),
    "sequential": lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.LayerNorm(4), nn.Linear(4, 3)),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_inside_a_step(name):
    torch.manual_seed(0)
    module = MODULES[name]().double()

    def step(x, h):
        z = h.view(-1, 2, 3)
        z = module(z, z, z, need_weights=False)[0] if name == "attention" else module(z)
        h = torch.tanh(x + z.flatten(1))
        return h, h

    agree(step, X, S, list(module.parameters()))


def test_attention_as_a_function():
    def step(x, h):
        q, k = h.view(-1, 2, 3), x.view(-1, 2, 3)
        h = torch.tanh(x + F.scaled_dot_product_attention(q, k, q).flatten(1))
        return h, h

    agree(step, X, S)


@pytest.mark.parametrize("backend", ["auto", "compiled", "plan"])
def test_matrices_of_two_dtypes_are_refused_as_pytorch_refuses_them(backend):
    weight = torch.eye(6, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="same dtype"):
        unroll(lambda x, h: (h, h + x @ weight), X.float(), S, backend=backend)
    with pytest.raises(RuntimeError, match="same dtype"), torch.no_grad():
        Recurrent(LSTM(6, 4), backend=backend)(torch.randint(0, 5, (3, 2, 6)))


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(fallback, "_SAID", Recent(8))


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))
        self.log, self.previous, self.calls = [], None, 0

    def step(self, x, h):
        self.count, self.calls = self.count + 1, self.calls + 1
        self.previous = h.detach()
        self.log.append(self.previous)
        return h, torch.tanh(h + x)


def test_a_trace_leaves_nothing_behind():
    module = Remembers()
    with pytest.raises(UnsupportedStep, match="changes what it reads"):
        unroll(module.step, X, S, backend="compiled")
    assert (module.log, module.previous, module.calls, float(module.count)) == ([], None, 0, 0.0)
    with pytest.warns(UserWarning, match="changes what it reads"):
        unroll(module.step, X, S)
    assert (len(module.log), module.calls, float(module.count)) == (5, 5, 5.0)
    assert all(type(tensor) is torch.Tensor for tensor in (*module.log, module.previous, module.count))


def test_a_module_that_updates_itself_runs_by_the_reference():
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6).double())
    with pytest.warns(UserWarning, match="Not compiled"):
        unroll(lambda x, h: (h, torch.tanh(layer(h) + x)), X, S)
    assert torch.isfinite(layer(X[0])).all()


CHANGES = {
    "relu": lambda outputs: outputs.relu_(),
    "add": lambda outputs: outputs.add_(1),
    "multiply": lambda outputs: outputs.mul_(3),
    "set": lambda outputs: outputs.__setitem__(0, 0),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("make", [Elman, GRU, LSTM])
def test_outputs_may_be_changed_in_place(make, change):
    cell, x = make(6, 6).double(), X.clone().requires_grad_()
    found = []
    for backend in ("reference", "compiled"):
        outputs, _ = Recurrent(cell, backend=backend)(x)
        CHANGES[change](outputs)
        found.append(torch.autograd.grad(outputs.sin().sum(), [x, *cell.parameters()]))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
