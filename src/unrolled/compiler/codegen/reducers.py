"""Reductions over the features of one row, as C statements."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch

from ..operations import REDUCTIONS
from .expression import C_TYPES, SUFFIXES


@dataclass(frozen=True)
class Reduction:
    """What is reduced: ``value``, computed by ``lines``, for all turns of ``loops``, into ``target``."""

    dtype: torch.dtype  # of the value
    target: str
    loops: tuple[tuple[str, int], ...]  # (variable, extent)
    lines: tuple[str, ...]
    value: str

    @property
    def kind(self) -> str:
        """The C type of the value."""
        return C_TYPES[self.dtype]

    def looped(self, update: str) -> list[str]:
        """The update, once for every element."""
        return loops(self.loops, [*self.lines, update])


Reducer: TypeAlias = Callable[[Reduction], list[str]]


def loops(counters: tuple[tuple[str, int], ...], inside: list[str]) -> list[str]:
    """Statements inside loops over these variables."""
    opened = [f"for (long {name} = 0; {name} < {extent}; {name}++) {{" for name, extent in counters]
    return [*opened, *inside, "}" * len(counters)]


def _sum(r: Reduction) -> list[str]:
    if not r.dtype.is_floating_point:
        return ["long long sum = 0;", *r.looped(f"sum += {r.value};"), f"{r.target} = sum;"]
    if not r.loops:
        return [*r.lines, f"{r.target} = {r.value};"]
    s = SUFFIXES[r.dtype]
    lanes = f"U_LANES{s.upper()}"  # partial sums, side by side
    *outside, (name, extent) = r.loops
    inside = [
        f"long {name}0 = 0;",
        f"for (; {name}0 + {lanes} <= {extent}; {name}0 += {lanes}) for (long l = 0; l < {lanes}; l++) {{",
        f"const long {name} = {name}0 + l;",
        *r.lines,
        f"acc[l] += {r.value}; }}",
        f"for (long {name} = {name}0; {name} < {extent}; {name}++) {{",
        *r.lines,
        f"acc[{name} - {name}0] += {r.value}; }}",
    ]
    body = loops(tuple(outside), ["{", *inside, "}"])
    return [f"{r.kind} acc[{lanes}] = {{0}};", *body, f"{r.target} = u_sum_lanes{s}(acc);"]


def _extreme(name: str) -> Reducer:
    def reduce(r: Reduction) -> list[str]:
        update = f"best = started ? u_{name}{SUFFIXES[r.dtype]}(best, {r.value}) : {r.value}; started = 1;"
        return ["int started = 0;", f"{r.kind} best = 0;", *r.looped(update), f"{r.target} = best;"]

    return reduce


def _argument(sign: str) -> Reducer:
    def reduce(r: Reduction) -> list[str]:
        place = r.loops[0][0] if r.loops else "0"
        better = f"!started || (best == best && ({r.value} {sign} best || {r.value} != {r.value}))"
        update = f"if ({better}) {{ best = {r.value}; place = {place}; started = 1; }}"
        start = ["int started = 0;", f"{r.kind} best = 0;", "long long place = 0;"]
        return [*start, *r.looped(update), f"{r.target} = place;"]

    return reduce


def _prod(r: Reduction) -> list[str]:
    return [f"{r.kind} product = 1;", *r.looped(f"product *= {r.value};"), f"{r.target} = product;"]


REDUCERS: dict[str, Reducer] = {
    "sum": _sum,
    "prod": _prod,
    "amax": _extreme("maximum"),
    "amin": _extreme("minimum"),
    "argmax": _argument(">"),
    "argmin": _argument("<"),
}
assert set(REDUCERS) == set(REDUCTIONS)
