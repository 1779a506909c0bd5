"""What is refused, as which built-in error, and in which words: what was expected, what came, what to do."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from unrolled import Bidirectional, Cell, InputError, InputTypeError, Recurrent, Stack, UnrolledError, unroll
from unrolled.cells import GRU, LSTM, Elman

T, B, I, H = 5, 3, 2, 4  # noqa: E741
X, S = torch.zeros(T, B, I), torch.zeros(B, H)
MASK = torch.ones(T, B, dtype=torch.bool)


def step(x, s):
    return s, s


class Returns(Cell):
    """A cell with any step."""

    hidden_size = H

    def __init__(self, function):
        super().__init__()
        self.step = function


def run(x=X, state=S, step=step, **kwargs):
    return lambda: unroll(step, x, state, **kwargs)


def layer(*args, make=None, batch_first=False, **kwargs):
    return lambda: Recurrent((make or (lambda: GRU(I, H)))(), batch_first=batch_first)(*args, **kwargs)


def refused(call, builtin, message):
    """The call raises the library's error, which is also the built-in, with exactly this message."""
    with pytest.raises(builtin) as caught:
        call()
    assert isinstance(caught.value, UnrolledError)
    assert type(caught.value) in (InputError, InputTypeError)
    assert str(caught.value) == message


VALUES = {
    # x
    "x without a batch": (
        run(torch.zeros(T)),
        "x: expected (T, B, ...) with B = 3 as in state, got (5,) as (T, B, ...).",
    ),
    "x of a scalar": (
        run(torch.tensor(1.0)),
        "x: expected (T, B, ...) with B = 3 as in state, got () as (T, B, ...).",
    ),
    "x of another B": (
        run(torch.zeros(T, 7, I)),
        "x: expected (T, B, ...) with B = 3 as in state, got (5, 7, 2) as (T, B, ...).",
    ),
    "state of one row is not broadcast": (
        run(state=torch.zeros(1, H)),
        "x: expected (T, B, ...) with B = 1 as in state, got (5, 3, 2) as (T, B, ...).",
    ),
    "x of one row is not broadcast": (
        run(torch.zeros(T, 1, I)),
        "x: expected (T, B, ...) with B = 3 as in state, got (5, 1, 2) as (T, B, ...).",
    ),
    "x of two lengths": (
        run((X, (torch.zeros(4, B), X))),
        "x[1][0]: expected (T, B, ...) with B = 3 as in state and T = 5 as in x[0], got (4, 3) as (T, B, ...).",
    ),
    "x of no steps": (run(torch.zeros(0, B, I)), "x: expected at least one time step, got T = 0."),
    "x of no tensors": (
        run(()),
        "x: expected at least one tensor (T, B, ...), got an empty tuple; for no input give None.",
    ),
    # state
    "state of a scalar": (
        run(state=(S, torch.tensor(1.0))),
        "state[1]: expected the batch first, (B, ...), got a scalar. Use state[1].reshape(1).",
    ),
    "state of two B": (
        run(state=(S, (torch.zeros(2, 7),))),
        "state[1][0]: expected B = 3 rows as in state[0], got 2 (shape (2, 7)).",
    ),
    "state of no tensors": (run(state=()), "state: expected at least one tensor (B, ...), got an empty tuple."),
    # steps
    "steps missing": (
        run(None),
        "steps: expected the number of steps, since there is no input x, got None.",
    ),
    "steps with x": (
        run(steps=3),
        "steps: expected None, since the input x tells the number of steps; drop one of the two.",
    ),
    "no steps": (run(None, steps=0), "steps: expected at least 1, got 0."),
    "checkpoint after no step": (run(checkpoint_every=0), "checkpoint_every: expected at least 1, got 0."),
    "negative checkpoint of a layer": (
        lambda: Recurrent(GRU(I, H), checkpoint_every=-2),
        "checkpoint_every: expected at least 1, got -2.",
    ),
    "a step backwards": (
        lambda: Recurrent(GRU(I, H), reverse=True).step(X[0]),
        "step: expected a layer that runs forward in time, got reverse=True; it needs all of x.",
    ),
    "a step in both directions": (
        lambda: Stack([(GRU(I, H), GRU(I, H))], bidirectional=True).step(X[0]),
        "step: expected layers that run forward in time, got bidirectional=True; those need all of x.",
    ),
    "features of a step": (
        lambda: Recurrent(GRU(I, H), batch_first=True).step(torch.zeros(B, 7)),
        "x: expected (B, I) with I = input_size = 2, got (3, 7).",
    ),
    "a step without a batch": (
        lambda: Recurrent(GRU(I, H)).step(torch.zeros(I)),
        "x: expected (B, I) with I = input_size = 2, got (2,).",
    ),
    "a step of a scalar": (
        lambda: Recurrent(GRU(I, H)).step(torch.tensor(1.0)),
        "x: expected the batch first, (B, ...), got a scalar.",
    ),
    "a step from nothing": (
        lambda: Recurrent(GRU(I, H)).step(None),
        "state: expected a state, since there is no input x to tell the batch size, got None.",
    ),
    "a step of a stack from another number of states": (
        lambda: Stack([GRU(I, H), GRU(H, H)]).step(X[0], (S,)),
        "state: expected a tuple with one state for each of the 2 layers, got ((3, 4),).",
    ),
    "negative truncation": (
        run(truncated_bptt_steps=-1),
        "truncated_bptt_steps: expected at least 1, got -1.",
    ),
    "truncation after no step": (
        run(truncated_bptt_steps=0),
        "truncated_bptt_steps: expected at least 1, got 0.",
    ),
    # lengths
    "lengths of another B": (run(lengths=[5, 5]), "lengths: expected shape (B,) = (3,), got (2,)."),
    "lengths of a number": (run(lengths=3), "lengths: expected shape (B,) = (3,), got ()."),
    "lengths above T": (
        run(lengths=[5, 6, 2]),
        "lengths: expected values from 0 to T = 5, got 2 to 6.",
    ),
    "lengths below 0": (
        run(lengths=torch.tensor([5, -1, 2])),
        "lengths: expected values from 0 to T = 5, got -1 to 5.",
    ),
    # mask and reset
    "mask of another shape": (
        run(mask=MASK.T),
        "mask: expected (T, B) = (5, 3), got (3, 5) as (T, B).",
    ),
    "mask of one row is not broadcast": (
        run(mask=MASK[:, :1]),
        "mask: expected (T, B) = (5, 3), got (5, 1) as (T, B).",
    ),
    "reset of one row": (
        run(reset=MASK[0]),
        "reset: expected (T, B) = (5, 3), got (3,) as (T, B).",
    ),
    "reset_state of another shape": (
        run(reset=MASK, reset_state=torch.zeros(B, 9)),
        "reset_state: expected shapes (3, 4), got (3, 9). It must have the structure and shapes of state.",
    ),
    "reset_state of one row is not broadcast": (
        run(reset=MASK, reset_state=torch.zeros(1, H)),
        "reset_state: expected shapes (3, 4), got (1, 4). It must have the structure and shapes of state.",
    ),
    "reset_state of another structure": (
        run(state=(S, S), reset=MASK, reset_state=S),
        "reset_state: expected shapes ((3, 4), (3, 4)), got (3, 4). It must have the structure and shapes of state.",
    ),
    "reset_state of a list": (
        run(state=(S,), reset=MASK, reset_state=[S]),
        "reset_state: expected shapes ((3, 4),), got list. It must have the structure and shapes of state.",
    ),
    # what the step returns
    "output without rows": (
        run(step=lambda x, s: (s.sum(), s)),
        "step: expected output with B = 3 rows, got shape ().",
    ),
    "output of other rows": (
        run(step=lambda x, s: ((s, s[:2]), s)),
        "step: expected output[1] with B = 3 rows, got shape (2, 4).",
    ),
    "state changes its shape": (
        run(step=lambda x, s: (s, torch.cat([s, x], 1))),
        "state returned by step: expected shapes (3, 4), got (3, 6). A step must keep the shapes of the state.",
    ),
    "state loses its rows": (
        run(step=lambda x, s: (s, s.mean(0, keepdim=True))),
        "state returned by step: expected shapes (3, 4), got (1, 4). A step must keep the shapes of the state.",
    ),
    "state changes its structure": (
        run(step=lambda x, s: (s, (s, s))),
        "state returned by step: expected shapes (3, 4), got ((3, 4), (3, 4)). "
        "A step must keep the shapes of the state.",
    ),
    "output and state in the wrong order": (
        run(state=(S, S), step=lambda x, s: (s, s[0])),
        "state returned by step: expected shapes ((3, 4), (3, 4)), got (3, 4). "
        "A step must keep the shapes of the state.",
    ),
    "output changes its shape": (
        run(None, torch.zeros(B, dtype=torch.int64), lambda _, n: (torch.zeros(B, 1 + int(n[0])), n + 1), steps=3),
        "output of step at t = 1: expected shapes (3, 1), got (3, 2). A step must keep the shapes of its output.",
    ),
    "output changes its structure": (
        run(None, torch.zeros(B, dtype=torch.int64), lambda _, n: ((n,) * (2 + int(n[0])), n + 1), steps=3),
        "output of step at t = 1: expected shapes ((3,), (3,)), got ((3,), (3,), (3,)). "
        "A step must keep the shapes of its output.",
    ),
    # backend
    "backend": (
        run(backend="cuda"),
        "backend: expected one of auto, reference, plan, compiled, got 'cuda'.",
    ),
    "backend None": (run(backend=None), "backend: expected one of auto, reference, plan, compiled, got None."),
    # Recurrent
    "features": (
        layer(torch.zeros(T, B, 7)),
        "x: expected (T, B, I) with I = input_size = 2, got (5, 3, 7).",
    ),
    "features, batch first": (
        layer(torch.zeros(B, T, 7), batch_first=True),
        "x: expected (B, T, I) with I = input_size = 2, got (3, 5, 7).",
    ),
    "one sequence without a batch would broadcast": (
        layer(torch.zeros(T, I)),
        "x: expected (T, B, I) with I = input_size = 2, got (5, 2).",
    ),
    "x of one dimension": (
        layer(torch.zeros(T, dtype=torch.int64)),
        "x: expected a tensor (T, B, ...), or a tuple of them, got (5,).",
    ),
    "no input and no state": (
        layer(None, steps=3),
        "state: expected a state, since there is no input x to tell the batch size, got None.",
    ),
    "state of other rows": (
        layer(X, torch.zeros(2, H), reset=MASK),
        "x: expected (T, B, ...) with B = 2 as in state, got (5, 3, 2) as (T, B, ...).",
    ),
    "state of another size": (
        layer(X, torch.zeros(B, 9), reset=MASK),
        "reset_state: expected shapes (3, 9), got (3, 4). It must have the structure and shapes of state.",
    ),
    "x of one dimension, batch first": (
        layer(torch.zeros(T), batch_first=True),
        "x: expected (B, T, ...) with batch_first=True, got (5,).",
    ),
    "mask in the other order, batch first": (
        layer(X.transpose(0, 1), mask=MASK, batch_first=True),
        "mask: expected (B, T) = (3, 5) with batch_first=True, as in x, got (5, 3).",
    ),
    "reset in the other order, batch first": (
        layer(X.transpose(0, 1), reset=MASK, batch_first=True),
        "reset: expected (B, T) = (3, 5) with batch_first=True, as in x, got (5, 3).",
    ),
    "mask of one dimension, batch first": (
        layer(X.transpose(0, 1), mask=MASK[0], batch_first=True),
        "mask: expected (B, T, ...) with batch_first=True, got (3,).",
    ),
    # Cell
    "cell of unknown size": (
        lambda: Cell().initial_state(3),
        "Cell: the size of its state is unknown. Set self.hidden_size or self.state_size, or override initial_state.",
    ),
    "cell called without state": (
        lambda: GRU(I, H)((X, X)),
        "state: expected a state, got None (it can be left out only where x is a tensor).",
    ),
    # Bidirectional
    "merge": (
        lambda: Bidirectional(GRU(I, H), GRU(I, H), merge="mean"),
        "merge: expected one of concat, sum, got 'mean'.",
    ),
    "the same cell in both directions": (
        lambda: Bidirectional(*[GRU(I, H)] * 2),
        "backward_cell: expected a cell of its own, got the forward cell once more.",
    ),
    "a sum of two sizes is not broadcast": (
        lambda: Bidirectional(GRU(I, 1), GRU(I, 4), merge="sum")(X),
        "merge: expected outputs of one shape to sum, got (5, 3, 1) forward and (5, 3, 4) backward. "
        "Use merge='concat'.",
    ),
    "one state for two directions": (
        lambda: Bidirectional(GRU(I, H), GRU(I, H))(X, S),
        "state: expected a pair (forward, backward), or None, got (3, 4).",
    ),
    # Stack
    "dropout": (
        lambda: Stack([GRU(I, H)], dropout=1.5),
        "dropout: expected a probability from 0 to 1, got 1.5.",
    ),
    "dropout None": (
        lambda: Stack([GRU(I, H)], dropout=None),
        "dropout: expected a probability from 0 to 1, got None.",
    ),
    "dropout NaN": (
        lambda: Stack([GRU(I, H)], dropout=float("nan")),
        "dropout: expected a probability from 0 to 1, got nan.",
    ),
    "no cells": (lambda: Stack([]), "cells: expected at least one cell, got an empty list."),
    "num_layers of a list": (
        lambda: Stack([GRU(I, H)], num_layers=2),
        "num_layers: expected 1, one a cell of the list, got 2.",
    ),
    "pairs": (
        lambda: Stack([GRU(I, H)], bidirectional=True),
        "cells: expected pairs (forward cell, backward cell) with bidirectional=True, got GRU.",
    ),
    "a factory without sizes": (
        lambda: Stack(lambda size: GRU(size, H)),
        "input_size, num_layers: expected whole numbers of at least 1 with a factory of cells, got None and None.",
    ),
    "a factory with a fraction of a layer": (
        lambda: Stack(lambda size: GRU(size, H), 4, 1.5),
        "input_size, num_layers: expected whole numbers of at least 1 with a factory of cells, got 4 and 1.5.",
    ),
    "merge in a stack": (
        lambda: Stack(lambda size: GRU(size, H), 4, 1, bidirectional=True, merge="max"),
        "merge: expected one of concat, sum, got 'max'.",
    ),
    "state of another number of layers": (
        lambda: Stack([GRU(I, H), GRU(H, H)])(X, (S,)),
        "state: expected a tuple with one state for each of the 2 layers, got ((3, 4),).",
    ),
    "x of a stack": (lambda: Stack([GRU(I, H)])(torch.zeros(T)), "x: expected (T, B, ...), got (5,)."),
    "x of a stack, batch first": (
        lambda: Stack([GRU(I, H)], batch_first=True)(torch.zeros(T)),
        "x: expected (B, T, ...), got (5,).",
    ),
    "mask of a stack, batch first": (
        lambda: Stack([GRU(I, H)], batch_first=True)(X.transpose(0, 1), mask=MASK),
        "mask: expected (B, T) = (3, 5) with batch_first=True, as in x, got (5, 3).",
    ),
}

TYPES = {
    "x of a list": (run([X]), "x: expected a tensor or a (nested) tuple of tensors, got list."),
    "x of numpy": (run(X.numpy()), "x: expected a tensor or a (nested) tuple of tensors, got ndarray."),
    "state None": (run(state=None), "state: expected a tensor or a (nested) tuple of tensors, got NoneType."),
    "state of a list": (
        run(state=(S, [S])),
        "state[1]: expected a tensor or a (nested) tuple of tensors, got list.",
    ),
    "named state": (
        run(state=LSTM(I, H).initial_state(B)._replace(c=0.0)),
        "state.c: expected a tensor or a (nested) tuple of tensors, got float.",
    ),
    "steps of a fraction": (run(None, steps=2.5), "steps: expected a whole number, got 2.5."),
    "truncation of a word": (
        run(truncated_bptt_steps="2"),
        "truncated_bptt_steps: expected a whole number, got '2'.",
    ),
    "checkpoint of a fraction": (run(checkpoint_every=2.0), "checkpoint_every: expected a whole number, got 2.0."),
    "checkpoint True": (run(checkpoint_every=True), "checkpoint_every: expected a whole number, got True."),
    "x of a step": (
        lambda: Recurrent(GRU(I, H)).step([X[0]]),
        "x: expected a tensor or a (nested) tuple of tensors, got list.",
    ),
    "x of a step of a stack": (lambda: Stack([GRU(I, H)]).step((X, X)), "x: expected a tensor, got tuple."),
    "all states of a step that returns one tensor": (
        lambda: Recurrent(Returns(lambda x, s: s), return_all_states=True)(X),
        "step: expected it to return (output, state), got Tensor.",
    ),
    "all states of a step that returns a list": (
        lambda: Recurrent(Returns(lambda x, s: (s, [s])), return_all_states=True)(X),
        "state returned by step: expected a tensor or a (nested) tuple of tensors, got list.",
    ),
    "truncation True": (
        run(truncated_bptt_steps=True),
        "truncated_bptt_steps: expected a whole number, got True.",
    ),
    "lengths of fractions": (run(lengths=[5.0, 2, 3]), "lengths: expected whole numbers, got torch.float32."),
    "lengths of bools": (run(lengths=MASK[0]), "lengths: expected whole numbers, got torch.bool."),
    "lengths with None": (
        run(lengths=[5, None, 3]),
        "lengths: expected a tensor or list (B,) of whole numbers, got [5, None, 3].",
    ),
    "lengths of words": (
        run(lengths="all"),
        "lengths: expected a tensor or list (B,) of whole numbers, got 'all'.",
    ),
    "mask of numbers": (
        run(mask=MASK.float()),
        "mask: expected dtype torch.bool, got torch.float32. Use mask.bool().",
    ),
    "mask of a list": (run(mask=[[True]]), "mask: expected a bool tensor (T, B), got list."),
    "reset of numbers": (
        run(reset=MASK.long()),
        "reset: expected dtype torch.bool, got torch.int64. Use reset.bool().",
    ),
    "reset True": (run(reset=True), "reset: expected a bool tensor (T, B), got bool."),
    "reset_state of another dtype": (
        run(state=(S, S), reset=MASK, reset_state=(S, S.double())),
        "reset_state[1]: expected dtype torch.float32, got torch.float64. It must have the dtypes of state.",
    ),
    "step": (run(step=3), "step: expected a function (x, state) -> (output, state), got int."),
    "one tensor returned": (
        run(step=lambda x, s: s),
        "step: expected it to return (output, state), got Tensor.",
    ),
    "three returned": (
        run(step=lambda x, s: (s, s, s)),
        "step: expected it to return (output, state), got a tuple of 3.",
    ),
    "a list returned": (
        run(step=lambda x, s: [s, s]),
        "step: expected it to return (output, state), got list.",
    ),
    "nothing returned": (
        run(step=lambda x, s: None),
        "step: expected it to return (output, state), got NoneType.",
    ),
    "output None": (
        run(step=lambda x, s: (None, s)),
        "output: expected a tensor or a (nested) tuple of tensors, got NoneType.",
    ),
    "state of a number returned": (
        run(step=lambda x, s: (s, 0.0)),
        "state returned by step: expected a tensor or a (nested) tuple of tensors, got float.",
    ),
    "state changes its dtype": (
        run(state=(S, S), step=lambda x, s: (s[0], (s[0], s[1].double()))),
        "state returned by step[1]: expected dtype torch.float32, got torch.float64. "
        "Start from a state of the dtype that the step computes in.",
    ),
    "output changes its dtype": (
        run(step=lambda x, s: (s if s.any() else s.double(), s + 1)),
        "output of step at t = 1: expected dtype torch.float64, got torch.float32. "
        "A step must keep the dtypes of its output.",
    ),
    "x of a list in a layer": (
        layer([X]),
        "x: expected a tensor or a (nested) tuple of tensors, got list.",
    ),
    "x of numpy, batch first": (
        layer(X.numpy(), batch_first=True),
        "x: expected a tensor or a (nested) tuple of tensors, got ndarray.",
    ),
    "mask of a list, batch first": (
        layer(X.transpose(0, 1), mask=[[True]], batch_first=True),
        "mask: expected a bool tensor (T, B), got list.",
    ),
    "state of a list with a reset": (
        layer(None, [S], steps=3, reset=MASK[:3]),
        "state: expected a tensor or a (nested) tuple of tensors, got list.",
    ),
    "cell of a function": (
        lambda: Recurrent(step),
        "cell: expected a Cell, with step and initial_state, got function. For a plain function use unrolled.unroll.",
    ),
    "cell of a class": (
        lambda: Recurrent(GRU),
        "cell: expected a Cell, with step and initial_state, got type. For a plain function use unrolled.unroll.",
    ),
    "cell of torch": (
        lambda: Recurrent(nn.GRUCell(2, 3)),
        "cell: expected a Cell, with step and initial_state, got GRUCell. For a plain function use unrolled.unroll.",
    ),
    "cells of a module": (
        lambda: Stack(GRU(I, H), 2, 1),
        "cells: expected a factory (input_size) -> cell or a list, got GRU.",
    ),
    "x of a stack": (lambda: Stack([GRU(I, H)])((X, X)), "x: expected a tensor, got tuple."),
}


@pytest.mark.parametrize("case", VALUES)
def test_wrong_values(case):
    call, message = VALUES[case]
    refused(call, ValueError, message)


@pytest.mark.parametrize("case", TYPES)
def test_wrong_types(case):
    call, message = TYPES[case]
    refused(call, TypeError, message)


class TwoOutputs(Cell):
    hidden_size = H

    def step(self, x, h):
        return (h, h), h


def test_outputs_that_cannot_be_merged_or_fed_to_the_next_layer():
    refused(
        lambda: Bidirectional(TwoOutputs(), TwoOutputs())(X),
        TypeError,
        "forward_cell: expected a cell whose output is one tensor, to concat it with the backward cell's, got a tuple.",
    )
    refused(
        lambda: Stack(lambda size: TwoOutputs(), I, 2),
        TypeError,
        "cells: expected cells whose output is one tensor, to feed the next layer, got a tuple.",
    )


def test_sizes_of_a_state_that_are_not_sizes():
    class Odd(Cell):
        state_size = (3, "4")

    refused(
        lambda: Odd().initial_state(2),
        TypeError,
        "Odd.state_size: expected an int, a torch.Size or a tuple of these, got str.",
    )


def test_a_cell_without_a_step():
    class Empty(Cell):
        hidden_size = 3

    with pytest.raises(NotImplementedError, match=re.escape("Empty must define step(x, state)")):
        Recurrent(Empty())(X)


# ---------------------------------------------------------------- backends


@pytest.mark.parametrize("backend", ["plan", "compiled"])
def test_a_named_backend_runs_or_raises(backend):
    def sorted_rows(x, h):
        return h, h[torch.randperm(h.shape[0])]

    with pytest.raises(RuntimeError, match=r"^step ") as caught:
        unroll(sorted_rows, X, torch.zeros(B, H), backend=backend)
    assert isinstance(caught.value, UnrolledError)


def test_the_backend_from_the_environment(monkeypatch):
    recurrent = Recurrent(GRU(I, H))
    for call in (run(), lambda: recurrent(X), lambda: Recurrent(GRU(I, H))):
        monkeypatch.setenv("UNROLLED_BACKEND", "fast")
        refused(call, ValueError, "UNROLLED_BACKEND: expected one of auto, reference, plan, compiled, got 'fast'.")
        for fine in ("", "auto", "reference", "plan"):
            monkeypatch.setenv("UNROLLED_BACKEND", fine)
            call()
    monkeypatch.setenv("UNROLLED_BACKEND", "fast")
    run(backend="reference")()  # what is named in the call is not replaced


# ---------------------------------------------------------------- what is not refused


def test_whole_numbers_of_numpy_are_whole_numbers():
    outputs, _ = unroll(step, None, S, steps=np.int64(2), truncated_bptt_steps=np.int32(1))
    assert outputs.shape == (2, B, H)


def test_autocast_never_makes_a_float_of_a_state_an_int():
    count = torch.zeros(B, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(InputTypeError, match=r"state returned by step\[1\]"):
        unroll(lambda x, s: (s[0], (s[0], s[1] + 0.5)), X, (S, count))


def test_a_layer_that_says_its_input_size_takes_ids_and_trees():
    class Embedding(Elman):
        def step(self, x, h):
            return super().step(torch.nn.functional.one_hot(x, I).float(), h)

    layer = Recurrent(Embedding(I, H), backend="reference")
    assert layer(torch.zeros(T, B, dtype=torch.int64))[0].shape == (T, B, H)
