"""From a step to what is known of it: trace, rewrite, plan, generate."""

import torch
from torch import Tensor

from ..core import Step, Tree, Unrolling, UnsupportedStep, leaves, map_tree
from .codegen.source import generate
from .fingerprint import Reading, read, same
from .plan import make_plan
from .preserve import preserved
from .rewrite import rewrite
from .stored import Known
from .trace import Traced, trace


def build(step: Step, run: Unrolling, reading: Reading, *, compiled: bool) -> Known:
    """Trace and plan a step for the sizes, dtypes and wanted gradients of a run; with its source if ``compiled``.

    Raises:
        UnsupportedStep: the step cannot be traced, planned or written in C.
        UnrolledError: the step does not return (output, state).
    """
    traced = trace_alone(step, run, reading)
    plan = make_plan(rewrite(traced.graph), wanted_gradients(run, [reading.tensors[k] for k in traced.closed]))
    source = generate(plan) if compiled else None
    return Known(plan, traced.closed, _shape(traced.output), _shape(traced.after), source)


def trace_alone(step: Step, run: Unrolling, reading: Reading, called: Step | None = None) -> Traced:
    """Trace a step so that nothing is left behind, no draw either.

    Args:
        step: what ``reading`` was read of.
        run: an example.
        reading: what the step can reach.
        called: what is traced in place of the step, and does nothing but call it and look on.

    Raises:
        UnsupportedStep: the step cannot be traced.
        UnrolledError: the step does not return (output, state).
    """
    with preserved(reading.things), torch.random.fork_rng(devices=[]):
        try:
            return trace(called or step, run.x, run.state, reading.tensors, reading.names)
        finally:
            if not same(read(step), reading):  # said rather than what the change may have led to
                raise UnsupportedStep(
                    "step changes what it reads (an attribute, a list, a counter): traced once, the change would be "
                    "made once. Carry it in the state, or use backend='reference'."
                )


def wanted_gradients(run: Unrolling, closed: list[Tensor]) -> tuple[bool, ...] | None:
    """Which of x, state and closed tensors need a gradient; None if none does."""
    if not torch.is_grad_enabled():
        return None
    x = [leaf.requires_grad for leaf in leaves(run.x)] if run.x is not None else []
    pairs = zip(leaves(run.state), leaves(run.reset_state), strict=True)
    wanted = (*x, *(a.requires_grad or b.requires_grad for a, b in pairs), *(t.requires_grad for t in closed))
    return wanted if any(wanted) else None


def _shape(tree: Tree) -> Tree:
    """The structure alone."""
    return map_tree(lambda _: None, tree)
