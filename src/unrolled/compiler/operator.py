"""A whole sequence as an operator of PyTorch, for who traces: torch.compile and torch.export see one call.

``unrolled::sequence`` takes the tensors of x, state, reset state, those closed over and the spare state, one list, and
the step as text (see portable.py). It returns outputs and last state, and if ``keep`` what is kept for the way back.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core import InputError, Unrolling, UnsupportedStep
from .function import Job, run_backward, run_forward
from .interpret import Values
from .operator_checks import apart, check, check_way_back, kept_shapes, result_shapes
from .portable import Portable, ready
from .runtime import thread_count

_LIBRARY = torch.library.Library("unrolled", "DEF")
_WAY = "Tensor? valid, Tensor? restart, SymInt steps, bool reverse, int window, bool keep, str text"
_LIBRARY.define(f"sequence(Tensor[] tensors, {_WAY}) -> Tensor[]")
_LIBRARY.define(
    f"sequence_backward(Tensor?[] grads, Tensor[] tensors, Tensor[] kept, bool[] needed, {_WAY}) -> Tensor[]"
)


def sequence(
    tensors: list[Tensor],
    valid: Tensor | None,
    restart: Tensor | None,
    steps: Any,
    reverse: bool,
    window: int,
    keep: bool,
    text: str,
) -> list[Tensor]:
    """The operator's call: the leaves of outputs and last state, then what is kept."""
    made: list[Tensor] = torch.ops.unrolled.sequence(tensors, valid, restart, steps, reverse, window, keep, text)
    return made


def _job(step: Portable, tensors: list[Tensor], way: tuple[Any, ...], threads: int) -> tuple[Job, tuple[Tensor, ...]]:
    """A call, and its tensors without the spare state."""
    valid, restart, steps, reverse, window, *_ = way
    graph = step.known.plan.graph
    inputs, states = len(graph.x), len(graph.state)
    count = inputs + 2 * states + len(graph.closed)
    state = tuple(tensors[inputs : inputs + states])
    run = Unrolling(
        x=None,
        state=state,
        steps=steps,
        batch_size=state[0].shape[0],
        valid=valid,
        restart=restart,
        reset_state=tuple(tensors[inputs + states : inputs + 2 * states]),
        spare_state=tuple(tensors[count:]),
        reverse=reverse,
        truncated_bptt_steps=window or None,
    )
    return Job(None, run, step.known.plan, step.engine, None, None, threads), tuple(tensors[:count])  # type: ignore[arg-type]


def _forward(tensors: list[Tensor], *way: Any) -> list[Tensor]:
    step = ready(way[-1])
    check(step, tensors, way)
    job, given = _job(step, tensors, way, thread_count())
    results, everything = run_forward(job, given)
    kept = list(everything[len(given) :])
    if not way[-2]:
        return _apart_from(results, tensors)
    block = [kept.pop(0)] if step.engine.forwards.block else []
    by_index = dict(zip(step.engine.apart, kept, strict=True))
    made = [*results, *block, *(by_index[index] for index in apart(step))]
    return [*_apart_from(made, tensors), torch.tensor(job.threads)]


def _backward(
    grads: list[Tensor | None], tensors: list[Tensor], kept: list[Tensor], needed: list[bool], *way: Any
) -> list[Tensor]:
    step = ready(way[-1])
    check(step, tensors, way)
    graph, kept = step.known.plan.graph, list(kept)
    if step.known.plan.backward is None:
        raise InputError("unrolled::sequence_backward: expected a step that has a gradient.")
    job, given = _job(step, tensors, way, thread_count())
    check_way_back(step, grads, len(given), needed, kept, way[2], job.run.batch_size)
    if kept:
        job = job._replace(threads=int(kept.pop()))
        block = [kept.pop(0)] if step.engine.forwards.block else []
        by_index: Values = dict(zip(apart(step), kept, strict=True))
        inputs, states = len(graph.x), len(graph.state)
        by_index.update((i, leaf.flatten(0, 1)) for i, leaf in zip(graph.x, given, strict=False))
        by_index.update(zip(graph.closed, given[inputs + 2 * states :], strict=True))
        saved = [*block, *(by_index[index] for index in step.engine.apart)]
    else:
        saved = list(run_forward(job, given)[1][len(given) :])
    found = run_backward(job, given, list(saved), grads)
    wanted = [
        torch.zeros_like(tensor) if grad is None else grad
        for grad, tensor, need in zip(found, given, needed, strict=True)
        if need
    ]
    return _apart_from(wanted, [*tensors, *(grad for grad in grads if grad is not None), *saved])


def _apart_from(results: list[Tensor], given: list[Tensor]) -> list[Tensor]:
    """The results contiguous, and none in the memory of another or of what was given: what a compiler believes."""
    taken = {leaf.untyped_storage().data_ptr() for leaf in given}
    owned = []
    for result in results:
        result = result.detach().contiguous()
        if result.untyped_storage().data_ptr() in taken and result.numel():
            result = result.clone()
        taken.add(result.untyped_storage().data_ptr())
        owned.append(result)
    return owned


def _forward_shapes(tensors: list[Tensor], *way: Any) -> list[Tensor]:
    step, steps = ready(way[-1]), way[2]
    graph = step.known.plan.graph
    state = tensors[len(graph.x) : len(graph.x) + len(graph.state)]
    rows = state[0].shape[0]
    made = [state[0].new_empty(shape, dtype=dtype) for shape, dtype in result_shapes(step, steps, rows)]
    if way[-2]:
        made += [state[0].new_empty(shape, dtype=dtype) for shape, dtype in kept_shapes(step, steps, rows)]
        made.append(state[0].new_empty((), dtype=torch.int64))
    return made


def _backward_shapes(
    grads: list[Tensor | None], tensors: list[Tensor], kept: list[Tensor], needed: list[bool], *way: Any
) -> list[Tensor]:
    return [leaf.new_empty(leaf.shape) for leaf, need in zip(tensors, needed, strict=False) if need]


class _Differentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, way: tuple[Any, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            made = sequence(list(tensors), *way)
        graph = ready(way[-1]).known.plan.graph
        count = len(graph.output) + len(graph.state)
        flags = [leaf for leaf in way[:2] if leaf is not None]
        ctx.options, ctx.count, ctx.tensors = way[2:], count, len(tensors)
        ctx.flags = [leaf is not None for leaf in way[:2]]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *flags, *made[count:])
        ctx.mark_non_differentiable(*made[count:], *(leaf for leaf in made[:count] if not leaf.is_floating_point()))
        return tuple(made)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        saved = list(ctx.saved_tensors)
        tensors, rest = saved[: ctx.tensors], saved[ctx.tensors :]
        flags = [rest.pop(0) if there else None for there in ctx.flags]
        graph = ready(ctx.options[-1]).known.plan.graph
        count = len(graph.x) + 2 * len(graph.state) + len(graph.closed)
        needed = list(ctx.needs_input_grad[1 : 1 + count])
        found = iter(
            torch.ops.unrolled.sequence_backward(list(grads[: ctx.count]), tensors, rest, needed, *flags, *ctx.options)
        )
        return (None, *(next(found) if need else None for need in needed), *[None] * (ctx.tensors - count))


class _Refused(torch.autograd.Function):
    """What a call returns, with a gradient that raises why there is none: else it would be taken for zero."""

    @staticmethod
    def forward(ctx: Any, why: str, call: Callable[[], list[Tensor]], *_: Tensor) -> tuple[Tensor, ...]:
        ctx.why = why
        with torch._C._AutoDispatchBelowAutograd():
            made = call()
        ctx.mark_non_differentiable(*(leaf for leaf in made if not leaf.is_floating_point()))
        return tuple(made)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise UnsupportedStep(ctx.why)


def _autograd(tensors: list[Tensor], *way: Any) -> list[Tensor]:
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        step = ready(way[-1])
        if _lacks_gradients(step, tensors):
            return list(_Refused.apply(_NO_GRADIENT, lambda: sequence(tensors, *way), *tensors))
        if step.known.plan.backward is not None:
            return list(_Differentiable.apply(way, *tensors))
    with torch._C._AutoDispatchBelowAutograd():
        return sequence(tensors, *way)


def _lacks_gradients(step: Portable, tensors: list[Tensor]) -> bool:
    """Whether a tensor needs a gradient and needed none where the step was traced."""
    if step.wanted is None:
        return True
    inputs, states = len(step.known.plan.graph.x), len(step.known.plan.graph.state)
    wanted = step.wanted[: inputs + states] + step.wanted[inputs:]  # the state's twice: as first state and at resets
    return any(leaf.requires_grad and not want for leaf, want in zip(tensors, wanted, strict=False))


def _autograd_of_backward(
    grads: list[Tensor | None], tensors: list[Tensor], kept: list[Tensor], needed: list[bool], *way: Any
) -> list[Tensor]:
    def call() -> list[Tensor]:
        made: list[Tensor] = torch.ops.unrolled.sequence_backward(grads, tensors, kept, needed, *way)
        return made

    given = [leaf for leaf in (*grads, *tensors, *kept) if leaf is not None]
    if torch.is_grad_enabled() and any(leaf.requires_grad for leaf in given):
        return list(_Refused.apply(_NOT_TWICE, call, *given))
    with torch._C._AutoDispatchBelowAutograd():
        return call()


_NO_GRADIENT = (
    "unrolled::sequence: a gradient is asked for of a tensor that needed none when this program was exported (under "
    "torch.no_grad(), or frozen). Export it where that tensor needs one."
)
_NOT_TWICE = (
    "unrolled::sequence has no gradient of a gradient: run the layer outside torch.compile, or with "
    "backend='reference'."
)
_LIBRARY.impl("sequence", _forward, "CPU")
_LIBRARY.impl("sequence_backward", _backward, "CPU")
_LIBRARY.impl("sequence", _autograd, "Autograd")
_LIBRARY.impl("sequence_backward", _autograd_of_backward, "Autograd")
torch.library.register_fake("unrolled::sequence", _forward_shapes, lib=_LIBRARY)
torch.library.register_fake("unrolled::sequence_backward", _backward_shapes, lib=_LIBRARY)
