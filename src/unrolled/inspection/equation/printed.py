"""Equations as they are printed, and as the numbers that the printed text gives."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...core import Tree, leaves, unflatten
from .evaluating import evaluate
from .expression import Expr
from .symbols import Symbol

WIDTH = 80


@dataclass(frozen=True)
class Line:
    """One equation."""

    symbol: Symbol
    right: Expr
    text: str  # "h(t) = tanh(...)"
    latex: str


@dataclass(frozen=True)
class Meaning:
    """What a symbol stands for."""

    symbol: Symbol
    what: str  # "weight_ih", "rows 0 to 4 of weight_ih", "input", "state"
    shape: tuple[int, ...]
    path: str = ""  # of a parameter, as the step reaches it
    part: tuple[int, int, int, int] | None = None  # axis, start, stop, step


@dataclass(frozen=True)
class Equations:
    """A step's equations; ``str`` of it is plain text of at most 80 columns.

    Attributes:
        name: of the cell.
        lines: the equations in the order in which they can be computed.
        legend: what each symbol stands for.
        clock: the letter of time.
    """

    name: str
    lines: tuple[Line, ...]
    legend: tuple[Meaning, ...]
    inputs: tuple[Symbol, ...]
    states: tuple[Symbol, ...]  # before the step
    after: tuple[Symbol, ...]  # after it
    outputs: tuple[Symbol, ...]
    weights: dict[str, str]  # the one weight of the input ("x"), the state and the output, where it is one
    clock: str = "t"
    format: str = "text"
    structure: tuple[Tree, Tree] = field(default=(None, None), repr=False)  # of the output and of the state
    tensors: dict[str, Tensor] = field(default_factory=dict, repr=False)  # the parameters by path

    @property
    def text(self) -> str:
        """As plain text, a line for each equation, long ones wrapped."""
        return "\n".join(wrapped(line.text) for line in self.lines)

    @property
    def latex(self) -> str:
        """As LaTeX, to stand in math mode."""
        rows = [line.latex.replace(" = ", " &= ", 1) for line in self.lines]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def __str__(self) -> str:
        return self.latex if self.format == "latex" else self.text

    def to_dict(self) -> dict[str, Any]:
        """The equations and the legend as dicts, lists and strings, as JSON has them."""
        legend = [{"symbol": m.symbol.text(self.clock), "what": m.what, "shape": list(m.shape)} for m in self.legend]
        lines = [
            {"symbol": line.symbol.text(self.clock), "text": line.text, "latex": line.latex} for line in self.lines
        ]
        return {"name": self.name, "lines": lines, "legend": legend}

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"

    def evaluate(self, x: Tree | None, state: Tree) -> tuple[Tree, Tree]:
        """What the printed text gives in float64: the output and the next state.

        Args:
            x: the input of one step, (B, I) or a tree; None for a step without.
            state: the state before it.

        Returns:
            The output and the state after the step, as the step itself returns them.

        Raises:
            InputError: the text holds what cannot be computed from it, such as a random draw.
        """
        given = [*(leaves(x) if x is not None else []), *leaves(state)]
        symbols = [*self.inputs, *self.states]
        fixed = {m.symbol.text(self.clock): self._tensor(m) for m in self.legend if m.path}
        rows = []
        for row in range(leaves(state)[0].shape[0]):
            values = {s.text(self.clock): tensor[row] for s, tensor in zip(symbols, given, strict=True)}
            found = evaluate([line.text for line in self.lines], fixed | values, self.clock)
            rows.append([found[symbol.text(self.clock)] for symbol in (*self.outputs, *self.after)])
        columns = [torch.stack(column) for column in zip(*rows, strict=True)]
        like = [*leaves(self.structure[0]), *leaves(state)]
        shaped = [_shaped(column, one) for column, one in zip(columns, like, strict=True)]
        count = len(self.outputs)
        return unflatten(self.structure[0], shaped[:count]), unflatten(state, shaped[count:])

    def _tensor(self, meaning: Meaning) -> Tensor:
        tensor = self.tensors[meaning.path].detach().double()
        if meaning.part is None:
            return tensor
        axis, start, stop, step = meaning.part
        return tensor.squeeze()[(slice(None),) * axis + (slice(start, stop, step),)]


def _shaped(column: Tensor, like: Tensor) -> Tensor:
    """Axes of size 1 put back; a number stands for all entries."""
    shape = (column.shape[0], *like.shape[1:])
    if column.numel() == column.shape[0]:
        return column.reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
    return column.reshape(shape)


def wrapped(line: str, width: int = WIDTH) -> str:
    """A line in as many as it needs, broken before a sign or behind a comma that few parentheses are around."""
    rows = []
    while len(line) > width:
        depth = 0
        choices: list[tuple[float, int]] = []
        for place, letter in enumerate(line[: width + 1]):
            depth += (letter in "([") - (letter in ")]")
            if place > width // 3 and letter == " ":
                if line[place + 1] in "+-*/":
                    choices.append((depth, -place))
                elif line[place - 1] in ",;":
                    choices.append((depth + 0.5, -place))
        if not choices:
            break
        place = -min(choices)[1]
        rows.append(line[:place])
        line = " " * 4 + line[place + 1 :]
    return "\n".join([*rows, line])
