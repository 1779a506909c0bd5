"""The compiler's front door: a step and a sequence in, the results of a planned run out.

What is known of a step is looked for in this process, then on disk, and only then is the step traced.
"""

import os
from collections.abc import Hashable
from dataclasses import dataclass
from operator import attrgetter
from threading import RLock
from typing import Any

import torch
from torch import Tensor

from ..core import Step, Tree, UnrolledError, Unrolling, UnsupportedStep
from .context import check_context, is_plain_context
from .fingerprint import Reading, digest_of, read
from .fingerprint_recall import Recalled, read_again, recall
from .function import Engine, Job, apply
from .interpret import Interpreter
from .recent import Recent
from .runtime import settings, thread_count
from .scan_use import Scans
from .stored import Known, find, store


@dataclass(frozen=True)
class Planned:
    """A step that can be run."""

    known: Known
    engine: Engine
    scans: Scans | None = None  # None: an interpreted plan is run as it is


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
    recalled = recall(step) if is_plain_context() else None
    if recalled is not None:
        noted = recalled.notes.get(_marks(run, compiled))
        if noted is not None:
            return _apply(step, run, *noted)
    check_context(run, compiled)
    reading: Reading | Recalled | None = recalled
    if reading is None:
        reading, recalled = read_again(step)
    key = (compiled, _isa(), reading.key, _conditions(run))
    found = _CACHE.get(key)
    _raise_if_refused(found)
    if not isinstance(found, Planned):
        if not isinstance(reading, Reading):
            reading, recalled = read(step), None
            key = (compiled, _isa(), reading.key, _conditions(run))
        with _BUILDING:
            found = _look_up(key, step, run, reading, compiled=compiled)
    closed = [reading.tensors[k] for k in found.known.closed]
    if recalled is not None:
        if len(recalled.notes) >= _MOST_NOTES:
            recalled.notes.clear()
        recalled.notes[_marks(run, compiled)] = (found, closed)
    return _apply(step, run, found, closed)


def noted(step: Step, run: Unrolling) -> tuple[Recalled, Planned, list[Tensor]] | None:
    """What a compiled run like this one was called with: the step as it is, its plan, the tensors it closes over."""
    recalled = recall(step) if is_plain_context() else None
    found = None if recalled is None else recalled.notes.get(_marks(run, compiled=True))
    return None if recalled is None or found is None else (recalled, *found)


def _apply(step: Step, run: Unrolling, found: Planned, closed: list[Tensor]) -> tuple[Tree, Tree]:
    known, threads = found.known, thread_count()
    scan = None if found.scans is None else found.scans.engine_for(run, threads)
    return apply(Job(step, run, known.plan, scan or found.engine, known.output, known.after, threads), closed)


def _look_up(key: Hashable, step: Step, run: Unrolling, reading: Reading, *, compiled: bool) -> Planned:
    """What is known in this process, or else found or made now; a refusal is remembered too: it may cost a second."""
    found = _CACHE.get(key)
    _raise_if_refused(found)
    if isinstance(found, Planned):  # by another thread, meanwhile
        return found
    try:
        found = _find_or_build(step, run, reading, compiled=compiled)
    except UnsupportedStep as reason:
        _CACHE.put(key, Refused(_bare(reason), settings()))
        raise
    except (UnrolledError, MemoryError):
        raise
    except Exception as error:
        failed = UnsupportedStep(f"the compiler failed on this step, {type(error).__name__}: {error}")
        _CACHE.put(key, Refused(failed, settings()))
        raise UnsupportedStep(*failed.args) from error
    _CACHE.put(key, found)
    return found


def _raise_if_refused(found: Planned | Refused | None) -> None:
    if isinstance(found, Refused) and found.settings == settings():
        raise UnsupportedStep(*found.reason.args) from found.reason.__cause__


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
        engine = Compiled(known.source, known.plan)
        return Planned(known, engine, Scans(known.plan, engine))
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


def _marks(run: Unrolling, compiled: bool) -> Hashable:
    """What the conditions follow from, found in a fraction of their time: objects for names, and whole shapes."""
    x, state = run.x, run.state
    settings = (_CACHE, compiled, _isa(), torch.is_grad_enabled(), torch.get_default_dtype())
    if run.reset_state is state and isinstance(x, Tensor):
        try:
            given = (x, *state) if isinstance(state, tuple) else (x, state)
            return settings, type(state), *map(_METADATA, given)
        except AttributeError:  # trees in a tree
            pass
    return settings, *map(_mark, (x, state, run.reset_state))


def _mark(tree: Tree) -> Hashable:
    if isinstance(tree, tuple):
        return type(tree), *map(_mark, tree)
    return None if tree is None else _METADATA(tree)


def _isa() -> Any:
    """The setting of the instruction set; what stands behind os.environ answers in a thirtieth of its time."""
    environ: Any = os.environ
    try:
        return environ._data.get(_ISA)
    except AttributeError:  # put in its place by somebody
        return environ.get("UNROLLED_ISA")


def _structure(tree: Tree, skip: int) -> Hashable:
    if isinstance(tree, tuple):
        kind = type(tree)
        return (f"{kind.__module__}.{kind.__qualname__}", *(_structure(child, skip) for child in tree))
    return (tuple(tree.shape[skip:]), str(tree.dtype), str(tree.device), tree.requires_grad)


_CACHE: Recent[Planned | Refused] = Recent(256)
_MOST_NOTES = 64  # plans noted for a step, one for each T and B too
_METADATA = attrgetter("shape", "dtype", "device", "requires_grad")
_ISA = getattr(os.environ, "encodekey", str)("UNROLLED_ISA")
_BUILDING = RLock()  # PyTorch's tracer is not made for several threads at once
