"""Operations along axes of the features."""

import functools
import math
from collections.abc import Callable

from .draw import Draw, Write, entering, long_axis, some_axis

OPERATIONS: dict[str, Write] = {}
operation = entering(OPERATIONS)


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


for _name, (_text, _bound, _kinked, _several) in {
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
    OPERATIONS[_name] = functools.partial(_reduce, _name, _text, _bound, _kinked, _several)


@operation("softmax")
def _softmax(draw: Draw) -> None:
    a = draw.pick(some_axis)
    axis = draw.axis(a.shape)[1]
    draw.put(draw.choose(f"torch.softmax({a.name}, {axis})", f"F.softmax(2 * {a.name}, dim={axis})"), a.shape, 1)


@operation("log_softmax")
def _log_softmax(draw: Draw) -> None:
    a = draw.pick(some_axis)
    draw.put(f"{a.name}.log_softmax({draw.axis(a.shape)[1]})", a.shape, 2 * a.bound + 2)


@operation("layer_norm")
def _layer_norm(draw: Draw) -> None:
    a = draw.pick(long_axis)
    over = a.shape if draw.rng.random() < 0.3 else a.shape[-1:]
    weights = f", {draw.parameter(over)}, {draw.parameter(over)}" if draw.rng.random() < 0.6 else ""
    draw.put(f"F.layer_norm({a.name}, {over}{weights}, eps=0.01)", a.shape, 2.5)


@operation("rms_norm")
def _rms_norm(draw: Draw) -> None:
    a = draw.pick(long_axis)
    weight = f", {draw.parameter(a.shape[-1:])}" if draw.rng.random() < 0.6 else ""
    draw.put(f"F.rms_norm({a.name}, {a.shape[-1:]}{weight}, eps=0.01)", a.shape, 2.5)


@operation("normalize")
def _normalize(draw: Draw) -> None:
    a = draw.pick(long_axis)
    draw.put(f"{a.name} / ({a.name}.norm(dim=-1, keepdim=True) + 0.5)", a.shape, 1)


@operation("argmax")
def _argmax(draw: Draw) -> None:
    a = draw.pick(some_axis, generic=True)
    axis, text = draw.axis(a.shape)
    which = draw.choose("argmax", "argmin")
    shape = a.shape[:axis] + a.shape[axis + 1 :]
    draw.put(f"{a.name}.{which}({text}).to({a.name}.dtype) * 0.3", shape, 1, generic=False)
