"""What torch.compile and torch.export read of a sequence: one step, and a mark that says what is what in it.

torch.compile reads the code here line by line. What it meets as ``whole`` it takes for a higher-order operator of
its kind "wrap", which runs a function: so it traces one step into a graph of its own, guards what the step reads, and
makes tensors that the step closes over inputs of it. What then becomes of that graph is in lowered.py.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import HigherOrderOperator

from ..core import Step, Tree, UnrolledError, Unrolling, UnsupportedStep, check_step, leaves, run_reference, unflatten
from .context import check_context
from .fallback import is_no_refusal, run_auto, run_named, say
from .fingerprint import read, same
from .lowered import call_operator, kind_of, leaves_of, lower, one_row, untraced, wanted_in
from .portable import ready, write
from .preserve import preserved
from .rewrite import rewrite
from .trace import trace

_LIBRARY = torch.library.Library("unrolled", "FRAGMENT")
_LIBRARY.define(
    "steps(Tensor[] x, Tensor[] now, Tensor[] state, Tensor[] reset, Tensor[] spare, Tensor? valid, Tensor? restart, "
    "Tensor[] output, Tensor[] after, SymInt steps, bool reverse, int window) -> Tensor[]"
)


def run_traced(step: Step, run: Unrolling, *, named: bool) -> tuple[Tree, Tree]:
    """Outputs and last state of a sequence that torch.compile reads.

    Args:
        step: the step.
        run: the sequence.
        named: whether ``backend="compiled"`` was asked for.
    """
    x = leaves_of(run.x)
    state, reset = leaves(run.state), [] if run.restart is None else leaves(run.reset_state)
    flags = [leaf for leaf in (run.valid, run.restart) if leaf is not None]
    spare = [] if run.valid is None else leaves(run.spare_state)
    # each is seen anew, so that none is also a tensor that the step closes over
    given = [leaf.view_as(leaf) for leaf in [*x, *state, *reset, *spare, *flags]]
    ends = [0]
    for part in (x, state, reset, spare, flags):
        ends.append(ends[-1] + len(part))

    def one(_: Any, *given: Tensor) -> tuple[Tree, Tree]:
        x, state, reset, spare, flags = (list(given[a:b]) for a, b in pairwise(ends))
        valid = flags[0] if run.valid is not None else None
        restart = flags[-1] if run.restart is not None else None
        now = [leaf[0] for leaf in x]
        before = unflatten(run.state, state)
        result = step(None if run.x is None else unflatten(run.x, now), before)
        output, after = check_step(result, before, state[0].shape[0])  # sizes as this graph knows them
        made = torch.ops.unrolled.steps(
            x,
            now,
            state,
            reset,
            spare,
            valid,
            restart,
            leaves(output),
            leaves(after),
            0 if x else run.steps,
            run.reverse,
            run.truncated_bptt_steps or 0,
        )
        count = len(leaves(output))
        return unflatten(output, made[:count]), unflatten(after, made[count:])

    def otherwise() -> tuple[Tree, Tree]:
        return run_named(step, run, compiled=True) if named else run_auto(step, run)

    whole = whole_or_raise if named else whole_or_loop
    results: tuple[Tree, Tree] = whole(one, otherwise, *given)
    return results


class _Whole(HigherOrderOperator):
    """One step and the tensors of a sequence -> outputs and last state of the sequence."""

    def __init__(self, name: str, named: bool):
        super().__init__(name)
        self.__name__ = "wrap"  # by this name torch.compile knows how to read it, and
        self.__module__ = __name__  # by this, that it is not to be looked for in torch.ops
        self.named = named

    def __call__(self, one: Any, *given: Any) -> Any:
        """The node of a traced graph; or, of a function, that torch.compile could not trace it."""
        if isinstance(one, fx.GraphModule):
            return lower(one, given, self.named)
        return _untraced_call(given[0])


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _untraced_call(function: Callable[[], Any]) -> Any:
    """What stands after a break of the graph is not traced again, function by function."""
    return function()


whole_or_loop = _Whole("unrolled_whole_or_loop", named=False)
whole_or_raise = _Whole("unrolled_whole_or_raise", named=True)


def run_exported(step: Step, run: Unrolling, *, named: bool) -> tuple[Tree, Tree]:
    """Outputs and last state of a sequence in a trace by PyTorch's operations, as that of torch.export."""
    try:
        check_context(run, compiled=True)
        text, closed, output, after = _exported_text(step, run)
    except Exception as error:  # of any kind, as in run_auto
        if named or is_no_refusal(error):
            raise
        reason = str(error) if isinstance(error, UnrolledError) else f"{type(error).__name__}: {error}"
    else:
        made = call_operator(run, closed, text, keep=False)
        count = len(leaves(output))
        return unflatten(output, made[:count]), unflatten(after, made[count:])
    results = run_reference(step, run)
    say(reason)
    return results


def _exported_text(step: Step, run: Unrolling) -> tuple[str, list[Tensor], Tree, Tree]:
    """The step's text, the tensors that it closes over, and the structure of output and state."""
    reading = read(step)
    like = [kind_of(leaf, 2) for leaf in leaves_of(run.x)] + [kind_of(leaf, 1) for leaf in leaves(run.state)]
    with untraced(), preserved(reading.things), torch.random.fork_rng(devices=[]):
        flat, first = one_row(like, len(leaves_of(run.x)))
        x = None if run.x is None else unflatten(run.x, flat)
        try:
            traced = trace(step, x, unflatten(run.state, first), reading.tensors, reading.names)
        finally:
            if not same(read(step), reading):
                raise UnsupportedStep("step changes what it reads (an attribute, a list, a counter).")
    closed = [reading.tensors[k] for k in traced.closed]
    text = write(rewrite(traced.graph), wanted_in(run, closed))
    with untraced():
        ready(text)
    return text, closed, traced.output, traced.after


def _steps(*args: Any) -> list[Tensor]:
    """What torch.compile sees of a whole sequence: its shapes, and a gradient of all if anything has one."""
    x, _, state, reset, _, _, _, output, after, steps, _, _ = args
    steps = x[0].shape[0] if x else steps
    whole = [leaf.unsqueeze(0).expand(steps, *leaf.shape).clone(memory_format=_CONTIGUOUS) for leaf in output]
    made = [*whole, *(leaf.clone(memory_format=_CONTIGUOUS) for leaf in after)]
    tie = next((leaf for leaf in [*x, *state, *reset, *output, *after] if leaf.requires_grad), None)
    if tie is None:
        return made
    nothing = tie.sum() * 0
    return [leaf + nothing.to(leaf.dtype) if leaf.is_floating_point() else leaf for leaf in made]


_CONTIGUOUS = torch.contiguous_format
_LIBRARY.impl("steps", _steps, "CompositeImplicitAutograd")
_LIBRARY.impl("steps", _steps, "FuncTorchBatched")  # inside vmap, which does not look into such an operator
