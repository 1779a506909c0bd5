"""Bare loops of PyTorch over plain functions: what one writes without a library.

Nothing here is shared with the cells of the same equations in ``invented.py``, so each is a check of the other.
"""

from collections.abc import Callable, Mapping
from math import pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core import Tree, leaves, unflatten
from ..ours import tree_side
from ..problem import Problem
from ..sides import Named, Side, copied, torch_side

Weights = Mapping[str, Tensor]
Step = Callable[[Weights, Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]
NAME = "Python loop"


def layer_norm_lstm(w: Weights, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Layer norms of both products and of the memory."""
    h, c = state
    of_x = F.layer_norm(x @ w["weight_ih"].t(), w["gain_ih"].shape, w["gain_ih"], w["shift_ih"])
    of_h = F.layer_norm(h @ w["weight_hh"].t(), w["gain_hh"].shape, w["gain_hh"], w["shift_hh"])
    i, f, g, o = (of_x + of_h).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * F.layer_norm(c, w["gain_c"].shape, w["gain_c"], w["shift_c"]).tanh()
    return h, [h, c]


def mixture(w: Weights, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Three candidates, mixed."""
    (h,) = state
    a, p1, p2, p3 = (F.linear(x, w["weight_x"], w["bias"]) + F.linear(h, w["weight_h"])).chunk(4, 1)
    p = torch.stack([p1, p2, p3]).softmax(0)
    h = p[0] * a.tanh() + p[1] * (0.5 * F.softplus(a)) + p[2] * (0.9 * h)
    return h, [h]


def rotor(w: Weights, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Two states that turn about each other."""
    a, b = state
    angle, drive = F.linear(x, w["weight_x"]).chunk(2, 1)
    angle = pi * (angle + F.linear(a, w["weight_h"], w["bias"])).tanh()
    cos, sin = angle.cos(), angle.sin()
    new_a = 0.95 * (a * cos - b * sin) + 0.1 * F.silu(drive)
    b = 0.95 * (a * sin + b * cos)
    return new_a * b + new_a, [new_a, b]


def spring(w: Weights, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Positions and speeds."""
    h, v = state
    push = (F.linear(x, w["weight_x"], w["bias"]) + F.linear(h, w["weight_h"])).tanh()
    v = v + 0.2 * (push - h - 0.1 * v)
    h = 0.95 * h + 0.2 * v * ((v * v).mean(1, keepdim=True) + 0.01).rsqrt()
    return h, [h, v]


def python_loop(step: Step, problem: Problem) -> Side:
    """A plain function over the problem's sequence, forward and backward."""
    weights = copied(problem.weights, True)
    state = copied(problem.state, True)
    x = problem.x.detach().clone().requires_grad_()

    def forward() -> tuple[Tensor, Named]:
        now, outputs = list(state.values()), []
        for x_t in x.unbind(0):
            output, now = step(weights, x_t, now)
            outputs.append(output)
        return torch.stack(outputs), dict(zip(state, now, strict=True))

    return torch_side(NAME, forward, {"x": x, **state, **weights}, problem.d_outputs)


def loop_over(cell: nn.Module, x: Tensor, d_outputs: list[Tensor]) -> Side:
    """The step of a cell of the user's, called again and again."""
    return tree_side(NAME, cell, lambda given: run_loop(cell, given), x, d_outputs)


def run_loop(cell: Any, x: Tensor) -> tuple[Tree, Tree]:
    """Outputs (T, B, ...) and last state."""
    state, outputs = cell.initial_state(x.shape[1]), []
    for x_t in x.unbind(0):
        output, state = cell.step(x_t, state)
        outputs.append(output)
    if isinstance(outputs[0], Tensor):
        return torch.stack(outputs), state
    stacked = [torch.stack(parts) for parts in zip(*map(leaves, outputs), strict=True)]
    return unflatten(outputs[0], stacked), state
