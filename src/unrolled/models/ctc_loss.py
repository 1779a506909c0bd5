"""The loss of CTC, and what a row needs to have one."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import InputError, valid_steps

BLANK = 0
"""The number of the symbol that means: nothing new here."""


def needed_frames(targets: Any, target_lengths: Any = None) -> Tensor:
    """How many log-probabilities an alignment needs: one a symbol, and a blank between two that are equal.

    Args:
        targets: symbols (U,) or (B, U), a tensor or a list.
        target_lengths: symbols of each row; by default all.

    Returns:
        Whole numbers, () or (B,).

    Example:
        >>> int(needed_frames([8, 5, 12, 12, 15]))
        6
    """
    targets = torch.as_tensor(targets)
    if target_lengths is None:
        target_lengths = torch.full(targets.shape[:-1], targets.shape[-1], device=targets.device)
    target_lengths = torch.as_tensor(target_lengths, device=targets.device)
    within = torch.arange(1, targets.shape[-1], device=targets.device) < target_lengths.unsqueeze(-1)
    needed: Tensor = target_lengths + ((targets[..., 1:] == targets[..., :-1]) & within).sum(-1)
    return needed


def ctc_loss(log_probabilities: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Any = None) -> Tensor:
    """The loss of :meth:`CTC.loss`, of log-probabilities (T', B, V) of which so many (B,) are valid.

    It is computed on the CPU, where its gradient is the same in every run.
    """
    batch_size, symbols = log_probabilities.shape[1:]
    lengths = lengths.cpu()
    targets, target_lengths = _checked(targets, target_lengths, batch_size, symbols)
    needed = needed_frames(targets, target_lengths)
    for row in (needed > lengths).nonzero().flatten().tolist()[:1]:
        raise InputError(
            f"targets, row {row}: expected at most as many symbols as its {int(lengths[row])} frames after subsampling "
            f"can align, got {int(target_lengths[row])} symbols, which need {int(needed[row])} frames (one each, and "
            "one between equal neighbours). Leave the row out, or use a smaller subsampling."
        )
    rows = lengths.nonzero().flatten()  # a row without a frame has no symbol either, and its only path is empty
    if not len(rows):
        return log_probabilities.sum() * 0
    given = log_probabilities.cpu()[:, rows]
    given = given.to(torch.promote_types(given.dtype, torch.float32))
    nats = F.ctc_loss(given, targets[rows], lengths[rows], target_lengths[rows], BLANK, "sum")
    loss: Tensor = nats / target_lengths.sum().clamp(min=1)
    return loss.to(log_probabilities.device)


def _checked(targets: Tensor, target_lengths: Any, batch_size: int, symbols: int) -> tuple[Tensor, Tensor]:
    """Targets with 0 in their padding, and their lengths."""
    if targets.dim() != 2 or len(targets) != batch_size:
        raise InputError(f"targets: expected (B, U) with B = {batch_size}, got {tuple(targets.shape)}.")
    targets = targets.cpu()
    count = targets.shape[1]
    valid = valid_steps(count, batch_size, lengths=target_lengths)
    valid = torch.ones(count, batch_size, dtype=torch.bool) if valid is None else valid
    targets = targets.masked_fill(~valid.T, BLANK)
    wrong = ((targets <= BLANK) | (targets >= symbols)) & valid.T
    for row, place in wrong.nonzero().tolist()[:1]:
        raise InputError(
            f"targets, row {row}: expected symbols from 1 to {symbols - 1} (0 is the blank), "
            f"got {int(targets[row, place])} at place {place}."
        )
    return targets, valid.sum(0)
