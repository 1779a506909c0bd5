"""Are the rows of the batch independent? Only then may a graph run at any number of rows.

Each value with rows has one axis that counts them: ``batch`` alone, or folded with features. A folded axis
holds ``fold`` groups of whole batches, one after the other: 1 for (B, n) folded, n for (n, B) folded.
"""

from ..core import UnsupportedStep
from .graph import Graph, Node, Ref, ancestors, is_rows
from .operations import MADE, POINTWISE, RANDOM

ALONG = frozenset({"aten.cumsum.default", "aten.gather.default"})
"""Operations that no kernel has, and of which it is known that they treat each row by itself, unless the axis that
is their second argument is that of the rows."""

LOOKED_UP = frozenset({
    "aten.index.Tensor",
    "aten.index_put.default",
    "aten._unsafe_index.Tensor",
    "aten._unsafe_index_put.default",
})  # fmt: skip
"""Likewise, unless the axis of the rows is looked up by numbers."""

EMBEDDINGS = frozenset({"aten.embedding.default", "aten.embedding_dense_backward.default"})
"""Likewise, unless the table that is looked up has rows."""


def check_rows(graph: Graph) -> frozenset[int]:
    """The nodes whose value sums over the rows; a parameter's gradient is one.

    Raises:
        UnsupportedStep: an operation mixes rows, or reads how many there are.
    """
    totals: set[int] = set()
    folds: dict[int, int] = {}
    grads = (*graph.d_x, *graph.d_state, *graph.d_closed)
    for index in sorted(ancestors(graph, [*graph.output, *graph.new_state, *grads])):  # of asserts, no result depends
        node = graph.nodes[index]
        axes = [axis for axis, size in enumerate(node.shape) if is_rows(size, graph.batch)]
        if len(axes) > 1:
            raise _mixes(node)
        operands = sorted({operand for operand in node.operands() if graph.is_rows(operand)})
        if axes:
            folds[index] = _fold(graph, node, axes[0], operands, folds)
        _check_numbers(graph, node)
        _check_axes(graph, node)
        if not axes and operands:
            totals.add(index)
        if any(operand in totals for operand in node.operands()):
            if axes:
                raise _mixes(node)
            totals.add(index)
    return frozenset(totals)


def _fold(graph: Graph, node: Node, axis: int, operands: list[int], folds: dict[int, int]) -> int:
    count = node.shape[axis] // graph.batch
    if node.op == "reshape" and operands:
        source = graph.nodes[operands[0]]
        outer = folds[operands[0]]
        for size in source.shape[: _axis(graph, source)]:
            outer *= size
        for size in node.shape[:axis]:
            if size == 0 or outer % size:
                raise _mixes(node)
            outer //= size
        if count % outer:
            raise _mixes(node)
        return outer
    found = {folds[o] for o in operands if graph.nodes[o].shape[_axis(graph, graph.nodes[o])] != graph.batch}
    if len(found) > 1 or (count > 1 and not found and node.op not in MADE | RANDOM):
        raise _mixes(node)
    return found.pop() if found and count > 1 else 1


def _axis(graph: Graph, node: Node) -> int:
    return next(axis for axis, size in enumerate(node.shape) if is_rows(size, graph.batch))


def _check_numbers(graph: Graph, node: Node) -> None:
    """A number that counts rows, other than a size, would stay that of the trace."""
    numbers = [arg for arg in node.args if isinstance(arg, (int, float)) and not isinstance(arg, bool)]
    if node.op in POINTWISE or node.op in MADE:
        if any(number and number % graph.batch == 0 for number in numbers if abs(number) < 1e15):
            raise UnsupportedStep(
                f"step computes with the number of rows B{node.at}; a compiled step serves any B. "
                "Give it as an input, or use backend='reference'."
            )
        if node.op in ("iota", "constant") and any(is_rows(size, graph.batch) for size in node.shape):
            raise _mixes(node)


def _check_axes(graph: Graph, node: Node) -> None:
    """No operation may reorder, cut, join or look up along the axis of the rows."""
    if any(is_rows(size, graph.batch) for size in _sizes_along(graph, node)):
        raise _mixes(node)
    if "." in node.op and node.op not in {*ALONG, *LOOKED_UP, *EMBEDDINGS}:  # an operation of torch's, or a user's
        has_rows = any(graph.is_rows(operand) for operand in node.operands())
        if has_rows or any(is_rows(size, graph.batch) for size in node.shape):
            raise UnsupportedStep(
                f"step uses {node.op}{node.at}, of which it is not known whether it mixes rows. Use "
                "backend='reference'."
            )


def _sizes_along(graph: Graph, node: Node) -> list[int]:
    """The sizes of the axes along which elements of several places meet or move."""
    if node.op == "cat":
        return [node.shape[node.args[1]]]
    if not node.args or not isinstance(node.args[0], Ref):
        return []
    shape = graph.nodes[node.args[0].index].shape
    axes: tuple[int, ...] = ()
    if node.op == "slice" or (node.op in ALONG and shape):
        axes = (node.args[1],)
    elif node.op in ("flip", "amax", "amin", "prod", "argmax", "argmin"):
        axes = node.args[1]
    elif node.op in LOOKED_UP:
        axes = tuple(axis for axis, numbers in enumerate(node.args[1]) if numbers is not None)
    elif node.op == "aten.embedding.default":
        axes = (0,)
    return [shape[axis] for axis in axes]


def _mixes(node: Node) -> UnsupportedStep:
    return UnsupportedStep(
        f"step mixes the rows of the batch: {node.op}{node.at}. A compiled step treats each row by itself; "
        "use backend='reference'."
    )
