"""Which nodes of a direction a kernel computes, and which are left to torch.

A kernel has three parts, one function each: the rows before the loop, the loop, the rows after it; then it makes the
*totals*, sums over all rows of what it has written, which give the gradients of parameters. Torch computes *first* what
has no rows or no C and stands before the loop, and *last* what has none and stands after it.
"""

import torch

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
    totals = {index for index in last if total_of(graph, index) is not None}
    needed = ancestors(graph, handed, stop=lambda index: index not in last or index in totals)
    last = (last & needed) - totals
    outside = handed | read_by(graph, last) | {o for index in totals for o in total_of(graph, index) or ()}
    asked = outside - last
    after = _part(graph, rows_after, asked, outer)
    asked |= {*direction.reads, *after.reads}
    before = _part(graph, rows_before, asked, outer)
    loop = Part(direction.loop, direction.reads, direction.constants, direction.writes)
    given = {index for part in (before, loop, after) for index in (*part.reads, *part.constants)}
    first &= ancestors(graph, given | handed | read_by(graph, last), stop=lambda index: index not in first)
    kept = (tuple(sorted(group)) for group in (totals & needed, last, outside))
    return Parts(tuple(sorted(first)), before, loop, after, *kept)


def total_of(graph: Graph, index: int) -> tuple[int, ...] | None:
    """The sequences of which a value is the sum over all rows: of one itself, (rows, ...), or of the products of two,
    (rows, m) and (rows, n).

    None where it is something else, or has no C.
    """
    node = graph.nodes[index]
    if node.dtype not in (torch.float32, torch.float64):
        return None
    found: tuple[int, ...] = ()
    if node.op == "sum" and node.args[1] == (0,):
        found = (node.args[0].index,)
    if node.op == "mm":
        left, right = (ref.index for ref in node.args)
        turned = graph.nodes[left]
        if turned.op == "permute" and turned.args[1] == (1, 0):
            found = (turned.args[0].index, right)
    plain = all(len(graph.nodes[o].shape) >= 2 and graph.rows_axis(o) == 0 and graph.row_size(o) for o in found)
    stored = all(graph.nodes[o].dtype == node.dtype and not never_stored(graph, o) for o in found)
    return found if found and plain and stored else None


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
