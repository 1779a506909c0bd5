"""Split a step: what runs before the loop over time, in it, and after it, in both directions.

Forward, a node is in the *loop* if it depends on the state and feeds the next state; *after* it if it depends
on the state only; *before* it otherwise. Backward the same rule holds with the adjoint in place of the state.
Before and after run once, on the T·B rows of all steps; there a sum over rows is also the sum over time, so a
parameter's gradient is one product after the backward loop.

Then the borders are moved, to store and read as few bytes as may be (see keep.py): cheap values that the backward
half reads are computed again rather than kept, and work on elements is done in the loop that reads its result.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..core import UnsupportedStep
from .graph import Graph, ancestors, descendants
from .keep import cheapest_cut, is_cheap
from .operations import MADE, POINTWISE, RANDOM, VIEWS
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
    results: tuple[int, ...]  # values that are read when all three parts have run


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
    forward_nodes = ancestors(graph, [*graph.output, *graph.new_state])
    for index in sorted(forward_nodes & totals):
        raise UnsupportedStep(
            f"step reduces over the rows of the batch: {graph.nodes[index].op}{graph.nodes[index].at}. A compiled "
            "step treats each row by itself; use backend='reference'."
        )
    for index in sorted(forward_nodes):
        if graph.nodes[index].op in RANDOM and not graph.is_rows(index):
            raise UnsupportedStep(
                f"step draws random numbers that belong to no row{graph.nodes[index].at}: drawn outside the loop, they "
                "would be the same at each step. Draw one for each row, or use backend='reference'."
            )
    backward_nodes: set[int] = set()
    grads: list[int] = []
    if wanted is not None:
        # the adjoint of the state is always needed: gradients of all else come through it
        kinds = (*graph.d_x, *graph.d_state, *graph.d_closed)
        first, last = len(graph.d_x), len(graph.d_x) + len(graph.d_state)
        grads = [g for k, g in enumerate(kinds) if g is not None and (wanted[k] or first <= k < last)]
        backward_nodes = ancestors(graph, grads, stop=lambda index: index in forward_nodes) - forward_nodes
    needed = {o for index in backward_nodes for o in graph.nodes[index].operands() if o in forward_nodes}
    needed |= {grad for grad in grads if grad in forward_nodes}
    saved = cheapest_kept(graph, needed)
    forward = _direction(graph, forward_nodes, graph.state, graph.new_state, [*graph.output, *saved])
    backward = None
    if grads:
        again = ancestors(graph, needed, stop=lambda index: index in saved) - saved
        everything = backward_nodes | {index for index in again if graph.nodes[index].op != "input"}
        states = {index for index in graph.d_state if index is not None}
        asked = [g for g in grads if g not in states or g in {*graph.d_x, *graph.d_closed}]
        backward = _direction(graph, everything, graph.d_new_state, graph.d_state, asked)
    return Plan(graph, forward, backward, tuple(sorted(saved)))


def _price(graph: Graph, index: int, *, given: bool) -> int | None:
    """What it costs to store a value for each row and read it; None where it cannot be stored."""
    if never_stored(graph, index):
        return None
    if not graph.is_rows(index):
        return 0
    size = 4 * graph.row_size(index) * graph.nodes[index].dtype.itemsize  # fourfold: room for a tie-breaker
    return size if given else 2 * size + (graph.nodes[index].op == "slice")  # rather whole than in slices


def cheapest_kept(graph: Graph, needed: set[int]) -> set[int]:
    """The values of the forward half to keep for the backward half: the fewest bytes."""
    given = set(graph.x)  # stored in any case; an output that is kept is a copy, for its owner may change it

    def price(index: int) -> int | None:
        return _price(graph, index, given=index in given)

    return cheapest_cut(graph, needed, lambda i: never_stored(graph, i) or is_cheap(graph, i), price)


def never_stored(graph: Graph, index: int) -> bool:
    """Values that are made, seen through a view, or whose rows are folded with features: no sequences."""
    op = graph.nodes[index].op
    rows = graph.is_rows(index)
    folded = rows and graph.rows_axis(index) is None
    if folded and op in RANDOM:
        raise UnsupportedStep(f"step draws random numbers with folded rows: {op}{graph.nodes[index].at}.")
    if op == "slice" and rows and not folded:
        return False  # it may be much smaller than the value that is seen
    return op != "input" and (folded or (op in MADE and op != "constant") or op in VIEWS)


def _direction(
    graph: Graph,
    nodes: set[int],
    carried_or_none: Iterable[int | None],
    next_or_none: Iterable[int | None],
    results: Iterable[int],
) -> Direction:
    carried = {index for index in carried_or_none if index is not None}
    next_carried = [index for index in next_or_none if index is not None]
    results = set(results)
    nodes = {index for index in nodes if graph.nodes[index].op != "input"}
    depends = descendants(graph, carried)
    inner = nodes & depends & ancestors(graph, next_carried)
    after = (nodes & depends) - inner
    raised = _raised(graph, inner, after, results)
    inner, after = inner | raised, after - raised
    outside = nodes - depends
    inner |= _sunk(graph, outside, inner, after, results, next_carried)
    inner |= {index for index in nodes & set(next_carried) if never_stored(graph, index)}
    inner |= pulled(graph, inner, nodes)
    writes = read_by(graph, after) | results
    writes &= (inner & depends) | carried
    while any(never_stored(graph, index) for index in writes):  # computed again after the loop, from what is stored
        views = {index for index in writes if never_stored(graph, index)}
        after |= views
        writes = (writes - views) | (read_by(graph, views) & ((inner & depends) | carried))
    read = (read_by(graph, inner) | set(next_carried)) - inner - carried
    before = ancestors(graph, read_by(graph, after) | results | read, lambda i: i not in outside) & outside
    return Direction(
        before=tuple(sorted(before)),
        loop=tuple(sorted(inner)),
        after=tuple(sorted(after)),
        reads=tuple(sorted(index for index in read if graph.is_rows(index))),
        constants=tuple(sorted(index for index in read if not graph.is_rows(index))),
        writes=tuple(sorted(writes)),
        results=tuple(sorted(results)),
    )


def read_by(graph: Graph, nodes: Iterable[int]) -> set[int]:
    """All operands of these nodes."""
    return {operand for index in nodes for operand in graph.nodes[index].operands()}


def _raised(graph: Graph, inner: set[int], after: set[int], results: set[int]) -> set[int]:
    """The nodes after the loop that are computed in it instead, so that it hands over the fewest bytes."""
    liftable: set[int] = set()  # work on elements that needs nothing else that stands after the loop
    for index in sorted(after):
        on_elements = graph.nodes[index].op in {*POINTWISE, *VIEWS, "cat"} and graph.is_rows(index)
        if on_elements and not any(o in after - liftable for o in graph.nodes[index].operands()):
            liftable.add(index)

    def price(index: int) -> int | None:
        return _price(graph, index, given=False) if index in inner | liftable else 0

    needed = (read_by(graph, after - liftable) | results) & (inner | liftable)
    stored = cheapest_cut(graph, needed, lambda index: index in liftable, price)
    return ancestors(graph, stored & liftable, lambda index: index not in liftable) & liftable


def _sunk(
    graph: Graph, before: set[int], inner: set[int], after: set[int], results: set[int], next_carried: list[int]
) -> set[int]:
    """The nodes before the loop that are computed in it instead, so that it reads the fewest bytes."""
    elsewhere = read_by(graph, after) | results
    users: dict[int, set[int]] = {}
    for index in before | inner:
        for operand in graph.nodes[index].operands():
            users.setdefault(operand, set()).add(index)
    only_here: set[int] = set()  # work on elements for nobody but the loop
    for index in sorted(before, reverse=True):
        mine = users.get(index, set()) <= inner | only_here and index not in elsewhere
        if mine and graph.nodes[index].op in {*POINTWISE, *VIEWS}:
            only_here.add(index)

    def again(index: int) -> bool:
        if index not in before:
            return False
        if not graph.is_rows(index):  # computed once a call
            return never_stored(graph, index)
        return never_stored(graph, index) or index in only_here or is_cheap(graph, index)

    def price(index: int) -> int | None:
        return _price(graph, index, given=index not in before)

    needed = (read_by(graph, inner) | set(next_carried)) & before
    stored = cheapest_cut(graph, needed, again, price)
    return (ancestors(graph, needed, stop=lambda index: index in stored) - stored) & before


def pulled(graph: Graph, part: set[int], available: set[int]) -> set[int]:
    """What a part must compute for itself, since it cannot be handed over: see ``never_stored``."""
    found: set[int] = set()
    waiting = sorted(part)
    while waiting:
        for operand in graph.nodes[waiting.pop()].operands():
            if operand in available - part - found and never_stored(graph, operand):
                found.add(operand)
                waiting.append(operand)
    return found
