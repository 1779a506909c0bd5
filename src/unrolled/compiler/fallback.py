"""What a backend does with a step that cannot be compiled: ``"auto"`` runs the reference, a named one raises."""

import os
import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor

from ..core import Step, Tree, UnrolledError, Unrolling, UnsupportedStep, chunks, leaves, run_reference
from .engine import run_planned
from .recent import Recent


def run_auto(step: Step, run: Unrolling) -> tuple[Tree, Tree]:
    """Compiled if the step can be, otherwise by the reference, with a warning: once in a process for each reason.

    Raises:
        Exception: whatever the reference raises.
        MemoryError: there is not enough.
    """
    if _is_watched() or _foreign(run) is not None:
        return run_reference(step, run)
    try:
        return run_planned(step, run, compiled=True)
    except Exception as error:  # of any kind: what the reference can run must not fail here
        if is_no_refusal(error):
            raise
        text = str(error) if isinstance(error, UnrolledError) else f"the kernel failed, {type(error).__name__}: {error}"
    results = run_reference(step, run)  # what it raises is the user's own error, and no matter of compiling
    say(text)
    return results


def run_named(step: Step, run: Unrolling, *, compiled: bool) -> tuple[Tree, Tree]:
    """By the backend that was named, or not at all.

    Raises:
        UnsupportedStep: it cannot run this step.
        Exception: the step fails by itself; the error is its own, not that of a trace.
    """
    if torch.compiler.is_compiling():
        raise UnsupportedStep("inside torch.compile: only backend='auto' and 'reference' run there.")
    foreign = _foreign(run)
    if foreign is not None:
        raise UnsupportedStep(f"a tensor of type {type(foreign).__name__}: only backend='reference' runs on it.")
    refusal: UnrolledError
    try:
        return run_planned(step, run, compiled=compiled)
    except UnrolledError as error:
        refusal = error
    raise_own_error(step, run, refusal)
    try:
        raise refusal
    finally:
        del refusal  # its traceback holds this frame


def raise_own_error(step: Step, run: Unrolling, refusal: UnrolledError) -> None:
    """Where a refusal may come of a fault of the step itself, run one time step by the reference, which shows it."""
    if not isinstance(refusal, UnsupportedStep) or refusal.__cause__ is not None:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            run_reference(step, next(iter(chunks(run, 1))))


_SAID: Recent[bool] = Recent(1024)


def _is_watched() -> bool:
    """Whether somebody wants to see each operation: a dispatch mode that counts or fakes, anomaly detection."""
    return torch.is_anomaly_enabled() or bool(torch._C._len_torch_dispatch_stack())


def _foreign(run: Unrolling) -> Tensor | None:
    """A tensor of somebody else's class, such as a tracer's: it may have no memory that C could read."""
    given = [*([] if run.x is None else leaves(run.x)), *leaves(run.state), *leaves(run.reset_state)]
    return next((leaf for leaf in given if type(leaf) is not Tensor and type(leaf) is not torch.nn.Parameter), None)


def is_no_refusal(error: Exception) -> bool:
    """Whether there is no memory, or PyTorch stops a recomputation in which it has all that it wants."""
    no_memory = isinstance(error, MemoryError) or "allocate memory" in str(error)
    return no_memory or type(error).__module__ == "torch.utils.checkpoint"


def say(reason: str) -> None:
    """Warn at the line that called into the library, unless the same was said before."""
    if not _SAID.put(reason, True):
        return
    try:
        warnings.warn(
            f"Not compiled, so run step by step by the reference, which is slower: {reason} "
            "(backend='reference' runs it so without this warning.)",
            stacklevel=_users_level(),
        )
    except Warning:  # warnings are errors here: the next call must fail as well
        _SAID.drop(reason)
        raise


_LIBRARIES = tuple(f"{folder}{os.sep}" for folder in (Path(torch.__file__).parent, Path(__file__).parents[1]))


def _users_level() -> int:
    """The ``stacklevel``, for a caller of this function, of the innermost frame that is neither ours nor PyTorch's."""
    level, frame = 1, sys._getframe(1)
    while frame.f_code.co_filename.startswith(_LIBRARIES) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    return level
