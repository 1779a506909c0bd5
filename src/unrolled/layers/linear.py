"""Products outside a cell, as an output layer's, by the same C as those inside: what models are built of."""

from torch import Tensor, nn

from ..compiler.gemm import linear, product, total

__all__ = ["Linear", "linear", "product", "total"]


class Linear(nn.Linear):
    """W x + b as :class:`torch.nn.Linear`, whose result does not depend on how many rows are computed together."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) to (..., N)."""
        return linear(x, self.weight, self.bias)
