"""What the parts of a plan move and compute.

Each operation is counted once a row and step; a kernel computes some cheap ones a second time rather than store them.
"""

from collections.abc import Iterable

import torch

from ..compiler.codegen.contract import Part
from ..compiler.graph import Graph
from ..compiler.operations import PRODUCTS, REDUCTIONS
from .facts import Cost, DirectionFacts, Example, Kept, Total
from .names import is_operation, seen


def part_cost(graph: Graph, part: Part, reads: Iterable[int], writes: Iterable[int]) -> Cost:
    """One part of a kernel: of its sequences, ``reads`` come from memory and ``writes`` go there."""
    return Cost(
        read=_bytes(graph, reads),
        written=_bytes(graph, writes),
        call_bytes=sum(graph.row_size(index) * kernel_itemsize(graph, index) for index in part.constants),
    ) + _computed(graph, part.nodes)


def totals_cost(graph: Graph, totals: Iterable[int], reads: Iterable[int]) -> Cost:
    """The sums over all rows: each reads its sequences once more, and its result has no rows."""
    return Cost(read=_bytes(graph, reads), call_bytes=_bytes(graph, totals)) + _computed(graph, totals)


def torch_cost(graph: Graph, nodes: Iterable[int]) -> Cost:
    """Operations run by torch: each reads its operands and writes its result."""
    total = Cost()
    for index in nodes:
        node = graph.nodes[index]
        if not is_operation(node):
            continue
        for operand, size in {seen(graph, o): graph.row_size(o) for o in node.operands()}.items():
            size = min(size, graph.row_size(operand)) * graph.nodes[operand].dtype.itemsize
            total += Cost(read=size) if graph.is_rows(operand) else Cost(call_bytes=size)
        size = graph.row_size(index) * node.dtype.itemsize
        total += Cost(written=size) if graph.is_rows(index) else Cost(call_bytes=size)
    return total + _computed(graph, nodes)


def kernel_itemsize(graph: Graph, index: int) -> int:
    """Bytes of an element of what a kernel reads that is no sequence: 16 bits are widened to 32."""
    dtype = graph.nodes[index].dtype
    return 4 if dtype == torch.bfloat16 else dtype.itemsize


def example(
    forward: DirectionFacts, backward: DirectionFacts | None, kept: tuple[Kept, ...], steps: int, batch_size: int
) -> Example:
    """What a sequence of ``steps`` steps and ``batch_size`` rows costs."""
    rows = steps * batch_size
    own = sum(entry.value.bytes for entry in kept if not entry.anyway)
    ways = (_total(forward, rows), None if backward is None else _total(backward, rows))
    return Example(steps, batch_size, *ways, rows * own)


def _total(way: DirectionFacts, rows: int) -> Total:
    cost = way.before.cost + way.loop.cost + way.after.cost + way.totals.cost + way.torch
    flop = rows * (2 * cost.multiply_adds + cost.on_elements) + cost.call_flop
    return Total(flop, rows * (cost.read + cost.written) + cost.call_bytes)


def _bytes(graph: Graph, indices: Iterable[int]) -> int:
    return sum(graph.row_size(index) * graph.nodes[index].dtype.itemsize for index in indices)


def _computed(graph: Graph, nodes: Iterable[int]) -> Cost:
    total = Cost()
    for index in nodes:
        node = graph.nodes[index]
        if not is_operation(node) or node.op == "cat":  # which only moves
            continue
        by_row = graph.is_rows(index) or any(graph.is_rows(operand) for operand in node.operands())
        if node.op in PRODUCTS:
            inner = graph.row_shape(next(node.operands()))[-1]  # 1 where the product sums over the rows
            count = graph.row_size(index) * inner
            total += Cost(multiply_adds=count) if by_row else Cost(call_flop=2 * count)
        else:
            count = graph.row_size(next(node.operands()) if node.op in REDUCTIONS else index)
            total += Cost(on_elements=count) if by_row else Cost(call_flop=count)
    return total
