"""A linear readout that is solved for, in one pass over data of any length, rather than trained."""

import math

import torch
from torch import Tensor

from ..core import InputError, at_least_1
from ..layers.linear import Linear


class RidgeReadout(Linear):
    """Ridge regression: y = W f + c, with the W and c that make the penalised squared error smallest.

    sum over rows of |W f + c - y|² + ``ridge`` |W|²; c is not penalised

    :meth:`partial_fit` may be called any number of times: it keeps sums over all rows in float64 (F² numbers), and no
    row. :meth:`solve` makes W and c of them. These are the ordinary parameters ``weight`` and ``bias`` of a linear
    layer, which are moved, saved, and may be trained further.

    Args:
        feature_size: features F of f.
        output_size: features O of y.
        ridge: weight of the penalty, 0 or more; with 0, of the best solutions the smallest.
        bias: whether there is a c.

    Shape:
        features (..., F), targets and outputs (..., O); weight (O, F), bias (O,).

    Raises:
        InputError: a size below 1 or a negative ``ridge``.

    Reference:
        Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634; sums over parts: Chan et al. 1983,
        doi:10.1080/00031305.1983.10483115.

    Example:
        >>> readout = RidgeReadout(3, 1, ridge=1e-6)
        >>> for _ in range(10):  # windows of data
        ...     features = torch.randn(50, 3)
        ...     readout.partial_fit(features, features @ torch.tensor([[1.0], [-2.0], [0.5]]) + 7)
        >>> readout.solve()
        >>> [round(v, 3) for v in [*readout.weight[0].tolist(), readout.bias.item()]]
        [1.0, -2.0, 0.5, 7.0]
    """

    def __init__(self, feature_size: int, output_size: int, *, ridge: float = 1e-6, bias: bool = True):
        if isinstance(ridge, bool) or not isinstance(ridge, int | float) or not 0 <= ridge < math.inf:
            raise InputError(f"ridge: expected a number, 0 or more, got {ridge!r}.")
        super().__init__(at_least_1(feature_size, "feature_size"), at_least_1(output_size, "output_size"), bias)
        self.ridge = float(ridge)
        self.forget()

    def forget(self) -> None:
        """Begin anew: the rows that were read so far count no more. The weights stay."""
        size = self.in_features + self.out_features
        self.rows = 0
        self._mean = torch.zeros(size, dtype=torch.float64, device=self.weight.device)  # of features and targets
        self._products = torch.zeros(self.in_features, size, dtype=torch.float64, device=self.weight.device)

    @torch.no_grad()
    def partial_fit(self, features: Tensor, targets: Tensor, *, mask: Tensor | None = None) -> None:
        """Take rows into account.

        Args:
            features: (..., F).
            targets: (..., O), of as many rows.
            mask: (...), True = a row that counts; what stands in the others, NaN too, does not matter.

        Raises:
            InputError: shapes that do not fit, or a number that is not finite.
        """
        read = self._rows(features, self.in_features, "features", mask)
        wanted = self._rows(targets, self.out_features, "targets", mask)
        if len(wanted) != len(read):
            raise InputError(f"targets: expected as many rows as features, {len(read)}, got {len(wanted)}.")
        if not len(read):
            return
        both, count = torch.cat([read, wanted], -1), len(read)
        mean, products = self._mean.to(both.device), self._products.to(both.device)
        if self.bias is not None:  # products of differences from the mean: nothing cancels
            middle = both.mean(0)
            both = both - middle
            step = middle - mean
            of_means = step[: self.in_features, None] * step * (self.rows * count / (self.rows + count))
            mean, products = mean + step * (count / (self.rows + count)), products + of_means
        self.rows += count
        self._mean, self._products = mean, products + both[:, : self.in_features].T @ both

    @torch.no_grad()
    def solve(self, ridge: float | None = None) -> None:
        """Set ``weight`` and ``bias`` to the solution for all rows read so far.

        Args:
            ridge: another penalty than that of the constructor, as to try out several on one pass over the data.

        Raises:
            InputError: no row was read.
        """
        if not self.rows:
            raise InputError("solve: expected rows that were read before, got none. Call partial_fit first.")
        squares, crossed = self._products.split([self.in_features, self.out_features], -1)
        values, vectors = torch.linalg.eigh(squares)
        penalised = values.clamp(min=0) + (self.ridge if ridge is None else ridge)
        smallest = penalised.amax() * len(values) * torch.finfo(torch.float64).eps
        inverse = torch.where(penalised > smallest, 1 / penalised, 0)
        weight = vectors @ (inverse[:, None] * (vectors.T @ crossed))
        self.weight.copy_(weight.T)
        if self.bias is not None:
            of_features, of_targets = self._mean.split([self.in_features, self.out_features])
            self.bias.copy_(of_targets - of_features @ weight)

    def _rows(self, values: Tensor, size: int, name: str, mask: Tensor | None) -> Tensor:
        """The rows that count, (N, size) in float64."""
        if values.dim() < 1 or values.shape[-1] != size:
            raise InputError(f"{name}: expected (..., {size}), got {tuple(values.shape)}.")
        if mask is None:
            rows = values.reshape(-1, size)
        elif mask.dtype == torch.bool and mask.shape == values.shape[:-1]:
            rows = values[mask.to(values.device)]
        else:
            raise InputError(
                f"mask: expected bool of shape {tuple(values.shape[:-1])} as {name}, got {mask.dtype} of shape "
                f"{tuple(mask.shape)}."
            )
        if not rows.isfinite().all():
            raise InputError(f"{name}: expected finite numbers, got NaN or infinity. Leave such rows out with mask.")
        return rows.to(torch.float64)
