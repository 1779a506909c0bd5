"""Operations on corresponding elements."""

import math
from typing import Any

import torch

from ..graph import Ref
from .site import HANDLERS, Handler, Site, handles

NAMED_ALIKE = (
    "neg", "reciprocal", "exp", "exp2", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt", "abs", "sign", "floor",
    "ceil", "trunc", "round", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "erf", "tanh", "sigmoid",
    "relu", "square", "maximum", "minimum", "atan2",
)  # fmt: skip


def _as(op: str) -> Handler:
    """Its arguments are the operands, in order."""
    return lambda here: None if here.kwargs else here.add(op, *here.args)


def _bitwise(op: str) -> Handler:
    """On truth values the logical operation."""
    return lambda here: here.add(op if here.dtype == torch.bool else f"bit_{op}", *here.args)


HANDLERS.update({f"{op}.default": _as(op) for op in NAMED_ALIKE})
HANDLERS["sgn.default"] = _as("sign")
HANDLERS["prims.exp2.default"] = _as("exp2")
for _op in ("eq", "ne", "lt", "le", "gt", "ge", "mul", "remainder", "fmod"):
    HANDLERS.update({f"{_op}.{overload}": _as(_op) for overload in ("Tensor", "Scalar")})
HANDLERS["remainder.Scalar_Tensor"] = _as("remainder")
for _op in ("and", "or", "xor", "not"):
    HANDLERS[f"logical_{_op}.default"] = _as(_op)
for _op in ("and", "or", "xor"):
    HANDLERS.update({f"bitwise_{_op}.{overload}": _bitwise(_op) for overload in ("Tensor", "Scalar")})
HANDLERS["bitwise_not.default"] = _bitwise("not")


@handles("where.self", "where.ScalarSelf", "where.ScalarOther", "where.Scalar")
def _where(here: Site) -> Ref:
    flags, a, b = here.args
    return here.add("where", flags, here.cast(a, here.dtype), here.cast(b, here.dtype))


@handles("add.Tensor", "add.Scalar", "sub.Tensor", "sub.Scalar", "rsub.Tensor", "rsub.Scalar")
def _add(here: Site) -> Ref:
    """``a ± alpha · b``; the operands of ``rsub`` come the other way round."""
    a, b, alpha = here.padded(None, None, here.kwargs.get("alpha", 1))
    if here.operation == "rsub":
        return here.add("sub", b, _times(here, a, alpha))
    return here.add(here.operation, a, _times(here, b, alpha))


def _times(here: Site, a: Any, factor: float) -> Any:
    """An operand times a number."""
    if factor == 1:
        return a
    return here.add("mul", a, factor, shape=here.shape_of(a)) if isinstance(a, Ref) else a * factor


@handles("div.Tensor", "div.Scalar", "div.Tensor_mode", "div.Scalar_mode", "floor_divide.default")
def _div(here: Site) -> Ref:
    mode = "floor" if here.operation == "floor_divide" else here.kwargs.get("rounding_mode")
    return here.add("div" if mode is None else f"div_{mode}", *here.args[:2])


@handles("pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar")
def _pow(here: Site) -> Ref:
    a, b = here.args
    floating = here.dtype.is_floating_point
    if floating and not (isinstance(a, Ref) and isinstance(b, Ref)):
        a, b = here.cast(a, here.dtype), here.cast(b, here.dtype)  # beside an integer tensor 0.5 would become 0
    if not floating or isinstance(b, Ref):
        return here.add("pow", a, b)
    if b == 1:
        return Ref(a.index)
    if b == 3:
        return here.add("mul", here.add("mul", a, a), a)
    simple = {2: "square", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}.get(b)
    return here.add(simple, a) if simple else here.add("pow", a, b)


@handles("clamp.default", "clamp.Tensor")
def _clamp(here: Site) -> Ref:
    return _within(here, *here.padded(None, here.kwargs.get("min"), here.kwargs.get("max")))


@handles("clamp_min.default", "clamp_min.Tensor")
def _clamp_min(here: Site) -> Ref:
    a, low = here.args
    return _within(here, a, low, None)


@handles("clamp_max.default", "clamp_max.Tensor")
def _clamp_max(here: Site) -> Ref:
    a, high = here.args
    return _within(here, a, None, high)


def _within(here: Site, a: Any, low: Any, high: Any) -> Ref:
    a = here.cast(a, here.dtype)
    if low is not None:
        a = here.add("maximum", a, low)
    return Ref(a.index) if high is None else here.add("minimum", a, high)


@handles("_to_copy.default", "to.dtype", "prims.convert_element_type.default")
def _to(here: Site) -> Any:
    return here.cast(here.args[0], here.dtype)


@handles("clone.default", "alias.default", "detach.default", "lift_fresh_copy.default", "contiguous.default")
def _same(here: Site) -> Any:
    return here.args[0]


@handles("isnan.default")
def _isnan(here: Site) -> Ref:
    return here.add("ne", here.args[0], here.args[0])


@handles("isinf.default")
def _isinf(here: Site) -> Ref:
    a = here.args[0]
    return here.add("eq", here.add("abs", a, dtype=here.dtype_of(a)), math.inf)
