"""Mini-batches of sequences of similar lengths: a pure function of the step, so that a run can go on exactly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_POOL = 16  # batches whose sequences are sorted by length together


@dataclass(frozen=True, eq=False)
class Batches:
    """N sequences in a new order in each epoch, those of similar lengths side by side.

    Args:
        lengths: T of each sequence.
        batch_size: sequences of a batch, the last of an epoch may have fewer.
        seed: of the order.
    """

    lengths: NDArray[Any]
    batch_size: int
    seed: int

    @property
    def per_epoch(self) -> int:
        """Batches, and so steps, of an epoch."""
        return max(1, -(-len(self.lengths) // self.batch_size))

    def __call__(self, step: int) -> NDArray[Any]:
        """The indices of the sequences of training step ``step``."""
        epoch, index = divmod(step, self.per_epoch)
        return self._epoch(epoch)[index]

    @lru_cache(maxsize=2)  # noqa: B019 (a run has one, as long as the run)
    def _epoch(self, epoch: int) -> list[NDArray[Any]]:
        draw = np.random.default_rng([self.seed, epoch])
        order = draw.permutation(len(self.lengths))
        size = _POOL * self.batch_size
        pools = [order[begin : begin + size] for begin in range(0, len(order), size)]
        ordered = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        batches = [ordered[begin : begin + self.batch_size] for begin in range(0, len(ordered), self.batch_size)]
        return [batches[place] for place in draw.permutation(len(batches))]


def by_length(lengths: NDArray[Any], batch_size: int) -> Iterator[NDArray[Any]]:
    """All indices once, the longest sequences first: the batches of an evaluation."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    for begin in range(0, len(order), batch_size):
        yield order[begin : begin + batch_size]


def pad(sequences: Sequence[NDArray[Any]], value: float = 0) -> tuple[Tensor, Tensor]:
    """Sequences (T_i, ...) as one tensor (T, B, ...), T the longest, and their lengths (B,)."""
    lengths = [len(sequence) for sequence in sequences]
    first = sequences[0]
    padded = np.full((max(lengths), len(sequences), *first.shape[1:]), value, dtype=first.dtype)
    for row, sequence in enumerate(sequences):
        padded[: len(sequence), row] = sequence
    return torch.from_numpy(padded), torch.tensor(lengths)


def valid_steps(sequence: Tensor, lengths: Tensor) -> Tensor:
    """Which steps of a sequence (T, B, ...) with these lengths (B,) are no padding, (T, B)."""
    return torch.arange(len(sequence), device=sequence.device)[:, None] < lengths.to(sequence.device)
