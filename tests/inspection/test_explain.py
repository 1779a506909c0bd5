"""`explain`: the numbers by hand, the names, the pages, and what cannot be explained."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import unrolled
from unrolled import cells, explain
from unrolled.compiler.codegen.prelude import prelude
from unrolled.core import Cell, InputError, InputTypeError, UnsupportedStep, leaves, map_tree

STAGES = ["graph", "plan", "source"]
CLASSES = [getattr(cells, name) for name in cells.__all__]
NAMES = [kind.__name__ for kind in CLASSES if isinstance(kind, type) and issubclass(kind, Cell)]
I, H, F = 3, 5, 4  # noqa: E741 (the field's own letters: the sizes of Elman below, and bytes of a float)


def names(values):
    return [value.name for value in values]


def texts(operations):
    return [f"{operation.value.name} = {operation.text}" for operation in operations]


@pytest.fixture
def elman():
    return explain(cells.Elman(I, H), steps=7, batch_size=2).facts


# ---------------------------------------------------------------------------- numbers by hand


def test_forward_of_elman_by_hand(elman):
    """h(t) = tanh(W x(t) + b + U h(t-1)): W x + b for all rows at once, then U h, +, tanh in the loop."""
    before, loop, after = elman.forward.before, elman.forward.loop, elman.forward.after
    assert (before.cost.read, before.cost.written) == (I * F, H * F)
    assert (before.cost.multiply_adds, before.cost.on_elements) == (I * H, H)
    assert before.cost.call_bytes == (H * I + H) * F
    assert (loop.cost.read, loop.cost.written) == (H * F, 2 * H * F)  # h(t), and h(t-1) for the way back
    assert (loop.cost.multiply_adds, loop.cost.on_elements) == (H * H, 2 * H)
    assert loop.cost.call_bytes == H * H * F
    assert after.cost == type(after.cost)()
    assert not after.operations
    assert elman.forward.torch.multiply_adds == 0


def test_backward_of_elman_by_hand(elman):
    """a(t) = (dy(t) + U' a(t+1)) (1 - h²): in the loop; the gradients are products of all rows after it."""
    loop, after, by_torch = elman.backward.loop, elman.backward.after, elman.backward.torch
    assert sorted(names(loop.reads))[-1] == "grad_output"
    assert (loop.cost.read, loop.cost.written) == (2 * H * F, H * F)
    assert (loop.cost.multiply_adds, loop.cost.on_elements) == (H * H, 4 * H)  # +, square, 1 -, times
    assert (after.cost.read, after.cost.written, after.cost.multiply_adds) == (H * F, I * F, H * I)  # dx
    assert (by_torch.multiply_adds, by_torch.on_elements) == (H * H + H * I, H)  # dU, dW, db
    assert by_torch.call_bytes == (H * H + H * I + H) * F
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
    assert example.forward.bytes == rows * (I + H + H + 2 * H) * F + (H * I + H + H * H) * F
    assert example.backward.flop == rows * (2 * (2 * H * H + 2 * H * I) + 4 * H + H)
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
    assert double.forward.loop.cost.read == H * 8
    short = explain(cells.Elman(I, H).bfloat16()).facts
    assert short.forward.loop.cost.read == H * 2
    assert short.forward.loop.cost.call_bytes == H * H * 4  # a weight of 16 bits is widened for the kernel
    assert [value.bytes for value in short.forward.carried] == [H * 4]


@pytest.mark.parametrize("name", ["Elman", "LSTM", "GRU"])
def test_what_is_said_to_be_kept_is_what_autograd_holds(name):
    cell = getattr(cells, name)(I, H)
    x = torch.randn(6, 2, I, requires_grad=True)
    held = {}

    def keep(tensor):
        held[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    unrolled.unroll(cell.step, x, cell.initial_state(2), backend="compiled")  # the trace would be seen too
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        unrolled.unroll(cell.step, x, cell.initial_state(2), backend="compiled")
    given = {tensor.data_ptr() for tensor in [x, *cell.parameters()]}
    start = sum(H * 2 * F for _ in unrolled.core.leaves(cell.initial_state(2)))
    own = sum(size for pointer, size in held.items() if pointer not in given)
    facts = explain(cell, x, steps=6, batch_size=2).facts
    assert own - facts.example.kept in (start, 2 * start)  # the first state, and that of the resets


def products(facts):
    """Multiply-adds of a direction."""
    parts = (facts.before.cost, facts.loop.cost, facts.after.cost, facts.torch)
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
    first = " ".join(texts(facts.forward.first))
    assert "cumsum(x, -1)" in first
    assert "/ " in first  # once a call
    assert facts.forward.torch.call_flop > 0
    assert facts.forward.torch.read == facts.forward.torch.written == 4 * F
    assert "torch, before the kernel: once a call" in str(explain(step, torch.zeros(1, 1, 4), torch.zeros(1, 4)))


# ---------------------------------------------------------------------------- names


class Pair(NamedTuple):
    a: torch.Tensor
    b: torch.Tensor


def test_names_are_the_users():
    scale = torch.full((3,), 0.5)

    def step(x, state):
        a, b = state.a * scale + x[0], torch.relu(state.b - x[1])
        return {"y": a}["y"], Pair(a, b)

    x = (torch.zeros(1, 1, 3), torch.zeros(1, 1, 3))
    facts = explain(step, x, Pair(torch.zeros(1, 3), torch.zeros(1, 3, requires_grad=True)), stage="graph").facts
    assert names(facts.inputs) == ["x[0]", "x[1]"]
    assert names(facts.state) == ["state.a", "state.b"]
    assert names(facts.parameters) == ["scale"]
    assert [result.name for result in facts.step.results] == ["output", "new_state.a", "new_state.b"]
    assert [result.name for result in facts.derivative.results] == ["grad_state.a", "grad_state.b"]
    assert any("state.a * scale" in text for text in texts(facts.step.operations))
    assert {operation.line.partition(":")[0] for operation in facts.step.operations} == {"test_explain.py"}
    assert facts.name == "step"


def test_two_tensors_of_one_name_keep_how_they_are_reached():
    class Twice(Cell):
        def __init__(self, inner):
            super().__init__()
            self.input_size = self.hidden_size = 3
            self.inner = inner
            self.weight = nn.Parameter(torch.randn(3))

        def step(self, x, h):
            h = self.inner(h) * self.weight + x
            return h, h

    facts = explain(Twice(nn.Linear(3, 3)), stage="graph").facts
    assert sorted(names(facts.parameters)) == ["inner.bias", "inner.weight", "weight"]

    def make(weight):
        return lambda h: h * weight

    weight, other = torch.randn(3), make(torch.randn(3))

    def step(x, h):
        h = other(h) + weight * x
        return h, h

    found = names(explain(step, torch.zeros(1, 1, 3), torch.zeros(1, 3), stage="graph").facts.parameters)
    assert len(set(found)) == 2
    assert all(name.endswith("weight") for name in found)


def test_operations_as_they_are_written():
    def step(x, h):
        h = torch.where(h > 0.25, -h, h.flip(-1)) / 3
        h = torch.cat([h[:, :1], (h**2)[:, 1:]], -1) + x.to(torch.float32)
        return h.unsqueeze(-1).expand(-1, -1, 2).amax(1), h

    x = torch.zeros(1, 1, 4, dtype=torch.float64)
    facts = explain(step, x, torch.zeros(1, 4), stage="graph", backward=False).facts
    found = " | ".join(operation.text for operation in facts.step.operations)
    for part in ("state > 0.25", "-state", "where(", "state.flip(1)", "/ 3", "x.to(float32)", "[:, 0:1]", ".amax("):
        assert part in found


def test_a_recurrent_layer_is_its_cell():
    cell = cells.GRU(I, H)
    assert str(explain(unrolled.Recurrent(cell))) == str(explain(cell))


def test_a_cell_without_input_and_one_whose_state_follows_its_input():
    class Alone(Cell):
        hidden_size = 3

        def step(self, x, h):
            h = 3.9 * h * (1 - h)
            return h, h

    facts = explain(Alone(), None, torch.zeros(1, 3, requires_grad=True), stage="graph").facts
    assert facts.inputs == ()
    assert [result.name for result in facts.derivative.results] == ["grad_state"]

    class Sum(Cell):
        input_size = hidden_size = 3

        def step(self, x, h):
            return x + h, x + h

    facts = explain(Sum(), torch.zeros(1, 1, 3, dtype=torch.float64), stage="graph", backward=False).facts
    assert {value.dtype for value in facts.state} == {"float64"}


# ---------------------------------------------------------------------------- pages


@pytest.mark.parametrize("stage", STAGES[:2])
def test_snapshots(stage):
    """The pages of one cell, as they were last looked at; UNROLLED_UPDATE_SNAPSHOTS=1 writes them anew."""
    version = ".".join(torch.__version__.split(".")[:2])
    page = re.sub(r"\.py:\d+", ".py:..", str(explain(cells.Elman(I, H), stage=stage)))
    text = f"PyTorch {version}\n{page}\n"
    path = Path(__file__).parent / "snapshots" / f"elman_{stage}.txt"
    if os.environ.get("UNROLLED_UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    if expected.splitlines()[0] != f"PyTorch {version}":
        pytest.skip(f"written under another {expected.splitlines()[0]}: its trace may differ")
    assert text == expected


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", NAMES)
def test_pages_of_every_cell(name, stage):
    found = explain(getattr(cells, name)(I, H), stage=stage)
    page = str(found)
    assert page.isascii()
    assert "\x1b" not in page
    if stage != "source":
        assert all(len(line) <= 80 and line == line.rstrip() for line in page.splitlines())
    again = json.loads(json.dumps(found.to_dict()))
    assert again == found.to_dict()
    assert again["stage"] == stage
    assert again["name"].startswith(f"{name}(input_size=3")


spec = importlib.util.spec_from_file_location("steps_to_explain", Path(__file__).parents[1] / "compiler" / "steps.py")
steps = importlib.util.module_from_spec(spec)
spec.loader.exec_module(steps)


@pytest.mark.parametrize("stage", STAGES[:2])
@pytest.mark.parametrize("name", ["Odd", "Memory", "Heads", "Solver"])
def test_pages_of_steps_that_ask_much(name, stage):
    page = str(explain(getattr(steps, name)(), stage=stage))
    assert page.isascii()
    assert all(len(line) <= 80 and line == line.rstrip() for line in page.splitlines())
    assert "7919" not in page  # the rows of the trace are B


def test_a_number_in_any_shape_is_a_number():
    found = texts(explain(steps.Odd(), stage="graph").facts.step.operations)
    assert any(text.endswith("arange(4).reshape(1, 4) == 0") for text in found)
    assert any("where(" in text and ", 2, " in text for text in found)


def test_long_names_are_wrapped():
    class Long(Cell):
        def __init__(self):
            super().__init__()
            self.input_size = self.hidden_size = 3
            self.a_weight_with_a_name_that_is_really_quite_long = nn.Parameter(torch.randn(3))
            self.another_weight_with_a_name_that_is_really_quite_long = nn.Parameter(torch.randn(3))

        def step(self, x, h):
            h = h * self.a_weight_with_a_name_that_is_really_quite_long + x
            h = h + self.another_weight_with_a_name_that_is_really_quite_long
            return h, h

    for stage in STAGES[:2]:
        page = str(explain(Long(), stage=stage))
        assert all(len(line) <= 80 for line in page.splitlines())
        assert "a_weight_with_a_name_that_is_really_quite_long" in page


def test_the_source_is_c(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    part, whole = (explain(cells.LSTM(I, H), stage="source", whole=choice) for choice in (False, True))
    assert "u_forward" in part.facts.text
    assert "u_backward" in part.facts.text
    assert prelude() not in str(part)
    assert str(part).startswith("/* LSTM(")
    assert f"{prelude().count(chr(10))} lines" in " ".join(str(part).split())
    (tmp_path / "part.c").write_text(f"{prelude()}\n{part}\n")
    (tmp_path / "whole.c").write_text(f"{whole}\n")
    for name in ("part.c", "whole.c"):
        ended = subprocess.run(
            [compiler, "-std=gnu11", "-fsyntax-only", name], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr


# ---------------------------------------------------------------------------- what cannot be explained


def mixes(x, h):
    h = h + x.sum()
    return h, h


def sums_up(x, h):
    h = h.cumsum(-1) + x
    return h, h


def branches(x, h):
    h = h + x if h.sum() > 0 else h - x
    return h, h


COUNTS = [0]


def counts(x, h):
    COUNTS[0] += 1
    return h + x, h + x


def fails(x, h):
    raise KeyError("no such thing")


def gives_one_thing(x, h):
    return h


X, STATE = torch.zeros(1, 1, 3), torch.zeros(1, 3)


@pytest.mark.parametrize(
    ("step", "stage", "kind", "message"),
    [
        (mixes, "graph", UnsupportedStep, r"mixes the rows.*test_explain.py:\d+"),
        (sums_up, "plan", UnsupportedStep, r"no kernel has .*cumsum.*test_explain.py:\d+"),
        (sums_up, "source", UnsupportedStep, "no kernel has"),
        (branches, "graph", UnsupportedStep, r"test_explain.py:\d+"),
        (counts, "plan", UnsupportedStep, "changes what it reads"),
        (fails, "plan", KeyError, "no such thing"),
        (gives_one_thing, "plan", unrolled.UnrolledError, r"\(output, state\)"),
    ],
)
def test_a_step_that_is_refused(step, stage, kind, message):
    with pytest.raises(kind, match=message):
        explain(step, X, STATE, stage=stage)


def test_the_graph_of_a_step_without_c():
    facts = explain(sums_up, X, STATE, stage="graph", backward=False).facts
    assert any("cumsum(state, -1)" in text for text in texts(facts.step.operations))


class Bare(Cell):
    hidden_size = 3


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "message"),
    [
        ((cells.LSTM(I, H),), {"stage": "c"}, InputError, "stage: expected one of graph, plan, source, got 'c'"),
        ((cells.LSTM(I, H),), {"steps": 0}, InputError, "steps: expected"),
        ((cells.LSTM(I, H),), {"batch_size": 0}, InputError, "batch_size: expected"),
        ((cells.LSTM,), {}, InputTypeError, "expected a cell, or a step function .*, got the class LSTM"),
        ((nn.LSTM(3, 5),), {}, InputTypeError, "got LSTM"),
        ((3,), {}, InputTypeError, "got int"),
        ((mixes, X), {}, InputError, "state: expected an example state"),
        ((Bare(),), {}, InputError, "x: expected an example input .*, since Bare has no input_size, got None"),
        ((mixes, torch.zeros(0, 1, 3), STATE), {}, InputError, "at least one time step"),
        ((mixes, torch.zeros(1, 2, 3), STATE), {}, InputError, "x: expected"),
    ],
)
def test_arguments_that_are_wrong(arguments, options, kind, message):
    with pytest.raises(kind, match=message):
        explain(*arguments, **options)
