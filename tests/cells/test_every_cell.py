"""What holds for every cell: its derivatives, and that its kernel computes what its equation says."""

import pytest
import torch
from torch.func import functional_call

from small_cells import SMALL
from unrolled import Cell, Recurrent, cells
from unrolled.core import leaves, map_tree, unflatten

T, B = 4, 3
LENGTHS = [4, 2, 3]
RESET = torch.tensor([[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.bool)


def test_every_cell_is_checked():
    classes = [getattr(cells, n) for n in cells.__all__ if isinstance(getattr(cells, n), type)]
    made = {type(small.make()) for small in SMALL.values()}
    assert {kind for kind in classes if issubclass(kind, Cell)} <= made


def given(name, steps=T):
    """The layer, its input, a first state and its parameters, all random and in float64."""
    torch.manual_seed(5)
    layer = Recurrent(SMALL[name].make()).double()
    x = map_tree(lambda leaf: leaf.requires_grad_(), SMALL[name].x(steps, B))
    start = map_tree(lambda leaf: torch.randn_like(leaf).requires_grad_(), layer.initial_state(B))
    for parameter in layer.parameters():  # asymmetric: not the ones and zeros that a cell may begin with
        parameter.data = parameter.data + 0.3 * torch.rand_like(parameter)
    return layer, x, start


@pytest.mark.parametrize("ragged", [False, True], ids=["plain", "ragged and reversed"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * ("," in n)) for n in SMALL])
def test_derivatives_are_those_of_differences(name, ragged):
    layer, x, start = given(name)
    layer.reverse = ragged
    names = [n for n, _ in layer.named_parameters()]
    options = {"lengths": LENGTHS, "reset": RESET} if ragged else {}
    number = len(leaves(x)), len(leaves(start))

    def run(*tensors):
        values = dict(zip(names, tensors[sum(number) :], strict=True))
        sequence, state = unflatten(x, tensors[: number[0]]), unflatten(start, tensors[number[0] : sum(number)])
        outputs, end = functional_call(layer, values, (sequence, state), options)
        return *leaves(outputs), *leaves(end)

    parameters = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    assert torch.autograd.gradcheck(run, (*leaves(x), *leaves(start), *parameters))


@pytest.mark.parametrize("name", SMALL)
def test_the_kernel_obeys_the_equation(name):
    found = []
    for backend in ("reference", "compiled"):  # a backend that is named never falls back
        layer, x, start = given(name, steps=6)
        layer.backend = backend
        reset = torch.cat([RESET, RESET[:2]])
        outputs, end = layer(x, start, lengths=[6, 0, 4], reset=reset)
        wanted = [*leaves(x), *leaves(start), *layer.parameters()]
        loss = sum((leaf * torch.linspace(0.5, 1.5, leaf.numel()).view_as(leaf)).sum() for leaf in leaves(outputs))
        loss = loss + sum(leaf.sin().sum() for leaf in leaves(end))
        grads = torch.autograd.grad(loss, [w for w in wanted if w.requires_grad], allow_unused=True)
        found.append([*leaves(outputs), *leaves(end), *grads])
    for ours, theirs in zip(*reversed(found), strict=True):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)
