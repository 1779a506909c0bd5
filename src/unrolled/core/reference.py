"""The reference: a plain loop over time that defines what every other backend must compute."""

from dataclasses import replace

import torch
from torch import Tensor

from .errors import InputError, InputTypeError
from .tree import Tree, check_dtypes, check_same, keep_names, leaves, map_tree, named_leaves, unflatten
from .unrolling import Step, Unrolling, detach, select


def run_reference(step: Step, run: Unrolling) -> tuple[Tree, Tree]:
    """Apply ``step`` T times, eagerly.

    Returns:
        The outputs (T, B, ...), zero where a step is masked, and each row's state after its last valid step.
    """
    if run.recompute and torch.is_grad_enabled():
        return _recomputed(step, run)
    # unbind, not indexing: the gradient of T slices is then one stack instead of T full-size additions
    inputs = None if run.x is None else [leaf.unbind(0) for leaf in leaves(run.x)]
    outputs: list[Tree] = [None] * run.steps
    state = run.state
    for k, t in enumerate(run.times()):
        if run.cuts(k):
            state = detach(state)
        if run.restart is not None:
            state = select(run.restart[t], run.reset_state, state)
        x = None if inputs is None else unflatten(run.x, [leaf[t] for leaf in inputs])
        before = state if run.valid is None else select(run.valid[t], state, run.spare_state)
        output, after = check_step(step(x, before), state, run.batch_size)
        if run.valid is not None:
            after = select(run.valid[t], after, state)
            output = select(run.valid[t], output, map_tree(torch.zeros_like, output))
        outputs[t], state = output, after
    for t, output in enumerate(outputs):
        name = f"output of step at t = {t}"
        check_same(output, outputs[0], name, "A step must keep the shapes of its output.")
        check_dtypes(output, outputs[0], name, "A step must keep the dtypes of its output.")
    by_leaf = zip(*(leaves(output) for output in outputs), strict=True)
    return unflatten(outputs[0], [torch.stack(column) for column in by_leaf]), state


def _recomputed(step: Step, run: Unrolling) -> tuple[Tree, Tree]:
    """The same, of which nothing is kept for the way back."""
    from torch.utils.checkpoint import checkpoint

    def again(x: Tree | None, state: Tree) -> tuple[Tree, Tree]:
        return run_reference(step, replace(run, x=x, state=state, recompute=False))

    # x and state are arguments because from them it learns whose random state to put back
    results: tuple[Tree, Tree] = checkpoint(again, run.x, run.state, use_reentrant=False)
    return results


def check_step(result: Tree, state: Tree, batch_size: int) -> tuple[Tree, Tree]:
    """What a step returned, held to ``(output, state)`` with the state's structure, shapes and dtypes."""
    if not isinstance(result, tuple) or len(result) != 2:
        got = f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result).__name__
        raise InputTypeError(f"step: expected it to return (output, state), got {got}.")
    output, after = result
    for name, leaf in named_leaves(output, "output"):
        if leaf.dim() == 0 or leaf.shape[0] != batch_size:
            raise InputError(f"step: expected {name} with B = {batch_size} rows, got shape {tuple(leaf.shape)}.")
    named_leaves(after, "state returned by step")
    check_same(after, state, "state returned by step", "A step must keep the shapes of the state.")
    after = keep_names(after, state)
    if all(a.dtype == b.dtype for a, b in zip(leaves(after), leaves(state), strict=True)):
        return output, after
    device = leaves(state)[0].device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        after = map_tree(_follow_autocast, after, state)
    remedy = "Start from a state of the dtype that the step computes in."
    check_dtypes(after, state, "state returned by step", remedy)
    return output, after


def _follow_autocast(after: Tensor, before: Tensor) -> Tensor:
    """Under autocast a step computes in another precision than its state's; never make a float an int."""
    both_float = after.is_floating_point() and before.is_floating_point()
    return after.to(before.dtype) if both_float else after
