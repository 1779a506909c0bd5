"""What to store and what to compute again: a minimum cut, counted in bytes.

Values flow from what must be stored if it is needed (an input, a product, a random draw) through what is cheap
to compute again, to where they are needed. Every value has a price, that of writing and reading it; the cheapest
set of values that cuts all ways is what is stored.
"""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import pairwise

from .graph import Graph
from .operations import MADE, POINTWISE, VIEWS

CHEAP = 8  # an operation that costs fewer additions than this is rather repeated than its result stored
UNLIMITED = 1 << 60


def is_cheap(graph: Graph, index: int) -> bool:
    """Whether a value is rather computed again than stored, if what it is computed from is at hand."""
    op = graph.nodes[index].op
    return op in VIEWS or op in MADE or op == "cat" or (op in POINTWISE and POINTWISE[op].cost < CHEAP)


def cheapest_cut(
    graph: Graph, needed: Iterable[int], again: Callable[[int], bool], price: Callable[[int], int | None]
) -> set[int]:
    """The values to store so that all ``needed`` can be had.

    Args:
        graph: the step.
        needed: the values that are asked for.
        again: whether a value may be computed again from its operands.
        price: what it costs to store a value; None where it cannot be stored.
    """
    # nodes of the network: 2 v is where a value comes in, 2 v + 1 where it goes out
    capacity: dict[int, dict[int, int]] = {}

    def connect(a: int, b: int, limit: int) -> None:
        capacity.setdefault(a, {})
        capacity[a][b] = capacity[a].get(b, 0) + limit
        capacity.setdefault(b, {}).setdefault(a, 0)

    source, sink = -1, -2
    capacity[source], capacity[sink] = {}, {}
    seen: set[int] = set()
    waiting = list(needed)
    for index in set(waiting):
        connect(2 * index + 1, sink, UNLIMITED)
    while waiting:
        index = waiting.pop()
        if index in seen:
            continue
        seen.add(index)
        cost = price(index)
        connect(2 * index, 2 * index + 1, UNLIMITED if cost is None else cost)
        if again(index):
            for operand in set(graph.nodes[index].operands()):
                connect(2 * operand + 1, 2 * index, UNLIMITED)
                waiting.append(operand)
        else:
            connect(source, 2 * index, UNLIMITED)
    while _augment(capacity, source, sink):
        pass
    # the cut nearest to where the values are needed: what cannot reach the sink any more is on the source's side
    reach = _reaching(capacity, sink)
    return {index for index in seen if 2 * index + 1 in reach and 2 * index not in reach}


def _augment(capacity: dict[int, dict[int, int]], source: int, sink: int) -> bool:
    """Send more along a shortest way from source to sink; False if there is none."""
    came: dict[int, int] = {source: source}
    queue = deque([source])
    while queue and sink not in came:
        here = queue.popleft()
        for there, left in capacity[here].items():
            if left > 0 and there not in came:
                came[there] = here
                queue.append(there)
    if sink not in came:
        return False
    way = [sink]
    while way[-1] != source:
        way.append(came[way[-1]])
    pairs = [(b, a) for a, b in pairwise(way)]
    amount = min(capacity[a][b] for a, b in pairs)
    for a, b in pairs:
        capacity[a][b] -= amount
        capacity[b][a] += amount
    return True


def _reaching(capacity: dict[int, dict[int, int]], sink: int) -> set[int]:
    found = {sink}
    queue = deque([sink])
    while queue:
        here = queue.popleft()
        for there in capacity[here]:
            if there not in found and capacity[there].get(here, 0) > 0:
                found.add(there)
                queue.append(there)
    return found
