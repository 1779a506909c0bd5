"""Analytic against numerical derivatives, in float64, of what a step closes over; cells: test_every_cell.py."""

import pytest
import torch

from unrolled import unroll

T, B = 4, 3
LENGTHS = [4, 2, 3]
RESET = torch.tensor([[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.bool)


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


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
