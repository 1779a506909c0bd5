"""What is computed on both sides of a comparison: the same numbers for everybody."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .options import Shape

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class Problem:
    """Input, first state, weights, and the gradient of a loss with respect to the outputs.

    Shape:
        x (T, B, H); each tensor of the state (B, H); d_outputs (T, B, H).
    """

    shape: Shape
    x: Tensor
    state: dict[str, Tensor]
    weights: dict[str, Tensor]
    d_outputs: Tensor

    @property
    def reduced(self) -> int:
        """The longest sum in outputs and gradients: over features, or over all rows for a weight's gradient."""
        return max(self.shape.T * self.shape.B, 2 * self.shape.H)


def problem(shape: Shape, state: tuple[str, ...], weights: dict[str, tuple[int, ...]], seed: int = 0) -> Problem:
    """Random numbers for the state's tensors and the weights of these names; weights U(-1/sqrt(H), 1/sqrt(H))."""
    chance = torch.Generator().manual_seed(seed)
    T, B, H = shape.T, shape.B, shape.H
    bound = 1 / math.sqrt(H)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=chance)

    return Problem(
        shape,
        normal(T, B, H),
        {name: 0.5 * normal(B, H) for name in state},
        {name: (2 * torch.rand(*sizes, generator=chance) - 1) * bound for name, sizes in weights.items()},
        normal(T, B, H),
    )


def gated(kind: str, shape: Shape) -> Problem:
    """The problem of a "lstm", "gru" or "rnn", its weights in the names and the gate order of torch.nn."""
    H, rows = shape.H, GATES[kind] * shape.H
    weights = {"weight_ih": (rows, H), "weight_hh": (rows, H), "bias_ih": (rows,), "bias_hh": (rows,)}
    return problem(shape, ("h", "c") if kind == "lstm" else ("h",), weights)


def in_float64(given: Problem) -> Problem:
    """The same numbers, for results that stand for the truth."""
    state, weights = ({name: v.double() for name, v in tensors.items()} for tensors in (given.state, given.weights))
    return Problem(given.shape, given.x.double(), state, weights, given.d_outputs.double())
