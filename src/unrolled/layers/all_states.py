"""The states after every step, for ``Recurrent(..., return_all_states=True)``."""

from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..core import Step, Tree, check_step, leaves, map_tree, select

_MADE: WeakKeyDictionary[nn.Module, tuple[Step, Step]] = WeakKeyDictionary()


def with_states(layer: nn.Module, step: Step) -> Step:
    """The step with its state as a second output: ``((output, state), state)``.

    The last one is kept beside the layer: the compiler knows it again at the next call.
    """
    if getattr(step, "__self__", None) is not layer.cell:  # of a weight that was drawn for this call
        return _with_states(step)
    known = _MADE.get(layer)
    if known is None or known[0] != step:
        known = _MADE[layer] = step, _with_states(step)
    return known[1]


def _with_states(step: Step) -> Step:
    def both(x: Tree | None, state: Tree) -> tuple[Tree, Tree]:
        output, after = check_step(step(x, state), state, leaves(state)[0].shape[0])
        return (output, after), after

    return both


def hold(states: Tree, start: Tree, valid: Tensor | None, reverse: bool) -> Tree:
    """States (T, B, ...) with those of masked steps, which are zero, filled by the state held there.

    Args:
        states: the states that the steps returned.
        start: the state (B, ...) before the first step, which a row holds until it has a valid step.
        valid: (T, B) bool, or None where every step is valid.
        reverse: whether the steps were processed from the last to the first.
    """
    if valid is None:
        return states
    valid = valid.flip(0) if reverse else valid
    steps, rows = valid.shape
    order = torch.arange(steps, device=valid.device)[:, None]
    last = torch.where(valid, order, -1).cummax(0).values  # the last valid step so far, in the order of processing
    row = torch.arange(rows, device=valid.device)

    def fill(leaf: Tensor, first: Tensor) -> Tensor:
        leaf = leaf.flip(0) if reverse else leaf
        held: Tensor = select(last < 0, first.expand_as(leaf), leaf[last.clamp(min=0), row])
        return held.flip(0) if reverse else held

    return map_tree(fill, states, start)
