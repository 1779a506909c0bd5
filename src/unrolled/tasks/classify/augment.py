"""Training sequences that are a little different each time: what a class does not depend on, a model should not learn.

Every draw is from PyTorch's global generator, so that a run that goes on draws what it would have drawn.
"""

import torch
from torch import Tensor

from ..batches import valid_steps
from .options import AugmentOptions


def augmented(x: Tensor, lengths: Tensor, options: AugmentOptions) -> tuple[Tensor, Tensor]:
    """A changed copy of standardised sequences, and their new lengths.

    Args:
        x: (T, B, F), with zeros after each row's end.
        lengths: (B,).
        options: how much of what; with none the sequences are returned as they are.

    Shape:
        the result is (T', B, F) and (B,); T' differs from T only with ``stretch``.
    """
    rows = x.shape[1]
    if options.crop:
        kept = (lengths * (1 - options.crop * torch.rand(rows))).round().long().clamp(min=1)
        begin = (torch.rand(rows) * (lengths - kept + 1)).long()
        x, lengths = _taken(x, begin[None] + torch.arange(len(x))[:, None].float(), kept), kept
    if options.stretch:
        factor = torch.exp((2 * torch.rand(rows) - 1) * torch.log1p(torch.tensor(options.stretch)))
        longer = (lengths * factor).round().long().clamp(min=1)
        at = torch.arange(int(longer.max()))[:, None] * ((lengths - 1).clamp(min=0) / (longer - 1).clamp(min=1))
        x, lengths = _taken(x, at, longer), longer
    if options.roll:
        by = (torch.rand(rows) * (options.roll * lengths + 1)).long()
        x = _taken(x, torch.remainder(torch.arange(len(x))[:, None] + by, lengths).float(), lengths)
    if options.scale:
        x = x * torch.exp(options.scale * torch.randn(1, rows, 1))
    if options.offset:
        x = x + options.offset * torch.randn(1, rows, 1)
    if options.noise:
        x = x + options.noise * torch.randn(x.shape)
    inside = valid_steps(x, lengths)
    for _ in range(options.mask_count):
        if options.mask_time:
            width = torch.rand(rows) * options.mask_time * lengths
            begin = torch.rand(rows) * (lengths - width)
            at = torch.arange(len(x))[:, None]
            x = x.masked_fill(((at >= begin) & (at < begin + width))[..., None], 0.0)
        if options.mask_features:
            size = x.shape[2]
            width = torch.rand(rows) * options.mask_features * size
            begin = torch.rand(rows) * (size - width)
            at = torch.arange(size)
            x = x.masked_fill(((at >= begin[:, None]) & (at < (begin + width)[:, None]))[None], 0.0)
    return x * inside[..., None], lengths


def _taken(x: Tensor, at: Tensor, lengths: Tensor) -> Tensor:
    """Row b's value at the place ``at[t, b]``, between two steps on the line through both; zero after its end."""
    at = at.clamp(0, len(x) - 1)
    low = at.floor().long()
    high = (low + 1).clamp(max=len(x) - 1)
    index = torch.arange(x.shape[1])
    share = (at - low)[..., None]
    found = x[low, index] * (1 - share) + x[high, index] * share
    return found * valid_steps(at, lengths)[..., None]


def without_words(words: Tensor, probability: float, unknown: int) -> Tensor:
    """Words with their parts (T, B, 1 + N), each with this probability replaced by the unknown word.

    Half of these keep their parts, as a word does that was never seen; the others are gone altogether.
    """
    draw = torch.rand(words.shape[:2])[..., None]
    found = torch.where(draw < probability / 2, 0, words)
    found[..., :1] = torch.where(draw < probability, unknown, words[..., :1])
    return found
