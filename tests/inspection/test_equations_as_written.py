"""Equations that read as the code was written: no name is two things, numbers and signs are where a reader has them."""

import pytest
import torch
from matplotlib.mathtext import MathTextParser
from torch.nn import functional as F

from unrolled import equations


def text_of(step):
    """The equation of a step of three and four numbers, and the step."""
    return str(equations(step, torch.zeros(1, 2, 3).double(), torch.zeros(2, 4).double())), step


def test_a_small_bound_is_not_zero():
    found, step = text_of(lambda x, h: (F.normalize(h, dim=-1) + torch.clamp(x[:, :1], min=-1e-13), h))
    assert "1e-12" in found
    assert "-1e-13" in found
    zeros = torch.zeros(1, 4, dtype=torch.float64)
    assert equations(step, zeros[None], zeros).evaluate(zeros, zeros)[0].eq(0).all()


def test_no_symbol_is_called_as_a_function_that_the_equation_calls():
    tanh = torch.randn(4, 4, dtype=torch.float64)

    def step(x, h):
        σ = torch.sigmoid(h @ tanh.T) * h + x[:, :1]
        h = torch.tanh(σ) * σ
        return h, h

    assert text_of(step)[0] == "σ'(t) = σ(tanh' h(t-1)) * h(t-1) + x(t)[0:1]\nh(t) = tanh(σ'(t)) * σ'(t)"


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (lambda x, h: (h, torch.lerp(h, x.mean(-1, keepdim=True) * h, 0.3)), "h(t-1) + 0.3 * (mean(x(t)) * h(t-1) - "),
        (lambda x, h: (h, torch.lerp(h, -h, torch.sigmoid(h))), "h(t-1) + σ(h(t-1)) * (-h(t-1) - h(t-1))"),
        (lambda x, h: (h, 3 / (h - 4) + 2 / h), "3 / (h(t-1) - 4) + 2 / h(t-1)"),
        (lambda x, h: (h, h - -2 * h * h - (h - -0.3)), "h(t-1) + 2 * h(t-1) * h(t-1) - h(t-1) - 0.3"),
        (lambda x, h: (h, -0.5 - h + h * -3), "-0.5 - h(t-1) - 3 * h(t-1)"),
        (lambda x, h: (h, torch.where(h > 0, h, torch.finfo(h.dtype).min)), "where(h(t-1) > 0, h(t-1), -1.797"),
    ],
)
def test_arithmetic_reads_as_it_was_written(step, line):
    found, step = text_of(step)
    assert found.splitlines()[0].startswith(f"h(t) = {line}")
    x, h = torch.randn(1, 2, 3).double(), torch.randn(2, 4).double()
    torch.testing.assert_close(equations(step, x, h).evaluate(x[0], h)[1], step(x[0], h)[1], rtol=1e-12, atol=1e-12)
    MathTextParser("path").parse(f"${equations(step, x, h).lines[0].latex}$")


def test_a_long_line_is_broken_between_terms_rather_than_in_one():
    W = torch.randn(4, 4).double()
    found, _ = text_of(
        lambda x, h: (h, torch.tanh(h @ W) * h - torch.sigmoid(h @ W.T) * h - torch.exp(-h) * torch.cos(h))
    )
    assert all(row.strip()[:2] in ("h(", "y(", "- ", "+ ") for row in found.splitlines()), found
