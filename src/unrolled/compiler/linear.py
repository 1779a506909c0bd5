"""Is the next state linear in the state? Proved from the graph of a step, for each group of state tensors.

State tensors that need each other's last value form a *stage*; stages are ordered so that each needs only earlier ones,
whose values at all times are then known, as the input is. A stage is affine, s(t) = A(t) s(t-1) + b(t) with A and b
free of s, if on every way from s(t-1) to s(t) stand only operations that are linear in it: sums, products and quotients
with a value free of s, choices by a condition free of s, views. Of every value it is also known which *elements* of the
state each of its elements can depend on; so whether A is diagonal, or made of small blocks.

Nothing is called linear that is not: an operation that is not in the list above is taken for one that is not linear.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .graph import Graph, Node, Ref, ancestors, descendants, resize
from .interpret import compute, evaluate
from .operations import PRODUCTS, RANDOM, VIEWS

MOST = 8  # elements of the state in one block; with more, A counts as dense


@dataclass(frozen=True)
class Stage:
    """Some tensors of the state, and how their next values depend on their last ones."""

    leaves: tuple[int, ...]  # their numbers in the state
    kind: str  # "known": not at all; "elements", "blocks" (of elements), "dense": affine; "nonlinear"
    block: int = 1  # elements in the largest block
    aligned: bool = True  # whether a block is one element of each tensor, all alike, at the same place
    cause: int | None = None  # the first node that is not linear; None for a state that is not of real numbers

    @property
    def is_affine(self) -> bool:
        """Whether s(t) = A(t) s(t-1) + b(t)."""
        return self.kind != "nonlinear"


def stages(graph: Graph, carried: Sequence[int | None], following: Sequence[int | None]) -> tuple[Stage, ...]:
    """The stages of a state, in an order in which they can be computed.

    Args:
        graph: a traced step.
        carried: the state, as inputs of the graph; of the way back, the adjoint. None for what is not carried.
        following: the values that they have after the step; None: zero.
    """
    return tuple(_judge(graph, carried, following, group) for group in _groups(graph, carried, following))


def _groups(graph: Graph, carried: Sequence[int | None], following: Sequence[int | None]) -> list[tuple[int, ...]]:
    """Numbers of the tensors, those together that need each other, and none before what it needs."""
    numbers = [k for k, index in enumerate(carried) if index is not None]
    needs = {}
    for k in numbers:
        above = ancestors(graph, [following[k]])
        needs[k] = {other for other in numbers if carried[other] in above}
    for middle in numbers:  # needs of needs
        for k in numbers:
            if middle in needs[k]:
                needs[k] |= needs[middle]
    found: list[tuple[int, ...]] = []
    waiting = list(numbers)
    while waiting:
        for k in waiting:
            group = tuple(other for other in waiting if other == k or (other in needs[k] and k in needs[other]))
            done = {other for earlier in found for other in earlier}
            if needs[k] <= done | set(group):
                break
        else:
            raise AssertionError("stages in a circle")
        found.append(group)
        waiting = [other for other in waiting if other not in group]
    return found


def _judge(
    graph: Graph, carried: Sequence[int | None], following: Sequence[int | None], group: tuple[int, ...]
) -> Stage:
    states = [index for k in group if (index := carried[k]) is not None]
    results = [index for k in group if (index := following[k]) is not None]
    if not descendants(graph, states) & set(results):
        return Stage(group, "known")
    if not all(graph.nodes[index].dtype.is_floating_point for index in states):
        return Stage(group, "nonlinear")
    forms = Forms(graph, states, results)
    broken = [forms.broken[index] for index in results if index in forms.broken]
    if broken:
        return Stage(group, "nonlinear", cause=min(broken))
    return _blocks(graph, group, states, [forms.elements(index) for index in results])


def _blocks(graph: Graph, group: tuple[int, ...], states: list[int], found: list[Tensor | None]) -> Stage:
    """The stage of an affine step: which elements of the state form a block."""
    whole = [elements for elements in found if elements is not None]
    sizes = [graph.row_size(index) for index in states]
    if len(whole) < len(states):
        return Stage(group, "dense", sum(sizes), aligned=False)
    count = max(elements.shape[0] for elements in whole)
    sources = torch.cat([_padded(elements.flatten(1), count) for elements in whole], 1)
    own = torch.arange(sources.shape[1])
    sources = torch.where(sources < 0, own, sources)
    labels = own
    for _ in range(MOST + 1):  # the least number in a block spreads through it
        spread = torch.minimum(labels, labels[sources].amin(0))
        spread = spread.scatter_reduce(0, sources.flatten(), spread.expand(count, -1).flatten(), "amin")
        if torch.equal(spread, labels):
            break
        labels = spread
    else:
        return Stage(group, "dense", sum(sizes), aligned=False)
    block = int(labels.bincount().max()) if len(labels) else 1
    if block > MOST:
        return Stage(group, "dense", sum(sizes), aligned=False)
    alike = {(graph.row_shape(index), graph.nodes[index].dtype) for index in states}
    aligned = len(alike) == 1 and bool((sources % max(sizes[0], 1) == own % max(sizes[0], 1)).all())
    return Stage(group, "elements" if block == 1 else "blocks", block, aligned)


class Forms:
    """The values of a step on the way from some state tensors to some results, as functions of these.

    ``broken``: of a value that is not known to be affine, the node at which it became so.

    Args:
        graph: the step.
        states: inputs of the graph.
        results: values that are asked for.
    """

    def __init__(self, graph: Graph, states: Iterable[int], results: Iterable[int]):
        self.graph = graph
        states = list(states)
        depends = descendants(graph, states)
        self.inside = sorted(depends & ancestors(graph, results))
        self.broken: dict[int, int] = {}
        self._finest = min((_grain(graph.nodes[index].dtype) for index in states), default=0.0)
        self._found: dict[int, Tensor | None] = {}  # numbers of elements (K, ...), -1 for none; None: of any
        start = 0
        for index in states:
            size = graph.row_size(index)
            self._found[index] = torch.arange(start, start + size).reshape((1, *graph.row_shape(index)))
            start += size
        for index in self.inside:
            if index not in self._found:
                self._add(index)

    def depends(self, index: int) -> bool:
        """Whether a value can depend on the state."""
        return index in self._found or index in self.broken

    def elements(self, index: int) -> Tensor | None:
        """Of an affine value, for each element those of the state (K, ...), -1 for none; None: all of them."""
        if self.depends(index):
            return self._found[index]
        return torch.full((1, *self.graph.row_shape(index)), -1)

    def _add(self, index: int) -> None:
        node = self.graph.nodes[index]
        mine = [operand for operand in dict.fromkeys(node.operands()) if self.depends(operand)]
        if any(operand in self.broken for operand in mine):
            self.broken[index] = min(self.broken[operand] for operand in mine if operand in self.broken)
        elif not is_linear(node, mine) or (node.op == "cast" and _grain(node.dtype) > self._finest):
            self.broken[index] = index
        else:
            self._found[index] = self._spread(node, mine)

    def _spread(self, node: Node, mine: list[int]) -> Tensor | None:
        found = [self._found[operand] for operand in mine]
        known = [elements for elements in found if elements is not None]
        if node.op in PRODUCTS or len(known) < len(found):
            return None
        shape = resize(node.shape, self.graph.batch, 1)
        if node.op in VIEWS or node.op == "cat":
            count = max(elements.shape[0] for elements in known)
            padded = {operand: _padded(elements, count) for operand, elements in zip(mine, known, strict=True)}
            others = {o: _padded(torch.full((1, *self.graph.row_shape(o)), -1), count) for o in node.operands()}
            given = others | padded
            device = known[0].device
            layers = [compute(node, {o: v[k] for o, v in given.items()}, shape, device) for k in range(count)]
            return torch.stack(layers)
        if node.op == "sum":
            (elements,), axes = known, node.args[1]
            moved = elements
            for axis in axes:  # each place along an axis is one more element that a sum depends on
                pieces = moved.unbind(axis + 1)
                if len(pieces) * moved.shape[0] > MOST * MOST:
                    return None
                moved = torch.cat(pieces).unsqueeze(axis + 1) if pieces else moved
            return _distinct(moved.reshape(moved.shape[0], *shape))
        if node.op == "where" and (chosen := self._constant(node.args[0])) is not None:  # as an in-place write is
            count = max(elements.shape[0] for elements in known)
            free = torch.full((count, *shape), -1)
            given = dict(zip(mine, (_broadcast(_padded(elements, count), shape) for elements in known), strict=True))
            a, b = (given.get(getattr(arg, "index", -1), free) for arg in node.args[1:])
            return _distinct(torch.where(chosen, a, b))
        apart: list[Tensor] = []  # mostly all operands depend on the same elements
        for elements in (_broadcast(elements, shape) for elements in known):
            if not any(torch.equal(elements, other) for other in apart):
                apart.append(elements)
        return _distinct(torch.cat(apart))

    def _constant(self, arg: Any) -> Tensor | None:
        """A value that is made of numbers alone; None if it is not."""
        if not isinstance(arg, Ref):
            return None
        needed = sorted(ancestors(self.graph, [arg.index]))
        if any(self.graph.nodes[index].op in RANDOM | {"input"} for index in needed):
            return None
        values: dict[int, Any] = {}
        evaluate(self.graph, needed, values, 1, torch.device("cpu"))
        found: Tensor = values[arg.index]
        return found


def is_linear(node: Node, mine: Sequence[int]) -> bool:
    """Whether an operation is linear in those operands that depend on the state, all of which are affine."""
    if not node.dtype.is_floating_point:
        return False
    if node.op in ("add", "sub", "neg", "cat", "sum", "cast") or node.op in VIEWS:
        return True
    places = [k for k, arg in enumerate(node.args) if getattr(arg, "index", None) in mine]
    if node.op in ("mul", "mm", "bmm"):
        return len(places) == 1
    if node.op == "div":
        return places == [0]
    return node.op == "where" and 0 not in places


def _grain(dtype: torch.dtype) -> float:
    """The rounding of a number; a state that is rounded farther than it is itself is not linear."""
    return torch.finfo(dtype).eps if dtype.is_floating_point else 0.0


def _broadcast(elements: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The elements (K, ...) of an operand, for each element of a result of this shape."""
    own = elements.shape[1:]
    ones = (1,) * (len(shape) - len(own))
    return elements.reshape(elements.shape[0], *ones, *own).expand(elements.shape[0], *shape)


def _padded(elements: Tensor, count: int) -> Tensor:
    """The same elements with a first axis of this size."""
    if elements.shape[0] == count:
        return elements
    return torch.cat([elements, elements.new_full((count - elements.shape[0], *elements.shape[1:]), -1)])


def _distinct(elements: Tensor) -> Tensor | None:
    """Each element once, and no more than are needed; None if that is too many."""
    if elements.shape[0] == 1:
        return elements
    ordered = elements.sort(0, descending=True).values
    again = torch.zeros_like(ordered, dtype=torch.bool)
    again[1:] = ordered[1:] == ordered[:-1]
    ordered = torch.where(again, -1, ordered).sort(0, descending=True).values
    count = max(int((ordered >= 0).flatten(1).any(1).sum()), 1)
    return None if count > MOST else ordered[:count]
