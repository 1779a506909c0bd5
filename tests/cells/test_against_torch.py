"""The classical cells against torch.nn with the same weights: values, states and every gradient."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unrolled import Recurrent, Stack
from unrolled.cells import GRU, LSTM, Elman

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-11)
T, B, I, H = 7, 4, 3, 5  # noqa: E741


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(11)


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def randomise(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(rand(*parameter.shape))
    return module


KINDS = {
    "lstm": (LSTM, nn.LSTM),
    "gru": (GRU, nn.GRU),
    "elman_tanh": (partial(Elman, nonlinearity="tanh"), partial(nn.RNN, nonlinearity="tanh")),
    "elman_relu": (partial(Elman, nonlinearity="relu"), partial(nn.RNN, nonlinearity="relu")),
}


def pairs_of(cell, torch_layer, suffix):
    """(our parameter, the torch parameters whose sum it is)."""
    theirs = {name: getattr(torch_layer, f"{name}_{suffix}", None) for name in ("weight_ih", "weight_hh")}
    biases = [getattr(torch_layer, f"{name}_{suffix}", None) for name in ("bias_ih", "bias_hh")]
    pairs = [(cell.weight_ih, [theirs["weight_ih"]]), (cell.weight_hh, [theirs["weight_hh"]])]
    if biases[0] is None:
        return pairs
    if isinstance(cell, Elman):
        return [*pairs, (cell.bias_h, biases)]  # one bias where torch has two of the same effect
    return [*pairs, (cell.bias_ih, biases[:1]), (cell.bias_hh, biases[1:])]


def share(pairs):
    with torch.no_grad():
        for mine, theirs in pairs:
            mine.copy_(sum(theirs))


def compare_gradients(pairs):
    for mine, theirs in pairs:
        for other in theirs:
            close(mine.grad, other.grad)


def start_states(kind, count):
    """The same random start for torch (count, B, H) and for us, one state a layer and direction."""
    theirs = [rand(count, B, H).requires_grad_() for _ in range(2 if kind == "lstm" else 1)]
    mine = [[s.detach()[n].clone().requires_grad_() for s in theirs] for n in range(count)]
    return theirs, mine


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_one_layer(kind, bias):
    make, make_torch = KINDS[kind]
    cell, layer = make(I, H, bias=bias).double(), randomise(make_torch(I, H, bias=bias).double())
    pairs = pairs_of(cell, layer, "l0")
    share(pairs)
    theirs, mine = start_states(kind, 1)
    mine = mine[0]
    x = rand(T, B, I).requires_grad_()
    x_torch = x.detach().clone().requires_grad_()
    outputs, state = Recurrent(cell)(x, tuple(mine) if kind == "lstm" else mine[0])
    expected, end = layer(x_torch, tuple(theirs) if kind == "lstm" else theirs[0])
    close(outputs, expected)
    weights, end_weights = rand(T, B, H), [rand(B, H), rand(B, H)]
    loss, loss_torch = (outputs * weights).sum(), (expected * weights).sum()
    ends = list(state) if kind == "lstm" else [state]
    ends_torch = list(end) if kind == "lstm" else [end]
    assert len(ends) == len(ends_torch)
    for a, b, w in zip(ends, ends_torch, end_weights, strict=False):
        close(a, b[0])
        loss, loss_torch = loss + (a * w).sum(), loss_torch + (b[0] * w).sum()
    loss.backward()
    loss_torch.backward()
    close(x.grad, x_torch.grad)
    for a, b in zip(mine, theirs, strict=True):
        close(a.grad, b.grad[0])
    compare_gradients(pairs)


@pytest.mark.parametrize(("make", "make_torch"), [(LSTM, nn.LSTMCell), (GRU, nn.GRUCell)])
def test_state_dict_of_torchs_cell_loads(make, make_torch):
    theirs = randomise(make_torch(I, H).double())
    cell = make(I, H).double()
    cell.load_state_dict(theirs.state_dict(), strict=True)
    assert list(cell.state_dict()) == list(theirs.state_dict())
    x = rand(B, I)
    state = (rand(B, H), rand(B, H)) if make is LSTM else rand(B, H)
    output, after = cell(x, state)
    expected = theirs(x, state)
    close(after, expected) if make is GRU else [close(a, b) for a, b in zip(after, expected, strict=True)]
    close(output, expected if make is GRU else expected[0])
    close(cell(x)[0], theirs(x) if make is GRU else theirs(x)[0])  # no state: from the initial one


def make_stack(kind, bidirectional, **kwargs):
    """Two layers in torch, and a Stack with the same weights."""
    make, make_torch = KINDS[kind]
    layer = randomise(make_torch(I, H, num_layers=2, bidirectional=bidirectional).double())
    stack = Stack(lambda size: make(size, H), I, 2, bidirectional=bidirectional, **kwargs).double()
    pairs = []
    for depth, built in enumerate(stack.layers):
        if bidirectional:
            pairs += pairs_of(built.ahead.cell, layer, f"l{depth}")
            pairs += pairs_of(built.back.cell, layer, f"l{depth}_reverse")
        else:
            pairs += pairs_of(built.cell, layer, f"l{depth}")
    share(pairs)
    return stack, layer, pairs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("lengths", [None, [7, 1, 4, 6]])
@pytest.mark.parametrize("batch_first", [True, False])
def test_two_layers_both_directions_and_packed_sequences(kind, bidirectional, lengths, batch_first):
    stack, layer, pairs = make_stack(kind, bidirectional, batch_first=batch_first)
    directions = 2 if bidirectional else 1
    theirs, mine = start_states(kind, 2 * directions)
    x = rand(T, B, I).requires_grad_()
    x_torch = x.detach().clone().requires_grad_()

    by_cell = [tuple(parts) if kind == "lstm" else parts[0] for parts in mine]
    state = tuple(zip(by_cell[::2], by_cell[1::2], strict=True)) if bidirectional else tuple(by_cell)
    outputs, ends = stack(x.transpose(0, 1) if batch_first else x, state, lengths=lengths)
    outputs = outputs.transpose(0, 1) if batch_first else outputs

    start = tuple(theirs) if kind == "lstm" else theirs[0]
    if lengths is None:
        expected, end = layer(x_torch, start)
    else:
        packed = pack_padded_sequence(x_torch, torch.tensor(lengths), enforce_sorted=False)
        packed, end = layer(packed, start)
        expected, _ = pad_packed_sequence(packed)
    close(outputs, expected)
    flat_ends = [cell for pair in ends for cell in pair] if bidirectional else list(ends)
    end = end if kind == "lstm" else (end,)
    weights = rand(T, B, directions * H)
    loss, loss_torch = (outputs * weights).sum(), (expected * weights).sum()
    for n, cell_end in enumerate(flat_ends):
        for a, b in zip(cell_end if kind == "lstm" else (cell_end,), end, strict=True):
            close(a, b[n])
            w = rand(B, H)
            loss, loss_torch = loss + (a * w).sum(), loss_torch + (b[n] * w).sum()
    loss.backward()
    loss_torch.backward()
    close(x.grad, x_torch.grad)
    compare_gradients(pairs)
    for n, parts in enumerate(mine):
        for a, b in zip(parts, theirs, strict=True):
            close(a.grad, b.grad[n])


def test_float32_error_is_no_larger_than_torchs():
    """Against float64 the reference in float32 is about as near as torch.nn in float32."""
    layer = nn.LSTM(I, H)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    cell = LSTM(I, H)
    share(pairs_of(cell, layer, "l0"))
    x = torch.randn(50, B, I)
    mine, theirs = Recurrent(cell)(x)[0], layer(x)[0]
    truth = layer.double()(x.double())[0]
    assert (mine.double() - truth).abs().max() <= 4 * (theirs.double() - truth).abs().max()
