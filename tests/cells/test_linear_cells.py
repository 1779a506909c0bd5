"""The cells that are linear in their state, against their sum over all earlier steps and against other packages."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unrolled import InputError, Recurrent
from unrolled.cells import LRU, QRNN, SRU, MinGRU, MinLSTM
from unrolled.core import leaves

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-11)
T, B, I, H = 7, 4, 3, 5  # noqa: E741


@pytest.fixture(autouse=True)
def _float64():
    torch.manual_seed(3)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def randomise(module):
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def given(cell):
    """The layer with random weights, x and a first state, which need a gradient."""
    layer = Recurrent(randomise(cell))
    x = torch.randn(T, B, cell.input_size, requires_grad=True)
    start = layer.initial_state(B)
    for leaf in leaves(start):
        nn.init.normal_(leaf.requires_grad_())
    return layer, x, start


def compare(found, expected, wanted):
    """Outputs and final states, and the gradients of a sum of all with random weights."""
    found, expected = [leaves(results) for results in (found, expected)]
    close(found, expected)
    weights = [torch.randn_like(value) for value in found]
    grads = [
        torch.autograd.grad(sum((w * v).sum() for w, v in zip(weights, values, strict=True)), wanted)
        for values in (found, expected)
    ]
    close(*grads)


def pooled(keep, write, start):
    """c(t) = keep c(t-1) + write, in closed form: what was written, times what has since been kept of it."""
    kept = keep.cumprod(0)
    return kept * (start + (write / kept).cumsum(0))


def test_min_gru_is_a_sum_over_earlier_steps():
    layer, x, start = given(MinGRU(I, H))
    z, n = (x @ layer.cell.weight_ih.T + layer.cell.bias_ih).split(H, -1)
    h = pooled(torch.sigmoid(-z), n * z.sigmoid(), start)
    compare(layer(x, start), (h, h[-1]), [x, start, *layer.parameters()])


@pytest.mark.parametrize("normalized", [True, False])
def test_min_lstm_is_a_sum_over_earlier_steps(normalized):
    layer, x, start = given(MinLSTM(I, H, normalized=normalized))
    i, f, g = (x @ layer.cell.weight_ih.T + layer.cell.bias_ih).split(H, -1)
    i, f = i.sigmoid(), f.sigmoid()
    total = f + i if normalized else 1
    h = pooled(f / total, i / total * g, start)
    compare(layer(x, start), (h, h[-1]), [x, start, *layer.parameters()])


def test_min_lstm_with_closed_gates_keeps_finite():
    cell = MinLSTM(1, 1, bias=False)
    nn.init.constant_(cell.weight_ih, -1e4)
    x = torch.ones(3, 1, 1, requires_grad=True)
    start = torch.ones(1, 1, requires_grad=True)
    h, _ = Recurrent(cell)(x, start)
    grads = torch.autograd.grad(h.sum(), [x, start, cell.weight_ih])
    assert all(value.isfinite().all() for value in (h, *grads))
    close(h[0], torch.tensor([[0.5 - 0.5e4]]))  # σ(f) = σ(i): half of each


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_positive_candidates_against_another_package(kind):
    """It sums in log space, where a candidate must be positive."""
    pytest.importorskip("minGRU_pytorch")
    from minGRU_pytorch.minGRU import minGRU
    from minGRU_pytorch.minLSTM import minLSTM

    wide, make = (2 * H, MinGRU) if kind == "gru" else (3 * H, MinLSTM)
    other = {"gru": minGRU, "lstm": minLSTM}[kind](4, H / 4, proj_out=False)
    (theirs,) = randomise(other).parameters()
    cell = make(4, H, bias=False, positive=True)
    assert theirs.shape == (wide, 4) == cell.weight_ih.shape
    x = torch.randn(B, T, 4, requires_grad=True)
    first = torch.randn(B, 1, H, requires_grad=True)
    start = torch.where(first < 0, first.sigmoid(), first + 0.5)
    begin = start.clone() if kind == "gru" else first  # their LSTM makes it positive itself
    expected, end = other(x, begin, return_next_prev_hidden=True)
    with torch.no_grad():
        candidate, *gates = theirs.split(H)
        cell.weight_ih.copy_(torch.cat([*reversed(gates), candidate]))
    outputs, state = Recurrent(cell, batch_first=True)(x, start[:, 0])
    close((outputs, state), (expected, end[:, 0]))
    weights, end_weights = torch.randn_like(outputs), torch.randn_like(state)
    mine = torch.autograd.grad(
        (weights * outputs).sum() + (end_weights * state).sum(), [x, first, cell.weight_ih], retain_graph=True
    )
    loss = (weights * expected).sum() + (end_weights * end[:, 0]).sum()
    other_x, other_start, other_weight = torch.autograd.grad(loss, [x, first, theirs])
    candidate, *gates = other_weight.split(H)
    close(mine, (other_x, other_start, torch.cat([*reversed(gates), candidate])))


@pytest.mark.parametrize("pooling", ["f", "fo", "ifo"])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_qrnn_is_a_convolution_and_a_sum(width, pooling):
    layer, x, start = given(QRNN(I, H, width, pooling))
    kernel = layer.cell.weight_ih.unflatten(1, (width, I)).flip(1).transpose(1, 2)  # (n H, I, k), the newest last
    sequence = torch.cat([*(leaf[None] for leaf in reversed(start.earlier)), x])
    gates = F.conv1d(sequence.permute(1, 2, 0), kernel, layer.cell.bias_ih).permute(2, 0, 1)
    z, f, *others = gates.split(H, -1)
    write = others[1].sigmoid() if pooling == "ifo" else torch.sigmoid(-f)
    c = pooled(f.sigmoid(), write * z.tanh(), start.c)
    h = c * others[0].sigmoid() if others else c
    expected = h, (c[-1], tuple(sequence.flip(0)[: width - 1].unbind(0)))
    wanted = [x, start.c, *layer.parameters()]
    compare(layer(x, start), expected, [*wanted, *(start.earlier if width <= T else ())])


def test_qrnn_streams_and_begins_an_episode_without_the_inputs_before_it():
    layer, x, _ = given(QRNN(I, H, 3, "ifo"))
    whole, end = layer(x)
    first, between = layer(x[:1])
    second, last = layer(x[1:], between)
    close((torch.cat([first, second]), leaves(last)), (whole, leaves(end)))
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[4] = True
    outputs, state = layer(x, reset=reset)
    fresh, last = layer(x[4:])
    close((outputs, leaves(state)), (torch.cat([whole[:4], fresh]), leaves(last)))


@pytest.mark.parametrize("size", [I, H])
def test_sru_is_a_sum_over_earlier_steps(size):
    layer, x, start = given(SRU(size, H, nonlinearity="tanh", highway_bias=-1.5))
    z, f, r, *p = (x @ layer.cell.weight_ih.T).split(H, -1)
    b_f, b_r = layer.cell.bias[:H], layer.cell.bias[H:]
    c = pooled(torch.sigmoid(f + b_f), torch.sigmoid(-f - b_f) * z, start)
    skip = (1 + 2 * torch.tensor(-1.5).exp()).sqrt() * (p[0] if size != H else x)
    h = skip + torch.sigmoid(r + b_r) * (c.tanh() - skip)
    compare(layer(x, start), (h, c[-1]), [x, start, *layer.parameters()])


def test_sru_as_published_sees_its_memory():
    layer, x, start = given(SRU(H, H, peephole=True, alpha=0.7))
    cell, c, outputs = layer.cell, start, []
    for x_t in x:
        z, f, r = (cell.weight_ih.unflatten(0, (3, H)) @ x_t.T).transpose(1, 2)
        f = 1 / (1 + torch.exp(-(f + cell.weight_ch[0] * c + cell.bias[:H])))
        r = 1 / (1 + torch.exp(-(r + cell.weight_ch[1] * c + cell.bias[H:])))  # both of c(t-1)
        c = z + (c - z) * f
        outputs.append(r * c + (1 - r) * 0.7 * x_t)
    compare(layer(x, start), (torch.stack(outputs), c), [x, start, *layer.parameters()])


def test_sru_begins_with_outputs_about_as_large_as_inputs():
    x = torch.randn(50, 20, 64)
    outputs, _ = Recurrent(SRU(64, 64))(x)
    assert 0.8 < outputs.std() < 1.2


def test_lru_is_its_complex_sum():
    """s(t) = Σ_k λ^(t-k) γ B x(k) + λ^t s(0), as complex numbers."""
    layer, x, start = given(LRU(I, H, 2))
    cell = layer.cell
    of_b, of_c = torch.complex(cell.B_re, cell.B_im), torch.complex(cell.C_re, cell.C_im)
    power = torch.complex(-cell.nu_log.exp(), cell.theta_log.exp())  # the logarithm of λ
    lag = torch.arange(T)[:, None] - torch.arange(T)
    reach = torch.exp(lag.clamp(min=0)[..., None] * power) * (lag >= 0)[..., None]  # (t, k, H)
    driven = torch.einsum("tkh,kbh->tbh", reach, cell.gamma_log.exp() * (x.to(of_b.dtype) @ of_b.T))
    s = driven + torch.exp(torch.arange(1, T + 1)[:, None] * power)[:, None] * torch.complex(*start)
    y = (s @ of_c.T).real + x @ cell.D.T
    compare(layer(x, start), (y, (s[-1].real, s[-1].imag)), [x, *start, *layer.parameters()])


def test_lru_against_another_package():
    package = pytest.importorskip("LRU_pytorch")
    other, cell = randomise(package.LRU(I, 2, H)), LRU(I, H, 2)
    with torch.no_grad():
        for name in ("nu_log", "theta_log", "gamma_log", "D"):
            getattr(cell, name).copy_(getattr(other, name))
        for name in ("B", "C"):
            getattr(cell, f"{name}_re").copy_(getattr(other, name).real)
            getattr(cell, f"{name}_im").copy_(getattr(other, name).imag)
    x = torch.randn(T, B, I, requires_grad=True)
    outputs, _ = Recurrent(cell)(x)
    expected = other(x.transpose(0, 1)).transpose(0, 1)
    close(outputs, expected)
    weights = torch.randn_like(outputs)
    (outputs * weights).sum().backward()
    mine, x.grad = x.grad, None
    (expected * weights).sum().backward()
    close(mine, x.grad)
    for name in ("nu_log", "theta_log", "gamma_log", "D"):
        close(getattr(cell, name).grad, getattr(other, name).grad)
    for name in ("B", "C"):
        grads = [getattr(cell, f"{name}_{part}").grad for part in ("re", "im")]
        close(torch.complex(*grads), getattr(other, name).grad)


def test_lru_begins_on_its_ring():
    cell = LRU(I, 2000, r_min=0.5, r_max=0.9, max_phase=0.3)
    size, angle = torch.exp(-cell.nu_log.exp()), cell.theta_log.exp()
    assert 0.5 <= size.min() < 0.51
    assert 0.89 < size.max() <= 0.9
    assert abs((size**2).mean() - (0.25 + 0.81) / 2) < 0.01  # uniform on the ring's area
    assert angle.min() < 0.01
    assert 0.29 < angle.max() <= 0.3
    close(cell.gamma_log.exp() ** 2 + size**2, torch.ones(2000))
    edge = LRU(I, 2000)  # the whole disc, its centre and its border too
    assert all(value.isfinite().all() for value in edge.parameters())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LRU(I, H, r_min=0.9, r_max=0.5), "r_min, r_max: expected 0 <= r_min < r_max <= 1, got 0.9 and 0.5."),
        (lambda: LRU(I, H, max_phase=0), "max_phase: expected an angle above 0"),
        (lambda: QRNN(I, H, 0), "kernel_size: expected a whole number of at least 1, got 0."),
        (lambda: QRNN(I, H, pooling="max"), "pooling: expected one of f, fo, ifo, got 'max'."),
    ],
)
def test_errors(make, words):
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        make()
