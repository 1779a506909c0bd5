"""The compiler's front door: a step and a sequence in, the results of a planned run out."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from ..core import Step, Tree, Unrolling, UnsupportedStep, leaves
from .fingerprint import read
from .function import Engine, Job, apply
from .interpret import Interpreter
from .plan import Plan, make_plan
from .trace import trace


@dataclass(frozen=True)
class Planned:
    """What is known of a step at one set of sizes and dtypes."""

    plan: Plan
    closed: tuple[int, ...]  # which of the reachable tensors the step uses
    output: Tree
    engine: Engine


def run_planned(step: Step, run: Unrolling, *, compiled: bool) -> tuple[Tree, Tree]:
    """A whole sequence by the step's plan, its loops in generated C (``compiled``) or interpreted by torch.

    Raises:
        UnsupportedStep: the step cannot be traced, planned or compiled.
        UnrolledError: the step does not return (output, state).
    """
    _check_context(run, compiled)
    reading = read(step)
    key = (compiled, reading.key, _sizes(run, reading.tensors))
    planned = _CACHE.get(key)
    if planned is None:
        planned = plan_step(step, run, reading.tensors, reading.names, compiled=compiled)
        if read(step).key != reading.key:
            raise UnsupportedStep(
                "step changes what it reads (an attribute, a list, a counter): traced once, the change would be "
                "made once. Carry it in the state, or use backend='reference'."
            )
        _CACHE.put(key, planned)
    closed = [reading.tensors[k] for k in planned.closed]
    return apply(Job(step, run, planned.plan, planned.engine, planned.output), closed)


def plan_step(
    step: Step, run: Unrolling, tensors: tuple[Tensor, ...], names: tuple[str, ...], *, compiled: bool
) -> Planned:
    """Trace, plan and compile a step for the sizes, dtypes and wanted gradients of a run."""
    traced = trace(step, run.x, run.state, tensors, names)
    plan = make_plan(traced.graph, _wanted(run, [tensors[k] for k in traced.closed]))
    return Planned(plan, traced.closed, traced.output, _compile(plan) if compiled else Interpreter())


def _compile(plan: Plan) -> Engine:
    from .codegen.source import generate
    from .kernel import Compiled

    return Compiled(generate(plan))


def _wanted(run: Unrolling, closed: list[Tensor]) -> tuple[bool, ...] | None:
    """Which of x, state and closed tensors need a gradient; None if none does."""
    if not torch.is_grad_enabled():
        return None
    x = [leaf.requires_grad for leaf in leaves(run.x)] if run.x is not None else []
    pairs = zip(leaves(run.state), leaves(run.reset_state), strict=True)
    wanted = (*x, *(a.requires_grad or b.requires_grad for a, b in pairs), *(t.requires_grad for t in closed))
    return wanted if any(wanted) else None


def _sizes(run: Unrolling, tensors: tuple[Tensor, ...]) -> Hashable:
    """All that a plan depends on besides the step: never on T or B."""
    device = leaves(run.state)[0].device.type
    autocast = torch.is_autocast_enabled(device) if torch.amp.is_autocast_available(device) else False
    return (
        None if run.x is None else _structure(run.x, 2),
        _structure(run.state, 1),
        _structure(run.reset_state, 1),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        autocast and torch.get_autocast_dtype(device),
        tuple((t.shape, t.dtype, t.device, t.requires_grad) for t in tensors),
    )


def _structure(tree: Tree, skip: int) -> Hashable:
    if isinstance(tree, tuple):
        return (type(tree), *(_structure(child, skip) for child in tree))
    return (tuple(tree.shape[skip:]), tree.dtype, tree.device, tree.requires_grad)


def _check_context(run: Unrolling, compiled: bool) -> None:
    """Refuse the contexts in which one operation on the whole sequence would not be what the step is."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise UnsupportedStep("torch.func transforms (grad, vmap, jvp): only backend='reference' runs under them.")
    if torch.autograd.forward_ad._current_level >= 0:
        raise UnsupportedStep("forward-mode automatic differentiation: only backend='reference' runs under it.")
    device = leaves(run.state)[0].device.type
    if compiled and device != "cpu":
        raise UnsupportedStep(f"kernels run on the CPU; the state is on {device}. Use backend='plan' or 'reference'.")
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        raise UnsupportedStep("autocast: only backend='reference' runs under it. Use bfloat16 tensors instead.")


class _Cache:
    """The last plans used."""

    def __init__(self, size: int):
        self.size = size
        self.entries: OrderedDict[Any, Planned] = OrderedDict()
        self.lock = Lock()

    def get(self, key: Hashable) -> Planned | None:
        with self.lock:
            if key not in self.entries:
                return None
            self.entries.move_to_end(key)
            return self.entries[key]

    def put(self, key: Hashable, planned: Planned) -> None:
        with self.lock:
            self.entries[key] = planned
            while len(self.entries) > self.size:
                self.entries.popitem(last=False)


_CACHE = _Cache(256)
