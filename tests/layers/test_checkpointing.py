"""``checkpoint_every``: the same results and gradients, with less memory held between the ways."""

from functools import partial

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from unrolled import Bidirectional, Recurrent, Stack, unroll
from unrolled.cells import GRU, LSTM
from unrolled.compiler.runtime import MEMORY

close = partial(torch.testing.assert_close, rtol=1e-11, atol=1e-12)
T, B, I, H = 9, 3, 2, 4  # noqa: E741
WAYS = {
    "plain": {},
    "reverse": {"reverse": True},
    "lengths": {"lengths": [9, 0, 4]},
    "resets": {"reset": torch.rand(T, B, generator=torch.Generator().manual_seed(1)) < 0.3},
    "truncated": {"truncated_bptt_steps": 3},
    "all": {"truncated_bptt_steps": 4, "reverse": True, "lengths": [2, 9, 5]},
}
BACKENDS = ["reference", "plan", "compiled", "auto"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", WAYS)
def test_results_and_gradients_are_the_same(backend, way):
    cell, x = LSTM(I, H).double(), torch.randn(T, B, I).double()
    if "lengths" in WAYS[way]:
        x[torch.arange(T)[:, None] >= torch.tensor(WAYS[way]["lengths"])] = torch.nan
    state = tuple(torch.randn(B, H).double().requires_grad_() for _ in range(2))
    sources = [x.requires_grad_(), *state, *cell.parameters()]
    weights = torch.randn(T, B, H).double()

    def run(**options):
        outputs, (h, c) = unroll(cell.step, x, state, backend=backend, **WAYS[way], **options)
        return outputs, h, c, *torch.autograd.grad((outputs * weights).sum() + (h * c).sum(), sources)

    expected = run()
    for k in (1, 2, 3, 4, T, T + 1):
        found = run(checkpoint_every=k)
        close(found, expected)
        if backend == "reference":
            assert all(torch.equal(a, b) for a, b in zip(found[:3], expected[:3], strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_less_memory_is_held_for_the_way_back(backend):
    steps, every, rows, size = 64, 8, 16, 32  # beside which the random state that each chunk keeps is small
    cell, x = GRU(I, size).double(), torch.randn(steps, rows, I).double()
    start = torch.zeros(rows, size).double()

    def held(**options):
        """Bytes that are not given back while the results live, beside those of the results."""
        call = partial(unroll, cell.step, x, start, backend=backend, **options)
        call()  # whatever is compiled or imported
        before = MEMORY.held()
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
            outputs, _ = call()
        blocks = MEMORY.held() - before  # which PyTorch does not see
        return sum(event.self_cpu_memory_usage for event in profiled.events()) - outputs.nbytes + blocks

    whole, chunked = held(), held(checkpoint_every=every)
    with torch.no_grad():
        nothing = held(checkpoint_every=every)
    assert nothing <= start.nbytes + 512  # the last state; older versions of PyTorch count a few scalars too
    borders = (steps // every) * start.nbytes
    assert borders / 2 <= chunked < whole / 3


def test_without_gradients_nothing_is_cut(monkeypatch):
    calls = []

    def step(x, s):
        calls.append(torch.is_grad_enabled())
        return s + x, s + x

    monkeypatch.setattr("unrolled.layers.checkpointing.chunks", None)
    with torch.no_grad():
        unroll(step, torch.ones(T, 1), torch.zeros(1), checkpoint_every=2, backend="reference")
    assert calls == [False] * T


def test_each_step_is_computed_twice_and_never_more():
    calls = []

    def step(x, s):
        calls.append(x[0].item())
        return torch.tanh(s + x), torch.tanh(s + x)

    x = torch.arange(1.0, T + 1)[:, None].requires_grad_()
    outputs, _ = unroll(step, x, torch.zeros(1), checkpoint_every=4, backend="reference")
    assert calls == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    calls.clear()
    outputs.sum().backward()
    assert calls == [9, 5, 6, 7, 8, 1, 2, 3, 4]


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_random_numbers_are_drawn_once_more_alike(backend):
    """The outputs are x times a mask, so the gradient is the mask that the way forward drew."""
    x = torch.ones(T, B).requires_grad_()

    def step(x, s):
        s = s + 0.1
        return x * torch.bernoulli(torch.full_like(x, 0.5)) * s, s

    outputs, _ = unroll(step, x, torch.ones(B), checkpoint_every=2, backend=backend)
    after = torch.rand(1)
    outputs.sum().backward()
    assert 0 < (outputs == 0).sum() < T * B
    torch.testing.assert_close(x.grad, outputs.detach())
    torch.manual_seed(3)
    again, _ = unroll(step, x, torch.ones(B), checkpoint_every=2, backend=backend)
    assert torch.equal(again, outputs)
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_a_second_derivative_is_right(backend):
    cell, x = GRU(I, H).double(), torch.randn(4, 2, I).double().requires_grad_()
    layer = Recurrent(cell, checkpoint_every=2, backend=backend)
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], x)


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_layers_pass_it_on(backend):
    options = {"checkpoint_every": 2, "backend": backend}
    cells = [(LSTM(I, H), GRU(I, H)), (GRU(2 * H, H), LSTM(2 * H, H))]
    modules = [
        (Recurrent(cells[0][0], **options), Recurrent(cells[0][0], backend=backend)),
        (Bidirectional(*cells[0], **options), Bidirectional(*cells[0], backend=backend)),
        (Stack(cells, bidirectional=True, **options), Stack(cells, bidirectional=True, backend=backend)),
    ]
    x = torch.randn(T, B, I)
    for mine, plain in modules:
        assert [m.checkpoint_every for m in mine.modules() if isinstance(m, Recurrent)].count(None) == 0
        (found, _), (expected, _) = mine(x, lengths=[9, 2, 0]), plain(x, lengths=[9, 2, 0])
        torch.testing.assert_close(found, expected)
        gradients = [torch.autograd.grad(v.square().sum(), list(mine.parameters())) for v in (found, expected)]
        torch.testing.assert_close(*gradients)
    assert "checkpoint_every=2" in repr(modules[0][0])


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_within_a_checkpoint_of_the_users(backend):
    """A layer whose kernel is not there yet, in somebody else's checkpoint, with and without its own inside."""
    for number, every in enumerate((None, 3)):
        layer, x = Recurrent(GRU(I, H + number), checkpoint_every=every, backend=backend), torch.randn(T, B, I)
        outputs = torch.utils.checkpoint.checkpoint(lambda x, layer=layer: layer(x)[0], x, use_reentrant=False)
        found = torch.autograd.grad(outputs.square().sum(), list(layer.parameters()))
        expected = torch.autograd.grad(layer(x)[0].square().sum(), list(layer.parameters()))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows_and_steps(rows):
    layer = Recurrent(GRU(I, H), checkpoint_every=1, backend="reference")
    for steps in (1, 2):
        outputs, end = layer(torch.randn(steps, rows, I))
        assert outputs.shape == (steps, rows, H)
        (outputs.sum() + end.sum()).backward()
