"""Call what was generated of a plan: the engine behind ``backend="compiled"``."""

import ctypes
from typing import Any

import torch
from torch import Tensor

from ..core import Unrolling, leaves
from .codegen.contract import Kernel, Source
from .graph import Graph
from .interpret import Values, evaluate
from .plan import Plan
from .runtime import load, pool, thread_count

HABITS = (ctypes.c_long * 4)(32, 48, 2, 40000)
"""How rows are run: driver.h says what each number is."""


class Compiled:
    """The two directions of one plan as C functions.

    Raises:
        UnsupportedStep: there is no compiler, or no place for what it makes.
    """

    def __init__(self, source: Source, graph: Graph):
        self.source = source
        self.library = library = load(source.text)
        self.forwards = _Call(source.forward, graph, library, graph.state)
        self.backwards = None
        if source.backward is not None:
            self.backwards = _Call(source.backward, graph, library, graph.state)

    def forward(self, plan: Plan, values: Values, run: Unrolling, state: list[Tensor], reset: list[Tensor]) -> Any:
        """Forward in time; what stands before and after the loop as well."""
        call, parts = self.forwards, self.source.forward.parts
        rows = run.steps * run.batch_size
        if parts.first:
            evaluate(plan.graph, parts.first, values, rows, state[0].device)
        first = call.wide(state)
        last = [torch.empty(leaf.shape, dtype=leaf.dtype) for leaf in first]
        other = first if run.restart is None else call.wide(reset)
        spare = first if run.valid is None else call.wide(leaves(run.spare_state))
        call(values, run, [leaf for column in zip(first, last, other, spare, strict=True) for leaf in column])
        if parts.last:
            evaluate(plan.graph, parts.last, values, rows, state[0].device)
        return call.narrow(last)

    def backward(
        self, plan: Plan, values: Values, run: Unrolling, adjoint: list[Tensor | None], shapes: list[Tensor]
    ) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """Back through time; what stands before and after the loop as well."""
        call, kernel = self.backwards, self.source.backward
        assert call is not None
        assert kernel is not None
        rows, device = run.steps * run.batch_size, shapes[0].device
        evaluate(plan.graph, kernel.parts.first, values, rows, device)
        d_state: list[Tensor | None] = [None] * len(adjoint)
        d_reset: list[Tensor | None] = [None] * len(adjoint)
        carried: list[Tensor] = []
        for k in kernel.carried:
            given, dtype = adjoint[k], call.widths[k]
            first = torch.zeros(shapes[k].shape, dtype=dtype) if given is None else _contiguous(given.to(dtype))
            d_state[k] = last = torch.empty(shapes[k].shape, dtype=dtype)
            other = last
            if run.restart is not None:
                d_reset[k] = other = torch.zeros(shapes[k].shape, dtype=dtype)
            carried += [first, last, other, first]
        call(values, run, carried)
        evaluate(plan.graph, kernel.parts.last, values, rows, device)
        return call.narrow(d_state), call.narrow(d_reset)


class _Call:
    """One direction's function, and what is known before it is called."""

    def __init__(self, kernel: Kernel, graph: Graph, library: ctypes.CDLL, state: tuple[int, ...]):
        self.function = getattr(library, f"u_{kernel.name}")
        self.function.restype = None
        self.memory = getattr(library, f"u_{kernel.name}_memory")
        self.memory.restype = ctypes.c_long
        nodes = graph.nodes
        self.constants = tuple((i, _width(nodes[i].dtype)) for i in kernel.constants)
        self.reads = tuple((i, graph.sequence_axis(i)) for i in kernel.reads)
        self.makes = []
        for i in kernel.makes:
            axis = graph.sequence_axis(i)
            features = tuple(size for d, size in enumerate(graph.row_shape(i)) if d != axis)
            self.makes.append((i, axis, features, nodes[i].dtype))
        self.totals = tuple((i, graph.nodes[i].shape, nodes[i].dtype) for i in kernel.totals)
        self.dtypes = tuple(nodes[i].dtype for i in state)  # of the carried values, and
        self.widths = tuple(map(_width, self.dtypes))  # those in which a kernel carries them
        self.is_wide = self.dtypes == self.widths
        count = len(self.constants) + len(self.reads) + len(self.makes) + len(self.totals) + 4 * len(kernel.carried)
        self.pointers = ctypes.c_void_p * max(count, 1)
        self.packed = ctypes.c_void_p * max(len(kernel.packed), 1)
        self.spare: list[Tensor] = []  # memory of earlier calls

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

    def __call__(self, values: Values, run: Unrolling, carried: list[Tensor]) -> None:
        """Run; adds the sequences that are made to ``values``."""
        tensors = [_contiguous(values[i].to(dtype)) for i, dtype in self.constants]
        for i, axis in self.reads:
            tensors.append(_contiguous(values[i].movedim(axis, 0) if axis else values[i]))
        rows = run.steps * run.batch_size
        for i, axis, features, dtype in self.makes:
            made = torch.empty((rows, *features), dtype=dtype)
            tensors.append(made)
            values[i] = made.movedim(0, axis) if axis else made
        for i, shape, dtype in self.totals:
            values[i] = made = torch.empty(shape, dtype=dtype)
            tensors.append(made)
        tensors += carried
        numbers = _NUMBERS(
            run.steps, run.batch_size, run.reverse, run.truncated_bptt_steps or 0, run.done, thread_count(), 0
        )
        valid = None if run.valid is None else _contiguous(run.valid)
        restart = None if run.restart is None else _contiguous(run.restart)
        memory = self._borrow(self.memory(numbers, HABITS))
        self.function(
            numbers,
            None if valid is None else ctypes.c_void_p(valid.data_ptr()),
            None if restart is None else ctypes.c_void_p(restart.data_ptr()),
            self.pointers(*[tensor.data_ptr() for tensor in tensors]),
            self.packed(),
            pool(),
            HABITS,
            ctypes.c_void_p(memory.data_ptr()),
        )
        if len(self.spare) < _KEPT and memory.numel() <= _LARGEST_KEPT:
            self.spare.append(memory)

    def _borrow(self, size: int) -> Tensor:
        """Memory for one call: fresh memory costs a page fault every 4 KB."""
        try:
            memory = self.spare.pop()
        except IndexError:  # the first call, or others run at the same time
            return torch.empty(size, dtype=torch.uint8)
        return memory if memory.numel() >= size else torch.empty(size, dtype=torch.uint8)


_NUMBERS = ctypes.c_long * 7
_KEPT = 4
_LARGEST_KEPT = 1 << 25


def _contiguous(leaf: Tensor) -> Tensor:
    return leaf if leaf.is_contiguous() else leaf.contiguous()


def _width(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype == torch.bfloat16 else dtype
