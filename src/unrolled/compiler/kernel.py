"""Call what was generated of a plan: the engine behind ``backend="compiled"``.

A kernel fills sequences. Those that the caller gets are tensors of their own. Those that the forward kernel keeps for
the backward kernel lie in one block of memory, one after the other, and those that a kernel needs for itself lie beside
its workspace in another; both blocks are used again.
"""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
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

    owns_state = True

    def __init__(self, source: Source, plan: Plan):
        graph, backward = plan.graph, source.backward
        saved = () if backward is None else plan.saved
        self.source = source
        self.library = library = load(source.text)
        self.forwards = _Call(source.forward, plan, library, graph.output, saved, ())
        self.backwards = None
        block = self.forwards.block
        if backward is not None:
            assert plan.backward is not None
            d_x = [index for index in graph.d_x if index is not None]
            results = (*plan.backward.results, *d_x)
            self.backwards = _Call(backward, plan, library, d_x, (), block, {*results})
            wanted = read_by(graph, [*backward.parts.first, *backward.parts.last]) | {*results}
            self.shown = tuple(place.index for place in block if place.index in wanted)
        hidden = {place.index for place in block}
        self.apart = tuple(index for index in saved if index not in hidden)

    def forward(
        self, job: Job, values: Values, state: list[Tensor], reset: list[Tensor]
    ) -> tuple[dict[int, Tensor], list[Tensor], list[Tensor]]:
        """Forward in time; what stands before and after the loop as well."""
        plan, run = job.plan, job.run
        call, parts = self.forwards, self.source.forward.parts
        rows = run.steps * run.batch_size
        if parts.first:
            evaluate(plan.graph, parts.first, values, rows, CPU, _PRODUCTS)
        layout = call.layout(run, job.threads)
        block = MEMORY.take(layout.block_size) if call.block else None
        first = call.wide(state)
        last = [torch.empty(leaf.shape, dtype=leaf.dtype, device=CPU) for leaf in first]
        other = first if run.restart is None else call.wide(reset)
        spare = first if run.valid is None else call.wide(leaves(run.spare_state))
        carried = [leaf for column in zip(first, last, other, spare, strict=True) for leaf in column]
        sequences = call(layout, values, run, carried, block)
        if parts.last:
            evaluate(plan.graph, parts.last, values, rows, CPU, _PRODUCTS)
        kept = [] if block is None else [block]
        return sequences, call.narrow(last), [*kept, *(values[index] for index in self.apart)]

    def backward(
        self, job: Job, values: Values, kept: list[Tensor], adjoint: list[Tensor | None], shapes: list[Tensor]
    ) -> tuple[dict[int, Tensor], list[Tensor | None], list[Tensor | None]]:
        """Back through time; what stands before and after the loop as well."""
        plan, run = job.plan, job.run
        call, kernel = self.backwards, self.source.backward
        assert call is not None
        assert kernel is not None
        rows, device = run.steps * run.batch_size, CPU
        layout = call.layout(run, job.threads)
        block = kept.pop(0) if call.block else None
        values.update(zip(self.apart, kept, strict=True))
        if block is not None:
            for index in self.shown:
                values[index] = layout.see(block, index)
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
        sequences = call(layout, values, run, carried, block)
        evaluate(plan.graph, kernel.parts.last, values, rows, device, _PRODUCTS)
        return sequences, call.narrow(d_state), call.narrow(d_reset)


class _Place:
    """A sequence in memory: the rows come first there, whatever their axis."""

    def __init__(self, graph: Graph, index: int):
        self.index, self.axis, self.dtype = index, graph.sequence_axis(index), graph.nodes[index].dtype
        self.features = tuple(size for d, size in enumerate(graph.row_shape(index)) if d != self.axis)
        self.size = graph.row_size(index) * self.dtype.itemsize  # bytes a row


def starts(places: Iterable[_Place], rows: int) -> tuple[dict[int, int], int]:
    """Where each begins in a block, and where the last ends."""
    starts, end = {}, 0
    for place in places:
        starts[place.index] = end
        end += -(-rows * place.size // 64) * 64
    return starts, end


@dataclass(eq=False)
class _Made:
    """A sequence that is made as a tensor of its own."""

    at: int  # its place among the pointers
    place: _Place
    shape: tuple[int, ...]
    whole: bool  # as (T, B, ...), and nobody but the caller asks for it


@dataclass(eq=False)
class _Layout:
    """All of a call that follows from T, B, direction and threads: it is made once."""

    rows: int
    numbers: Any
    memory_size: int
    block_size: int
    inner: list[tuple[int, int]]  # of the pointers, which point into the memory of the call, and where
    kept: list[tuple[int, int]]  # likewise, into the block that is kept for the way back
    reads: list[tuple[int, int, int]]  # of the pointers, which are tensors that are read, and the sequences' axis
    made: list[_Made]
    starts: dict[int, tuple[_Place, int]]  # in the block

    def see(self, block: Tensor, index: int) -> Tensor:
        """A sequence of the block, for PyTorch."""
        place, start = self.starts[index]
        piece = block[start : start + self.rows * place.size].view(place.dtype)
        return piece.view(self.rows, *place.features).movedim(0, place.axis)


class _Call:
    """One direction's function, and what is known before it is called.

    Args:
        kernel: the function.
        plan: what it is part of.
        library: where it is.
        sequences: those that are the caller's, as (T, B, ...).
        saved: what the other direction reads.
        block: what the other direction has made, in one block.
        results: what the caller gets; by default the sequences.
    """

    def __init__(
        self,
        kernel: Kernel,
        plan: Plan,
        library: ctypes.CDLL,
        sequences: Iterable[int],
        saved: Iterable[int],
        block: tuple[_Place, ...],
        results: set[int] | None = None,
    ):
        graph, nodes, sequences = plan.graph, plan.graph.nodes, [*sequences]
        self.function = getattr(library, f"u_{kernel.name}")
        self.function.restype = None
        self.memory = getattr(library, f"u_{kernel.name}_memory")
        self.memory.restype = ctypes.c_long
        self.constants = tuple((i, _width(nodes[i].dtype)) for i in kernel.constants)
        self.reads = tuple((i, graph.sequence_axis(i)) for i in kernel.reads)
        read = read_by(graph, kernel.parts.last)
        seen = (set(sequences) if results is None else results) | read  # by torch
        makes, kept = tuple(_Place(graph, i) for i in kernel.makes), set(saved)
        self.block = block or tuple(place for place in makes if place.index in kept - seen)
        hidden = {place.index for place in self.block}
        self.inner = tuple(place for place in makes if place.index not in seen | hidden)
        self.makes = makes
        self.whole = {
            place.index
            for place in makes
            if sequences.count(place.index) == 1 and place.axis == 0 and place.index not in read | kept
        }
        self.totals = tuple((i, nodes[i].shape, nodes[i].dtype) for i in kernel.totals)
        self.dtypes = tuple(nodes[i].dtype for i in graph.state)  # of the carried values, and
        self.widths = tuple(map(_width, self.dtypes))  # those in which a kernel carries them
        self.is_wide = self.dtypes == self.widths
        count = len(self.constants) + len(self.reads) + len(self.makes) + len(self.totals) + 4 * len(kernel.carried)
        self.pointers = ctypes.c_void_p * max(count, 1)
        self.packed = ctypes.c_void_p * max(len(kernel.packed), 1)
        self.layouts: dict[tuple[Any, ...], _Layout] = {}

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

    def layout(self, run: Unrolling, threads: int) -> _Layout:
        """Where everything lies in a call like this one."""
        key = (run.steps, run.batch_size, run.reverse, run.truncated_bptt_steps or 0, run.done, threads, 0)
        found = self.layouts.get(key)
        if found is None:
            if len(self.layouts) >= _MOST_LAYOUTS:
                self.layouts.clear()
            found = self.layouts[key] = self._lay_out(run.steps, run.batch_size, _NUMBERS(*key))
        return found

    def _lay_out(self, steps: int, batch_size: int, numbers: Any) -> _Layout:
        rows = steps * batch_size
        in_block, block_size = starts(self.block, rows)
        in_memory, inner_size = starts(self.inner, rows)
        needed = -(-self.memory(numbers, HABITS) // 64) * 64
        layout = _Layout(rows, numbers, needed + inner_size + 64, block_size, [], [], [], [], {})
        layout.starts = {place.index: (place, in_block[place.index]) for place in self.block}
        at = len(self.constants)
        for index, axis in self.reads:
            if index in in_block:
                layout.kept.append((at, in_block[index]))
            elif index in in_memory:
                layout.inner.append((at, needed + in_memory[index]))
            else:
                layout.reads.append((at, index, axis))
            at += 1
        for place in self.makes:
            whole = place.index in self.whole
            if place.index in in_block:
                layout.kept.append((at, in_block[place.index]))
            elif place.index in in_memory:
                layout.inner.append((at, needed + in_memory[place.index]))
            else:
                shape = (steps, batch_size) if whole else (rows,)
                layout.made.append(_Made(at, place, (*shape, *place.features), whole))
            at += 1
        return layout

    def __call__(
        self, layout: _Layout, values: Values, run: Unrolling, carried: list[Tensor], block: Tensor | None
    ) -> dict[int, Tensor]:
        """Run. Those sequences that only the caller asks for are returned, as (T, B, ...); all else that is made for
        others than kernels is added to ``values``.
        """
        rows, memory = layout.rows, MEMORY.take(layout.memory_size)
        pointers, held, begin = self.pointers(), [], memory.data_ptr()
        for at, offset in layout.inner:
            pointers[at] = begin + offset
        if block is not None:
            start = block.data_ptr()
            for at, offset in layout.kept:
                pointers[at] = start + offset
        for at, (i, dtype) in enumerate(self.constants):
            constant = values[i]
            if constant.dtype is not dtype or not constant.is_contiguous():
                held.append(constant := constant.to(dtype).contiguous())
            pointers[at] = constant.data_ptr()
        for at, i, axis in layout.reads:
            sequence = values[i]
            if axis or not sequence.is_contiguous():
                held.append(sequence := sequence.movedim(axis, 0).contiguous())
            pointers[at] = sequence.data_ptr()
        sequences = {}
        for piece in layout.made:
            place = piece.place
            if run.passing:
                made = MEMORY.take(rows * place.size).view(place.dtype).view(piece.shape)
            else:
                made = torch.empty(piece.shape, dtype=place.dtype, device=CPU)
            pointers[piece.at] = made.data_ptr()
            if piece.whole:
                sequences[place.index] = made
            else:
                values[place.index] = made.movedim(0, place.axis) if place.axis else made
        at = len(self.constants) + len(self.reads) + len(self.makes)
        for i, shape, dtype in self.totals:
            values[i] = made = (torch.empty if rows else torch.zeros)(shape, dtype=dtype, device=CPU)
            pointers[at] = made.data_ptr()
            at += 1
        for leaf in carried:
            pointers[at] = leaf.data_ptr()
            at += 1
        valid = None if run.valid is None else _contiguous(run.valid)
        restart = None if run.restart is None else _contiguous(run.restart)
        self.function(
            layout.numbers,
            None if valid is None else ctypes.c_void_p(valid.data_ptr()),
            None if restart is None else ctypes.c_void_p(restart.data_ptr()),
            pointers,
            self.packed(),
            pool(),
            HABITS,
            ctypes.c_void_p(begin),
        )
        return sequences


_PRODUCTS = {**PRODUCTS, "mm": matrix_product}
CPU = torch.device("cpu")  # whatever the default device
_NUMBERS = ctypes.c_long * 7
_MOST_LAYOUTS = 64


def _contiguous(leaf: Tensor) -> Tensor:
    return leaf if leaf.is_contiguous() else leaf.contiguous()


def _width(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype == torch.bfloat16 else dtype
