"""``unroll``: the front door to every backend."""

import os
from typing import Any

import torch
from torch import Tensor

from ..core import InputError, InputTypeError, Step, Tree, Unrolling, at_least_1, run_reference, settle
from .checkpointing import run_checkpointed

BACKENDS = ("auto", "reference", "plan", "compiled")
_TRACEABLE = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 13)  # the first on which it was run


def unroll(
    step: Step,
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
    checkpoint_every: int | None = None,
    backend: str = "auto",
) -> tuple[Tree, Tree]:
    """Run one time step over a whole sequence: s(t), y(t) = step(x(t), s(t-1)) for t = 1 ... T.

    Gradients reach the input, the first state, ``reset_state``, and every tensor that ``step`` closes over.

    Args:
        step: any Python function ``(x, state) -> (output, state)`` of tensors with the batch first.
        x: input, time first; ``None`` for a system without input (then give ``steps``).
        state: state before the first step.
        steps: number of steps, for a system without input.
        lengths: valid steps of each row, 0 to T, on any device.
        mask: True = valid. Where it is False the state is held and the output is zero; what stands in the
            padding, even NaN, changes nothing. With ``lengths`` too, a step is valid where both say so.
        reset: True = before this step the state is replaced by ``reset_state``. Under ``reverse`` the same
            flag still marks where an episode begins: after processing step t the state is replaced before
            the next valid step; the state returned is never a replaced one. A masked step ignores its reset.
        reset_state: by default the state passed in.
        reverse: from the last step to the first; outputs stay in the order of x.
        truncated_bptt_steps: detach the state every k steps, so gradients reach back at most k steps.
        checkpoint_every: to save memory, keep for the way back only the state after every k steps, and compute
            what is between once more then; gradients are the same. About the root of T saves most.
        backend: ``"auto"``, compiled where the step can be, otherwise the reference, with a warning that says
            why, once for each reason; ``"reference"``, the loop in eager PyTorch; ``"compiled"``, the step's
            loop as generated C, forward and back through time (float32 and float64, on the CPU); ``"plan"``,
            the same plan interpreted by PyTorch. The environment variable ``UNROLLED_BACKEND`` replaces
            ``"auto"``.

    Shape:
        x (T, B, ...), state and reset_state (B, ...), or (nested) tuples of such tensors; lengths (B,);
        mask and reset (T, B), bool.

    Returns:
        The outputs (T, B, ...), and each row's state after its own last valid step.

    Raises:
        InputError: a shape or value is not as above (a ValueError).
        InputTypeError: a type or dtype is not (a TypeError).
        UnsupportedStep: a backend was named that cannot run here (a RuntimeError).

    Example:
        The logistic map, a dynamical system with no input:

        >>> import torch
        >>> def logistic(_, s):
        ...     s = 3.9 * s * (1 - s)
        ...     return s, s
        >>> outputs, last = unroll(logistic, None, torch.tensor([0.5]), steps=3)
        >>> outputs.squeeze(1)
        tensor([0.9750, 0.0951, 0.3355])
    """
    backend = check_backend(backend)
    if not callable(step):
        raise InputTypeError(f"step: expected a function (x, state) -> (output, state), got {type(step).__name__}.")
    run = settle(
        x,
        state,
        steps=steps,
        lengths=lengths,
        mask=mask,
        reset=reset,
        reset_state=reset_state,
        reverse=reverse,
        truncated_bptt_steps=truncated_bptt_steps,
    )
    if checkpoint_every is None:
        return _run(step, run, backend)
    every = at_least_1(checkpoint_every, "checkpoint_every")
    return run_checkpointed(lambda part: _run(step, part, backend), run, every)


def _run(step: Step, run: Unrolling, backend: str) -> tuple[Tree, Tree]:
    compiling = torch.compiler.is_compiling()
    if compiling and _TRACEABLE and backend in ("auto", "compiled"):
        return _run_traced(step, run, named=backend == "compiled")
    by_another = backend == "auto" and (compiling or torch.jit.is_tracing())  # type: ignore[attr-defined]
    if backend == "reference" or by_another:  # who traces all of it needs the operations themselves
        return run_reference(step, run)
    from ..compiler import run_auto, run_named  # only then: the tracer is slow to import

    return run_auto(step, run) if backend == "auto" else run_named(step, run, compiled=backend == "compiled")


def _run_traced(step: Step, run: Unrolling, *, named: bool) -> tuple[Tree, Tree]:
    """Inside torch.compile or torch.export: the whole as one operator, where that can be."""
    if run.recompute:  # in pieces, which are as many as there are steps
        return run_reference(step, run)
    from ..compiler.traced import run_exported, run_traced

    if torch.compiler.is_dynamo_compiling():
        return run_traced(step, run, named=named)
    return run_exported(step, run, named=named)


def check_backend(backend: str) -> str:
    """The backend to run: the one named, or what ``UNROLLED_BACKEND`` puts in place of ``"auto"``.

    Raises:
        InputError: there is no backend of that name.
    """
    source = "backend"
    if backend == "auto" and os.environ.get("UNROLLED_BACKEND"):
        source, backend = "UNROLLED_BACKEND", os.environ["UNROLLED_BACKEND"]
    if backend not in BACKENDS:
        raise InputError(f"{source}: expected one of {', '.join(BACKENDS)}, got {backend!r}.")
    return backend
