"""Features changed at random, so that a model learns not to depend on what is changed: parts left out, time stretched,
bands moved.

Each function takes one sequence (T, F) or a batch (T, B, F), in which every row has a draw of its own. Standardise the
features before: what is left out becomes 0, their mean. Without a generator the draws are PyTorch's global ones.

Reference:
    Park et al. 2019, SpecAugment: a simple data augmentation method for automatic speech recognition,
    https://arxiv.org/abs/1904.08779.
"""

import torch
from torch import Generator, Tensor

from ..core import InputError
from .batches import valid_steps


def mask_time(x: Tensor, share: float, *, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
    """The features with some steps in a row set to 0.

    Args:
        x: (T, F) or (T, B, F).
        share: of a row's length, at most; the width is uniform from 0 to it, and the place within the row.
        lengths: (B,); by default T.
        generator: of the draws.

    Example:
        >>> import torch
        >>> mask_time(torch.ones(8, 1), 0.5, generator=torch.Generator().manual_seed(0)).flatten().tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0]
    """
    _check_share(share, 1.0)
    batch, lengths = _batch(x, lengths)
    rows = len(lengths)
    width = torch.rand(rows, generator=generator) * share * lengths
    begin = torch.rand(rows, generator=generator) * (lengths - width)
    at = torch.arange(len(batch))[:, None]
    masked = batch.masked_fill(((at >= begin) & (at < begin + width))[..., None], 0.0)
    return masked.view_as(x)


def mask_bands(x: Tensor, share: float, *, generator: Generator | None = None) -> Tensor:
    """The features with some neighbouring ones set to 0 at all steps.

    Args:
        x: (T, F) or (T, B, F).
        share: of the F features, at most; the width is uniform from 0 to it, and the place within them.
        generator: of the draws.

    Example:
        >>> import torch
        >>> mask_bands(torch.ones(1, 8), 0.5, generator=torch.Generator().manual_seed(0)).tolist()
        [[1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0]]
    """
    _check_share(share, 1.0)
    batch, lengths = _batch(x, None)
    rows, size = len(lengths), batch.shape[2]
    width = torch.rand(rows, generator=generator) * share * size
    begin = torch.rand(rows, generator=generator) * (size - width)
    at = torch.arange(size)
    masked = batch.masked_fill(((at >= begin[:, None]) & (at < (begin + width)[:, None]))[None], 0.0)
    return masked.view_as(x)


def warp_bands(x: Tensor, share: float, *, generator: Generator | None = None) -> Tensor:
    """The features with their bands moved up or down, as by a speaker with a longer or shorter vocal tract.

    Band b becomes what band a b was, on the line between two of them, with one a for all steps of a row.

    Args:
        x: (T, F) or (T, B, F), of bands in the order of their frequency.
        share: how much: a is log-uniform from 1 / (1 + share) to 1 + share.
        generator: of the draws.

    Reference:
        Jaitly and Hinton 2013, Vocal tract length perturbation (VTLP) improves speech recognition; here bands are
        moved in place of the frequencies of a spectrum.

    Example:
        >>> import torch
        >>> warp_bands(torch.arange(5.0)[None], 1.0, generator=torch.Generator().manual_seed(1))
        tensor([[0.0000, 1.4293, 2.8585, 4.0000, 4.0000]])
    """
    _check_share(share, float("inf"))
    batch, lengths = _batch(x, None)
    rows, size = len(lengths), batch.shape[2]
    at = (torch.arange(size) * _factors(rows, share, generator)[:, None]).clamp(max=max(size - 1, 0))
    low = at.floor().long()
    high = (low + 1).clamp(max=max(size - 1, 0))
    below, above = (batch.gather(2, places.expand_as(batch)) for places in (low, high))
    return torch.lerp(below, above, (at - low).to(batch.dtype)).view_as(x)


def stretch(
    x: Tensor, share: float, *, lengths: Tensor | None = None, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """The features slower or faster, those between two steps on the line through both; and the new lengths (B,).

    Args:
        x: (T, F) or (T, B, F), zero after a row's end.
        share: how much: the factor of a length is log-uniform from 1 / (1 + share) to 1 + share.
        lengths: (B,); by default T.
        generator: of the draws.

    Shape:
        the result is (T', F) or (T', B, F), T' the largest new length.

    Example:
        >>> import torch
        >>> x = torch.arange(5.0)[:, None]
        >>> slower, lengths = stretch(x, 1.0, generator=torch.Generator().manual_seed(1))
        >>> slower.flatten(), lengths
        (tensor([0.0000, 0.6667, 1.3333, 2.0000, 2.6667, 3.3333, 4.0000]), tensor([7]))
    """
    _check_share(share, float("inf"))
    batch, lengths = _batch(x, lengths)
    factor = _factors(len(lengths), share, generator)
    longer = (lengths * factor).round().long().clamp(min=1) * (lengths > 0)
    at = torch.arange(int(longer.max()) if len(longer) else 0)[:, None] * (
        (lengths - 1).clamp(min=0) / (longer - 1).clamp(min=1)
    )
    found = taken(batch, at, longer)
    return (found[:, 0] if x.ndim == 2 else found), longer


def taken(x: Tensor, at: Tensor, lengths: Tensor) -> Tensor:
    """Row b's value at the place ``at[t, b]``, between two steps on the line through both; zero after its end."""
    at = at.clamp(0, len(x) - 1)
    low = at.floor().long()
    high = (low + 1).clamp(max=len(x) - 1)
    index = torch.arange(x.shape[1])
    share = (at - low)[..., None]
    found = x[low, index] * (1 - share) + x[high, index] * share
    return found * valid_steps(at, lengths)[..., None]


def _factors(rows: int, share: float, generator: Generator | None) -> Tensor:
    """Log-uniform from 1 / (1 + share) to 1 + share, one for each row."""
    return torch.exp((2 * torch.rand(rows, generator=generator) - 1) * torch.log1p(torch.tensor(share)))


def _check_share(share: float, most: float) -> None:
    if not 0 <= share <= most or share == float("inf"):
        raise InputError(f"share: expected a number from 0 to {most:g}, got {share!r}.")


def _batch(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """As (T, B, F), with the lengths."""
    if x.dim() not in (2, 3):
        raise InputError(f"x: expected (T, F) or (T, B, F), got {tuple(x.shape)}.")
    batch = x[:, None] if x.ndim == 2 else x
    return batch, torch.full((batch.shape[1],), len(batch)) if lengths is None else lengths
