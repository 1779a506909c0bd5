"""The numbers that an equation's plain text gives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...compiler.operations import LOGICAL, POINTWISE
from ...core import InputError
from .parsing import Tree, parse_line

EPS = 1e-5  # of norm() where none is given

Values = dict[str, Tensor]


def evaluate(lines: Sequence[str], values: Mapping[str, Tensor], clock: str = "t") -> Values:
    """Compute equations one after the other, for one row.

    Args:
        lines: ``name = right-hand side``, as printed.
        values: by name, what the lines read: parameters, the input ``x(t)``, the state ``h(t-1)``.
        clock: the letter of time.

    Returns:
        The values and all left-hand sides, by name; axes of size 1 are left out.

    Raises:
        InputError: a text that is no equation, an unknown name or function.
    """
    known: Values = {name: value.double().squeeze() for name, value in values.items()}
    for line in lines:
        name, tree = parse_line(line, clock)
        known[name] = _value(tree, known).squeeze()
    return known


def _value(tree: Tree, known: Values) -> Tensor:
    if tree.op == "number":
        return torch.tensor(float(tree.data[0]), dtype=torch.float64)
    if tree.op == "name":
        if tree.data[0] not in known:
            raise InputError(f"equation: {tree.data[0]} has no value; known are {', '.join(known)}.")
        return known[tree.data[0]]
    if tree.op == "index":
        return _part(_value(tree.args[0], known), tree.data)
    if tree.op == "call":
        return _called(tree, known)
    args = [_value(arg, known) for arg in tree.args]
    if tree.op == "matmul":
        return product(*args)
    if tree.op == "permute":
        return args[0].mT
    return _elements(tree.op, args)


def _elements(op: str, args: Sequence[Tensor]) -> Tensor:
    numbers = [arg.double() if arg.dtype == torch.bool else arg for arg in args]
    if op == "where":
        return torch.where(args[0] != 0, numbers[1], numbers[2])
    found: Tensor = POINTWISE[op].torch(*(args if op in LOGICAL else numbers))
    return found


def product(a: Tensor, b: Tensor) -> Tensor:
    """A matrix product; with a number, that number times the other."""
    a, b = a.double(), b.double()
    return torch.matmul(a, b) if a.dim() and b.dim() else a * b


def _part(a: Tensor, items: Sequence[Any]) -> Tensor:
    index = tuple(None if item is None else slice(*item) for item in items)
    found = a[index]
    if None in index:
        return found
    gone = [axis for axis, item in enumerate(index) if item != slice(None) and found.shape[axis] == 1]
    return found.squeeze(tuple(gone))


def _called(tree: Tree, known: Values) -> Tensor:
    name = tree.data[0]
    args = [_value(arg, known) for arg in tree.args]
    if name in FUNCTIONS:
        return FUNCTIONS[name](*args)
    op = OPERATIONS.get(name, name)
    if op not in POINTWISE or op == "cast":
        raise InputError(f"equation: {name} is no function that can be computed from its text.")
    return _elements(op, args)


def _ints(values: Sequence[Tensor]) -> list[int]:
    return [int(value) for value in values]


def _reduction(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda a, *axes: function(a.double(), _ints(axes) or list(range(a.dim())))


def _each(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([product(*pair) for pair in zip(a, b, strict=True)])


def _cat(*parts: Tensor) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])


def _join(axis: Tensor, *parts: Tensor) -> Tensor:
    rank = max(part.dim() for part in parts)
    return torch.cat([part if part.dim() == rank else part.unsqueeze(int(axis)) for part in parts], int(axis))


def _norm(a: Tensor, eps: Tensor | float = EPS) -> Tensor:
    return F.layer_norm(a, a.shape[-1:], eps=float(eps))


def _rms(a: Tensor, eps: Tensor | float = EPS) -> Tensor:
    return a * torch.rsqrt(a.square().mean(-1, keepdim=True) + float(eps))


OPERATIONS = {"σ": "sigmoid", "max": "maximum", "min": "minimum"}
"""Functions of the text that the compiler has by another name."""

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "reshape": lambda a, *sizes: a.reshape(_ints(sizes)),
    "permute": lambda a, *axes: a.permute(_ints(axes)),
    "expand": lambda a, *sizes: a.expand(_ints(sizes)),
    "flip": lambda a, *axes: a.flip(_ints(axes)),
    "range": lambda size: torch.arange(int(size), dtype=torch.float64),
    "vector": lambda *parts: torch.stack(parts),
    "stack": lambda axis, *parts: torch.stack(parts, int(axis)),
    "join": _join,
    "sum": _reduction(torch.sum),
    "prod": lambda a, *axes: a.prod(int(axes[0])) if axes else a.prod(),
    "mean": _reduction(torch.mean),
    "amax": _reduction(torch.amax),
    "amin": _reduction(torch.amin),
    "argmax": lambda a, *axes: a.argmax(*_ints(axes)).double(),
    "argmin": lambda a, *axes: a.argmin(*_ints(axes)).double(),
    "cat": _cat,
    "each": _each,
    "outer": torch.outer,
    "norm": _norm,
    "rms": _rms,
    "softmax": lambda a: torch.softmax(a, -1),
    "log_softmax": lambda a: torch.log_softmax(a, -1),
    "logsumexp": lambda a: torch.logsumexp(a, -1),
    "logaddexp": torch.logaddexp,
    "log_σ": F.logsigmoid,
    "log_sigmoid": F.logsigmoid,
    "softplus": lambda a: F.softplus(a),
    "silu": F.silu,
    "gelu": lambda a: F.gelu(a),
    "elu": lambda a: F.elu(a),
    "mish": F.mish,
    "leaky_relu": lambda a, slope: torch.where(a > 0, a, a * slope),
    "clip": lambda a, low, high: torch.clamp(a, float(low), float(high)),
}
