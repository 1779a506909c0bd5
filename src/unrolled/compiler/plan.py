"""Split a step: what runs before the loop over time, in it, and after it, in both directions.

Forward, a node is in the *loop* if it depends on the state and feeds the next state; *after* it if it depends
on the state only; *before* it otherwise. Backward the same rule holds with the adjoint in place of the state.
Before and after run once, on the T·B rows of all steps; there a sum over rows is also the sum over time, so a
parameter's gradient is one product after the backward loop.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..core import UnsupportedStep
from .graph import Graph, ancestors, descendants
from .operations import MADE, RANDOM, VIEWS
from .rows import check_rows


@dataclass(frozen=True)
class Direction:
    """One direction of time; every list in an order in which the nodes can be computed."""

    before: tuple[int, ...]
    loop: tuple[int, ...]
    after: tuple[int, ...]
    reads: tuple[int, ...]  # values with rows that the loop reads at each step and does not compute
    constants: tuple[int, ...]  # values without rows that the loop reads
    writes: tuple[int, ...]  # values of the loop that something outside it reads, a sequence each


@dataclass(frozen=True)
class Plan:
    """How to run a step over a whole sequence."""

    graph: Graph
    forward: Direction
    backward: Direction | None  # None: nothing that is wanted has a gradient
    saved: tuple[int, ...]  # values of the forward half that the backward half reads


def make_plan(graph: Graph, wanted: tuple[bool, ...] | None) -> Plan:
    """The plan of a step.

    Args:
        graph: the traced step.
        wanted: for each of x, state and closed tensors, in this order, whether its gradient is needed;
            ``None``: there is no backward.

    Raises:
        UnsupportedStep: the rows of the batch are not independent.
    """
    totals = check_rows(graph)
    results = [*graph.output, *graph.new_state]
    forward_nodes = ancestors(graph, results)
    for index in sorted(forward_nodes & totals):
        node = graph.nodes[index]
        at = f" at {node.where}" if node.where else ""
        raise UnsupportedStep(
            f"step reduces over the rows of the batch: {node.op}{at}. A compiled step treats each row by itself; "
            "use backend='reference'."
        )
    backward_nodes: set[int] = set()
    grads: list[int] = []
    if wanted is not None:
        # the adjoint of the state is always needed: gradients of all else come through it
        kinds = (*graph.d_x, *graph.d_state, *graph.d_closed)
        states = range(len(graph.d_x), len(graph.d_x) + len(graph.d_state))
        grads = [g for k, g in enumerate(kinds) if g is not None and (wanted[k] or k in states)]
        backward_nodes = ancestors(graph, grads, stop=lambda index: index in forward_nodes) - forward_nodes
    saved = {o for index in backward_nodes for o in graph.nodes[index].operands() if o in forward_nodes}
    saved |= {grad for grad in grads if grad in forward_nodes}
    saved = _unfolded(graph, saved, forward_nodes)
    forward = _direction(graph, forward_nodes, graph.state, graph.new_state, [*graph.output, *saved])
    again = _recomputed(graph, backward_nodes, grads, saved, forward_nodes)
    backward = None
    if grads:
        everything = backward_nodes | again
        backward = _direction(graph, everything, graph.d_new_state, graph.d_state, grads)
    return Plan(graph, forward, backward, tuple(sorted(saved)))


def _unfolded(graph: Graph, needed: set[int], within: set[int]) -> set[int]:
    """Values to keep: where rows are folded with features, or a view suffices, its operands in its place."""
    kept: set[int] = set()
    waiting = list(needed)
    while waiting:
        index = waiting.pop()
        node = graph.nodes[index]
        folded = graph.is_rows(index) and graph.rows_axis(index) is None
        if node.op in MADE:
            continue
        if (folded or node.op in VIEWS) and node.op != "input":
            waiting.extend(operand for operand in node.operands() if operand in within)
        else:
            kept.add(index)
    return kept


def _recomputed(graph: Graph, backward: set[int], grads: list[int], saved: set[int], forward: set[int]) -> set[int]:
    """Nodes of the forward half that the backward half computes again, from what is saved."""
    direct = {o for index in backward for o in graph.nodes[index].operands()} | set(grads)
    found = ancestors(graph, direct & forward, stop=lambda index: index in saved)
    return {index for index in found - saved if graph.nodes[index].op != "input"}


def _direction(
    graph: Graph,
    nodes: set[int],
    carried_or_none: Iterable[int | None],
    next_or_none: Iterable[int | None],
    results: Iterable[int],
) -> Direction:
    carried = {index for index in carried_or_none if index is not None}
    next_carried = [index for index in next_or_none if index is not None]
    depends = descendants(graph, carried)
    feeds = ancestors(graph, next_carried)
    inner = {index for index in nodes & depends & feeds if graph.nodes[index].op != "input"}
    outer = nodes - inner
    # a value whose rows are folded with features is no sequence: the loop computes it again from what is one
    waiting = sorted(inner)
    while waiting:
        for operand in graph.nodes[waiting.pop()].operands():
            folded = graph.is_rows(operand) and graph.rows_axis(operand) is None
            made = graph.nodes[operand].op in MADE
            view = graph.nodes[operand].op in VIEWS and not graph.is_rows(operand)
            if (folded or made or view) and operand not in inner:
                if graph.nodes[operand].op in RANDOM:
                    raise UnsupportedStep(f"step draws random numbers with folded rows: {graph.nodes[operand].op}.")
                inner.add(operand)
                waiting.append(operand)
    after = {index for index in outer if index in depends and graph.nodes[index].op != "input"}
    before = {index for index in outer - after if graph.nodes[index].op != "input"}
    read = {operand for index in inner for operand in graph.nodes[index].operands()} - inner - carried
    read |= {index for index in next_carried if index not in inner and index not in carried}
    asked = {operand for index in after for operand in graph.nodes[index].operands()} | set(results)
    writes = asked & ((inner & depends) | carried)
    again = {index for index in writes if graph.is_rows(index) and graph.rows_axis(index) is None}
    while again:  # likewise of what is read after the loop
        index = again.pop()
        writes.discard(index)
        after.add(index)
        for operand in graph.nodes[index].operands():
            if operand in (inner & depends) | carried:
                writes.add(operand)
                if graph.is_rows(operand) and graph.rows_axis(operand) is None:
                    again.add(operand)
    return Direction(
        before=tuple(sorted(before)),
        loop=tuple(sorted(inner)),
        after=tuple(sorted(after)),
        reads=tuple(sorted(index for index in read if graph.is_rows(index))),
        constants=tuple(sorted(index for index in read if not graph.is_rows(index))),
        writes=tuple(sorted(writes)),
    )
