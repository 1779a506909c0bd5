"""Call what was generated of a plan: the engine behind ``backend="compiled"``."""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..core import Unrolling, leaves
from .codegen.contract import Kernel, Source
from .graph import Graph
from .interpret import Values, evaluate
from .plan import Plan
from .runtime import load, pool, thread_count


class Compiled:
    """The two directions of one plan as C functions.

    Raises:
        UnsupportedStep: there is no compiler, or no place for what it makes.
    """

    def __init__(self, source: Source, graph: Graph):
        self.source = source
        library = load(source.text)
        both = [kernel for kernel in (source.forward, source.backward) if kernel is not None]
        self.calls = {kernel.name: _Call.of(kernel, graph, library) for kernel in both}

    def forward(self, plan: Plan, values: Values, run: Unrolling, state: list[Tensor], reset: list[Tensor]) -> Any:
        """Forward in time; what stands before and after the loop as well."""
        kernel = self.source.forward
        rows, device = run.steps * run.batch_size, state[0].device
        evaluate(plan.graph, kernel.parts.first, values, rows, device)
        last = [torch.empty_like(leaf, dtype=_width(leaf), memory_format=_CONTIGUOUS) for leaf in state]
        columns = zip(state, last, reset, leaves(run.spare_state), strict=True)
        self._call(kernel, values, run, [leaf for column in columns for leaf in column])
        evaluate(plan.graph, kernel.parts.last, values, rows, device)
        return [leaf.to(like.dtype) for leaf, like in zip(last, state, strict=True)]

    def backward(
        self, plan: Plan, values: Values, run: Unrolling, adjoint: list[Tensor | None], shapes: list[Tensor]
    ) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """Back through time; what stands before and after the loop as well."""
        kernel = self.source.backward
        assert kernel is not None
        rows, device = run.steps * run.batch_size, shapes[0].device
        evaluate(plan.graph, kernel.parts.first, values, rows, device)
        d_state: list[Tensor | None] = [None] * len(adjoint)
        d_reset: list[Tensor | None] = [None] * len(adjoint)
        carried: list[Tensor] = []
        for k in kernel.carried:
            given = adjoint[k]
            first = torch.zeros_like(shapes[k]) if given is None else given
            last = torch.empty_like(shapes[k], dtype=_width(shapes[k]), memory_format=_CONTIGUOUS)
            other = torch.zeros_like(last)
            d_state[k], d_reset[k] = last, other
            carried += [first, last, other, first]
        self._call(kernel, values, run, carried)
        evaluate(plan.graph, kernel.parts.last, values, rows, device)
        for grads in (d_state, d_reset):
            for k, like in enumerate(shapes):
                grads[k] = None if grads[k] is None else grads[k].to(like.dtype)  # type: ignore[union-attr]
        return d_state, d_reset

    def _call(self, kernel: Kernel, values: Values, run: Unrolling, carried: list[Tensor]) -> None:
        call = self.calls[kernel.name]
        tensors = [_wide(values[index]) for index in kernel.constants]
        tensors += [
            (values[index].movedim(axis, 0) if axis else values[index]).contiguous() for index, axis in call.reads
        ]
        rows = run.steps * run.batch_size
        for index, axis, features, dtype in call.makes:
            made = torch.empty(rows, *features, dtype=dtype)
            tensors.append(made)
            values[index] = made.movedim(0, axis) if axis else made
        tensors += map(_wide, carried)
        numbers = _NUMBERS(
            run.steps, run.batch_size, run.reverse, run.truncated_bptt_steps or 0, run.done, thread_count(), 0
        )
        memory = torch.empty(call.memory(numbers, HABITS), dtype=torch.uint8)
        flags = [None if flag is None else flag.contiguous() for flag in (run.valid, run.restart)]
        call.function(
            numbers,
            *(ctypes.c_void_p(None if flag is None else flag.data_ptr()) for flag in flags),
            _pointers(tensors),
            (ctypes.c_void_p * max(len(kernel.packed), 1))(),
            pool(),
            HABITS,
            ctypes.c_void_p(memory.data_ptr()),
        )


@dataclass(frozen=True)
class _Call:
    """One function of the library, and the sequences that it is given and fills: where their rows are."""

    function: Any
    memory: Any  # bytes that it needs
    reads: tuple[tuple[int, int], ...]  # (value, axis of rows)
    makes: tuple[tuple[int, int, tuple[int, ...], torch.dtype], ...]  # (value, axis of rows, other sizes, dtype)

    @staticmethod
    def of(kernel: Kernel, graph: Graph, library: ctypes.CDLL) -> "_Call":
        makes = []
        for index in kernel.makes:
            axis = graph.sequence_axis(index)
            features = tuple(size for d, size in enumerate(graph.row_shape(index)) if d != axis)
            makes.append((index, axis, features, graph.nodes[index].dtype))
        reads = tuple((index, graph.sequence_axis(index)) for index in kernel.reads)
        memory = getattr(library, f"u_{kernel.name}_memory")
        memory.restype = ctypes.c_long
        return _Call(getattr(library, f"u_{kernel.name}"), memory, reads, tuple(makes))


HABITS = (ctypes.c_long * 4)(32, 48, 3, 16384)
"""How rows are run: driver.h says what each number is."""
_NUMBERS = ctypes.c_long * 7
_CONTIGUOUS = torch.contiguous_format


def _wide(leaf: Tensor) -> Tensor:
    """What is no sequence as a kernel takes it: the state of 16 bits is carried in 32."""
    return leaf.to(_width(leaf)).contiguous()


def _width(leaf: Tensor) -> torch.dtype:
    return torch.float32 if leaf.dtype == torch.bfloat16 else leaf.dtype


def _pointers(tensors: Iterable[Tensor]) -> Any:
    pointers = [tensor.data_ptr() for tensor in tensors]
    return (ctypes.c_void_p * max(len(pointers), 1))(*pointers)
