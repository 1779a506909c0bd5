"""The graph of one step: what the tracer gives and what every later stage reads.

A node is one operation on tensors. Its shape is that of a trace with ``batch`` rows, a large prime: a size
that ``batch`` divides counts rows, every other size is a size of features. Nothing else tells the two apart,
so a graph serves any number of rows: the B rows of one time step, or the T·B rows of all of them at once.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from .operations import RANDOM


def at(where: str) -> str:
    """A user's line, to stand behind a name in a message; "" where it is not known."""
    return f" at {where}" if where else ""


@dataclass(frozen=True)
class Ref:
    """An operand: the value of node number ``index``."""

    index: int


@dataclass(frozen=True)
class Node:
    """One operation."""

    op: str  # a name of compiler/operations.py, "input", or an aten operation such as "aten.topk.default"
    args: tuple[Any, ...]  # Refs, numbers, and (nested) tuples of these
    shape: tuple[int, ...]
    dtype: torch.dtype
    where: str = ""  # file:line of the user's code

    def operands(self) -> Iterator[int]:
        """The nodes that this one reads, in order, repeated if read twice."""
        return _refs(self.args)

    @property
    def at(self) -> str:
        """The user's line, to stand behind the name of the operation in a message; "" where it is not known."""
        return at(self.where)


def _refs(args: Any) -> Iterator[int]:
    for arg in args:
        if isinstance(arg, Ref):
            yield arg.index
        elif isinstance(arg, tuple):
            yield from _refs(arg)


@dataclass(frozen=True)
class Graph:
    """One step, forward and backward: every list holds numbers of nodes; None is a gradient that is zero."""

    batch: int
    nodes: tuple[Node, ...]  # operands before their users
    x: tuple[int, ...]  # inputs
    state: tuple[int, ...]
    closed: tuple[int, ...]  # tensors that the step closes over
    output: tuple[int, ...]
    new_state: tuple[int, ...]
    d_output: tuple[int | None, ...] = ()  # inputs of the backward half; None for what has no gradient
    d_new_state: tuple[int | None, ...] = ()
    d_x: tuple[int | None, ...] = ()  # results of the backward half
    d_state: tuple[int | None, ...] = ()
    d_closed: tuple[int | None, ...] = ()

    def is_rows(self, index: int) -> bool:
        """Whether a value has one entry for each row of the batch."""
        return any(is_rows(size, self.batch) for size in self.nodes[index].shape)

    def row_shape(self, index: int) -> tuple[int, ...]:
        """The shape of a value where the batch has one row."""
        return tuple(size // self.batch if is_rows(size, self.batch) else size for size in self.nodes[index].shape)

    def row_size(self, index: int) -> int:
        """Elements of a value where the batch has one row."""
        count = 1
        for size in self.row_shape(index):
            count *= size
        return count

    def rows_axis(self, index: int) -> int | None:
        """The one axis whose size is the batch; None where rows are folded with features, or there are none."""
        axes = [axis for axis, size in enumerate(self.nodes[index].shape) if is_rows(size, self.batch)]
        return axes[0] if len(axes) == 1 and self.nodes[index].shape[axes[0]] == self.batch else None

    def sequence_axis(self, index: int) -> int:
        """The axis of the rows, T·B of them, of a value that is a sequence.

        Raises:
            AssertionError: the value has no rows, or they are folded with features.
        """
        axis = self.rows_axis(index)
        if axis is None:
            node = self.nodes[index]
            raise AssertionError(f"{node.op}{node.at}: expected one axis of {self.batch} rows, got shape {node.shape}.")
        return axis


def is_rows(size: int, batch: int) -> bool:
    """Whether a size counts rows."""
    return size > 0 and size % batch == 0


def resize(shape: Iterable[int], batch: int, rows: int) -> tuple[int, ...]:
    """A traced shape, where the batch has this number of rows."""
    return tuple(size // batch * rows if is_rows(size, batch) else size for size in shape)


def ancestors(graph: Graph, results: Iterable[int | None], stop: Callable[[int], bool] = lambda _: False) -> set[int]:
    """The nodes from which ``results`` are computed, these included; not past a node at which ``stop`` holds."""
    found: set[int] = set()
    waiting = [index for index in results if index is not None]
    while waiting:
        index = waiting.pop()
        if index in found:
            continue
        found.add(index)
        if not stop(index):
            waiting.extend(graph.nodes[index].operands())
    return found


def descendants(graph: Graph, sources: Iterable[int | None]) -> set[int]:
    """The nodes that depend on ``sources``, these included."""
    found = {index for index in sources if index is not None}
    for index, node in enumerate(graph.nodes):
        if any(operand in found for operand in node.operands()):
            found.add(index)
    return found


@dataclass
class Builder:
    """A graph under construction; an operation that is there already is not added again."""

    nodes: list[Node] = field(default_factory=list)
    known: dict[Any, int] = field(default_factory=dict)

    def add(self, op: str, args: tuple[Any, ...], shape: Iterable[int], dtype: torch.dtype, where: str = "") -> int:
        """The number of the node with this operation, added unless there is an equal one."""
        node = Node(op, args, tuple(shape), dtype, where)
        key = (op, _exact(args), node.shape, dtype)
        if op in NOT_SHARED or key not in self.known:
            self.nodes.append(node)
            self.known[key] = len(self.nodes) - 1
            return len(self.nodes) - 1
        return self.known[key]


NOT_SHARED = RANDOM | {"input"}  # twice the same operation, but two different values


def _exact(args: Any) -> Any:
    """Arguments as a key: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(args, Ref):
        return args
    if isinstance(args, tuple):
        return tuple(_exact(arg) for arg in args)
    return (type(args).__name__, repr(args))
