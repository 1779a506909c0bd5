"""What every model does with its input before the layers: padding is set aside, and an embedding is applied."""

from typing import Any

import torch
from torch import Tensor, nn

from ..core import InputError, InputTypeError, Tree, leaves, map_tree, named_leaves, valid_steps


def embedded(
    embedding: nn.Module | None, x: Tree, *, lengths: Any = None, mask: Tensor | None = None, name: str = "x"
) -> tuple[Tensor, Tensor | None]:
    """The features that the first layer reads (T, B, I), and which steps are valid (T, B), None where all are.

    What stands in the padding is replaced by zeros first, so that it may be NaN or a number that is no token.

    Args:
        embedding: what is applied to x; None: x is the features already.
        x: tokens (T, B), features (T, B, I), or a tree of such for an embedding that takes one.
        lengths: valid steps of each row (B,).
        mask: (T, B), True = valid.
        name: what an error calls x.

    Raises:
        InputError: x has no axes (T, B), or a number that is no token, the embedding's result has other axes; and as
            :func:`unrolled.core.valid_steps`.
        InputTypeError: x has no tokens of an ``nn.Embedding``.
    """
    for path, leaf in named_leaves(x, name):
        if leaf.dim() < 2:
            raise InputError(f"{path}: expected (T, B, ...), got {tuple(leaf.shape)}.")
    first = leaves(x)[0]
    steps, batch_size = first.shape[:2]
    valid = valid_steps(steps, batch_size, lengths=lengths, mask=mask, device=first.device)
    if valid is not None:
        invalid = ~valid
        x = map_tree(lambda leaf: leaf.masked_fill(invalid.view(steps, batch_size, *[1] * (leaf.dim() - 2)), 0), x)
    if embedding is None:
        return x, valid
    features = looked_up(embedding, x, name) if isinstance(embedding, nn.Embedding) else embedding(x)
    if not isinstance(features, Tensor) or features.dim() < 3 or features.shape[:2] != first.shape[:2]:
        got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise InputError(
            f"embedding: expected a module from x to features (T, B, I) with (T, B) = {(steps, batch_size)}, got {got}."
        )
    return features, valid


def looked_up(embedding: nn.Embedding, tokens: Any, name: str) -> Tensor:
    """The vectors of tokens (...), as features (..., E).

    Raises:
        InputError: one is no token; on an accelerator it is PyTorch that tells.
        InputTypeError: they are not whole numbers in a tensor.
    """
    if not isinstance(tokens, Tensor) or tokens.dtype not in (torch.int64, torch.int32):
        got = f"a tensor of {tokens.dtype}" if isinstance(tokens, Tensor) else type(tokens).__name__
        raise InputTypeError(f"{name}: expected tokens, a tensor of torch.int64 or torch.int32, got {got}.")
    try:
        features: Tensor = embedding(tokens)
    except IndexError as error:
        raise InputError(
            f"{name}: expected tokens from 0 to {embedding.num_embeddings - 1}, "
            f"got {int(tokens.min())} to {int(tokens.max())}."
        ) from error
    return features
