"""Which nodes of a direction a kernel computes, and which are left to torch.

A kernel has three parts, one function each: the rows before the loop, the loop, the rows after it. Torch computes
*first* what has no rows or no C and stands before the loop, and *last* what has none and stands after it: sums over
all rows, which give the gradients of parameters.
"""

from ..graph import Graph, ancestors
from ..operations import MADE, POINTWISE, PRODUCTS, REDUCTIONS, VIEWS
from ..plan import Direction, never_stored, pulled, read_by
from .contract import Part, Parts

WRITTEN = frozenset({*POINTWISE, *VIEWS, *PRODUCTS, *REDUCTIONS, *MADE, "cat"} - {"constant"})
"""The operations that have C."""


def split(graph: Graph, direction: Direction) -> Parts:
    """Cut one direction; each node outside the loop goes to the kernel if it can."""
    outer = {*direction.before, *direction.after}
    can: dict[int, bool] = {}
    for index in sorted(outer):
        node = graph.nodes[index]
        operands = [can[o] for o in node.operands() if o in outer and never_stored(graph, o)]
        can[index] = node.op in WRITTEN and _by_row(graph, index) and all(operands)
    first = _first(graph, set(direction.before), can)
    last = _last(graph, set(direction.after), can)
    rows_before, rows_after = set(direction.before) - first, set(direction.after) - last
    handed = {*direction.results}
    last |= {index for index in handed & (rows_before | rows_after) if never_stored(graph, index)}
    last |= pulled(graph, last, outer - first)
    outside = handed | read_by(graph, last)
    asked = outside - last
    after = _part(graph, rows_after, asked, outer)
    asked |= {*direction.reads, *after.reads}
    before = _part(graph, rows_before, asked, outer)
    loop = Part(direction.loop, direction.reads, direction.constants, direction.writes)
    given = {index for part in (before, loop, after) for index in (*part.reads, *part.constants)}
    first &= ancestors(graph, given | handed | last, stop=lambda index: index not in outer)
    return Parts(tuple(sorted(first)), before, loop, after, tuple(sorted(last)), tuple(sorted(outside)))


def _by_row(graph: Graph, index: int) -> bool:
    return graph.is_rows(index) or graph.nodes[index].op in MADE or graph.nodes[index].op in VIEWS


def _first(graph: Graph, before: set[int], can: dict[int, bool]) -> set[int]:
    """What has no rows or no C, and what that needs."""
    alone = {index for index in before if not can[index] or not graph.is_rows(index)}
    return ancestors(graph, alone, stop=lambda index: index not in before) & before


def _last(graph: Graph, after: set[int], can: dict[int, bool]) -> set[int]:
    """What has no rows or no C, and what needs that."""
    found: set[int] = set()
    for index in sorted(after):
        needs = any(operand in found for operand in graph.nodes[index].operands())
        if needs or not can[index] or not graph.is_rows(index):
            found.add(index)
    return found


def _part(graph: Graph, rows: set[int], asked: set[int], outer: set[int]) -> Part:
    """The part that computes those of ``asked`` that are among ``rows``."""
    writes = {index for index in rows & asked if not never_stored(graph, index)}
    nodes = ancestors(graph, writes, stop=lambda index: index not in rows) & rows
    nodes |= pulled(graph, nodes, outer)
    read = read_by(graph, nodes) - nodes
    return Part(
        nodes=tuple(sorted(nodes)),
        reads=tuple(sorted(index for index in read if graph.is_rows(index))),
        constants=tuple(sorted(index for index in read if not graph.is_rows(index))),
        writes=tuple(sorted(writes)),
    )
