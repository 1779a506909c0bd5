"""The compiler's front door: a step and a sequence in, the results of a planned run out.

What is known of a step is looked for in this process, then on disk, and only then is the step traced.
"""

import os
from collections.abc import Hashable
from dataclasses import dataclass
from threading import RLock

import torch

from ..core import Step, Tree, UnrolledError, Unrolling, UnsupportedStep, leaves
from .fingerprint import Reading, digest_of, read
from .function import Engine, Job, apply
from .interpret import Interpreter
from .recent import Recent
from .stored import Known, find, store

SETTINGS = ("UNROLLED_CACHE", "UNROLLED_ISA", "CC", "PATH", "HOME", "XDG_CACHE_HOME")


@dataclass(frozen=True)
class Planned:
    """A step that can be run."""

    known: Known
    engine: Engine


@dataclass(frozen=True)
class Refused:
    """A step that cannot: why, and with what settings of the machine."""

    reason: UnsupportedStep
    settings: Hashable


def run_planned(step: Step, run: Unrolling, *, compiled: bool) -> tuple[Tree, Tree]:
    """A whole sequence by the step's plan, its loops in generated C (``compiled``) or interpreted by torch.

    Raises:
        UnsupportedStep: the step cannot be traced, planned or compiled.
        UnrolledError: the step does not return (output, state).
    """
    _check_context(run, compiled)
    reading = read(step)
    key = (compiled, os.environ.get("UNROLLED_ISA"), reading.key, _conditions(run))
    found = _CACHE.get(key)
    if not isinstance(found, Planned):
        with _BUILDING:
            found = _look_up(key, step, run, reading, compiled=compiled)
    known = found.known
    closed = [reading.tensors[k] for k in known.closed]
    return apply(Job(step, run, known.plan, found.engine, known.output, known.after), closed)


def _look_up(key: Hashable, step: Step, run: Unrolling, reading: Reading, *, compiled: bool) -> Planned:
    """What is known in this process, or else found or made now; a refusal is remembered too: it may cost a second."""
    found = _CACHE.get(key)
    if isinstance(found, Refused) and found.settings == _settings():
        raise UnsupportedStep(*found.reason.args) from found.reason.__cause__
    if isinstance(found, Planned):  # by another thread, meanwhile
        return found
    try:
        found = _find_or_build(step, run, reading, compiled=compiled)
    except UnsupportedStep as reason:
        _CACHE.put(key, Refused(_bare(reason), _settings()))
        raise
    except (UnrolledError, MemoryError):
        raise
    except Exception as error:
        failed = UnsupportedStep(f"the compiler failed on this step, {type(error).__name__}: {error}")
        _CACHE.put(key, Refused(failed, _settings()))
        raise UnsupportedStep(*failed.args) from error
    _CACHE.put(key, found)
    return found


def _find_or_build(step: Step, run: Unrolling, reading: Reading, *, compiled: bool) -> Planned:
    """What is on disk, or else traced now."""
    own = digest_of(reading) if compiled else None  # an interpreted plan is for looking at: always made anew
    key = None if own is None else f"{own} {_conditions(run)!r}"
    known = None if key is None else find(key)
    if known is None:
        from .build import build  # only then: the tracer is slow to import

        known = build(step, run, reading, compiled=compiled)
        if key is not None:
            store(key, known)
    if known.source is None:
        return Planned(known, Interpreter())
    from .kernel import Compiled

    try:
        return Planned(known, Compiled(known.source, known.plan.graph))
    except UnsupportedStep as error:
        raise UnsupportedStep(f"{error} `unrolled doctor` shows what is found on this machine.") from error.__cause__


def _bare(reason: UnsupportedStep) -> UnsupportedStep:
    """The error without the frames, and the tensors in them, of where it was raised."""
    copy, cause = UnsupportedStep(*reason.args), reason.__cause__
    copy.__cause__ = None if cause is None else cause.with_traceback(None)
    return copy


def _conditions(run: Unrolling) -> Hashable:
    """All that a plan depends on besides the step, as names and numbers: never T or B."""
    return (
        None if run.x is None else _structure(run.x, 2),
        _structure(run.state, 1),
        _structure(run.reset_state, 1),
        torch.is_grad_enabled(),
        str(torch.get_default_dtype()),
    )


def _structure(tree: Tree, skip: int) -> Hashable:
    if isinstance(tree, tuple):
        kind = type(tree)
        return (f"{kind.__module__}.{kind.__qualname__}", *(_structure(child, skip) for child in tree))
    return (tuple(tree.shape[skip:]), str(tree.dtype), str(tree.device), tree.requires_grad)


def _settings() -> Hashable:
    return tuple(os.environ.get(name) for name in SETTINGS)


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


_CACHE: Recent[Planned | Refused] = Recent(256)
_BUILDING = RLock()  # PyTorch's tracer is not made for several threads at once
