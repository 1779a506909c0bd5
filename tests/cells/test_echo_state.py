"""The reservoir: its formula written anew, the spectral radius, the same states as reservoirpy's."""

import copy

import numpy as np
import pytest
import torch

from unrolled import InputError, Recurrent
from unrolled.cells import EchoState

I, H, T, B = 2, 40, 30, 3  # noqa: E741


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(7)


def radius_of(matrix):
    return np.abs(np.linalg.eigvals(matrix.double().numpy())).max()


def radius_of_one_a_row(matrix):
    """Of a matrix with one entry a row, by hand: around a cycle of n units, the n-th root of the product."""
    following, values, radii = matrix.abs().argmax(-1).tolist(), matrix.abs().amax(-1).tolist(), []
    for unit in range(len(values)):
        at, product, length = following[unit], values[unit], 1
        while at != unit and length <= len(values):
            at, product, length = following[at], product * values[at], length + 1
        radii.append(product ** (1 / length) if at == unit else 0.0)
    return max(radii)


@pytest.mark.parametrize("hidden_size", [1, 2, 5, 17, 100])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("spectral_radius", [0.0, 0.3, 1.25])
def test_spectral_radius_and_sparsity_hold(hidden_size, sparsity, spectral_radius):
    cell = EchoState(I, hidden_size, spectral_radius=spectral_radius, sparsity=sparsity)
    entries = max(1, round((1 - sparsity) * hidden_size))
    if spectral_radius:
        assert ((cell.weight_hh != 0).sum(-1) == entries).all()
    found = radius_of_one_a_row(cell.weight_hh) if entries == 1 else radius_of(cell.weight_hh)
    assert found == pytest.approx(spectral_radius, rel=1e-6)


def test_scalings_and_what_is_fixed():
    cell = EchoState(I, H, input_scaling=0.2, bias_scaling=3.0)
    assert 0.15 < cell.weight_ih.abs().max() <= 0.2
    assert 2.5 < cell.bias_h.abs().max() <= 3.0
    assert (EchoState(I, H).bias_h == 0).all()
    assert list(cell.parameters()) == []
    assert set(cell.state_dict()) == {"weight_ih", "weight_hh", "bias_h"}
    other = EchoState(I, H)
    assert not torch.equal(other.weight_hh, cell.weight_hh)
    other.load_state_dict(cell.double().state_dict())
    assert torch.equal(other.weight_hh, cell.weight_hh.float())
    before = cell.weight_hh.clone()
    cell.reset_parameters()
    assert cell.weight_hh.dtype == torch.float64
    assert not torch.equal(cell.weight_hh, before)
    torch.manual_seed(3)
    first = EchoState(I, H)
    torch.manual_seed(3)
    assert torch.equal(EchoState(I, H).weight_hh, first.weight_hh)


def test_the_formula():
    cell = EchoState(I, H, leak_rate=0.3, bias_scaling=1.0, nonlinearity="sin").double()
    x, h = torch.randn(T, B, I, dtype=torch.float64), torch.randn(B, H, dtype=torch.float64)
    outputs, end = Recurrent(cell, backend="compiled")(x, h)
    for t in range(T):
        for row in range(B):  # h(t-1) of every row is still there: rows do not meet
            a = cell.weight_hh @ h[row] + cell.weight_ih @ x[t, row] + cell.bias_h
            h[row] = 0.7 * h[row] + 0.3 * torch.sin(a)
        torch.testing.assert_close(outputs[t], h, rtol=1e-12, atol=1e-13)
    assert torch.equal(end, outputs[-1])


def test_a_state_is_forgotten_below_radius_1():
    """The echo state property: from two states, the same after some time."""
    layer = Recurrent(EchoState(I, H, spectral_radius=0.5).double())
    x = torch.randn(200, B, I, dtype=torch.float64)
    ends = [layer(x, torch.randn(B, H, dtype=torch.float64))[1] for _ in range(2)]
    torch.testing.assert_close(*ends, rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_the_states_of_reservoirpy(backend):
    nodes = pytest.importorskip("reservoirpy.nodes")
    cell = EchoState(I, H, spectral_radius=1.1, leak_rate=0.4, input_scaling=0.7, bias_scaling=0.2).double()
    theirs = nodes.Reservoir(
        H, lr=0.4, Win=cell.weight_ih.numpy(), W=cell.weight_hh.numpy(), bias=cell.bias_h.numpy(), input_dim=I
    )
    x = torch.randn(300, 1, I, dtype=torch.float64)
    outputs, _ = Recurrent(cell, backend=backend)(x)
    np.testing.assert_allclose(outputs[:, 0].numpy(), theirs.run(x[:, 0].numpy()), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spectral_radius": -1.0}, r"spectral_radius: expected a number, 0 or more, got -1.0"),
        ({"spectral_radius": float("inf")}, r"spectral_radius: expected a number, 0 or more, got inf"),
        ({"sparsity": 1.0}, r"sparsity: expected a number, at least 0 and below 1, got 1.0"),
        ({"leak_rate": 0.0}, r"leak_rate: expected a number, above 0 and at most 1, got 0.0"),
        ({"leak_rate": True}, r"leak_rate: expected a number, above 0 and at most 1, got True"),
        ({"leak_rate": "0.3"}, r"leak_rate: expected a number, above 0 and at most 1, got '0.3'"),
        ({"input_scaling": float("nan")}, r"input_scaling: expected a number, 0 or more, got nan"),
        ({"nonlinearity": "tanhh"}, r"nonlinearity: expected a function or one of"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        EchoState(I, H, **options)


def test_a_nilpotent_draw_is_refused(monkeypatch):
    def halves(*shape, dtype=None, **_):
        return torch.full(shape, 0.5, dtype=dtype)  # 2 * 0.5 - 1 = 0

    monkeypatch.setattr(torch, "rand", halves)
    with pytest.raises(InputError, match=r"drawn is nilpotent, .* 0\. Draw again, with another seed\."):
        EchoState(I, H)


def test_copies():
    layer = Recurrent(EchoState(I, H))
    x = torch.randn(T, B, I)
    assert torch.equal(copy.deepcopy(layer)(x)[0], layer(x)[0])
