"""A planned step as one differentiable operation on whole sequences."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ..core import Step, Tree, Unrolling, UnsupportedStep, leaves, run_reference, select, unflatten
from .graph import Graph
from .interpret import Values
from .operations import RANDOM
from .plan import Plan


class Job(NamedTuple):
    """One call: what to run and how; the tensors that may have gradients are arguments of the operation."""

    step: Step
    run: Unrolling
    plan: Plan
    engine: "Engine"
    output: Tree  # the structure of the step's output, and
    after: Tree  # of the state that it returns
    threads: int  # both directions cut the batch alike


class Engine(Protocol):
    """What runs a plan: torch, node by node, or a kernel."""

    owns_state: bool
    """Whether the last state of ``forward`` is in memory of its own."""

    def forward(
        self, job: Job, values: Values, state: list[Tensor], reset: list[Tensor]
    ) -> tuple[dict[int, Tensor], list[Tensor], list[Tensor]]:
        """Forward in time: adds what the step returns to ``values``, but those sequences (T, B, ...) that it returns
        first, of which nobody else knows; then the state after all steps, and what is kept.
        """

    def backward(
        self, job: Job, values: Values, kept: list[Tensor], adjoint: list[Tensor | None], shapes: list[Tensor]
    ) -> tuple[dict[int, Tensor], list[Tensor | None], list[Tensor | None]]:
        """Back through time, likewise: the gradients, and those of the first state and of the resets'."""


def apply(job: Job, closed: list[Tensor]) -> tuple[Tree, Tree]:
    """Outputs (T, B, ...) and last state of a whole sequence."""
    run, graph = job.run, job.plan.graph
    tensors = (*([] if run.x is None else leaves(run.x)), *leaves(run.state), *leaves(run.reset_state), *closed)
    differentiable = job.plan.backward is not None and torch.is_grad_enabled()
    flat = _learning(job, tensors) if differentiable else tuple(run_forward(job, tensors)[0])
    count = len(graph.output)
    return unflatten(job.output, flat[:count]), unflatten(job.after, flat[count:])


def _learning(job: Job, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The sequence as one differentiable operation; where random numbers are drawn, PyTorch recomputes it."""
    if job.run.recompute and any(node.op in RANDOM for node in job.plan.graph.nodes):
        from torch.utils.checkpoint import checkpoint  # which draws the same numbers once more

        job = job._replace(run=replace(job.run, recompute=False))
        again: tuple[Tensor, ...] = checkpoint(apply_to_tensors, job, *tensors, use_reentrant=False)
        return again
    flat: tuple[Tensor, ...] = apply_to_tensors(job, *tensors)
    return flat


def run_forward(job: Job, tensors: tuple[Tensor, ...]) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """The whole sequence forward in time: outputs and last state, and what is kept for the way back."""
    run, graph = job.run, job.plan.graph
    x, state, reset, closed = _parts(graph, tensors)
    values: Values = {index: leaf.flatten(0, 1) for index, leaf in zip(graph.x, x, strict=True)}
    values.update(zip(graph.closed, closed, strict=True))
    made, last, kept = job.engine.forward(job, values, list(state), list(reset))
    everything = (*tensors, *kept)
    outputs = [made[i] if i in made else _steps(graph, i, values[i], run) for i in graph.output]
    if run.valid is not None:
        outputs = [select(run.valid, leaf, torch.zeros_like(leaf)) for leaf in outputs]
    elif len(made) < len(outputs):
        outputs = _own(outputs, everything)
    return [*outputs, *(last if job.engine.owns_state else _own(last, everything))], everything


def run_backward(
    job: Job, tensors: tuple[Tensor, ...], kept: list[Tensor], grads: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The whole sequence back through time: the gradients of the tensors; None: zero. Takes from ``kept``."""
    run, graph = job.run, job.plan.graph
    _, state, _, _ = _parts(graph, tensors)
    values: Values = {}
    for index, grad in zip(graph.d_output, grads, strict=False):
        if index is not None and grad is not None:
            if run.valid is not None:
                grad = select(run.valid, grad, torch.zeros_like(grad))
            values[index] = grad.flatten(0, 1)
    adjoint = [
        grad if index is not None else None
        for index, grad in zip(graph.d_new_state, grads[len(graph.output) :], strict=True)
    ]
    made, d_state, d_reset = job.engine.backward(job, values, kept, adjoint, list(state))
    d_x = [made[i] if i in made else None if i not in values else _steps(graph, i, values[i], run) for i in graph.d_x]
    d_closed = [None if index is None else values.get(index) for index in graph.d_closed]
    return [*d_x, *d_state, *d_reset, *d_closed]


class _Sequence(torch.autograd.Function):
    """x, state, state of the resets, closed-over tensors -> outputs, last state."""

    @staticmethod
    def forward(ctx: Any, job: Job, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The whole sequence forward in time."""
        results, kept = run_forward(job, tensors)
        ctx.job, ctx.inputs = job, len(tensors)
        ctx.save_for_backward(*(tensors if job.run.recompute else kept))
        ctx.mark_non_differentiable(*(leaf for leaf in results if not leaf.is_floating_point()))
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        """The whole sequence back through time, in the precision of the way forward, where autocast is off."""
        if torch._C._is_any_autocast_enabled() and not torch.is_grad_enabled():
            with torch.autocast(leaves(ctx.job.run.state)[0].device.type, enabled=False):
                return _Sequence._back(ctx, grads)
        return _Sequence._back(ctx, grads)

    @staticmethod
    def _back(ctx: Any, grads: tuple[Tensor | None, ...]) -> Any:
        job: Job = ctx.job
        everything = ctx.saved_tensors  # read once: a checkpoint unpacks it once
        tensors, kept = everything[: ctx.inputs], list(everything[ctx.inputs :])
        if torch.is_grad_enabled():
            return (None, *_twice(job, tensors, grads))
        if any(map(_is_batched, grads)):
            with torch.enable_grad():
                return (None, *_twice(job, tensors, grads))
        if job.run.recompute:
            kept = list(run_forward(job, tensors)[1][ctx.inputs :])
        results = run_backward(job, tensors, kept, grads)
        needed = ctx.needs_input_grad[1:]
        return (None, *(grad if need else None for grad, need in zip(results, needed, strict=True)))


apply_to_tensors = _Sequence.apply
"""A job and the tensors of x, state, state of the resets, and those closed over -> those of outputs and last state."""


def _parts(graph: Graph, tensors: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], ...]:
    inputs, states = len(graph.x), len(graph.state)
    ends = (inputs, inputs + states, inputs + 2 * states)
    return tensors[: ends[0]], tensors[ends[0] : ends[1]], tensors[ends[1] : ends[2]], tensors[ends[2] :]


def _steps(graph: Graph, index: int, value: Tensor, run: Unrolling) -> Tensor:
    """A value of T·B rows as (T, B, ...)."""
    value = value.movedim(graph.sequence_axis(index), 0)
    return value.reshape(run.steps, run.batch_size, *value.shape[1:])


def _own(results: list[Tensor], kept: tuple[Tensor, ...]) -> list[Tensor]:
    """The results, of which none shares memory with what is kept or another, and none is a view: they may be changed in
    place, and autograd tells them apart.
    """
    taken = {leaf.untyped_storage().data_ptr() for leaf in kept}
    owned = []
    for result in results:
        if result.untyped_storage().data_ptr() in taken:
            result = result.clone()
        taken.add(result.untyped_storage().data_ptr())
        owned.append(result.data if result._is_view() else result)
    return owned


def _is_batched(grad: Tensor | None) -> bool:
    """Whether it stands for many gradients at once: it has no memory that C could read."""
    functorch = torch._C._functorch
    return grad is not None and (functorch.is_legacy_batchedtensor(grad) or functorch.is_batchedtensor(grad))


def _twice(job: Job, tensors: tuple[Tensor, ...], grads: tuple[Tensor | None, ...]) -> list[Tensor | None]:
    """Gradients that can be differentiated again: those of the reference, run on the same arguments."""
    if any(node.op in RANDOM for node in job.plan.graph.nodes):
        raise UnsupportedStep(
            "A gradient of a gradient through a step that draws random numbers: use backend='reference'."
        )
    x, state, reset, _ = _parts(job.plan.graph, tensors)
    run = replace(
        job.run,
        x=None if job.run.x is None else unflatten(job.run.x, x),
        state=unflatten(job.run.state, state),
        reset_state=unflatten(job.run.reset_state, reset),
    )
    outputs, last = run_reference(job.step, run)
    pairs = [
        (leaf, grad)
        for leaf, grad in zip([*leaves(outputs), *leaves(last)], grads, strict=True)
        if grad is not None and leaf.requires_grad
    ]
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    found = torch.autograd.grad(
        [leaf for leaf, _ in pairs], wanted, [grad for _, grad in pairs], create_graph=True, allow_unused=True
    )
    answers = {id(tensor): grad for tensor, grad in zip(wanted, found, strict=True)}
    seen: set[int] = set()
    results: list[Tensor | None] = []
    for tensor in tensors:  # a tensor given twice gets its gradient once
        results.append(None if id(tensor) in seen else answers.get(id(tensor)))
        seen.add(id(tensor))
    return results
