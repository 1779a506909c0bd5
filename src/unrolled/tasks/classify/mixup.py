"""Rows that are mixed, and classes with them: between two examples the answer should go over from one to the other."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Mix:
    """λ a + (1 - λ) b of each row a and the row b that is its partner; the loss is mixed likewise.

    Args:
        share: λ, the same for all rows.
        partners: the number of each row's partner (B,).

    Reference:
        Zhang et al. 2018, arXiv:1710.09412; of the features of sentences: Guo, Mao and Zhang 2019, arXiv:1905.08941.
    """

    share: float
    partners: Tensor

    @classmethod
    def draw(cls, alpha: float, rows: int) -> "Mix":
        """λ from Beta(alpha, alpha), partners by chance; both by PyTorch's global generator."""
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        return cls(share, torch.randperm(rows))

    def __call__(self, rows: Tensor) -> Tensor:
        """The mixed rows (B, ...)."""
        return self.share * rows + (1 - self.share) * rows[self.partners.to(rows.device)]

    def cross_entropy(self, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """The mixed loss of logits (B, C) that were made of mixed rows, given each row's own class (B,)."""
        own = F.cross_entropy(logits, targets, label_smoothing=smoothing)
        others = F.cross_entropy(logits, targets[self.partners.to(targets.device)], label_smoothing=smoothing)
        return self.share * own + (1 - self.share) * others
