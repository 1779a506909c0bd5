"""``Unrolling``: one sequence to run, its arguments checked and settled once for every backend.

Letters: T time steps, B rows of the batch. Everything here is time-major: x (T, B, ...), masks (T, B).
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .errors import InputError, InputTypeError
from .tree import Tree, check_dtypes, check_same, describe, leaves, map_tree, named_leaves, unflatten

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
    spare_state: Tree  # (B, ...): with this a masked step computes, in place of the state that it holds
    reverse: bool
    truncated_bptt_steps: int | None
    done: int = 0  # steps of the same sequence that were run before these, in the order of processing
    passing: bool = False  # whether who gets the outputs, and the gradients of x, copies them at once
    recompute: bool = False  # whether nothing is kept for the way back, and all is computed once more then

    def times(self) -> range:
        """The time steps in the order in which they are processed."""
        return range(self.steps) if not self.reverse else range(self.steps - 1, -1, -1)

    def cuts(self, k: int) -> bool:
        """Whether truncated BPTT detaches the state before the k-th step to be processed, from 0."""
        window, k = self.truncated_bptt_steps, self.done + k
        return window is not None and k > 0 and k % window == 0


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
    batch_size, device = batch_of(state)
    count = _steps_of(x, steps, batch_size)
    valid = valid_steps(count, batch_size, lengths=lengths, mask=mask, device=device)
    if reset_state is None:
        reset_state = state
    elif reset is not None:
        check_same(reset_state, state, "reset_state", "It must have the structure and shapes of state.")
        check_dtypes(reset_state, state, "reset_state", "It must have the dtypes of state.")
        reset_state = unflatten(state, leaves(reset_state))
    restart = None
    if reset is not None:
        restart = _restart_steps(checked_flags(reset, "reset", count, batch_size, device), valid, reverse)
    if truncated_bptt_steps is not None:
        truncated_bptt_steps = at_least_1(truncated_bptt_steps, "truncated_bptt_steps")
    spare_state = state
    if valid is not None and batch_size:
        time, row = _stand_ins(valid, reverse)
        x = None if x is None else map_tree(lambda v: _fill_padding(v, valid, v.detach()[time, row]), x)
        spare_state = map_tree(lambda s: s.detach()[row], state)
        if restart is not None:
            spare_state = select(restart[time, row], map_tree(lambda s: s.detach()[row], reset_state), spare_state)
    return Unrolling(
        x=x,
        state=state,
        steps=count,
        batch_size=batch_size,
        valid=valid,
        restart=restart,
        reset_state=reset_state,
        spare_state=spare_state,
        reverse=reverse,
        truncated_bptt_steps=truncated_bptt_steps,
    )


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
    valid = None if mask is None else checked_flags(mask, "mask", steps, batch_size, device)
    if lengths is None:
        return valid
    try:
        lengths = torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(f"lengths: expected a tensor or list (B,) of whole numbers, got {lengths!r}.") from error
    not_whole = lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool
    if not_whole and lengths.numel():  # an empty list becomes a tensor of floats
        raise InputTypeError(f"lengths: expected whole numbers, got {lengths.dtype}.")
    lengths = lengths.to(torch.int64)
    if lengths.shape != (batch_size,):
        raise InputError(f"lengths: expected shape (B,) = ({batch_size},), got {tuple(lengths.shape)}.")
    can_look = batch_size and not torch.compiler.is_compiling()  # otherwise below 0 is 0, above T is T
    if can_look and (int(lengths.min()) < 0 or int(lengths.max()) > steps):
        raise InputError(
            f"lengths: expected values from 0 to T = {steps}, got {int(lengths.min())} to {int(lengths.max())}."
        )
    within: Tensor = torch.arange(steps, device=device)[:, None] < lengths.to(device)
    return within if valid is None else within & valid


def batch_of(state: Tree) -> tuple[int, torch.device]:
    """B and the device of a state (B, ...).

    Raises:
        InputError: its tensors do not have the same number of rows, or there is none.
        InputTypeError: it is not a tensor or a (nested) tuple of tensors.
    """
    named = named_leaves(state, "state")
    if not named:
        raise InputError("state: expected at least one tensor (B, ...), got an empty tuple.")
    for name, leaf in named:
        if leaf.dim() == 0:
            raise InputError(f"{name}: expected the batch first, (B, ...), got a scalar. Use {name}.reshape(1).")
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
        return at_least_1(steps, "steps")
    if steps is not None:
        raise InputError("steps: expected None, since the input x tells the number of steps; drop one of the two.")
    named = named_leaves(x, "x")
    if not named:
        raise InputError("x: expected at least one tensor (T, B, ...), got an empty tuple; for no input give None.")
    count = named[0][1].shape[0] if named[0][1].dim() else 0
    for name, leaf in named:
        if leaf.dim() < 2 or leaf.shape[:2] != (count, batch_size):
            as_first = "" if name == named[0][0] else f" and T = {count} as in {named[0][0]}"
            raise InputError(
                f"{name}: expected (T, B, ...) with B = {batch_size} as in state{as_first}, "
                f"got {tuple(leaf.shape)} as (T, B, ...)."
            )
    if count == 0:
        raise InputError("x: expected at least one time step, got T = 0.")
    return count


def checked_flags(flags: Tensor, name: str, steps: int, batch_size: int, device: torch.device | None) -> Tensor:
    """Flags (T, B), on that device.

    Raises:
        InputError: another shape.
        InputTypeError: another type or dtype.
    """
    if not isinstance(flags, Tensor):
        raise InputTypeError(f"{name}: expected a bool tensor (T, B), got {type(flags).__name__}.")
    if flags.dtype != torch.bool:
        raise InputTypeError(f"{name}: expected dtype torch.bool, got {flags.dtype}. Use {name}.bool().")
    if flags.shape != (steps, batch_size):
        raise InputError(f"{name}: expected (T, B) = ({steps}, {batch_size}), got {tuple(flags.shape)} as (T, B).")
    return flags.to(device)


def at_least_1(value: Any, name: str) -> int:
    """A whole number of at least 1.

    Raises:
        InputError: it is less.
        InputTypeError: it is no whole number.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise InputTypeError(f"{name}: expected a whole number, got {value!r}.")
    if number < 1:
        raise InputError(f"{name}: expected at least 1, got {number}.")
    return number


def _restart_steps(reset: Tensor, valid: Tensor | None, reverse: bool) -> Tensor:
    """Before which steps the state is replaced. Under ``reverse`` a flag marks where an episode begins,
    so it acts before the next valid step that is *processed*, the one at an earlier time.
    """
    if valid is not None:
        reset = reset & valid
    if not reverse:
        return reset
    steps = reset.shape[0]
    time = torch.arange(steps, device=reset.device)[:, None].expand_as(reset)
    here = time if valid is None else torch.where(valid, time, steps)
    after = torch.cat([here[1:], torch.full_like(here[:1], steps)])  # of every step on the first that is valid
    after = after.flip(0).cummin(0).values.flip(0)
    restart = reset.gather(0, after.clamp(max=steps - 1)) & (after < steps)
    return restart if valid is None else restart & valid


def _stand_ins(valid: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """Time and row, each (B,), of the step that a row's masked steps compute in place of their own: the
    row's first valid step to be processed (for a row with none, another row's). So a masked step never
    computes with what stands in the padding, nor with a held state on which the step may be singular.
    """
    valid = valid.to(torch.uint8)
    time = valid.argmax(0) if not reverse else valid.shape[0] - 1 - valid.flip(0).argmax(0)
    some = valid.amax(0)
    row = torch.where(some.bool(), torch.arange(valid.shape[1], device=valid.device), some.argmax())
    return time[row], row


def _fill_padding(x: Tensor, valid: Tensor, stand_in: Tensor) -> Tensor:
    """``x`` with the stand-in (B, ...) of each row in its padding; ones (ids: 0) where nothing is valid."""
    anything = torch.full_like(stand_in, 1 if x.is_floating_point() else 0)
    return torch.where(align(valid, x), x, torch.where(valid.any(), stand_in, anything))


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
    """B of an input (T, B, ...).

    Raises:
        InputError: no tensor of it has two dimensions.
        InputTypeError: it is not a tensor or a (nested) tuple of tensors.
    """
    for _, leaf in named_leaves(x, "x"):
        if leaf.dim() >= 2:
            return leaf.shape[1]
    raise InputError(f"x: expected a tensor (T, B, ...), or a tuple of them, got {describe(x)}.")
