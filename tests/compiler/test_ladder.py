"""The ladder: eager reference, interpreted plan, compiled loop; outputs, last states and every gradient."""

import importlib.util
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from unrolled import Recurrent, UnsupportedStep, unroll
from unrolled.cells import GRU, LSTM, Elman, GeneralRNN, Jordan, OutputFeedback
from unrolled.compiler import engine, run_planned
from unrolled.compiler.runtime.toolchain import best_instruction_set
from unrolled.core import leaves, settle

spec = importlib.util.spec_from_file_location("compiler_steps", Path(__file__).with_name("steps.py"))
steps = importlib.util.module_from_spec(spec)
spec.loader.exec_module(steps)

CELLS = {
    "Elman": lambda: Elman(3, 5),
    "LSTM": lambda: LSTM(3, 5),
    "GRU": lambda: GRU(3, 5),
    "Jordan": lambda: Jordan(3, 4, 5),
    "OutputFeedback": lambda: OutputFeedback(3, 4),
    "GeneralRNN": lambda: GeneralRNN(3, 4, 5),
    "Odd": steps.Odd,
    "Memory": steps.Memory,
    "Heads": steps.Heads,
    "Solver": steps.Solver,
}
WAYS = {
    "plain": {},
    "masked": {"masked": True},
    "resets": {"resets": True},
    "all": {"masked": True, "resets": True, "reverse": True, "truncated_bptt_steps": 2},
}
SIZES = {"odd": (6, 3), "empty": (4, 0), "one": (1, 1), "blocks": (3, 67)}
ISAS = ("avx512_bf16", "avx512", "avx2", "portable")
BACKENDS = {"plan": partial(run_planned, compiled=False), "compiled": partial(run_planned, compiled=True)}


def made(name, dtype):
    torch.manual_seed(sum(map(ord, name)))
    return CELLS[name]().to(dtype)


def forced(isa, monkeypatch):
    """Compile for these instructions, if the processor has them."""
    if ISAS.index(isa) < ISAS.index(best_instruction_set()):
        pytest.skip(f"this processor has no {isa}")
    monkeypatch.setenv("UNROLLED_ISA", isa)


@pytest.mark.parametrize("backend", ["plan", *ISAS])
@pytest.mark.parametrize("name", CELLS)
def test_results_and_gradients_are_the_references(name, backend, monkeypatch):
    if backend != "plan":
        forced(backend, monkeypatch)
        backend = "compiled"
    cell = made(name, torch.float64)
    for way in WAYS.values():
        for T, B in SIZES.values():
            truth = steps.reference(cell, T, B, torch.float64, **way)
            found = steps.run_with_gradients(BACKENDS[backend], cell, T, B, torch.float64, **way)
            assert steps.largest_error(found, truth) < 1e-13, (way, T, B)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", CELLS)
def test_float32_is_as_near_to_the_truth_as_eager(name, isa, monkeypatch):
    forced(isa, monkeypatch)
    cell, exact = made(name, torch.float32), made(name, torch.float64)
    exact.load_state_dict(cell.state_dict())
    for way in WAYS.values():
        truth = steps.reference(exact, 20, 7, torch.float64, **way)
        eager = steps.largest_error(steps.reference(cell, 20, 7, torch.float32, **way), truth)
        found = steps.run_with_gradients(BACKENDS["compiled"], cell, 20, 7, torch.float32, **way)
        assert steps.largest_error(found, truth) <= 4 * eager + 1e-6


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_nothing(threads):
    cell, before = made("LSTM", torch.float64), torch.get_num_threads()
    truth = steps.reference(cell, 5, 70, torch.float64)
    try:
        torch.set_num_threads(threads)
        found = steps.run_with_gradients(BACKENDS["compiled"], cell, 5, 70, torch.float64)
    finally:
        torch.set_num_threads(before)
    assert steps.largest_error(found, truth) < 1e-13


def test_nothing_compiled_depends_on_time_or_rows(monkeypatch):
    layer = Recurrent(made("GRU", torch.float32), backend="compiled")
    layer(torch.randn(3, 2, 3))
    monkeypatch.setattr(engine, "_find_or_build", None)  # a second plan would fail
    for T, B in ((1, 1), (9, 2), (3, 0), (2, 100)):
        outputs, _ = layer(torch.randn(T, B, 3))
        assert outputs.shape == (T, B, 5)


class Leaky(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rate = 0.5
        self.inner = nn.Linear(2, 2)

    def initial_state(self, batch_size, **kwargs):
        return torch.zeros(batch_size, 2)

    def step(self, x, h):
        h = (1 - self.rate) * h + self.rate * torch.tanh(self.inner(x + h))
        return (2 * h if self.training else h), h


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_changed_attribute_or_mode_takes_effect(backend):
    cell, x = Leaky(), torch.randn(4, 3, 2)
    fast, slow = Recurrent(cell, backend=backend), Recurrent(cell, backend="reference")
    for change in (
        lambda: None,
        lambda: setattr(cell, "rate", 0.1),
        cell.eval,
        lambda: setattr(cell, "inner", nn.Linear(2, 2)),
    ):
        change()
        torch.testing.assert_close(fast(x)[0], slow(x)[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_closed_over_tensors_have_gradients(backend):
    W, x = torch.randn(4, 4, dtype=torch.float64, requires_grad=True), torch.randn(6, 3, 4, dtype=torch.float64)

    def step(x, s):
        s = torch.tanh(x + s @ W)
        return s, s

    grads = []
    for name in ("reference", backend):
        outputs, last = unroll(step, x, torch.zeros(3, 4, dtype=torch.float64), backend=name)
        grads.append(torch.autograd.grad(outputs.square().sum() + last.sum(), W)[0])
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_second_derivative_is_right(backend):
    cell, x = made("GRU", torch.float64), torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: Recurrent(cell, backend=backend)(x)[0], x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_system_without_input_and_without_parameters(backend):
    def logistic(_, s):
        s = 3.9 * s * (1 - s)
        return s, s

    start = torch.tensor([0.5, 0.3], dtype=torch.float64)
    truth, _ = unroll(logistic, None, start, steps=30, backend="reference")
    outputs, last = unroll(logistic, None, start, steps=30, backend=backend)
    torch.testing.assert_close(outputs, truth, atol=1e-9, rtol=0)
    assert torch.equal(outputs[-1], last)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_refused(backend):
    calls = []

    def mixes(x, s):
        return s, s - s.mean(0)

    def counts(x, s):
        return s, s / s.shape[0]

    def remembers(x, s):
        calls.append(1)
        return s, s

    def branches(x, s):
        return s, (s + 1 if s.sum() > 0 else s)

    def folds(x, s):
        return s, s.reshape(3, -1).cumsum(0).reshape(-1, 3)

    for step in (mixes, counts, remembers, branches, folds):
        with pytest.raises(UnsupportedStep, match="step"):
            unroll(step, torch.randn(5, 4, 3), torch.zeros(4, 3), backend=backend)


def test_what_has_no_kernel_names_the_operation_and_the_line():
    def step(x, s):
        return s, torch.cumsum(s, 1) * 0.1 + x

    x, s = torch.randn(5, 4, 3), torch.zeros(4, 3)
    with pytest.raises(UnsupportedStep, match=r"aten\.cumsum.*test_ladder\.py:\d+"):
        unroll(step, x, s, backend="compiled")
    torch.testing.assert_close(unroll(step, x, s, backend="plan"), unroll(step, x, s, backend="reference"))


@pytest.mark.parametrize("name", CELLS)
def test_bfloat16_is_nearer_to_the_truth_than_eager(name):
    cell, exact = made(name, torch.bfloat16), made(name, torch.float64)
    exact.load_state_dict(cell.state_dict())
    errors = []
    for way in WAYS.values():
        for seed in range(5):
            truth = steps.reference(exact, 20, 7, torch.float64, seed, rounded=True, **way)
            eager = steps.reference(cell, 20, 7, torch.bfloat16, seed, **way)
            found = steps.run_with_gradients(BACKENDS["compiled"], cell, 20, 7, torch.bfloat16, seed, **way)
            errors.append((steps.largest_error(found, truth), steps.largest_error(eager, truth)))
    # the median, since either may fall on the other side of a kink (a clamp, a spike) than the truth
    ours, eagers = (sorted(column)[len(errors) // 2] for column in zip(*errors, strict=True))
    assert ours <= eagers


def test_dtypes_without_a_kernel_are_refused():
    with pytest.raises(UnsupportedStep, match="float16"):
        Recurrent(made("GRU", torch.float16), backend="compiled")(torch.randn(3, 2, 3).half())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CELLS)
def test_one_step_at_a_time_and_any_rows_give_the_very_same_bits(name, dtype):
    cell, T, B = made(name, dtype), 5, 67
    x = torch.randn(T, B, cell.input_size, dtype=dtype)
    with torch.no_grad():
        outputs, last = run_planned(cell.step, settle(x, cell.initial_state(B)), compiled=True)
        for rows in (slice(0, B), slice(3, 4), slice(5, 15)):
            state = cell.initial_state(len(range(B)[rows]))
            for t in range(T):
                output, state = run_planned(cell.step, settle(x[t : t + 1, rows], state), compiled=True)
                for one, whole in zip(leaves(output), leaves(outputs), strict=True):
                    assert torch.equal(one[0], whole[t][rows])
            for one, whole in zip(leaves(state), leaves(last), strict=True):
                assert torch.equal(one, whole[rows])


class Shift(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        return a + b

    @staticmethod
    def backward(ctx, grad):
        return grad, grad.sum(0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_gradient_is_lost_in_a_custom_function(backend):
    b, x = torch.randn(3, requires_grad=True), torch.randn(5, 4, 3)

    def lost(x, s):
        s = torch.tanh(x + Shift.apply(s, b))
        return s, s

    def kept(x, s):
        s = torch.tanh(x + Shift.apply(s, b.clone()))
        return s, s

    with pytest.raises(UnsupportedStep, match=r"closure\.b to a custom autograd\.Function.*clone"):
        unroll(lost, x, torch.zeros(4, 3), backend=backend)
    outputs, _ = unroll(kept, x, torch.zeros(4, 3), backend=backend)
    truth, _ = unroll(lost, x, torch.zeros(4, 3), backend="reference")
    torch.testing.assert_close(torch.autograd.grad(outputs.sum(), b), torch.autograd.grad(truth.sum(), b))
