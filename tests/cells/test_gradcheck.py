"""Analytic against numerical derivatives, in float64: every cell through Recurrent, and unroll's closure."""

import pytest
import torch
from torch.func import functional_call

from unrolled import Cell, Recurrent, cells, unroll
from unrolled.cells import GRU, LSTM, RNN, Elman, GeneralRNN, Jordan, OutputFeedback
from unrolled.core import leaves

T, B = 4, 3
LENGTHS = [4, 2, 3]
RESET = torch.tensor([[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.bool)

MAKE = {
    "Elman": lambda: Elman(2, 3, 2, output_nonlinearity="softmax"),
    "GeneralRNN": lambda: GeneralRNN(2, 3, 2, nonlinearity="sin", output_nonlinearity="sigmoid"),
    "GRU": lambda: GRU(2, 3),
    "Jordan": lambda: Jordan(2, 3, 2),
    "LSTM": lambda: LSTM(2, 3),
    "OutputFeedback": lambda: OutputFeedback(2, 3),
    "RNN": lambda: RNN(2, 3),
}


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_every_cell_is_checked():
    classes = {n for n in cells.__all__ if isinstance(getattr(cells, n), type)}
    assert {n for n in classes if issubclass(getattr(cells, n), Cell)} == set(MAKE)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("name", MAKE)
def test_cell_through_recurrent(name, ragged, reverse):
    torch.manual_seed(5)
    layer = Recurrent(MAKE[name](), reverse=reverse).double()
    names = [n for n, _ in layer.named_parameters()]
    parameters = [rand(*p.shape) for p in layer.parameters()]
    start = [rand(*s.shape) for s in leaves(layer.initial_state(B))]
    options = {"lengths": LENGTHS, "reset": RESET} if ragged else {}

    def run(x, *rest):
        state = rest[0] if len(start) == 1 else tuple(rest[: len(start)])
        values = dict(zip(names, rest[len(start) :], strict=True))
        outputs, end = functional_call(layer, values, (x, state), options)
        return outputs, *(end if isinstance(end, tuple) else (end,))

    assert torch.autograd.gradcheck(run, (rand(T, B, 2), *start, *parameters))


@pytest.mark.parametrize("reverse", [False, True])
def test_unroll_and_what_its_step_closes_over(reverse):
    torch.manual_seed(6)

    def run(x, h, a, h_again, a_again, *weights):
        W, U, v = weights

        def step(x, state):
            h, a = state
            h = torch.tanh(h @ W + x @ U + a[:, None] * v)
            return h * v, (h, torch.sin(a + h.sum(1)))

        outputs, end = unroll(
            step, x, (h, a), lengths=LENGTHS, reset=RESET, reset_state=(h_again, a_again), reverse=reverse
        )
        return outputs, *end

    shapes = [(T, B, 2), (B, 3), (B,), (B, 3), (B,), (3, 3), (2, 3), (3,)]
    assert torch.autograd.gradcheck(run, [rand(*shape) for shape in shapes])


def test_second_derivatives():
    torch.manual_seed(7)
    w = rand(3, 3)

    def run(x, h, w):
        return unroll(lambda x, h: (torch.tanh(h @ w + x),) * 2, x, h, lengths=[2, 1, 2])

    assert torch.autograd.gradgradcheck(run, (rand(2, B, 3), rand(B, 3), w))
