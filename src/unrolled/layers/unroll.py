"""``unroll``: the front door to every backend."""

import os
from typing import Any

from torch import Tensor

from ..core import InputError, InputTypeError, Step, Tree, run_reference, settle

BACKENDS = ("auto", "reference", "plan", "compiled")


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
        backend: ``"reference"``, the loop in eager PyTorch; ``"compiled"``, the step's loop as generated C,
            forward and back through time (float32 and float64, on the CPU); ``"plan"``, the same plan
            interpreted by PyTorch; ``"auto"``, for now the reference. The environment variable
            ``UNROLLED_BACKEND`` replaces ``"auto"``.

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
    if backend in ("plan", "compiled"):
        from ..compiler import run_planned  # only then: the tracer is slow to import

        return run_planned(step, run, compiled=backend == "compiled")
    return run_reference(step, run)


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
