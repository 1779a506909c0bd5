"""``numbers``: a cell of single numbers run by hand, forward and back through time, every term of a gradient shown."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..core import InputError, Tree, leaves, map_tree
from .equation import Equations
from .equation.evaluating import evaluate
from .equation.front import read_off
from .equation.printed import Meaning

INPUTS = (1.0, 2.0, 3.0)
VALUES = {"W_xh": 0.5, "W_hh": 0.3, "b_h": 0.1, "W_hy": 0.4, "b_y": 0.2}
OTHERS = (0.5, 0.3, 0.1, 0.4, 0.2)  # in turn, for what has other names


@dataclass(frozen=True)
class Term:
    """What the output of one step gives to a gradient by way of a parameter's use in one step."""

    output: int  # t, from 1
    used: int  # s, from 1 to t; t - s is the lag
    value: float


@dataclass(frozen=True)
class Gradient:
    """The gradient of the sum of all outputs with respect to one parameter."""

    symbol: str
    terms: tuple[Term, ...]

    @property
    def total(self) -> float:
        """The gradient: the sum of its terms."""
        return sum(term.value for term in self.terms)

    def at(self, output: int, used: int) -> float:
        """One term."""
        return next(term.value for term in self.terms if (term.output, term.used) == (output, used))


@dataclass(frozen=True)
class Numbers:
    """An example worked out; ``str`` of it is a page of tables."""

    equations: Equations
    inputs: tuple[float, ...]
    values: dict[str, float]  # of the parameters, by symbol
    start: dict[str, float]  # of the state before the first step
    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]  # one a step
    output: tuple[str, ...]
    gradients: tuple[Gradient, ...]

    def __str__(self) -> str:
        from .numbers_page import page

        return page(self)

    def to_dict(self) -> dict[str, Any]:
        """As dicts, lists, strings and numbers."""
        steps = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        gradients = [{**asdict(gradient), "total": gradient.total} for gradient in self.gradients]
        lines = [line.text for line in self.equations.lines]
        given = {"inputs": list(self.inputs), "values": self.values, "start": self.start}
        return {"equations": lines, **given, "steps": steps, "gradients": gradients}


def numbers(
    cell: Any,
    inputs: Sequence[float] = INPUTS,
    values: Mapping[str, float] | None = None,
    *,
    notation: str | Mapping[str, str] | None = None,
) -> Numbers:
    """Run a small example step by step, and its gradient back through time term by term.

    The loss is the sum of all outputs, L = y(1) + ... + y(T). A shared parameter has a copy for each step here, so that
    dL/dW falls apart into what y(t) gives by way of the use of W in step s, for each s up to t.

    Args:
        cell: a cell all of whose sizes are 1; it is copied, not changed.
        inputs: x(1), ..., x(T).
        values: of parameters, by the symbols of the printed equation; for the others fixed ones are taken.
        notation: as in :func:`unrolled.equations`.

    Returns:
        An object to print, which holds the same as data.

    Raises:
        InputError: a size other than 1, an unknown symbol, a step without one input.

    Example:
        >>> from unrolled.cells import Elman
        >>> found = numbers(Elman(1, 1, 1))
        >>> [round(row[-1], 5) for row in found.rows]
        [0.41482, 0.54055, 0.5809]
        >>> round(found.gradients[-1].total, 5)  # dL/db_y, 1 a step
        3.0
    """
    own = copy.deepcopy(cell).double()
    found = read_off(own, None, None, notation, inner=("a", "o"))
    places = {m.symbol.text(found.clock): m for m in found.legend if m.path}
    given = _fill(own, places, dict(values or {}))
    state = own.initial_state(1)
    sizes = [leaf.numel() for leaf in leaves(state)] + [t.numel() for t in leaves(found.structure[0])]
    if len(found.inputs) != 1 or any(size not in (1, leaves(found.structure[0])[0].shape[0]) for size in sizes):
        raise InputError("numbers: expected a cell of one input with all sizes 1, of which every value is a number.")
    columns, rows = _forward(found, own, state, inputs)
    names = tuple(symbol.text(found.clock) for symbol in found.outputs)
    start = {s.name: float(leaf.flatten()[0]) for s, leaf in zip(found.states, leaves(state), strict=True)}
    gradients = _backward(own, state, inputs, places)
    return Numbers(found, tuple(map(float, inputs)), given, start, columns, rows, names, gradients)


def _fill(cell: nn.Module, places: Mapping[str, Meaning], wanted: dict[str, float]) -> dict[str, float]:
    """Set the parameters; the value of each symbol."""
    parameters = dict(cell.named_parameters())
    unknown = [name for name in wanted if name not in places or places[name].path not in parameters]
    known = [name for name, place in places.items() if place.path in parameters]
    if unknown:
        raise InputError(f"values: expected symbols among {', '.join(known)}, got {unknown[0]}.")
    given: dict[str, float] = {}
    turn = 0
    with torch.no_grad():
        for name in known:
            part = part_of(parameters[places[name].path], places[name])
            if part.numel() != 1:
                raise InputError(
                    f"numbers: expected a cell with all sizes 1, in which {name} is one number, got {part.numel()}."
                )
            if name not in wanted and name not in VALUES:
                turn += 1
            given[name] = wanted.get(name, VALUES.get(name, OTHERS[(turn - 1) % len(OTHERS)]))
            part.fill_(given[name])
    return given


def part_of(tensor: Tensor, place: Meaning) -> Tensor:
    """The entries that a symbol stands for, as a view."""
    if place.part is None:
        return tensor
    axis, start, stop, step = place.part
    axis = [k for k, size in enumerate(tensor.shape) if size != 1][axis]
    return tensor[(slice(None),) * axis + (slice(start, stop, step),)]


def _forward(
    found: Equations, cell: Any, state: Tree, inputs: Sequence[float]
) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]]:
    parameters = {**dict(cell.named_parameters()), **dict(cell.named_buffers())}
    clock = found.clock
    fixed = {m.symbol.text(clock): part_of(parameters[m.path].detach(), m) for m in found.legend if m.path}
    before = {s.text(clock): leaf[0] for s, leaf in zip(found.states, leaves(state), strict=True)}
    timed = [line.symbol.text(clock) for line in found.lines if line.symbol.time is not None]
    columns = [found.inputs[0].text(clock), *timed]
    rows = []
    for value in inputs:
        now = {columns[0]: torch.tensor(float(value), dtype=torch.float64)}
        result = evaluate([line.text for line in found.lines], {**fixed, **before, **now}, clock)
        rows.append(tuple(float(result[name]) for name in columns))
        after = [result[symbol.text(clock)] for symbol in found.after]
        before = {s.text(clock): leaf for s, leaf in zip(found.states, after, strict=True)}
    return tuple(columns), tuple(rows)


class _Step(nn.Module):
    """A cell's step as what a module does when it is called."""

    def __init__(self, cell: Any):
        super().__init__()
        self.cell = cell

    def forward(self, x: Tree, state: Tree) -> Any:
        return self.cell.step(x, state)


def _backward(cell: Any, state: Tree, inputs: Sequence[float], places: Mapping[str, Meaning]) -> tuple[Gradient, ...]:
    """Every term, by autograd on a chain whose steps have parameters of their own."""
    step, paths = _Step(cell), [name for name, _ in cell.named_parameters()]
    copies: list[dict[str, Tensor]] = []
    terms: dict[str, list[Term]] = {name: [] for name, place in places.items() if place.path in paths}
    if not terms:  # nothing is learned, as of a reservoir
        return ()
    state = map_tree(lambda leaf: leaf.detach(), state)
    for t, value in enumerate(inputs, 1):
        copies.append({path: p.detach().clone().requires_grad_() for path, p in cell.named_parameters()})
        x = torch.full((1, 1), float(value), dtype=torch.float64)
        output, state = functional_call(step, {f"cell.{path}": p for path, p in copies[-1].items()}, (x, state))
        total = torch.stack([leaf.sum() for leaf in leaves(output)]).sum()
        every = [one[path] for one in copies for path in paths]
        grads = torch.autograd.grad(total, every, retain_graph=True, allow_unused=True)
        for s in range(1, t + 1):
            own = dict(zip(paths, grads[(s - 1) * len(paths) : s * len(paths)], strict=True))
            for name, found in terms.items():
                grad = own[places[name].path]
                found.append(Term(t, s, 0.0 if grad is None else float(part_of(grad, places[name]).sum())))
    return tuple(Gradient(name, tuple(found)) for name, found in terms.items())
