"""An expression as plain text, in the grammar of parsing.py."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from .expression import Expr

SUM, TERM, FACTOR, PRODUCT, POWER, PART = range(1, 7)  # how tightly a sign binds
SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
NAMES = {
    "sigmoid": "σ", "log_sigmoid": "log_σ", "maximum": "max", "minimum": "min", "where": "where",
}  # fmt: skip
LONGEST, LARGEST = 10, 4096  # digits of a number that stands as it is; of fractions and roots the numbers
REDUCED = frozenset({"sum", "prod", "mean", "amax", "amin", "argmax", "argmin"})

Symbols = Callable[[Expr], str]  # the text of a leaf


def text(expr: Expr, symbols: Symbols, outer: int = 0) -> str:
    """The text of an expression.

    Args:
        expr: the expression.
        symbols: gives the text of a leaf.
        outer: how tightly what stands around it binds; a looser sign is put into parentheses.
    """
    level, found = _Text(symbols).write(expr)
    return f"({found})" if level < outer else found


class _Text:
    def __init__(self, symbols: Symbols):
        self.symbols = symbols

    def inside(self, expr: Expr, outer: int) -> str:
        level, found = self.write(expr)
        return f"({found})" if level < outer else found

    def write(self, expr: Expr) -> tuple[int, str]:
        """How tightly the text binds, and the text."""
        handler = getattr(self, f"_{expr.op}", None)
        if handler is not None:
            found: tuple[int, str] = handler(expr)
            return found
        if expr.op in SIGNS:
            a, b = (self.inside(arg, SUM) for arg in expr.args)
            return 0, f"{a} {SIGNS[expr.op]} {b}"
        if expr.op in REDUCED:
            whole = len(expr.data) == len(expr.args[0].shape)
            return self.call(expr.op, expr.args, () if whole else expr.data)
        return self.call(NAMES.get(expr.op, expr.op), expr.args)

    def call(self, name: str, args: tuple[Expr, ...], numbers: Any = (), first: Any = ()) -> tuple[int, str]:
        texts = [*map(str, first), *(self.inside(arg, 0) for arg in args), *map(str, numbers)]
        return PART, f"{name}({', '.join(texts)})"

    def _leaf(self, expr: Expr) -> tuple[int, str]:
        return PART, self.symbols(expr)

    def _number(self, expr: Expr) -> tuple[int, str]:
        found = number_text(expr.data[0])
        return (SUM if found[0] == "-" else TERM if "/" in found else PART), found

    def _add(self, expr: Expr) -> tuple[int, str]:
        return SUM, summed(expr, self.inside)

    _sub = _add
    _neg = _add

    def _mul(self, expr: Expr) -> tuple[int, str]:
        a, b = expr.args
        if a.op == "spread" and len(a.args[0].shape) == len(b.shape) == 1:
            return self.call("outer", (a.args[0], b))
        return TERM, f"{self.inside(a, TERM)} * {self.inside(b, TERM if b.op == 'mul' else FACTOR)}"

    def _div(self, expr: Expr) -> tuple[int, str]:
        a, b = expr.args
        return TERM, f"{self.inside(a, TERM)} / {self.inside(b, FACTOR)}"

    def _matmul(self, expr: Expr) -> tuple[int, str]:
        a, b = expr.args
        return PRODUCT, f"{self.inside(a, PRODUCT)} {self.inside(b, POWER)}"

    def _square(self, expr: Expr) -> tuple[int, str]:
        return POWER, f"{self.inside(expr.args[0], PART)}^2"

    def _pow(self, expr: Expr) -> tuple[int, str]:
        a, b = expr.args
        return POWER, f"{self.inside(a, PART)}^{self.inside(b, PART)}"

    def _permute(self, expr: Expr) -> tuple[int, str]:
        if expr.data == (1, 0):
            return POWER, f"{self.inside(expr.args[0], PART)}^T"
        return self.call("permute", expr.args, expr.data)

    def _slice(self, expr: Expr) -> tuple[int, str]:
        axis, start, stop, step = expr.data
        item = f"{start}:{stop}" + (f":{step}" if step != 1 else "")
        return PART, f"{self.inside(expr.args[0], PART)}[{', '.join([*[':'] * axis, item])}]"

    def _spread(self, expr: Expr) -> tuple[int, str]:
        items = ", ".join(":" if own else "None" for own in expr.data)
        return PART, f"{self.inside(expr.args[0], PART)}[{items}]"

    def _reshape(self, expr: Expr) -> tuple[int, str]:
        return self.call("reshape", expr.args, expr.shape or (-1,))

    def _expand(self, expr: Expr) -> tuple[int, str]:
        return self.call("expand", expr.args, expr.shape)

    def _flip(self, expr: Expr) -> tuple[int, str]:
        return self.call("flip", expr.args, expr.data)

    def _iota(self, expr: Expr) -> tuple[int, str]:
        return self.call("range", (), expr.shape or (1,))

    def _constant(self, expr: Expr) -> tuple[int, str]:
        flat = f"[{'; '.join(map(number_text, expr.data))}]"
        return PART, flat if len(expr.shape) == 1 else f"reshape({flat}, {', '.join(map(str, expr.shape))})"

    def _draw(self, expr: Expr) -> tuple[int, str]:
        return self.call(expr.data[0], (), expr.shape)

    def _cat(self, expr: Expr) -> tuple[int, str]:
        if len(expr.shape) == 1:
            return PART, f"[{'; '.join(self.inside(arg, 0) for arg in expr.args)}]"
        name = "stack" if all(len(arg.shape) < len(expr.shape) for arg in expr.args) else "join"
        return self.call(name, expr.args, first=expr.data)

    def _norm(self, expr: Expr) -> tuple[int, str]:
        a, eps = expr.args
        return self.call(expr.op, (a,) if eps.data[0] == 1e-5 else (a, eps))

    def _call(self, expr: Expr) -> tuple[int, str]:
        return self.call(expr.data[0], expr.args)


def number_text(value: float) -> str:
    """A number as it is, without ``.0``; a fraction or a root that it is exactly, rather than sixteen digits."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int) or not math.isfinite(value):
        return repr(value)
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    plain = repr(value)
    if len(plain) > LONGEST and abs(value) <= LARGEST:
        fraction = Fraction(value).limit_denominator(LARGEST)
        if float(fraction) == value:
            return f"{fraction.numerator}/{fraction.denominator}"
        square = round(value * value)
        if 0 < square <= LARGEST and math.sqrt(square) == value:
            return f"sqrt({square})"
    return plain


def summed(expr: Expr, inside: Callable[[Expr, int], str]) -> str:
    """A sum with its signs, as text or LaTeX; ``inside`` writes a term in what binds so tightly."""
    result = ""
    for sign, term in terms(expr):
        if not result:
            result = ("-" if sign < 0 else "") + inside(term, FACTOR if sign < 0 else SUM)
        else:
            positive = absolute(term)
            sign *= 1 if positive is term else -1
            result += (" + " if sign > 0 else " - ") + inside(positive, TERM)
    return result


def terms(expr: Expr, sign: int = 1) -> list[tuple[int, Expr]]:
    """A sum as its terms with their signs, parameters by themselves (biases) last."""
    found = _terms(expr, sign)
    biases = [pair for pair in found if pair[0] > 0 and is_parameter(pair[1])]
    others = [pair for pair in found if pair not in biases]
    return others + biases if others and others[0][0] > 0 else found


def _terms(expr: Expr, sign: int) -> list[tuple[int, Expr]]:
    if expr.op in ("add", "sub"):
        a, b = expr.args
        return _terms(a, sign) + _terms(b, sign if expr.op == "add" else -sign)
    return _terms(expr.args[0], -sign) if expr.op == "neg" else [(sign, expr)]


def absolute(term: Expr) -> Expr:
    """A term that begins with a negative number, without its sign; any other as it is."""
    if term.op == "number" and term.data[0] < 0:
        return Expr("number", (), (), (-term.data[0],))
    if term.op in ("mul", "div"):
        first = absolute(term.args[0])
        if first is not term.args[0]:
            return Expr(term.op, (first, term.args[1]), term.shape)
    return term


def is_parameter(expr: Expr) -> bool:
    """Whether an expression is a tensor that the step closes over, or a part of one."""
    while expr.op in ("slice", "spread"):
        expr = expr.args[0]
    return expr.op == "leaf" and expr.data[0] in ("closed", "rows")
