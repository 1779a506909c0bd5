"""Dropout with a mask that is drawn four numbers at a time: PyTorch's own draws one, on one thread."""

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
