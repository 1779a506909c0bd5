"""An expression as LaTeX, of the words that matplotlib's mathtext knows too."""

from collections.abc import Callable, Sequence

from .expression import Expr
from .text_form import FACTOR, PART, POWER, PRODUCT, REDUCED, SUM, TERM, number_text, summed

SIGNS = {"eq": "=", "ne": r"\neq", "lt": "<", "le": r"\leq", "gt": ">", "ge": r"\geq"}
NAMES = {
    "sigmoid": r"\sigma", "log_sigmoid": r"\log \sigma", "tanh": r"\tanh", "exp": r"\exp", "log": r"\log",
    "sin": r"\sin", "cos": r"\cos", "tan": r"\tan", "sinh": r"\sinh", "cosh": r"\cosh", "maximum": r"\max",
    "minimum": r"\min", "amax": r"\max", "amin": r"\min", "sum": r"\Sigma",
}  # fmt: skip

Symbols = Callable[[Expr], str]


def latex(expr: Expr, symbols: Symbols) -> str:
    """The LaTeX of an expression; ``symbols`` gives that of a leaf."""
    return _Latex(symbols).write(expr)[1]


class _Latex:
    def __init__(self, symbols: Symbols):
        self.symbols = symbols

    def inside(self, expr: Expr, outer: int) -> str:
        level, found = self.write(expr)
        return rf"\left({found}\right)" if level < outer else found

    def write(self, expr: Expr) -> tuple[int, str]:
        """How tightly it binds, and the LaTeX."""
        handler = getattr(self, f"_{expr.op}", None)
        if handler is not None:
            found: tuple[int, str] = handler(expr)
            return found
        if expr.op in SIGNS:
            a, b = (self.inside(arg, SUM) for arg in expr.args)
            return 0, f"{a} {SIGNS[expr.op]} {b}"
        if expr.op in REDUCED and len(expr.data) < len(expr.args[0].shape):
            axes = ",".join(map(str, expr.data))
            return PART, rf"{self._name(expr.op)}_{{{axes}}}\left({self.inside(expr.args[0], 0)}\right)"
        return self.call(expr.op, [self.inside(arg, 0) for arg in expr.args])

    def _name(self, name: str) -> str:
        return NAMES.get(name) or r"\mathrm{" + name.replace("_", r"\ ") + "}"

    def call(self, name: str, args: Sequence[str]) -> tuple[int, str]:
        return PART, rf"{self._name(name)}\left({', '.join(args)}\right)"

    def _leaf(self, expr: Expr) -> tuple[int, str]:
        return PART, self.symbols(expr)

    def _number(self, expr: Expr) -> tuple[int, str]:
        value = expr.data[0]
        if value in (float("inf"), float("-inf")):
            return (PART, r"\infty") if value > 0 else (SUM, r"-\infty")
        above, line, below = number_text(value).partition("/")
        if line:
            return PART, rf"\frac{{{above}}}{{{below}}}"
        if above.startswith("sqrt("):
            return PART, rf"\sqrt{{{above[5:-1]}}}"
        mantissa, _, exponent = f"{value:.6g}".partition("e")
        found = rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa
        return (PRODUCT if exponent else PART) if value >= 0 else SUM, found

    def _add(self, expr: Expr) -> tuple[int, str]:
        return SUM, summed(expr, self.inside)

    _sub = _add
    _neg = _add

    def _mul(self, expr: Expr) -> tuple[int, str]:
        a, b = expr.args
        if a.op == "spread" and len(a.args[0].shape) == len(b.shape) == 1:
            return PRODUCT, rf"{self.inside(a.args[0], PART)}\, {self.inside(b, PART)}^{{T}}"
        between = r" \odot " if a.shape and b.shape else r"\, "
        if not a.shape and not b.shape:
            between = r" \cdot "
        return TERM, f"{self.inside(a, TERM)}{between}{self.inside(b, TERM if b.op == 'mul' else FACTOR)}"

    def _div(self, expr: Expr) -> tuple[int, str]:
        a, b = (self.inside(arg, 0) for arg in expr.args)
        return TERM, rf"\frac{{{a}}}{{{b}}}"

    def _matmul(self, expr: Expr) -> tuple[int, str]:
        a, b = expr.args
        return PRODUCT, rf"{self.inside(a, PRODUCT)}\, {self.inside(b, POWER)}"

    def _each(self, expr: Expr) -> tuple[int, str]:
        a, b = (self.inside(arg, POWER) for arg in expr.args)
        return PRODUCT, rf"{a} \otimes {b}"

    def _square(self, expr: Expr) -> tuple[int, str]:
        return POWER, rf"{{{self.inside(expr.args[0], PART)}}}^{{2}}"

    def _pow(self, expr: Expr) -> tuple[int, str]:
        a, b = expr.args
        return POWER, rf"{{{self.inside(a, PART)}}}^{{{self.inside(b, 0)}}}"

    def _sqrt(self, expr: Expr) -> tuple[int, str]:
        return PART, rf"\sqrt{{{self.inside(expr.args[0], 0)}}}"

    def _rsqrt(self, expr: Expr) -> tuple[int, str]:
        return TERM, rf"\frac{{1}}{{\sqrt{{{self.inside(expr.args[0], 0)}}}}}"

    def _abs(self, expr: Expr) -> tuple[int, str]:
        return PART, rf"\left|{self.inside(expr.args[0], 0)}\right|"

    def _permute(self, expr: Expr) -> tuple[int, str]:
        if expr.data == (1, 0):
            return POWER, rf"{{{self.inside(expr.args[0], PART)}}}^{{T}}"
        return self.call("permute", [self.inside(expr.args[0], 0), *map(str, expr.data)])

    def _slice(self, expr: Expr) -> tuple[int, str]:
        axis, start, stop, step = expr.data
        item = f"{start}:{stop}" + (f":{step}" if step != 1 else "")
        return PART, rf"{self.inside(expr.args[0], PART)}\left[{', '.join([*[':'] * axis, item])}\right]"

    def _spread(self, expr: Expr) -> tuple[int, str]:
        items = ", ".join(":" if own else r"\cdot" for own in expr.data)
        return PART, rf"{self.inside(expr.args[0], PART)}\left[{items}\right]"

    def _sizes(self, expr: Expr) -> tuple[int, str]:
        return self.call(expr.op, [*(self.inside(arg, 0) for arg in expr.args), *map(str, expr.shape)])

    _reshape = _sizes
    _expand = _sizes
    _iota = _sizes

    def _flip(self, expr: Expr) -> tuple[int, str]:
        return self.call("flip", [self.inside(expr.args[0], 0), *map(str, expr.data)])

    def _constant(self, expr: Expr) -> tuple[int, str]:
        flat = r"\left[" + r";\ ".join(f"{value:.6g}" for value in expr.data) + r"\right]"
        return PART, flat if len(expr.shape) == 1 else self.call("reshape", [flat, *map(str, expr.shape)])[1]

    def _draw(self, expr: Expr) -> tuple[int, str]:
        return self.call(expr.data[0], [*map(str, expr.shape)])

    def _cat(self, expr: Expr) -> tuple[int, str]:
        args = [self.inside(arg, 0) for arg in expr.args]
        if len(expr.shape) == 1:
            return PART, r"\left[" + r";\ ".join(args) + r"\right]"
        return self.call("join", [str(expr.data[0]), *args])

    def _norm(self, expr: Expr) -> tuple[int, str]:
        a, eps = expr.args
        return self.call(expr.op, [self.inside(arg, 0) for arg in ((a,) if eps.data[0] == 1e-5 else (a, eps))])

    def _call(self, expr: Expr) -> tuple[int, str]:
        return self.call(str(expr.data[0]), [self.inside(arg, 0) for arg in expr.args])
