"""An output layer that shares its weight with the embedding."""

import torch
from torch import Tensor, nn

from ..layers.linear import linear


class TiedLinear(nn.Module):
    """E x + c, where E is the weight of an embedding, one row a token; only c is its own.

    Args:
        embedding: the module that owns E.

    Shape:
        x (..., E), the result (..., V).

    Reference:
        Press and Wolf 2017, arXiv:1608.05859.
    """

    def __init__(self, embedding: nn.Embedding):
        super().__init__()
        self._owner = (embedding,)  # in a tuple: a module in two places would have two names in the state_dict
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))

    @property
    def weight(self) -> Tensor:
        """E (V, E), that of the embedding."""
        return self._owner[0].weight

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) to (..., V)."""
        return linear(x, self.weight, self.bias)
