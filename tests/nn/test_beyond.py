"""What unrolled.nn's layers do that torch's cannot: against the same cells composed by hand."""

import pytest
import torch

import unrolled
from unrolled import nn as ours
from unrolled.core import leaves

T, B, F, H = 7, 5, 3, 6
OPTIONS = {
    "RNN": [
        {"nonlinearity": "sigmoid"},
        {"nonlinearity": torch.nn.functional.softsign},
        {"nonlinearity": "relu", "layer_norm": True},
        {"proj_size": 4},
    ],
    "LSTM": [
        {"peephole": True},
        {"coupled": True},
        {"forget_gate": False},
        {"layer_norm": True},
        {"peephole": True, "coupled": True, "proj_size": 4, "layer_norm": True, "bias": False},
        {"nonlinearity": "relu", "gate_nonlinearity": "hardtanh"},
    ],
    "GRU": [{"reset_after": False}, {"layer_norm": True}, {"proj_size": 4}, {"nonlinearity": "sin"}],
}
CASES = [(name, options) for name, choices in OPTIONS.items() for options in choices]


def options_of_cell(options):
    return {name: value for name, value in options.items() if name != "bias"}


def cells_of(layer, name, options):
    """The layer's cells, made anew with copies of its weights, for each layer one a direction."""
    directions, width, made = (2 if layer.bidirectional else 1), layer.input_size, []
    for depth in range(layer.num_layers):
        row = []
        for suffix in ("", "_reverse")[:directions]:
            cell = getattr(unrolled.cells, name)(width, layer.hidden_size, layer.bias, **options_of_cell(options))
            with torch.no_grad():
                for own, parameter in cell.named_parameters():
                    parameter.copy_(getattr(layer, f"{own}_l{depth}{suffix}"))
            row.append(cell)
        made.append(row)
        width = (layer.proj_size or layer.hidden_size) * directions
    return made


def by_hand(cells, x, **arguments):
    """Outputs, and the last states one a cell."""
    ends = []
    for row in cells:
        outputs = []
        for direction, cell in enumerate(row):
            y, end = unrolled.Recurrent(cell, reverse=bool(direction), backend="reference")(x, **arguments)
            outputs.append(y)
            ends.append(end)
        x = torch.cat(outputs, -1)
    return x, ends


def shaken(layer):
    """All parameters random, gains and learned states too."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
    return layer


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: v if isinstance(v, str) else "-".join(v))
@pytest.mark.parametrize("bidirectional", [False, True])
def test_options_are_those_of_the_cells(name, options, bidirectional):
    torch.manual_seed(1)
    layer = shaken(getattr(ours, name)(F, H, num_layers=2, bidirectional=bidirectional, **options))
    cells = cells_of(layer, name, options)
    x = torch.randn(T, B, F, requires_grad=True)
    lengths = torch.tensor([7, 0, 3, 7, 1])
    reset = torch.rand(T, B) < 0.3
    outputs, state = layer(x, lengths=lengths, reset=reset)
    expected, ends = by_hand(cells, x, lengths=lengths, reset=reset)
    torch.testing.assert_close(outputs, expected)
    for kind, tensor in enumerate(leaves(state)):
        torch.testing.assert_close(tensor, torch.stack([leaves(end)[kind] for end in ends]))
    weight = torch.randn_like(outputs)
    wanted = [parameter for row in cells for cell in row for parameter in cell.parameters()]
    given = torch.autograd.grad((outputs * weight).sum(), [x, *layer.parameters()])
    for got, gradient in zip(given, torch.autograd.grad((expected * weight).sum(), [x, *wanted]), strict=True):
        torch.testing.assert_close(got, gradient, rtol=1e-4, atol=1e-5)


def test_the_forget_gates_bias_at_the_start():
    layer = ours.LSTM(F, H, num_layers=2, forget_bias=1.0)
    forget = torch.arange(4 * H) // H == 1
    for _ in range(2):
        for name, parameter in layer.named_parameters():
            if name.startswith("bias"):
                assert (parameter[forget] == (1 if "_ih_" in name else 0)).all()
                assert parameter[~forget].unique().numel() == 3 * H
        assert all(parameter.is_leaf and parameter.requires_grad for parameter in layer.parameters())
        layer.reset_parameters()


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_lengths_masks_and_resets(name, batch_first):
    layer = getattr(ours, name)(F, H, num_layers=2, batch_first=batch_first)
    x = torch.randn(T, B, F)
    lengths = torch.tensor([7, 2, 0, 5, 4])
    valid = torch.arange(T)[:, None] < lengths
    turned = (lambda v: v.transpose(0, 1)) if batch_first else (lambda v: v)
    outputs, state = layer(turned(x), lengths=lengths)
    by_mask, state_by_mask = layer(turned(x), mask=turned(valid))
    assert torch.equal(outputs, by_mask)
    poisoned = torch.where(valid[..., None], x, torch.nan)
    assert torch.equal(layer(turned(poisoned), lengths=lengths)[0], outputs)
    for tensor, same in zip(leaves(state), leaves(state_by_mask), strict=True):
        assert torch.equal(tensor, same)
        assert tensor.shape == (2, B, H)
        assert not tensor[:, 2].any()  # of a row of no step the initial state
    alone = layer(x[:2, 1:2] if not batch_first else x[:2, 1:2].transpose(0, 1))[1]
    for tensor, own in zip(leaves(state), leaves(alone), strict=True):
        assert torch.equal(tensor[:, 1:2], own)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[3] = True
    whole = turned(layer(turned(x), reset=turned(reset))[0])
    assert torch.equal(whole[3:], turned(layer(turned(x[3:]))[0]))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_sequence_without_a_batch(name):
    layer = getattr(ours, name)(F, H, num_layers=2, bidirectional=True, return_all_states=True)
    x = torch.randn(T, F)
    reset = torch.arange(T) == 4
    outputs, state, states = layer(x, lengths=6, reset=reset)
    batched, batched_state, batched_states = layer(x[:, None], lengths=[6], reset=reset[:, None])
    assert torch.equal(outputs, batched[:, 0])
    for got, expected in zip(leaves((state, states)), leaves((batched_state, batched_states)), strict=True):
        assert torch.equal(got, expected.squeeze(-2))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_all_states(name, batch_first):
    layer = getattr(ours, name)(F, H, num_layers=2, batch_first=batch_first, return_all_states=True)
    x = torch.randn(T, B, F)
    lengths = torch.tensor([7, 2, 0, 5, 4])
    outputs, state, states = layer(x.transpose(0, 1) if batch_first else x, lengths=lengths)
    for end, whole in zip(leaves(state), leaves(states), strict=True):
        whole = whole.transpose(1, 2) if batch_first else whole
        assert whole.shape == (2, T, B, H)
        assert torch.equal(whole[:, -1], end)  # held after a row's end
    top = leaves(states)[0][1]
    valid = torch.arange(T)[:, None] < lengths
    valid = valid.transpose(0, 1) if batch_first else valid
    assert torch.equal(outputs[valid], top[valid])


def test_layers_of_different_sizes():
    layer = ours.LSTM(F, [8, 5, 7], bidirectional=True)
    x = torch.randn(T, B, F)
    outputs, state = layer(x)
    assert [tuple(h.shape) for h, _ in state] == [(2, B, 8), (2, B, 5), (2, B, 7)]
    first, state_of_first = layer(x[:4])
    second, end = layer(x[4:], state_of_first)
    assert second.shape == (3, B, 14)
    ahead = slice(0, 7)  # what runs forward in time in the last layer sees both directions of those below
    assert not torch.equal(torch.cat([first, second])[..., ahead], outputs[..., ahead])
    one_way = ours.LSTM(F, [8, 5])
    whole, whole_end = one_way(x)
    first, middle = one_way(x[:4])
    second, end = one_way(x[4:], middle)
    assert torch.equal(torch.cat([first, second]), whole)
    for got, expected in zip(leaves(end), leaves(whole_end), strict=True):
        assert torch.equal(got, expected)


def test_a_state_of_one_row_stands_for_all_only_on_request():
    layer = ours.GRU(F, H)
    x, hx = torch.randn(T, B, F), torch.randn(1, 1, H, requires_grad=True)
    with pytest.raises(RuntimeError, match="Expected hidden size"):
        layer(x, hx)
    outputs, _ = layer(x, hx, broadcast_state=True)
    assert torch.equal(outputs, layer(x, hx.expand(-1, B, -1))[0])
    outputs.sum().backward()
    assert hx.grad.abs().sum() > 0
    with pytest.raises(unrolled.InputError, match="broadcast_state=True"):
        layer(x, hx, lengths=[T] * B)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_the_learned_initial_state(name):
    layer = shaken(getattr(ours, name)(F, H, num_layers=2, learn_initial_state=True))
    x = torch.randn(T, B, F)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[3] = True
    outputs, _ = layer(x, reset=reset)
    assert torch.equal(outputs[3:], layer(x[3:])[0])
    outputs.sum().backward()
    learned = [name for name, _ in layer.named_parameters() if name.startswith("initial_")]
    assert len(learned) == (4 if name == "LSTM" else 2)
    assert all(getattr(layer, own).grad.abs().sum() > 0 for own in learned)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_time_between_steps(name):
    layer = shaken(getattr(ours, name)(F, H, num_layers=2, time_decay=True))
    x, dt = torch.randn(T, B, F), torch.rand(T, B)
    outputs, _ = layer(x, dt=dt)
    cells = cells_of(layer, name, {"time_decay": True})
    lower, _ = unrolled.Recurrent(cells[0][0], backend="reference")((x, dt))
    upper, _ = unrolled.Recurrent(cells[1][0], backend="reference")((lower, dt))
    torch.testing.assert_close(outputs, upper)
    assert not torch.equal(layer(x, dt=2 * dt)[0], outputs)


def test_what_is_drawn_and_what_stays():
    torch.manual_seed(3)
    theirs = torch.nn.LSTM(F, H, 2)
    torch.manual_seed(3)
    mine = ours.LSTM(F, H, 2, return_all_states=True, nonlinearity="relu")
    for (name, parameter), (other, same) in zip(theirs.named_parameters(), mine.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(parameter, same)
    torch.manual_seed(4)
    mine.reset_parameters()
    torch.manual_seed(4)
    theirs.reset_parameters()
    assert all(torch.equal(p, q) for p, q in zip(theirs.parameters(), mine.parameters(), strict=True))
    peephole = ours.LSTM(F, H, 2, peephole=True)
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_ch_l0"]
    assert list(peephole.state_dict())[:5] == names
    assert [len(weights) for weights in peephole.all_weights] == [5, 5]
    before = peephole.weight_ch_l1.clone()
    peephole.reset_parameters()
    assert not torch.equal(before, peephole.weight_ch_l1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lengths": [1, 2]}, r"lengths: expected shape \(B,\) = \(5,\)"),
        ({"mask": torch.ones(B, T, dtype=torch.bool)}, r"mask: expected \(T, B\) = \(7, 5\)"),
        ({"reset": torch.zeros(T, B)}, "reset: expected dtype torch.bool"),
        ({"dt": torch.ones(T, B)}, "dt: expected None"),
    ],
)
def test_wrong_arguments_are_told(arguments, message):
    with pytest.raises((unrolled.InputError, unrolled.InputTypeError), match=message):
        ours.GRU(F, H)(torch.randn(T, B, F), **arguments)


def test_other_wrong_arguments_are_told():
    x = torch.randn(T, B, F)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [7] * B)
    with pytest.raises(unrolled.InputTypeError, match="got a PackedSequence"):
        ours.GRU(F, H)(packed, lengths=[1] * B)
    with pytest.raises(unrolled.InputError, match="input_size = 3"):
        ours.GRU(F, H, layer_norm=True)(torch.randn(T, B, 4))
    with pytest.raises(unrolled.InputTypeError, match="hx: expected 2 tensors"):
        ours.LSTM(F, H, peephole=True)(x, torch.zeros(1, B, H))
    with pytest.raises(unrolled.InputTypeError, match="hx: expected 2 states, one a layer"):
        ours.GRU(F, [4, 5])(x, torch.zeros(1, B, H))
    with pytest.raises(unrolled.InputError, match="hidden_size: expected one size for each"):
        ours.GRU(F, [4, 5], num_layers=3)
    with pytest.raises(unrolled.InputTypeError, match="dt: expected the time between steps"):
        ours.GRU(F, H, time_decay=True)(x)
    with pytest.raises(ValueError, match="Unknown nonlinearity"):
        ours.RNN(F, H, nonlinearity="nothing")
