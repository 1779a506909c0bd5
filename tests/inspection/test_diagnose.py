"""The gradient by lag, against loops written anew; a layer wherever it stands; the page."""

import json

import pytest
import torch
from torch import nn

import unrolled
from unrolled import Bidirectional, Cell, Recurrent, Stack, cells, diagnose

T, B, I, H = 12, 5, 3, 4  # noqa: E741 (the field's own letters)
LENGTHS = [12, 3, 7, 0, 12]


def randomised(module, scale=0.6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=scale, generator=generator)
    return module


def data(*shape, seed=2):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gradients_by_hand(cell, x, length):
    """Of one row: the norms of d sum(h(T)^2) / ds(T-k) for each part of the state and of the input, by lag."""
    x = [row.clone().requires_grad_() for row in x[:length]]
    state = cell.initial_state(1)
    states = []
    for row in x:
        output, state = cell.step(row[None], state)
        states.append(state if isinstance(state, tuple) else (state,))
    parts = [*zip(*states, strict=True), x]
    loss = output.square().sum()
    return [
        [torch.autograd.grad(loss, leaf, retain_graph=True)[0].norm().item() for leaf in reversed(part)]
        for part in parts
    ]


@pytest.mark.parametrize("kind", [cells.Elman, cells.LSTM])
def test_gradients_are_those_of_a_loop_by_hand(kind):
    cell = randomised(kind(I, H).double())
    x = data(T, B, I)
    found = diagnose(
        Recurrent(cell),
        x,
        lengths=LENGTHS,
        loss=lambda result: (result[1] if kind is cells.Elman else result[1].h).square().sum(),
    ).layers[0]
    by_row = [gradients_by_hand(cell, x[:, row], length) for row, length in enumerate(LENGTHS) if length]
    decays = [*(found.parts or (found.state,)), found.input]
    for place, decay in enumerate(decays):
        for lag in range(T):
            values = [row[place][lag] for row in by_row if len(row[place]) > lag]
            of_rows = torch.tensor(values, dtype=torch.float64)
            assert decay.rows[lag] == len(values)
            assert decay.mean[lag] == pytest.approx(of_rows.log().mean().exp().item(), rel=1e-9)
            assert decay.lower[lag] == pytest.approx(of_rows.quantile(0.25).item(), rel=1e-9)
            assert decay.upper[lag] == pytest.approx(of_rows.quantile(0.75).item(), rel=1e-9)
    if found.parts:
        assert [part.name for part in found.parts] == ["state.h", "state.c"]
        squares = [row[0][0] ** 2 + row[1][0] ** 2 for row in by_row]
        assert found.state.mean[0] == pytest.approx(torch.tensor(squares).sqrt().log().mean().exp().item(), rel=1e-6)


def test_figures_of_a_step_whose_gradient_halves():
    found = diagnose(lambda x, s: (s, 0.5 * s + x), data(30, 2, 3), state=data(2, 3)).layers[0]
    state = found.state
    assert state.rate == pytest.approx(0.5, rel=1e-9)
    assert state.half_life == pytest.approx(1)
    assert state.doubling is None
    assert state.memory == 8  # lag 0 is out of the loss's reach: y(T) = s(T-1)
    assert state.memory_e == 3
    assert state.mean[0] == 0
    assert state.not_finite is None
    assert found.exponents == pytest.approx([-0.6931471805599453])
    assert found.spread == pytest.approx([0], abs=1e-12)
    assert found.gates == ()


def test_an_explosion_and_its_end():
    found = diagnose(lambda _, s: (4 * s, 4 * s), steps=700, state=torch.ones(2, 1, dtype=torch.float64) * 1e-300)
    state = found.layers[0].state
    assert state.rate == pytest.approx(4)
    assert state.half_life is None
    assert state.doubling == pytest.approx(0.5)
    assert state.not_finite == 512  # 4^512 is more than float64 has
    assert "Explodes: 512 steps back the gradient is infinite" in str(found)
    assert "clip the norm" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_gradient_that_is_nan_from_the_first():
    found = diagnose(lambda x, s: (s, (0 * s).sqrt() + x), data(4, 2, 3), state=data(2, 3))
    assert found.layers[0].state.not_finite is not None
    assert found.layers[0].state.memory is None
    text = str(found)
    assert "NaN or infinite" in text
    assert "Against infinite numbers" in text
    json.dumps(found.to_dict(), allow_nan=False)


def same(one, other):
    for name in ("state", "input"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.mean == pytest.approx(b.mean, rel=1e-9)
        assert a.rows == b.rows
    assert one.exponents == pytest.approx(other.exponents, rel=1e-9)
    for a, b in zip(one.gates, other.gates, strict=True):
        assert (a.name, a.function, a.low, a.high) == (b.name, b.function, b.low, b.high)
        assert a.mean == pytest.approx(b.mean)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_a_layer_is_the_same_wherever_it_stands(lengths):
    cell = randomised(cells.GRU(I, H).double())
    x = data(T, B, I)
    plain = diagnose(cell, x, lengths=lengths).layers[0]
    assert plain.cell == "GRU"
    first = x.transpose(0, 1)
    same(plain, diagnose(Recurrent(cell), x, lengths=lengths).layers[0])
    same(plain, diagnose(Recurrent(cell, batch_first=True), first, lengths=lengths).layers[0])
    same(plain, diagnose(Recurrent(cell, return_all_states=True), x, lengths=lengths).layers[0])
    same(plain, diagnose(Recurrent(cell, checkpoint_every=3), x, lengths=lengths).layers[0])
    same(plain, diagnose(Stack([cell], batch_first=True), first, lengths=lengths).layers[0])
    drop_in = unrolled.nn.GRU(I, H).double()
    drop_in.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    found = diagnose(drop_in, x, lengths=lengths).layers[0]
    assert found.name == "layer 0"
    same(plain, found)


def test_as_many_rows_as_steps():
    cell, x = randomised(cells.GRU(I, H).double()), data(T, T, I)
    same(diagnose(cell, x).layers[0], diagnose(Recurrent(cell, batch_first=True), x.transpose(0, 1)).layers[0])


def test_what_torch_compile_has_made_is_looked_into():
    class Holds(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x)[0]

    cell, x = randomised(cells.GRU(I, H).double()), data(T, B, I)
    plain = diagnose(cell, x).layers[0]
    same(plain, diagnose(torch.compile(Recurrent(cell), backend="eager"), x).layers[0])
    held = diagnose(Holds(torch.compile(Recurrent(cell), backend="eager")), x).layers[0]
    assert held.name == "layer"
    same(plain, held)


def test_a_layer_that_runs_from_the_last_step_is_the_other_way_round():
    cell, x = randomised(cells.GRU(I, H).double()), data(T, B, I)
    back = diagnose(Recurrent(cell, reverse=True), x).layers[0]
    assert back.reverse
    same(diagnose(cell, x.flip(0)).layers[0], back)
    both = Bidirectional(randomised(cells.GRU(I, H).double(), seed=3), cell)
    names = [layer.name for layer in diagnose(both, x, lengths=LENGTHS).layers]
    assert names == ["ahead", "back"]
    lone = diagnose(Recurrent(cell, reverse=True), x, lengths=LENGTHS).layers[0]
    beside = diagnose(both, x, lengths=LENGTHS, loss=lambda result: result[1][1].sum()).layers
    assert beside[0].state.nothing
    assert not any(beside[0].input.mean)
    assert beside[1].exponents == lone.exponents
    assert beside[1].state.rows == lone.state.rows


def test_padding_changes_nothing():
    cell, x = randomised(cells.LSTM(I, H).double()), data(T, B, I)
    spoilt = x.clone()
    for row, length in enumerate(LENGTHS):
        spoilt[length:, row] = float("nan")
    one, other = (diagnose(cell, given, lengths=LENGTHS) for given in (x, spoilt))
    assert str(one) == str(other)
    assert one.to_dict() == other.to_dict()


class Passes(Cell):
    """Half of its state is handed on as it is; one part counts steps."""

    state_size = (2, 2)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        return torch.ones(batch_size, 2), torch.full((batch_size,), 3, dtype=torch.int64)

    def step(self, x, state):
        kept, count = state
        return kept * x, (kept, count + 1)


def test_a_state_that_is_passed_on_and_one_that_counts():
    found = diagnose(Passes(), torch.full((T, B, 2), 0.5)).layers[0]
    assert found.parts == ()
    assert found.state.mean[1:] == pytest.approx([found.state.mean[1]] * (T - 1))
    assert found.exponents == pytest.approx([0], abs=1e-9)
    assert "Remembers all 11 steps: 100 % of the gradient is left" in str(diagnose(Passes(), torch.ones(T, B, 2)))


def test_the_page_fits_and_says_the_same_as_the_data():
    model = Stack(lambda size: cells.LSTM(size, H), I, 2, bidirectional=True)
    found = diagnose(model, torch.randn(T, B, I), lengths=LENGTHS, exponents=3)
    text = str(found)
    assert all(len(line) <= 80 for line in text.splitlines())
    for words in ("Stack: memory", "layers.0.ahead: LSTM, 12 steps, 5 rows", "from the last step to the first"):
        assert words in text
    for words in ("state.c", "input", "sigmoid f", "Lyapunov exponent 3", "half in"):
        assert words in text
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["layers"][0]["state"]["mean"] == list(found.layers[0].state.mean)
    assert record["layers"][0]["state"]["half_life"] == found.layers[0].state.half_life
    assert len(record["layers"][3]["exponents"]) == 3
