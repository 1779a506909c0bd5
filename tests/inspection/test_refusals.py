"""What cannot be explained, and what is said then."""

import pytest
import torch
from torch import nn

import unrolled
from unrolled import cells, explain
from unrolled.core import Cell, InputError, InputTypeError, UnsupportedStep

I, H = 3, 5  # noqa: E741 (the field's own letters)


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
        (mixes, "graph", UnsupportedStep, r"mixes the rows.*test_refusals.py:\d+"),
        (sums_up, "plan", UnsupportedStep, r"no kernel has .*cumsum.*test_refusals.py:\d+"),
        (sums_up, "source", UnsupportedStep, "no kernel has"),
        (branches, "graph", UnsupportedStep, r"test_refusals.py:\d+"),
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
    assert any("cumsum(state, -1)" in operation.text for operation in facts.step.operations)


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
