"""The one law of time: a run cut in chunks, the state carried over each cut, is the whole run."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad
from torch.profiler import ProfilerActivity, profile

from unrolled.cells import LSTM, LSTMState
from unrolled.compiler import run_planned
from unrolled.core import InputError, InputTypeError, chunks, join, run_reference, settle

BACKENDS = {"reference": run_reference, "compiled": lambda step, run: run_planned(step, run, compiled=True)}
CELL = LSTM(2, 3).double()


def in_chunks(backend, step, run, size):
    outputs, state = [], run.state
    for part in chunks(run, size):
        output, state = backend(step, replace(part, state=state))
        outputs.append(output)
    return join(outputs, run), state


@settings(deadline=None, max_examples=100)
@given(st.data(), st.sampled_from(list(BACKENDS)))
def test_chunks_are_the_whole(data, backend):
    """With masks, resets, reverse, truncation, junk in the padding; every value and every gradient."""
    T, B = data.draw(st.integers(1, 7)), data.draw(st.integers(0, 3))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))

    def rand(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    mask = torch.rand(T, B, generator=generator) < 0.7 if data.draw(st.booleans()) else None
    x = rand(T, B, 2) if mask is None else rand(T, B, 2).masked_fill(~mask[..., None], torch.nan)
    state, again = (LSTMState(rand(B, 3).requires_grad_(), rand(B, 3).requires_grad_()) for _ in range(2))
    sources = [x.requires_grad_(), *state, *again, *CELL.parameters()]
    run = settle(
        x,
        state,
        mask=mask,
        reset=torch.rand(T, B, generator=generator) < 0.3 if data.draw(st.booleans()) else None,
        reset_state=again,
        reverse=data.draw(st.booleans()),
        truncated_bptt_steps=data.draw(st.none() | st.integers(1, T + 1)),
    )
    size = data.draw(st.integers(1, T + 1))
    found = in_chunks(BACKENDS[backend], CELL.step, run, size)
    expected = BACKENDS[backend](CELL.step, run)
    weights = rand(T, B, 3), rand(B, 3), rand(B, 3)
    gradients = []
    for outputs, end in (found, expected):
        loss = sum((w * v).sum() for w, v in zip(weights, (outputs, end.h, end.c), strict=True))
        gradients.append(torch.autograd.grad(loss, sources, retain_graph=True, materialize_grads=True))
    torch.testing.assert_close(found[0], expected[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(tuple(found[1]), tuple(expected[1]), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_values_of_the_reference_are_the_same_bits(reverse):
    run = settle(torch.randn(7, 2, 2).double(), CELL.initial_state(2), reverse=reverse, lengths=[7, 4])
    for size in range(1, 9):
        found, expected = in_chunks(run_reference, CELL.step, run, size), run_reference(CELL.step, run)
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1].c, expected[1].c)


@pytest.mark.parametrize(("reverse", "times"), [(False, [0, 3, 6]), (True, [4, 1, 0])])
def test_where_the_cuts_are(reverse, times):
    """Every third step to be processed, and each chunk knows how many were done before it."""
    x = (torch.arange(7.0)[:, None], torch.arange(7.0)[:, None])
    parts = list(chunks(settle(x, torch.zeros(1), reverse=reverse), 3))
    assert [part.x[1][0].item() for part in parts] == times
    assert [(part.done, part.steps) for part in parts] == [(0, 3), (3, 3), (6, 1)]
    assert [part.done for part in chunks(parts[1], 2)] == [3, 5]


@pytest.mark.parametrize("reverse", [False, True])
def test_no_chunk_costs_as_much_as_the_whole(reverse):
    """Neither on the way forward nor back: x, its gradient and the outputs are each made once."""
    x = torch.randn(64, 4, 32, requires_grad=True)
    run = settle(x, torch.zeros(4), reverse=reverse)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        outputs = join((part.x * 2 for part in chunks(run, 1)), run)
        outputs.backward(torch.ones_like(x))
    made = sum(
        max(event.nbytes(), 0) for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"
    )
    assert torch.equal(outputs, 2 * x)
    assert torch.equal(x.grad, torch.full_like(x, 2))
    assert 4 * x.nbytes <= made <= 6 * x.nbytes  # the products and what they go to, forward and back; the ones


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, at its first dual tensor
def test_forward_mode_goes_through_chunks():
    x, tangent = torch.randn(5, 2, 3), torch.randn(5, 2, 3)
    with forward_ad.dual_level():
        run = settle(forward_ad.make_dual(x.requires_grad_(), tangent), torch.zeros(2))
        outputs = join((part.x**2 for part in chunks(run, 2)), run)
        torch.testing.assert_close(forward_ad.unpack_dual(outputs).tangent, 2 * x * tangent)


def test_chunks_whose_outputs_differ_are_refused():
    run = settle(torch.zeros(2, 1, 3), torch.zeros(1))
    with pytest.raises(InputError, match="must keep the shapes of its output"):
        join([torch.zeros(1, 1, 3), torch.zeros(1, 1, 4)], run)
    with pytest.raises(InputTypeError, match="must keep the dtypes of its output"):
        join([torch.zeros(1, 1, 3), torch.zeros(1, 1, 3).double()], run)
