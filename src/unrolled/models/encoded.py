"""What an encoder read of a batch of sources, as a decoder asks for it."""

from dataclasses import dataclass

from torch import Tensor

from ..core import Tree, map_tree


@dataclass(frozen=True)
class Encoded:
    """What an encoder read.

    Attributes:
        memory: its outputs m(s), (S, B, M), zeros in the padding.
        mask: (S, B), True = valid.
        state: the state of the decoder's layers before their first step, a tree of (B, ...).
        keys: what attention compares a query to, (S, B, H); None without attention.
    """

    memory: Tensor
    mask: Tensor
    state: Tree
    keys: Tensor | None = None

    @property
    def batch_size(self) -> int:
        """B."""
        return self.mask.shape[1]

    def select(self, rows: Tensor) -> "Encoded":
        """These rows of the batch, each as often as it is named."""
        return Encoded(
            self.memory[:, rows],
            self.mask[:, rows],
            map_tree(lambda part: part[rows], self.state),
            None if self.keys is None else self.keys[:, rows],
        )
