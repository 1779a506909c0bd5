"""Equations as cells."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from unrolled.core import Cell

from .text import Equation


class Together(Cell):
    """Several equations as one cell, so that one kernel holds them: their states side by side."""

    def __init__(self, written: list[Equation], dtype: torch.dtype):
        super().__init__()
        self.parts: Any = torch.nn.ModuleList(_cell(equation, dtype) for equation in written)
        self.state_size = tuple(tuple(torch.Size(shape) for shape in equation.state) for equation in written)

    def step(self, x: Any, state: Any) -> tuple[Any, Any]:
        results = [part.step(*both) for part, *both in zip(self.parts, x, state, strict=True)]
        return tuple(output for output, _ in results), tuple(after for _, after in results)


def _cell(equation: Equation, dtype: torch.dtype) -> Any:
    """The cell of an equation; its numbers are float32's, so that they are the same in every dtype."""
    generator = torch.Generator().manual_seed(equation.seed * 100003 + equation.number)
    name = f"Equation{equation.number}"
    namespace: dict[str, Any] = {"torch": torch, "F": F, "__name__": name}
    exec(compile(equation.text, f"equation_{equation.seed}_{equation.number}.py", "exec"), namespace)
    drawn: dict[str, Tensor] = {}
    for parameter, shape, bound in equation.parameters:
        drawn[parameter] = (bound * (2 * torch.rand(shape, generator=generator) - 1)).to(dtype)
    closed = {key: value.requires_grad_() for key, value in drawn.items() if key.startswith("c")}
    cell: Any = type(name, (Cell,), {"step": namespace["bind"](**closed)})()
    for key, value in drawn.items():
        if key not in closed:
            cell.register_parameter(key.removeprefix("self."), torch.nn.Parameter(value))
    cell.closed = tuple(closed.values())
    return cell
