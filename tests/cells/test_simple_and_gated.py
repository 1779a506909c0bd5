"""The simple and gated cells: against sums written out unit by unit, and against torch.nn with weights tied so that it
computes the same; values, last states and every gradient.
"""

from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call

from unrolled import Recurrent
from unrolled.cells import (
    GRU,
    IRNN,
    JANET,
    MGU,
    UGRNN,
    AntisymmetricRNN,
    ClockworkRNN,
    IndRNN,
    LiGRU,
)
from unrolled.core import leaves

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-11)
T, B, I, H = 7, 2, 3, 5  # noqa: E741
PERIODS = (1, 2, 3)
OF_UNIT = (1, 1, 2, 2, 3)  # the period of each of H units


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(23)


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def made(kind, **options):
    """The cell in float64 with normal, asymmetric parameters."""
    cell = kind(I, H, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(0.7 * rand(*parameter.shape))
    return cell


def compare(cell, theirs):
    """Values and gradients of the cell, and of ``theirs(parameters, x, h)``, which gives outputs and last h."""
    x, h = rand(T, B, I).requires_grad_(), rand(B, H).requires_grad_()
    parameters = dict(cell.named_parameters())
    start = h if not isinstance(cell, ClockworkRNN) else (h, torch.zeros(B, 1, dtype=torch.float64))
    outputs, end = Recurrent(cell)(x, start)
    mine, expected = (outputs, leaves(end)[0]), theirs(parameters, x, h)
    weights = rand(T, B, H), rand(B, H)
    found = []
    for values in (mine, expected):
        loss = sum((w * v).sum() for w, v in zip(weights, values, strict=True))
        found.append(torch.autograd.grad(loss, [x, h, *parameters.values()], materialize_grads=True))
    close(mine, expected)
    close(*found)


# ---------------------------------------------------------------- unit by unit


def dot(row, v):
    return sum(w * a for w, a in zip(row, v, strict=True))


class Units:
    """Parameters as numbers: ``p.W[k][j]``; the biases zero where there are none."""

    def __init__(self, parameters):
        self.W, self.U = parameters["weight_ih"], parameters["weight_hh"]
        self.b = parameters.get("bias", torch.zeros(2 * H, dtype=torch.float64))
        self.gain, self.b_hn = parameters.get("norm_ih"), parameters.get("bias_hn")

    def sum(self, k, x, h, bias=True):
        return dot(self.W[k], x) + dot(self.U[k], h) + (self.b[k] if bias else 0)


def irnn(p, x, h, t):
    return [torch.relu(p.sum(k, x, h)) for k in range(H)]


def indrnn(p, x, h, t):
    return [torch.relu(dot(p.W[k], x) + p.U[k] * h[k] + p.b[k]) for k in range(H)]


def antisymmetric(p, x, h, t, epsilon=0.3, gamma=0.2, gated=False):
    new = []
    for k in range(H):
        turned = sum((p.U[k][j] - p.U[j][k]) * h[j] for j in range(H)) - gamma * h[k]
        z = torch.sigmoid(turned + dot(p.W[H + k], x) + p.b[H + k]) if gated else 1
        new.append(h[k] + epsilon * z * torch.tanh(turned + dot(p.W[k], x) + p.b[k]))
    return new


def clockwork(p, x, h, t):
    new = list(h)
    for k in range(H):
        if t % OF_UNIT[k] == 0:
            slower = [j for j in range(H) if OF_UNIT[j] >= OF_UNIT[k]]
            new[k] = torch.tanh(dot(p.W[k], x) + p.b[k] + sum(p.U[k][j] * h[j] for j in slower))
    return new


def janet(p, x, h, t, beta=0.7):
    new = []
    for k in range(H):
        s, c = p.sum(k, x, h), p.sum(H + k, x, h)
        new.append(torch.sigmoid(s) * h[k] + torch.sigmoid(beta - s) * torch.tanh(c))
    return new


def mgu(p, x, h, t, gate="xhb", reset_after=False):
    f = []
    for k in range(H):
        a = dot(p.W[k], x) if "x" in gate else 0
        a = a + (dot(p.U[k], h) if "h" in gate else 0) + (p.b[k] if "b" in gate else 0)
        f.append(torch.sigmoid(a))
    new = []
    for k in range(H):
        of_x = dot(p.W[k - H], x) + p.b[k - H]
        if reset_after:
            n = of_x + f[k] * (dot(p.U[k - H], h) + p.b_hn[k])
        else:
            n = of_x + dot(p.U[k - H], [f[j] * h[j] for j in range(H)])
        new.append((1 - f[k]) * h[k] + f[k] * torch.tanh(n))
    return new


def ligru(p, x, h, t):
    of_x = [dot(p.W[k], x) for k in range(2 * H)]
    if p.gain is not None:
        of_x = norm(of_x[:H]) + norm(of_x[H:])
        of_x = [gain * a for gain, a in zip(p.gain, of_x, strict=True)]
    z, n = (
        [of_x[k] + dot(p.U[k], h) + p.b[k] for k in rows] for rows in (range(H), range(H, 2 * H))
    )  # their rows are those of one matrix
    z = [torch.sigmoid(a) for a in z]
    return [z[k] * h[k] + (1 - z[k]) * torch.relu(n[k]) for k in range(H)]


def norm(a):
    mean = sum(a) / H
    variance = sum((v - mean) ** 2 for v in a) / H
    return [(v - mean) / torch.sqrt(variance + 1e-5) for v in a]


def ugrnn(p, x, h, t):
    g = [torch.sigmoid(p.sum(k, x, h)) for k in range(H)]
    return [g[k] * h[k] + (1 - g[k]) * torch.tanh(p.sum(H + k, x, h)) for k in range(H)]


BY_HAND = {
    "IRNN": (IRNN, {}, irnn),
    "IndRNN": (IndRNN, {}, indrnn),
    "AntisymmetricRNN": (AntisymmetricRNN, {"epsilon": 0.3, "gamma": 0.2}, antisymmetric),
    "gated": (AntisymmetricRNN, {"epsilon": 0.3, "gamma": 0.2, "gated": True}, partial(antisymmetric, gated=True)),
    "ClockworkRNN": (ClockworkRNN, {"periods": PERIODS}, clockwork),
    "JANET": (JANET, {"beta": 0.7}, janet),
    **{f"MGU_{gate}": (MGU, {"gate": gate}, partial(mgu, gate=gate)) for gate in ("xhb", "hb", "h", "b")},
    "MGU_after": (MGU, {"reset_after": True}, partial(mgu, reset_after=True)),
    "LiGRU": (LiGRU, {}, ligru),
    "LiGRU_norm": (LiGRU, {"layer_norm": True}, ligru),
    "LiGRU_norm_no_bias": (LiGRU, {"layer_norm": True, "bias": False}, ligru),
    "UGRNN": (UGRNN, {}, ugrnn),
    "UGRNN_no_bias": (UGRNN, {"bias": False}, ugrnn),
}


@pytest.mark.parametrize(("kind", "options", "step"), BY_HAND.values(), ids=BY_HAND)
def test_unit_by_unit(kind, options, step):
    def by_hand(parameters, x, h):
        p, outputs, ends = Units(parameters), [], []
        for row in range(B):
            state, rows = list(h[row]), []
            for t in range(T):
                state = step(p, list(x[t, row]), state, t)
                rows.append(torch.stack(state))
            outputs.append(torch.stack(rows))
            ends.append(torch.stack(state))
        return torch.stack(outputs, 1), torch.stack(ends)

    compare(made(kind, **options), by_hand)


# ---------------------------------------------------------------- torch.nn with tied weights


def by_torch(layer, of):
    """A layer of torch whose weights ``of`` makes of the cell's, so that gradients reach those."""

    def run(parameters, x, h):
        weights = {f"{name}_l0": value for name, value in of(parameters).items()}
        outputs, end = functional_call(layer, weights, (x, h[None]))
        return outputs, end[0]

    return run


def plain(p, recurrent=lambda w: w):
    """Of nn.RNN: one bias, the other 0."""
    return {
        "weight_ih": p["weight_ih"],
        "weight_hh": recurrent(p["weight_hh"]),
        "bias_ih": p["bias"],
        "bias_hh": torch.zeros_like(p["bias"]),
    }


@pytest.mark.parametrize(
    ("kind", "options", "recurrent"),
    [
        (IRNN, {}, lambda w: w),
        (IndRNN, {}, torch.diag),
        (ClockworkRNN, {"periods": [1] * H, "nonlinearity": "relu"}, lambda w: w),
    ],
)
def test_special_cases_of_the_plain_network(kind, options, recurrent):
    theirs = nn.RNN(I, H, nonlinearity="relu").double()
    compare(made(kind, **options), by_torch(theirs, partial(plain, recurrent=recurrent)))


def never_reset(p):
    """Of nn.GRU, whose r is 1: σ(50) in float64."""
    of_x, of_h = p["weight_ih"], p["weight_hh"]
    bias = torch.cat([torch.full((H,), 50.0, dtype=torch.float64), p["bias"]])
    return {
        "weight_ih": torch.cat([torch.zeros_like(of_x[:H]), of_x]),
        "weight_hh": torch.cat([torch.zeros_like(of_h[:H]), of_h]),
        "bias_ih": bias,
        "bias_hh": torch.zeros_like(bias),
    }


@pytest.mark.parametrize(("kind", "options"), [(UGRNN, {}), (JANET, {"beta": 0.0}), (LiGRU, {"nonlinearity": "tanh"})])
def test_a_gru_that_never_resets(kind, options):
    compare(made(kind, **options), by_torch(nn.GRU(I, H).double(), never_reset))


def one_gate(p):
    """Of a GRU: r = f, and z = σ(-a) = 1 - f."""
    of_x, of_h, bias = (p[name].chunk(2) for name in ("weight_ih", "weight_hh", "bias"))
    tied = {
        name: torch.cat([f, -f, n]) for name, (f, n) in (("weight_ih", of_x), ("weight_hh", of_h), ("bias_ih", bias))
    }
    after = p.get("bias_hn", torch.zeros_like(bias[1]))
    return {**tied, "bias_hh": torch.cat([torch.zeros_like(p["bias"]), after])}


def test_a_minimal_gated_unit_is_a_gru_with_one_gate():
    compare(made(MGU, reset_after=True), by_torch(nn.GRU(I, H).double(), one_gate))
    before = Recurrent(GRU(I, H, reset_after=False).double())

    def run(p, x, h):
        return functional_call(before, {f"cell.{name}": value for name, value in one_gate(p).items()}, (x, h))

    compare(made(MGU), run)
