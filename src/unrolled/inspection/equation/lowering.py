"""From the graph of a step to expressions: what each node is for one row."""

from collections.abc import Callable
from typing import Any

import torch

from ...compiler.graph import Graph, Node, Ref
from ...compiler.operations import POINTWISE
from ...core import UnsupportedStep
from .expression import Expr, Shape, each, expand, matmul, number, permute, pointwise, reshape, spread, squeezed
from .pushing import part

Fold = Callable[[Expr], Expr]  # finds what a reader knows by name


class Lowering:
    """The expressions of a graph's nodes.

    Args:
        graph: one step.
        leaves: the kind and the key of each input, by the number of its node.
        fold: applied to each expression as it is made.
    """

    def __init__(self, graph: Graph, leaves: dict[int, tuple[str, int]], fold: Fold):
        self.graph, self.leaves, self.fold = graph, leaves, fold
        self.made: dict[int, Expr] = {}

    def expr(self, index: int) -> Expr:
        """The expression of a node."""
        waiting = [index]
        while waiting:
            top = waiting[-1]
            missing = [operand for operand in self.graph.nodes[top].operands() if operand not in self.made]
            if missing:
                waiting.extend(missing)
            else:
                waiting.pop()
                if top not in self.made:
                    self.made[top] = self.fold(self._lowered(top))
        return self.made[index]

    def row_shape(self, index: int) -> Shape:
        """The shape of one row, axes of size 1 included."""
        return self.graph.row_shape(index)

    def _lowered(self, index: int) -> Expr:
        node = self.graph.nodes[index]
        if node.op == "input":
            return Expr("leaf", (), squeezed(self.row_shape(index)), self.leaves[index])
        if node.op == "cast":
            return self._cast(index, node)
        if node.op in POINTWISE:
            operands = [self._operand(arg) for arg in node.args]
            if node.op == "mul" and operands[1][0].op == "number":  # 0.5 * a, as on paper
                operands.reverse()
            return pointwise(node.op, operands, self.row_shape(index))
        handler = getattr(self, f"_{node.op}", None) if "." not in node.op else None
        if handler is not None:
            found: Expr = handler(index, node)
            return found
        if node.op in ("sum", "prod", "amax", "amin", "argmax", "argmin"):
            return self._reduced(index, node)
        return self._call(index, node)

    def _operand(self, arg: Any) -> tuple[Expr, Shape]:
        if isinstance(arg, Ref):
            return self.made[arg.index], self.row_shape(arg.index)
        return number(arg), ()

    def _axis(self, index: int, axis: int) -> int:
        """An axis of a node among those that its expression has."""
        return len(squeezed(self.row_shape(index)[:axis]))

    def _source(self, node: Node) -> tuple[int, Expr]:
        index = next(node.operands())
        return index, self.made[index]

    def _cast(self, index: int, node: Node) -> Expr:
        source, a = self._source(node)
        before, after = self.graph.nodes[source].dtype, node.dtype
        if after == torch.bool:
            return Expr("ne", (a, number(0)), a.shape)
        if not after.is_floating_point:
            return Expr("trunc", (a,), a.shape) if before.is_floating_point else a
        if not before.is_floating_point or before.itemsize <= after.itemsize:
            return a
        return Expr("call", (a,), a.shape, (str(after).removeprefix("torch."),))

    def _reshape(self, index: int, node: Node) -> Expr:
        return reshape(self._source(node)[1], squeezed(self.row_shape(index)))

    def _expand(self, index: int, node: Node) -> Expr:
        source, a = self._source(node)
        shape = self.row_shape(index)
        whole = squeezed(shape)
        if squeezed(self.row_shape(source)) == whole:
            return a
        first = len(shape) - len(self.row_shape(source))
        own = {first + axis for axis, size in enumerate(self.row_shape(source)) if size != 1}
        pattern = tuple(axis in own for axis, size in enumerate(shape) if size != 1)
        while pattern and not pattern[0]:
            pattern = pattern[1:]
        return expand(spread(a, pattern), whole)

    def _permute(self, index: int, node: Node) -> Expr:
        source, a = self._source(node)
        sizes = self.row_shape(source)
        return permute(a, [self._axis(source, axis) for axis in node.args[1] if sizes[axis] != 1])

    def _slice(self, index: int, node: Node) -> Expr:
        source, a = self._source(node)
        _, axis, start, stop, step = node.args
        self._no_rows(node, source, axis)
        if self.row_shape(source)[axis] == 1:
            return a
        return part(a, self._axis(source, axis), start, stop, step)

    def _flip(self, index: int, node: Node) -> Expr:
        source, a = self._source(node)
        sizes = self.row_shape(source)
        axes = tuple(self._axis(source, axis) for axis in node.args[1] if sizes[axis] != 1)
        return Expr("flip", (a,), a.shape, axes) if axes else a

    def _cat(self, index: int, node: Node) -> Expr:
        parts, axis = node.args
        for ref in parts:
            self._no_rows(node, ref.index, axis)
        args = tuple(self.made[ref.index] for ref in parts if 0 not in self.row_shape(ref.index))
        return Expr("cat", args, squeezed(self.row_shape(index)), (self._axis(index, axis),))

    def _mm(self, index: int, node: Node) -> Expr:
        (a, sizes), (b, others) = (self._operand(arg) for arg in node.args)
        if sizes[1] == 1 and sizes[0] != 1 and others[1] != 1:
            return pointwise("mul", [(a, sizes), (b, others)], (sizes[0], others[1]))
        return matmul(a, b)

    def _bmm(self, index: int, node: Node) -> Expr:
        (a, sizes), (b, others) = (self._operand(arg) for arg in node.args)
        if sizes[2] == 1 and sizes[1] != 1 and others[2] != 1:
            return pointwise("mul", [(a, sizes), (b, others)], (sizes[0], sizes[1], others[2]))
        return matmul(a, b) if sizes[0] == 1 else each(a, b)

    def _full(self, index: int, node: Node) -> Expr:
        return expand(number(node.args[0]), squeezed(self.row_shape(index)))

    def _iota(self, index: int, node: Node) -> Expr:
        return Expr("iota", (), squeezed(node.shape))

    def _constant(self, index: int, node: Node) -> Expr:
        if len(node.args) == 1:
            return number(node.args[0])
        return Expr("constant", (), squeezed(node.shape), node.args)

    def _rand(self, index: int, node: Node) -> Expr:
        return Expr("draw", (), squeezed(self.row_shape(index)), (node.op, index))

    _randn = _rand

    def _reduced(self, index: int, node: Node) -> Expr:
        source, a = self._source(node)
        sizes = self.row_shape(source)
        for axis in node.args[1]:
            self._no_rows(node, source, axis)
        axes = tuple(self._axis(source, axis) for axis in node.args[1] if sizes[axis] != 1)
        if not axes:
            return number(0) if node.op.startswith("arg") else a
        shape = tuple(size for axis, size in enumerate(a.shape) if axis not in axes)
        return Expr(node.op, (a,), shape, axes)

    def _no_rows(self, node: Node, source: int, axis: int) -> None:
        if self.graph.nodes[source].shape[axis] % self.graph.batch == 0 and self.graph.nodes[source].shape[axis]:
            raise UnsupportedStep(f"{node.op}{node.at} mixes the rows: a step is the equation of one row.")

    def _call(self, index: int, node: Node) -> Expr:
        """An operation of torch's that is no operation of the compiler's: by its name, with its arguments."""
        args = tuple(self._call_argument(arg) for arg in node.args if not isinstance(arg, tuple))
        name = node.op.split(".")[1] if "." in node.op else node.op
        return Expr("call", args, squeezed(self.row_shape(index)), (name, "aten"))

    def _call_argument(self, arg: Any) -> Expr:
        if isinstance(arg, Ref):
            return self.made[arg.index]
        return number(arg) if isinstance(arg, int | float) else Expr("leaf", (), (), ("word", str(arg)))
