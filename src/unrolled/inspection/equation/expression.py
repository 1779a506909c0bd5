"""An equation's right-hand side as a tree: the value of one row, in which an axis of size 1 is no axis.

So ``x`` (B, I) is a vector of I numbers, a weight (H, I) a matrix, a sum over the features a number. What only moves
axes of size 1 or the rows about is then nothing at all, and an equation has as few signs as on paper.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Expr:
    """An operation on the values of others; a leaf has no arguments.

    Operations are those of compiler/operations.py, and: ``leaf`` (kind, key), ``number`` (value), ``matmul``,
    ``each`` (matrix products of the parts along the first axis), ``spread`` (where: False for a new axis of size 1),
    ``cat`` (axis), ``call`` (name, ...) and the functions that rules.py finds.
    """

    op: str
    args: tuple["Expr", ...] = ()
    shape: Shape = ()
    data: tuple[Any, ...] = ()
    digest: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        digest = hash((self.op, tuple(arg.digest for arg in self.args), self.shape, self.data))
        object.__setattr__(self, "digest", digest)

    def __hash__(self) -> int:
        return self.digest

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Expr) or self.digest != other.digest:
            return False
        return (self.op, self.shape, self.data, self.args) == (other.op, other.shape, other.data, other.args)


def number(value: float) -> Expr:
    """A number."""
    return Expr("number", (), (), (value,))


def squeezed(sizes: Sequence[int]) -> Shape:
    """A shape without the axes of size 1."""
    return tuple(size for size in sizes if size != 1)


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The shape of what is computed element by element from values of these shapes."""
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))


def pointwise(op: str, operands: Sequence[tuple[Expr, Shape]], shape: Shape, data: tuple[Any, ...] = ()) -> Expr:
    """An operation on corresponding elements.

    Args:
        op: the operation.
        operands: each with the shape that it has in the graph, in which sizes of 1 count,
        shape: and that of the result.
        data: whatever else decides the operation.
    """
    kept = [axis for axis, size in enumerate(shape) if size != 1]
    whole = tuple(shape[axis] for axis in kept)
    placed = tuple(_placed(a, sizes, len(shape), kept) for a, sizes in operands)
    plain = tuple(unexpanded(a) for a in placed)
    if broadcast([a.shape for a in plain]) == whole:
        return Expr(op, plain, whole, data)
    found = broadcast([a.shape for a in placed])
    return expand(Expr(op, placed, found, data), whole)


def _placed(a: Expr, sizes: Shape, rank: int, kept: Sequence[int]) -> Expr:
    """An operand with its axes at those of the result, counted from the last."""
    first = rank - len(sizes)
    own = {first + axis for axis, size in enumerate(sizes) if size != 1}
    pattern = [axis in own for axis in kept]
    while pattern and not pattern[0]:
        pattern.pop(0)
    return spread(a, tuple(pattern))


def spread(a: Expr, pattern: tuple[bool, ...]) -> Expr:
    """``a`` with new axes of size 1 where the pattern says False."""
    if all(pattern):
        return a
    sizes = iter(a.shape)
    return Expr("spread", (a,), tuple(next(sizes) if own else 1 for own in pattern), pattern)


def unexpanded(a: Expr) -> Expr:
    """What is repeated in ``a``."""
    return a.args[0] if a.op == "expand" else a


def expand(a: Expr, shape: Shape) -> Expr:
    """``a`` repeated to this shape."""
    a = unexpanded(a) if unexpanded(a).op == "number" else a
    return a if a.shape == shape else Expr("expand", (a,), shape)


def reshape(a: Expr, shape: Shape) -> Expr:
    """The same elements in another shape."""
    if a.op == "reshape":
        a = a.args[0]
    if a.op == "expand" and not a.args[0].shape:
        return expand(a.args[0], shape)
    return a if a.shape == shape else Expr("reshape", (a,), shape)


def permute(a: Expr, axes: Sequence[int]) -> Expr:
    """The axes in another order."""
    if a.op == "permute":
        a, axes = a.args[0], [a.data[axis] for axis in axes]
    if list(axes) == list(range(len(axes))):
        return a
    return Expr("permute", (a,), tuple(a.shape[axis] for axis in axes), tuple(axes))


def matmul(a: Expr, b: Expr) -> Expr:
    """A matrix product: of a matrix and a vector, of a vector (a row) and a matrix, of two matrices or vectors; times
    a number.
    """
    if (len(a.shape) < 2 and len(b.shape) < 2) and _is_closed(b) and not _is_closed(a):
        a, b = b, a  # either way round it is one sum of products: a weight stands first
    if not a.shape or not b.shape:
        return Expr("matmul", (a, b), a.shape or b.shape)
    if len(a.shape) == 1 and b.op == "permute":  # v W.T is W v
        a, b = b.args[0], a
    return Expr("matmul", (a, b), a.shape[:-1] + b.shape[1:])


def _is_closed(a: Expr) -> bool:
    """Whether it is a parameter, or a part of one."""
    while a.op == "slice":
        a = a.args[0]
    return a.op == "leaf" and a.data[0] == "closed"


def each(a: Expr, b: Expr) -> Expr:
    """The products of the parts of a and of b along their first axes."""
    if len(a.shape) == 2 and len(b.shape) == 3 and b.op == "permute" and b.data == (0, 2, 1):
        a, b = b.args[0], a
    first, second = a.shape[1:], b.shape[1:]
    parts = first[:-1] + second[1:] if first and second else first or second
    return Expr("each", (a, b), a.shape[:1] + parts)


def walk(root: Expr, seen: dict[Expr, None] | None = None) -> dict[Expr, None]:
    """Every expression in a tree once, arguments before what reads them."""
    seen = {} if seen is None else seen
    waiting = [(root, False)]
    while waiting:
        expr, ready = waiting.pop()
        if expr in seen:
            continue
        if ready:
            seen[expr] = None
        else:
            waiting.append((expr, True))
            waiting.extend((arg, False) for arg in reversed(expr.args))
    return seen


def rebuilt(root: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """A tree in which each expression, its arguments already changed, is what ``change`` makes of it."""
    made: dict[Expr, Expr] = {}
    for expr in walk(root):
        args = tuple(made[arg] for arg in expr.args)
        same = all(a is b for a, b in zip(args, expr.args, strict=True))
        made[expr] = change(expr if same else Expr(expr.op, args, expr.shape, expr.data))
    return made[root]
