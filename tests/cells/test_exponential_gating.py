"""SLSTM and MLSTM: against their equations without a stabiliser, against the authors' package, whole pieces at once."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unrolled import InputError, InputTypeError, Recurrent
from unrolled.cells import MLSTM, SLSTM, mlstm_chunkwise
from unrolled.core import leaves

T, B, I, H, K = 11, 3, 2, 6, 2  # noqa: E741
EXACT = {"rtol": 1e-11, "atol": 1e-12}  # the same sums in another order, in float64


def random_cell(kind, *args, seed=3, **options):
    torch.manual_seed(seed)
    cell = kind(*args, **options).double()
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.6)
    return cell


def gradients(outputs, wanted):
    """Of a loss in which every number has a weight of its own."""
    loss = sum((leaf * torch.linspace(0.5, 1.5, leaf.numel()).double().view_as(leaf)).sum() for leaf in outputs)
    return torch.autograd.grad(loss, wanted)


def held_to(ours, theirs, wanted):
    """The same values and the same gradients."""
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, **EXACT)
    for a, b in zip(gradients(ours, wanted), gradients(theirs, wanted), strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def sequence(steps=T):
    return torch.randn(steps, B, I, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
def test_slstm_is_its_equation_without_a_stabiliser(forget, heads):
    cell, x = random_cell(SLSTM, I, H, heads, forget_gate=forget), sequence()
    h = c = n = torch.zeros(B, H, dtype=torch.float64)
    outputs = []
    for of_x in x @ cell.weight_ih.T + cell.bias:
        blocks = cell.weight_hh.view(heads, 4, H // heads, H // heads)
        of_h = [h @ torch.block_diag(*blocks[:, gate]).T for gate in range(4)]
        i, f, z, o = (a + b for a, b in zip(of_x.chunk(4, -1), of_h, strict=True))
        f = torch.sigmoid(f) if forget == "sigmoid" else torch.exp(f)
        c, n = f * c + torch.exp(i) * torch.tanh(z), f * n + torch.exp(i)
        h = torch.sigmoid(o) * c / n
        outputs.append(h)
    y, end = Recurrent(cell)(x)
    ours = [y, end.h, end.c * torch.exp(end.m), end.n * torch.exp(end.m)]
    held_to(ours, [torch.stack(outputs), h, c, n], [x, *cell.parameters()])


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
def test_mlstm_is_its_equation_without_a_stabiliser(forget, heads):
    cell, x = random_cell(MLSTM, I, H, heads, forget_gate=forget), sequence()
    D = H // heads
    c, n = torch.zeros(B, heads, D, D).double(), torch.zeros(B, heads, D).double()
    outputs = []
    for of_x, gates in zip(x @ cell.weight_ih.T + cell.bias_ih, x @ cell.weight_gates.T + cell.bias_gates, strict=True):
        q, k, v, o = of_x.view(B, 4, heads, D).unbind(1)
        i, f = torch.exp(gates[:, :heads]), gates[:, heads:]
        f = torch.sigmoid(f) if forget == "sigmoid" else torch.exp(f)
        k = k / math.sqrt(D)
        c = f[..., None, None] * c + i[..., None, None] * torch.einsum("bhv,bhk->bhvk", v, k)
        n = f[..., None] * n + i[..., None] * k
        weights = torch.einsum("bhk,bhk->bh", n, q).abs()
        read = torch.einsum("bhvk,bhk->bhv", c, q) / torch.clamp(weights, min=1)[..., None]
        outputs.append((torch.sigmoid(o) * read).flatten(1))
    y, end = Recurrent(cell)(x)
    scale = torch.exp(end.m)
    ours = [y, end.c * scale[..., None, None], end.n * scale[..., None]]
    held_to(ours, [torch.stack(outputs), c, n], [x, *cell.parameters()])


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_slstm_is_that_of_the_authors_package(heads):
    theirs = pytest.importorskip("xlstm.blocks.slstm.cell")
    cell, x = random_cell(SLSTM, I, H, heads), sequence()
    other = theirs.sLSTMCell(
        theirs.sLSTMCellConfig(
            hidden_size=H, num_heads=heads, backend="vanilla", dtype="float32", enable_automatic_mixed_precision=False
        )
    ).double()
    for parameter in (other._recurrent_kernel_, other._bias_):
        parameter.requires_grad_(False)
    other._recurrent_kernel_.copy_(cell.weight_hh)
    other._bias_.copy_(cell.bias)
    other._recurrent_kernel_.requires_grad_(), other._bias_.requires_grad_()

    y, end = Recurrent(cell)(x)
    found, state = other((x @ cell.weight_ih.T).transpose(0, 1))  # (B, T, 4 H) to (B, K, T, D)
    found = found.permute(2, 0, 1, 3).flatten(2)
    for a, b in zip([y, *end], [found, *state], strict=True):  # their m begins at 0, of nothing: it comes out the same
        torch.testing.assert_close(a, b, **EXACT)
    ours = gradients([y, *end], [x, cell.weight_ih, cell.weight_hh, cell.bias])
    others = gradients([found, *state], [x, cell.weight_ih, other._recurrent_kernel_, other._bias_])
    for a, b in zip(ours, others, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def read_of(cell, x):
    """q, k, v (B, K, T, D), o (T, B, H) and i, f (B, K, T, 1) of an mLSTM, k not divided."""
    of_x, gates = x @ cell.weight_ih.T + cell.bias_ih, x @ cell.weight_gates.T + cell.bias_gates
    q, k, v, o = of_x.chunk(4, -1)
    q, k, v = (part.unflatten(-1, (K, -1)).permute(1, 2, 0, 3) for part in (q, k, v))
    i, f = (part.permute(1, 2, 0).unsqueeze(-1) for part in gates.chunk(2, -1))
    return q, k, v, o, i, f


@pytest.mark.parametrize("form", ["parallel", "recurrent"])
def test_mlstm_is_that_of_the_authors_package(form):
    theirs = pytest.importorskip("xlstm.blocks.mlstm.backends")
    cell, x = random_cell(MLSTM, I, H, K), sequence()
    q, k, v, o, i, f = read_of(cell, x)
    if form == "parallel":
        found = theirs.parallel_stabilized_simple(q, k, v, i, f, eps=0.0)
    else:
        state = [torch.zeros(B, K, *shape).double() for shape in ((H // K, H // K), (H // K, 1), (1, 1))]
        steps = []
        for t in range(T):
            now = [part[:, :, t : t + 1] for part in (q, k, v, i, f)]
            one, state = theirs.recurrent_step_stabilized_simple(*state, *(part.clone() for part in now), eps=0.0)
            steps.append(one)
        found = torch.cat(steps, 2)
        _, end = Recurrent(cell)(x)
        scale = torch.exp(state[2] - end.m[..., None, None])  # their m may be below 0
        torch.testing.assert_close(end.c, (state[0] * scale).transpose(-1, -2), **EXACT)
        torch.testing.assert_close(end.n, (state[1] * scale)[..., 0], **EXACT)
    found = torch.sigmoid(o) * found.permute(2, 0, 1, 3).flatten(2)
    held_to([Recurrent(cell)(x)[0]], [found], [x, *cell.parameters()])


RESET = torch.tensor([[t in (3, 7), t in (0, 8), t == 4] for t in range(T)])
GAPS = torch.tensor([[t not in (0, 6), t < 9, t not in (2, 3, 4)] for t in range(T)])
CASES = {
    "plain": {},
    "lengths": {"lengths": [11, 0, 6]},
    "resets": {"reset": RESET},
    "both": {"lengths": [9, 10, 6], "reset": RESET},
    "mask": {"mask": GAPS, "reset": RESET},
}


@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
@pytest.mark.parametrize("chunk_size", [1, 4, 11, 64])
@pytest.mark.parametrize("case", CASES)
def test_pieces_at_once_are_step_by_step(case, chunk_size, forget):
    """Outputs, last states and every gradient, with NaN in the padding, from a state that is not the first."""
    cell, x = random_cell(MLSTM, I, H, K, forget_gate=forget), sequence()
    given = CASES[case]
    if forget == "exp":  # m grows by what is kept, from 0 after a reset
        cell.bias_gates.data += torch.tensor([-3.0] * K + [2.0] * K)
    valid = given.get("mask", torch.ones(T, B, dtype=torch.bool))
    if "lengths" in given:
        valid = torch.arange(T)[:, None] < torch.tensor(given["lengths"])
    start = type(cell.initial_state(B))(*(torch.randn_like(s).requires_grad_() for s in cell.initial_state(B)))
    found = []
    for run in (Recurrent(cell, backend="reference"), partial(cell.parallel, chunk_size=chunk_size)):
        y, end = run(torch.where(valid[..., None], x, torch.nan), start, **given)
        outputs = [y, *(leaf.sin() for leaf in end)]
        found.append([y, *end, *gradients(outputs, [x, *start, *cell.parameters()])])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_pieces_at_once_pass_on_their_state():
    cell, x = random_cell(MLSTM, I, H, K), sequence()
    y, end = cell.parallel(x, chunk_size=3)
    first, state = cell.parallel(x[:5], chunk_size=4)
    others, state = cell.parallel(x[5:], state, chunk_size=4)
    held_to([y, *end], [torch.cat([first, others]), *state], [x, *cell.parameters()])
    assert cell.parallel(x[:, :0])[0].shape == (T, 0, H)


@pytest.mark.slow
def test_derivatives_of_pieces_are_those_of_differences():
    torch.manual_seed(1)
    tensors = [torch.randn(5, 2, K, 3), torch.randn(5, 2, K, 3), torch.randn(5, 2, K, 3)]
    tensors += [torch.randn(5, 2, K), F.logsigmoid(torch.randn(5, 2, K))]
    tensors += [torch.randn(2, K, 3, 3), torch.randn(2, K, 3), torch.randn(2, K)]
    tensors = [tensor.double().requires_grad_() for tensor in tensors]

    def run(*all_of):
        read, state = mlstm_chunkwise(*all_of[:5], all_of[5:], chunk_size=3, lengths=[5, 4], reset=RESET[:5, :2])
        return read, *state

    assert torch.autograd.gradcheck(run, tensors)


@pytest.mark.parametrize("kind", [SLSTM, MLSTM])
def test_the_first_step_forgets_nothing_and_divides_by_nothing(kind):
    """However small the first input gate is: h(1) is that of a memory with one thing in it."""
    cell = random_cell(kind, I, H, K)
    with torch.no_grad():
        if kind is SLSTM:
            cell.bias[:H] = -1e4
        else:
            cell.bias_gates[:K] = -1e4
    x = sequence(1)
    y, end = Recurrent(cell)(x)
    if kind is SLSTM:
        _, _, z, o = (x[0] @ cell.weight_ih.T + cell.bias).chunk(4, -1)
        torch.testing.assert_close(y[0], torch.sigmoid(o) * torch.tanh(z), **EXACT)
    else:
        assert not y.any()  # exp(-1e4) of a value, over max(..., 1)
    grads = gradients([y, *end], [x, *cell.parameters()])
    assert all(torch.isfinite(grad).all() for grad in (*leaves(end), *grads))


def test_the_first_parameters_are_those_of_the_authors():
    theirs = pytest.importorskip("xlstm.blocks.slstm.cell")
    cell = SLSTM(I, 12, 3)
    for depth, index in ((0.0, 0), (0.5, 1), (1.0, 2)):
        cell.reset_parameters(depth)
        config = theirs.sLSTMCellConfig(
            hidden_size=12, num_heads=3, backend="vanilla", dtype="float32", _block_idx=index, _num_blocks=3
        )
        other = theirs.sLSTMCell(config)
        torch.testing.assert_close(cell.bias, other._bias_.detach())
        torch.testing.assert_close(cell.weight_hh, other._recurrent_kernel_.detach())
    assert SLSTM(2, 1).bias.tolist() == [0, 5, 0, 0]
    assert MLSTM(2, 8, 4).bias_gates[4:].tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize("kind", [SLSTM, MLSTM])
def test_what_is_refused_and_how(kind):
    with pytest.raises(InputError, match="num_heads: expected a divisor of hidden_size = 6, got 4"):
        kind(2, 6, 4)
    with pytest.raises(InputError, match="num_heads: expected a whole number of at least 1, got 0"):
        kind(2, 6, 0)
    with pytest.raises(InputError, match="forget_gate: expected one of sigmoid, exp, got 'tanh'"):
        kind(2, 6, forget_gate="tanh")


def test_what_pieces_refuse_and_how():
    cell, x = MLSTM(I, H, K), torch.randn(T, B, I)
    with pytest.raises(InputError, match=r"x: expected \(T, B, I\) with I = input_size = 2, got \(11, 3, 5\)"):
        cell.parallel(torch.randn(T, B, 5))
    with pytest.raises(InputError, match="expected at least one time step, got T = 0"):
        cell.parallel(x[:0])
    with pytest.raises(InputError, match="chunk_size"):
        cell.parallel(x, chunk_size=0)
    with pytest.raises(InputError, match="lengths"):
        cell.parallel(x, lengths=[12, 1, 1])
    with pytest.raises(InputTypeError, match="reset"):
        cell.parallel(x, reset=torch.zeros(T, B))
