"""The errors' built-in types, the walk over trees, and a cell's initial state."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from unrolled import Cell, core
from unrolled.core import leaves, map_tree, named_leaves, unflatten

BUILTIN = {
    "InputError": ValueError,
    "InputTypeError": TypeError,
    "UnsupportedStep": RuntimeError,
    "DataError": ValueError,
    "CheckpointError": RuntimeError,
    "NonFiniteError": ArithmeticError,
}


def test_every_error_is_of_one_base_and_the_built_in_that_users_expect():
    errors = {
        name: value
        for name, value in vars(core.errors).items()
        if isinstance(value, type) and value is not core.UnrolledError
    }
    assert set(BUILTIN) <= set(errors)
    for name, error in errors.items():
        assert issubclass(error, core.UnrolledError)
        assert issubclass(error, BUILTIN.get(name, Exception))
        assert set(error.__mro__) & {ValueError, TypeError, RuntimeError, ArithmeticError}


class Pair(NamedTuple):
    a: Tensor
    b: tuple


def tree():
    return Pair(torch.tensor([1.0]), (torch.tensor([2.0]), (torch.tensor([3.0]),)))


def test_leaves_come_in_one_order_by_their_names():
    assert [leaf.item() for leaf in leaves(tree())] == [1, 2, 3]
    assert [(n, v.item()) for n, v in named_leaves(tree(), "s")] == [("s.a", 1), ("s.b[0]", 2), ("s.b[1][0]", 3)]


def test_maps_and_rebuilds_keep_the_structure():
    doubled = map_tree(lambda a, b: a + b, tree(), (torch.tensor([1.0]), (torch.tensor([2.0]), (torch.tensor([3.0]),))))
    assert isinstance(doubled, Pair)
    assert isinstance(doubled.b, tuple)
    assert [leaf.item() for leaf in leaves(doubled)] == [2, 4, 6]
    again = unflatten(tree(), leaves(doubled))
    assert isinstance(again, Pair)
    assert [leaf.item() for leaf in leaves(again)] == [2, 4, 6]


# ---------------------------------------------------------------- a cell's initial state


class Sizes(Cell):
    state_size = Pair(3, (torch.Size([2, 4]), (1,)))  # type: ignore[arg-type]

    def step(self, x, state):
        return state.a, state


def test_the_initial_state_is_zeros_of_the_sizes_in_their_structure():
    state = Sizes().initial_state(5)
    assert isinstance(state, Pair)
    assert [tuple(leaf.shape) for leaf in leaves(state)] == [(5, 3), (5, 2, 4), (5, 1)]
    assert all((leaf == 0).all() for leaf in leaves(state))


def test_the_initial_state_is_where_the_parameters_are():
    cell = Sizes()
    assert cell.initial_state(2).a.dtype == torch.float32
    cell.register_buffer("count", torch.tensor(3))
    assert cell.initial_state(2).a.dtype == torch.float32
    cell.w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    assert cell.initial_state(2).a.dtype == torch.float64
    assert cell.initial_state(2, dtype=torch.float16).a.dtype == torch.float16
    assert cell.to("meta").initial_state(2).b[0].device.type == "meta"
    assert cell.initial_state(2, device="cpu").a.device.type == "cpu"


def test_a_cell_called_as_a_module_is_its_step():
    class Add(Cell):
        hidden_size = 2

        def step(self, x, h):
            return h + x, h - x

    x = torch.randn(3, 2)
    output, state = Add()(x)
    assert torch.equal(output, x)
    assert torch.equal(state, -x)
    assert torch.equal(Add()(x, state)[0], torch.zeros(3, 2))


def test_a_cell_of_unknown_size_says_so():
    with pytest.raises(core.InputError, match=r"^Cell: .* Set self\.hidden_size"):
        Cell().initial_state(2)
