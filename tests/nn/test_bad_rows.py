"""One bad row in a batch: every other row's outputs, states and input gradients keep their bits."""

from itertools import product

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .pairs import KINDS, leaves, pair, random_state

T, I, H = 5, 7, 9  # noqa: E741
BAD = (float("nan"), float("inf"), float("-inf"), 1e38)
FORMS = ("whole", "lengths", "packed")
BATCHES = (2, 5, 17, 40)


def results(module, x, state, lengths, form):
    """Outputs (T, B, ...), states, and gradients of input and state, of an uneven sum of them."""
    x = x.clone().requires_grad_()
    state = [leaf.clone().requires_grad_() for leaf in leaves(state)]
    hx = tuple(state) if len(state) > 1 else state[0]
    if form == "packed":
        outputs, end = module(pack_padded_sequence(x, lengths, enforce_sorted=False), hx)
        outputs, _ = pad_packed_sequence(outputs, total_length=T)
    else:
        outputs, end = module(x, hx, **({"lengths": lengths} if form == "lengths" else {}))
    made = [outputs, *leaves(end)]
    weights = [torch.linspace(-1, 2, leaf.numel()).reshape(leaf.shape) for leaf in made]
    return [*made, *torch.autograd.grad(made, [x, *state], weights)]


def without(tensors, row):
    """All rows but one."""
    return [torch.cat([leaf[:, :row], leaf[:, row + 1 :]], 1) for leaf in tensors]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (1, True), (2, False), (2, True)])
@pytest.mark.parametrize("kind", KINDS)
def test_other_rows_keep_their_bits(kind, layers, bidirectional, form):
    torch.manual_seed(41)
    module, _ = pair(kind, I, H, layers, bidirectional=bidirectional)
    ran = 0
    for rows in BATCHES:
        x, state = torch.randn(T, rows, I), random_state(module, rows)
        lengths = torch.randint(1, T + 1, (rows,))
        lengths[rows // 2] = T
        expected = results(module, x, state, lengths, form)
        for bad, place in product(BAD, ("input", "state")):
            row, x_bad = (3 * ran) % rows, x.clone()
            state_bad = [leaf.clone() for leaf in leaves(state)]
            if place == "input":
                x_bad[int(lengths[row]) // 2, row, ran % I] = bad
            else:
                state_bad[ran % len(state_bad)][-1, row, 2] = bad
            found = results(module, x_bad, state_bad, lengths, form)
            for one, other in zip(without(found, row), without(expected, row), strict=True):
                assert torch.equal(one, other), (rows, bad, place)
            assert not all(map(torch.equal, found, expected))
            ran += 1
    assert ran == 32


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_number_in_padding_changes_nothing(kind):
    torch.manual_seed(43)
    module, _ = pair(kind, I, H, 2, bidirectional=True)
    x, state, lengths = torch.randn(T, 6, I), random_state(module, 6), torch.tensor([5, 1, 0, 3, 2, 4])
    expected = results(module, x, state, lengths, "lengths")
    for bad in BAD:
        spoilt = x.masked_fill((torch.arange(T)[:, None] >= lengths).unsqueeze(-1), bad)
        assert all(map(torch.equal, results(module, spoilt, state, lengths, "lengths"), expected))
