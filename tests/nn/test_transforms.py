"""unrolled.nn's layers under what PyTorch does to modules: other precisions, other derivatives, many at once."""

import pytest
import torch
from torch.func import functional_call, grad, jvp, stack_module_state, vmap

from unrolled import nn as ours
from unrolled.core import leaves

T, B, F, H = 6, 3, 4, 5
KINDS = ["RNN", "LSTM", "GRU"]


def pair(kind, **options):
    """torch's layer and ours with the same weights."""
    theirs = getattr(torch.nn, kind)(F, H, 2, **options)
    mine = getattr(ours, kind)(F, H, 2, **options)
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


@pytest.mark.parametrize("kind", KINDS)
def test_autocast(kind):
    theirs, mine = pair(kind, bidirectional=True)
    x = torch.randn(T, B, F, requires_grad=True)
    low = getattr(ours, kind)(F, H, 2, bidirectional=True).to(torch.bfloat16)
    low.load_state_dict(theirs.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = mine(x)
        expected, expected_state = theirs(x)
    for got, tensor in zip(leaves((outputs, state)), leaves((expected, expected_state)), strict=True):
        assert got.dtype == tensor.dtype
        torch.testing.assert_close(got, tensor, rtol=0.05, atol=0.05)
    assert torch.equal(outputs.to(torch.bfloat16), low(x.to(torch.bfloat16))[0])
    outputs.float().sum().backward()
    exact = torch.autograd.grad(theirs(x)[0].sum(), [x, *theirs.parameters()])
    for got, wanted in zip([x.grad, *(p.grad for p in mine.parameters())], exact, strict=True):
        assert got.dtype == torch.float32
        assert (got - wanted).norm() < 0.03 * wanted.norm()
    assert torch.equal(mine(x.detach())[0], getattr(ours, kind).forward(mine, x.detach())[0])
    assert mine(x)[0].dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives(kind):
    theirs, mine = pair(kind)
    x = torch.randn(T, B, F, dtype=torch.float64, requires_grad=True)
    theirs, mine = theirs.double(), mine.double()

    def second(layer):
        outputs, _ = layer(x)
        first = torch.autograd.grad(outputs.square().sum(), [x, *layer.parameters()], create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), [x, *layer.parameters()])

    for got, expected in zip(second(mine), second(theirs), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.filterwarnings("ignore:Not compiled", "ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("kind", KINDS)
def test_forward_mode(kind):
    _, mine = pair(kind)
    x, tangent = torch.randn(T, B, F), torch.randn(T, B, F)
    outputs, change = jvp(lambda x: mine(x)[0], (x,), (tangent,))
    torch.testing.assert_close(outputs, mine(x)[0])
    leaf = x.clone().requires_grad_()
    weight = torch.randn_like(outputs)
    (back,) = torch.autograd.grad((mine(leaf)[0] * weight).sum(), leaf)
    torch.testing.assert_close((change * weight).sum(), (back * tangent).sum(), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Not compiled")
@pytest.mark.parametrize("kind", KINDS)
def test_an_ensemble(kind):
    models = [pair(kind)[1] for _ in range(3)]
    parameters, buffers = stack_module_state(models)
    x = torch.randn(T, B, F)
    outputs, _ = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    for model, got in zip(models, outputs, strict=True):
        torch.testing.assert_close(got, model(x)[0])


@pytest.mark.filterwarnings("ignore:Not compiled")
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_each_sample(kind):
    _, mine = pair(kind)
    x = torch.randn(B, T, F)
    parameters = {name: parameter.detach() for name, parameter in mine.named_parameters()}

    def loss(parameters, row):
        return functional_call(mine, parameters, (row.unsqueeze(1),))[0].square().sum()

    each = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
    for k in range(B):
        mine.zero_grad()
        mine(x[k, :, None])[0].square().sum().backward()
        for name, parameter in mine.named_parameters():
            torch.testing.assert_close(each[name][k], parameter.grad, rtol=1e-4, atol=1e-5)


def test_traced_by_torch_it_is_torchs():
    _, mine = pair("LSTM")
    x = torch.randn(T, B, F)
    with pytest.warns():  # torch's tracer is deprecated
        traced = torch.jit.trace(mine.eval(), x, check_trace=False)
    longer = torch.randn(2 * T, B + 2, F)
    torch.testing.assert_close(traced(longer)[0], mine(longer)[0])
    assert "aten::lstm" in str(traced.inlined_graph)


@pytest.mark.parametrize("kind", KINDS)
def test_many_gradients_at_once(kind):
    _, mine = pair(kind)
    x = torch.randn(T, B, F, requires_grad=True)
    outputs, _ = mine(x)
    weights = torch.randn(4, *outputs.shape)
    (batched,) = torch.autograd.grad(outputs, x, weights, is_grads_batched=True, retain_graph=True)
    each = [torch.autograd.grad(outputs, x, weight, retain_graph=True)[0] for weight in weights]
    torch.testing.assert_close(batched, torch.stack(each))
