"""The text of a step's graph, which may come from somebody else's file, and the operator that runs it."""

import base64
import json
import zlib

import pytest
import torch
from torch import nn

from unrolled import Cell, InputError, UnsupportedStep
from unrolled.cells import GRU, LSTM
from unrolled.compiler.fingerprint import read as read_step
from unrolled.compiler.operator import sequence
from unrolled.compiler.portable import read, ready, write
from unrolled.compiler.rewrite import rewrite
from unrolled.compiler.trace import trace
from unrolled.core import run_reference, settle

H, W = {"Ref": [1]}, {"Ref": [2]}
FLOAT, DOUBLE = {"dtype": "float32"}, {"dtype": "float64"}
BATCH = 7919


def graph_of(cell):
    reading = read_step(cell.step)
    traced = trace(cell.step, torch.zeros(1, 1, 3), cell.initial_state(1), reading.tensors, reading.names)
    return rewrite(traced.graph), [reading.tensors[k] for k in traced.closed]


def packed(whole):
    text = whole if isinstance(whole, str) else json.dumps(whole)
    return base64.b64encode(zlib.compress(text.encode())).decode()


def node(op, args, *shape, dtype=FLOAT):
    return {"Node": [op, args, list(shape), dtype, ""]}


def whole(*nodes, batch=BATCH, first=(BATCH, 4), closed=(4, 4), lists=None):
    """A step with a state, a state that is its input, a tensor that it closes over, and these nodes; the last is all
    that it returns."""
    inputs = [node("input", [], BATCH, 3), node("input", [], *first), node("input", [], *closed)]
    last = 2 + len(nodes)
    lists = lists or [[0], [1], [2], [last], [last], [], [], [], [], []]
    return [1, {"Graph": [batch, [*inputs, *nodes], *lists]}, None, ""]


FINE = node("mm", [H, W], BATCH, 4)


def test_a_text_is_its_graph():
    for cell in (GRU(3, 4), LSTM(3, 4)):
        graph, _ = graph_of(cell)
        again, wanted = read(write(graph, (True,) * (len(graph.x) + len(graph.state) + len(graph.closed))))
        assert [(n.op, n.args, n.shape, n.dtype) for n in again.nodes] == [
            (n.op, n.args, n.shape, n.dtype) for n in graph.nodes
        ]
        assert again.d_closed == graph.d_closed
        assert all(wanted)


def test_the_hostile_texts_below_start_from_one_that_is_fine():
    graph, wanted = read(packed(whole(FINE)))
    assert [node.op for node in graph.nodes] == ["input", "input", "input", "mm"]
    assert wanted is None
    x, h, w = torch.randn(2, 5, 3), torch.randn(5, 4), torch.randn(4, 4)
    outputs, last = sequence([x, h, h, w], None, None, 2, False, 0, False, packed(whole(FINE)))
    torch.testing.assert_close(outputs, torch.stack([h @ w, h @ w @ w]))
    torch.testing.assert_close(last, h @ w @ w)


HOSTILE = {
    "no text": "?",
    "not ascii": "é",
    "no json": packed("{"),
    "another list": packed([1]),
    "another class": packed([1, FLOAT, None, ""]),
    "a class of a module": packed([1, {"tuple": ["unrolled.cells.lstm", "LSTMState", 1, 2]}, None, ""]),
    "two words": packed([1, {"Ref": [1], "dtype": "float32"}, None, ""]),
    "another format": packed([99, *whole(FINE)[1:]]),
    "a bomb": base64.b64encode(zlib.compress(b" " * (1 << 28))).decode(),
    "deep lists": packed("[" * 100_000 + "]" * 100_000),
    "deep arguments": packed(json.dumps(whole(node("add", [H, "@"], BATCH, 4))).replace('"@"', "[" * 900 + "]" * 900)),
    "a float for a batch": packed(whole(FINE, batch=7919.0)),
    "another batch": packed(whole(FINE, batch=4)),
    "an unknown operation": packed(whole(node("exec", [H], BATCH, 4))),
    "an operation that is no name": packed(whole(node(["mm"], [H, W], BATCH, 4))),
    "an operation of torch that is not there": packed(whole(node("aten.evil.default", [H], BATCH, 4))),
    "a name among the arguments": packed(whole(node("add", [H, "x"], BATCH, 4))),
    "itself": packed(whole(node("add", [H, {"Ref": [3]}], BATCH, 4))),
    "a node before the first": packed(whole(node("add", [H, {"Ref": [-1]}], BATCH, 4))),
    "a weight that is larger": packed(whole(FINE, closed=(4, 9))),
    "a shape that is larger": packed(whole(node("mm", [H, W], BATCH, 5))),
    "a size below zero": packed(whole(FINE, closed=(4, -4))),
    "sizes whose product is too large": packed(whole(node("expand", [H], 1 << 30, 1 << 30, BATCH, 4))),
    "too large beside a zero": packed(whole(FINE, closed=(0, 1 << 39, 1 << 39))),
    "a number of too many digits": packed(json.dumps(whole(FINE)).replace("7919", "9" * 5000, 1)),
    "a dtype that is none": packed(whole(node("mm", [H, W], BATCH, 4, dtype={"dtype": "load"}))),
    "another dtype": packed(whole(node("mm", [H, W], BATCH, 4, dtype=DOUBLE))),
    "a state of another dtype": packed(whole(node("cast", [H, DOUBLE], BATCH, 4, dtype=DOUBLE))),
    "a slice from the end": packed(whole(node("slice", [H, 1, -4, 4, 1], BATCH, 4))),
    "a slice past the end": packed(whole(node("slice", [H, 1, 0, 99, 1], BATCH, 4))),
    "a slice of the axis -1": packed(whole(node("slice", [H, -1, 0, 4, 1], BATCH, 4))),
    "an axis from the end": packed(whole(node("flip", [H, [-1]], BATCH, 4))),
    "a sum over nothing": packed(whole(node("sum", [H, []], 1, 1))),
    "two axes of one": packed(whole(node("permute", [H, [0, 0]], BATCH, 4))),
    "numbers that are too few": packed(whole(node("constant", [1.0], BATCH, 4))),
    "rows that are closed over": packed(whole(node("add", [H, W], BATCH, 4), closed=(BATCH, 4))),
    "rows that are not first": packed(whole(node("mm", [W, H], 4, BATCH), first=(4, BATCH))),
    "no state": packed(whole(FINE, lists=[[0, 1], [], [2], [3], [], [], [], [], [], []])),
    "an input twice": packed(whole(FINE, lists=[[0, 1], [1], [2], [3], [3], [], [], [], [], []])),
    "a result that is not there": packed(whole(FINE, lists=[[0], [1], [2], [9], [3], [], [], [], [], []])),
    "true for a place": packed(whole(FINE, lists=[[0], [True], [2], [3], [3], [], [], [], [], []])),
    "a state that is not returned": packed(whole(FINE, lists=[[0], [1], [2], [3], [], [], [], [], [], []])),
    "wanted gradients of others": packed([*whole(FINE)[:2], [True], ""]),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_that_is_not_what_it_says_is_refused(name):
    for load in (read, ready):
        with pytest.raises(InputError, match="a step in a saved program"):
            load(HOSTILE[name])


def test_rows_that_are_mixed_are_refused():
    turned, squared = node("permute", [H, [1, 0]], 4, BATCH), node("mm", [{"Ref": [3]}, H], 4, 4)
    mixing = whole(turned, squared, node("mm", [H, {"Ref": [4]}], BATCH, 4))
    with pytest.raises(UnsupportedStep, match="rows"):
        ready(packed(mixing))


def test_a_text_that_was_cut_off():
    graph, _ = graph_of(GRU(3, 4))
    with pytest.raises(InputError, match="a step in a saved program"):
        read(write(graph, None)[:-8])


class Strange(Cell):
    """Takes the function that it applies to its weight."""

    def __init__(self, function):
        super().__init__()
        self.input_size, self.hidden_size, self.function = 3, 4, function
        self.weight = nn.Parameter(torch.randn(4, 3))

    def step(self, x, h):
        h = torch.tanh(x @ self.function(self.weight).T + h)
        return h, h


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda w: w.sort(0)[0], "step uses "),
        (lambda w: w + torch.rand(4, 3), "draws random numbers"),
    ],
)
def test_what_has_no_text_is_refused_where_it_is_written(function, says):
    graph, _ = graph_of(Strange(function))
    with pytest.raises(UnsupportedStep, match=says):
        write(graph, None)


def test_a_graph_that_could_not_be_read_is_not_written(monkeypatch):
    graph, _ = graph_of(GRU(3, 4))
    monkeypatch.setattr("unrolled.compiler.portable._LARGEST", 1000)
    with pytest.raises(UnsupportedStep, match="give a table of many numbers as a tensor"):
        write(graph, None)


def called(kept=True):
    """A GRU's call with gradients: the tensors, what it made, and the rest of its arguments."""
    torch.manual_seed(0)
    graph, closed = graph_of(GRU(3, 4))
    wanted = (True,) * (2 + len(closed))
    x, h = torch.randn(5, 2, 3), torch.randn(2, 4)
    tensors = [leaf.detach() for leaf in (x, h, h.clone(), *closed)]
    way = (None, None, 5, False, 0, kept, write(graph, wanted))
    return tensors, sequence(tensors, *way), way


@pytest.mark.parametrize("kept", [False, True])
def test_the_way_back_is_that_of_the_reference(kept):
    tensors, made, way = called(kept)
    cell = GRU(3, 4)
    _, closed = graph_of(cell)
    with torch.no_grad():
        for mine, given in zip(closed, tensors[3:], strict=True):
            mine.copy_(given)
    x, h = (leaf.clone().requires_grad_() for leaf in tensors[:2])
    outputs, last = run_reference(cell.step, settle(x, h))
    expected = torch.autograd.grad(outputs.sin().sum() + last.cos().sum(), [x, h, *closed])
    grads = [made[0].cos(), -made[1].sin()]
    needed = [True, True, False, *[True] * len(closed)]
    found = torch.ops.unrolled.sequence_backward(grads, tensors, made[2:], needed, *way)
    torch.testing.assert_close(found, list(expected))


def test_tensors_that_a_kernel_was_not_made_for_are_refused():
    tensors, made, way = called()
    bad = [
        [*tensors[:-1], tensors[-1][:-1]],
        [tensors[0].double(), *tensors[1:]],
        [tensors[0], torch.tensor(0.0), *tensors[2:]],
        tensors[:-1],
    ]
    for given in bad:
        with pytest.raises(InputError, match=r"unrolled::sequence: expected"):
            sequence(given, *way)
    with pytest.raises(InputError, match=r"unrolled::sequence: expected"):
        sequence(tensors, torch.ones(4, 2, dtype=torch.bool), *way[1:])
    grads, kept, needed = [torch.ones(5, 2, 4), torch.ones(2, 4)], made[2:], [True] * len(tensors)
    changed = [
        ([grads[0][:1], grads[1]], kept, needed),
        ([grads[0], grads[1][:1]], kept, needed),
        ([grads[0].bfloat16(), grads[1]], kept, needed),
        (grads[:1], kept, needed),
        (grads, kept, needed[:-1]),
        (grads, [kept[0][:-1], *kept[1:]], needed),
        (grads, kept[1:], needed),
        (grads, [*kept[:-1], torch.tensor(0)], needed),
        (grads, [*kept[:-1], torch.tensor(1 << 40)], needed),
    ]
    for some, leaves, flags in changed:
        with pytest.raises(InputError, match="unrolled::sequence_backward: expected"):
            torch.ops.unrolled.sequence_backward(some, tensors, leaves, flags, *way)


def test_a_gradient_of_a_gradient_is_an_error_and_not_zero():
    tensors, _, way = called()
    tensors = [leaf.requires_grad_() for leaf in tensors]
    outputs = sequence(tensors, *way)[0]
    first = torch.autograd.grad(outputs.sum(), tensors[0], create_graph=True)[0]  # of what needs no gradient itself
    with pytest.raises(UnsupportedStep, match="no gradient of a gradient"):
        torch.autograd.grad(first.square().sum(), tensors, allow_unused=True)


def test_a_gradient_that_was_not_wanted_where_the_text_was_written_is_an_error_and_not_zero():
    tensors, _, way = called(kept=False)
    graph, _ = read(way[-1])
    for wanted in (None, (True, True, *[False] * len(graph.closed))):
        given = [*tensors[:-1], tensors[-1].clone().requires_grad_()]
        outputs = sequence(given, *way[:-1], write(graph, wanted))[0]
        with pytest.raises(UnsupportedStep, match="Export it where that tensor needs one"):
            outputs.sum().backward()
        with torch.no_grad():
            torch.testing.assert_close(sequence(given, *way[:-1], write(graph, wanted))[0], outputs)
