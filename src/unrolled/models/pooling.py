"""A sequence of features to one vector, over the valid steps of each row only."""

import torch
from torch import Tensor, nn

from ..core import InputError
from ..layers.linear import Linear

POOLINGS = ("last", "mean", "max", "attention")


class Pooling(nn.Module):
    """What a sequence h(1) ... h(n) is, as one vector p.

    ``"last"``: p = h(n); of features of both directions those of the forward one after the last step and those of the
    backward one after the first, which is each direction's last. ``"mean"``: p = 1/n sum_t h(t). ``"max"``:
    p_j = max_t h_j(t). ``"attention"``: p = sum_t a(t) h(t) with a = softmax_t(v' tanh(W h(t) + b)).
    A row without a valid step gives zeros.

    Args:
        kind: one of those.
        size: features F.
        bidirectional: whether the first half of the features is the forward direction's, the rest the backward's.

    Shape:
        hidden (T, B, F), zero where it is not valid; valid (T, B) or None; the result is (B, F).

    Reference:
        Attention: Bahdanau et al. 2015, arXiv:1409.0473, and over one sequence Yang et al. 2016,
        doi:10.18653/v1/N16-1174.
    """

    def __init__(self, kind: str, size: int, *, bidirectional: bool = False):
        super().__init__()
        if kind not in POOLINGS:
            raise InputError(f"pooling: expected one of {', '.join(POOLINGS)}, got {kind!r}.")
        self.kind = kind
        self.ahead = size // 2 if bidirectional else size
        if kind == "attention":
            self.query = nn.Sequential(Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))

    def forward(self, hidden: Tensor, valid: Tensor | None = None) -> Tensor:
        """The vector (B, F) of each row."""
        if self.kind == "last":
            return self._ends(hidden, valid)
        if self.kind == "mean":
            counts: int | Tensor = len(hidden) if valid is None else valid.sum(0).clamp(min=1).unsqueeze(-1)
            return hidden.sum(0) / counts
        if self.kind == "max":
            if valid is None:
                return hidden.max(0).values
            highest = hidden.masked_fill(~valid.unsqueeze(-1), -torch.inf).max(0).values
            return highest.masked_fill(~valid.any(0).unsqueeze(-1), 0)
        scores: Tensor = self.query(hidden)
        if valid is not None:  # the least number, not minus infinity, of which a row without a step makes NaN
            scores = scores.masked_fill(~valid.unsqueeze(-1), torch.finfo(scores.dtype).min)
        weights: Tensor = scores.softmax(0)
        return (weights * hidden).sum(0)

    def _ends(self, hidden: Tensor, valid: Tensor | None) -> Tensor:
        """Each direction's features after its own last step; where no step is valid, the zeros of the first."""
        if valid is None:
            return torch.cat([hidden[-1, :, : self.ahead], hidden[0, :, self.ahead :]], -1)
        times = torch.arange(len(valid), device=valid.device).unsqueeze(-1)
        rows = torch.arange(valid.shape[1], device=valid.device)
        last = times.mul(valid).max(0).values
        first = valid.int().argmax(0)
        return torch.cat([hidden[last, rows, : self.ahead], hidden[first, rows, self.ahead :]], -1)

    def extra_repr(self) -> str:
        """Its kind."""
        return repr(self.kind)
