"""Transforms of PyTorch around a layer: ensembles, per-sample gradients, forward mode, gradients of gradients."""

import pytest
import torch
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vmap

from unrolled import Recurrent
from unrolled.cells import GRU, LSTM

pytestmark = pytest.mark.filterwarnings("ignore:Not compiled")  # under a transform the reference runs, and says so


def layer_and_input(cell=GRU):
    torch.manual_seed(1)
    return Recurrent(cell(3, 4)).double(), torch.randn(5, 2, 3, dtype=torch.float64)


def loss(outputs):
    return outputs.sin().sum()


def parameters_of(layer):
    return {name: parameter.detach() for name, parameter in layer.named_parameters()}


def test_an_ensemble_is_each_of_its_members():
    members = [layer_and_input(LSTM)[0] for _ in range(3)]
    for k, member in enumerate(members):
        member.cell.weight_hh.data += k
    x = layer_and_input()[1]
    parameters, buffers = stack_module_state(members)
    together, last = vmap(lambda p, b: functional_call(members[0], (p, b), (x,)), (0, 0))(parameters, buffers)
    for k, member in enumerate(members):
        outputs, state = member(x)
        torch.testing.assert_close(together[k], outputs)
        torch.testing.assert_close(last.c[k], state.c)


def test_gradients_of_each_sample():
    layer, x = layer_and_input()
    parameters = parameters_of(layer)

    def of_one(p, row):
        return loss(functional_call(layer, p, (row[:, None],))[0])

    each = vmap(grad(of_one), (None, 1))(parameters, x)
    for k in range(x.shape[1]):
        layer.zero_grad()
        loss(layer(x[:, k : k + 1])[0]).backward()
        for name, parameter in layer.named_parameters():
            torch.testing.assert_close(each[name][k], parameter.grad)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # PyTorch's own, at the first use
def test_forward_mode_is_what_the_gradient_says():
    layer, x = layer_and_input(LSTM)
    parameters = parameters_of(layer)
    direction = {name: torch.randn_like(p) for name, p in parameters.items()}

    def whole(p):
        return loss(functional_call(layer, p, (x,))[0])

    _, slope = jvp(whole, (parameters,), (direction,))
    gradients = grad(whole)(parameters)
    torch.testing.assert_close(slope, sum((gradients[name] * d).sum() for name, d in direction.items()))


def test_the_jacobian_of_the_last_state():
    layer, x = layer_and_input()

    def last(start):
        return layer(x, start)[1]

    start = torch.randn(2, 4, dtype=torch.float64)
    expected = torch.autograd.functional.jacobian(lambda s: Recurrent(layer.cell, backend="reference")(x, s)[1], start)
    torch.testing.assert_close(jacrev(last)(start), expected)


def test_a_gradient_of_a_gradient():
    layer, x = layer_and_input(LSTM)
    x = x[:3].requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))
    first = torch.autograd.grad(loss(layer(x)[0]), list(layer.parameters()), create_graph=True)
    again = torch.autograd.grad(sum(g.square().sum() for g in first), list(layer.parameters()))
    other = Recurrent(layer.cell, backend="reference")
    first = torch.autograd.grad(loss(other(x)[0]), list(layer.parameters()), create_graph=True)
    expected = torch.autograd.grad(sum(g.square().sum() for g in first), list(layer.parameters()))
    torch.testing.assert_close(again, expected)
