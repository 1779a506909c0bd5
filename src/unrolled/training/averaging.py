"""A moving average of a model's weights, which often does better than any of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedWeights:
    """w̄ ← d w̄ + (1 - d) w after each step, with d = min(decay, (1 + n) / (10 + n)) at step n: short at first.

    Args:
        model: whose parameters are averaged; its buffers are not.
        decay: between 0, no average at all, and 1.

    Reference:
        Polyak and Juditsky 1992, doi:10.1137/0330046.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.own = dict(model.named_parameters()) if decay else {}
        self.values = {name: parameter.detach().clone() for name, parameter in self.own.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after training step ``step`` (from 1)."""
        if self.values:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.values.values()), list(self.own.values()), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the averages for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, value in self.values.items():
            kept = value.clone()
            value.copy_(self.own[name])
            self.own[name].copy_(kept)

    @torch.no_grad()
    def restore(self, saved: dict[str, Tensor]) -> None:
        """Put back the averages of a checkpoint.

        Raises:
            KeyError, RuntimeError: they are those of another model.
        """
        for name, value in self.values.items():
            value.copy_(saved[name])
