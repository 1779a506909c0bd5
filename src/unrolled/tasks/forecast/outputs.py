"""What the network says of each step ahead: quantiles, or a distribution; its loss, mean and quantiles."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)  # that quantiles are learnt of
_HALF = LEVELS.index(0.5)
_SMALL = 1e-4  # in units of a window's scale: a spread is never less


class Output(Protocol):
    """How the last layer's numbers (H, B, size) and the linear path's (H, B) are read.

    Everything is in units of the window's scale, which comes along (B,) for what needs counts.
    """

    size: int  # numbers a step
    counts: bool  # of counts: the window is scaled, but not shifted

    def loss(self, raw: Tensor, base: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """The loss of every target (H, B)."""

    def mean(self, raw: Tensor, base: Tensor, scale: Tensor) -> Tensor:
        """The expectation (H, B)."""

    def quantiles(self, raw: Tensor, base: Tensor, scale: Tensor, levels: Sequence[float]) -> Tensor:
        """The quantiles (H, B, Q) at these levels, each in (0, 1), in rising order."""


def pinball(quantiles: Tensor, levels: Tensor, target: Tensor) -> Tensor:
    """max(q (y - f), (q - 1) (y - f)) for each level q: f (..., Q), y (...) gives (..., Q)."""
    error = target.unsqueeze(-1) - quantiles
    return torch.maximum(levels * error, (levels - 1) * error)


class Quantiles:
    """A mean by squared error beside quantiles by pinball loss, the latter in order by construction.

    Reference:
        Koenker & Bassett 1978, Regression quantiles; Wen et al. 2017, arXiv:1711.11053.
    """

    counts = False

    def __init__(self, mean_weight: float = 0.5):
        self.mean_weight = mean_weight
        self.levels = LEVELS
        self.size = 1 + len(LEVELS)

    def _parts(self, raw: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
        mean = base + raw[..., 0]
        middle = (base + raw[..., 1 + _HALF]).unsqueeze(-1)
        # a constant that makes the first spreads those of a normal distribution of a third of the scale
        apart = F.softplus(raw[..., 1:] - 2.5) + _SMALL
        below = middle - apart[..., :_HALF].flip(-1).cumsum(-1).flip(-1)
        above = middle + apart[..., _HALF + 1 :].cumsum(-1)
        return mean, torch.cat([below, middle, above], -1)

    def loss(self, raw: Tensor, base: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """See :class:`Output`."""
        mean, quantiles = self._parts(raw, base)
        levels = torch.tensor(self.levels, dtype=raw.dtype, device=raw.device)
        return 2 * pinball(quantiles, levels, target).mean(-1) + self.mean_weight * (mean - target).square()

    def mean(self, raw: Tensor, base: Tensor, scale: Tensor) -> Tensor:
        """See :class:`Output`."""
        return self._parts(raw, base)[0]

    def quantiles(self, raw: Tensor, base: Tensor, scale: Tensor, levels: Sequence[float]) -> Tensor:
        """See :class:`Output`."""
        known = self._parts(raw, base)[1]
        return between(known, self.levels, levels)


def normal_scores(levels: Sequence[float]) -> Tensor:
    """The standard normal's quantiles, in float64."""
    found: Tensor = torch.special.ndtri(torch.tensor(list(levels), dtype=torch.float64))
    return found


def between(known: Tensor, at: Sequence[float], levels: Sequence[float]) -> Tensor:
    """Quantiles at any levels from those at some: a line between two in normal scores, and beyond the outer ones.

    Args:
        known: (..., K), not falling.
        at: their K levels.
        levels: the Q levels wanted.

    Returns:
        (..., Q).
    """
    have, want = normal_scores(at), normal_scores(levels)
    right = torch.searchsorted(have, want).clamp(1, len(have) - 1)
    share = ((want - have[right - 1]) / (have[right] - have[right - 1])).to(known.dtype).to(known.device)
    lower, upper = known[..., right - 1], known[..., right]
    found: Tensor = lower + share * (upper - lower)
    return found


class Normal:
    """A normal distribution, by its likelihood."""

    counts = False
    size = 2

    def _parts(self, raw: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
        return base + raw[..., 0], F.softplus(raw[..., 1] - 0.5) + _SMALL

    def loss(self, raw: Tensor, base: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """See :class:`Output`."""
        mean, spread = self._parts(raw, base)
        return 0.5 * ((target - mean) / spread).square() + spread.log() + 0.5 * math.log(2 * math.pi)

    def mean(self, raw: Tensor, base: Tensor, scale: Tensor) -> Tensor:
        """See :class:`Output`."""
        return self._parts(raw, base)[0]

    def quantiles(self, raw: Tensor, base: Tensor, scale: Tensor, levels: Sequence[float]) -> Tensor:
        """See :class:`Output`."""
        mean, spread = self._parts(raw, base)
        return mean.unsqueeze(-1) + spread.unsqueeze(-1) * normal_scores(levels).to(raw)


class StudentT:
    """Student's t with its own degrees of freedom above 2 at each step: a normal with heavier tails."""

    counts = False
    size = 3

    def _parts(self, raw: Tensor, base: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return base + raw[..., 0], F.softplus(raw[..., 1] - 0.5) + _SMALL, 2.1 + F.softplus(raw[..., 2] + 3)

    def loss(self, raw: Tensor, base: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """See :class:`Output`."""
        mean, spread, freedom = self._parts(raw, base)
        distance = ((target - mean) / spread).square()
        normaliser = torch.lgamma((freedom + 1) / 2) - torch.lgamma(freedom / 2) - 0.5 * (freedom * math.pi).log()
        return spread.log() - normaliser + (freedom + 1) / 2 * torch.log1p(distance / freedom)

    def mean(self, raw: Tensor, base: Tensor, scale: Tensor) -> Tensor:
        """See :class:`Output`."""
        return self._parts(raw, base)[0]

    def quantiles(self, raw: Tensor, base: Tensor, scale: Tensor, levels: Sequence[float]) -> Tensor:
        """See :class:`Output`."""
        from scipy.special import stdtrit  # half a second, and only here

        mean, spread, freedom = self._parts(raw, base)
        scores = stdtrit(freedom.detach().cpu().double().numpy()[..., None], np.asarray(levels))
        return mean.unsqueeze(-1) + spread.unsqueeze(-1) * torch.from_numpy(scores).to(raw)


class NegativeBinomial:
    """Counts y with mean m and variance m + m^2 / r, by the likelihood; windows are only divided by their scale.

    Reference:
        Salinas et al. 2020, DeepAR, arXiv:1704.04110.
    """

    counts = True
    size = 2

    def _parts(self, raw: Tensor, base: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        mean = scale * (F.softplus(base + raw[..., 0], beta=5) + _SMALL)
        return mean, F.softplus(raw[..., 1] + 1) + _SMALL

    def loss(self, raw: Tensor, base: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """See :class:`Output`."""
        mean, shape = self._parts(raw, base, scale)
        counts = (target * scale).round()
        ways = torch.lgamma(counts + shape) - torch.lgamma(shape) - torch.lgamma(counts + 1)
        total = (shape + mean).log()
        return -(ways + shape * (shape.log() - total) + counts * (mean.log() - total))

    def mean(self, raw: Tensor, base: Tensor, scale: Tensor) -> Tensor:
        """See :class:`Output`."""
        return self._parts(raw, base, scale)[0] / scale

    def quantiles(self, raw: Tensor, base: Tensor, scale: Tensor, levels: Sequence[float]) -> Tensor:
        """See :class:`Output`."""
        from scipy.special import nbdtrik  # half a second, and only here

        mean, shape = (part.detach().cpu().double().numpy()[..., None] for part in self._parts(raw, base, scale))
        counts = np.ceil(np.nan_to_num(nbdtrik(np.asarray(levels), shape, shape / (shape + mean))) - 1e-9)
        return torch.from_numpy(np.maximum(counts, 0)).to(raw) / scale.unsqueeze(-1)


def make_output(name: str) -> Output:
    """An output by its option's name."""
    made: dict[str, type[Output]] = {
        "quantiles": Quantiles,
        "normal": Normal,
        "student-t": StudentT,
        "negative-binomial": NegativeBinomial,
    }
    return made[name]()
