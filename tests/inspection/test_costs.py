"""What the plan of a step says that is read, written, computed and kept: numbers by hand, and PyTorch's own."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import unrolled
from unrolled import cells, explain
from unrolled.core import Cell, leaves, map_tree

CLASSES = [getattr(cells, name) for name in cells.__all__]
NAMES = [kind.__name__ for kind in CLASSES if isinstance(kind, type) and issubclass(kind, Cell)]
I, H, F = 3, 5, 4  # noqa: E741 (the field's own letters: the sizes of Elman below, and bytes of a float)


def names(values):
    return [value.name for value in values]


@pytest.fixture
def elman():
    return explain(cells.Elman(I, H), steps=7, batch_size=2).facts


def test_forward_of_elman_by_hand(elman):
    """h(t) = tanh(W x(t) + b + U h(t-1)): W x + b for some steps at once, then U h, +, tanh in the loop."""
    before, loop, after = elman.forward.before, elman.forward.loop, elman.forward.after
    assert (before.cost.read, before.cost.written) == (I * F, 0)
    assert [value.bytes for value in before.passes] == [H * F]  # W x + b: for the loop, and for nobody else
    assert (before.cost.multiply_adds, before.cost.on_elements) == (I * H, H)
    assert before.cost.call_bytes == (H * I + H) * F
    assert loop.takes == before.passes
    assert loop.reads == loop.passes == ()
    assert (loop.cost.read, loop.cost.written) == (0, 2 * H * F)  # h(t), and h(t-1) for the way back
    assert (loop.cost.multiply_adds, loop.cost.on_elements) == (H * H, 2 * H)
    assert loop.cost.call_bytes == H * H * F
    for nothing in (after, elman.forward.totals):
        assert nothing.cost == type(nothing.cost)()
        assert not nothing.operations
    assert elman.forward.torch == type(after.cost)()


def test_backward_of_elman_by_hand(elman):
    """a(t) = (dy(t) + U' a(t+1)) (1 - h²): in the loop; dx after it; gradients of parameters sum over all rows."""
    loop, after, totals = elman.backward.loop, elman.backward.after, elman.backward.totals
    assert sorted(names(loop.reads))[-1] == "grad_output"
    assert (loop.cost.read, loop.cost.written) == (2 * H * F, H * F)  # a(t) is written, for the sums
    assert (loop.cost.multiply_adds, loop.cost.on_elements) == (H * H, 4 * H)  # +, square, 1 -, times
    assert after.takes == loop.writes  # a(t) is still in the cache
    assert (after.cost.read, after.cost.written, after.cost.multiply_adds) == (0, I * F, H * I)  # dx
    assert totals.cost.read == ((H + H) + (H + I) + H) * F  # of dU: a, h(t-1); of dW: a, x; of db: a
    assert (totals.cost.multiply_adds, totals.cost.on_elements) == (H * H + H * I, H)
    assert totals.cost.call_bytes == (H * H + H * I + H) * F
    assert totals.cost.written == 0
    assert elman.backward.torch == type(totals.cost)()
    assert not elman.again


def test_what_elman_keeps(elman):
    """x is there anyway; h(t-1) and h(t) are kept, h(t) as a copy: its owner may change the output."""
    own = [entry for entry in elman.kept if not entry.anyway]
    assert [(entry.value.bytes, entry.text.partition("(")[0]) for entry in own] == [(H * F, ""), (H * F, "tanh")]
    assert [entry.text for entry in elman.kept if entry.anyway] == [""]


def test_the_totals_of_elman(elman):
    rows = 7 * 2
    example = elman.example
    assert example.forward.flop == rows * (2 * (I * H + H * H) + H + 2 * H)
    assert example.forward.bytes == rows * (I + 2 * H) * F + (H * I + H + H * H) * F
    assert example.backward.flop == rows * (2 * (2 * H * H + 2 * H * I) + 4 * H + H)
    moved = (2 * H + H) + I + (H + H + H + I + H)  # the loop, dx, the sums
    weights = (H * H) + (H * I) + (H * H + H * I + H)
    assert example.backward.bytes == rows * moved * F + weights * F
    assert example.kept == rows * 2 * H * F
    assert example.forward.intensity == example.forward.flop / example.forward.bytes


def test_without_gradients_nothing_is_kept():
    facts = explain(cells.Elman(I, H), backward=False).facts
    assert facts.backward is None
    assert facts.kept == ()
    assert facts.forward.loop.cost.written == H * F
    assert "no gradient is wanted" in str(explain(cells.Elman(I, H), backward=False))
    with torch.no_grad():
        assert explain(cells.Elman(I, H)).facts.backward is None


def test_other_dtypes_by_hand():
    double = explain(cells.Elman(I, H).double()).facts
    assert double.forward.before.cost.read == I * 8
    assert [value.bytes for value in double.forward.loop.takes] == [H * 8]
    short = explain(cells.Elman(I, H).bfloat16()).facts
    assert short.forward.before.cost.read == I * 2
    assert [value.bytes for value in short.forward.loop.takes] == [H * 4]  # passed as it is computed, in 32 bits
    assert [value.bytes for value in short.backward.after.takes] == [H * 2]  # read from the sequence
    assert short.forward.loop.cost.call_bytes == H * H * 4  # a weight of 16 bits is widened for the kernel
    assert [value.bytes for value in short.forward.carried] == [H * 4]


def test_sums_without_c_are_torchs():
    """A kernel sums in float32 and float64."""
    backward = explain(cells.Elman(I, H).bfloat16()).facts.backward
    assert backward.totals.operations == ()
    assert (backward.torch.multiply_adds, backward.torch.on_elements) == (H * H + H * I, H)
    assert backward.torch.read == ((H + H) + (H + I) + H) * 2


@pytest.mark.parametrize("name", ["Elman", "LSTM", "GRU"])
def test_what_is_said_to_be_kept_is_what_autograd_holds(name):
    """T·B = 16 rows: what is kept lies in one block, each sequence from a multiple of 64 bytes on."""
    cell = getattr(cells, name)(I, H)
    x = torch.randn(8, 2, I, requires_grad=True)
    held = {}

    def keep(tensor):
        held[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    unrolled.unroll(cell.step, x, cell.initial_state(2), backend="compiled")  # the trace would be seen too
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        unrolled.unroll(cell.step, x, cell.initial_state(2), backend="compiled")
    given = {tensor.data_ptr() for tensor in [x, *cell.parameters()]}
    start = sum(H * 2 * F for _ in leaves(cell.initial_state(2)))
    own = sum(size for pointer, size in held.items() if pointer not in given)
    facts = explain(cell, x, steps=8, batch_size=2).facts
    assert own - facts.example.kept in (start, 2 * start)  # the first state, and that of the resets


def products(facts):
    """Multiply-adds of a direction."""
    parts = (facts.before.cost, facts.loop.cost, facts.after.cost, facts.totals.cost, facts.torch)
    return sum(cost.multiply_adds for cost in parts)


@pytest.mark.parametrize("name", NAMES)
def test_products_are_counted_as_torch_counts_them(name):
    """PyTorch's own counter of the operations of matrix products, for one step in eager mode of 7 rows."""
    cell, rows = getattr(cells, name)(I, H), 7
    x = torch.randn(rows, I, requires_grad=True)
    state = map_tree(lambda leaf: leaf.requires_grad_(), cell.initial_state(rows))
    with FlopCounterMode(display=False) as forward:
        output, state = cell.step(x, state)
    with FlopCounterMode(display=False) as backward:
        sum(leaf.sum() for leaf in (output, *leaves(state))).backward()
    facts = explain(cell).facts
    assert 2 * rows * products(facts.forward) == forward.get_total_flops()
    assert 2 * rows * products(facts.backward) == backward.get_total_flops()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_to_stay_in_the_cache_is_no_argument_of_the_c(name):
    """In the C a sequence in memory is ``q`` and the number of its value, what is passed ``z``."""
    cell = getattr(cells, name)(I, H)
    plan, text = explain(cell).facts, explain(cell, stage="source").facts.text
    for way in (plan.forward, plan.backward):
        parts = (way.before, way.loop, way.after)
        passed = {value.name for part in parts for value in part.passes}
        written = {value.name for part in parts for value in part.writes}
        read = {value.name for part in (*parts, way.totals) for value in part.reads}
        numbered = [value[1:] for value in passed if value[1:].isdigit()]  # others are slices, or parts of the adjoint
        assert all(f"z{value}" in text and f"restrict q{value} " not in text for value in numbered)
        assert all(f"restrict q{value[1:]} " in text for value in written | read if value[1:].isdigit())
        assert {value.name for part in parts for value in part.takes} <= passed | written | read
        assert passed.isdisjoint(written | read)


def test_a_row_sum_and_a_product_per_group():
    """A product of each row's own matrices, and one that is cut in groups."""

    def step(x, state):
        h = torch.einsum("bgi,gij->bgj", state, weight) + x
        return h.sum(-1), h

    weight = torch.randn(2, 3, 3)
    facts = explain(step, torch.zeros(1, 1, 2, 3), torch.zeros(1, 2, 3)).facts
    assert facts.forward.loop.cost.multiply_adds == 2 * 3 * 3
    assert sum(part.cost.on_elements for part in (facts.forward.loop, facts.forward.after)) == 6 + 6
    assert [entry.value.name for entry in facts.forward.loop.weights if entry.packed] == ["weight"]


def test_work_that_torch_does_first_and_what_is_done_once():
    def step(x, h):
        h = torch.tanh(h @ (weight / weight.norm()) + x.cumsum(-1))
        return h, h

    weight = torch.randn(4, 4)
    facts = explain(step, torch.zeros(1, 1, 4), torch.zeros(1, 4), backward=False).facts
    first = " ".join(operation.text for operation in facts.forward.first)
    assert "cumsum(x, -1)" in first
    assert "/ " in first  # once a call
    assert facts.forward.torch.call_flop > 0
    assert facts.forward.torch.read == facts.forward.torch.written == 4 * F
    assert "torch, before the kernel: once a call" in str(explain(step, torch.zeros(1, 1, 4), torch.zeros(1, 4)))
