"""The cells of continuous time: against another package, against scipy, and by what their memory holds."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from unrolled import InputError, InputTypeError, Recurrent
from unrolled.cells import LMU, LTC
from unrolled.cells.lmu import legendre

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-11)
T, B, I, H, O = 5, 4, 3, 6, 2  # noqa: E741


@pytest.fixture(autouse=True)
def _float64():
    torch.manual_seed(3)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("unfolds", [1, 6])
@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_ltc_against_another_package(affine, implicit, unfolds):
    ncps_torch, wirings = pytest.importorskip("ncps.torch"), pytest.importorskip("ncps.wirings")
    mapping = "affine" if affine else None
    other = ncps_torch.LTCCell(
        wirings.FullyConnected(H, O),
        I,
        input_mapping=mapping,
        output_mapping=mapping,
        ode_unfolds=unfolds,
        epsilon=0.0,  # added to their denominator, which is above 0 in any case
        implicit_param_constraints=implicit,
    ).double()
    cell = LTC(I, H, O, ode_unfolds=unfolds, affine=affine, implicit_constraints=implicit)
    theirs = dict(other.named_parameters())
    with torch.no_grad():
        for name, parameter in cell.named_parameters():  # the same names, but for their masks, here all 1
            parameter.uniform_(0.1, 2.0) if name in ("gleak", "cm", "w", "sensory_w") else parameter.normal_()
            theirs[name].abs_() if "mask" in name else theirs[name].copy_(parameter)
    assert {n for n in theirs if "mask" not in n} == {n for n, _ in cell.named_parameters()}
    assert all((p == 1).all() for n, p in theirs.items() if "mask" in n)
    x, start = torch.randn(T, B, I, requires_grad=True), torch.randn(B, H, requires_grad=True)
    dt = torch.rand(T, B, 1).add(0.1).requires_grad_()
    v, outputs = start, []
    for x_t, dt_t in zip(x, dt, strict=True):
        y, v = other(x_t, v, dt_t)
        outputs.append(y)
    expected = torch.stack(outputs), v
    found = Recurrent(cell)((x, dt), start)
    close(found, expected)
    weights = [torch.randn_like(part) for part in found]
    wanted = [(parameter, theirs[name]) for name, parameter in cell.named_parameters()]
    grads = [
        torch.autograd.grad(
            sum((w * part).sum() for w, part in zip(weights, results, strict=True)), [x, dt, start, *of]
        )
        for results, *of in zip((found, expected), *wanted, strict=True)
    ]
    close(*grads)


def test_ltc_in_time():
    cell = LTC(I, H)
    x, v = torch.randn(B, I), torch.randn(B, H)
    close(cell.step(x, v), cell.step((x, torch.ones(B)), v))
    close(cell.step((x, torch.zeros(B)), v)[1], v)  # no time, no change
    assert not torch.allclose(cell.step((x, torch.full((B,), 0.5)), v)[1], cell.step(x, v)[1])
    long = [cell.step((x, torch.full((B,), 1e9)), v)[1] for v in (v, torch.zeros(B, H))]
    assert all(end.abs().max() <= 1.1 for end in long)  # between the potentials that pull, however long
    fine, coarse = LTC(I, H, ode_unfolds=4000), LTC(I, H, ode_unfolds=2000)
    coarse.load_state_dict(fine.state_dict())
    conductance = nn.functional.softplus

    def slope(v):
        a = conductance(fine.w) * torch.sigmoid(fine.sigma * (v[..., None] - fine.mu))
        b = conductance(fine.sensory_w) * torch.sigmoid(fine.sensory_sigma * (x[..., None] - fine.sensory_mu))
        leak = conductance(fine.gleak) * (fine.vleak - v)
        pull = (a * (fine.erev - v[:, None])).sum(1) + (b * (fine.sensory_erev - v[:, None])).sum(1)
        return (leak + pull) / conductance(fine.cm)

    state, d = v, 1 / 500
    for _ in range(500):  # Runge and Kutta's method for the equation itself
        k1 = slope(state)
        k2 = slope(state + d / 2 * k1)
        k3 = slope(state + d / 2 * k2)
        k4 = slope(state + d * k3)
        state = state + d / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    extrapolated = 2 * fine.step(x, v)[1] - coarse.step(x, v)[1]  # Euler's error is proportional to its step
    torch.testing.assert_close(extrapolated, state, rtol=1e-5, atol=1e-5)


def test_ltc_begins_in_the_papers_ranges():
    cell = LTC(30, 40)
    for name, low, high in [("w", 0.001, 1), ("sensory_w", 0.001, 1), ("gleak", 0.001, 1), ("cm", 0.4, 0.6)]:
        value = nn.functional.softplus(getattr(cell, name))
        assert low - 1e-9 <= value.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < value.max() <= high + 1e-9
    assert set(cell.erev.unique().tolist()) == {-1.0, 1.0}
    assert 0.28 < (cell.erev < 0).to(torch.float64).mean() < 0.39


def test_lmu_is_its_equation_written_anew():
    signal = pytest.importorskip("scipy.signal")
    d, theta = 4, 5.5
    layer = Recurrent(LMU(I, H, d, theta, learn_memory=True))
    cell = layer.cell
    for name, parameter in cell.named_parameters():
        _ = name in "AB" or nn.init.normal_(parameter)
    a, b = continuous(d, theta)
    a, b, *_ = signal.cont2discrete((a, b, np.eye(d), np.zeros((d, 1))), 1.0, method="zoh")
    a, b = (torch.tensor(part, requires_grad=True) for part in (a, b))
    close((cell.A.detach(), cell.B.detach()), (a.detach(), b.detach()), rtol=1e-12, atol=1e-13)
    x = torch.randn(T, B, I, requires_grad=True)
    h0, m0 = torch.randn(B, H, requires_grad=True), torch.randn(B, d, requires_grad=True)
    h, m, outputs = h0, m0, []
    for x_t in x:
        u = torch.cat([x_t, h, m], 1) @ torch.cat([cell.e_x, cell.e_h, cell.e_m], 1).T
        m = torch.cat([m, u], 1) @ torch.cat([a, b], 1).T
        h = torch.tanh(torch.cat([x_t, h, m], 1) @ torch.cat([cell.W_x, cell.W_h, cell.W_m], 1).T)
        outputs.append(h)
    expected = torch.stack(outputs), (h, m)
    found = layer(x, (h0, m0))
    close(found, expected)
    weights = torch.randn(T, B, H), torch.randn(B, d)
    others = [p for name, p in cell.named_parameters() if name not in "AB"]
    grads = [
        torch.autograd.grad((weights[0] * y).sum() + (weights[1] * m).sum(), [x, h0, m0, *others, *memory])
        for (y, (_, m)), memory in ((found, (cell.A, cell.B)), (expected, (a, b)))
    ]
    close(*grads)


def continuous(d, theta):
    """A' and B' entry by entry."""
    a = [[(2 * i + 1) / theta * (-1 if i < j else (-1) ** (i - j + 1)) for j in range(d)] for i in range(d)]
    return np.array(a, dtype=float), np.array([[(2 * i + 1) / theta * (-1) ** i] for i in range(d)])


@pytest.mark.parametrize("d", [1, 6, 100])
def test_the_memory_is_discretised_exactly(d):
    signal = pytest.importorskip("scipy.signal")
    a, b = continuous(d, 37.0)
    a, b, *_ = signal.cont2discrete((a, b, np.eye(d), np.zeros((d, 1))), 1.0, method="zoh")
    close(legendre(d, 37.0), (torch.tensor(a), torch.tensor(b)), rtol=1e-12, atol=1e-13)


def test_the_memory_holds_the_last_theta_steps():
    theta, steps = 2400, 12000
    cell = LMU(1, 3, 14, theta)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    nn.init.ones_(cell.e_x)  # u(t) = x(t)

    def u(t):
        return torch.sin(2 * torch.pi * t / 1860) + 0.4 * torch.cos(2 * torch.pi * t / 2820 + 1)

    _, state = Recurrent(cell)(u(torch.arange(1, steps + 1).to(torch.float64)).view(-1, 1, 1))
    s = torch.linspace(0, 1, 21)
    held = np.polynomial.legendre.legval(2 * s.numpy() - 1, state.m[0].detach().numpy())
    # an input that is held for a step is on the average half a step old
    torch.testing.assert_close(torch.tensor(held), u(steps - s * theta + 0.5), rtol=0, atol=1e-4)


def test_the_memory_is_no_parameter_unless_it_is_asked_for():
    cell = LMU(I, H)
    assert (cell.memory_size, cell.theta) == (H, H)
    assert {"A", "B"} <= set(cell.state_dict())
    assert not {"A", "B"} & {name for name, _ in cell.named_parameters()}
    assert {"A", "B"} <= {name for name, _ in LMU(I, H, learn_memory=True).named_parameters()}


def test_errors():
    with pytest.raises(InputError, match=r"output_size: expected at most hidden_size = 6, got 7\."):
        LTC(I, H, 7)
    with pytest.raises(InputError, match=r"ode_unfolds: expected a whole number of at least 1, got 0\."):
        LTC(I, H, ode_unfolds=0)
    with pytest.raises(InputTypeError, match=r"x: expected x, or the pair \(x, dt\), got a tuple of 3\."):
        LTC(I, H).step((torch.zeros(B, I), torch.ones(B), torch.ones(B)), torch.zeros(B, H))
    with pytest.raises(InputError, match=r"theta: expected a number of steps above 0, got 0\."):
        LMU(I, H, theta=0)
