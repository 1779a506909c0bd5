"""Index arithmetic: an index is a constant plus loop variables times coefficients, nothing else.

Views of a value (reshape, permute, slice, ...) are such maps of its indices, so they cost nothing in a kernel.
Where a reshape cannot be written so, the value before it gets a buffer of its own.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Affine:
    """``constant + sum of coefficient * variable``; a variable counts from 0 to its extent - 1."""

    constant: int = 0
    terms: tuple[tuple[str, int, int], ...] = ()  # (variable, extent, coefficient), sorted

    def __add__(self, other: "Affine") -> "Affine":
        sums = {(name, extent): coefficient for name, extent, coefficient in self.terms}
        for name, extent, coefficient in other.terms:
            sums[name, extent] = sums.get((name, extent), 0) + coefficient
        terms = tuple(sorted((name, extent, c) for (name, extent), c in sums.items() if c))
        return Affine(self.constant + other.constant, terms)

    def __mul__(self, factor: int) -> "Affine":
        if not factor:
            return Affine()
        return Affine(self.constant * factor, tuple((name, extent, c * factor) for name, extent, c in self.terms))

    def coefficient(self, variable: str) -> int:
        """By how much the index grows when the variable grows by one."""
        return sum(c for name, _, c in self.terms if name == variable)

    def c(self) -> str:
        """As C text."""
        parts = [name if c == 1 else f"{c} * {name}" for name, _, c in self.terms]
        if self.constant or not parts:
            parts.append(str(self.constant))
        return " + ".join(parts)


Index: TypeAlias = tuple[Affine, ...]


def variable(name: str, extent: int) -> Affine:
    """The index that a loop counts; a loop of one turn is the constant 0."""
    return Affine(0, ((name, extent, 1),)) if extent > 1 else Affine()


def flatten(index: Index, shape: tuple[int, ...]) -> Affine:
    """The place of an element in row-major order."""
    flat, stride = Affine(), 1
    for part, size in zip(reversed(index), reversed(shape), strict=True):
        flat = flat + part * stride
        stride *= size
    return flat


def unflatten(flat: Affine, shape: tuple[int, ...]) -> Index | None:
    """The index of the element at a place in row-major order; None where that is no such index."""
    if any(c < 0 for _, _, c in flat.terms) or flat.constant < 0:
        return None
    constant, terms = flat.constant, list(flat.terms)
    index = []
    for axis, size in enumerate(shape):
        stride = 1
        for inner in shape[axis + 1 :]:
            stride *= inner
        mine = [term for term in terms if term[2] >= stride and term[2] % stride == 0 and size > 1]
        terms = [term for term in terms if term not in mine]
        digit = constant // stride if size > 1 else 0
        constant -= digit * stride
        highest = digit + sum((extent - 1) * (c // stride) for _, extent, c in mine)
        rest = constant + sum((extent - 1) * c for _, extent, c in terms)
        if highest >= size or rest >= stride:
            return None
        index.append(Affine(digit, tuple((name, extent, c // stride) for name, extent, c in mine)))
    return None if terms or constant else tuple(index)
