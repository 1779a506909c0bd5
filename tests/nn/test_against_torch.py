"""``unrolled.nn`` against ``torch.nn`` with the same state_dict: outputs, states and every gradient, in 720 ways."""

from itertools import combinations, product

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from .pairs import KINDS, leaves, pair, random_state

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")  # torch, of its own
T, B, I, H = 6, 5, 7, 9  # noqa: E741
FORMS = ("padded", "batch_first", "unbatched", "packed", "packed_unsorted", "packed_batch_first")
LENGTHS = {"packed": [6, 6, 4, 2, 1], "packed_unsorted": [2, 6, 1, 6, 4], "packed_batch_first": [1, 3, 6, 2, 3]}
GROUPS = list(product(KINDS, (1, 2, 3), (False, True)))


def ways(kind, layers, bidirectional):
    """Of one group: bias, form, with a state or without, dropout; of four pairs of the last two every second one."""
    for number, (bias, form, has_state) in enumerate(product((True, False), FORMS, (True, False))):
        dropout = float((number // 2 + number + layers + bidirectional) % 2) if layers > 1 else 0.0
        yield kind, layers, bidirectional, bias, form, has_state, dropout


ALL = [way for group in GROUPS for way in ways(*group)]


def inputs(module, form):
    """Random input in that form, its tensor that has a gradient, and a state."""
    if form == "unbatched":
        x = torch.randn(T, I, requires_grad=True)
        return x, x, random_state(module)
    x = torch.randn(*((B, T) if module.batch_first else (T, B)), I, requires_grad=True)
    state = random_state(module, B)
    if form not in LENGTHS:
        return x, x, state
    lengths = torch.tensor(LENGTHS[form])
    return pack_padded_sequence(x, lengths, module.batch_first, enforce_sorted=form == "packed"), x, state


def results(module, given, x, state):
    """Outputs and states, and the gradients of a sum of them with uneven weights."""
    state = None if state is None else tuple(leaf.clone().requires_grad_() for leaf in leaves(state))
    made = module(given, state if state is None or len(state) > 1 else state[0])
    generator = torch.Generator().manual_seed(3)
    loss = sum((leaf * torch.randn(leaf.shape, generator=generator)).sum() for leaf in leaves(made))
    wanted = [x, *(state or ()), *module.parameters()]
    gradients = torch.autograd.grad(loss, wanted, retain_graph=True, materialize_grads=True)  # of packing's one graph
    return made, gradients


def check(kind, layers, bidirectional, bias, form, has_state, dropout):
    mine, theirs = pair(
        kind,
        I,
        H,
        layers,
        bias=bias,
        batch_first="batch_first" in form,
        bidirectional=bidirectional,
        dropout=dropout,
    )
    given, x, state = inputs(mine, form)
    state = state if has_state else None
    found, expected = results(mine, given, x, state), results(theirs, given, x, state)
    assert type(found[0][0]) is type(expected[0][0])
    if isinstance(given, PackedSequence):
        for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
            torch.testing.assert_close(getattr(found[0][0], name), getattr(expected[0][0], name))
    torch.testing.assert_close(leaves(found[0]), leaves(expected[0]), rtol=5e-5, atol=5e-5)
    torch.testing.assert_close(found[1], expected[1], rtol=5e-5, atol=5e-5)


def test_there_are_720_ways_and_every_pair_of_choices_among_them():
    assert len(set(ALL)) == len(ALL) == 720
    for first, second in combinations(range(7), 2):
        found = {(way[first], way[second]) for way in ALL}
        possible = set(product({way[first] for way in ALL}, {way[second] for way in ALL}))
        assert possible - found <= {(1, 1.0)}  # one layer has no layers to drop between


@pytest.mark.parametrize(("kind", "layers", "bidirectional"), GROUPS)
def test_outputs_states_and_gradients(kind, layers, bidirectional):
    torch.manual_seed(17)
    ran = 0
    for way in ways(kind, layers, bidirectional):
        try:
            check(*way)
        except AssertionError as error:
            raise AssertionError(f"bias, form, state, dropout = {way[3:]}") from error
        ran += 1
    assert ran == 24
