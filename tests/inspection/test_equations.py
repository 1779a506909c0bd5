"""The equation printed back: what is printed is what the step computes."""

import sys

import pytest
import torch
from matplotlib.mathtext import MathTextParser
from torch import nn
from torch.nn import functional as F

from small_cells import SMALL
from unrolled import Cell, InputError, InputTypeError, UnsupportedStep, equations
from unrolled.cells import GRU, LSTM, RNN, Elman, GeneralRNN, Jordan, OutputFeedback
from unrolled.compiler.locals import Recorder
from unrolled.core import leaves, map_tree
from unrolled.inspection.equation import front

TOLERANCE = 1e-12


def random_parameters(cell):
    """Asymmetric ones, in float64."""
    for parameter in cell.double().parameters():
        parameter.data = parameter.data + 0.3 * torch.rand_like(parameter)
    return cell


def check(cell, x=None, notation=None, rows=3):
    """The printed text, evaluated, is the step."""
    torch.manual_seed(7)
    cell = random_parameters(cell)
    if x is None:
        x = torch.randn(1, rows, cell.input_size, dtype=torch.float64)
    start = cell.initial_state(rows)
    found = equations(cell, x, start, notation=notation)
    state = map_tree(torch.rand_like, start)
    now = map_tree(lambda leaf: leaf[0], x)
    with torch.no_grad():
        expected = cell.step(now, state)
    got = found.evaluate(now, state)
    for ours, theirs in zip(leaves(got), leaves(expected), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)
    return found


@pytest.mark.parametrize("name", SMALL)
def test_the_text_of_every_cell_is_its_step(name):
    small = SMALL[name]
    found = check(small.make(), small.x(1, 3))
    assert all(len(line) <= 80 for line in str(found).splitlines())
    for line in found.lines:
        assert_typeset(line.latex)


def assert_typeset(latex):
    """matplotlib can set it, and what is opened is closed."""
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") == latex.count(r"\right")
    MathTextParser("path").parse(f"${latex}$")


@pytest.mark.parametrize("notation", ["elman", "unit", "state", "general", "neuron"])
@pytest.mark.parametrize("name", ["Elman", "GRU", "Jordan", "LSTM, peephole"])
def test_so_it_is_in_every_notation(name, notation):
    small = SMALL[name]
    check(small.make(), small.x(1, 2), notation, rows=2)


def test_elman():
    assert str(equations(Elman(3, 5))) == "h(t) = tanh(W_xh x(t) + W_hh h(t-1) + b_h)"
    found = equations(Elman(3, 5, 2, nonlinearity="relu", output_nonlinearity="softmax"))
    assert str(found) == "h(t) = relu(W_xh x(t) + W_hh h(t-1) + b_h)\ny(t) = softmax(W_hy h(t) + b_y)"
    assert str(equations(Elman(3, 5, 2, bias=False))).splitlines()[1] == "y(t) = W_hy h(t)"
    assert [(m.symbol.name, m.what, m.shape) for m in found.legend if m.path] == [
        ("W_xh", "weight_ih", (5, 3)),
        ("b_h", "bias_h", (5,)),
        ("W_hh", "weight_hh", (5, 5)),
        ("W_hy", "weight_ho", (2, 5)),
        ("b_y", "bias_o", (2,)),
    ]


def test_the_gates_have_the_names_of_the_users_variables():
    assert str(equations(LSTM(3, 5))).splitlines() == [
        "i(t) = W_xi x(t) + W_hi h(t-1) + b_xi + b_hi",
        "f(t) = W_xf x(t) + W_hf h(t-1) + b_xf + b_hf",
        "g(t) = W_xg x(t) + W_hg h(t-1) + b_xg + b_hg",
        "o(t) = W_xo x(t) + W_ho h(t-1) + b_xo + b_ho",
        "c(t) = σ(f(t)) * c(t-1) + σ(i(t)) * tanh(g(t))",
        "h(t) = σ(o(t)) * tanh(c(t))",
    ]
    assert str(equations(GRU(3, 5))).splitlines() == [
        "r(t) = σ(W_xr x(t) + W_hr h(t-1) + b_xr + b_hr)",
        "z(t) = σ(W_xz x(t) + W_hz h(t-1) + b_xz + b_hz)",
        "n(t) = tanh(W_xn x(t) + r(t) * (W_hn h(t-1) + b_hn) + b_xn)",
        "h(t) = (1 - z(t)) * n(t) + z(t) * h(t-1)",
    ]
    assert "n(t) = tanh(W_xn x(t) + W_hn (r(t) * h(t-1)) + b_xn + b_hn)" in str(equations(GRU(3, 5, reset_after=False)))


@pytest.mark.parametrize(
    ("cell", "notation", "lines"),
    [
        (
            Elman(2, 3, 4, output_nonlinearity="softmax"),
            "unit",
            ["a(t) = U x(t) + W h(t-1) + b", "h(t) = tanh(a(t))", "o(t) = V h(t) + c", "ŷ(t) = softmax(o(t))"],
        ),
        (Elman(2, 3), "state", ["s(t) = tanh(W_xs x(t) + W_ss s(t-1) + b_s)"]),
        (GeneralRNN(2, 3, 4), "general", ["x(n) = tanh(W x(n-1) + W_in u(n) + b)", "y(n) = W_out x(n)"]),
        (OutputFeedback(2), "neuron", ["ŷ(t) = tanh(w_x x(t) + w_y ŷ(t-1) + b)"]),
        (OutputFeedback(2, 3), None, ["y(t) = tanh(x(t) w_x + y(t-1) w_y + b)"]),
        (Jordan(2, 3, 4), None, ["h(t) = tanh(W_xh x(t) + W_yh y(t-1) + b_h)", "y(t) = tanh(W_hy h(t) + b_y)"]),
        (Elman(2, 3), {"weight_ih": "U", "h": "s", "W_hh": "R"}, ["s(t) = tanh(U x(t) + R s(t-1) + b_s)"]),
    ],
)
def test_notations(cell, notation, lines):
    assert str(equations(cell, notation=notation)).splitlines() == lines


class Mine(Cell):
    """A leaky network with names of its own."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.V = nn.Parameter(torch.randn(hidden_size, input_size))
        self.mixing = nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.inner = nn.Linear(hidden_size, hidden_size)
        self.log_tau = nn.Parameter(torch.randn(hidden_size))

    def step(self, drive, memory):
        rate = torch.exp(-F.softplus(self.log_tau))
        candidate = torch.tanh(drive @ self.V.T + memory @ self.mixing)
        memory = rate * memory + (1 - rate) * self.inner(candidate)
        return memory.square().mean(-1, keepdim=True), memory


def test_a_cell_of_ones_own_keeps_its_names():
    found = check(Mine(2, 3))
    assert str(found).splitlines() == [
        "rate = exp(-softplus(log_tau))",
        "candidate(t) = tanh(V drive(t) + memory(t-1) mixing)",
        "memory(t) = rate * memory(t-1) + (1 - rate) * (W_inner candidate(t) + b_inner)",
        "y(t) = mean(memory(t)^2)",
    ]


OPTIONS = {
    "peephole": LSTM(2, 3, peephole=True),
    "coupled": LSTM(2, 3, coupled=True),
    "layer norm": LSTM(2, 3, layer_norm=True, peephole=True, proj_size=4),
    "zoneout": LSTM(2, 3, zoneout=(0.1, 0.2)),
    "normed GRU": GRU(2, 3, layer_norm=True, proj_size=4),
    "normed RNN": RNN(2, 3, layer_norm=True, zoneout=0.3, proj_size=4),
    "one unit": LSTM(1, 1),
    "one number": Elman(1, 1, 1),
    "one input": GRU(1, 4),
    "one output": Elman(3, 1, 5, output_nonlinearity="log_softmax"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options(name):
    check(OPTIONS[name])


def test_latex():
    found = equations(Elman(3, 5, 2), format="latex")
    assert str(found) == found.latex
    assert found.latex.splitlines() == [
        r"\begin{aligned}",
        r"h(t) &= \tanh\left(W_{xh}\, x(t) + W_{hh}\, h(t-1) + b_{h}\right) \\",
        r"y(t) &= W_{hy}\, h(t) + b_{y}",
        r"\end{aligned}",
    ]
    assert found._repr_latex_() == f"$$\n{found.latex}\n$$"
    assert r"W_{xi}\, x(t)" in equations(LSTM(3, 5)).latex


def test_step_functions_and_what_they_close_over():
    A = torch.randn(4, 4, dtype=torch.float64)

    def turn(_, s):
        v, w = s
        v = torch.cos(v @ A) + w[:, :1]
        return (v, w), (v, -w)

    state = (torch.zeros(2, 4, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64))
    found = equations(turn, None, state)
    assert str(found).splitlines() == ["v(t) = cos(v(t-1) A) + w(t-1)[0:1]", "w(t) = -w(t-1)", "y(t) = w(t-1)"]
    now = map_tree(torch.rand_like, state)
    for ours, theirs in zip(leaves(found.evaluate(None, now)), leaves(turn(None, now)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def test_a_loop_in_a_step_is_a_line_for_each_turn():
    def solver(x, v):
        for _ in range(3):
            v = v + 0.1 * torch.tanh(x - v * v.mean(-1, keepdim=True))
        return v, v

    shown = str(equations(solver, torch.zeros(1, 1, 2), torch.zeros(1, 2))).splitlines()
    assert [line.partition(" = ")[0] for line in shown] == ["v_1(t)", "v_2(t)", "v(t)"]


def test_what_no_rule_knows_stays_arithmetic():
    def step(x, h):
        e = torch.exp(x)  # not the stabilised softmax
        h = e / e.sum(-1, keepdim=True) + torch.softmax(h, -1)
        return h, h

    shown = str(equations(step, torch.zeros(1, 1, 3), torch.zeros(1, 3)))
    assert shown == "h(t) = exp(x(t)) / sum(exp(x(t))) + softmax(h(t-1))"


def test_near_misses_of_a_rule():
    def step(x, h):
        wrong_count = (h - h.sum(-1, keepdim=True) / 4) * torch.rsqrt(h.var(-1, keepdim=True, correction=0) + 1e-5)
        other_axis = torch.softmax(h[:, :, None] * x[:, None], 1).sum(2)
        h = wrong_count + other_axis + F.softplus(h, beta=2.0)
        return h, h

    x, state = torch.randn(1, 2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    found = equations(step, x, state)
    assert "norm(" not in str(found)
    assert "softmax(" not in str(found)
    assert "softplus(" not in str(found)
    torch.testing.assert_close(found.evaluate(x[0], state)[0], step(x[0], state)[0], rtol=TOLERANCE, atol=TOLERANCE)


def test_random_draws_are_shown_and_not_evaluated():
    def step(x, h):
        h = h + torch.rand_like(h)
        return h, h

    found = equations(step, torch.zeros(1, 1, 3), torch.zeros(1, 3))
    assert str(found) == "h(t) = h(t-1) + rand(3)"
    with pytest.raises(InputError, match="rand is no function that can be computed"):
        found.evaluate(torch.zeros(1, 3), torch.zeros(1, 3))


class Shy(Recorder):
    """Cannot be watched."""

    def __call__(self, x, state):
        if self.watch:
            raise RuntimeError("watched")
        return super().__call__(x, state)


def test_a_step_that_cannot_bear_to_be_watched_has_its_equation_without_names(monkeypatch):
    monkeypatch.setattr(front, "Recorder", Shy)

    def step(drive, memory):
        memory = torch.tanh(drive + memory)
        return memory, memory

    assert str(equations(step, torch.zeros(1, 1, 3), torch.zeros(1, 3))) == "s(t) = tanh(x(t) + s(t-1))"


def test_a_trace_leaves_nothing_behind():
    cell, before, drawn = LSTM(2, 3), sys.gettrace(), torch.get_rng_state()
    equations(cell)
    assert sys.gettrace() is before
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (InputError, "notation: expected one of elman, unit, .*, got 'goodfellow'", {"notation": "goodfellow"}),
        (InputTypeError, "notation: expected a name or a dict of symbols, got list", {"notation": ["U"]}),
        (
            InputError,
            "notation: expected names of x, h, .*weight_ih.*, got 'weight_hi'",
            {"notation": {"weight_hi": "U"}},
        ),
        (InputError, "format: expected 'text' or 'latex', got 'html'", {"format": "html"}),
    ],
)
def test_refusals(error, message, call):
    with pytest.raises(error, match=message):
        equations(Elman(2, 3), **call)


def test_a_step_that_mixes_the_rows_has_no_equation():
    def step(x, h):
        return h, h + x.sum(0)

    with pytest.raises(UnsupportedStep, match=r"sum at .*test_equations.py:\d+ mixes the rows"):
        equations(step, torch.zeros(1, 4, 3), torch.zeros(4, 3))
