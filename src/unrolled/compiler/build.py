"""From a step to what is known of it: trace, rewrite, plan, generate."""

import torch
from torch import Tensor

from ..core import Step, Tree, Unrolling, leaves, map_tree
from .codegen.source import generate
from .fingerprint import Reading
from .plan import make_plan
from .rewrite import rewrite
from .stored import Known
from .trace import trace


def build(step: Step, run: Unrolling, reading: Reading, *, compiled: bool) -> Known:
    """Trace and plan a step for the sizes, dtypes and wanted gradients of a run; with its source if ``compiled``.

    Raises:
        UnsupportedStep: the step cannot be traced, planned or written in C.
        UnrolledError: the step does not return (output, state).
    """
    with torch.random.fork_rng(devices=[]):  # what a trace draws is no draw of the sequence
        traced = trace(step, run.x, run.state, reading.tensors, reading.names)
    plan = make_plan(rewrite(traced.graph), _wanted(run, [reading.tensors[k] for k in traced.closed]))
    source = generate(plan) if compiled else None
    return Known(plan, traced.closed, _shape(traced.output), _shape(traced.after), source)


def _wanted(run: Unrolling, closed: list[Tensor]) -> tuple[bool, ...] | None:
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
