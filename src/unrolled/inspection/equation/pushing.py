"""A part of a value: taken of what it is computed from, as far as that goes.

``(W x + b)[0:H]`` becomes ``W[0:H] x + b[0:H]``, the rows of one gate.
"""

from ...compiler.operations import POINTWISE
from .expression import Expr, each, matmul, permute, reshape, spread


def part(a: Expr, axis: int, start: int, stop: int, step: int = 1) -> Expr:
    """``a`` along one axis from ``start`` to before ``stop``."""
    if axis >= len(a.shape) or (start, stop, step) == (0, a.shape[axis], 1):
        return a
    pushed = _pushed(a, axis, start, stop, step)
    return _cut(a, axis, start, stop, step) if pushed is None else pushed


def _cut(a: Expr, axis: int, start: int, stop: int, step: int) -> Expr:
    if a.op == "slice" and a.data[0] == axis and a.data[3] == step == 1 and a.shape[axis] > 1:
        start, stop, a = a.data[1] + start, a.data[1] + stop, a.args[0]
    size = len(range(start, stop, step))
    shape = a.shape[:axis] + (() if size == 1 else (size,)) + a.shape[axis + 1 :]
    return Expr("slice", (a,), shape, (axis, start, stop, step))


def _pushed(a: Expr, axis: int, start: int, stop: int, step: int) -> Expr | None:
    """The part, where it ends at parameters, products, inputs or numbers; None where it does not."""
    where = (start, stop, step)
    if a.op in ("leaf", "slice"):
        return _cut(a, axis, *where)
    if a.op == "matmul":
        return _of_product(a, axis, *where)
    if a.op == "each":
        return _of_each(a, axis, *where)
    if a.op == "cat":
        return _of_cat(a, axis, *where)
    if a.op in POINTWISE:
        return _of_elements(a, axis, *where)
    if a.op == "permute":
        inner = _pushed(a.args[0], a.data[axis], *where)
        if inner is None or len(range(*where)) == 1:
            return None
        return permute(inner, a.data)
    if a.op == "reshape" and len(a.args[0].shape) == 1 and axis == 0 and step == 1:
        inner_size = a.args[0].shape[0] // a.shape[0]
        inner = _pushed(a.args[0], 0, start * inner_size, stop * inner_size, 1)
        if inner is None:
            return None
        return reshape(inner, (*(() if stop - start == 1 else (stop - start,)), *a.shape[1:]))
    return None


def _of_product(a: Expr, axis: int, start: int, stop: int, step: int) -> Expr | None:
    left, right = a.args
    free = len(left.shape) - 1 if left.shape and right.shape else len(left.shape)
    if axis < free:
        left = part(left, axis, start, stop, step)
    else:
        right = part(right, axis - free + (1 if left.shape and right.shape else 0), start, stop, step)
    return matmul(left, right)


def _of_each(a: Expr, axis: int, start: int, stop: int, step: int) -> Expr | None:
    left, right = a.args
    if axis == 0:
        if len(range(start, stop, step)) == 1:
            return matmul(part(left, 0, start, stop, step), part(right, 0, start, stop, step))
        return each(part(left, 0, start, stop, step), part(right, 0, start, stop, step))
    if len(left.shape) == 3 and axis == 1:
        return each(part(left, 1, start, stop, step), right)
    return None


def _of_cat(a: Expr, axis: int, start: int, stop: int, step: int) -> Expr | None:
    """The one of the values side by side in which the part lies."""
    if axis != a.data[0] or step != 1:
        return None
    first = 0
    for one in a.args:
        size = one.shape[axis] if len(one.shape) == len(a.shape) else 1
        if first <= start and stop <= first + size:
            whole = (start, stop) == (first, first + size)
            return one if whole else _pushed(one, axis, start - first, stop - first, 1)
        first += size
    return None


def _of_elements(a: Expr, axis: int, start: int, stop: int, step: int) -> Expr | None:
    back = len(a.shape) - axis  # counted from the last axis, where operands of fewer axes are aligned
    gone = len(range(start, stop, step)) == 1
    args = []
    for arg in a.args:
        own = len(arg.shape) - back
        if own < 0:
            args.append(arg)
        elif arg.op == "spread":
            inner = _of_spread(arg, own, start, stop, step)
            if inner is None:
                return None
            args.append(inner)
        else:
            pushed = _pushed(arg, own, start, stop, step)
            if pushed is None:
                return None
            args.append(pushed)
    size = len(range(start, stop, step))
    shape = a.shape[:axis] + (() if gone else (size,)) + a.shape[axis + 1 :]
    return Expr(a.op, tuple(args), shape, a.data)


def _of_spread(a: Expr, axis: int, start: int, stop: int, step: int) -> Expr | None:
    pattern, inner = list(a.data), a.args[0]
    if pattern[axis]:
        pushed = _pushed(inner, sum(pattern[:axis]), start, stop, step)
        if pushed is None:
            return None
        inner = pushed
    if len(range(start, stop, step)) == 1:
        del pattern[axis]
    while pattern and not pattern[0]:
        pattern.pop(0)
    return spread(inner, tuple(pattern))
