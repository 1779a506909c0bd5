"""Operations on each element: one operand, smooth or with a kink, or two."""

import functools
import math
import re
from collections.abc import Callable

from .draw import Draw, Write

OPERATIONS: dict[str, Write] = {}
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
    "ceil", "comparison with a number", "floor", "floor division", "le and gt", "logical with a Python bool",
    "logical xor not", "round", "sign", "to integers", "trunc",
}  # fmt: skip
NOT_GENERIC = FLAT | {
    "clamp", "clamp from above", "clamp from below", "ge or ne", "hardsigmoid", "hardswish", "hardtanh", "lt",
    "masked_fill", "relu", "relu6",
}  # fmt: skip


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
