"""Run a sequence whose step is linear in its state in parallel over time: an engine beside that of the loop."""

import ctypes
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ..core import Unrolling
from .codegen.prelude import scan as source
from .codegen.source import generate
from .function import Job
from .graph import Ref
from .interpret import Values
from .kernel import CPU, Compiled
from .plan import Plan, read_by
from .runtime import MEMORY, load, pool
from .scan_plan import Block, Level, ScanPlan


class Scanned:
    """A step that has been cut for scans.

    Args:
        plan: the step.
        parts: the same, cut.
        otherwise: what runs it where a number is not finite, for zero times infinity is no number.

    Raises:
        UnsupportedStep: a part of it has no C, or there is no compiler.
    """

    owns_state = True

    def __init__(self, plan: Plan, parts: ScanPlan, otherwise: Compiled):
        self.plan, self.parts, self.otherwise = plan, parts, otherwise
        self.forwards = [(level, _Rows(level.plan, inner=True)) for level in parts.forward]
        self.backwards = [(level, _Rows(level.plan, inner=True)) for level in parts.backward]
        self.rest = _Rows(parts.rest, inner=False)
        blocks = [block for level in (*parts.forward, *parts.backward) for block in level.blocks]
        self.coupled = max((len(block.leaves) for block in blocks), default=1)
        self.kept = (*plan.graph.x, *parts.keep)
        self.owned = {*plan.graph.output, *plan.graph.d_x}  # the caller's: in memory of their own
        self.asked = {*parts.keep, *parts.rest.saved, *plan.graph.output}  # of the states before and after each step
        for level in (*parts.forward, *parts.backward):
            self.asked |= {*level.plan.graph.x}
        for way in (parts.rest.forward, parts.rest.backward):
            if way is not None:
                self.asked |= read_by(parts.rest.graph, (*way.before, *way.after)) | {*way.results}

    def forward(
        self, job: Job, values: Values, state: list[Tensor], reset: list[Tensor]
    ) -> tuple[dict[int, Tensor], list[Tensor], list[Tensor]]:
        """Forward in time."""
        graph, given = self.plan.graph, dict(values)
        last = self._scan(job, values, self.forwards, (graph.state, graph.new_state), state, job.run.reverse)
        if last is None:
            values.clear()
            values.update(given)
            made, last, kept = self.otherwise.forward(job, values, state, reset)
            return made, last, [_mark(by_scan=False), *kept]
        kept = self.rest.forward(job, values)
        return (
            {},
            last,
            [_mark(by_scan=True), *(values[i] for i in self.kept), *kept] if self.plan.backward is not None else [],
        )

    def backward(
        self, job: Job, values: Values, kept: list[Tensor], adjoint: list[Tensor | None], shapes: list[Tensor]
    ) -> tuple[dict[int, Tensor], list[Tensor | None], list[Tensor | None]]:
        """Back through time."""
        if not kept.pop(0).numel():
            return self.otherwise.backward(job, values, kept, adjoint, shapes)
        graph, given = self.plan.graph, dict(values)
        known = dict(zip(self.kept, kept, strict=False))
        values.update(known)
        first = [torch.zeros_like(shape) if grad is None else grad for grad, shape in zip(adjoint, shapes, strict=True)]
        ways = (graph.d_new_state, graph.d_state)
        d_state = self._scan(job, values, self.backwards, ways, first, not job.run.reverse)
        if d_state is None:
            again = {i: known[i] for i in (*graph.x, *graph.closed)}
            _, _, kept = self.otherwise.forward(job, again, shapes, shapes)
            values.clear()
            values.update(given)
            return self.otherwise.backward(job, values, kept, adjoint, shapes)
        self.rest.backward(job, values, kept[len(self.kept) :])
        return {}, d_state, [None] * len(d_state)

    def _scan(
        self,
        job: Job,
        values: Values,
        levels: "list[tuple[Level, _Rows]]",
        ways: tuple[Sequence[int | None], Sequence[int | None]],
        first: Sequence[Tensor],
        reverse: bool,
    ) -> list[Any] | None:
        """Add to the values the state before and after all steps; the last one, or None where it is not finite."""
        before, after = ways
        last: list[Any] = [None] * len(before)
        for level, rows in levels:
            rows.forward(job, values)
            for k in level.known:
                index, following = before[k], after[k]
                assert index is not None
                values[index], last[k] = _shifted(
                    None if following is None else values[following], first[k], job.run, reverse
                )
            for block in level.blocks:
                places = [(before[k], after[k]) for k in block.leaves]
                made = _run(block, [first[k] for k in block.leaves], values, places, self, job, reverse)
                for k, leaf in zip(block.leaves, made, strict=True):
                    last[k] = leaf
        scanned = [last[k] for level, _ in levels for block in level.blocks for k in block.leaves]
        return last if all(bool(leaf.isfinite().all()) for leaf in scanned) else None


class _Rows:
    """A step without state, compiled: all T·B rows at once."""

    def __init__(self, plan: Plan, *, inner: bool):
        self.plan, self.inner, self.compiled = plan, inner, Compiled(generate(plan), plan)
        parts = self.compiled.source.forward.parts
        self.idle = not (parts.first or parts.last or any(part.nodes for part in parts.of_kernel))

    def forward(self, job: Job, values: Values) -> list[Tensor]:
        """Adds what it computes to the values; what is kept for the way back."""
        if self.idle:
            return [values[index] for index in self.compiled.apart]
        made, _, kept = self.compiled.forward(self._job(job), values, [], [])
        self._add(made, values)
        return kept

    def backward(self, job: Job, values: Values, kept: list[Tensor]) -> None:
        """Likewise; nothing where no gradient but that of the state is wanted."""
        if self.plan.backward is not None:
            made, _, _ = self.compiled.backward(self._job(job), values, kept, [], [])
            self._add(made, values)

    def _job(self, job: Job) -> Job:
        passing = self.inner or job.run.passing
        return job._replace(plan=self.plan, run=_rows_of(job.run.steps * job.run.batch_size, passing))

    @staticmethod
    def _add(made: dict[int, Tensor], values: Values) -> None:
        for index, sequence in made.items():
            values[index] = sequence.flatten(0, 1)


@cache
def _rows_of(count: int, passing: bool) -> Unrolling:
    return Unrolling(
        x=None,
        state=(),
        steps=1,
        batch_size=count,
        valid=None,
        restart=None,
        reset_state=(),
        spare_state=(),
        reverse=False,
        truncated_bptt_steps=None,
        passing=passing,
    )


def _shifted(after: Tensor | None, first: Tensor, run: Unrolling, reverse: bool) -> tuple[Tensor, Tensor]:
    """What stands before each step, of what stands after it; and the last."""
    count, rows = run.batch_size, run.steps * run.batch_size
    before = torch.zeros((rows, *first.shape[1:]), dtype=first.dtype, device=CPU)
    last = torch.zeros_like(first)
    if reverse:
        before[rows - count :] = first
        if after is not None:
            before[: rows - count], last = after[count:], after[:count].clone()
    else:
        before[:count] = first
        if after is not None:
            before[count:], last = after[: rows - count], after[rows - count :].clone()
    return before, last


def _run(
    block: Block,
    first: list[Tensor],
    values: Values,
    places: list[tuple[int | None, int | None]],
    engine: Scanned,
    job: Job,
    reverse: bool,
) -> list[Tensor]:
    """Scan: adds the sequences that are asked for, and returns the last state."""
    run, like, width = job.run, first[0], len(first)
    rows, size = run.steps * run.batch_size, first[0].numel()
    held: list[Tensor] = [leaf.contiguous() for leaf in first]
    pointers: list[int | None] = []
    steps: list[int] = []
    for operand in (*block.a, *block.b):
        value: Any = values[operand.index] if isinstance(operand, Ref) else operand
        if value is None:
            pointers.append(None)
            steps.append(0)
            continue
        varies = isinstance(value, Tensor) and value.shape[:1] == (rows,) and value.shape[1:] == like.shape[1:]
        if not varies:
            value = torch.as_tensor(value, dtype=like.dtype, device=CPU).expand(like.shape)
        held.append(value := value.contiguous())
        pointers.append(value.data_ptr())
        steps.append(size if varies else 0)
    for side in (0, 1):
        for place in places:
            index = place[side]
            if index is None or index not in engine.asked:
                pointers.append(None)
                continue
            values[index] = made = _sequence(
                (rows, *like.shape[1:]), like.dtype, own=index in engine.owned and not run.passing
            )
            pointers.append(made.data_ptr())
    last = [torch.empty_like(leaf, memory_format=torch.contiguous_format) for leaf in first]
    pointers += [leaf.data_ptr() for leaf in (*held[:width], *last)]
    memory, scan = _FUNCTIONS[like.dtype]()
    numbers = (ctypes.c_long * 5)(run.steps, size, width, reverse, job.threads)
    room = MEMORY.take(memory(numbers))
    scan(
        numbers,
        (ctypes.c_void_p * len(pointers))(*pointers),
        (ctypes.c_long * len(steps))(*steps),
        pool(),
        ctypes.c_void_p(room.data_ptr()),
    )
    return last


def _sequence(shape: tuple[int, ...], dtype: torch.dtype, *, own: bool) -> Tensor:
    """A sequence; one that is not the caller's lies where others have lain: fresh memory costs as much as a scan."""
    if own:
        return torch.empty(shape, dtype=dtype, device=CPU)
    return MEMORY.take(math.prod(shape) * dtype.itemsize).view(dtype).view(shape)


def _mark(*, by_scan: bool) -> Tensor:
    """What was kept by which way, to stand before it."""
    return torch.empty(int(by_scan), device=CPU)


def _functions(suffix: str) -> tuple[Any, Any]:
    library = load(source())
    memory, scan = getattr(library, f"u_scan_memory_{suffix}"), getattr(library, f"u_scan_all_{suffix}")
    memory.restype, scan.restype = ctypes.c_long, None
    return memory, scan


_FUNCTIONS = {torch.float32: cache(lambda: _functions("f")), torch.float64: cache(lambda: _functions("d"))}
