"""Cut one part of a kernel into stages: products, reductions, copies, and fused passes over elements."""

from dataclasses import dataclass

from ...core import UnsupportedStep
from ..graph import Graph
from ..keep import is_cheap
from ..operations import POINTWISE, PRODUCTS, REDUCTIONS
from .contract import Part
from .expression import Body, Expressions, NeedsBuffer, counters
from .index import flatten
from .parts import WRITTEN


@dataclass(frozen=True)
class Stage:
    """What is computed for all rows of a block before the next stage begins."""

    kind: str  # "product", "reduction", "cat" or "pass"
    nodes: tuple[int, ...]  # the values that it stores; one, but for a pass


@dataclass(frozen=True)
class Layout:
    """The stages of one time step, and which values have a buffer."""

    stages: tuple[Stage, ...]
    stored: frozenset[int]  # computed by a stage
    inputs: frozenset[int]  # read from outside: sequences, constants, the carried state


def lay_out(graph: Graph, part: Part, carried: set[int], results: set[int]) -> Layout:
    """The stages of a part.

    Args:
        graph: the step.
        part: what is computed.
        carried: the values carried from step to step, as they stand before the step.
        results: the values that the driver needs after the step (the next carried values).

    Raises:
        UnsupportedStep: an operation has no C.
    """
    for index in part.nodes:
        _check_supported(graph, index)
    inputs = frozenset({*part.reads, *part.constants, *carried})
    nodes = set(part.nodes)
    stored = {index for index in nodes if graph.nodes[index].op in {*PRODUCTS, *REDUCTIONS, "cat"}}
    stored |= ({*part.writes} | results) & nodes
    while True:
        try:
            stages = _stages(graph, stored, inputs)
        except NeedsBuffer as request:
            if request.index in stored | inputs:
                raise AssertionError(f"value {request.index} has a buffer already") from request
            stored.add(request.index)
            continue
        twice = _computed_twice(graph, stages, stored, inputs)
        if not twice:
            return Layout(stages, frozenset(stored), inputs)
        stored |= twice


def _check_supported(graph: Graph, index: int) -> None:
    node = graph.nodes[index]
    if node.op not in WRITTEN:
        raise UnsupportedStep(
            f"no kernel has {node.op}, which stands in the loop over time{node.at}. "
            "Compute it from the input alone, or use backend='plan' or 'reference'."
        )


def _stages(graph: Graph, stored: set[int], inputs: frozenset[int]) -> tuple[Stage, ...]:
    expressions = Expressions(graph, stored | inputs, lambda index, at: "")
    kinds: list[tuple[str, list[int], tuple[int, ...]]] = []
    place: dict[int, int] = {}
    for index in sorted(stored):
        kind = _kind(graph, index)
        needs = _needs(graph, expressions, index, kind)
        if kind != "pass":
            kinds.append((kind, [index], ()))
            place[index] = len(kinds) - 1
            continue
        domain = tuple(size for size in graph.row_shape(index) if size != 1)
        earliest = max((place[need] + (0 if same else 1) for need, same in needs if need in place), default=0)
        joined = next((k for k in range(earliest, len(kinds)) if kinds[k][0] == "pass" and kinds[k][2] == domain), None)
        if joined is None or not _fuses(graph, stored | inputs, kinds[joined][1], index):
            kinds.append(("pass", [], domain))
            joined = len(kinds) - 1
        kinds[joined][1].append(index)
        place[index] = joined
    return tuple(Stage(kind, tuple(nodes)) for kind, nodes, _ in kinds)


def _fuses(graph: Graph, buffers: set[int], nodes: list[int], index: int) -> bool:
    """Whether a value can be computed in one pass with these, which then are not read from their buffers."""
    together = {*nodes, index}
    expressions = Expressions(graph, buffers - together, lambda i, at: "")
    try:
        expressions.element(index, counters(graph.row_shape(index)), Body())
    except NeedsBuffer as request:
        if request.index in together:
            return False
        raise
    return True


def _kind(graph: Graph, index: int) -> str:
    op = graph.nodes[index].op
    if op in PRODUCTS:
        return "product"
    if op in REDUCTIONS:
        return "reduction"
    return "cat" if op == "cat" else "pass"


def _needs(graph: Graph, expressions: Expressions, index: int, kind: str) -> list[tuple[int, bool]]:
    """The stored values that a stored value is computed from, and whether each at the very same place only."""
    if kind != "pass":
        for operand in graph.nodes[index].operands():  # asks for buffers where a view is no index
            source = graph.row_shape(operand)
            if kind == "product":
                if expressions.place(operand, counters(source)) is None:
                    raise NeedsBuffer(operand)
            else:
                expressions.element(operand, counters(source), Body())
        return []
    body = Body()
    shape = graph.row_shape(index)
    at = counters(shape)
    expressions_of_one = Expressions(graph, expressions.stored - {index}, lambda i, where: f"{i}:{where}")
    expressions_of_one.element(index, at, body)
    here = flatten(at, shape).c()
    places: dict[int, set[str]] = {}
    for value, value_at in body.known:
        if value in body.loads:
            places.setdefault(value, set()).add(value_at[0].c())
    return [(value, found == {here}) for value, found in places.items()]


def _computed_twice(graph: Graph, stages: tuple[Stage, ...], stored: set[int], inputs: frozenset[int]) -> set[int]:
    """Expensive values that two stages would compute."""
    counts: dict[int, int] = {}
    for stage in stages:
        if stage.kind == "product":  # reads buffers only
            continue
        seen: set[int] = set()
        for index in stage.nodes:
            body = Body()
            expressions = Expressions(graph, (stored | inputs) - {index}, lambda i, at: "")
            for root in [index] if stage.kind == "pass" else graph.nodes[index].operands():
                expressions.element(root, counters(graph.row_shape(root)), body)
            seen |= {source for source, _ in body.known}
        for source in seen:
            counts[source] = counts.get(source, 0) + 1
    return {
        index
        for index, count in counts.items()
        if count > 1
        and index not in stored | inputs
        and graph.nodes[index].op in POINTWISE
        and not is_cheap(graph, index)
    }
