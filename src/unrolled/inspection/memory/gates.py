"""The squashing functions of a step: which of the user's variables they are, and how often they are at an end."""

import os
import sys
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .call_names import Place, name_of
from .facts import Gate

_TORCH = os.path.dirname(torch.__file__) + os.sep
_OURS = __file__
# by the name of the operation: what it is called here, and below and above what its values are at an end
ENDS: dict[str, tuple[str, float, float]] = {
    "sigmoid": ("sigmoid", 0.1, 0.9),
    "hardsigmoid": ("hardsigmoid", 0.1, 0.9),
    "log_sigmoid_forward": ("log sigmoid", 0.1, 0.9),
    "tanh": ("tanh", -0.9, 0.9),
    "hardtanh": ("hardtanh", -0.9, 0.9),
    "relu": ("relu", 0.0, float("inf")),
}


@dataclass
class _Site:
    """One function at one place of the user's code."""

    function: str
    place: Place
    values: list[tuple[int, Tensor]] = field(default_factory=list)  # in which step, and what came out


class Gates(TorchDispatchMode):
    """While it is entered, once for each step, it notes what comes out of every squashing function."""

    def __init__(self) -> None:
        super().__init__()
        self.step = -1
        self.sites: dict[tuple[str, Place], _Site] = {}

    def __enter__(self) -> Any:
        self.step += 1
        return super().__enter__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note what it gave if it is one of these."""
        out = func(*args, **(kwargs or {}))
        operation = func.overloadpacket.__name__.removesuffix("_")
        if operation in ENDS:
            function = ENDS[operation][0]
            values: Tensor
            values = _from_minus_1_to_1(out, args) if operation == "hardtanh" else out
            values = out[0].exp() if operation == "log_sigmoid_forward" else values.clone()
            place = _place()
            self.sites.setdefault((function, place), _Site(function, place)).values.append((self.step, values))
        return out

    def found(self, valid: Tensor) -> tuple[Gate, ...]:
        """What was noted, without masked steps (T, B)."""
        named: dict[tuple[str, str], list[_Site]] = {}
        for site in self.sites.values():
            named.setdefault((site.function, name_of(site.place) or site.function), []).append(site)
        gates = []
        for (_, name), sites in named.items():
            for site in sites:
                shown = f"{name} (line {site.place.line})" if len(sites) > 1 else name
                gate = _gate(site, shown, valid)
                gates += [] if gate is None else [gate]
        return tuple(gates)


def _gate(site: _Site, name: str, valid: Tensor) -> Gate | None:
    parts = [out[valid[step]] if out.dim() and out.shape[0] == valid.shape[1] else out for step, out in site.values]
    if not sum(part.numel() for part in parts):
        return None
    values = torch.cat([part.reshape(-1) for part in parts]).double()
    _, low, high = next(ends for ends in ENDS.values() if ends[0] == site.function)
    dead = None
    if site.function == "relu":
        alike = all(part.shape[1:] == parts[0].shape[1:] and part.dim() > 1 for part in parts)
        dead = float((torch.cat(parts) == 0).all(0).double().mean()) if alike else None
        low_share, high_share = (values == 0).double().mean(), 0.0
    else:
        low_share, high_share = (values < low).double().mean(), float((values > high).double().mean())
    return Gate(name, site.function, site.place.line_name, float(low_share), high_share, float(values.mean()), dead)


def _from_minus_1_to_1(out: Tensor, args: Any) -> Any:
    """A hardtanh of any range in the range of tanh."""
    low, high = (*args[1:3], -1.0, 1.0)[:2] if len(args) != 2 else (args[1], 1.0)
    return 2 * (out - low) / (high - low) - 1


def _place() -> Place:
    """The innermost place outside torch, and outside this file."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_TORCH) and file != _OURS:
            return Place.of(frame)
        frame = frame.f_back
    return Place("", 0)
