"""Training sequences that are a little different each time: what a class does not depend on, a model should not learn.

Every draw is from PyTorch's global generator, so that a run that goes on draws what it would have drawn.
"""

import torch
from torch import Tensor

from ..augment import mask_bands, mask_time, stretch, taken
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
        x, lengths = taken(x, begin[None] + torch.arange(len(x))[:, None].float(), kept), kept
    if options.stretch:
        x, lengths = stretch(x, options.stretch, lengths=lengths)
    if options.roll:
        by = (torch.rand(rows) * (options.roll * lengths + 1)).long()
        x = taken(x, torch.remainder(torch.arange(len(x))[:, None] + by, lengths).float(), lengths)
    if options.scale:
        x = x * torch.exp(options.scale * torch.randn(1, rows, 1))
    if options.offset:
        x = x + options.offset * torch.randn(1, rows, 1)
    if options.noise:
        x = x + options.noise * torch.randn(x.shape)
    inside = valid_steps(x, lengths)
    for _ in range(options.mask_count):
        if options.mask_time:
            x = mask_time(x, options.mask_time, lengths=lengths)
        if options.mask_features:
            x = mask_bands(x, options.mask_features)
    return x * inside[..., None], lengths


def without_words(words: Tensor, probability: float, unknown: int) -> Tensor:
    """Words with their parts (T, B, 1 + N), each with this probability replaced by the unknown word.

    Half of these keep their parts, as a word does that was never seen; the others are gone altogether.
    """
    draw = torch.rand(words.shape[:2])[..., None]
    found = torch.where(draw < probability / 2, 0, words)
    found[..., :1] = torch.where(draw < probability, unknown, words[..., :1])
    return found
