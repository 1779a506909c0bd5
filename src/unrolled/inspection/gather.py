"""From what the compiler knows of a step to facts."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..compiler.codegen.contract import Kernel, Part, Source
from ..compiler.codegen.parts import total_of
from ..compiler.codegen.prelude import without_prelude
from ..compiler.graph import Graph, ancestors, at
from ..compiler.linear import Stage, stages
from ..compiler.plan import Plan
from ..compiler.stored import Known
from ..core import Tree
from .cost import example, kernel_itemsize, part_cost, torch_cost, totals_cost
from .facts import (
    DirectionFacts,
    GraphFacts,
    Half,
    Kept,
    Linearity,
    PartFacts,
    PlanFacts,
    Result,
    SourceFacts,
    Value,
    Weight,
)
from .names import Names, reached_names, short_line, tree_names


class Gatherer:
    """Facts of one step.

    Args:
        name: what the step is called.
        known: what the compiler knows of it.
        x: an input, None for a step without, and
        state: a state; of both the structure only.
        paths: how the step reaches its tensors, all of them.
    """

    def __init__(self, name: str, known: Known, x: Tree | None, state: Tree, paths: Sequence[str]):
        self.name, self.known = name, known
        self.plan: Plan = known.plan
        self.graph: Graph = known.plan.graph
        reached = reached_names(paths)
        self.x = tree_names(x, "x") if x is not None else []
        self.state = tree_names(state, "state")
        self.output = tree_names(known.output, "output")
        self.closed = [reached[k] for k in known.closed]
        graph = self.graph
        given = _named(
            (graph.x, self.x),
            (graph.state, self.state),
            (graph.closed, self.closed),
            (graph.d_output, [f"grad_{name}" for name in self.output]),
            (graph.d_new_state, [f"grad_new_{name}" for name in self.state]),
        )
        self.named = Names(graph, given, [*self._results(), *self._gradients()])

    def graph_facts(self) -> GraphFacts:
        """The operations of the step and of its derivative."""
        graph, names = self.graph, self.named
        mine = self._forward_nodes()
        step = Half((), names.operations(sorted(mine)), self._held(self._results()))
        derivative = None
        if self.plan.backward is not None:
            wanted = self._gradients()
            nodes = ancestors(graph, [index for _, index in wanted]) - mine
            given = sorted(nodes & {*graph.d_output, *graph.d_new_state})
            derivative = Half(names.values(given), names.operations(sorted(nodes)), self._held(wanted))
        inputs, state, closed = (names.values(group) for group in (graph.x, graph.state, graph.closed))
        return GraphFacts(self.name, inputs, state, closed, step, derivative)

    def plan_facts(self, source: Source, steps: int, batch_size: int) -> PlanFacts:
        """How a sequence is run, and what that costs."""
        graph, plan = self.graph, self.plan
        forward = self._direction(source.forward, graph.state)
        backward, again = None, self.named.operations(())
        if source.backward is not None:
            backward = self._direction(source.backward, graph.d_new_state)
            parts = source.backward.parts
            by_kernel = (index for part in parts.of_kernel for index in part.nodes)
            done = {*parts.first, *by_kernel, *parts.totals, *parts.last}
            again = self.named.operations(sorted(done & self._forward_nodes()))
        saved = plan.saved if backward is not None else ()
        kept = tuple(self._kept(index) for index in saved if graph.is_rows(index))
        totals = example(forward, backward, kept, steps, batch_size)
        linear = tuple(map(self._linearity, stages(graph, graph.state, graph.new_state)))
        return PlanFacts(self.name, linear, forward, backward, kept, again, totals)

    def source_facts(self, source: Source, *, whole: bool) -> SourceFacts:
        """The generated C, without the hand-written C before it unless ``whole``."""
        own = without_prelude(source.text)
        lines = source.text.count("\n") - own.count("\n")
        return SourceFacts(self.name, lines, whole, source.text if whole else own.lstrip("\n"))

    def _linearity(self, stage: Stage) -> Linearity:
        graph, own = self.graph, stage.leaves
        above = ancestors(graph, [graph.new_state[k] for k in own])
        given = [name for k, name in enumerate(self.state) if graph.state[k] in above and k not in own]
        cause = ""
        if stage.kind == "nonlinear":
            node = None if stage.cause is None else graph.nodes[stage.cause]
            dtype = graph.nodes[graph.state[own[0]]].dtype
            cause = f"{str(dtype).removeprefix('torch.')}" if node is None else node.op + at(short_line(node.where))
        return Linearity(tuple(self.state[k] for k in own), stage.kind, stage.block, tuple(given), cause)

    def _forward_nodes(self) -> set[int]:
        return ancestors(self.graph, [*self.graph.output, *self.graph.new_state])

    def _results(self) -> list[tuple[str, int]]:
        """What the step returns, by name."""
        names = [*self.output, *(f"new_{name}" for name in self.state)]
        return list(zip(names, [*self.graph.output, *self.graph.new_state], strict=True))

    def _gradients(self) -> list[tuple[str, int]]:
        """The gradients that are wanted, by name."""
        graph, backward = self.graph, self.plan.backward
        if backward is None:
            return []
        states = {index for index in graph.d_state if index is not None}
        every = zip([*self.x, *self.state, *self.closed], [*graph.d_x, *graph.d_state, *graph.d_closed], strict=True)
        asked = {*backward.results} | states
        return [(f"grad_{name}", index) for name, index in every if index is not None and index in asked]

    def _held(self, pairs: Iterable[tuple[str, int]]) -> tuple[Result, ...]:
        return tuple(Result(name, self.named.name(index)) for name, index in pairs)

    def _direction(self, kernel: Kernel, carried: Sequence[int | None]) -> DirectionFacts:
        parts, names = kernel.parts, self.named
        by_torch = torch_cost(self.graph, parts.first) + torch_cost(self.graph, parts.last)
        cached: set[int] = set()
        before, loop, after = (self._part(kernel, part, cached) for part in (parts.before, parts.loop, parts.after))
        return DirectionFacts(
            first=names.operations(parts.first),
            before=before,
            loop=loop,
            after=after,
            totals=self._totals(kernel),
            last=names.operations(parts.last),
            carried=tuple(self._wide(index) for index in carried if index is not None),
            torch=by_torch,
        )

    def _part(self, kernel: Kernel, part: Part, cached: set[int]) -> PartFacts:
        """A part; ``cached``: what earlier parts have read and made of the same steps, to which it adds its own."""
        names, passed = self.named, {*kernel.passed}
        reads = [index for index in part.reads if index not in cached]
        writes = [index for index in part.writes if index not in passed]
        takes = [index for index in part.reads if index in cached]
        cached |= {*part.reads, *part.writes}
        return PartFacts(
            operations=names.operations(part.nodes),
            reads=names.values(reads),
            takes=tuple(self._wide(index) if index in passed else names.value(index) for index in takes),
            weights=tuple(Weight(self._wide(index), index in kernel.packed) for index in part.constants),
            writes=names.values(writes),
            passes=tuple(self._wide(index) for index in part.writes if index in passed),
            cost=part_cost(self.graph, part, reads, writes),
        )

    def _totals(self, kernel: Kernel) -> PartFacts:
        graph, names = self.graph, self.named
        reads = [index for total in kernel.totals for index in sorted({*(total_of(graph, total) or ())})]
        return PartFacts(
            operations=names.operations(kernel.totals),
            reads=names.values(reads),
            takes=(),
            weights=(),
            writes=names.values(kernel.totals),
            passes=(),
            cost=totals_cost(graph, kernel.totals, reads),
        )

    def _wide(self, index: int) -> Value:
        """A value that is no sequence, with the bytes that it has in a kernel."""
        value = self.named.value(index)
        return replace(value, bytes=value.elements * kernel_itemsize(self.graph, index))

    def _kept(self, index: int) -> Kept:
        is_input = self.graph.nodes[index].op == "input"
        text = "" if is_input else self.named.text(index)
        return Kept(self.named.value(index), text, index in self.graph.x)


def _named(*groups: tuple[Sequence[int | None], Sequence[str]]) -> dict[int, str]:
    pairs = [pair for indices, names in groups for pair in zip(indices, names, strict=True)]
    return {index: name for index, name in pairs if index is not None}
