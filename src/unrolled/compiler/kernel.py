"""Call what was generated of a plan: the engine behind ``backend="compiled"``.

A kernel fills sequences. Those that the caller gets are tensors of their own. Those that the forward kernel keeps for
the backward kernel lie in one block of memory, one after the other, and those that a kernel needs for itself lie beside
its workspace in another; both blocks are used again.
"""

import ctypes
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..core import Unrolling, leaves
from .codegen.contract import Kernel, Source
from .function import Job
from .gemm import matrix_product
from .graph import Graph
from .interpret import Values, evaluate
from .operations import PRODUCTS
from .plan import Plan, read_by
from .runtime import MEMORY, load, pool

HABITS = (ctypes.c_long * 4)(32, 48, 2, 40000)
"""How rows are run: driver.h says what each number is."""


class Compiled:
    """The two directions of one plan as C functions.

    Raises:
        UnsupportedStep: there is no compiler, or no place for what it makes.
    """

    def __init__(self, source: Source, plan: Plan):
        self.source = source
        graph = plan.graph
        self.library = library = load(source.text)
        self.forwards = _Call(source.forward, plan, library, {*graph.output}, set(plan.saved))
        self.backwards = None
        if source.backward is not None:
            results = {*(plan.backward.results if plan.backward else ()), *graph.d_x}
            self.backwards = _Call(source.backward, plan, library, results, set())
        self.block = self.forwards.kept if source.backward is not None else ()
        block = {place.index for place in self.block}
        self.apart = tuple(index for index in plan.saved if index not in block) if source.backward is not None else ()

    def forward(
        self, job: Job, values: Values, state: list[Tensor], reset: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Forward in time; what stands before and after the loop as well."""
        plan, run = job.plan, job.run
        call, parts = self.forwards, self.source.forward.parts
        rows = run.steps * run.batch_size
        if parts.first:
            evaluate(plan.graph, parts.first, values, rows, state[0].device, _PRODUCTS)
        first = call.wide(state)
        last = [torch.empty(leaf.shape, dtype=leaf.dtype, device=CPU) for leaf in first]
        other = first if run.restart is None else call.wide(reset)
        spare = first if run.valid is None else call.wide(leaves(run.spare_state))
        block = MEMORY.take(_end(self.block, rows)) if self.block else None
        carried = [leaf for column in zip(first, last, other, spare, strict=True) for leaf in column]
        call(values, run, carried, job.threads, self.block, block)
        if parts.last:
            evaluate(plan.graph, parts.last, values, rows, state[0].device, _PRODUCTS)
        kept = [] if block is None else [block]
        return call.narrow(last), [*kept, *(values[index] for index in self.apart)]

    def backward(
        self, job: Job, values: Values, kept: list[Tensor], adjoint: list[Tensor | None], shapes: list[Tensor]
    ) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """Back through time; what stands before and after the loop as well."""
        plan, run = job.plan, job.run
        call, kernel = self.backwards, self.source.backward
        assert call is not None
        assert kernel is not None
        rows, device = run.steps * run.batch_size, shapes[0].device
        block = kept.pop(0) if self.block else None
        values.update(zip(self.apart, kept, strict=True))
        if block is not None:
            self._see(plan.graph, kernel, values, block, rows)
        evaluate(plan.graph, kernel.parts.first, values, rows, device, _PRODUCTS)
        d_state: list[Tensor | None] = [None] * len(adjoint)
        d_reset: list[Tensor | None] = [None] * len(adjoint)
        carried: list[Tensor] = []
        for k in kernel.carried:
            given, dtype = adjoint[k], call.widths[k]
            first = (
                torch.zeros(shapes[k].shape, dtype=dtype, device=CPU) if given is None else _contiguous(given.to(dtype))
            )
            d_state[k] = last = torch.empty(shapes[k].shape, dtype=dtype, device=CPU)
            other = last
            if run.restart is not None:
                d_reset[k] = other = torch.zeros(shapes[k].shape, dtype=dtype, device=CPU)
            carried += [first, last, other, first]
        call(values, run, carried, job.threads, self.block, block)
        evaluate(plan.graph, kernel.parts.last, values, rows, device, _PRODUCTS)
        return call.narrow(d_state), call.narrow(d_reset)

    def _see(self, graph: Graph, kernel: Kernel, values: Values, block: Tensor, rows: int) -> None:
        """Show torch what it needs of the block."""
        wanted = read_by(graph, [*kernel.parts.first, *kernel.parts.last]) | set(kernel.parts.outside)
        for place, start in _starts(self.block, rows):
            if place.index in wanted:
                piece = block[start : start + rows * place.size].view(place.dtype)
                values[place.index] = piece.view(rows, *place.features).movedim(0, place.axis)


class _Place:
    """A sequence in memory: the rows come first there, whatever their axis."""

    def __init__(self, graph: Graph, index: int):
        self.index, self.axis, self.dtype = index, graph.sequence_axis(index), graph.nodes[index].dtype
        self.features = tuple(size for d, size in enumerate(graph.row_shape(index)) if d != self.axis)
        self.size = graph.row_size(index) * self.dtype.itemsize  # bytes a row


def _starts(places: Iterable[_Place], rows: int) -> Iterable[tuple[_Place, int]]:
    """Where each begins in a block."""
    start = 0
    for place in places:
        yield place, start
        start += -(-rows * place.size // 64) * 64


def _end(places: Iterable[_Place], rows: int) -> int:
    return sum(-(-rows * place.size // 64) * 64 for place in places)


class _Call:
    """One direction's function, and what is known before it is called.

    Args:
        kernel: the function.
        plan: what it is part of.
        library: where it is.
        results: what the caller gets.
        kept: what the other direction reads.
    """

    def __init__(self, kernel: Kernel, plan: Plan, library: ctypes.CDLL, results: set[Any], kept: set[int]):
        graph, nodes = plan.graph, plan.graph.nodes
        self.function = getattr(library, f"u_{kernel.name}")
        self.function.restype = None
        self.memory = getattr(library, f"u_{kernel.name}_memory")
        self.memory.restype = ctypes.c_long
        self.constants = tuple((i, _width(nodes[i].dtype)) for i in kernel.constants)
        self.reads = tuple((i, graph.sequence_axis(i)) for i in kernel.reads)
        seen = results | read_by(graph, kernel.parts.last)  # by torch
        self.makes = tuple(_Place(graph, i) for i in kernel.makes)
        self.kept = tuple(place for place in self.makes if place.index in kept - seen)
        hidden = {place.index for place in self.kept}
        self.inner = tuple(place for place in self.makes if place.index not in seen | hidden)
        self.given = {i for i in kernel.makes if i in seen}
        self.totals = tuple((i, nodes[i].shape, nodes[i].dtype) for i in kernel.totals)
        self.dtypes = tuple(nodes[i].dtype for i in graph.state)  # of the carried values, and
        self.widths = tuple(map(_width, self.dtypes))  # those in which a kernel carries them
        self.is_wide = self.dtypes == self.widths
        count = len(self.constants) + len(self.reads) + len(self.makes) + len(self.totals) + 4 * len(kernel.carried)
        self.pointers = ctypes.c_void_p * max(count, 1)
        self.packed = ctypes.c_void_p * max(len(kernel.packed), 1)

    def wide(self, state: list[Tensor]) -> list[Tensor]:
        """A state as the kernel carries it: that of 16 bits in 32."""
        if not self.is_wide:
            state = [leaf.to(dtype) for leaf, dtype in zip(state, self.widths, strict=True)]
        return [_contiguous(leaf) for leaf in state]

    def narrow(self, state: list[Any]) -> list[Any]:
        """A state as the user knows it."""
        if self.is_wide:
            return state
        return [None if leaf is None else leaf.to(dtype) for leaf, dtype in zip(state, self.dtypes, strict=True)]

    def __call__(
        self,
        values: Values,
        run: Unrolling,
        carried: list[Tensor],
        threads: int,
        block: tuple[_Place, ...],
        kept: Tensor | None,
    ) -> None:
        """Run; adds what the caller gets to ``values``. What is kept lies in ``kept``, at the places of ``block``."""
        rows = run.steps * run.batch_size
        numbers = _NUMBERS(run.steps, run.batch_size, run.reverse, run.truncated_bptt_steps or 0, run.done, threads, 0)
        needed = self.memory(numbers, HABITS)
        memory = MEMORY.take(needed + 64 + _end(self.inner, rows))
        where = {} if kept is None else {p.index: kept.data_ptr() + start for p, start in _starts(block, rows)}
        begin = memory.data_ptr() + -(-needed // 64) * 64
        where.update({p.index: begin + start for p, start in _starts(self.inner, rows)})
        held, pointers = [], []
        for i, dtype in self.constants:
            held.append(_contiguous(values[i].to(dtype)))
            pointers.append(held[-1].data_ptr())
        for i, axis in self.reads:
            if i in where:
                pointers.append(where[i])
                continue
            held.append(_contiguous(values[i].movedim(axis, 0) if axis else values[i]))
            pointers.append(held[-1].data_ptr())
        for place in self.makes:
            if place.index in where:
                pointers.append(where[place.index])
                continue
            shape = (rows, *place.features)
            if run.passing:
                made = MEMORY.take(rows * place.size).view(place.dtype).view(shape)
            else:
                made = torch.empty(shape, dtype=place.dtype, device=CPU)
            pointers.append(made.data_ptr())
            values[place.index] = made.movedim(0, place.axis) if place.axis else made
        for i, shape, dtype in self.totals:
            values[i] = made = (
                torch.empty(shape, dtype=dtype, device=CPU) if rows else torch.zeros(shape, dtype=dtype, device=CPU)
            )
            pointers.append(made.data_ptr())
        pointers += [tensor.data_ptr() for tensor in carried]
        valid = None if run.valid is None else _contiguous(run.valid)
        restart = None if run.restart is None else _contiguous(run.restart)
        self.function(
            numbers,
            None if valid is None else ctypes.c_void_p(valid.data_ptr()),
            None if restart is None else ctypes.c_void_p(restart.data_ptr()),
            self.pointers(*pointers),
            self.packed(),
            pool(),
            HABITS,
            ctypes.c_void_p(memory.data_ptr()),
        )


_PRODUCTS = {**PRODUCTS, "mm": matrix_product}
CPU = torch.device("cpu")  # whatever the default device
_NUMBERS = ctypes.c_long * 7


def _contiguous(leaf: Tensor) -> Tensor:
    return leaf if leaf.is_contiguous() else leaf.contiguous()


def _width(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype == torch.bfloat16 else dtype
