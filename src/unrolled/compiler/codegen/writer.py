"""Write the stages of one part of a kernel as C statements on a block of R rows."""

from collections.abc import Sequence

from ..graph import Graph
from ..operations import PRODUCTS
from .contract import Part
from .expression import SUFFIXES, Body, Expressions, NeedsBuffer, c_type, counters, is_short
from .index import Affine, Index, flatten, variable
from .products import Operand, Packs, Product
from .reducers import REDUCERS, Reduction, loops
from .stages import Layout, Stage, lay_out


class Writer:
    """The buffers and statements of one part.

    Every value that is stored is an array (R, row size): ``x`` what is given, ``y`` what is handed over, ``b`` what
    stays in the block, the carried values among them. Values without rows are ``c``. Sequences of 16 bits are widened
    to float when a block or step begins, and rounded when it ends.

    Args:
        graph: the step.
        part: what is computed.
        packs: the weights packed so far.
        carried: the values that are carried from step to step, as they stand before the step.
        results: the values that the driver of time reads after the step.
    """

    def __init__(self, graph: Graph, part: Part, packs: Packs, carried: Sequence[int], results: set[int]):
        self.graph, self.part, self.packs = graph, part, packs
        self.carried = carried
        self.layout: Layout = lay_out(graph, part, set(carried), results)
        self.lines: list[str] = []
        for stage in self.layout.stages:
            getattr(self, f"_{stage.kind}")(stage)

    # ------------------------------------------------------------------ buffers

    def size(self, index: int) -> int:
        """Elements a row."""
        return self.graph.row_size(index)

    def kind(self, index: int) -> str:
        """The C type in which a value is computed."""
        return c_type(self.graph.nodes[index])

    def buffer(self, index: int) -> str:
        """The name of a value's array in this part."""
        if index in self.part.writes:
            return f"y{index}"
        return f"x{index}" if index in self.part.reads else f"b{index}"

    def scratch(self) -> list[tuple[str, str, int]]:
        """The arrays of a block that are no piece of a sequence: (C type, name, elements a row)."""
        own = [i for i in sorted({*self.layout.stored, *self.carried}) if i not in self.part.writes]
        own += [i for i in (*self.part.reads, *self.part.writes) if self._is_short(i)]
        return [(self.kind(i), self.buffer(i), self.size(i)) for i in own]

    def begin(self) -> list[str]:
        """Where the R rows from ``row`` on lie in each sequence."""
        lines = []
        for i in (*self.part.reads, *self.part.writes):
            if not self._is_short(i):
                lines.append(f"{self.kind(i)} *restrict {self.buffer(i)} = q{i} + row * {self.size(i)}L;")
        for i in self.part.reads:
            if self._is_short(i):
                n = self.size(i)
                lines.append(f"for (long j = 0; j < R * {n}L; j++) x{i}[j] = u_bf16_to_f(q{i}[row * {n}L + j]);")
        return lines

    def end(self) -> list[str]:
        """Hand over what was not written to its sequence at once."""
        lines = []
        for i in self.part.writes:
            if self._is_short(i):
                n, y = self.size(i), self.buffer(i)
                lines.append(f"for (long j = 0; j < R * {n}L; j++) q{i}[row * {n}L + j] = u_f_to_bf16({y}[j]);")
        return lines

    def _is_short(self, index: int) -> bool:
        return is_short(self.graph.nodes[index])

    def _load(self, index: int, at: str) -> str:
        if index in self.part.constants:
            return f"c{index}[{at}]"
        return f"{self.buffer(index)}[r * {self.size(index)}L + {at}]"

    def _store(self, index: int, at: Affine, value: str) -> str:
        return f"{self.buffer(index)}[r * {self.size(index)}L + {at.c()}] = {value};"

    def _expressions(self, without: set[int]) -> Expressions:
        return Expressions(self.graph, {*self.layout.stored, *self.layout.inputs} - without, self._load)

    # ------------------------------------------------------------------ stages

    def _note(self, stage: Stage) -> None:
        where = sorted({self.graph.nodes[i].where.rsplit("/", 1)[-1] for i in stage.nodes} - {""})
        what = ", ".join(f"{i} {self.graph.nodes[i].op}" for i in stage.nodes)
        self.lines.append(f"/* {stage.kind}: {what}{' at ' + ', '.join(where) if where else ''} */")

    def _nest(self, index: Index, statements: list[str], *, independent: bool = True) -> None:
        """Loops over the rows and an index's variables around statements.

        Where no turn reads what another writes, the C compiler is told so: it would have to compare too many pointers.
        """
        names = tuple((name, extent) for part in index for name, extent, _ in part.terms)
        if not independent:
            self.lines += ["for (long r = 0; r < R; r++) {", *loops(names, statements), "}"]
        elif names:
            inner = ["U_INDEPENDENT", *loops(names[-1:], statements)]
            self.lines += ["for (long r = 0; r < R; r++) {", *loops(names[:-1], inner), "}"]
        else:
            self.lines += ["U_INDEPENDENT", "for (long r = 0; r < R; r++) {", *statements, "}"]

    def _pass(self, stage: Stage) -> None:
        self._note(stage)
        body, stores = Body(), []
        expressions = self._expressions(set(stage.nodes))
        at: Index = ()
        for index in stage.nodes:
            shape = self.graph.row_shape(index)
            at = counters(shape)
            stores.append(self._store(index, flatten(at, shape), expressions.element(index, at, body)))
        self._nest(at, [*body.lines, *stores])

    def _cat(self, stage: Stage) -> None:
        self._note(stage)
        (index,) = stage.nodes
        shape = self.graph.row_shape(index)
        parts, axis = self.graph.nodes[index].args
        start = 0
        for part in parts:
            own = self.graph.row_shape(part.index)
            at = counters(own)
            body = Body()
            value = self._expressions({index}).element(part.index, at, body)
            target = tuple(a + Affine(start) if d == axis else a for d, a in enumerate(at))
            self._nest(at, [*body.lines, self._store(index, flatten(target, shape), value)])
            start += own[axis]

    def _reduction(self, stage: Stage) -> None:
        self._note(stage)
        (index,) = stage.nodes
        node = self.graph.nodes[index]
        source, axes = node.args[0].index, node.args[1]
        own = self.graph.row_shape(source)
        outer = tuple(Affine() if d in axes else variable(f"i{d}", size) for d, size in enumerate(own))
        inner = tuple(variable(f"i{d}", size) if d in axes else Affine() for d, size in enumerate(own))
        body = Body()
        at = tuple(a + b for a, b in zip(outer, inner, strict=True))
        value = self._expressions({index}).element(source, at, body)
        reduction = Reduction(
            dtype=self.graph.nodes[source].dtype,
            target=self._load(index, flatten(outer, self.graph.row_shape(index)).c()),
            loops=tuple((name, extent) for part in inner for name, extent, _ in part.terms),
            lines=tuple(body.lines),
            value=value,
        )
        self._nest(outer, REDUCERS[node.op](reduction), independent=False)

    def _product(self, stage: Stage) -> None:
        self._note(stage)
        (index,) = stage.nodes
        graph, node = self.graph, self.graph.nodes[index]
        assert node.op in PRODUCTS
        a, b = (ref.index for ref in node.args)
        shape_a, shape_b = graph.row_shape(a), graph.row_shape(b)
        groups = shape_a[0] if node.op == "bmm" else 1
        m, k, n = (*shape_a[-2:], shape_b[-1])
        lead = (variable("g", groups),) if node.op == "bmm" else ()
        product = Product(
            suffix=SUFFIXES[node.dtype],
            groups=groups,
            sizes=(m, k, n),
            a=self._operand(a, (*lead, variable("i", m), variable("k", k))),
            b=self._operand(b, (*lead, variable("k", k), variable("j", n))),
            target=self.buffer(index),
            target_size=self.size(index),
        )
        self.lines += product.write(self.packs)

    def _operand(self, index: int, at: Index) -> Operand:
        place = self._expressions(set()).place(index, at)
        if place is None:
            raise NeedsBuffer(index)
        stored, flat = place
        if stored in self.part.constants:
            return Operand(f"c{stored}", self.kind(stored), flat, 0)
        return Operand(self.buffer(stored), self.kind(stored), flat, self.size(stored))
