"""The value of an element as a C expression: views become indices, operations on elements become text."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ...core import UnsupportedStep
from ..graph import Graph, Node, Ref
from ..operations import COMPARISONS, LOGICAL, POINTWISE
from .index import Affine, Index, flatten, unflatten, variable

C_TYPES = {
    torch.float32: "float",
    torch.bfloat16: "float",  # in which it is computed; only sequences are stored in 16 bits
    torch.float64: "double",
    torch.int64: "long long",
    torch.int32: "int",
    torch.bool: "unsigned char",
}
SUFFIXES = {
    torch.float32: "_f",
    torch.bfloat16: "_f",
    torch.float64: "_d",
    torch.int64: "_l",
    torch.int32: "_l",
    torch.bool: "_l",
}


class NeedsBuffer(Exception):
    """A value must be stored before what comes after it can be written."""

    def __init__(self, index: int):
        super().__init__(index)
        self.index = index


@dataclass
class Body:
    """The statements of one loop's body; a value needed twice at one index is computed once."""

    lines: list[str] = field(default_factory=list)
    known: dict[tuple[int, Index], str] = field(default_factory=dict)
    loads: set[int] = field(default_factory=set)  # buffers read


class Expressions:
    """Writes the elements of a graph's values.

    Args:
        graph: the step.
        stored: the values that have a buffer.
        load: the C text that reads a buffer's element at a place in row-major order.
    """

    def __init__(self, graph: Graph, stored: set[int], load: Callable[[int, str], str]):
        self.graph, self.stored, self.load = graph, stored, load

    def element(self, index: int, at: Index, body: Body) -> str:
        """A C name or literal for the element of a value at an index of its row shape."""
        node, shape = self.graph.nodes[index], self.graph.row_shape(index)
        if node.op == "full":
            return literal(node.args[0], node.dtype)
        stored = self.place(index, at)
        if stored is not None:
            buffer, flat = stored
            body.loads.add(buffer)
            return self._name(buffer, (flat,), body, lambda: self.load(buffer, flat.c()))
        if node.op == "iota":
            return self._name(index, at, body, lambda: f"(long long)({at[0].c()})")
        if node.op in VIEW_INDICES:
            source = node.args[0].index
            return self.element(source, self.view(index, at), body)
        if node.op not in POINTWISE:
            raise NeedsBuffer(index)
        key = (index, at)
        if key not in body.known:
            text = self._pointwise(node, at, shape, body)  # its operands' statements come first
            self._name(index, at, body, lambda: text)
        return body.known[key]

    def place(self, index: int, at: Index) -> tuple[int, Affine] | None:
        """The buffer, and the place in it, of an element that needs no arithmetic; None if it needs some."""
        node, shape = self.graph.nodes[index], self.graph.row_shape(index)
        if index in self.stored:
            return index, flatten(at, shape)
        if node.op not in VIEW_INDICES:
            return None
        source = node.args[0].index
        if node.op == "reshape" and source in self.stored:  # the same place in memory, whatever the shapes
            return source, flatten(at, shape)
        return self.place(source, self.view(index, at))

    def view(self, index: int, at: Index) -> Index:
        """Where the element of a view lies in the value that is viewed."""
        node = self.graph.nodes[index]
        source = node.args[0].index
        result = VIEW_INDICES[node.op](node, at, self.graph.row_shape(index), self.graph.row_shape(source))
        if result is None:
            raise NeedsBuffer(source)
        return result

    def _name(self, index: int, at: Index, body: Body, text: Callable[[], str]) -> str:
        key = (index, at)
        if key not in body.known:
            name = f"e{len(body.known)}"
            body.lines.append(f"const {c_type(self.graph.nodes[index])} {name} = {text()};")
            body.known[key] = name
        return body.known[key]

    def _pointwise(self, node: Node, at: Index, shape: tuple[int, ...], body: Body) -> str:
        args = list(node.args)
        if node.op == "cast":
            args = args[:1]
        dtype = common(self.graph, node)
        texts = []
        for place, arg in enumerate(args):
            wanted = None if (node.op == "where" and place == 0) or node.op in LOGICAL else dtype
            if isinstance(arg, Ref):
                own = self.graph.row_shape(arg.index)
                text = self.element(arg.index, broadcast(at, own), body)
                given = self.graph.nodes[arg.index].dtype
                if wanted is not None and given != wanted:
                    text = convert(text, given, wanted)
            else:
                text = literal(arg, wanted or torch.bool)
            texts.append(text)
        if node.op == "cast" and dtype == torch.bfloat16:
            return f"u_round_bf16({texts[0]})"
        return POINTWISE[node.op].c.replace("@", SUFFIXES[dtype]).format(*texts)


def c_type(node: Node) -> str:
    """The C type of a node's elements.

    Raises:
        UnsupportedStep: kernels do not have this dtype.
    """
    if node.dtype not in C_TYPES:
        raise UnsupportedStep(f"no kernel computes in {node.dtype} ({node.op}{node.at}).")
    return C_TYPES[node.dtype]


def is_short(node: Node) -> bool:
    """Whether a node's sequence is kept in 16 bits."""
    return node.dtype == torch.bfloat16


def sequence_type(node: Node) -> str:
    """The C type of a node's elements where they are kept as a sequence."""
    return "uint16_t" if is_short(node) else c_type(node)


def convert(text: str, given: torch.dtype, wanted: torch.dtype) -> str:
    """A C value of one dtype as another."""
    return f"({text} != 0)" if wanted == torch.bool else f"(({C_TYPES[wanted]}){text})"


def common(graph: Graph, node: Node) -> torch.dtype:
    """The dtype in which a node's operands meet."""
    if node.op not in COMPARISONS:
        return node.dtype
    found = [graph.nodes[arg.index].dtype for arg in node.args if isinstance(arg, Ref)]
    dtype = found[0]
    for other in found[1:]:
        dtype = torch.promote_types(dtype, other)
    if any(isinstance(arg, float) for arg in node.args) and not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    if dtype == torch.bool and any(isinstance(arg, int) and not isinstance(arg, bool) for arg in node.args):
        dtype = torch.int64
    return dtype


def literal(value: float | bool, dtype: torch.dtype) -> str:
    """A number as C text of a dtype."""
    if dtype == torch.bool:
        return "1" if value else "0"
    if not dtype.is_floating_point:
        return f"({int(value)}LL)"
    kind = "" if dtype == torch.float64 else "f"
    number = float(value)
    if kind:
        import numpy as np

        with np.errstate(over="ignore"):  # too large for float32 is infinite
            number = float(np.float32(number))
    if number != number:
        return "((float)NAN)" if kind else "((double)NAN)"
    if number in (float("inf"), float("-inf")):
        name = "((float)INFINITY)" if kind else "((double)INFINITY)"
        return name if number > 0 else f"(-{name})"
    return f"({number.hex()}{kind})"


def broadcast(at: Index, shape: tuple[int, ...]) -> Index:
    """An index of a broadcast result as an index of an operand."""
    mine = at[len(at) - len(shape) :] if shape else ()
    return tuple(Affine() if size == 1 else part for part, size in zip(mine, shape, strict=True))


def _reshape(node: Node, at: Index, shape: tuple[int, ...], source: tuple[int, ...]) -> Index | None:
    return unflatten(flatten(at, shape), source)


def _permute(node: Node, at: Index, shape: tuple[int, ...], source: tuple[int, ...]) -> Index:
    result = [Affine()] * len(source)
    for axis, part in zip(node.args[1], at, strict=True):
        result[axis] = part
    return tuple(result)


def _slice(node: Node, at: Index, shape: tuple[int, ...], source: tuple[int, ...]) -> Index:
    axis, start, step = node.args[1], node.args[2], node.args[4]
    return tuple(part * step + Affine(start) if d == axis else part for d, part in enumerate(at))


def _flip(node: Node, at: Index, shape: tuple[int, ...], source: tuple[int, ...]) -> Index:
    return tuple(
        part * -1 + Affine(size - 1) if d in node.args[1] else part
        for d, (part, size) in enumerate(zip(at, shape, strict=True))
    )


VIEW_INDICES: dict[str, Callable[[Node, Index, tuple[int, ...], tuple[int, ...]], Index | None]] = {
    "reshape": _reshape,
    "permute": _permute,
    "slice": _slice,
    "flip": _flip,
    "expand": lambda node, at, shape, source: broadcast(at, source),
}


def counters(shape: tuple[int, ...]) -> Index:
    """Loop variables for every element of a shape, named by their place among the axes that count.

    So (n, 1) and (n,) are one loop.
    """
    names = iter(range(len(shape)))
    return tuple(variable(f"i{next(names)}", size) if size > 1 else Affine() for size in shape)
