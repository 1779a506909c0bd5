"""Whether two sides computed the same: a comparison of speed between different results is worth nothing."""

import math

import torch
from torch import Tensor

from ..core import UnrolledError
from .sides import Named


class Disagreement(UnrolledError, ArithmeticError):
    """Two sides that hold the same numbers computed different results."""


# Rounding errors of a sum of n terms grow like sqrt(n) times the machine's epsilon; the steps of a sequence add to
# that, but weights of this size do not let an error grow from step to step. Sixteen times that is far from the
# differences that a swapped gate or a transposed weight makes, which are of the size of the results themselves.
SAFETY = 16
NEAR = 0.01  # of the largest element; results that rounding alone moves further cannot be compared at all
# bfloat16 keeps 8 bits: each value that is stored is off by 2^-9 of itself at most, and some of these add up on the
# way of a sequence; their average over all elements is compared, since single elements near zero may be anything.
BFLOAT16 = 8 * 2**-9


def check(ours: Named, theirs: Named, reduced: int, *, peer: str, truth: Named | None = None) -> None:
    """Require that two sides agree as far as float32 can.

    Args:
        ours: results by name.
        theirs: the peer's, of the same names.
        reduced: the longest sum in them.
        peer: its name, for messages.
        truth: the same in float64. With it, a cell that magnifies rounding errors from step to step (a layer
            norm does) agrees too, if both sides are near the truth, and about as near as each other.

    Raises:
        Disagreement: they do not; the first result that differs is named.
    """
    if set(ours) != set(theirs):
        raise Disagreement(f"{peer} has results {', '.join(sorted(set(ours) ^ set(theirs)))} that the other has not.")
    tolerance = SAFETY * torch.finfo(torch.float32).eps * math.sqrt(reduced)
    for name, mine in ours.items():
        its = theirs[name]
        if mine.shape != its.shape:
            raise Disagreement(f"{name}: unrolled has the shape {tuple(mine.shape)}, {peer} {tuple(its.shape)}.")
        error = distance(mine, its)
        if error <= tolerance:
            continue
        if truth is not None and _as_near(mine, its, truth[name]):
            continue
        raise Disagreement(
            f"{name}: unrolled and {peer} differ by {error:.1e} of the largest element, expected at most "
            f"{tolerance:.1e}; not timed."
        )


def check_bfloat16(ours: Named, exact: Named) -> None:
    """Require that results in bfloat16 are those of float32 but for rounding.

    Raises:
        Disagreement: they are not.
    """
    for name, mine in ours.items():
        its = exact[name].double()
        error = float((mine.double() - its).norm() / its.norm())
        if not error <= BFLOAT16:
            raise Disagreement(
                f"{name}: bfloat16 and float32 differ by {error:.1e} on average, expected at most {BFLOAT16:.1e}."
            )


def distance(a: Tensor, b: Tensor) -> float:
    """The largest difference, relative to the largest element; infinite where either is not finite."""
    if a.numel() == 0:
        return 0.0
    a, b = a.double(), b.double()
    largest, difference = float(b.abs().max()), float((a - b).abs().max())
    if not (math.isfinite(largest) and math.isfinite(difference)):
        return math.inf
    return difference / largest if largest else (math.inf if difference else 0.0)


def _as_near(mine: Tensor, its: Tensor, truth: Tensor) -> bool:
    """Whether both are near the truth, and neither much nearer: which one is nearer is chance, at batch 1 above all."""
    ours, theirs = distance(mine, truth), distance(its, truth)
    return max(ours, theirs) <= min(NEAR, SAFETY * min(ours, theirs))
