"""What every model does with its input before the layers: padding is set aside, and an embedding is applied."""

from typing import Any

from torch import Tensor, nn

from ..core import InputError, Tree, leaves, map_tree, named_leaves, valid_steps


def embedded(
    embedding: nn.Module | None, x: Tree, *, lengths: Any = None, mask: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """The features that the first layer reads (T, B, I), and which steps are valid (T, B), None where all are.

    What stands in the padding is replaced by zeros first, so that it may be NaN or a number that is no token.

    Args:
        embedding: what is applied to x; None: x is the features already.
        x: tokens (T, B), features (T, B, I), or a tree of such for an embedding that takes one.
        lengths: valid steps of each row (B,).
        mask: (T, B), True = valid.

    Raises:
        InputError: x has no axes (T, B), the embedding's result has others; and as
            :func:`unrolled.core.valid_steps`.
    """
    for name, leaf in named_leaves(x, "x"):
        if leaf.dim() < 2:
            raise InputError(f"{name}: expected (T, B, ...), got {tuple(leaf.shape)}.")
    first = leaves(x)[0]
    steps, batch_size = first.shape[:2]
    valid = valid_steps(steps, batch_size, lengths=lengths, mask=mask, device=first.device)
    if valid is not None:
        invalid = ~valid
        x = map_tree(lambda leaf: leaf.masked_fill(invalid.view(steps, batch_size, *[1] * (leaf.dim() - 2)), 0), x)
    if embedding is None:
        return x, valid
    features = embedding(x)
    if not isinstance(features, Tensor) or features.dim() < 3 or features.shape[:2] != first.shape[:2]:
        got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise InputError(
            f"embedding: expected a module from x to features (T, B, I) with (T, B) = {(steps, batch_size)}, got {got}."
        )
    return features, valid
