"""Random equations: steps in plain PyTorch, written as text from a table of operations by a seed.

``write(seed, number)`` is a pure function. Every equation has two states, at least two products with the state and
a reduction; whatever it computes in the loop reaches the next state. A value's bound is followed through the
operations, and a value that would grow is scaled, so that nothing overflows and no logarithm is near zero.
"""

import functools
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from unrolled.core import Cell

Shape = tuple[int, ...]  # of one row


@dataclass(frozen=True)
class Value:
    """A tensor of an equation, by its name in the text."""

    name: str
    shape: Shape
    bound: float  # about the largest element
    generic: bool = True  # no two elements equal, none a round number: it may stand before a kink
    state: bool = True  # depends on the state


@dataclass(frozen=True)
class Equation:
    """A step's text, and what it needs."""

    seed: int
    number: int
    text: str
    x: Shape
    state: tuple[Shape, ...]
    parameters: tuple[tuple[str, Shape, float], ...]  # name, shape, largest element
    dtype: torch.dtype
    used: frozenset[str]  # operations of the table in the loop
    differentiated: frozenset[str]  # those that a gradient flows through

    def __str__(self) -> str:
        sizes = "".join(f"    {name}: {shape}\n" for name, shape, _ in self.parameters)
        return f"{self.name}: x {self.x}, state {self.state}\n{sizes}{self.text}"

    @property
    def name(self) -> str:
        return f"{self.dtype} equation {self.number} of seed {self.seed}".removeprefix("torch.")


class Draw:
    """An equation while it is written; operations take values from ``pool`` and put their results there."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.size = rng.choice([3, 4, 5, 6, 8, 9, 17])
        self.pool: list[Value] = []
        self.waiting: list[Value] = []  # not read yet
        self.generic = True  # all that was read since the last result
        self.flat = False  # the operation has no derivative: another must read its operands too
        self.lines: list[str] = []
        self.parameters: list[tuple[str, Shape, float]] = []

    def choose(self, *options: str) -> str:
        return self.rng.choice(options)

    def parameter(self, shape: Shape, bound: float = 0.7, letter: str = "self.p") -> str:
        self.parameters.append((f"{letter}{len(self.parameters)}", shape, bound))
        return self.parameters[-1][0]

    def pick(self, accept: Callable[[Shape], object] = lambda shape: True, *, generic: bool = False) -> Value:
        """A value that depends on the state and has such a shape, made from another if there is none."""
        found = [v for v in self.pool if v.state and accept(v.shape)]
        fresh = [v for v in found if v in self.waiting]
        if not found:
            shape = next(s for s in ((self.size,), (4,), (3, self.size), (2, 4)) if accept(s))
            text = self.shaped(self.pick(), shape)
            return self.read(self.put(text, shape, 2.0, generic=".expand(" not in text))
        value = self.read(self.rng.choice(fresh if fresh and self.rng.random() < 0.7 else found))
        if generic and not value.generic:
            self.generic = True
            value = self.read(self.put(f"{value.name} + {self.parameter(value.shape)}", value.shape, value.bound + 0.7))
        return value

    def read(self, value: Value) -> Value:
        if value in self.waiting and not self.flat:
            self.waiting.remove(value)
        self.generic &= value.generic
        return value

    def put(self, text: str, shape: Shape, bound: float, *, generic: bool = True, state: bool = True) -> Value:
        """A new value, scaled if it may be large."""
        if bound > 4:
            text, bound = f"{2 / bound:.3g} * ({text})", 2.0
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.pool.append(Value(name, shape, bound, generic and self.generic, state))
        self.generic = True
        self.waiting.append(self.pool[-1])
        return self.pool[-1]

    def other(self, shape: Shape, *, generic: bool = False) -> tuple[str, float]:
        """Something to stand beside a value of this shape: text that broadcasts to it, and its bound."""
        fitting = [v for v in self.pool if fits(v.shape, shape) and (v.generic or not generic)]
        kind = self.rng.random()
        if fitting and kind < 0.6:
            value = self.read(self.rng.choice(fitting))
            return self.fit(value, shape), value.bound
        if kind < 0.75:
            return self.parameter(shape), 0.7
        if kind < 0.9:
            start = self.rng.randrange(len(shape) + 1)
            cut = tuple(1 if self.rng.random() < 0.3 else n for n in shape[start:])
            return self.parameter(cut, letter="self.p" if self.rng.random() < 0.5 else "c"), 0.7
        return f"{self.rng.uniform(-1.5, 1.5):.2f}", 1.5

    def fit(self, value: Value, shape: Shape) -> str:
        missing = len(shape) - len(value.shape)
        if not missing:
            return value.name
        ones = ", None" * missing
        return self.choose(
            f"{value.name}[:{ones}]",
            f"{value.name}.{'.'.join(['unsqueeze(1)'] * missing)}",
            f"{value.name}.view({', '.join(map(str, (-1, *([1] * missing), *value.shape)))})",
        )

    def shaped(self, value: Value, shape: Shape) -> str:
        """A value brought to a shape: broadcast, or by a product."""
        if fits(value.shape, shape):
            return f"{self.fit(value, shape)}.expand({', '.join(map(str, (-1, *shape)))})"
        flat = (
            value.name
            if len(value.shape) == 1
            else f"{value.name}.reshape({', '.join(map(str, (-1, size_of(value.shape))))})"
        )
        weight = self.parameter((size_of(value.shape), size_of(shape)), 1.5 / math.sqrt(size_of(value.shape)))
        product = f"({flat} @ {weight})"
        return product if len(shape) == 1 else f"{product}.view({', '.join(map(str, (-1, *shape)))})"

    def axis(self, shape: Shape) -> tuple[int, str]:
        """One of the features' axes, as its place in the shape and as text."""
        axis = self.rng.choice([k for k, n in enumerate(shape) if n > 1] or [0])
        return axis, self.choose(str(axis + 1), str(axis - len(shape)))


def fits(shape: Shape, wanted: Shape) -> bool:
    tail = wanted[len(wanted) - len(shape) :]
    return len(shape) <= len(wanted) and all(n in (1, m) for n, m in zip(shape, tail, strict=True))


def size_of(shape: Shape) -> int:
    return math.prod(shape)


def some_axis(shape: Shape) -> bool:
    return any(n > 1 for n in shape)


def long_axis(shape: Shape) -> bool:
    return bool(shape) and shape[-1] > 2


OPERATIONS: dict[str, Callable[[Draw], object]] = {}
PRODUCTS: list[str] = []
REDUCTIONS: list[str] = []

SMOOTH: dict[str, tuple[str, Callable[[float], float]]] = {
    "neg": ("-{a}", lambda m: m),
    "plus a number": ("{a} + 0.7", lambda m: m + 0.7),
    "number minus": ("1.3 - {a}", lambda m: m + 1.3),
    "times a number": ("{a} * 0.8", lambda m: m),
    "over a number": ("{a} / 1.7", lambda m: m),
    "number over": ("1.5 / ({a} * {a} + 0.8)", lambda m: 2),
    "square": ("{a} ** 2", lambda m: m * m),
    "cube": ("{a} ** 3", lambda m: m**3),
    "power": ("({a} * {a} + 0.3) ** 0.7", lambda m: m**1.4 + 1),
    "number to the power": ("1.5 ** {a}", lambda m: 1.5**m),
    "exp": ("torch.exp(0.5 * {a})", lambda m: math.exp(m / 2)),
    "expm1": ("torch.expm1({a} / 2)", lambda m: math.exp(m / 2)),
    "exp2": ("torch.exp2({a} / 2)", lambda m: 2 ** (m / 2)),
    "log": ("torch.log({a} * {a} + 0.4)", lambda m: math.log(m * m + 2) + 1),
    "log1p": ("torch.log1p({a}.square())", lambda m: math.log(m * m + 1)),
    "log2": ("torch.log2({a} * {a} + 0.4)", lambda m: math.log2(m * m + 2) + 1),
    "sqrt": ("torch.sqrt({a} * {a} + 0.2)", lambda m: m + 0.5),
    "rsqrt": ("({a} * {a} + 0.3).rsqrt()", lambda m: 1.9),
    "reciprocal": ("torch.reciprocal({a}.square() + 0.6)", lambda m: 1.7),
    "sin": ("torch.sin({a})", lambda m: 1),
    "cos": ("torch.cos(2 * {a})", lambda m: 1),
    "tan": ("torch.tan(torch.sin({a}))", lambda m: 1.6),
    "asin": ("torch.asin(0.9 * torch.cos({a}))", lambda m: 1.2),
    "acos": ("torch.acos(0.9 * torch.sin({a}))", lambda m: 3),
    "atan": ("torch.atan({a})", lambda m: 1.6),
    "sinh": ("torch.sinh({a})", lambda m: math.sinh(m)),
    "cosh": ("torch.cosh({a})", lambda m: math.cosh(m)),
    "erf": ("torch.erf({a})", lambda m: 1),
    "tanh": ("torch.tanh({a})", lambda m: 1),
    "sigmoid": ("torch.sigmoid({a})", lambda m: 1),
    "silu": ("F.silu({a})", lambda m: m),
    "mish": ("F.mish({a})", lambda m: m),
    "gelu": ("F.gelu({a})", lambda m: m),
    "gelu tanh": ("F.gelu({a}, approximate='tanh')", lambda m: m),
    "softplus": ("F.softplus({a})", lambda m: m + 0.7),
    "logsigmoid": ("F.logsigmoid({a})", lambda m: m + 0.7),
}
KINKED: dict[str, tuple[str, Callable[[float], float]]] = {
    "abs": ("{a}.abs()", lambda m: m),
    "relu": ("torch.relu({a})", lambda m: m),
    "leaky_relu": ("F.leaky_relu({a}, 0.1)", lambda m: m),
    "elu": ("F.elu({a}, 0.7)", lambda m: m),
    "selu": ("F.selu({a})", lambda m: 1.8 * m),
    "softsign": ("F.softsign({a})", lambda m: 1),
    "relu6": ("F.relu6(3 * {a})", lambda m: 6),
    "hardsigmoid": ("F.hardsigmoid(2 * {a})", lambda m: 1),
    "hardswish": ("F.hardswish(2 * {a})", lambda m: 2 * m),
    "hardtanh": ("F.hardtanh({a}, -0.6, 0.8)", lambda m: 1),
    "clamp": ("{a}.clamp(-0.4, 0.7)", lambda m: 1),
    "clamp from below": ("{a}.clamp(min=-0.3)", lambda m: m),
    "clamp from above": ("torch.clamp({a}, max=0.3)", lambda m: m),
    "sign": ("torch.sign({a})", lambda m: 1),
    "floor": ("torch.floor(3 * {a})", lambda m: 3 * m + 1),
    "ceil": ("torch.ceil(3 * {a})", lambda m: 3 * m + 1),
    "round": ("torch.round(3 * {a})", lambda m: 3 * m + 1),
    "trunc": ("torch.trunc(3 * {a})", lambda m: 3 * m + 1),
    "to integers": ("(4 * {a}).long().to({a}.dtype)", lambda m: 4 * m),
    "remainder by a number": ("torch.remainder({a}, 0.9)", lambda m: 1),
    "fmod by a number": ("torch.fmod({a}, 0.9)", lambda m: 1),
    "logical with a Python bool": ("(({a} > 0.1) | False).to({a}.dtype)", lambda m: 1),
    "any and all": ("({a} > 0.1).any(-1, keepdim=True) * {a} + ({a} > -0.5).all(-1, keepdim=True)", lambda m: m + 1),
    "comparison with a number": ("({a} > 0.1).to({a}.dtype)", lambda m: 1),
}
PAIRS: dict[str, tuple[str, Callable[[float, float], float], bool]] = {  # text, bound, whether it has a kink
    "add": ("{a} + {b}", lambda m, n: m + n, False),
    "sub": ("{b} - {a}", lambda m, n: m + n, False),
    "sub alpha": ("torch.sub({a}, {b}, alpha=0.4)", lambda m, n: m + n, False),
    "mul": ("{a} * {b}", lambda m, n: m * n, False),
    "div": ("{a} / (1 + {b} * {b})", lambda m, n: m, False),
    "pow of two": ("torch.pow({a} * {a} + 0.5, {b})", lambda m, n: max(m * m + 0.5, 2) ** n, False),
    "atan2": ("torch.atan2({a}, ({a} + {b}) ** 2 + 0.4)", lambda m, n: 1.6, False),
    "hypot": ("torch.sqrt({a} ** 2 + {b} ** 2 + 0.1)", lambda m, n: m + n, False),
    "logaddexp": ("torch.logaddexp({a}, {a} * {b})", lambda m, n: m * (1 + n) + 1, False),
    "lerp": ("torch.lerp({a}, {a} * {b}, 0.3)", lambda m, n: m * (1 + n), False),
    "addcmul": ("torch.addcmul({a}, {a}, {a} * {b}, value=0.5)", lambda m, n: m + m * m * n, False),
    "maximum": ("torch.maximum({a}, {b} * torch.ones_like({a}))", lambda m, n: max(m, n), True),
    "minimum": ("torch.minimum({a}, {b} + torch.zeros_like({a}))", lambda m, n: max(m, n), True),
    "remainder": ("torch.remainder({a}, {b} * {b} + 0.5)", lambda m, n: n * n + 0.5, True),
    "floor division": ("torch.div({a}, {b} * {b} + 0.5, rounding_mode='floor')", lambda m, n: 2 * m + 1, True),
    "lt": ("({a} < {b}).to({a}.dtype) * {a}", lambda m, n: m, True),
    "le and gt": ("(({a} <= {b}) & ({a} > -0.4)).to({a}.dtype)", lambda m, n: 1, True),
    "ge or ne": ("torch.where(({a} >= {b}) | ({a} != 0.3), {a} - 0.2, 0.3)", lambda m, n: m, True),
    "logical xor not": (
        "torch.logical_xor({a} > {b}, torch.logical_not({a} > 0.2)).to({a}.dtype)",
        lambda m, n: 1,
        True,
    ),
    "where": ("torch.where({a} > {b}, {a} * 0.5, {b} - {a})", lambda m, n: m + n, True),
    "masked_fill": ("{a}.masked_fill({a} > {b}, 0.25)", lambda m, n: m + 1, True),
}
FLAT = {
    "argmax", "ceil", "comparison with a number", "floor", "floor division", "le and gt", "logical with a Python bool",
    "logical xor not", "round", "sign", "to integers", "trunc",
}  # fmt: skip
"""Operations whose derivative is zero everywhere."""
NOT_GENERIC = FLAT | {
    "clamp", "clamp from above", "clamp from below", "ge or ne", "hardsigmoid", "hardswish", "hardtanh", "lt",
    "masked_fill", "relu", "relu6",
}  # fmt: skip


def operation(name: str, *kinds: list[str]) -> Callable[[Callable[[Draw], object]], Callable[[Draw], object]]:
    """Enter a way to write an operation in the table."""

    def enter(write: Callable[[Draw], object]) -> Callable[[Draw], object]:
        OPERATIONS[name] = write
        for kind in kinds:
            kind.append(name)
        return write

    return enter


def _single(name: str, template: str, bound: Callable[[float], float], kinked: bool, draw: Draw) -> None:
    a = draw.pick(generic=kinked)
    draw.put(template.format(a=a.name), a.shape, bound(a.bound), generic=name not in NOT_GENERIC)


def _pair(name: str, template: str, bound: Callable[[float, float], float], kinked: bool, draw: Draw) -> None:
    a = draw.pick(generic=kinked)
    text, b_bound = draw.other(a.shape, generic=kinked)
    if kinked or re.match(rf"{a.name}\b", text):  # two operands that are equal, or pieces of one another, would tie
        text, b_bound = f"{text} + {draw.parameter(a.shape)}", b_bound + 0.7
    draw.put(
        template.format(a=a.name, b=f"({text})"), a.shape, bound(a.bound, b_bound), generic=name not in NOT_GENERIC
    )


for _table, _kinked in ((SMOOTH, False), (KINKED, True)):
    for _name, (_text, _bound) in _table.items():
        OPERATIONS[_name] = functools.partial(_single, _name, _text, _bound, _kinked)
for _name, (_text, _bound2, _kinked) in PAIRS.items():
    OPERATIONS[_name] = functools.partial(_pair, _name, _text, _bound2, _kinked)


def _reduce(
    name: str, template: str, bound: Callable[[float, int], float], kinked: bool, several: bool, draw: Draw
) -> None:
    a = draw.pick(some_axis, generic=kinked)
    axes = {draw.axis(a.shape)[0]}
    if several and len(a.shape) > 1 and draw.rng.random() < 0.4:
        axes = set(range(len(a.shape)))
    keep = draw.rng.random() < 0.5
    shape = tuple(1 if k in axes else n for k, n in enumerate(a.shape) if keep or k not in axes)
    dims = [draw.choose(str(k + 1), str(k - len(a.shape))) for k in sorted(axes)]
    dim = dims[0] if len(dims) == 1 else f"({', '.join(dims)})"
    count = math.prod(a.shape[k] for k in axes)
    draw.put(template.format(a=a.name, dim=dim, keep=keep), shape, bound(a.bound, count))


for _name, (_text, _bound3, _kinked, _several) in {
    "sum": ("{a}.sum({dim}, keepdim={keep})", lambda m, n: m * n, False, True),
    "mean": ("{a}.mean({dim}, keepdim={keep})", lambda m, n: m, False, True),
    "prod": ("torch.tanh({a} + 1).prod({dim}, keepdim={keep})", lambda m, n: 1, False, False),
    "amax": ("{a}.amax({dim}, keepdim={keep})", lambda m, n: m, True, True),
    "amin": ("{a}.amin({dim}, keepdim={keep})", lambda m, n: m, True, True),
    "max": ("{a}.max({dim}, keepdim={keep})[0]", lambda m, n: m, True, False),
    "min": ("{a}.min({dim}, keepdim={keep}).values", lambda m, n: m, True, False),
    "var": ("{a}.var({dim}, keepdim={keep})", lambda m, n: m * m, False, True),
    "var unbiased=False": ("{a}.var({dim}, unbiased=False, keepdim={keep})", lambda m, n: m * m, False, True),
    "logsumexp": ("{a}.logsumexp({dim}, keepdim={keep})", lambda m, n: m + math.log(n), False, True),
    "length": ("({a}.square().sum({dim}, keepdim={keep}) + 0.1).sqrt()", lambda m, n: m * n**0.5 + 0.3, False, True),
}.items():
    REDUCTIONS.append(_name)
    OPERATIONS[_name] = functools.partial(_reduce, _name, _text, _bound3, _kinked, _several)


@operation("softmax", REDUCTIONS)
def _softmax(draw: Draw) -> None:
    a = draw.pick(some_axis)
    axis = draw.axis(a.shape)[1]
    draw.put(draw.choose(f"torch.softmax({a.name}, {axis})", f"F.softmax(2 * {a.name}, dim={axis})"), a.shape, 1)


@operation("log_softmax", REDUCTIONS)
def _log_softmax(draw: Draw) -> None:
    a = draw.pick(some_axis)
    draw.put(f"{a.name}.log_softmax({draw.axis(a.shape)[1]})", a.shape, 2 * a.bound + 2)


@operation("layer_norm", REDUCTIONS)
def _layer_norm(draw: Draw) -> None:
    a = draw.pick(long_axis)
    over = a.shape if draw.rng.random() < 0.3 else a.shape[-1:]
    weights = f", {draw.parameter(over)}, {draw.parameter(over)}" if draw.rng.random() < 0.6 else ""
    draw.put(f"F.layer_norm({a.name}, {over}{weights}, eps=0.01)", a.shape, 2.5)


@operation("rms_norm", REDUCTIONS)
def _rms_norm(draw: Draw) -> None:
    a = draw.pick(long_axis)
    weight = f", {draw.parameter(a.shape[-1:])}" if draw.rng.random() < 0.6 else ""
    draw.put(f"F.rms_norm({a.name}, {a.shape[-1:]}{weight}, eps=0.01)", a.shape, 2.5)


@operation("normalize", REDUCTIONS)
def _normalize(draw: Draw) -> None:
    a = draw.pick(long_axis)
    draw.put(f"{a.name} / ({a.name}.norm(dim=-1, keepdim=True) + 0.5)", a.shape, 1)


@operation("argmax", REDUCTIONS)
def _argmax(draw: Draw) -> None:
    a = draw.pick(some_axis, generic=True)
    axis, text = draw.axis(a.shape)
    which = draw.choose("argmax", "argmin")
    shape = a.shape[:axis] + a.shape[axis + 1 :]
    draw.put(f"{a.name}.{which}({text}).to({a.name}.dtype) * 0.3", shape, 1, generic=False)


def weight(draw: Draw, *shape: int) -> str:
    return draw.parameter(shape, 1.5 / math.sqrt(shape[-2] if len(shape) > 1 else 1))


@operation("linear", PRODUCTS)
def _linear(draw: Draw) -> None:
    a, n = draw.pick(len), draw.rng.choice([2, 3, 5, draw.size])
    w = draw.parameter((n, a.shape[-1]), 1.5 / math.sqrt(a.shape[-1]))
    bias = f", {draw.parameter((n,))}" if draw.rng.random() < 0.5 else ""
    draw.put(f"F.linear({a.name}, {w}{bias})", (*a.shape[:-1], n), 1.2 * a.bound)


@operation("matmul", PRODUCTS)
def _matmul(draw: Draw) -> None:
    a, n = draw.pick(len), draw.rng.choice([2, 3, draw.size])
    draw.put(f"{a.name} @ {weight(draw, a.shape[-1], n)}", (*a.shape[:-1], n), 1.2 * a.bound)


@operation("matmul from the left", PRODUCTS)
def _matmul_left(draw: Draw) -> None:
    a, n = draw.pick(lambda shape: len(shape) == 2), draw.rng.choice([2, 5])
    draw.put(f"{draw.parameter((n, a.shape[0]))} @ {a.name}", (n, a.shape[1]), 1.2 * a.bound)


@operation("vector weight", PRODUCTS)
def _vector_weight(draw: Draw) -> None:
    a = draw.pick(len)
    draw.put(f"{a.name} @ {draw.parameter(a.shape[-1:])}", a.shape[:-1], 1.2 * a.bound)


@operation("einsum", PRODUCTS)
def _einsum(draw: Draw) -> None:
    a, n = draw.pick(lambda shape: len(shape) in (1, 2)), draw.rng.choice([2, 4, draw.size])
    if len(a.shape) == 1:
        draw.put(f"torch.einsum('bi,ij->bj', {a.name}, {weight(draw, a.shape[0], n)})", (n,), 1.2 * a.bound)
        return
    m, k = a.shape
    rule, w, shape = draw.rng.choice([
        ("bmi,ij->bmj", (k, n), (m, n)), ("bmi,mj->bij", (m, n), (k, n)), ("bmi,mij->bj", (m, k, n), (n,)),
        ("bmi,im->bm", (k, m), (m,)), ("bmi,mij->bmj", (m, k, n), (m, n)), ("bmi,ji->bjm", (n, k), (n, m)),
    ])  # fmt: skip
    draw.put(f"torch.einsum('{rule}', {a.name}, {weight(draw, *w)})", shape, 1.5 * a.bound)


@operation("heads", PRODUCTS)
def _heads(draw: Draw) -> None:
    a, n = draw.pick(lambda shape: shape and shape[-1] % 2 == 0), draw.rng.choice([2, 3])
    flat, d = f"{a.name}.reshape(-1, {size_of(a.shape) // a.shape[-1] * 2}, {a.shape[-1] // 2})", a.shape[-1] // 2
    h = size_of(a.shape) // d
    put = draw.put(f"torch.einsum('bhd,hde->bhe', {flat}, {weight(draw, h, d, n)})", (h, n), 1.2 * a.bound)
    if draw.rng.random() < 0.5:
        draw.put(f"{draw.read(put).name}.flatten(1)", (h * n,), put.bound)


@operation("cat into a linear", PRODUCTS)
def _cat_linear(draw: Draw) -> None:
    a, n = draw.pick(lambda shape: len(shape) == 1), draw.size
    b, _ = draw.other(a.shape)
    parts = f"x.flatten(1), {a.name}, ({b}) * torch.ones_like({a.name})"
    w = draw.parameter((n, draw.inputs + 2 * a.shape[0]), 0.7)
    draw.put(f"F.linear(torch.cat([{parts}], {draw.choose('1', '-1')}), {w})", (n,), 4 * a.bound)


@operation("outer product", PRODUCTS)
def _outer(draw: Draw) -> None:
    a, b = (draw.pick(lambda shape: len(shape) == 1) for _ in range(2))
    text = draw.choose(
        f"torch.einsum('bi,bj->bij', {a.name}, {b.name})",
        f"{a.name}[:, :, None] * {b.name}[:, None]",
        f"torch.bmm({a.name}.unsqueeze(2), {b.name}.unsqueeze(1))",
        f"{a.name}.unsqueeze(-1) @ {b.name}.unsqueeze(-2)",
    )
    draw.put(text, (a.shape[0], b.shape[0]), a.bound * b.bound)


@operation("outer product with the input", PRODUCTS)
def _outer_input(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 1)
    draw.put(f"torch.einsum('bi,bj->bji', {a.name}, x.flatten(1))", (draw.inputs, a.shape[0]), 1.5 * a.bound)


@operation("memory times vector", PRODUCTS)
def _memory(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 2)
    v = draw.read(draw.put(draw.shaped(draw.pick(), a.shape[1:]), a.shape[1:], 2.0, generic=False))
    text = draw.choose(
        f"torch.einsum('bij,bj->bi', {a.name}, {v.name})",
        f"({a.name} @ {v.name}[:, :, None]).squeeze(2)",
        f"torch.bmm({v.name}[:, None], {a.name}.transpose(1, 2)).squeeze(1)",
        f"torch.bmm({a.name}, {v.name}.unsqueeze(-1))[:, :, 0]",
    )
    draw.put(text, a.shape[:1], a.bound * v.bound * a.shape[1] ** 0.5)


@operation("memory times input", PRODUCTS)
def _memory_input(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 2)
    w = weight(draw, draw.inputs, a.shape[0])
    draw.put(f"torch.einsum('bi,bij->bj', x.flatten(1) @ {w}, {a.name})", a.shape[1:], 2 * a.bound)


@operation("addressing", PRODUCTS, REDUCTIONS)
def _addressing(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 2 and shape[0] > 1)
    key = draw.shaped(draw.pick(), a.shape[1:])
    scores = f"torch.einsum('bij,bj->bi', {a.name}, {key}).softmax(-1)"
    draw.put(f"({scores}[:, None] @ {a.name}).squeeze(1)", a.shape[1:], a.bound)


@operation("matrix times matrix", PRODUCTS)
def _matrices(draw: Draw) -> None:
    a, b = (draw.pick(lambda shape: len(shape) == 2) for _ in range(2))
    middle = weight(draw, a.shape[1], b.shape[1])
    draw.put(f"{a.name} @ {middle} @ {b.name}.mT", (a.shape[0], b.shape[0]), 2 * a.bound * b.bound)


@operation("view")
def _view(draw: Draw) -> None:
    a = draw.pick(len)
    n = size_of(a.shape)
    cuts = [k for k in (2, 3, 4) if n % k == 0 and n > k]
    k = draw.rng.choice(cuts) if cuts else 1
    how = draw.choose("reshape", "contiguous().view")
    draw.put(f"{a.name}.{how}(-1, {n // k}, {k})", (n // k, k), a.bound)


@operation("flatten")
def _flatten(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) > 1)
    draw.put(f"{a.name}.flatten(1)", (size_of(a.shape),), a.bound)


@operation("permute")
def _permute(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) > 1)
    order = list(range(len(a.shape)))
    while order == sorted(order):
        draw.rng.shuffle(order)
    text = f"{a.name}.permute(0, {', '.join(str(k + 1) for k in order)})"
    if len(order) == 2:
        text = draw.choose(text, f"{a.name}.transpose(1, 2)", f"{a.name}.mT")
    draw.put(text, tuple(a.shape[k] for k in order), a.bound)


@operation("permute and flatten")
def _permute_flatten(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 2)
    draw.put(f"{a.name}.transpose(1, 2).reshape(-1, {size_of(a.shape)})", (size_of(a.shape),), a.bound)


@operation("chunk")
def _chunk(draw: Draw) -> None:
    a = draw.pick(lambda shape: shape and shape[-1] > 1)
    sizes = [len(part) for part in torch.arange(a.shape[-1]).chunk(2)]
    draw.lines.append(f"left{len(draw.lines)}, right{len(draw.lines)} = {a.name}.chunk(2, -1)")
    number = len(draw.lines) - 1
    draw.put(f"torch.tanh(left{number})", (*a.shape[:-1], sizes[0]), 1)
    draw.put(f"right{number} * 0.9", (*a.shape[:-1], sizes[1]), a.bound)


@operation("split")
def _split(draw: Draw) -> None:
    a = draw.pick(lambda shape: shape and shape[-1] > 2)
    n = a.shape[-1]
    draw.lines.append(f"first{len(draw.lines)}, rest{len(draw.lines)} = {a.name}.split([1, {n - 1}], dim=-1)")
    number = len(draw.lines) - 1
    draw.put(f"torch.sigmoid(first{number}) * rest{number}", (*a.shape[:-1], n - 1), a.bound)


@operation("slice")
def _slice(draw: Draw) -> None:
    a = draw.pick(lambda shape: shape and shape[-1] > 2)
    n = a.shape[-1]
    text, size = draw.rng.choice([("1:", n - 1), (":-1", n - 1), ("1:-1", n - 2), (f"{n - 2}:", 2)])
    draw.put(f"{a.name}[..., {text}]", (*a.shape[:-1], size), a.bound)


@operation("narrow")
def _narrow(draw: Draw) -> None:
    a = draw.pick(lambda shape: shape and shape[-1] > 2)
    draw.put(f"{a.name}.narrow(-1, 1, 2)", (*a.shape[:-1], 2), a.bound)


@operation("select")
def _select(draw: Draw) -> None:
    a = draw.pick(some_axis)
    axis, text = draw.axis(a.shape)
    shape = a.shape[:axis] + a.shape[axis + 1 :]
    draw.put(f"{a.name}.select({text}, {draw.choose('0', '-1')})", shape, a.bound)


@operation("unbind")
def _unbind(draw: Draw) -> None:
    a = draw.pick(some_axis)
    axis, text = draw.axis(a.shape)
    shape = a.shape[:axis] + a.shape[axis + 1 :]
    draw.lines.append(f"parts{len(draw.lines)} = {a.name}.unbind({text})")
    number = len(draw.lines) - 1
    draw.put(f"parts{number}[0] * torch.tanh(parts{number}[1])", shape, a.bound)


@operation("cat")
def _cat(draw: Draw) -> None:
    a = draw.pick(len)
    b, bound = draw.other(a.shape)
    b = f"{a.name} * {b}" if draw.rng.random() < 0.5 else f"({b}) + torch.zeros_like({a.name})"
    axis, text = draw.axis(a.shape)
    shape = tuple(2 * n if k == axis else n for k, n in enumerate(a.shape))
    draw.put(f"torch.cat([{a.name}, {b}], {text})", shape, a.bound * max(bound, 1), generic=False)


@operation("stack")
def _stack(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) < 3)
    draw.put(f"torch.stack([{a.name}, torch.sin({a.name}), {a.name} * 0.5], {draw.choose('1', '-1')})", (), 0)
    text, last = draw.lines[-1], draw.pool.pop()
    draw.waiting.remove(last)
    shape = (*a.shape, 3) if text.endswith("-1)") else (3, *a.shape)
    draw.lines.pop()
    draw.put(text.split(" = ", 1)[1], shape, a.bound, generic=False)


@operation("expand")
def _expand(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) < 3)
    sizes = ", ".join(map(str, a.shape))
    draw.put(f"{a.name}.unsqueeze(1).expand(-1, 3, {sizes}) * {draw.parameter((3, *a.shape))}", (3, *a.shape), a.bound)


@operation("squeeze")
def _squeeze(draw: Draw) -> None:
    a = draw.pick(len)
    draw.put(f"{a.name}.sum(-1, keepdim=True).squeeze(-1)", a.shape[:-1], a.bound * a.shape[-1])


@operation("flip")
def _flip(draw: Draw) -> None:
    a = draw.pick(some_axis)
    draw.put(f"{a.name}.flip({draw.axis(a.shape)[1]})", a.shape, a.bound, generic=False)


@operation("roll")
def _roll(draw: Draw) -> None:
    a = draw.pick(some_axis)
    draw.put(f"{a.name}.roll({draw.choose('1', '-1', '2')}, {draw.axis(a.shape)[1]})", a.shape, a.bound, generic=False)


@operation("pad")
def _pad(draw: Draw) -> None:
    a = draw.pick(len)
    shape = (*a.shape[:-1], a.shape[-1] + 3)
    draw.put(f"F.pad({a.name}, (1, 2), value=0.3)", shape, a.bound, generic=False)


@operation("assignment to a slice")
def _assignment(draw: Draw) -> None:
    a = draw.pick(lambda shape: shape and shape[-1] > 2)
    copy = draw.put(f"{a.name}.clone()", a.shape, a.bound + 1, generic=False)
    draw.lines.append(draw.choose(
        f"{copy.name}[..., 1:] += 0.5", f"{copy.name}[..., 0] = 0.3", f"{copy.name}[..., 1:3] *= 0.8",
        f"{copy.name}[..., :2] = torch.sin({a.name}[..., 1:3])",
    ))  # fmt: skip


@operation("in-place operation")
def _in_place(draw: Draw) -> None:
    a = draw.pick()
    copy = draw.put(f"{a.name}.clone()", a.shape, a.bound)
    draw.lines.append(f"{copy.name}.mul_(0.7).sin_()")


@operation("inner loop")
def _inner_loop(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 1)
    name, w = f"h{len(draw.lines)}", weight(draw, a.shape[0], a.shape[0])
    draw.lines += [f"{name} = {a.name}", "for _ in range(2):", f"    {name} = {name} + 0.3 * torch.tanh({name} @ {w})"]
    draw.put(f"{name} * 0.9", a.shape, a.bound + 0.6)


@operation("scalar parameter")
def _scalar(draw: Draw) -> None:
    a = draw.pick()
    draw.put(f"{draw.parameter(())} * {a.name} + {draw.parameter((1,))}", a.shape, a.bound + 1)


@operation("closed-over tensor")
def _closed(draw: Draw) -> None:
    a = draw.pick()
    draw.put(f"{a.name} * torch.exp({draw.parameter(a.shape, letter='c')})", a.shape, 2 * a.bound)


@operation("detach")
def _detach(draw: Draw) -> None:
    a = draw.pick()
    draw.put(f"torch.sin({a.name}).detach() * {a.name}", a.shape, a.bound)


@operation("arange")
def _arange(draw: Draw) -> None:
    a = draw.pick(len)
    draw.put(f"{a.name} * torch.arange({a.shape[-1]}, dtype={a.name}.dtype) * 0.2", a.shape, a.bound, generic=False)


@operation("new_zeros")
def _new_zeros(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 1)
    text = f"torch.cat([{a.name}, {a.name}.new_zeros({a.name}.shape[0], 2)], 1)"
    draw.put(text, (a.shape[0] + 2,), a.bound, generic=False)


@operation("slice with a step")
def _slice_step(draw: Draw) -> None:
    a = draw.pick(some_axis)
    rest = ":, " * draw.rng.randrange(2) if len(a.shape) > 1 else ""
    axis = 1 if rest else 0
    shape = tuple(-(-n // 2) if k == axis else n for k, n in enumerate(a.shape))
    draw.put(f"{a.name}[:, {rest}::2]", shape, a.bound)


@operation("constant tensor")
def _constant(draw: Draw) -> None:
    a = draw.pick(long_axis)
    numbers = ", ".join(f"{draw.rng.uniform(-1, 1):.2f}" for _ in range(a.shape[-1]))
    draw.put(f"{a.name} * torch.tensor([{numbers}], dtype={a.name}.dtype)", a.shape, a.bound)


@operation("repeat")
def _repeat(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 1)
    draw.put(f"{a.name}.repeat(1, 2)", (2 * a.shape[0],), a.bound, generic=False)


@operation("diagonal")
def _diagonal(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 2)
    draw.put(f"{a.name}.diagonal(dim1=1, dim2=2)", (min(a.shape),), a.bound)


NOT_DRAWN = [
    "prod",  # its derivative has no kernel
    "any and all",  # of a value without features they would mix rows
]
FLOAT32_ONLY = {"hardsigmoid"}  # torch's own derivative multiplies by a sixth that is rounded to float32

FINISHES = ("torch.tanh({z})", "torch.sin({z})", "({z}) / (1 + ({z}) ** 2)", "0.6 * {s} + 0.4 * torch.tanh({z})",
            "torch.where({s} > 0.05, torch.tanh({z}), 0.5 * {s} + torch.sin({z}))")  # fmt: skip


def table(dtype: torch.dtype) -> list[str]:
    """The operations that occur in equations of a dtype."""
    return [
        name for name in OPERATIONS if name not in NOT_DRAWN and (dtype == torch.float32 or name not in FLOAT32_ONLY)
    ]


def write(seed: int, number: int, dtype: torch.dtype, forced: int = 5) -> Equation:
    """Equation ``number`` of a seed; the deck of all operations is dealt, ``forced`` to an equation."""
    names = table(dtype)
    deck = []
    for turn in range((number + 1) * forced // len(names) + 1):
        shuffled = list(names)
        random.Random(f"deck {seed} {turn} {dtype}").shuffle(shuffled)
        deck += shuffled
    rng = random.Random(f"equation {seed} {number} {dtype}")
    draw = Draw(rng)
    x, states = _start(draw)
    chosen = deck[number * forced : (number + 1) * forced]
    chosen += [rng.choice([name for name in PRODUCTS if name in names]) for _ in range(2)]
    chosen.append(rng.choice([name for name in REDUCTIONS if name in names]))
    rng.shuffle(chosen)
    owners = [""] * len(draw.lines)
    for name in chosen:
        draw.flat = name in FLAT
        OPERATIONS[name](draw)
        owners += [name] * (len(draw.lines) - len(owners))
    draw.flat = False
    _finish(draw, states)
    owners += [""] * (len(draw.lines) - len(owners))
    differentiated = _differentiated(draw.lines, owners)
    text = "\n        ".join(["x, (s0, s1) = x, state", *draw.lines])
    closed = [name for name, _, _ in draw.parameters if name.startswith("c")]
    text = f"def bind({', '.join(closed)}):\n    def step(self, x, state):\n        {text}\n    return step\n"
    return Equation(seed, number, text, x, states, tuple(draw.parameters), dtype, frozenset(chosen), differentiated)


def _differentiated(lines: list[str], owners: list[str]) -> frozenset[str]:
    """The operations through which the next states depend, differentiably, on something."""
    live, found = {"n0", "n1"}, set()
    for line, owner in zip(reversed(lines), reversed(owners), strict=True):
        left, _, right = line.partition(" = ")
        if live & set(re.findall(r"\w+", left)) and owner not in FLAT:
            live |= set(re.findall(r"[a-z]+\d+", right))
            found.add(owner)
    return frozenset(found - {""})


def _start(draw: Draw) -> tuple[Shape, tuple[Shape, ...]]:
    """The input and the states, of different ranks, in the pool; and a value of the input alone."""
    n, m = draw.size, draw.rng.choice([2, 3, 4])
    x = draw.rng.choice([(3,), (n,), (2, n)])
    states = draw.rng.choice(
        [((n,), (m, n)), ((n,), (n,)), ((m, n), (n, m)), ((2, m, 3), (n,)), ((n,), ()), ((4,), (m, 4))]
    )
    draw.inputs = size_of(x)
    draw.pool = [Value(f"s{k}", shape, 1.0) for k, shape in enumerate(states)]
    draw.waiting = list(draw.pool)
    draw.pool.append(Value("x", x, 1.5, state=False))
    draw.put(f"torch.tanh(x.flatten(1) @ {draw.parameter((size_of(x), n))})", (n,), 1, state=False)
    return x, states


def _finish(draw: Draw, states: tuple[Shape, ...]) -> None:
    """The next states, of all that was not read yet, and outputs that only look at them."""
    shares: list[list[Value]] = [[], []]
    for k, value in enumerate(v for v in draw.pool if v in draw.waiting and not v.name.startswith("s")):
        shares[k % 2].append(value)
    for k, (shape, share) in enumerate(zip(states, shares, strict=True)):
        terms = [draw.shaped(value, shape) for value in share] or [draw.shaped(Value("s0", states[0], 1.0), shape)]
        draw.lines.append(f"z{k} = {' + '.join(terms)} + {draw.parameter(shape)}")
        draw.lines.append(f"n{k} = {draw.rng.choice(FINISHES).format(z=f'z{k}', s=f's{k}')}")
    seen = draw.rng.choice([v for v in draw.pool if v.state and not v.name.startswith("s")])
    flat = "n0.reshape(-1, 1)" if not states[0] else "n0.flatten(1)"
    w = draw.parameter((size_of(states[0]), 3))
    draw.lines.append(f"return ({seen.name}, torch.softmax({flat} @ {w}, -1)), (n0, n1)")


class Together(Cell):
    """Several equations as one cell, so that one kernel holds them: their states side by side."""

    def __init__(self, written: list[Equation], dtype: torch.dtype):
        super().__init__()
        self.parts = torch.nn.ModuleList(_cell(equation, dtype) for equation in written)
        self.state_size = tuple(tuple(torch.Size(shape) for shape in equation.state) for equation in written)

    def step(self, x, state):
        results = [part.step(*both) for part, *both in zip(self.parts, x, state, strict=True)]
        return tuple(output for output, _ in results), tuple(after for _, after in results)


def _cell(equation: Equation, dtype: torch.dtype) -> Cell:
    """The cell of an equation; its numbers are float32's, so that they are the same in every dtype."""
    generator = torch.Generator().manual_seed(equation.seed * 100003 + equation.number)
    name = f"Equation{equation.number}"
    namespace = {"torch": torch, "F": F, "__name__": name}
    exec(compile(equation.text, f"equation_{equation.seed}_{equation.number}.py", "exec"), namespace)
    drawn: dict[str, Tensor] = {}
    for parameter, shape, bound in equation.parameters:
        drawn[parameter] = (bound * (2 * torch.rand(shape, generator=generator) - 1)).to(dtype)
    closed = {key: value.requires_grad_() for key, value in drawn.items() if key.startswith("c")}
    cell = type(name, (Cell,), {"step": namespace["bind"](**closed)})()
    for key, value in drawn.items():
        if key not in closed:
            cell.register_parameter(key.removeprefix("self."), torch.nn.Parameter(value))
    cell.closed = tuple(closed.values())
    return cell
