"""The output layer of a model, by the same products as the recurrent layers."""

from torch import Tensor, nn

from ..compiler.gemm import linear


class Linear(nn.Linear):
    """W x + b as :class:`torch.nn.Linear`, whose result does not depend on how many rows are computed together."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) to (..., N)."""
        return linear(x, self.weight, self.bias)
