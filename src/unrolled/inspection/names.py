"""The values of a graph in a user's words: parameters by their names, operations numbered, views written out."""

from collections.abc import Sequence
from typing import Any

from ..compiler.graph import Graph, Node, Ref, is_rows
from ..compiler.operations import MADE, REDUCTIONS, VIEWS
from ..core import Tree
from .facts import Operation, Value

INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "mm": "@", "bmm": "@", "div_floor": "//",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "and": "and", "or": "or", "xor": "xor", "bit_and": "&", "bit_or": "|", "bit_xor": "^",
}  # fmt: skip
LONGEST = 4  # numbers of a constant that are written out


class Names:
    """Names and texts of the values of one graph.

    Args:
        graph: the step.
        given: the names of the inputs, by the number of the node.
        results: the names of what the step and its derivative return, likewise.
    """

    def __init__(self, graph: Graph, given: dict[int, str], results: Sequence[tuple[str, int]]):
        self.graph, self.given, self.results = graph, given, results

    def name(self, index: int) -> str:
        """A value as it stands in an operation that reads it."""
        node = self.graph.nodes[index]
        if node.op == "input":
            return self.given.get(index, f"%{index}")
        if node.op in VIEWS:
            base = self.graph.nodes[seen(self.graph, index)]
            return _made(base) if base.op == "full" else self._view(node)
        return _made(node) if node.op in MADE else f"%{index}"

    def text(self, index: int) -> str:
        """The operation that gives a value."""
        node = self.graph.nodes[index]
        if node.op in VIEWS or node.op in MADE or node.op == "input":
            return self.name(index)
        args = [self._argument(arg) for arg in node.args]
        if node.op in INFIX:
            return f" {INFIX[node.op]} ".join(args)
        if node.op in REDUCTIONS:
            return f"{args[0]}.{node.op}({_listed(node.args[1])})"
        if node.op == "neg":
            return f"-{args[0]}"
        if node.op == "cast":
            return f"{args[0]}.to({dtype_of(node)})"
        return f"{_short(node.op)}({', '.join(args)})"

    def value(self, index: int) -> Value:
        """A value as data."""
        size = self.graph.row_size(index)
        node = self.graph.nodes[index]
        return Value(self.name(index), self.shape(node.shape), dtype_of(node), size, size * node.dtype.itemsize)

    def values(self, indices: Sequence[int]) -> tuple[Value, ...]:
        """Several values as data."""
        return tuple(self.value(index) for index in indices)

    def operations(self, indices: Sequence[int]) -> tuple[Operation, ...]:
        """The operations among some nodes: views are not, nor what is made of numbers alone."""
        return tuple(
            Operation(
                self.value(index),
                self.text(index),
                short_line(self.graph.nodes[index].where),
                tuple(name for name, result in self.results if seen(self.graph, result) == index),
            )
            for index in indices
            if is_operation(self.graph.nodes[index])
        )

    def shape(self, sizes: Sequence[int]) -> tuple[int | str, ...]:
        """Sizes with B for the number of rows."""
        return tuple(self._size(size) for size in sizes)

    def _size(self, size: int) -> int | str:
        if not is_rows(size, self.graph.batch):
            return size
        count = size // self.graph.batch
        return "B" if count == 1 else f"{count}B"

    def _argument(self, arg: Any) -> str:
        if isinstance(arg, Ref):
            return self.name(arg.index)
        if isinstance(arg, tuple):
            return f"({', '.join(self._argument(item) for item in arg)}{',' if len(arg) == 1 else ''})"
        return f"{arg:g}" if isinstance(arg, float) else str(arg)

    def _view(self, node: Node) -> str:
        source = self.name(node.args[0].index)
        if node.op == "permute":
            plain = node.args[1] == (1, 0)
            return f"{source}.T" if plain else f"{source}.permute({_listed(node.args[1])})"
        if node.op == "slice":
            _, axis, start, stop, step = node.args
            part = f"{start}:{stop}" + (f":{step}" if step != 1 else "")
            return f"{source}[{':, ' * axis}{part}]"
        if node.op == "flip":
            return f"{source}.flip({_listed(node.args[1])})"
        return f"{source}.{node.op}({_listed(self.shape(node.shape))})"


def seen(graph: Graph, index: int) -> int:
    """The value of which another is a view; itself if it is none."""
    while graph.nodes[index].op in VIEWS:
        index = next(graph.nodes[index].operands())
    return index


def is_operation(node: Node) -> bool:
    """Whether a node computes something."""
    return node.op != "input" and node.op not in VIEWS and node.op not in MADE


def dtype_of(node: Node) -> str:
    """``float32``."""
    return str(node.dtype).removeprefix("torch.")


def short_line(where: str) -> str:
    """``/home/me/cell.py:12`` as ``cell.py:12``."""
    return where.replace("\\", "/").rpartition("/")[2]


def tree_names(tree: Tree, name: str) -> list[str]:
    """The names of a tree's leaves, whatever they are: ``state.h``, ``output[1]``."""
    if not isinstance(tree, tuple):
        return [name]
    fields = getattr(tree, "_fields", None)
    children = [f"{name}.{field}" for field in fields] if fields else [f"{name}[{k}]" for k in range(len(tree))]
    return [found for child, below in zip(tree, children, strict=True) for found in tree_names(child, below)]


def reached_names(paths: Sequence[str]) -> list[str]:
    """How a step reaches its tensors, without ``self.``, ``closure.`` and the like where that leaves no doubt."""
    short = [path.partition(".")[2] or path for path in paths]
    return [path if short.count(name) > 1 else name for path, name in zip(paths, short, strict=True)]


def _made(node: Node) -> str:
    if node.op == "full":
        return f"{node.args[0]:g}" if isinstance(node.args[0], float) else str(node.args[0])
    if node.op == "iota":
        return f"arange({node.shape[0]})"
    if len(node.args) <= LONGEST:
        return f"tensor({_listed(node.args)})"
    return f"tensor of {len(node.args)} numbers"


def _short(op: str) -> str:
    """``aten.cumsum.default`` as ``cumsum``."""
    return op.split(".")[1] if op.startswith("aten.") else op


def _listed(items: Sequence[Any]) -> str:
    return ", ".join(str(item) for item in items)
