"""LSTM, GRU and the plain network against Keras's layers with the same weights: values, states and every gradient."""

from functools import partial

import pytest
import torch

from unrolled import Recurrent
from unrolled.cells import GRU, LSTM, RNN
from unrolled.core import leaves

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-11)
T, B, I, H = 6, 3, 4, 5  # noqa: E741
LSTM_ORDER, GRU_ORDER = [0, 1, 2, 3], [1, 0, 2]  # of Keras's gates: i f c o are ours; z r h are r z n

CASES = {
    "LSTM": ("LSTM", {}, LSTM, {}, LSTM_ORDER),
    "LSTM_functions": (
        "LSTM",
        {"activation": "relu", "recurrent_activation": "softplus"},
        LSTM,
        {"nonlinearity": "relu", "gate_nonlinearity": "softplus"},
        LSTM_ORDER,
    ),
    "LSTM_no_bias": ("LSTM", {"use_bias": False}, LSTM, {"bias": False}, LSTM_ORDER),
    "GRU_after": ("GRU", {"reset_after": True}, GRU, {}, GRU_ORDER),
    "GRU_before": ("GRU", {"reset_after": False}, GRU, {"reset_after": False}, GRU_ORDER),
    "SimpleRNN": ("SimpleRNN", {}, RNN, {}, [0]),
}


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def turned(weight, order):
    """Keras's (n, gates H) as ours (gates H, n), with the gates in our order."""
    blocks = weight.chunk(len(order), -1)
    return torch.cat([blocks[k] for k in order], -1).T


def ours(cell, weights, order):
    """For each of the cell's parameters what it is in Keras's: values, or gradients."""
    kernel, recurrent, *bias = weights
    yield cell.weight_ih, turned(kernel, order)
    yield cell.weight_hh, turned(recurrent, order)
    if bias:
        both = bias[0].reshape(-1, len(order) * H)  # of the input and of the state, or their sum
        yield cell.bias_ih, turned(both[:1], order)[:, 0]
        yield cell.bias_hh, turned(both[-1:], order)[:, 0]


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "torch":
        pytest.skip("this process has Keras with another backend")
    torch.manual_seed(31)
    name, their_options, kind, options, order = CASES[case]
    if name != "SimpleRNN":
        their_options = {**their_options, "use_cudnn": False}  # its own equations, not those of torch.nn
    monkeypatch.setattr("keras.src.ops.matmul", product)
    layer = getattr(keras.layers, name)(H, return_sequences=True, return_state=True, dtype="float64", **their_options)
    layer.build((B, T, I))
    compare(layer, kind(I, H, **options).double(), order)


def product(a, b):
    """Keras's product of two float64 matrices is one in float32: this one is what it says."""
    return torch.matmul(a, getattr(b, "value", b))


def compare(layer, cell, order):
    weights = [variable.value for variable in layer.trainable_variables]
    with torch.no_grad():
        for weight in weights:
            weight.copy_(0.7 * rand(*weight.shape))
        for mine, theirs in ours(cell, weights, order):
            mine.copy_(theirs)
        if len(weights) == 3 and weights[2].dim() == 1:
            cell.bias_hh.zero_()

    x, states = rand(T, B, I).requires_grad_(), [rand(B, H).requires_grad_() for _ in leaves(cell.initial_state(B))]
    outputs, end = Recurrent(cell)(x, tuple(states) if isinstance(cell, LSTM) else states[0])
    expected, *their_end = layer(x.transpose(0, 1), initial_state=states)
    close(outputs, expected.transpose(0, 1))
    close(leaves(end), their_end)

    weighting = [rand(T, B, H), *(rand(B, H) for _ in states)]
    loss = sum((w * v).sum() for w, v in zip(weighting, [outputs, *leaves(end)], strict=True))
    their_loss = sum((w * v).sum() for w, v in zip(weighting, [expected.transpose(0, 1), *their_end], strict=True))
    mine = torch.autograd.grad(loss, [x, *states, *cell.parameters()])
    theirs = torch.autograd.grad(their_loss, [x, *states, *weights])
    given = 1 + len(states)
    close(mine[:given], theirs[:given])
    by_parameter = dict(zip(cell.parameters(), mine[given:], strict=True))
    pairs = list(ours(cell, theirs[given:], order))
    assert len(pairs) == len(by_parameter)
    for parameter, gradient in pairs:
        close(by_parameter[parameter], gradient)
