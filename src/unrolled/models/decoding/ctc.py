"""From the log-probabilities of CTC to symbols."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

BLANK = 0


@dataclass(frozen=True)
class CTCHypothesis:
    """Symbols, each with its frames (first, end), the end not included; and the score, a log-probability."""

    tokens: list[int]
    frames: list[tuple[int, int]]
    score: float


def ctc_greedy(log_probabilities: Tensor, lengths: Any = None) -> list[CTCHypothesis]:
    """The symbols of the likeliest path, which has the likeliest symbol at every step.

    Args:
        log_probabilities: (T, B, V), the blank is number 0.
        lengths: valid steps of each row (B,); by default all.

    Returns:
        One of each row; its score is that of the path.

    Reference:
        Graves et al. 2006, doi:10.1145/1143844.1143891.

    Example:
        >>> y = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.1, 0.7]]).log().unsqueeze(1)
        >>> [best] = ctc_greedy(y)
        >>> best.tokens, best.frames
        ([1, 2], [(0, 2), (3, 4)])
    """
    steps, batch_size = log_probabilities.shape[:2]
    lengths = [steps] * batch_size if lengths is None else torch.as_tensor(lengths).tolist()
    best, path = log_probabilities.detach().max(-1)
    columns = zip(best.double().T.tolist(), path.T.tolist(), lengths, strict=True)
    return [CTCHypothesis(*_collapsed(row[:length]), sum(scores[:length])) for scores, row, length in columns]


def _collapsed(path: list[int]) -> tuple[list[int], list[tuple[int, int]]]:
    """Its symbols, and the frames of each."""
    runs, done = [], 0
    for symbol, run in groupby(path):
        end = done + len(list(run))
        runs.append((symbol, (done, end)))
        done = end
    said = [run for run in runs if run[0] != BLANK]
    return [symbol for symbol, _ in said], [frames for _, frames in said]
