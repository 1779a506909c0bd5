"""Which values of a step are equations of their own: its results, and what has a name and is worth a line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .expression import Expr, rebuilt, walk

SHORT = 12  # signs of an expression that may stand inside another
LONG = 60  # signs from which on it gets a line even without a name
SMALL = 3  # signs of one that may be written twice


@dataclass(frozen=True)
class Draft:
    """A line before its values have their final names."""

    key: int
    whole: Expr  # the value, of parameters, inputs and state alone
    right: Expr  # the same of earlier lines' values, each a leaf ("value", key)
    names: tuple[str, ...]  # that the user's code gives to it, best first


def is_moved(expr: Expr) -> bool:
    """Whether an expression is a leaf, or a part or another order of one."""
    while expr.op in ("slice", "spread", "reshape", "permute", "expand"):
        expr = expr.args[0]
    return expr.op in ("leaf", "number", "iota", "constant")


def draft(
    roots: Iterable[Expr],
    names: Mapping[Expr, list[tuple[int, str]]],
    place: Mapping[Expr, int],
    wanted: Mapping[Expr, str],
) -> list[Draft]:
    """The lines of an equation in an order in which each can be computed.

    Args:
        roots: the results.
        names: of values, what the user's code calls them, each with how deep in its calls that is.
        place: of values, when they are computed.
        wanted: further values that get a line, with their names.
    """
    roots = [*roots, *wanted]
    order: dict[Expr, None] = {}
    for root in roots:
        walk(root, order)
    readers: dict[Expr, list[Expr]] = {expr: [] for expr in order}
    for expr in order:
        for arg in expr.args:
            readers[arg].append(expr)
    size: dict[Expr, int] = {}
    products: dict[Expr, int] = {}
    inner: dict[Expr, Expr] = {}  # with the values of earlier lines as leaves
    lines: list[Draft] = []
    for expr in order:
        args = tuple(inner[arg] for arg in expr.args)
        right = Expr(expr.op, args, expr.shape, expr.data) if args else expr
        size[expr] = 1 + sum(size[arg] for arg in expr.args)
        products[expr] = (expr.op in ("matmul", "each")) + sum(products[arg] for arg in expr.args)
        inner[expr] = right
        own = sorted(names.get(expr, ()))
        near = any(depth == 0 for depth, _ in own)
        uses = 0 if _is_term(expr, readers[expr]) else len(readers[expr])
        if (
            expr in roots or _worth(uses, size[expr], products[expr], near=near, is_part=expr.op == "slice")
        ) and not is_moved(expr):
            key = len(lines)
            called = (wanted[expr],) if expr in wanted else tuple(name for depth, name in own if depth == own[0][0])
            lines.append(Draft(key, expr, right, called))
            inner[expr] = Expr("leaf", (), expr.shape, ("value", key))
            size[expr], products[expr] = 1, 0
    return _in_order(lines, place)


def _in_order(lines: list[Draft], place: Mapping[Expr, int]) -> list[Draft]:
    """The lines in the order of the user's code, each behind those that it reads."""
    waiting = sorted(lines, key=lambda line: (place.get(line.whole, -1), line.key))
    done: set[int] = set()
    found: list[Draft] = []
    while waiting:
        ready = next(line for line in waiting if _read_by(line) <= done)
        waiting.remove(ready)
        found.append(ready)
        done.add(ready.key)
    return found


def _read_by(line: Draft) -> set[int]:
    return {expr.data[1] for expr in walk(line.right) if expr.op == "leaf" and expr.data[0] == "value"}


def _is_term(expr: Expr, readers: list[Expr]) -> bool:
    """Whether a value is a sum, or a product, that stands in one other sum and nowhere else."""
    sums = ("add", "sub")
    return len(readers) == 1 and readers[0].op in sums and expr.op in (*sums, "matmul", "each")


def _worth(uses: int, size: int, products: int, *, near: bool, is_part: bool) -> bool:
    """Whether a value that is read so often gets a line; ``near``: the step itself has a name for it."""
    if not uses:
        return size > LONG
    if near and (is_part or products >= 2 or size > SHORT):
        return True
    if uses > 1:
        return size > (SMALL if near else 2 * SMALL)
    return size > LONG


def depends_on_time(right: Expr, timed: set[int]) -> bool:
    """Whether a line's value is another at each step; ``timed``: the earlier lines of which that is so."""
    kinds = [expr.data for expr in walk(right) if expr.op == "leaf"]
    draws = any(expr.op == "draw" for expr in walk(right))
    return draws or any(kind in ("x", "state") or (kind == "value" and key in timed) for kind, key in kinds)


def replaced(root: Expr, table: Mapping[Expr, Expr]) -> Expr:
    """An expression in which these stand for others."""
    return rebuilt(root, lambda expr: table.get(expr, expr))
