"""torch's arguments of a recurrent layer, in the form in which the cells are run: time first, with a batch.

Letters: L layers, D directions, T time steps, B rows.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ..core import InputError, InputTypeError, Tree, leaves, unflatten
from .packed import Unpacked, unpack


class Given(NamedTuple):
    """What a call was given."""

    x: Tensor  # (T, B, I)
    states: list[Tree] | None  # of every layer and direction, (B, ...)
    lengths: Any = None
    mask: Tensor | None = None
    reset: Tensor | None = None
    dt: Tensor | None = None  # (T, B)
    is_batched: bool = True
    unpacked: Unpacked | None = None  # where the input came so


class Extras(NamedTuple):
    """What torch's layers cannot be given."""

    lengths: Any = None
    mask: Tensor | None = None
    reset: Tensor | None = None
    dt: Tensor | None = None
    broadcast_state: bool = False


NOTHING = Extras()


def read_input(given: Any, batch_first: bool, extras: Extras) -> Given:
    """The input, and what has its time and batch.

    Raises:
        InputError: a shape is not as it must be.
        InputTypeError: a type is not.
    """
    if isinstance(given, PackedSequence):
        if extras != NOTHING._replace(broadcast_state=extras.broadcast_state):
            raise InputTypeError(
                "input: expected a padded tensor beside lengths, mask, reset or dt, got a PackedSequence."
            )
        unpacked = unpack(given)
        return Given(unpacked.x, None, unpacked.lengths, unpacked=unpacked)
    if not isinstance(given, Tensor):
        raise InputTypeError(f"input: expected a tensor or a PackedSequence, got {type(given).__name__}.")
    lengths, mask, reset, dt, _ = extras
    for name, flag in (("mask", mask), ("reset", reset), ("dt", dt)):
        if flag is not None and not isinstance(flag, Tensor):
            raise InputTypeError(f"{name}: expected a tensor, got {type(flag).__name__}.")
        if flag is not None and flag.dim() != given.dim() - 1:
            raise InputError(f"{name}: expected {given.dim() - 1} dimensions, as input without I, got {flag.dim()}.")
    if given.dim() == 2:
        lengths = None if lengths is None else torch.as_tensor(lengths).reshape(-1)
        mask, reset, dt = (None if flag is None else flag.unsqueeze(1) for flag in (mask, reset, dt))
        return Given(given.unsqueeze(1), None, lengths, mask, reset, dt, is_batched=False)
    if given.dim() != 3:
        raise InputError(f"input: expected (T, B, I), (B, T, I) or (T, I), got {tuple(given.shape)}.")
    if batch_first:
        given = given.transpose(0, 1)
        mask, reset, dt = (None if flag is None else flag.transpose(0, 1) for flag in (mask, reset, dt))
    return Given(given.contiguous(), None, lengths, mask, reset, dt)


def sizes_of(cell: Any) -> Tree:
    """Features of each tensor of a cell's state."""
    return getattr(cell, "state_size", cell.hidden_size)


def read_states(hx: Any, cells: Sequence[Any], given: Given, broadcast: bool) -> list[Tree]:
    """States in torch's form, each tensor (L D, B, H) or for input without a batch (L D, H), as one state a cell.

    Raises:
        InputError: a shape or dtype is not as it must be.
        InputTypeError: the structure is not.
    """
    rows = given.x.shape[1]
    like = sizes_of(cells[0])
    sizes = leaves(like)
    tensors = [hx] if len(sizes) == 1 else hx
    if not isinstance(tensors, tuple | list) or len(tensors) != len(sizes) or not all(map(_is_tensor, tensors)):
        raise InputTypeError(
            f"hx: expected {len(sizes)} tensors, one for each of the state's, got {type(hx).__name__}."
        )
    read = []
    for leaf, size in zip(tensors, sizes, strict=True):
        leaf = leaf if given.is_batched else leaf.unsqueeze(1)
        if broadcast and leaf.dim() == 3 and leaf.shape[1] == 1:
            leaf = leaf.expand(-1, rows, -1)
        if leaf.shape != (len(cells), rows, size) or leaf.dtype != given.x.dtype or leaf.device != given.x.device:
            can = (
                " (with broadcast_state=True one row stands for all)" if leaf.dim() == 3 and leaf.shape[1] == 1 else ""
            )
            raise InputError(
                f"hx: expected {(len(cells), rows, size)} of {given.x.dtype} on {given.x.device}, "
                f"got {tuple(leaf.shape)} of {leaf.dtype} on {leaf.device}{can}."
            )
        read.append(leaf)
    if given.unpacked is not None and given.unpacked.packed.sorted_indices is not None:
        read = [leaf.index_select(1, given.unpacked.packed.sorted_indices) for leaf in read]
    return [unflatten(like, [leaf[k] for leaf in read]) for k in range(len(cells))]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def write_states(states: Sequence[Tree], given: Given, *, with_time: bool = False, batch_first: bool = False) -> Tree:
    """The states of the cells in torch's form: each tensor (L D, ...), a tuple of them where a state has several.

    Args:
        states: one a cell, (B, ...), or with ``with_time`` (T, B, ...).
        given: how the input came.
        with_time: whether the states have an axis of time.
        batch_first: whether it is to go after the batch.
    """
    batch, made = 2 if with_time else 1, []
    for kind in zip(*map(leaves, states), strict=True):
        leaf = kind[0].unsqueeze(0) if len(kind) == 1 else torch.stack(kind)
        if given.unpacked is not None and given.unpacked.packed.unsorted_indices is not None:
            leaf = leaf.index_select(batch, given.unpacked.packed.unsorted_indices)
        if not given.is_batched:
            leaf = leaf.squeeze(batch)
        elif batch_first:
            leaf = leaf.transpose(1, 2)
        made.append(leaf)
    return made[0] if len(made) == 1 else tuple(made)


def cast(tree: Any, dtype: torch.dtype) -> Any:
    """The tensors in another dtype, as autocast casts them: those of floats but float64."""
    if isinstance(tree, Tensor):
        return tree.to(dtype) if tree.is_floating_point() and tree.dtype != torch.float64 else tree
    if isinstance(tree, PackedSequence):
        return tree._replace(data=cast(tree.data, dtype))
    return type(tree)(cast(leaf, dtype) for leaf in tree) if isinstance(tree, tuple | list) else tree
