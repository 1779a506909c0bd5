"""The loss of CTC, and what a row needs to have one."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import InputError, InputTypeError, valid_steps

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
    within = torch.arange(targets.shape[-1], device=targets.device)[1:] < target_lengths.unsqueeze(-1)
    needed: Tensor = target_lengths + ((targets[..., 1:] == targets[..., :-1]) & within).sum(-1)
    return needed


def ctc_loss(log_probabilities: Tensor, lengths: Any, targets: Tensor, target_lengths: Any = None) -> Tensor:
    """The loss of :meth:`CTC.loss`, of log-probabilities (T', B, V) of which so many (B,) are valid, None: all.

    It is computed on the CPU, where its gradient is the same in every run, and in float64: the gradient is made of
    differences of logarithms that grow with T', and in float32 half of it can be noise. It can be differentiated once.

    Raises:
        InputError, InputTypeError: as :meth:`CTC.loss`; or scores are given that are no log-probabilities.
    """
    lengths = valid_counts(log_probabilities, lengths)
    targets, target_lengths = checked_targets(targets, target_lengths, lengths, log_probabilities.shape[-1])
    rows = lengths.nonzero().flatten()  # a row without a frame has no symbol either, and its only path is empty
    if not len(rows):
        return log_probabilities.sum() * 0
    given = log_probabilities.cpu()[:, rows]
    _check_at_most_0(given.detach(), lengths[rows])
    nats = F.ctc_loss(given.double(), targets[rows], lengths[rows], target_lengths[rows], BLANK, "sum")
    loss: Tensor = nats / target_lengths.sum().clamp(min=1)
    return loss.to(log_probabilities.device, torch.promote_types(given.dtype, torch.float32))


def valid_counts(log_probabilities: Tensor, lengths: Any) -> Tensor:
    """How many log-probabilities (T', B, V) are valid in each row (B,), on the CPU.

    Raises:
        InputError, InputTypeError: they are not (T', B, V) with a symbol, or the lengths are not (B,) from 0 to T'.
    """
    if not isinstance(log_probabilities, Tensor):
        raise InputTypeError(f"log_probabilities: expected a tensor, got {type(log_probabilities).__name__}.")
    if log_probabilities.dim() != 3 or not log_probabilities.shape[-1]:
        raise InputError(f"log_probabilities: expected (T, B, V), got {tuple(log_probabilities.shape)}.")
    steps, batch_size, _ = log_probabilities.shape
    valid = valid_steps(steps, batch_size, lengths=lengths, device=torch.device("cpu"))
    return torch.full((batch_size,), steps) if valid is None else valid.sum(0)


def _check_at_most_0(given: Tensor, lengths: Tensor) -> None:
    """Tell scores from log-probabilities, which would be taken for them without a word."""
    largest = given.amax(-1).masked_fill(torch.arange(len(given))[:, None] >= lengths, 0)
    if largest.numel() and float(largest.max()) > 1e-3:  # more than rounding
        raise InputError(
            f"log_probabilities: expected numbers of at most 0, got up to {float(largest.max()):.3g}. "
            "Take log_softmax of scores first."
        )


def checked_targets(targets: Tensor, target_lengths: Any, frames: Tensor, symbols: int) -> tuple[Tensor, Tensor]:
    """Targets (B, U) with 0 in their padding, and how many are valid (B,), on the CPU.

    Args:
        targets: as in :meth:`CTC.loss`.
        target_lengths: likewise.
        frames: log-probabilities of each row (B,).
        symbols: V.

    Raises:
        InputError, InputTypeError: as :meth:`CTC.loss`.
    """
    batch_size = len(frames)
    dtype = targets.dtype if isinstance(targets, Tensor) else None
    if dtype is None or dtype.is_floating_point or dtype.is_complex or dtype == torch.bool:
        got = dtype or type(targets).__name__
        raise InputTypeError(f"targets: expected a tensor of whole numbers, got {got}.")
    if targets.dim() != 2 or len(targets) != batch_size:
        raise InputError(f"targets: expected (B, U) with B = {batch_size}, got {tuple(targets.shape)}.")
    places = targets.shape[1]
    try:
        within = valid_steps(places, batch_size, lengths=target_lengths, device=targets.device)
    except (InputError, InputTypeError) as error:
        raise type(error)(f"target_{error}".replace("T =", "U =")) from None
    valid = torch.ones(batch_size, places, dtype=torch.bool) if within is None else within.T.cpu()
    targets = targets.cpu().long().masked_fill(~valid, BLANK)
    wrong = ((targets <= BLANK) | (targets >= symbols)) & valid
    for row, place in wrong.nonzero().tolist()[:1]:
        raise InputError(
            f"targets, row {row}: expected symbols from 1 to {symbols - 1} (0 is the blank), "
            f"got {int(targets[row, place])} at place {place}."
        )
    counts = valid.sum(1)
    needed = needed_frames(targets, counts)
    for row in (needed > frames).nonzero().flatten().tolist()[:1]:
        raise InputError(
            f"targets, row {row}: expected at most as many symbols as {int(frames[row])} frames (after subsampling) "
            f"can align, got {int(counts[row])} symbols, which need {int(needed[row])}: one each, and one between "
            "equal neighbours. Leave the row out, or use a smaller subsampling."
        )
    return targets, counts
