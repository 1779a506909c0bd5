"""The operations that a graph is written in: for each, what it is in torch and what it is in C.

The C expression takes its operands as ``{0}``, ``{1}``, ...; the letter ``@`` stands for the suffix of the
precision (``_f`` or ``_d``) that the prelude's functions carry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Pointwise:
    """An operation on corresponding elements."""

    torch: Callable[..., Any]
    c: str
    cost: int = 1  # about how many additions it costs


POINTWISE: dict[str, Pointwise] = {
    "add": Pointwise(torch.add, "({0} + {1})"),
    "sub": Pointwise(torch.sub, "({0} - {1})"),
    "mul": Pointwise(torch.mul, "({0} * {1})"),
    "div": Pointwise(torch.true_divide, "({0} / {1})", 4),
    "div_floor": Pointwise(lambda a, b: torch.div(a, b, rounding_mode="floor"), "u_div_floor@({0}, {1})", 8),
    "div_trunc": Pointwise(lambda a, b: torch.div(a, b, rounding_mode="trunc"), "u_div_trunc@({0}, {1})", 8),
    "remainder": Pointwise(torch.remainder, "u_remainder@({0}, {1})", 20),
    "fmod": Pointwise(torch.fmod, "u_fmod@({0}, {1})", 20),
    "neg": Pointwise(torch.neg, "(-{0})"),
    "reciprocal": Pointwise(torch.reciprocal, "(1 / {0})", 4),
    "square": Pointwise(torch.square, "({0} * {0})"),
    "pow": Pointwise(torch.pow, "u_pow@({0}, {1})", 60),
    "exp": Pointwise(torch.exp, "u_exp@({0})", 15),
    "exp2": Pointwise(torch.exp2, "u_exp2@({0})", 40),
    "expm1": Pointwise(torch.expm1, "u_expm1@({0})", 20),
    "log": Pointwise(torch.log, "u_log@({0})", 15),
    "log1p": Pointwise(torch.log1p, "u_log1p@({0})", 20),
    "log2": Pointwise(torch.log2, "u_log2@({0})", 20),
    "sqrt": Pointwise(torch.sqrt, "u_sqrt@({0})", 6),
    "rsqrt": Pointwise(torch.rsqrt, "u_rsqrt@({0})", 8),
    "abs": Pointwise(torch.abs, "u_abs@({0})"),
    "sign": Pointwise(torch.sign, "u_sign@({0})", 2),
    "floor": Pointwise(torch.floor, "u_floor@({0})"),
    "ceil": Pointwise(torch.ceil, "u_ceil@({0})"),
    "trunc": Pointwise(torch.trunc, "u_trunc@({0})"),
    "round": Pointwise(torch.round, "u_round@({0})"),
    "sin": Pointwise(torch.sin, "u_sin@({0})", 40),
    "cos": Pointwise(torch.cos, "u_cos@({0})", 40),
    "tan": Pointwise(torch.tan, "u_tan@({0})", 60),
    "asin": Pointwise(torch.asin, "u_asin@({0})", 40),
    "acos": Pointwise(torch.acos, "u_acos@({0})", 40),
    "atan": Pointwise(torch.atan, "u_atan@({0})", 40),
    "atan2": Pointwise(torch.atan2, "u_atan2@({0}, {1})", 60),
    "sinh": Pointwise(torch.sinh, "u_sinh@({0})", 40),
    "cosh": Pointwise(torch.cosh, "u_cosh@({0})", 40),
    "erf": Pointwise(torch.erf, "u_erf@({0})", 30),
    "tanh": Pointwise(torch.tanh, "u_tanh@({0})", 20),
    "sigmoid": Pointwise(torch.sigmoid, "u_sigmoid@({0})", 20),
    "relu": Pointwise(torch.relu, "u_relu@({0})"),
    "maximum": Pointwise(torch.maximum, "u_maximum@({0}, {1})", 2),
    "minimum": Pointwise(torch.minimum, "u_minimum@({0}, {1})", 2),
    "eq": Pointwise(torch.eq, "({0} == {1})"),
    "ne": Pointwise(torch.ne, "({0} != {1})"),
    "lt": Pointwise(torch.lt, "({0} < {1})"),
    "le": Pointwise(torch.le, "({0} <= {1})"),
    "gt": Pointwise(torch.gt, "({0} > {1})"),
    "ge": Pointwise(torch.ge, "({0} >= {1})"),
    "and": Pointwise(torch.logical_and, "({0} && {1})"),
    "or": Pointwise(torch.logical_or, "({0} || {1})"),
    "xor": Pointwise(torch.logical_xor, "(!{0} != !{1})"),
    "not": Pointwise(torch.logical_not, "(!{0})"),
    "bit_and": Pointwise(torch.bitwise_and, "({0} & {1})"),
    "bit_or": Pointwise(torch.bitwise_or, "({0} | {1})"),
    "bit_xor": Pointwise(torch.bitwise_xor, "({0} ^ {1})"),
    "bit_not": Pointwise(torch.bitwise_not, "(~{0})"),
    "where": Pointwise(torch.where, "({0} ? {1} : {2})", 1),
    "cast": Pointwise(lambda a, dtype: a.to(dtype), "{0}", 1),
}

COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})  # their operands meet in one dtype, not the result's
LOGICAL = frozenset({"and", "or", "xor", "not"})  # likewise, each operand by itself

REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda a, axes, dtype: torch.sum(a, axes, keepdim=True, dtype=dtype),
    "prod": lambda a, axes, dtype: torch.prod(a, axes[0], keepdim=True, dtype=dtype),
    "amax": lambda a, axes, dtype: torch.amax(a, axes, keepdim=True),
    "amin": lambda a, axes, dtype: torch.amin(a, axes, keepdim=True),
    "argmax": lambda a, axes, dtype: torch.argmax(a, axes[0], keepdim=True),
    "argmin": lambda a, axes, dtype: torch.argmin(a, axes[0], keepdim=True),
}
"""Reductions: (operand, axes, the node's dtype); the axes stay, at size 1."""

VIEWS: dict[str, Callable[..., Any]] = {
    "reshape": lambda a, shape: a.reshape(shape),
    "expand": lambda a, shape: a.expand(shape),
    "permute": lambda a, axes: a.permute(axes),
    "slice": lambda a, axis, start, stop, step: a[(slice(None),) * axis + (slice(start, stop, step),)],
    "flip": lambda a, axes: a.flip(axes),
}
"""Views: the same elements in another order, or fewer, or repeated. ``reshape``, ``expand``: to the node's shape."""

PRODUCTS: dict[str, Callable[..., Any]] = {"mm": torch.mm, "bmm": torch.bmm}

MADE = frozenset({"full", "iota", "constant"})
"""Made of numbers alone: ``full`` (value), ``iota`` (0, 1, 2, ...), ``constant`` (all values, row-major)."""

RANDOM = frozenset({"rand", "randn"})
