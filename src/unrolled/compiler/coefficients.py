"""The coefficients of an affine step as operations: A and b of s(t) = A s(t-1) + b, written beside the step's own.

Each value between s(t-1) and s(t) is written as a sum of parts, one free of the state and one for each tensor of it:
v = part_b + sum of part_l * s_l(t-1). What is linear in v is so in each part by itself, so the rules are short.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from .graph import Builder, Graph, Node, Ref, ancestors, descendants
from .operations import VIEWS
from .plan import never_stored

Operand: TypeAlias = Ref | float  # a number stands for a value that is everywhere the same
Parts: TypeAlias = dict[int, Operand]  # by the number of a state tensor; FREE for what is free of it; zero if not there
FREE = -1


class Coefficients:
    """A graph, and the coefficients that have been added to it.

    Args:
        graph: the traced step; its nodes keep their numbers.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.builder = Builder(list(graph.nodes), {})

    def extended(self) -> Graph:
        """The step with all that was added."""
        return replace(self.graph, nodes=tuple(self.builder.nodes))

    def of(self, states: Mapping[int, int], results: Mapping[int, int]) -> dict[int, Parts]:
        """The parts of each next value; every Ref is one that can be stored, of the next value's shape, or has no rows.

        Args:
            states: the inputs that are the state, by the numbers of its tensors.
            results: their next values, likewise.
        """
        graph = self.graph
        parts: dict[int, Parts] = {index: {k: 1.0} for k, index in states.items()}
        for index in sorted(descendants(graph, states.values()) & ancestors(graph, results.values())):
            if index not in parts:
                parts[index] = self._parts(graph.nodes[index], parts)
        return {k: self._storable(parts.get(index, {FREE: Ref(index)}), index) for k, index in results.items()}

    def _storable(self, parts: Parts, like: int) -> Parts:
        node, made = self.graph.nodes[like], {}
        for name, operand in parts.items():
            if isinstance(operand, Ref):
                extended = self.extended()
                rows = extended.is_rows(operand.index)
                if rows and (self._shape(operand) != node.shape or never_stored(extended, operand.index)):
                    operand = self._add(node, "add", (operand, 0.0))
            made[name] = operand
        return made

    def _shape(self, operand: Ref) -> tuple[int, ...]:
        return self.builder.nodes[operand.index].shape

    def _add(self, like: Node, op: str, args: tuple[Any, ...]) -> Operand:
        if all(isinstance(arg, float) for arg in args):
            return _NUMBERS[op](*args)
        return Ref(self.builder.add(op, args, like.shape, like.dtype, like.where))

    def _whole(self, operand: Operand | None, shape: tuple[int, ...], like: Node) -> Ref:
        """An operand as a value of its whole shape."""
        if isinstance(operand, Ref):
            if self._shape(operand) == shape:
                return operand
            return Ref(self.builder.add("add", (operand, 0.0), shape, like.dtype, like.where))
        return Ref(self.builder.add("full", (operand or 0.0,), shape, like.dtype, like.where))

    def _parts(self, node: Node, known: Mapping[int, Parts]) -> Parts:
        """The parts of one value, of those of its operands."""
        if node.op == "cat":
            return self._joined(node, known)
        if node.op in VIEWS or node.op in ("sum", "cast"):
            source = self.graph.nodes[node.args[0].index]
            given = known[node.args[0].index]
            wholes = {name: self._whole(part, source.shape, source) for name, part in given.items()}
            return {name: self._add(node, node.op, (whole, *node.args[1:])) for name, whole in wholes.items()}
        first, *others = (self._given(arg, known) for arg in node.args)
        if node.op == "neg":
            return {name: self._add(node, "neg", (part,)) for name, part in first.items()}
        if node.op == "div":
            return {name: self._add(node, "div", (part, others[0][FREE])) for name, part in first.items()}
        if node.op == "mul":
            mine, other = (first, others[0]) if _is_known(node.args[0], known) else (others[0], first)
            return {name: self._times(node, part, other[FREE]) for name, part in mine.items()}
        if node.op == "where":
            names = {**others[0], **others[1]}
            chosen = {name: (node.args[0], *(other.get(name, 0.0) for other in others)) for name in names}
            return {name: self._add(node, "where", args) for name, args in chosen.items()}
        assert node.op in ("add", "sub"), node.op
        return {name: self._sum(node, first.get(name), others[0].get(name)) for name in {**first, **others[0]}}

    @staticmethod
    def _given(arg: Any, known: Mapping[int, Parts]) -> Parts:
        """The parts of an operand; what does not depend on the state has one only."""
        if isinstance(arg, Ref):
            return known.get(arg.index, {FREE: arg})
        return {FREE: float(arg)}

    def _joined(self, node: Node, known: Mapping[int, Parts]) -> Parts:
        """Those of a ``cat``: zeros stand where a piece has no such part."""
        pieces, axis = node.args
        given = [(self._given(piece, known), self.graph.nodes[piece.index].shape) for piece in pieces]
        names = dict.fromkeys(name for parts, _ in given for name in parts)
        wholes = {name: tuple(self._whole(parts.get(name), shape, node) for parts, shape in given) for name in names}
        return {name: self._add(node, "cat", (whole, axis)) for name, whole in wholes.items()}

    def _sum(self, node: Node, a: Operand | None, b: Operand | None) -> Operand:
        if b is None:
            assert a is not None
            return a
        if a is None:
            return b if node.op == "add" else self._add(node, "neg", (b,))
        return self._add(node, node.op, (a, b))

    def _times(self, node: Node, a: Operand, b: Operand) -> Operand:
        if a == 1.0:
            return b
        return a if b == 1.0 else self._add(node, "mul", (a, b))


def _is_known(arg: Any, known: Mapping[int, Parts]) -> bool:
    return isinstance(arg, Ref) and arg.index in known


_NUMBERS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
}
