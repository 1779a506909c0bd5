"""The simple and gated cells: what they begin with, what their pages say of them, and what they refuse."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from unrolled import InputError, Recurrent
from unrolled.cells import IRNN, JANET, MGU, UGRNN, AntisymmetricRNN, ClockworkRNN, IndRNN, LiGRU

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-11)
T, B, I, H = 7, 2, 3, 5  # noqa: E741
PERIODS = (1, 2, 3)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(23)


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_the_identity_at_the_start():
    cell = IRNN(I, H, scale=0.5)
    assert torch.equal(cell.weight_hh, 0.5 * torch.eye(H))
    assert 0 < cell.weight_ih.abs().max() < 0.01
    assert not cell.bias.any()


def test_independent_weights_at_the_start_and_their_bound():
    cell = IndRNN(I, 1000, steps=3)
    assert 0 <= cell.weight_hh.min() < 0.01
    assert 1.24 < cell.weight_hh.max() <= 2 ** (1 / 3)
    nn.init.uniform_(cell.weight_hh, -9, 9)
    before = cell.weight_hh.detach().clone()
    cell.constrain()
    inside = before.abs() <= 2 ** (1 / 3)
    assert torch.equal(cell.weight_hh[inside], before[inside])
    close(cell.weight_hh[~inside].abs(), torch.full_like(before[~inside], 2 ** (1 / 3)), rtol=1e-6)
    assert torch.equal(cell.weight_hh.sign(), before.sign())
    assert IndRNN(I, 1000).weight_hh.max() <= 1


def test_the_gate_of_a_janet_begins_at_memories_of_every_length():
    cell = JANET(I, 2000, steps=101)
    steps = cell.bias[:2000].exp()
    assert 1 <= steps.min() < 2
    assert 99 < steps.max() <= 100.001
    assert abs(steps.mean().item() - 50.5) < 3
    assert not cell.bias[2000:].any()
    assert (JANET(I, H).bias[:H] == 1).all()
    assert (JANET(I, H, steps=1).bias[:H] == 0).all()


def test_other_first_values():
    for cell in (UGRNN(I, H, forget_bias=2.0), LiGRU(I, H, layer_norm=True)):
        for block in cell.weight_hh.chunk(2):
            torch.testing.assert_close(block @ block.T, torch.eye(H))
            assert not torch.equal(block, torch.eye(H))
        assert cell.weight_ih.abs().max() <= math.sqrt(6 / (I + H))
    assert UGRNN(I, H, forget_bias=2.0).bias.tolist() == [2.0] * H + [0.0] * H
    assert not LiGRU(I, H).bias.any()
    assert (LiGRU(I, H, layer_norm=True).norm_ih == 1).all()
    assert abs(ClockworkRNN(50, 50).weight_hh.std().item() - 0.1) < 0.01
    wide = AntisymmetricRNN(25, 100)
    assert abs(wide.weight_ih.std().item() - 0.2) < 0.02
    assert abs(wide.weight_hh.std().item() - 0.1) < 0.01


def test_without_input_an_antisymmetric_network_turns_its_state_and_keeps_its_length():
    cell = AntisymmetricRNN(I, H, epsilon=1e-4, gamma=0.0, nonlinearity="identity", bias=False).double()
    h = rand(B, H)
    _, end = Recurrent(cell)(torch.zeros(200, B, I, dtype=torch.float64), h)
    close(end.norm(dim=-1), h.norm(dim=-1), rtol=1e-4, atol=0)
    assert (end - h).abs().max() > 1e-3


def test_each_row_of_a_clockwork_has_its_own_clock():
    cell = ClockworkRNN(I, H, periods=PERIODS).double()
    for parameter in cell.parameters():
        nn.init.normal_(parameter)
    x = rand(T, B, I)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[5, 1] = True  # by the row's old clock neither slow group would be due
    outputs, end = Recurrent(cell)(x, lengths=[5, 7], reset=reset)
    for row, part in ((0, slice(0, 5)), (1, slice(5, 7))):
        alone, last = Recurrent(cell)(x[part, row : row + 1])
        close(outputs[part, row], alone[:, 0])
        close(end.h[row], last.h[0])
        assert end.t[row] == last.t
    first, state = Recurrent(cell)(x[:4])
    second, _ = Recurrent(cell)(x[4:], state)
    close(torch.cat([first, second]), Recurrent(cell)(x)[0])


def test_a_clocks_count_stays_exact():
    cell = ClockworkRNN(I, H, periods=PERIODS)
    state = cell.initial_state(1)
    for t in range(14):
        assert state.t.item() == t % 6
        _, state = cell.step(torch.zeros(1, I), state)
    assert ClockworkRNN(I, 3).periods.tolist() == [1, 2, 4]
    assert ClockworkRNN(I, 17).periods.unique().tolist() == [1, 2, 4, 8, 16, 32, 64, 128]


def test_bad_arguments():
    for kind in (IRNN, IndRNN, AntisymmetricRNN, ClockworkRNN, JANET, MGU, LiGRU, UGRNN):
        with pytest.raises(InputError, match="hidden_size: expected a whole number of at least 1, got 0"):
            kind(I, 0)
        with pytest.raises(InputError, match="nonlinearity: expected a function or one of"):
            kind(I, H, nonlinearity="tan")
    for kind in (IndRNN, JANET):
        with pytest.raises(InputError, match="steps: expected a whole number of at least 1, got 0"):
            kind(I, H, steps=0)
    for periods in ((), [1] * 6):
        with pytest.raises(InputError, match=r"periods: expected 1 to hidden_size = 5 of them, got \d"):
            ClockworkRNN(I, H, periods=periods)
    with pytest.raises(InputError, match=r"period: expected a whole number of at least 1, got 1\.5"):
        ClockworkRNN(I, H, periods=[1, 1.5])
    for options in ({"gate": "xb"}, {"gate": "b", "bias": False}):
        with pytest.raises(InputError, match="gate: expected one of xhb, hb, h, b"):
            MGU(I, H, **options)
