"""What a reader knows by name: functions that reach a graph as the arithmetic that they are made of.

A rule says what a name stands for, in the grammar of parsing.py; what no rule knows stays arithmetic, as it is. Small
letters stand for any value; ``n`` for the number of entries along the last axis, over which ``sum``, ``mean`` and
``amax`` are taken here; ``eps`` and names that begin with ``k`` for any number.
"""

from collections.abc import Iterator
from functools import cache

from .expression import Expr
from .parsing import Tree, parse

RULES = (
    ("relu(a)", "max(a, 0)"),
    ("clip(a, k1, k2)", "min(max(a, k1), k2)"),
    ("mean(a)", "sum(a) / n"),
    ("norm(a, eps)", "(a - mean(a)) * rsqrt(mean((a - mean(a))^2) + eps)"),
    ("norm(a, eps)", "(a - mean(a)) / sqrt(mean((a - mean(a))^2) + eps)"),
    ("rms(a, eps)", "a * rsqrt(mean(a^2) + eps)"),
    ("rms(a, eps)", "a / sqrt(mean(a^2) + eps)"),
    ("softmax(a)", "exp(a - amax(a)) / sum(exp(a - amax(a)))"),
    ("log_softmax(a)", "a - amax(a) - log(sum(exp(a - amax(a))))"),
    (
        "logsumexp(a)",
        "log(sum(exp(a - where(abs(amax(a)) == inf, 0, amax(a))))) + where(abs(amax(a)) == inf, 0, amax(a))",
    ),
    ("log_sigmoid(a)", "min(0, a) - log1p(exp(-abs(a)))"),
    ("softplus(a)", "where(a > 20, a, log1p(exp(a)))"),
    ("mish(a)", "a * tanh(softplus(a))"),
    ("silu(a)", "a * sigmoid(a)"),
    ("gelu(a)", "0.5 * a * (erf(0.7071067811865476 * a) + 1)"),
    ("leaky_relu(a, k)", "where(a > 0, a, a * k)"),
    ("elu(a)", "where(a > 0, a, expm1(a))"),
    ("a^3", "a^2 * a"),
    ("a^2", "a * a"),
    ("1 / a", "reciprocal(a)"),
)
NAMES = {"max": "maximum", "min": "minimum"}
REDUCED = ("sum", "mean", "amax")
COMMUTE = ("add", "mul", "maximum", "minimum", "eq")

Found = dict[str, Expr]


def fold(expr: Expr) -> Expr:
    """The function that an expression is, if a rule knows it; its arguments have been through here before."""
    expr = _simpler(expr)
    for name, pattern in _rules().get(expr.op, ()):
        for found in _matches(pattern, expr, {}):
            if name.op != "mean" or found["n"].data[0] == found["a"].shape[-1]:
                return _made(name, found, expr)
    return expr


@cache
def _rules() -> dict[str, list[tuple[Tree, Tree]]]:
    """The rules by the operation that is at the top."""
    table: dict[str, list[tuple[Tree, Tree]]] = {}
    for name, text in RULES:
        pattern = _named(parse(text))
        table.setdefault(pattern.op, []).append((_named(parse(name)), pattern))
    return table


def _named(tree: Tree) -> Tree:
    """``call`` of a name as the operation of this name."""
    args = tuple(_named(arg) for arg in tree.args)
    if tree.op == "call":
        return Tree(NAMES.get(tree.data[0], tree.data[0]), args)
    return Tree(tree.op, args, tree.data)


def _simpler(expr: Expr) -> Expr:
    """Without a factor of 1, and with numbers behind the signs that are theirs."""
    if expr.op == "mul":
        for a, b in (expr.args, expr.args[::-1]):
            if a.op == "number" and a.data[0] == 1 and type(a.data[0]) is not bool and b.shape == expr.shape:
                return b
    if expr.op == "sum" and expr.args[0].op == "mul" and expr.data == (len(expr.args[0].shape) - 1,):
        return _product(expr)
    if expr.op == "neg" and expr.args[0].op == "neg":
        return expr.args[0].args[0]
    return expr


def _product(expr: Expr) -> Expr:
    """Sums over the last axis of a matrix times a vector, or of several, as the product that they are."""
    for a, b in (expr.args[0].args, expr.args[0].args[::-1]):
        if len(a.shape) == 2 and len(b.shape) == 1 and a.shape[1] == b.shape[0]:
            return Expr("matmul", (a, b), expr.shape)
        if len(a.shape) == 3 and b.op == "spread" and b.data == (True, False, True) and b.shape[::2] == a.shape[::2]:
            return Expr("each", (a, b.args[0]), expr.shape)
    return expr


def _matches(pattern: Tree, expr: Expr, found: Found) -> Iterator[Found]:
    """Every way in which an expression is what a pattern says."""
    if pattern.op == "name":
        yield from _of_name(pattern.data[0], expr, found)
    elif pattern.op == "number":
        if expr.op == "number" and abs(expr.data[0] - pattern.data[0]) <= 1e-12:
            yield found
    elif pattern.op in REDUCED:
        if expr.op == "spread" and expr.data == (True,) * (len(expr.data) - 1) + (False,):
            expr = expr.args[0]
        if expr.op == pattern.op and expr.data == (len(expr.args[0].shape) - 1,):
            yield from _matches(pattern.args[0], expr.args[0], found)
    elif expr.op == pattern.op and len(expr.args) == len(pattern.args):
        orders = [expr.args, expr.args[::-1]] if pattern.op in COMMUTE else [expr.args]
        for args in orders:
            yield from _all_match(pattern.args, args, found)


def _all_match(patterns: tuple[Tree, ...], args: tuple[Expr, ...], found: Found) -> Iterator[Found]:
    if not patterns:
        yield found
        return
    for more in _matches(patterns[0], args[0], found):
        yield from _all_match(patterns[1:], args[1:], more)


def _of_name(name: str, expr: Expr, found: Found) -> Iterator[Found]:
    if name in found:
        if found[name] == expr:
            yield found
    elif name in ("n", "eps") or name.startswith("k"):
        if expr.op == "number":
            yield {**found, name: expr}
    elif expr.op != "number":
        yield {**found, name: expr}


def _made(name: Tree, found: Found, whole: Expr) -> Expr:
    if name.op == "name":
        return found[name.data[0]]
    if name.op == "number":
        return Expr("number", (), (), name.data)
    args = tuple(_made(arg, found, whole) for arg in name.args)
    if name.op in REDUCED:
        return Expr(name.op, args, whole.shape, (len(args[0].shape) - 1,))
    return Expr(name.op, args, whole.shape)
