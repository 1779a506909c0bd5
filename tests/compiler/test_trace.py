"""A trace: whose line an operation is of, what a failing one says, and that nothing else is said."""

import logging
import runpy
import warnings

import pytest
import torch

from unrolled import UnsupportedStep
from unrolled.compiler.fingerprint import read
from unrolled.compiler.trace import trace
from unrolled.core import InputError

B = 4


def traced(step, x=None, state=None):
    x = torch.randn(5, B, 3) if x is None else x
    state = torch.zeros(B, 3) if state is None else state
    found = read(step)
    return trace(step, x, state, found.tensors, found.names)


def failure(step):
    with pytest.raises(UnsupportedStep) as caught:
        traced(step)
    assert caught.value.__cause__ is not None
    return str(caught.value)


HELPERS = """import torch
def squash(a):
    def inner(b):
        return torch.tanh(b)
    return inner(a) * 2
def broken(a):
    return (lambda b: b.exp() @ b)(a)
def divides(a):
    a = a + 1
    return a * (1 / len([]))
"""
STEP = """import torch
def make(helpers, name):
    def step(x, h):
        h = (
            x +
            torch.sigmoid(h)
        )
        h = getattr(helpers, name)(h)
        return h, h
    return step
"""


@pytest.fixture
def of_files(tmp_path):
    """A step that lies in one file and calls a function of another, by the name of that function."""
    (tmp_path / "helpers.py").write_text(HELPERS)
    (tmp_path / "step.py").write_text(STEP)

    class Helpers:
        pass

    for name, value in runpy.run_path(str(tmp_path / "helpers.py")).items():
        if callable(value):
            setattr(Helpers, name, staticmethod(value))
    make = runpy.run_path(str(tmp_path / "step.py"))["make"]
    return lambda name: make(Helpers, name)


def test_an_operation_and_its_derivative_carry_the_line_of_the_innermost_function_of_the_user(of_files, tmp_path):
    nodes = traced(of_files("squash")).graph.nodes
    places = {node.op: node.where for node in nodes if node.op in ("sigmoid", "tanh")}
    assert places == {"sigmoid": f"{tmp_path}/step.py:6", "tanh": f"{tmp_path}/helpers.py:4"}
    adds = {node.where for node in nodes if node.op == "add"} - {""}
    assert f"{tmp_path}/step.py:5" in adds
    assert adds <= {f"{tmp_path}/step.py:5", f"{tmp_path}/helpers.py:5"}  # older versions place sums of gradients too
    assert {node.where for node in nodes if node.op == "mul" and 2 in node.args} == {f"{tmp_path}/helpers.py:5"}
    squares = {node.where for node in nodes if node.op == "sub" and node.args[0] == 1}  # 1 - y², 1 - y
    assert squares == {f"{tmp_path}/helpers.py:4", f"{tmp_path}/step.py:6"}
    assert {node.at for node in nodes if node.op == "input"} == {""}
    assert {node.at for node in nodes if node.op == "tanh"} == {f" at {tmp_path}/helpers.py:4"}


def test_a_failing_operation_is_named_with_its_line(of_files, tmp_path):
    assert failure(of_files("broken")).startswith(f"step cannot be traced at {tmp_path}/helpers.py:7: RuntimeError: ")
    message = failure(of_files("divides"))
    assert message == f"step cannot be traced at {tmp_path}/helpers.py:10: ZeroDivisionError: division by zero"


class Failing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        return 2 * a

    @staticmethod
    def backward(ctx, grad):
        raise ValueError("no derivative here")


class Branching(Failing):
    @staticmethod
    def backward(ctx, grad):
        return grad if grad.sum() > 0 else -grad


@pytest.mark.parametrize("function", [Failing, Branching])
def test_only_the_error_speaks_of_a_failing_derivative(function, capfd, caplog):
    def step(x, h):
        h = torch.tanh(x + function.apply(h))
        return h, h

    line = function.backward.__code__.co_firstlineno + 2
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert failure(step).startswith(f"step cannot be traced at {__file__}:{line}: ")
    assert not seen
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert capfd.readouterr() == ("", "")


def test_only_the_error_speaks_of_sizes_that_do_not_fit(capfd, caplog):
    filters = list(logging.getLogger("torch._subclasses.fake_tensor").filters)
    assert "RuntimeError" in failure(lambda x, h: (h, h + x[:, :2]))
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("torch._subclasses.fake_tensor").filters == filters


def test_a_warning_of_the_step_itself_is_heard():
    def step(x, h):
        warnings.warn("old units", stacklevel=1)
        return h, h + x

    with pytest.warns(UserWarning, match="old units"):
        traced(step)


PER_ROW = {
    "add": lambda w: lambda x, h: (h, torch.tanh(h + w)),
    "where": lambda w: lambda x, h: (h, torch.where(w > 0, x, h)),
    "cat": lambda w: lambda x, h: (torch.cat([h, w], 1), h),
    "einsum": lambda w: lambda x, h: (h, torch.einsum("bi,bj->bj", h, w)),
    "bmm": lambda w: lambda x, h: (h, torch.bmm(h[:, None], w[:, :, None])[:, 0] + x),
    "the output": lambda w: lambda x, h: (w, h),
    "the state": lambda w: lambda x, h: (h, w),
}


@pytest.mark.parametrize("name", PER_ROW)
def test_a_closed_over_tensor_with_a_value_for_each_row_is_named(name):
    message = failure(PER_ROW[name](torch.randn(B, 3)))
    assert "(A trace has 7919 rows in place of B = 4.)" in message
    assert "sizes of features only, got closure.w of shape (4, 3), whose first size is B" in message
    assert message.endswith(
        "give it as part of x (repeated for each step) or of the state, or use backend='reference'."
    )


@pytest.mark.parametrize(
    "step",
    [
        lambda x, h: (h, h + torch.ones(4, 3)),
        lambda x, h: (h, h.reshape(4, 3) + x),
        lambda x, h: (torch.ones(4, 3), h),
    ],
    ids=["made", "reshaped", "returned"],
)
def test_a_literal_number_of_rows_is_told_from_it(step):
    message = failure(step)
    assert "closes over" not in message
    assert message.endswith(
        "Take the number of rows from x or the state, as in h.shape[0], or use backend='reference'."
    )


def test_a_step_that_returns_what_no_step_may_is_told_so():
    with pytest.raises(InputError, match="A step must keep the shapes of the state"):
        traced(lambda x, h: (h, torch.cat([h, x], 1)))


def test_arguments_and_gradients_stand_where_they_belong():
    w, unused = torch.randn(3, 3, requires_grad=True), [torch.randn(2, requires_grad=True)]
    x = (torch.randn(5, B, 3), torch.zeros(5, B, dtype=torch.int64))
    state = (torch.zeros(B, 3), torch.zeros(B, dtype=torch.int64), torch.zeros(B, 2))

    def step(x, state):
        h, count, still = state
        h = torch.tanh(x[0] + h @ w) if len(unused) else h
        return h, (h, count + x[1], still)

    found = traced(step, x, state)
    graph = found.graph
    (closed,) = found.closed
    assert read(step).tensors[closed] is w
    shapes = [[graph.nodes[index].shape[1:] for index in part] for part in (graph.x, graph.state, graph.closed)]
    assert shapes == [[(3,), ()], [(3,), (), (2,)], [(3,)]]
    assert [len(part) for part in (graph.output, graph.new_state, graph.d_output, graph.d_new_state)] == [1, 3, 1, 3]
    assert [index is None for index in graph.d_new_state] == [False, True, False]
    assert [index is None for index in (*graph.d_x, *graph.d_state)] == [False, True, False, True, False]
    arguments = (*graph.x, *graph.state, *graph.closed)
    for argument, gradient in zip(arguments, (*graph.d_x, *graph.d_state, *graph.d_closed), strict=True):
        if gradient is not None:
            assert graph.nodes[gradient].shape == graph.nodes[argument].shape
    assert graph.sequence_axis(graph.state[0]) == 0
    with pytest.raises(AssertionError, match=r"input: expected one axis of 7919 rows, got shape \(3, 3\)"):
        graph.sequence_axis(graph.closed[0])
