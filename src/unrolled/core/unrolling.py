"""``Unrolling``: one sequence to run, its arguments checked and settled once for every backend.

Letters: T time steps, B rows of the batch. Everything here is time-major: x (T, B, ...), masks (T, B).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .errors import InputError, InputTypeError
from .tree import Tree, check_same, leaves, map_tree, named_leaves

Step: TypeAlias = Callable[[Any, Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Unrolling:
    """What a backend needs to run a sequence; made by :func:`settle`, which checks all of it."""

    x: Tree | None  # (T, B, ...); what stood in the padding has been replaced
    state: Tree  # (B, ...)
    steps: int  # T
    batch_size: int  # B
    valid: Tensor | None  # (T, B) bool: where False the state is held and the output is zero
    restart: Tensor | None  # (T, B) bool: where True the state is replaced by reset_state before the step
    reset_state: Tree  # (B, ...)
    reverse: bool
    truncated_bptt_steps: int | None


def settle(
    x: Tree | None,
    state: Tree,
    *,
    steps: int | None = None,
    lengths: Any = None,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
    reset_state: Tree | None = None,
    reverse: bool = False,
    truncated_bptt_steps: int | None = None,
) -> Unrolling:
    """Check the arguments of ``unroll`` and bring them to the form that every backend runs.

    Raises:
        InputError: a shape, size or value is not what was expected.
        InputTypeError: a type or dtype is not.
    """
    batch_size, device = _batch_of(state)
    count = _steps_of(x, steps, batch_size)
    valid = valid_steps(count, batch_size, lengths=lengths, mask=mask, device=device)
    if reset_state is None:
        reset_state = state
    elif reset is not None:
        check_same(reset_state, state, "reset_state", "It must have the structure and shapes of state.")
    restart = None
    if reset is not None:
        restart = _restart_steps(_flags(reset, "reset", count, batch_size, device), valid, reverse)
    if truncated_bptt_steps is not None and truncated_bptt_steps < 1:
        raise InputError(f"truncated_bptt_steps: expected at least 1 (or None), got {truncated_bptt_steps}.")
    if x is not None and valid is not None:
        x = map_tree(lambda v: _fill_padding(v, valid), x)
    return Unrolling(x, state, count, batch_size, valid, restart, reset_state, reverse, truncated_bptt_steps)


def valid_steps(
    steps: int,
    batch_size: int,
    *,
    lengths: Any = None,
    mask: Tensor | None = None,
    device: torch.device | None = None,
) -> Tensor | None:
    """``lengths`` and ``mask`` as one (T, B) mask, True = valid; None where every step is valid.

    Raises:
        InputError: lengths outside 0..T, or a shape other than (B,) and (T, B).
        InputTypeError: lengths that are not whole numbers, a mask that is not bool.
    """
    valid = None if mask is None else _flags(mask, "mask", steps, batch_size, device)
    if lengths is None:
        return valid
    lengths = torch.as_tensor(lengths)
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise InputTypeError(f"lengths: expected whole numbers, got {lengths.dtype}.")
    if lengths.shape != (batch_size,):
        raise InputError(f"lengths: expected shape (B,) = ({batch_size},), got {tuple(lengths.shape)}.")
    if batch_size and (int(lengths.min()) < 0 or int(lengths.max()) > steps):
        raise InputError(
            f"lengths: expected values from 0 to T = {steps}, "
            f"got {int(lengths.min())} to {int(lengths.max())}."
        )
    within: Tensor = torch.arange(steps, device=device)[:, None] < lengths.to(device)
    return within if valid is None else within & valid


def _batch_of(state: Tree) -> tuple[int, torch.device]:
    named = named_leaves(state, "state")
    if not named:
        raise InputError("state: expected at least one tensor (B, ...), got an empty tuple.")
    for name, leaf in named:
        if leaf.dim() == 0:
            raise InputError(
                f"{name}: expected the batch first, (B, ...), got a scalar. Use {name}.reshape(1)."
            )
    first_name, first = named[0]
    for name, leaf in named[1:]:
        if leaf.shape[0] != first.shape[0]:
            raise InputError(
                f"{name}: expected B = {first.shape[0]} rows as in {first_name}, got {leaf.shape[0]} "
                f"(shape {tuple(leaf.shape)})."
            )
    return first.shape[0], first.device


def _steps_of(x: Tree | None, steps: int | None, batch_size: int) -> int:
    if x is None:
        if steps is None:
            raise InputError("steps: expected the number of steps, since there is no input x, got None.")
        if steps < 1:
            raise InputError(f"steps: expected at least 1, got {steps}.")
        return steps
    if steps is not None:
        raise InputError(
            "steps: expected None, since the input x tells the number of steps; drop one of the two."
        )
    named = named_leaves(x, "x")
    if not named:
        raise InputError(
            "x: expected at least one tensor (T, B, ...), got an empty tuple; for no input give None."
        )
    count = named[0][1].shape[0] if named[0][1].dim() else 0
    for name, leaf in named:
        if leaf.dim() < 2 or leaf.shape[:2] != (count, batch_size):
            as_first = "" if name == named[0][0] else f" and T = {count} as in {named[0][0]}"
            raise InputError(
                f"{name}: expected shape (T, B, ...) with B = {batch_size} as in state{as_first}, "
                f"got {tuple(leaf.shape)}."
            )
    if count == 0:
        raise InputError("x: expected at least one time step, got T = 0.")
    return count


def _flags(flags: Tensor, name: str, steps: int, batch_size: int, device: torch.device | None) -> Tensor:
    if not isinstance(flags, Tensor):
        raise InputTypeError(f"{name}: expected a bool tensor (T, B), got {type(flags).__name__}.")
    if flags.dtype != torch.bool:
        raise InputTypeError(f"{name}: expected dtype torch.bool, got {flags.dtype}. Use {name}.bool().")
    if flags.shape != (steps, batch_size):
        raise InputError(
            f"{name}: expected shape (T, B) = ({steps}, {batch_size}), got {tuple(flags.shape)} "
            "(with batch_first=True: T and B change places)."
        )
    return flags.to(device)


def _restart_steps(reset: Tensor, valid: Tensor | None, reverse: bool) -> Tensor:
    """Before which steps the state is replaced. Under ``reverse`` a flag marks where an episode begins,
    so it acts before the next valid step that is *processed*, the one at an earlier time."""
    if valid is not None:
        reset = reset & valid
    if not reverse:
        return reset
    restart = torch.zeros_like(reset)
    pending = torch.zeros_like(reset[0])
    for t in reversed(range(reset.shape[0])):
        here = torch.ones_like(pending) if valid is None else valid[t]
        restart[t] = pending & here
        pending = torch.where(here, reset[t], pending)
    return restart


def _fill_padding(x: Tensor, valid: Tensor) -> Tensor:
    """Every masked step of a row gets the row's first valid input (a row with none, any other's), so the
    step never computes with what stands in the padding, nor with a zero that it might divide by."""
    if x.numel() == 0:
        return x
    first = valid.to(torch.uint8).argmax(0)  # (B,): time of the first valid step
    flat = first * valid.shape[1] + torch.arange(valid.shape[1], device=valid.device)
    flat = torch.where(valid.any(0), flat, valid.flatten().to(torch.uint8).argmax())
    filler = x.detach().flatten(0, 1)[flat]  # (B, ...)
    filler = torch.where(valid.any(), filler, torch.zeros_like(filler))
    return torch.where(align(valid, x), x, filler)


def align(flags: Tensor, like: Tensor) -> Tensor:
    """Flags with trailing ones appended, to broadcast against ``like``."""
    return flags.reshape(flags.shape + (1,) * (like.dim() - flags.dim()))


def select(flags: Tensor, chosen: Tree, otherwise: Tree) -> Tree:
    """``where`` over trees: rows of ``chosen`` where the flags (B,) are True, of ``otherwise`` elsewhere."""
    return map_tree(lambda a, b: torch.where(align(flags, a), a, b), chosen, otherwise)


def detach(tree: Tree) -> Tree:
    """The same values without their history."""
    return map_tree(lambda leaf: leaf.detach(), tree)


def batch_size_of(x: Tree) -> int:
    """B of an input (T, B, ...)."""
    for leaf in leaves(x):
        if leaf.dim() >= 2:
            return int(leaf.shape[1])
    raise InputError("x: expected a tensor (T, B, ...), or a tree of them.")
