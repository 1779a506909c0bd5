"""From the log-probabilities of CTC to symbols and their times: the likeliest path, and the path of given symbols."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core import InputError, InputTypeError
from ..ctc_loss import BLANK, checked_targets, valid_counts

_LEAST = -1e30  # in place of minus infinity: a path through it is worse than any other, and still a path


@dataclass(frozen=True)
class CTCHypothesis:
    """Symbols, each with its frames (first, end), the end not included; and a score, the higher the better."""

    tokens: list[int]
    frames: list[tuple[int, int]]
    score: float


def ctc_greedy(log_probabilities: Tensor, lengths: Any = None) -> list[CTCHypothesis]:
    """The symbols of the likeliest path, which has the likeliest symbol at every step.

    Args:
        log_probabilities: (T, B, V), the blank is number 0.
        lengths: valid steps of each row (B,); by default all.

    Returns:
        One of each row; its score is the logarithm of the path's probability.

    Reference:
        Graves et al. 2006, doi:10.1145/1143844.1143891.

    Example:
        >>> y = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.1, 0.7]]).log().unsqueeze(1)
        >>> [best] = ctc_greedy(y)
        >>> best.tokens, best.frames
        ([1, 2], [(0, 2), (3, 4)])
    """
    return [_of_path(row, row.argmax(1)) for row in rows_of(log_probabilities, lengths)]


class CTCGreedyStream:
    """The likeliest path of a stream: symbols as they come.

    Args:
        batch_size: rows B.

    Example:
        >>> y = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.1, 0.7]]).log().unsqueeze(1)
        >>> stream = CTCGreedyStream(1)
        >>> stream.feed(y[:1]), stream.feed(y[1:3]), stream.feed(y[3:])
        ([[(1, 0)]], [[]], [[(2, 3)]])
    """

    def __init__(self, batch_size: int):
        self.last = [BLANK] * batch_size
        self.done = 0

    def feed(self, log_probabilities: Tensor) -> list[list[tuple[int, int]]]:
        """The symbols that begin in the next steps (K, B, V), any K, of each row, each with its first frame.

        Raises:
            InputError: there are more or fewer rows than before.
        """
        if log_probabilities.dim() != 3 or log_probabilities.shape[1] != len(self.last):
            got = tuple(log_probabilities.shape)
            raise InputError(f"log_probabilities: expected (K, B, V) with B = {len(self.last)}, got {got}.")
        new = []
        for row, path in enumerate(log_probabilities.argmax(-1).T.tolist()):
            before = [self.last[row], *path]
            new.append([(symbol, self.done + k) for k, symbol in enumerate(path) if symbol not in (BLANK, before[k])])
            self.last[row] = before[-1]
        self.done += len(log_probabilities)
        return new


def ctc_align(
    log_probabilities: Tensor,
    targets: Tensor | Sequence[Sequence[int]],
    lengths: Any = None,
    target_lengths: Any = None,
) -> list[CTCHypothesis]:
    """The times of given symbols (forced alignment): the likeliest of all paths that say them, by Viterbi's algorithm.

    Args:
        log_probabilities: (T, B, V), the blank is number 0.
        targets: symbols (B, U), or a list of the symbols of each row.
        lengths: valid steps of each row (B,); by default all.
        target_lengths: symbols of each row (B,), for a tensor; by default all.

    Returns:
        One of each row; its score is the logarithm of the path's probability.

    Raises:
        InputError: a row has fewer steps than its symbols need, or a number that is no symbol.

    Example:
        >>> y = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.1, 0.7]]).log().unsqueeze(1)
        >>> [aligned] = ctc_align(y, [[1, 1, 2]])
        >>> aligned.frames
        [(0, 1), (2, 3), (3, 4)]
    """
    rows = rows_of(log_probabilities, lengths)
    if not isinstance(targets, Tensor):
        if target_lengths is not None:
            raise InputError("target_lengths: expected None where targets are a list, whose rows have their lengths.")
        targets, target_lengths = _padded(targets)
    steps = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    targets, counts = checked_targets(targets, target_lengths, steps, log_probabilities.shape[-1])
    each = zip(rows, targets.tolist(), counts.tolist(), strict=True)
    return [align(row, symbols[:count]) for row, symbols, count in each]


def align(row: np.ndarray, tokens: list[int]) -> CTCHypothesis:
    """:func:`ctc_align` of one row (T, V), whose steps are enough."""
    said = np.zeros(2 * len(tokens) + 1, np.int64)  # a blank before, between and after
    said[1::2] = tokens
    may_skip = np.zeros(len(said), bool)  # the blank between two that differ
    may_skip[3::2] = said[3::2] != said[1:-2:2]
    scores = row[:, said]
    steps, places = scores.shape
    if not steps:
        return CTCHypothesis([], [], 0.0)
    came = np.zeros((steps, places), np.int64)  # how many places each path moved on at each step
    paths = np.full((3, places), -np.inf)
    best = np.full(places, -np.inf)
    best[:2] = scores[0, :2]
    for t in range(1, steps):
        paths[0], paths[1, 1:] = best, best[:-1]
        paths[2, 2:] = np.where(may_skip[2:], best[:-2], -np.inf)
        came[t] = paths.argmax(0)
        best = paths.max(0) + scores[t]
    place = places - 1 if places == 1 or best[-1] >= best[-2] else places - 2
    score, path = float(best[place]), np.zeros(steps, np.int64)
    for t in range(steps - 1, -1, -1):
        path[t] = place
        place -= came[t, place]
    first, end = (np.searchsorted(path, np.arange(1, places, 2), side).tolist() for side in ("left", "right"))
    return CTCHypothesis(list(tokens), list(zip(first, end, strict=True)), score)


def rows_of(log_probabilities: Tensor, lengths: Any) -> list[np.ndarray]:
    """The valid steps (T, V) of each row, in float64, none of them minus infinity.

    Raises:
        InputError, InputTypeError: the log-probabilities are not (T, B, V), or there are more or fewer lengths, or
            longer ones; or one is NaN.
    """
    counts = valid_counts(log_probabilities, lengths).tolist()
    given = log_probabilities.detach().to("cpu", torch.float64).clamp(min=_LEAST).numpy()
    rows = [given[:count, row] for row, count in enumerate(counts)]
    for row, steps in enumerate(rows):
        for step in np.isnan(steps).any(1).nonzero()[0][:1]:
            raise InputError(
                f"log_probabilities, row {row}: expected numbers, got NaN at step {step}. "
                "Look for NaN in the features, and in the model's weights."
            )
    return rows


def _padded(targets: Sequence[Sequence[int]]) -> tuple[Tensor, list[int]]:
    """The symbols (B, U) of rows of any lengths, and how many each has."""
    try:
        counts = [len(row) for row in targets]
        longest = max(counts, default=0)
        padded = torch.tensor([[*row, *[BLANK] * (longest - len(row))] for row in targets])
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(f"targets: expected a tensor (B, U), or a list of lists of symbols: {error}.") from None
    return (padded if padded.numel() else padded.long()).view(len(counts), longest), counts


def _of_path(row: np.ndarray, path: np.ndarray) -> CTCHypothesis:
    """Its symbols, the frames of each, and its score."""
    tokens, frames, done = [], [], 0
    for symbol, run in groupby(path.tolist()):
        end = done + len(list(run))
        if symbol != BLANK:
            tokens.append(symbol)
            frames.append((done, end))
        done = end
    return CTCHypothesis(tokens, frames, float(row[np.arange(len(row)), path].sum()))
