"""Nonlinearities by name, and the initialisation that every cell shares."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import InputError, InputTypeError

Nonlinearity = str | Callable[[Tensor], Tensor]


def _identity(a: Tensor) -> Tensor:
    return a


def _softmax(a: Tensor) -> Tensor:
    return torch.softmax(a, -1)


def _log_softmax(a: Tensor) -> Tensor:
    return torch.log_softmax(a, -1)


NAMED: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": _identity,  # no lambdas: a cell must pickle
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "hardtanh": F.hardtanh,
    "sin": torch.sin,
}


def named(choice: Nonlinearity, name: str = "nonlinearity") -> Callable[[Tensor], Tensor]:
    """The function of that name, or the function itself."""
    if callable(choice):
        return choice
    if not isinstance(choice, str):
        raise InputTypeError(f"{name}: expected a name or a function of a tensor, got {type(choice).__name__}.")
    if choice not in NAMED:
        raise InputError(f"{name}: expected a function or one of {', '.join(NAMED)}, got {choice!r}.")
    return NAMED[choice]


def positive(a: Tensor) -> Tensor:
    """A + 0.5 where a >= 0, the sigmoid elsewhere: above 0, and of slope 1 on the right (arXiv:2410.01201, B.3)."""
    return torch.where(a >= 0, a + 0.5, torch.sigmoid(a))


def weight(*shape: int) -> nn.Parameter:
    """An empty parameter of this shape; the cell's ``reset_parameters`` fills it."""
    return nn.Parameter(torch.empty(*shape))


def bound_of(hidden_size: int) -> float:
    """1/sqrt(H)."""
    return 1 / math.sqrt(hidden_size)


def uniform_(cell: nn.Module, hidden_size: int) -> None:
    """Fill the cell's own parameters from U(-1/sqrt(H), 1/sqrt(H)), as torch.nn's recurrent layers do; a
    nonlinearity that is itself a module (``nn.PReLU()``) keeps its own.
    """
    bound = bound_of(hidden_size)
    for parameter in cell.parameters(recurse=False):
        nn.init.uniform_(parameter, -bound, bound)


def each_gate_(parameter: Tensor, gates: int, fill: Callable[[Tensor], Any]) -> None:
    """Fill the rows of each gate as the matrix of its own that they are; a rule of initialisation reads its shape."""
    with torch.no_grad():
        for rows in parameter.chunk(gates):
            fill(rows)


def check_sizes(proj_size: int = 0, **sizes: int) -> int:
    """Raise unless every size is a whole number of at least 1, and ``proj_size`` one of at least 0.

    Returns:
        The features that a cell feeds back: ``proj_size``, or ``hidden_size`` where it is 0 (0 if there is none).
    """
    for name, size in sizes.items():
        if not _is_whole(size) or size < 1:
            raise InputError(f"{name}: expected a whole number of at least 1, got {size!r}.")
    if not _is_whole(proj_size) or proj_size < 0:
        raise InputError(f"proj_size: expected a whole number, 0 for no projection, got {proj_size!r}.")
    return proj_size or sizes.get("hidden_size", 0)


def _is_whole(size: Any) -> bool:
    return not isinstance(size, bool) and hasattr(size, "__index__")
