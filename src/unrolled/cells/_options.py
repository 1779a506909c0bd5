"""What the plain network, the LSTM and the GRU share: normed products, decay over time, random masks, projections."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import InputError, InputTypeError, Tree
from ._shared import bound_of

EPS = 1e-5  # of a layer norm
ONES = ("norm_ih", "norm_hh", "norm_c")
ZEROS = ("norm_c_bias", "decay_bias", "initial_h", "initial_c")


def fill(cell: nn.Module, hidden_size: int) -> None:
    """Fill a cell's own parameters: U(-1/sqrt(H), 1/sqrt(H)) in their order, as torch.nn's recurrent layers do, save
    gains (1), what is added (0), and ``decay_weight``, U(0, 1/sqrt(H)): where it is negative nothing decays or learns.
    """
    bound = bound_of(hidden_size)
    for name, parameter in cell.named_parameters(recurse=False):
        if name in ONES:
            nn.init.ones_(parameter)
        elif name in ZEROS:
            nn.init.zeros_(parameter)
        else:
            nn.init.uniform_(parameter, 0 if name == "decay_weight" else -bound, bound)


def product(v: Tensor, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> Tensor:
    """W v + b; with a gain, gain (W v - mean) / sqrt(variance + eps) + b, over the rows of W."""
    if gain is None:
        return F.linear(v, weight, bias)
    return normed(F.linear(v, weight), gain, bias)


def normed(v: Tensor, gain: Tensor | None, bias: Tensor | None) -> Tensor:
    """Layer norm, gain (v - mean) / sqrt(variance + eps) + bias over the features; v itself without a gain."""
    return v if gain is None else F.layer_norm(v, gain.shape, gain, bias, EPS)


def decay_over(x: Tree, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Of the pair (x, Δt): x, and exp(-max(0, w Δt + b)), (B, H).

    Raises:
        InputTypeError: x is no pair.
    """
    if not isinstance(x, tuple) or len(x) != 2:
        got = f"a tuple of {len(x)}" if isinstance(x, tuple) else type(x).__name__
        raise InputTypeError(f"x: expected the pair (x, dt) with time_decay=True, got {got}.")
    x, dt = x
    dt = dt.to(weight.dtype).reshape(-1, 1)
    return x, torch.exp(-torch.relu(dt * weight + bias))


def expanded(start: Tensor, batch_size: int, device: torch.device | str | None, dtype: torch.dtype | None) -> Tensor:
    """A learned state (H,) as that of every row, (B, H)."""
    return start.to(device or start.device, dtype or start.dtype).expand(batch_size, -1)


def probability(value: float, name: str) -> float:
    """A probability of dropping.

    Raises:
        InputError: it is not in [0, 1).
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise InputError(f"{name}: expected a probability, at least 0 and below 1, got {value!r}.")
    return float(value)


def draw_masks(
    cell: Any, steps: int, batch_size: int, dropout: tuple[float, int], *zoneouts: tuple[float, int]
) -> tuple[Tensor, ...] | None:
    """The masks of one sequence in training, those of a probability above 0; None if there is none.

    Args:
        cell: in its dtype and on its device; with a ``weight_hh``.
        steps: T.
        batch_size: B.
        dropout: probability and features of a mask for all time steps, 0 or 1/(1-p): (T, B, features).
        zoneouts: likewise of masks that are drawn for each step, True = kept as it was.
    """
    if not cell.training or not any(p for p, _ in (dropout, *zoneouts)):
        return None
    like = cell.weight_hh
    masks = []
    p, size = dropout
    if p:
        once = torch.full((batch_size, size), 1 - p, dtype=like.dtype, device=like.device)
        masks.append((once.bernoulli() / (1 - p)).expand(steps, -1, -1))
    for p, size in zoneouts:
        if p:
            masks.append(torch.rand(steps, batch_size, size, device=like.device) < p)
    return tuple(masks)


def masks_of(noise: tuple[Tensor, ...] | None, probabilities: Iterable[float]) -> list[Tensor | None]:
    """One mask for each probability; None where it is 0 or nothing was drawn."""
    remaining = iter(noise or ())
    return [next(remaining, None) if p else None for p in probabilities]


def zoned(new: Tensor, before: Tensor, p: float, kept: Tensor | None) -> Tensor:
    """``before`` where it was drawn to be kept, else ``new``; without a draw the expectation."""
    if not p:
        return new
    return p * before + (1 - p) * new if kept is None else torch.where(kept, before, new)
