"""Cut a step whose state is linear in itself, so that a whole sequence of it needs no loop over its operations.

Each direction of time becomes: coefficients for all T·B rows at once; a scan, which knows nothing of the step and gives
the state (backward: the adjoint) before every step; and the rest, again for all rows at once, to which the state is one
more input. Both directions are cut by the same rule, each from its own half of the traced graph, so ``detach`` and the
like mean what they mean in the loop.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from .coefficients import FREE, Coefficients, Operand
from .graph import Graph, Node, Ref, ancestors, descendants
from .linear import Stage, stages
from .plan import Direction, Plan, cheapest_kept, make_plan, never_stored, read_by

MOST_COUPLED = 4  # tensors in one block: as many as scan.h has room for


@dataclass(frozen=True)
class Block:
    """Tensors of the state that are scanned together: s_i(t) = sum over l of a_il(t) s_l(t-1) + b_i(t)."""

    leaves: tuple[int, ...]
    a: tuple[Operand | None, ...]  # row by row; None: zero
    b: tuple[Operand | None, ...]


@dataclass(frozen=True)
class Level:
    """What can be scanned once earlier levels have been."""

    plan: Plan  # for all rows at once: the coefficients, the next values of ``known``, and what later plans read of it
    known: tuple[int, ...]  # tensors of the state whose next value is computed without their last one
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class ScanPlan:
    """A step, cut."""

    forward: tuple[Level, ...]
    backward: tuple[Level, ...]
    rest: Plan  # outputs and gradients; the state and what the levels have computed are inputs of it
    keep: tuple[int, ...]  # values of the way forward that the levels of the way back read


def cut(plan: Plan) -> ScanPlan | None:
    """The step cut for scans; None where its state, or its adjoint, is not made of small blocks that are affine."""
    graph, backward = plan.graph, plan.backward
    ahead = _judged(graph, graph.state, graph.new_state)
    if ahead is None or all(stage.kind == "known" for stage in ahead):
        return None
    back = () if backward is None else _judged(graph, graph.d_new_state, graph.d_state)
    if back is None or not all(graph.nodes[index].dtype in (torch.float32, torch.float64) for index in graph.state):
        return None
    asked = set() if backward is None else {*backward.results}
    wanted = [i for i in (*graph.d_x, *graph.d_closed) if i is not None and i in asked]
    adjoints = [] if backward is None else [i for i in graph.d_state if i is not None]
    given = {*graph.state, *(graph.new_state[k] for stage in ahead if stage.kind != "known" for k in stage.leaves)}
    forward, handed = _levels(graph, ahead, graph.state, graph.new_state, [*graph.output, *wanted, *adjoints], given)
    seen = _given(graph, given | handed)
    behind: tuple[Level, ...] = ()
    handed_back, lent = set[int](), set[int]()
    if backward is not None:
        incoming = {i for i in graph.d_new_state if i is not None}
        lent = _lent(seen, adjoints)
        behind, handed_back = _levels(_given(seen, lent), back, graph.d_new_state, graph.d_state, wanted, incoming)
    rest = _rest(_given(seen, handed_back), asked, lent)
    read = {i for level in behind for i in level.plan.graph.x} | {*graph.closed}
    if rest.backward is not None:
        way = rest.backward
        read |= {i for i in read_by(rest.graph, (*way.before, *way.after)) if rest.graph.nodes[i].op == "input"}
        read |= {i for i in way.results if rest.graph.nodes[i].op == "input"}
    ways = {*graph.d_output, *graph.d_new_state, *handed_back}
    return ScanPlan(forward, behind, rest, tuple(sorted(read - ways)))


def _judged(graph: Graph, carried: Sequence[int | None], following: Sequence[int | None]) -> tuple[Stage, ...] | None:
    found = stages(graph, carried, following)
    small = all(
        stage.kind == "known"
        or (stage.kind in ("elements", "blocks") and stage.aligned and len(stage.leaves) <= MOST_COUPLED)
        for stage in found
    )
    return found if small else None


def _given(graph: Graph, given: Iterable[int]) -> Graph:
    """The graph with these values as inputs."""
    nodes = list(graph.nodes)
    for index in given:
        nodes[index] = Node("input", (), nodes[index].shape, nodes[index].dtype)
    return replace(graph, nodes=tuple(nodes))


def _levels(
    graph: Graph,
    found: Sequence[Stage],
    carried: Sequence[int | None],
    following: Sequence[int | None],
    results: Sequence[int],
    scanned: set[int],
) -> tuple[tuple[Level, ...], set[int]]:
    """The levels of one direction, and what they compute that others read.

    Args:
        graph: the step.
        found: the stages of its state.
        carried: the state, and
        following: its next values.
        results: what is computed after the levels.
        scanned: what scans give.
    """
    coefficients = Coefficients(graph)
    elsewhere = set() if carried is graph.state else ancestors(graph, [*graph.output, *graph.new_state])
    needed = ancestors(graph, results, stop=lambda index: index in scanned)
    levels: list[Level] = []
    handed: set[int] = set()
    for group in _by_level(graph, found, carried, following):
        known = tuple(k for stage in group if stage.kind == "known" for k in stage.leaves)
        blocks = tuple(_block(coefficients, stage, carried, following) for stage in group if stage.kind != "known")
        asked = {operand.index for block in blocks for operand in (*block.a, *block.b) if isinstance(operand, Ref)}
        asked |= {index for k in known if (index := following[k]) is not None}
        given = handed | {i for level in levels for i in level.plan.graph.output}
        extended = _given(coefficients.extended(), given | {i for i in carried if i is not None and i in scanned})
        mine = _handed(extended, asked, needed, elsewhere)
        handed |= mine
        levels.append(Level(make_plan(_free(extended, sorted(asked | mine)), None), known, blocks))
    return tuple(levels), handed


def _by_level(
    graph: Graph, found: Sequence[Stage], carried: Sequence[int | None], following: Sequence[int | None]
) -> list[list[Stage]]:
    """Stages that need no other but those of earlier groups."""
    level: dict[int, int] = {}
    groups: list[list[Stage]] = []
    for stage in found:
        above = ancestors(graph, [following[k] for k in stage.leaves])
        mine = max((level[k] + 1 for k in level if carried[k] in above), default=0)
        level |= dict.fromkeys(stage.leaves, mine)
        groups += [[]] * (mine + 1 - len(groups))
        groups[mine] = [*groups[mine], stage]
    return groups


def _block(
    coefficients: Coefficients, stage: Stage, carried: Sequence[int | None], following: Sequence[int | None]
) -> Block:
    states = {k: index for k in stage.leaves if (index := carried[k]) is not None}
    parts = coefficients.of(states, {k: index for k in stage.leaves if (index := following[k]) is not None})
    a = tuple(parts[k].get(other) for k in stage.leaves for other in stage.leaves)
    return Block(stage.leaves, a, tuple(parts[k].get(FREE) for k in stage.leaves))


def _handed(graph: Graph, asked: set[int], needed: set[int], elsewhere: set[int]) -> set[int]:
    """What a level computes for itself and others read; they make views of it for themselves, and what is cheap and
    belongs to the other direction.
    """
    inside = {i for i in ancestors(graph, asked) if graph.nodes[i].op != "input" and graph.is_rows(i)} - elsewhere
    while True:
        read = {o for i in needed - inside for o in graph.nodes[i].operands()} | needed & asked
        views = {i for i in read & inside if never_stored(graph, i)}
        if not views:
            return read & inside
        inside -= views
        needed = needed | views


def _lent(graph: Graph, adjoints: Sequence[int]) -> set[int]:
    """Values of the way forward that are computed after its scans and read before those of the way back."""
    ahead = ancestors(graph, [*graph.output, *graph.new_state])
    behind = ancestors(graph, adjoints, stop=lambda index: index in ahead)
    read = {o for i in behind - ahead for o in graph.nodes[i].operands()} & ahead
    given = tuple(i for i, node in enumerate(graph.nodes) if node.op == "input")
    kept = cheapest_kept(replace(graph, x=given), read | ({*adjoints} & ahead))
    return {i for i in kept if graph.is_rows(i)} - {*given}


def _free(graph: Graph, outputs: Sequence[int]) -> Graph:
    """A part of the step as a step without state."""
    inputs = sorted(i for i in ancestors(graph, outputs) if graph.nodes[i].op == "input" and i not in graph.closed)
    return Graph(graph.batch, graph.nodes, tuple(inputs), (), graph.closed, tuple(outputs), ())


def _rest(graph: Graph, asked: set[int], lent: set[int]) -> Plan:
    """What is computed after the scans, in both directions."""
    halves = {*graph.d_output, *graph.d_new_state}
    own = {*graph.x, *graph.closed, *halves}
    others = tuple(i for i, node in enumerate(graph.nodes) if node.op == "input" and i not in own)
    whole = replace(
        graph,
        x=(*graph.x, *others),
        state=(),
        new_state=(),
        output=(*graph.output, *sorted(lent)),
        d_output=(*graph.d_output, *graph.d_new_state),
        d_new_state=(),
        d_x=(*graph.d_x, *([None] * len(others) if graph.d_x else ())),
        d_state=(),
    )
    flags = tuple(i is not None and i in asked for i in (*whole.d_x, *whole.d_closed))
    plan = make_plan(whole, flags if asked and any(flags) else None)
    return plan if plan.backward is None else replace(plan, backward=_summed(whole, plan.backward))


def _summed(graph: Graph, way: Direction) -> Direction:
    """The same with all that has rows, or is a sum over them, after the loop: there a kernel makes such sums."""
    rows = descendants(graph, [i for i, node in enumerate(graph.nodes) if node.op == "input" and graph.is_rows(i)])
    after = tuple(i for i in way.before if i in rows or graph.is_rows(i))
    return replace(way, before=tuple(i for i in way.before if i not in after), after=after)
