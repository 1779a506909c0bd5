"""Sequences of steps that are linear in their state, in parallel over time: the reference's numbers, and when."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

import unrolled
from unrolled import cells
from unrolled.compiler.scan import Scanned
from unrolled.core import Cell, leaves, unflatten

H = 3


class Pair(NamedTuple):
    re: torch.Tensor
    im: torch.Tensor


class Own(Cell):
    """Steps of a user's own, by name."""

    def __init__(self, name, state_size=H, input_size=H):
        super().__init__()
        self.input_size, self.state_size, self.name = input_size, state_size, name
        self.w = nn.Parameter(torch.randn(2 * H, input_size))
        self.c = nn.Parameter(torch.randn(H))
        self.out = nn.Parameter(torch.randn(2, H))

    def step(self, x, state):
        return getattr(self, f"_{self.name}")(x, state)

    def _gated(self, x, h):
        z, n = (x @ self.w.T).chunk(2, -1)
        h = h + torch.sigmoid(z) * (torch.tanh(n) - h)
        return torch.tanh(h) @ self.out.T, h

    def _chosen(self, x, h):
        h = h.clone()
        h *= torch.where(x > 0, -0.9, torch.sigmoid(self.c))
        h[:, 1] += x[:, 0]
        return h.sum(-1), torch.where(x > 1, x, h / (1 + x * x) - self.c)

    def _pieces(self, x, h):
        a, b = h[:, :1], h[:, 1:]
        return h, torch.cat([a * torch.sigmoid(x[:, :1]), b - x[:, 1:] * b], -1)

    def _detached(self, x, h):
        new = torch.sigmoid(x) * h.detach() + 0.5 * h + x
        return new * h, new

    def _sums(self, x, h):
        return h, h + x

    def _turned(self, x, state):
        a, b = torch.sigmoid(x), torch.tanh(self.c)
        re = a * state.re - b * state.im + x
        return torch.relu(re) @ self.out.T, Pair(re, b * state.re + a * state.im)

    def _windowed(self, x, state):
        memory, last, earlier = state
        memory = torch.sigmoid(x + last) * memory + earlier * self.c
        return memory * torch.sigmoid(last), (memory, x, last)

    def _levels(self, x, state):
        a, b = state
        b = torch.sigmoid(a - x) * b + torch.tanh(a)
        return b * a, (0.9 * a + x, b)

    def _fixed(self, x, h):
        return h, torch.tanh(self.c) * h + x


OWN = {
    "gated": lambda: Own("gated"),
    "chosen": lambda: Own("chosen"),
    "pieces": lambda: Own("pieces"),
    "detached": lambda: Own("detached"),
    "sums": lambda: Own("sums"),
    "turned": lambda: Own("turned", Pair(H, H)),
    "windowed": lambda: Own("windowed", (H, H, H)),
    "levels": lambda: Own("levels", (H, H)),
    "fixed": lambda: Own("fixed"),
    "min_gru": lambda: cells.MinGRU(2, H),
    "min_lstm": lambda: cells.MinLSTM(2, H),
    "qrnn": lambda: cells.QRNN(2, H, 3, "ifo"),
    "sru": lambda: cells.SRU(2, H),
    "lru": lambda: cells.LRU(2, H, 4),
}


@pytest.fixture
def scans(monkeypatch):
    """Scans wherever they can be; how often forward and backward were called."""
    monkeypatch.setenv("UNROLLED_SCAN", "1")
    return counted(monkeypatch)


def counted(monkeypatch):
    calls = {"forward": 0, "backward": 0}
    for name in calls:
        usual = getattr(Scanned, name)

        def count(*args, name=name, usual=usual):
            calls[name] += 1
            return usual(*args)

        monkeypatch.setattr(Scanned, name, count)
    return calls


def made(name, steps, rows, dtype=torch.float64):
    torch.manual_seed(steps)
    cell = OWN[name]().to(dtype)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.7)
    x = torch.randn(steps, rows, cell.input_size, dtype=dtype, requires_grad=True)
    start = cell.initial_state(rows)
    return cell, x, unflatten(start, [torch.randn_like(leaf).requires_grad_() for leaf in leaves(start)])


def everything(cell, x, state, backend, **options):
    """Outputs, last state and every gradient."""
    outputs, last = unrolled.unroll(cell.step, x, state, backend=backend, **options)
    results = [*leaves(outputs), *leaves(last)]
    torch.manual_seed(7)
    loss = sum((leaf * torch.randn_like(leaf)).sum() for leaf in results)
    wanted = [x, *leaves(state), *cell.parameters()]
    return [leaf.detach() for leaf in results], torch.autograd.grad(loss, wanted, allow_unused=True)


def assert_alike(cell, x, state, **options):
    expected, slopes = everything(cell, x, state, "reference", **options)
    found, grads = everything(cell, x, state, "compiled", **options)
    for a, b in zip([*found, *grads], [*expected, *slopes], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", OWN)
def test_scans_give_the_references_numbers(name, scans):
    for steps, rows, reverse in ((97, 1, False), (64, 3, True)):  # pieces of unequal length, and of equal length
        cell, x, state = made(name, steps, rows)
        assert_alike(cell, x, state, reverse=reverse)
    assert scans == {"forward": 2, "backward": 2}


@pytest.mark.parametrize("steps", [65, 128, 531, 1030])
def test_any_number_of_steps(steps, scans):
    assert_alike(*made("turned", steps, 2))
    assert scans["forward"] == 1


def test_without_gradients_and_without_some(scans):
    cell, x, state = made("gated", 80, 2)
    with torch.no_grad():
        expected = unrolled.unroll(cell.step, x, state, backend="reference")
        found = unrolled.unroll(cell.step, x, state, backend="compiled")
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    for wanted in ([x], list(cell.parameters()), [state]):
        for leaf in (x, state, *cell.parameters()):
            leaf.requires_grad_(any(leaf is one for one in wanted))
        slopes = []
        for backend in ("reference", "compiled"):
            outputs, last = unrolled.unroll(cell.step, x, state, backend=backend)
            slopes.append(torch.autograd.grad(outputs.sum() + last.prod(), wanted, allow_unused=True))
        for a, b in zip(*slopes, strict=True):
            assert (a is None) == (b is None)
            assert a is None or torch.allclose(a, b, rtol=1e-11, atol=1e-11)
    assert scans == {"forward": 4, "backward": 3}


def test_without_input(scans):
    def decay(x, h):
        return h * h, -0.97 * h + 0.01

    for backend in ("reference", "compiled"):
        h = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64, requires_grad=True)
        outputs, last = unrolled.unroll(decay, None, h, steps=90, backend=backend)
        grad = torch.autograd.grad(outputs.sum() + last.sum(), h)[0]
        if backend == "reference":
            expected = outputs, last, grad
    for a, b in zip((outputs, last, grad), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_the_bits_do_not_depend_on_the_threads(scans):
    cell, x, state = made("turned", 700, 2, torch.float32)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            values, grads = everything(cell, x, state, "compiled")
            found.append([*values, *(grad for grad in grads if grad is not None)])
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(other, found[0], strict=True))
    assert scans["forward"] == 3


def test_in_float32_a_scan_is_as_near_to_the_truth_as_the_loop(scans, monkeypatch):
    cell, x, state = made("gated", 600, 2, torch.float32)
    errors = []
    double = made("gated", 600, 2)
    with torch.no_grad():
        for a, b in zip([double[1], double[2], *double[0].parameters()], [x, state, *cell.parameters()], strict=True):
            a.copy_(b)
    truth = [leaf for part in everything(*double, "reference") for leaf in part]
    for setting in ("0", "1"):
        monkeypatch.setenv("UNROLLED_SCAN", setting)
        found = [leaf for part in everything(cell, x, state, "compiled") for leaf in part]
        pairs = [(a, b) for a, b in zip(found, truth, strict=True) if b is not None]
        errors.append(max(float((a - b).norm() / b.norm()) for a, b in pairs))
    assert errors[1] < 2 * errors[0] + 1e-7
    assert scans["forward"] == 1


def test_where_a_product_overflows_the_loop_is_taken(scans):
    """Of a state that stays zero any power of a is harmless; of one that is thrown away, too."""

    def growing(x, h):
        return h, 3 * h + x

    def thrown_away(x, h):
        return h, torch.where(x > 9, x, 1e30 * h + x)

    x = torch.zeros(700, 1, H)
    late = torch.cat([torch.randn(3, 1, H), torch.full((1, 1, H), 10.0), torch.zeros(400, 1, H)])
    for step, sequence in ((growing, x), (thrown_away, late)):
        results = []
        for backend in ("reference", "compiled"):
            given = sequence.clone().requires_grad_()
            outputs, last = unrolled.unroll(step, given, torch.zeros(1, H), backend=backend)
            last_but = outputs[:100]  # farther on the gradients overflow for everybody
            grad = torch.autograd.grad(last_but.nan_to_num(0, 0, 0).sum(), given)[0]
            results.append((outputs, last, grad))
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5, equal_nan=True)
    assert scans["forward"] == 2


def test_nan_in_the_input_stays_where_it_is(scans):
    cell, x, state = made("gated", 200, 3)
    with torch.no_grad():
        x[150, 1, 0] = float("nan")
        found = unrolled.unroll(cell.step, x, state, backend="compiled")[0]
        expected = unrolled.unroll(cell.step, x, state, backend="reference")[0]
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11, equal_nan=True)
    assert found[149].isfinite().all()
    assert scans["forward"] == 1


@pytest.mark.parametrize(
    "options",
    [
        {"lengths": [70, 60]},
        {"mask": torch.arange(80)[:, None].expand(80, 2) != 3},
        {"reset": torch.arange(80)[:, None].expand(80, 2) == 40},
        {"truncated_bptt_steps": 16},
    ],
    ids=lambda options: next(iter(options)),
)
def test_masks_resets_and_truncation_take_the_loop(options, scans):
    assert_alike(*made("gated", 80, 2), **options)
    assert scans == {"forward": 0, "backward": 0}


def test_what_is_not_linear_takes_the_loop(scans):
    def step(x, h):
        h = torch.tanh(h + x)
        return h, h

    unrolled.unroll(step, torch.randn(80, 1, H), torch.zeros(1, H), backend="compiled")
    assert scans["forward"] == 0


def test_by_itself_for_one_row_and_much_work(monkeypatch):
    monkeypatch.delenv("UNROLLED_SCAN", raising=False)
    calls = counted(monkeypatch)
    cell = cells.MinGRU(64, 64)
    threads = torch.get_num_threads()
    expected = []
    try:
        with torch.no_grad():
            for count, steps, rows in ((2, 5000, 1), (2, 400, 1), (2, 5000, 2), (1, 5000, 1), (4, 5000, 2)):
                torch.set_num_threads(count)
                before = calls["forward"]
                unrolled.unroll(cell.step, torch.randn(steps, rows, 64), cell.initial_state(rows), backend="compiled")
                expected.append(calls["forward"] > before)
            torch.set_num_threads(2)

            def memory(x, s):  # a matrix: little work for each of its numbers
                return s.sum(1), 0.9 * s + x[:, :, None] * x[:, None]

            unrolled.unroll(memory, torch.randn(2000, 1, 64), torch.zeros(1, 64, 64), backend="compiled")
        monkeypatch.setenv("UNROLLED_SCAN", "0")
        unrolled.unroll(cell.step, torch.randn(5000, 1, 64), cell.initial_state(1), backend="compiled")
    finally:
        torch.set_num_threads(threads)
    assert expected == [True, False, False, False, True]
    assert calls["forward"] == 2


def test_tensors_that_need_each_other_need_more_work(monkeypatch):
    monkeypatch.delenv("UNROLLED_SCAN", raising=False)
    calls, threads, found = counted(monkeypatch), torch.get_num_threads(), []
    cell = cells.LRU(64, 64)  # 21,000 operations a step, and twice as many coefficients as without the pairs
    try:
        torch.set_num_threads(2)
        with torch.no_grad():
            for steps in (2000, 5000):
                before = calls["forward"]
                unrolled.unroll(cell.step, torch.randn(steps, 1, 64), cell.initial_state(1), backend="compiled")
                found.append(calls["forward"] > before)
    finally:
        torch.set_num_threads(threads)
    assert found == [False, True]


def test_a_layer_called_again_and_again(scans):
    torch.manual_seed(0)
    layer = unrolled.Recurrent(cells.MinGRU(2, H)).double()
    x = torch.randn(90, 2, 2, dtype=torch.float64)
    with torch.no_grad():
        expected = unrolled.unroll(layer.cell.step, x, layer.cell.initial_state(2), backend="reference")[0]
        for _ in range(6):
            torch.testing.assert_close(layer(x)[0], expected, rtol=1e-12, atol=1e-12)
    assert scans["forward"] == 6


def test_gradients_of_gradients_and_many_at_once(scans):
    cell, x, state = made("levels", 66, 1)
    found = []
    for backend in ("reference", "compiled"):
        outputs, _ = unrolled.unroll(cell.step, x, state, backend=backend)
        (first,) = torch.autograd.grad((outputs**2).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), x)
        ways = torch.eye(H, dtype=torch.float64).reshape(H, 1, H)
        (many,) = torch.autograd.grad(
            unrolled.unroll(cell.step, x, state, backend=backend)[0][-1], x, ways, is_grads_batched=True
        )
        found.append((first, second, many))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    assert scans["forward"] == 2


def test_with_checkpoints_each_chunk_is_scanned(scans):
    cell, x, state = made("turned", 150, 2)
    found = []
    for backend, every in (("reference", None), ("compiled", 70)):
        layer = unrolled.Recurrent(cell, backend=backend, checkpoint_every=every)
        outputs, last = layer(x, state)
        loss = (outputs**2).sum() + last.re.sum()
        found.append((outputs, *last, *torch.autograd.grad(loss, [x, *state, *cell.parameters()], allow_unused=True)))
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, rtol=1e-10, atol=1e-10)
    assert scans == {"forward": 4, "backward": 2}  # 70 and 70 steps, each once more on the way back; 10 by the loop


def test_outputs_may_be_changed_in_place(scans):
    """What is kept for the way back is nobody else's."""
    cell, x, state = made("min_gru", 80, 1)
    grads = []
    for change in (False, True):
        outputs, last = unrolled.unroll(cell.step, x, state, backend="compiled")
        loss = outputs.sum() + last.sum()
        if change:
            with torch.no_grad():
                outputs.zero_()
                last.zero_()
        grads.append(torch.autograd.grad(loss, [x, *leaves(state), *cell.parameters()]))
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_tensors_of_unlike_kinds_in_one_block_take_the_loop(scans):
    """A block's tensors lie alike in memory: of one dtype and one shape."""

    def of_two_dtypes(x, state):
        a, b = state
        return b, ((0.5 * a + 0.2 * b.float() + x.float()), 0.2 * a.double() + 0.5 * b)

    def of_two_shapes(x, state):
        a, b = state
        return a, (0.9 * a + 0.1 * b.flatten(1) + x, (0.3 * a).reshape(len(x), 2, 2) + 0.5 * b)

    x = torch.randn(80, 2, 4, dtype=torch.float64)
    starts = (
        (torch.randn(2, 4), torch.randn(2, 4).double()),
        (torch.randn(2, 4).double(), torch.randn(2, 2, 2).double()),
    )
    for step, start in zip((of_two_dtypes, of_two_shapes), starts, strict=True):
        found = []
        for backend in ("reference", "compiled"):
            given = [leaf.clone().requires_grad_() for leaf in (x, *start)]
            outputs, last = unrolled.unroll(step, given[0], tuple(given[1:]), backend=backend)
            loss = outputs.square().sum() + sum(leaf.square().sum() for leaf in last)
            found.append([outputs, *last, *torch.autograd.grad(loss, given)])
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert scans == {"forward": 0, "backward": 0}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_parts_that_cancel_do_not_leave_their_rounding(dtype, scans):
    """The last ten bits as a number: 2^60 times what a piece of time begins with cancels against its own part."""

    def window(x, h):
        h = 2 * h + x[:, :1] - 2.0**10 * x[:, 1:]
        return h, h

    torch.manual_seed(0)
    bits = torch.randint(0, 2, (1000, 1, 1)).to(dtype)
    x = torch.cat([bits, torch.cat([torch.zeros(10, 1, 1, dtype=dtype), bits[:-10]])], -1)
    expected, _ = unrolled.unroll(window, x, torch.zeros(1, 1, dtype=dtype), backend="reference")
    found, _ = unrolled.unroll(window, x, torch.zeros(1, 1, dtype=dtype), backend="compiled")
    assert expected.max() < 1024
    assert torch.equal(found, expected)
    assert scans["forward"] == 1


def test_a_first_state_that_is_read_once_has_its_gradient(scans):
    """After it comes one without a gradient, so no adjoint is carried; the first step reads it all the same."""

    def nonlinear(x, state):
        h = torch.tanh(state[0] + state[1] * x)
        return h, (h, h.detach())

    def linear(x, state):
        h = torch.sigmoid(x) * state[0] + state[1]
        return h, (h, torch.ones_like(h))

    x = torch.randn(70, 2, H, dtype=torch.float64)
    for step in (nonlinear, linear):
        torch.manual_seed(1)
        state = tuple(torch.randn(2, H, dtype=torch.float64, requires_grad=True) for _ in range(2))
        found = []
        for backend in ("reference", "plan", "compiled"):
            outputs, last = unrolled.unroll(step, x, state, backend=backend)
            found.append(torch.autograd.grad(outputs.square().sum() + last[0].sum(), state))
        for other in found[1:]:
            for a, b in zip(found[0], other, strict=True):
                torch.testing.assert_close(b, a, rtol=1e-11, atol=1e-11)
    assert scans == {"forward": 1, "backward": 1}


def test_a_state_that_is_rounded_on_its_way_takes_the_loop(scans):
    def rounded(x, h):
        return h, 0.9 * h.float().double() + x

    x, h = torch.randn(80, 1, H, dtype=torch.float64), torch.randn(1, H, dtype=torch.float64)
    expected = unrolled.unroll(rounded, x, h, backend="reference")
    torch.testing.assert_close(unrolled.unroll(rounded, x, h, backend="compiled"), expected, rtol=1e-14, atol=1e-14)
    assert scans["forward"] == 0
