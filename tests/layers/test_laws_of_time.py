"""What holds for every cell and sequence: padding, resets, chunks, permutations, truncation, edges."""

from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from unrolled import Bidirectional, Cell, Recurrent, Stack, unroll
from unrolled.cells import GRU, LSTM, Elman, LSTMState

close = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)
T, B, I, H = 7, 4, 3, 5  # noqa: E741
LENGTHS = torch.tensor([7, 3, 0, 5])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(23)


@pytest.fixture(autouse=True, params=["reference", "compiled"])
def backend(request, monkeypatch):
    """Every law on both of them: the variable takes the place of ``backend="auto"``."""
    monkeypatch.setenv("UNROLLED_BACKEND", request.param)
    return request.param


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def lstm(reverse=False, **kwargs):
    return Recurrent(randomise(LSTM(I, H)), reverse=reverse, **kwargs)


def randomise(module):
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(rand(*parameter.shape))
    return module


def start(rows=B):
    return LSTMState(rand(rows, H), rand(rows, H))


def rows(state, index):
    return LSTMState(*(s[index] for s in state))


def gradients(layer, outputs, *sources):
    """Of a fixed random sum of the outputs, with respect to the sources and every parameter."""
    weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1), dtype=outputs.dtype)
    return torch.autograd.grad((outputs * weights).sum(), [*sources, *layer.parameters()])


# ---------------------------------------------------------------- padding

LAYERS = {
    "recurrent": lambda: lstm(),
    "reverse": lambda: lstm(reverse=True),
    "bidirectional": lambda: Bidirectional(randomise(LSTM(I, H)), randomise(GRU(I, H))),
    "stack": lambda: randomise(Stack(lambda size: LSTM(size, I), I, 2, bidirectional=True)),
    "residual": lambda: randomise(Stack(lambda size: GRU(size, I), I, 3, residual=True)),
}


@pytest.mark.parametrize("junk", [torch.nan, torch.inf, -torch.inf, 1e300])
@pytest.mark.parametrize("name", LAYERS)
def test_padding_changes_nothing(name, junk):
    layer = LAYERS[name]()
    padding = torch.arange(T)[:, None] >= LENGTHS
    clean = rand(T, B, I).masked_fill(padding[..., None], 0.0).requires_grad_()
    spoilt = clean.detach().masked_fill(padding[..., None], junk).requires_grad_()
    expected, ends = layer(clean, lengths=LENGTHS)
    outputs, mine = layer(spoilt, lengths=LENGTHS)
    assert torch.equal(outputs, expected)
    assert (outputs[padding] == 0).all()
    torch.testing.assert_close(mine, ends, rtol=0, atol=0)
    found, wanted = gradients(layer, outputs, spoilt), gradients(layer, expected, clean)
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a, b)
    assert (found[0][padding] == 0).all()
    assert (found[0][~padding] != 0).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_ids_that_no_table_has_may_stand_in_the_padding(reverse):
    table = rand(6, H).requires_grad_()

    def step(ids, h):
        h = torch.tanh(h + table[ids])
        return h, h

    ids = torch.randint(6, (T, B))
    run = partial(unroll, step, state=torch.zeros(B, H).double(), lengths=LENGTHS, reverse=reverse)
    padding = torch.arange(T)[:, None] >= LENGTHS
    outputs, end = run(ids.masked_fill(padding, -1000))
    expected, expected_end = run(ids)
    assert torch.equal(outputs, expected)
    assert torch.equal(end, expected_end)
    mine, theirs = (torch.autograd.grad(v.square().sum(), table)[0] for v in (outputs, expected))
    assert torch.equal(mine, theirs)
    for b in range(B):  # and a row's padding adds nothing to the table's gradient
        alone, _ = unroll(
            step, ids[:, b : b + 1], torch.zeros(1, H).double(), reverse=reverse, lengths=[int(LENGTHS[b])]
        )
        theirs = theirs - torch.autograd.grad(alone.square().sum(), table)[0]
    close(theirs, torch.zeros_like(theirs))


SINGULAR = {"log": torch.log, "reciprocal": torch.reciprocal, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt}


@pytest.mark.parametrize("fill", [0.0, torch.nan, -1.0])
@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("lengths", [[7, 3, 0, 5], [0, 0, 0, 0]])
def test_a_step_that_is_singular_at_zero_never_meets_the_padding(name, fill, lengths):
    w = rand(I).requires_grad_()

    def step(x, h):
        h = torch.tanh(h + SINGULAR[name](x) * w)
        return h, h

    padding = (torch.arange(T)[:, None] >= torch.tensor(lengths))[..., None]
    x = torch.rand(T, B, I).double().add(0.1).masked_fill(padding, fill).requires_grad_()
    h0 = rand(B, I).requires_grad_()
    outputs, end = unroll(step, x, h0, lengths=lengths)
    for gradient in torch.autograd.grad(outputs.sum() + end.sum(), [x, w, h0]):
        assert gradient.isfinite().all()


def test_a_held_state_on_which_the_step_is_singular_does_no_harm():
    """The first row's budget is spent after two steps; a third would take the root of a negative number."""
    w = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)

    def step(x, budget):
        budget = budget - w * x
        return budget.sqrt(), budget

    budget = torch.tensor([2.5, 9.5], dtype=torch.float64, requires_grad=True)
    outputs, end = unroll(step, torch.ones(5, 2, dtype=torch.float64), budget, lengths=[2, 5])
    assert end.tolist() == [0.5, 4.5]
    outputs.sum().backward()
    slopes = [0.5 / (2.5 - n) ** 0.5 for n in (1, 2)]
    close(budget.grad[0].item(), sum(slopes))
    assert w.grad.isfinite()


@pytest.mark.parametrize(
    ("x", "start", "options"),
    [
        ([[1], [5], [9]], [2], {"lengths": [2]}),
        ([[9], [5], [1]], [2], {"mask": torch.tensor([[False], [True], [True]]), "reverse": True}),
        ([[5], [1], [9]], [2], {"lengths": [2], "reverse": True}),  # begins with x = 1, at t = 1
        ([[9, 5], [9, 6]], [0, 10], {"lengths": [0, 2]}),  # a row with no valid step, whose state is 0
        ([[5, 4], [9, 9]], [0, 10], {"lengths": [1, 1], "reset": torch.tensor([[True, False]] * 2)}),
    ],
)
def test_a_masked_step_computes_only_what_a_valid_one_computed(x, start, options):
    """The step is finite on every pair of input and state that is its own, and on none of the wrong ones."""
    w = torch.tensor(1.0, requires_grad=True)
    state = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    again = torch.full_like(state, 7.0, requires_grad=True)
    step = lambda x, s: (w * (s - x).sqrt(), torch.full_like(s, 8.0) + 0 * s)  # noqa: E731
    outputs, _ = unroll(step, torch.tensor(x).float(), state, reset_state=again, **options)
    outputs.sum().backward()
    assert (outputs != 0).any()
    for source in (w, state, again):
        assert source.grad is None or source.grad.isfinite().all()


def test_a_held_counter_never_indexes_past_its_table():
    table = rand(3, 2).requires_grad_()
    outputs, end = unroll(lambda _, n: (table[n], n + 1), None, torch.tensor([0, 1]), steps=6, lengths=[3, 2])
    assert end.tolist() == [3, 3]
    close(outputs[:3, 0], table)
    close(outputs[:2, 1], table[1:])
    assert (outputs[3:] == 0).all()


def test_no_gradient_reaches_a_state_through_masked_steps_alone():
    h0 = rand(B, H).requires_grad_()
    outputs, end = lstm()(rand(T, B, I), (h0, rand(B, H)), mask=torch.zeros(T, B, dtype=torch.bool))
    assert (outputs == 0).all()
    assert torch.equal(end.h, h0)
    (gradient,) = torch.autograd.grad(outputs.sum() + 3 * end.h.sum(), h0)
    assert (gradient == 3).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_the_returned_state_is_that_at_each_rows_own_end(reverse):
    layer, x, state = lstm(reverse), rand(T, B, I), start()
    _, end = layer(x, state, lengths=LENGTHS)
    for b, length in enumerate(LENGTHS.tolist()):
        own = rows(state, slice(b, b + 1))
        expected = own if length == 0 else layer(x[:length, b : b + 1], own)[1]
        close(end.h[b], expected.h[0])
        close(end.c[b], expected.c[0])


@pytest.mark.parametrize("lengths", [[7, 3, 0, 5], LENGTHS, LENGTHS.int(), LENGTHS.to(torch.uint8), LENGTHS.numpy()])
def test_lengths_in_every_form(lengths):
    layer, x = lstm(), rand(T, B, I)
    outputs, end = layer(x, lengths=lengths)
    expected, expected_end = layer(x, mask=torch.arange(T)[:, None] < LENGTHS)
    assert torch.equal(outputs, expected)
    assert torch.equal(end.c, expected_end.c)
    assert (outputs[2, 1] != 0).all()
    assert (outputs[3, 1] == 0).all()


def test_lengths_and_mask_together_mean_both():
    layer, x = lstm(), rand(T, B, I)
    mask = torch.rand(T, B) > 0.3
    both = mask & (torch.arange(T)[:, None] < LENGTHS)
    assert both.any()
    assert torch.equal(layer(x, lengths=LENGTHS, mask=mask)[0], layer(x, mask=both)[0])


def test_a_hole_in_the_mask_is_as_if_the_step_were_not_there():
    layer, x, state = lstm(), rand(T, 1, I), start(1)
    mask = torch.tensor([1, 1, 0, 1, 0, 0, 1], dtype=torch.bool)
    outputs, end = layer(x, state, mask=mask[:, None])
    expected, expected_end = layer(x[mask], state)
    close(outputs[mask], expected)
    close(end.c, expected_end.c)


def test_full_lengths_and_a_full_mask_change_nothing():
    layer, x = lstm(), rand(T, B, I)
    expected = layer(x)[0]
    assert torch.equal(layer(x, lengths=[T] * B)[0], expected)
    assert torch.equal(layer(x, mask=torch.ones(T, B, dtype=torch.bool))[0], expected)
    assert torch.equal(layer(x, reset=torch.zeros(T, B, dtype=torch.bool))[0], expected)


# ---------------------------------------------------------------- resets


@pytest.mark.parametrize("at", range(T))
def test_reset_at_t_equals_a_fresh_start_at_t(at):
    layer, x, state = lstm(), rand(T, B, I), start()
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[at, 1] = True
    outputs, end = layer(x, state, reset=reset)
    untouched, _ = layer(x, state)
    fresh, fresh_end = layer(x[at:])
    close(outputs[:, [0, 2, 3]], untouched[:, [0, 2, 3]])
    close(outputs[:at, 1], untouched[:at, 1])
    close(outputs[at:, 1], fresh[:, 1])
    close(end.c[1], fresh_end.c[1])


@pytest.mark.parametrize("at", range(T))
def test_under_reverse_a_reset_still_marks_where_an_episode_begins(at):
    """Steps at, at + 1, ... are one episode and the steps before it another: the two never mix."""
    layer, x, state = lstm(reverse=True), rand(T, B, I), start()
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[at, 1] = True
    outputs, end = layer(x, state, reset=reset)
    untouched, untouched_end = layer(x, state)
    close(outputs[:, [0, 2, 3]], untouched[:, [0, 2, 3]])
    close(outputs[at:, 1], untouched[at:, 1])
    if at:
        earlier, earlier_end = layer(x[:at])
        close(outputs[:at, 1], earlier[:, 1])
        close(end.c[1], earlier_end.c[1])
    else:  # the state returned is the one after the last step processed, never a replaced one
        close(end.c[1], untouched_end.c[1])


@pytest.mark.parametrize("reverse", [False, True])
def test_a_masked_step_ignores_its_reset(reverse):
    layer, x, state = lstm(reverse), rand(T, B, I), start()
    mask = torch.rand(T, B) > 0.4
    assert not mask.all()
    outputs, end = layer(x, state, mask=mask, reset=~mask)
    expected, expected_end = layer(x, state, mask=mask)
    assert torch.equal(outputs, expected)
    assert torch.equal(end.c, expected_end.c)


def test_unroll_resets_to_the_state_passed_in_unless_told_otherwise():
    def step(x, s):
        return s + x, s + x

    reset = torch.tensor([[False], [True], [False]])
    x = torch.tensor([[1.0], [2.0], [3.0]])
    s0 = torch.tensor([10.0], requires_grad=True)
    outputs, _ = unroll(step, x, s0, reset=reset)
    assert outputs.flatten().tolist() == [11, 12, 15]
    outputs.sum().backward()
    assert s0.grad.item() == 3
    again = torch.tensor([100.0], requires_grad=True)
    outputs, end = unroll(step, x, s0.detach().requires_grad_(), reset=reset, reset_state=again)
    assert outputs.flatten().tolist() == [11, 102, 105]
    assert end.item() == 105
    outputs.sum().backward()
    assert again.grad.item() == 2
    outputs, end = unroll(step, x, s0.detach(), reset=reset, reset_state=again, reverse=True)
    assert outputs.flatten().tolist() == [101, 15, 13]
    assert end.item() == 101


class Learnt(Cell):
    def __init__(self):
        super().__init__()
        self.h0 = nn.Parameter(torch.tensor([0.5, -2.0], dtype=torch.float64))

    def initial_state(self, batch_size):
        return self.h0.expand(batch_size, -1)

    def step(self, x, h):
        return 2 * h + x, 2 * h + x


@pytest.mark.parametrize("given_state", [False, True])
def test_a_learnt_initial_state_gets_its_gradient_from_every_start_and_reset(given_state):
    """The start counts 2 + 4 (two steps until the reset), a reset at t = 2 counts 2, for each row."""
    layer = Recurrent(Learnt())
    reset = torch.tensor([[False, True], [False, False], [True, False]])
    x = rand(3, 2, 2)
    state = rand(2, 2).requires_grad_() if given_state else None
    outputs, _ = layer(x, state, reset=reset)
    outputs.sum().backward()
    # row 0: start 2 + 4, reset at 2 gives 2; row 1: reset at 0 gives 2 + 4 + 8
    expected = (2 if given_state else 2 + 4 + 2) + 14
    assert layer.cell.h0.grad.tolist() == [expected] * 2
    if given_state:
        assert state.grad.tolist() == [[6, 6], [0, 0]]


# ---------------------------------------------------------------- chunks, permutations, truncation


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_chunks_equal_the_whole(data):
    """Any cut in time, the state carried over it, with masks and resets; the chunks in order of processing."""
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    reverse = data.draw(st.booleans())
    cuts = sorted(data.draw(st.sets(st.integers(1, T - 1), max_size=3)))
    layer, x, state = lstm(reverse), rand(T, B, I).requires_grad_(), start()
    sources = [x, *(s.requires_grad_() for s in state), *layer.parameters()]
    mask, reset = torch.rand(T, B) < 0.7, torch.rand(T, B) < 0.2
    if reverse:  # an episode that begins a chunk ends there: the caller starts the chunk before it anew
        for cut, b in product(cuts, range(B)):
            first_valid = [t for t in range(cut, T) if mask[t, b]][:1]
            reset[first_valid, b] = False
    whole, end = layer(x, state, mask=mask, reset=reset)
    pieces = list(zip([0, *cuts], [*cuts, T], strict=True))
    outputs = {}
    for a, b in reversed(pieces) if reverse else pieces:
        outputs[a], state = layer(x[a:b], state, mask=mask[a:b], reset=reset[a:b])
    joined = torch.cat([outputs[a] for a, _ in pieces])
    close(joined, whole)
    close(state.h, end.h)
    close(state.c, end.c)
    weights, end_weights = rand(T, B, H), rand(B, H)
    mine = torch.autograd.grad((joined * weights).sum() + (state.c * end_weights).sum(), sources)
    theirs = torch.autograd.grad((whole * weights).sum() + (end.c * end_weights).sum(), sources)
    for a, b in zip(mine, theirs, strict=True):
        close(a, b)


@pytest.mark.parametrize("name", LAYERS)
def test_permuting_the_rows_permutes_the_results(name):
    layer, x = LAYERS[name](), rand(T, B, I)
    reset = torch.rand(T, B) < 0.3
    order = torch.tensor([2, 0, 3, 1])
    expected, _ = layer(x, lengths=LENGTHS, reset=reset)
    outputs, _ = layer(x[:, order], lengths=LENGTHS[order], reset=reset[:, order])
    close(outputs, expected[:, order])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_truncation_equals_windows_with_the_state_detached_by_hand(k, reverse):
    cell, x, state = randomise(LSTM(I, H)), rand(T, B, I).requires_grad_(), start()
    sources = [x, *(s.requires_grad_() for s in state), *cell.parameters()]
    outputs, end = unroll(cell.step, x, state, lengths=LENGTHS, truncated_bptt_steps=k, reverse=reverse)
    pieces, carried = {}, state
    mask = torch.arange(T)[:, None] < LENGTHS
    edges = list(range(T, 0, -k)) if reverse else list(range(0, T, k))
    for edge in edges:
        a, b = (max(edge - k, 0), edge) if reverse else (edge, min(edge + k, T))
        pieces[a], carried = unroll(cell.step, x[a:b], carried, mask=mask[a:b], reverse=reverse)
        if edge != edges[-1]:
            carried = LSTMState(*(s.detach() for s in carried))
    joined = torch.cat([pieces[a] for a in sorted(pieces)])
    close(outputs, joined)
    weights = rand(T, B, H)
    mine = torch.autograd.grad((outputs * weights).sum() + end.c.sum(), sources)
    theirs = torch.autograd.grad((joined * weights).sum() + carried.c.sum(), sources)
    full = unroll(cell.step, x, state, lengths=LENGTHS, reverse=reverse)
    whole = torch.autograd.grad((full[0] * weights).sum() + full[1].c.sum(), sources)
    for a, b in zip(mine, theirs, strict=True):
        close(a, b)
    assert not torch.allclose(mine[-1], whole[-1])


@pytest.mark.parametrize("k", [T, T + 1, 1000])
def test_truncation_longer_than_the_sequence_is_full_back_propagation(k):
    cell, x = randomise(LSTM(I, H)), rand(T, B, I)
    state = LSTMState(*(s.requires_grad_() for s in start()))
    full, truncated = (
        torch.autograd.grad(
            unroll(cell.step, x, state, truncated_bptt_steps=steps)[0][-1].sum(), [*state, *cell.parameters()]
        )
        for steps in (None, k)
    )
    for a, b in zip(full, truncated, strict=True):
        assert torch.equal(a, b)


# ---------------------------------------------------------------- edges


@pytest.mark.parametrize("reverse", [False, True])
def test_one_step_of_one_row_is_the_cell(reverse):
    layer, x, state = lstm(reverse), rand(1, 1, I), start(1)
    outputs, end = layer(x, state)
    expected, after = layer.cell.step(x[0], state)
    close(outputs[0], expected)
    close(end, after)


@pytest.mark.parametrize("options", [{}, {"lengths": []}, {"mask": torch.ones(T, 0, dtype=torch.bool)}])
def test_no_rows(options):
    layer = lstm()
    x = rand(T, 0, I).requires_grad_()
    reset = torch.zeros(T, 0, dtype=torch.bool)
    outputs, end = layer(x, reset=reset, **options)
    assert outputs.shape == (T, 0, H)
    assert end.h.shape == end.c.shape == (0, H)
    outputs.sum().backward()
    assert all((p.grad == 0).all() for p in layer.parameters())


def test_all_lengths_zero():
    layer = lstm()
    x, state = torch.full((T, B, I), torch.nan, dtype=torch.float64), start()
    outputs, end = layer(x, state, lengths=torch.zeros(B, dtype=torch.int64))
    assert (outputs == 0).all()
    assert torch.equal(end.h, state.h)
    assert torch.equal(end.c, state.c)
    outputs.sum().backward()
    assert all((p.grad == 0).all() for p in layer.parameters())


def test_batch_first_swaps_x_outputs_mask_and_reset_but_never_states():
    cell = randomise(LSTM(I, H))
    x, state, mask, reset = rand(T, B, I), start(), torch.rand(T, B) < 0.7, torch.rand(T, B) < 0.3
    expected, end = Recurrent(cell)(x, state, mask=mask, reset=reset)
    outputs, mine = Recurrent(cell, batch_first=True)(x.transpose(0, 1), state, mask=mask.T, reset=reset.T)
    assert torch.equal(outputs, expected.transpose(0, 1))
    assert torch.equal(mine.c, end.c)
    pair = Bidirectional(cell, randomise(LSTM(I, H)), batch_first=True)
    swapped, _ = pair(x.transpose(0, 1), mask=mask.T, reset=reset.T)
    pair.ahead.batch_first = pair.back.batch_first = False
    assert torch.equal(swapped, pair(x, mask=mask, reset=reset)[0].transpose(0, 1))


def test_bidirectional_is_a_forward_and_a_backward_layer():
    a, b = randomise(LSTM(I, H)), randomise(LSTM(I, H))
    x, states = rand(T, B, I), (start(), start())
    reset = torch.rand(T, B) < 0.3
    ahead, ahead_end = Recurrent(a)(x, states[0], lengths=LENGTHS, reset=reset)
    back, back_end = Recurrent(b, reverse=True)(x, states[1], lengths=LENGTHS, reset=reset)
    for merge, expected in (("concat", torch.cat([ahead, back], -1)), ("sum", ahead + back)):
        outputs, ends = Bidirectional(a, b, merge=merge)(x, states, lengths=LENGTHS, reset=reset)
        assert torch.equal(outputs, expected)
        assert torch.equal(ends[0].c, ahead_end.c)
        assert torch.equal(ends[1].c, back_end.c)


# ---------------------------------------------------------------- dtypes


BACKEND_OF = {torch.bfloat16: "reference"}  # there are no kernels of it


class Leaky(Cell):
    """No tensor of its own."""

    hidden_size = 2

    def step(self, x, h):
        h = 0.9 * h + 0.1 * x
        return h, h


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("given_state", [False, True])
def test_a_cell_without_parameters_follows_its_input(dtype, given_state):
    x = torch.randn(T, B, 2).to(dtype)
    state = torch.zeros(B, 2, dtype=dtype) if given_state else None
    layer = Recurrent(Leaky(), backend=BACKEND_OF.get(dtype, "auto"))
    outputs, end = layer(x, state, reset=torch.rand(T, B) < 0.3)
    assert outputs.dtype == end.dtype == dtype


def test_a_cell_without_floating_tensors_follows_its_first_floating_input():
    class Counting(Leaky):
        def __init__(self):
            super().__init__()
            self.register_buffer("offset", torch.tensor(3))

        def step(self, x, h):
            ids, values = x
            h = h + values * (ids + self.offset)[:, None]
            return h, h

    x = (torch.randint(5, (T, B)), rand(T, B, 2))
    _, end = Recurrent(Counting())(x)
    close(end, ((x[0] + 3)[..., None] * x[1]).sum(0))


def test_a_cell_without_input_or_parameters_resets_in_the_dtype_of_its_state():
    class Halving(Leaky):
        def step(self, _, h):
            return h, h / 2

    state = torch.full((1, 2), 8.0, dtype=torch.float64)
    reset = torch.tensor([[False], [True]])
    outputs, _ = Recurrent(Halving())(None, state, steps=2, reset=reset)
    assert outputs.tolist() == [[[8, 8]], [[0, 0]]]


def test_autocast_computes_in_low_precision_and_keeps_the_states_dtype():
    layer = Recurrent(LSTM(I, H), backend="reference")
    x = torch.randn(T, B, I)
    expected, _ = layer(x, lengths=LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, end = layer(x, lengths=LENGTHS)
    assert end.h.dtype == end.c.dtype == torch.float32
    difference = (outputs.float() - expected).abs().max().item()
    assert 0 < difference < 0.03  # bfloat16 has 8 bits
    outputs.float().sum().backward()
    assert layer.cell.weight_hh.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_everything_stays_in_the_dtype_of_the_cell(dtype):
    layer = Recurrent(Elman(I, H, 2), backend=BACKEND_OF.get(dtype, "auto")).to(dtype)
    outputs, end = layer(torch.randn(T, B, I).to(dtype), lengths=LENGTHS, reset=torch.rand(T, B) < 0.3)
    assert outputs.dtype == end.dtype == dtype


def test_a_step_may_return_no_output():
    outputs, end = unroll(lambda x, s: ((), s + x), torch.ones(3, 2), torch.zeros(2))
    assert outputs == ()
    assert end.tolist() == [3, 3]


def test_a_reset_keeps_the_class_of_the_state():
    """A plain tuple as reset_state: the step still meets the NamedTuple that it reads by name."""

    def step(x, state):
        return state.h, LSTMState(state.h + x, state.c * state.h)

    state = LSTMState(torch.ones(1), torch.ones(1))
    again = (torch.zeros(1), torch.ones(1))
    outputs, end = unroll(step, torch.ones(2, 1), state, reset=torch.tensor([[False], [True]]), reset_state=again)
    assert outputs.flatten().tolist() == [1, 0]
    assert isinstance(end, LSTMState)


def test_arguments_are_left_as_they_were():
    cell = randomise(LSTM(I, H))
    x, state, lengths = rand(T, B, I), start(), LENGTHS.clone()
    reset = torch.rand(T, B) < 0.3
    copies = [v.clone() for v in (x, *state, lengths, reset)]
    unroll(cell.step, x, state, lengths=lengths, reset=reset, reverse=True, truncated_bptt_steps=2)
    for now, before in zip((x, *state, lengths, reset), copies, strict=True):
        assert torch.equal(now, before)
