"""Dropout: a mask drawn four numbers at a time, where PyTorch's own draws one; and one mask for a whole sequence."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_VALUES = 2**16


class Dropout(nn.Dropout):
    """Zeroes each number with probability p, and scales the others by 1 / (1 - p), in training only.

    On the CPU p is rounded to a multiple of 2^-16, and both are done with that.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        if not (self.training and self.p) or x.device.type != "cpu" or self.inplace:
            return F.dropout(x, self.p, self.training, self.inplace)
        dropped = min(round(self.p * _VALUES), _VALUES - 1)  # of so many values of 16 bits
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = bits.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - _VALUES // 2
        return x * kept.to(x.dtype).mul_(_VALUES / (_VALUES - dropped))


class VariationalDropout(nn.Dropout):
    """Dropout with one mask for all time steps of a sequence (T, B, I); a single step (B, I) has a mask of its own.

    Reference:
        Gal and Ghahramani 2016, arXiv:1512.05287.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        if not (self.training and self.p):
            return x
        mask = F.dropout(x.new_ones(x.shape[-2:]), self.p)
        return x * mask
