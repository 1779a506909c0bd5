"""How features change over time, as further features."""

import torch
from torch import Tensor

from ...core import InputError


def with_deltas(features: Tensor, order: int = 1) -> Tensor:
    """Features (T, F) and beside them how they change over time, up to an order: (T, F (1 + order)).

    The change at t is the slope of the least-squares line through t - 2 ... t + 2; ends are held.

    Example:
        >>> import torch
        >>> with_deltas(torch.arange(5.0)[:, None])[:, 1]
        tensor([0.5000, 0.8000, 1.0000, 0.8000, 0.5000])
    """
    parts = [features]
    for _ in range(order):
        last = parts[-1]
        held = torch.cat([last[:1], last[:1], last, last[-1:], last[-1:]])
        count = len(last)
        near, far = held[3 : 3 + count] - held[1 : 1 + count], held[4 : 4 + count] - held[:count]
        parts.append((near + 2 * far) / 10)
    return torch.cat(parts, 1)


class DeltaStream:
    """:func:`with_deltas` for features as they come: equal to the bit, and 2 frames an order late.

    Args:
        order: as there.

    Shape:
        features (K, F) of any K, the result (T, F (1 + order)) of the frames whose changes are known by now.

    Example:
        >>> import torch
        >>> features, stream = torch.randn(9, 3), DeltaStream()
        >>> parts = [stream(part) for part in features.split(4)]
        >>> torch.equal(torch.cat([*parts, stream.finish()]), with_deltas(features))
        True
    """

    def __init__(self, order: int = 1):
        self.order = order
        self._held: Tensor | None = None  # frames that those to come need, and those not yet given
        self._given = 0  # frames at the start of the held ones that were given before

    def __call__(self, features: Tensor) -> Tensor:
        """What is known once the next features (K, F) are there."""
        return self._until(features, 2 * self.order)

    def finish(self) -> Tensor:
        """The rest: the last frame is held, as at the end of a whole."""
        if self._held is None:
            raise InputError("expected features before the end, got none; call the stream with them first.")
        return self._until(self._held[:0], 0)

    def _until(self, features: Tensor, late: int) -> Tensor:
        held = features if self._held is None else torch.cat([self._held, features])
        end = max(self._given, len(held) - late)
        found = with_deltas(held, self.order)[self._given : end]
        kept = max(0, end - 2 * self.order)  # further back nothing reaches
        self._held, self._given = held[kept:].clone(), end - kept
        return found
