"""Attention of a decoder to what an encoder read, over all target steps at once."""

import torch
from torch import Tensor, nn

from ..core import InputError
from ..layers.linear import Linear

ATTENTIONS = ("multiplicative", "additive")


class Attention(nn.Module):
    """Where to look: weights over the source's steps s for each query h(t), and the mean c(t) of the memory under them.

    a(t, s) = softmax_s(score(h(t), m(s))) over the valid steps of the source, c(t) = sum_s a(t, s) m(s), with

    - ``"multiplicative"``: score(h, m) = h' W m, one product of matrices a row;
    - ``"additive"``: score(h, m) = v' tanh(U h + W m + b), which costs T S numbers for each feature.

    W m is the same for every query: :meth:`keys` computes it once for a source. A row whose source has no valid step
    has a = 0 and c = 0. In the padding a = 0, so what stands there in the memory changes nothing, if it is finite.

    Args:
        kind: one of those.
        query_size: features of h.
        memory_size: features M of m.

    Shape:
        query (T, B, query_size), keys (S, B, query_size), memory (S, B, M), mask (S, B), True = valid; the context
        (T, B, M), the weights (T, B, S).

    Raises:
        InputError: the kind is none of those.

    Reference:
        Multiplicative: Luong et al. 2015, arXiv:1508.04025 ("general"); additive: Bahdanau et al. 2015,
        arXiv:1409.0473.

    Example:
        >>> attend = Attention("multiplicative", 16, 32)
        >>> memory, mask = torch.randn(9, 4, 32), torch.ones(9, 4, dtype=torch.bool)
        >>> context, weights = attend(torch.randn(5, 4, 16), attend.keys(memory), memory, mask)
        >>> context.shape, weights.shape
        (torch.Size([5, 4, 32]), torch.Size([5, 4, 9]))
    """

    def __init__(self, kind: str, query_size: int, memory_size: int):
        super().__init__()
        if kind not in ATTENTIONS:
            raise InputError(f"attention: expected one of {', '.join(ATTENTIONS)}, got {kind!r}.")
        self.kind = kind
        self.key = Linear(memory_size, query_size, bias=False)
        if kind == "additive":
            self.query = Linear(query_size, query_size)
            self.weight = nn.Parameter(torch.empty(query_size).uniform_(-(query_size**-0.5), query_size**-0.5))

    def keys(self, memory: Tensor) -> Tensor:
        """W m of every step of the source."""
        keys: Tensor = self.key(memory)
        return keys

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The context of each query, and the weights."""
        by_row = query.transpose(0, 1)  # (B, T, H)
        if self.kind == "multiplicative":
            scores = torch.bmm(by_row, keys.permute(1, 2, 0))
        else:
            moved = self.query(query).transpose(0, 1).unsqueeze(2) + keys.transpose(0, 1).unsqueeze(1)  # (B, T, S, H)
            scores = torch.tanh(moved) @ self.weight
        valid = mask.t().unsqueeze(1)  # (B, 1, S)
        # the least number, not minus infinity, of which a row without a step makes NaN
        scores = scores.masked_fill(~valid, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1) * valid
        context = torch.bmm(weights, memory.transpose(0, 1))
        return context.transpose(0, 1), weights.transpose(0, 1)

    def extra_repr(self) -> str:
        """Its kind."""
        return repr(self.kind)
