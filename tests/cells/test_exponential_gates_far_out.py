"""Gate pre-activations of ±1e4 over 10,000 steps: everything finite, and float32 as float64."""

import pytest
import torch
from torch import nn

from unrolled import Recurrent
from unrolled.cells import MLSTM, SLSTM

FAR = 1e4
B, H = 2, 4
PATTERNS = {  # of i and f: their signs, or any numbers in between, drawn anew for each step
    "drawn": None,
    "write, keep": (1, 1),
    "write, forget": (1, -1),
    "pass, keep": (-1, 1),
    "pass, forget": (-1, -1),
}


def driven(kind, heads, forget, pattern, steps):
    """A cell whose i and f are exactly what stands in features of its input, and an input, both of numbers that
    float32 holds: or else its rounding of 1e4, by 5e-4, would be compared. The queries and keys are positive: where
    n(t)^T q passes through 0, h(t) is as ill-conditioned as 1/x there.
    """
    torch.manual_seed(2)
    gates = 2 * heads if kind is MLSTM else 2 * H
    cell = kind(3 + gates, H, heads, forget_gate=forget)
    with torch.no_grad():
        for parameter in cell.parameters():
            nn.init.normal_(parameter, std=0.5)
        cell.weight_ih[:, 3:] = 0
        if kind is MLSTM:
            cell.weight_ih[: 2 * H] *= 0.3
            cell.bias_ih[: 2 * H] = 2
            weight, bias = cell.weight_gates, cell.bias_gates
        else:
            cell.weight_hh[:, : 2 * (H // heads)] = 0
            weight, bias = cell.weight_ih[:gates], cell.bias[:gates]
        weight.copy_(torch.cat([torch.zeros(gates, 3), torch.eye(gates)], 1))
        bias.zero_()
    x = torch.randn(steps, B, 3 + gates)
    if PATTERNS[pattern] is None:
        x[..., 3:] = ((torch.rand(steps, B, gates) * 2 - 1) * FAR * 8).round() / 8
    else:
        of_i, of_f = PATTERNS[pattern]
        x[..., 3:] = FAR * torch.tensor([of_i, of_f]).repeat_interleave(gates // 2)
    return cell, x


def results(run, cell, x, dtype):
    """Outputs and all gradients, of a loss whose terms do not cancel, in float64 numbers."""
    cell, x = cell.to(dtype), x.to(dtype).requires_grad_()
    y, end = run(cell)(x)
    wanted = [x, *cell.parameters()]
    loss = (y * torch.linspace(0.5, 1.5, y.numel()).to(y).view_as(y)).sum()
    grads = torch.autograd.grad(loss, wanted, allow_unused=True)
    found = {"y": y.detach(), "x": grads[0]} | dict(zip(dict(cell.named_parameters()), grads[1:], strict=True))
    assert all(torch.isfinite(part).all() for part in (*end, *found.values()) if part is not None)
    return {name: part.double() for name, part in found.items() if part is not None}


def close(found, truth, tolerance):
    """Each tensor, relative to the largest number in it where that is above 1. The gradient of a gate's weight or bias
    is a sum of differences of numbers as large as the gradient of x, and they are compared with that: where a memory
    keeps all, it does not depend on its gates, and the sum is 0.
    """
    assert found.keys() == truth.keys()
    largest = {name: float(theirs.abs().max()) for name, theirs in truth.items()}
    largest |= {"weight_gates": FAR * largest["x"], "bias_gates": largest["x"]} if "bias_gates" in truth else {}
    for name, theirs in truth.items():
        assert (found[name] - theirs).abs().max() <= tolerance * (1 + largest[name]), name


def compiled(cell):
    return Recurrent(cell, backend="compiled")


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
@pytest.mark.parametrize("kind", [SLSTM, MLSTM])
def test_ten_thousand_steps(kind, forget, pattern):
    cell, x = driven(kind, 2, forget, pattern, 10_000)
    assert 0.999 * FAR < x.abs().max() <= FAR
    truth = results(compiled, cell, x, torch.float64)
    close(results(compiled, cell, x, torch.float32), truth, 1e-4)
    if kind is MLSTM and pattern in ("drawn", "write, keep"):
        close(results(lambda c: c.parallel, cell, x, torch.float64), truth, 1e-9)
        close(results(lambda c: c.parallel, cell, x, torch.float32), truth, 1e-4)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("kind", [SLSTM, MLSTM])
def test_the_eager_loop_too(kind, pattern):
    """What the kernel is held to, over fewer steps."""
    cell, x = driven(kind, 2, "sigmoid", pattern, 200)
    truth = results(compiled, cell, x, torch.float64)
    for dtype, tolerance in ((torch.float64, 1e-11), (torch.float32, 1e-4)):
        close(results(lambda c: Recurrent(c, backend="reference"), cell, x, dtype), truth, tolerance)


@pytest.mark.parametrize("kind", [SLSTM, MLSTM])
def test_without_a_stabiliser_it_would_not_be_finite(kind):
    """That the test above asks for something."""
    cell, x = driven(kind, 1, "exp", "write, keep", 3)
    preactivation = x @ (cell.weight_gates if kind is MLSTM else cell.weight_ih[: 2 * H]).T
    assert torch.exp(preactivation.double()).isinf().all()
