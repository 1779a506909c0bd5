"""Call a plan's generated loops: the engine behind ``backend="compiled"``."""

import ctypes
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..core import Unrolling, leaves
from .codegen.source import Kernel, Source
from .interpret import Values
from .plan import Plan
from .runtime import load, parallel_entry, thread_count


class Compiled:
    """The two loops of one plan as C functions.

    Raises:
        UnsupportedStep: there is no compiler, or no place for what it makes.
        MemoryError: there was no memory for the loop's buffers (when run).
    """

    def __init__(self, source: Source):
        self.source = source
        self.library = load(source.text)

    def forward(self, plan: Plan, values: Values, run: Unrolling, state: list[Tensor], reset: list[Tensor]) -> Any:
        """The loop forward in time."""
        kernel = self.source.forward
        last = [torch.empty_like(leaf, memory_format=torch.contiguous_format) for leaf in state]
        carried = [
            pointer for columns in zip(state, last, reset, leaves(run.spare_state), strict=True) for pointer in columns
        ]
        self._call(kernel, plan, values, run, carried)
        return last

    def backward(
        self, plan: Plan, values: Values, run: Unrolling, adjoint: list[Tensor | None], shapes: list[Tensor]
    ) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """The loop back through time."""
        kernel = self.source.backward
        assert kernel is not None
        d_state: list[Tensor | None] = [None] * len(adjoint)
        d_reset: list[Tensor | None] = [None] * len(adjoint)
        carried: list[Tensor] = []
        for k in kernel.carried:
            given = adjoint[k]
            first = torch.zeros_like(shapes[k]) if given is None else given
            last = torch.empty_like(shapes[k], memory_format=torch.contiguous_format)
            other = torch.zeros_like(shapes[k], memory_format=torch.contiguous_format)
            d_state[k], d_reset[k] = last, other
            carried += [first, last, other, first]
        self._call(kernel, plan, values, run, carried)
        return d_state, d_reset

    def _call(self, kernel: Kernel, plan: Plan, values: Values, run: Unrolling, carried: list[Tensor]) -> None:
        graph = plan.graph
        tensors = [values[index].contiguous() for index in kernel.constants]
        for index in kernel.reads:
            axis = graph.rows_axis(index)
            assert axis is not None
            tensors.append(values[index].movedim(axis, 0).contiguous())
        rows = run.steps * run.batch_size
        for index in kernel.writes:
            axis = graph.rows_axis(index)
            assert axis is not None
            features = [size for d, size in enumerate(graph.row_shape(index)) if d != axis]
            made = torch.empty(rows, *features, dtype=graph.nodes[index].dtype)
            tensors.append(made)
            values[index] = made.movedim(0, axis)
        tensors += [leaf if leaf.is_contiguous() else leaf.contiguous() for leaf in carried]
        numbers = (run.steps, run.batch_size, run.reverse, run.truncated_bptt_steps or 0, run.done, thread_count())
        flags = [None if flag is None else flag.contiguous() for flag in (run.valid, run.restart)]
        failed = getattr(self.library, f"u_{kernel.name}")(
            (ctypes.c_long * len(numbers))(*numbers),
            *(ctypes.c_void_p(None if flag is None else flag.data_ptr()) for flag in flags),
            _pointers(tensors),
            ctypes.c_void_p(parallel_entry() or None),
        )
        if failed:
            raise MemoryError("No memory for the buffers of a compiled loop.")


def _pointers(tensors: Iterable[Tensor]) -> Any:
    pointers = [tensor.data_ptr() for tensor in tensors]
    return (ctypes.c_void_p * max(len(pointers), 1))(*pointers)
