"""Write the stages of one part of a kernel as C statements on a block of R rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..graph import Graph
from ..operations import PRODUCTS
from .contract import Part
from .expression import SUFFIXES, Body, Expressions, NeedsBuffer, c_type, counters, is_short
from .index import Affine, Index, flatten, variable
from .products import Operand, Packs, Product
from .reducers import REDUCERS, Reduction, loops
from .stages import Layout, Stage, lay_out
from .together import Share, Task, synchronised


@dataclass(frozen=True)
class Array:
    """An array in the scratch of a slice: elements for each of its rows."""

    kind: str  # the C type
    name: str
    size: int
    once: bool  # for one time step; else for all steps of a chunk


class Writer:
    """The buffers and statements of one part.

    Every value that is stored is an array (rows, row size): ``x`` what is given, ``y`` what is handed over as a
    sequence, ``z`` what is handed over from part to part, ``b`` what stays in the part, the carried values among them.
    Values without rows are ``c``. Sequences of 16 bits are widened to float before they are read, and rounded after
    they have been written.

    In the loop the rows are those of one step. Outside it they are those of all C steps of a chunk: row ``r`` of an
    array is row ``q`` of a sequence.

    Args:
        graph: the step.
        part: what is computed.
        packs: the weights packed so far.
        passed: the values that go from part to part.
        carried: the values that are carried from step to step, as they stand before the step; None: not the loop.
        results: the values that the driver of time reads after the step.
    """

    def __init__(
        self,
        graph: Graph,
        part: Part,
        packs: Packs,
        passed: Sequence[int],
        carried: Sequence[int] | None = None,
        results: set[int] = frozenset(),  # type: ignore[assignment]
    ):
        self.graph, self.part, self.packs, self.passed = graph, part, packs, passed
        self.in_loop, self.carried = carried is not None, carried or ()
        self.layout: Layout = lay_out(graph, part, set(self.carried), results)
        self.tasks: list[Task] = [self._widen(i) for i in part.reads if self._is_short(i)]
        for stage in self.layout.stages:
            self.tasks += getattr(self, f"_{stage.kind}")(stage)
        self.tasks += [self._round(i) for i in part.writes if self._is_short(i)]

    # ------------------------------------------------------------------ buffers

    def size(self, index: int) -> int:
        """Elements a row."""
        return self.graph.row_size(index)

    def kind(self, index: int) -> str:
        """The C type in which a value is computed."""
        return c_type(self.graph.nodes[index])

    def buffer(self, index: int) -> str:
        """The name of a value's array in this part."""
        if index in self.passed:
            return f"x{index}" if self.in_loop else f"z{index}"
        if index in self.part.writes:
            return f"y{index}"
        return f"x{index}" if index in self.part.reads else f"b{index}"

    def scratch(self) -> list[Array]:
        """The arrays of a slice that are no piece of a sequence."""
        handed = (*self.part.reads, *self.part.writes)
        own = [i for i in sorted({*self.layout.stored, *self.carried}) if i not in handed]
        own += [i for i in handed if self._is_short(i)]
        passed = [Array(self.kind(i), f"z{i}", self.size(i), False) for i in handed if i in self.passed]
        return [*passed, *(Array(self.kind(i), self.buffer(i), self.size(i), self.in_loop) for i in own)]

    def begin(self) -> list[str]:
        """Where the rows lie in each sequence: of the step in the loop, else of the first step."""
        lines = []
        for i in (*self.part.reads, *self.part.writes):
            n, name = self.size(i), self.buffer(i)
            if i in self.passed and self.in_loop:
                lines.append(f"{self.kind(i)} *restrict {name} = z{i} + c * R * {n}L;")
            elif self._is_sequence(i):
                lines.append(f"{self.kind(i)} *restrict {name} = q{i} + {self._start()} * {n}L;")
        return lines

    def body(self) -> list[str]:
        """All statements of a part outside the loop."""
        return [*self.begin(), *synchronised(self.tasks, again=False)]

    def _start(self) -> str:
        return "row" if self.in_loop else "(low * B + s->first)"

    def _is_short(self, index: int) -> bool:
        return is_short(self.graph.nodes[index]) and index not in self.passed

    def _is_sequence(self, index: int) -> bool:
        """Whether a value's rows are read and written where its sequence is."""
        handed = index in self.part.reads or index in self.part.writes
        return handed and index not in self.passed and not self._is_short(index)

    def _row(self, index: int) -> str:
        return "q" if self._is_sequence(index) and not self.in_loop else "r"

    def _convert(self, index: int, statement: str) -> tuple[str, ...]:
        """A statement for every element ``j`` of every row."""
        n = self.size(index)
        return tuple(self._rows([f"for (long j = u_from(s, {n}); j < u_to(s, {n}); j++) {{", statement, "}"]))

    def _widen(self, i: int) -> Task:
        n, row = self.size(i), "r" if self.in_loop else "q"
        source = f"q{i}[({self._start()} + {row}) * {n}L + j]"
        lines = self._convert(i, f"x{i}[r * {n}L + j] = u_bf16_to_f({source});")
        return Task(lines, {}, {f"x{i}": (n,)})

    def _round(self, i: int) -> Task:
        n, y, row = self.size(i), self.buffer(i), "r" if self.in_loop else "q"
        lines = self._convert(i, f"q{i}[({self._start()} + {row}) * {n}L + j] = u_f_to_bf16({y}[r * {n}L + j]);")
        return Task(lines, {y: (n,)}, {})

    def _load(self, index: int, at: str) -> str:
        if index in self.part.constants:
            return f"c{index}[{at}]"
        return f"{self.buffer(index)}[{self._row(index)} * {self.size(index)}L + {at}]"

    def _store(self, index: int, at: Affine, value: str) -> str:
        return f"{self.buffer(index)}[{self._row(index)} * {self.size(index)}L + {at.c()}] = {value};"

    def _expressions(self, without: set[int]) -> Expressions:
        return Expressions(self.graph, {*self.layout.stored, *self.layout.inputs} - without, self._load)

    # ------------------------------------------------------------------ stages

    def _note(self, stage: Stage) -> str:
        where = sorted({self.graph.nodes[i].where.rsplit("/", 1)[-1] for i in stage.nodes} - {""})
        what = ", ".join(f"{i} {self.graph.nodes[i].op}" for i in stage.nodes)
        return f"/* {stage.kind}: {what}{' at ' + ', '.join(where) if where else ''} */"

    def _rows(self, inside: list[str], before: str = "", first: str = "0", last: str = "R") -> list[str]:
        """A loop over the rows, all or from ``first`` to ``last`` of each step."""
        if self.in_loop:
            return [before, f"for (long r = {first}; r < {last}; r++) {{", *inside, "}"]
        return [
            "for (long c = 0; c < C; c++) {",
            before,
            f"for (long row = {first}; row < {last}; row++) {{",
            "const long r = c * R + row, q = c * B + row; (void)r; (void)q;",
            *inside,
            "} }",
        ]

    def _nest(self, index: Index, statements: list[str], *, independent: bool = True) -> list[str]:
        """Loops over the rows and an index's variables around statements; a team shares the first variable.

        Where no turn reads what another writes, the C compiler is told so: it would have to compare too many pointers.
        """
        names = tuple((name, extent) for part in index for name, extent, _ in part.terms)
        hint = "U_INDEPENDENT" if independent else ""
        if not names:
            return ["{", *self._rows(statements, hint, "u_first(s, R)", "u_last(s, R)"), "}"]
        (name, extent), *others = names
        if others:
            inner = loops(tuple(others[:-1]), [hint, *loops(tuple(others[-1:]), statements)])
            head = ""
            share = ("u_first", "u_last")
        else:
            inner, head = statements, hint
            share = ("u_from", "u_to") if independent else ("u_first", "u_last")
        return [
            f"{{ const long begin = {share[0]}(s, {extent}), end = {share[1]}(s, {extent});",
            *self._rows([head, f"for (long {name} = begin; {name} < end; {name}++) {{", *inner, "}"]),
            "}",
        ]

    def _share(self, shape: tuple[int, ...]) -> Share:
        """How a team shares the elements of a value that is computed in a nest over all of its shape."""
        return tuple(size for size in shape if size != 1) or ("rows",)

    def _read(self, body: Body, at: Index, shape: tuple[int, ...]) -> dict[str, Share]:
        """The arrays that statements read, and whether each at the very place that is computed."""
        here, places = flatten(at, shape).c(), dict[int, set[str]]()
        for value, value_at in body.known:
            if value in body.loads and value not in self.part.constants:
                places.setdefault(value, set()).add(value_at[0].c())
        reads: dict[str, Share] = {}
        for value, found in places.items():
            own = self._share(self.graph.row_shape(value))
            reads[self.buffer(value)] = own if found == {here} and own == self._share(shape) else None
        return reads

    def _pass(self, stage: Stage) -> list[Task]:
        body, stores = Body(), []
        expressions = self._expressions(set(stage.nodes))
        at: Index = ()
        for index in stage.nodes:
            shape = self.graph.row_shape(index)
            at = counters(shape)
            stores.append(self._store(index, flatten(at, shape), expressions.element(index, at, body)))
        lines = (self._note(stage), *self._nest(at, [*body.lines, *stores]))
        return [Task(lines, self._read(body, at, shape), {self.buffer(i): self._share(shape) for i in stage.nodes})]

    def _cat(self, stage: Stage) -> list[Task]:
        (index,) = stage.nodes
        shape = self.graph.row_shape(index)
        parts, axis = self.graph.nodes[index].args
        start, lines, reads = 0, [self._note(stage)], dict[str, Share]()
        for part in parts:
            own = self.graph.row_shape(part.index)
            at = counters(own)
            body = Body()
            value = self._expressions({index}).element(part.index, at, body)
            target = tuple(a + Affine(start) if d == axis else a for d, a in enumerate(at))
            lines += self._nest(at, [*body.lines, self._store(index, flatten(target, shape), value)])
            for name, share in self._read(body, at, own).items():
                reads[name] = share if reads.get(name, share) == share else None
            start += own[axis]
        return [Task(tuple(lines), reads, {self.buffer(index): None})]

    def _reduction(self, stage: Stage) -> list[Task]:
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
        lines = (self._note(stage), *self._nest(outer, REDUCERS[node.op](reduction), independent=False))
        return [Task(lines, dict.fromkeys(self._read(body, at, own)), {self.buffer(index): None})]

    def _product(self, stage: Stage) -> list[Task]:
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
            half=is_short(node),
            groups=groups,
            sizes=(m, k, n),
            a=self._operand(a, (*lead, variable("i", m), variable("k", k))),
            b=self._operand(b, (*lead, variable("k", k), variable("j", n))),
            target=self.buffer(index),
            target_row=self._row(index),
            target_size=self.size(index),
            steps="1" if self.in_loop else "C",
            period=self._period(index, n),
        )
        lines = (self._note(stage), *product.write(self.packs, self._rows))
        rows = [operand for operand in (product.a, product.b) if operand.row_size]
        return [Task(lines, {operand.array: None for operand in rows}, {self.buffer(index): None})]

    def _period(self, index: int, columns: int) -> int:
        """The columns of a product of which the same thread had better compute those equal modulo the period."""
        for stage in self.layout.stages:
            if stage.kind == "pass":
                shape = self.graph.row_shape(stage.nodes[0])
                body, at = Body(), counters(shape)
                self._expressions(set(stage.nodes)).element(stage.nodes[0], at, body)
                extent = next((size for size in shape if size != 1), 1)
                if index in body.loads and extent > 1 and columns % extent == 0:
                    return extent
        return columns

    def _operand(self, index: int, at: Index) -> Operand:
        place = self._expressions(set()).place(index, at)
        if place is None:
            raise NeedsBuffer(index)
        stored, flat = place
        if stored in self.part.constants:
            return Operand(f"c{stored}", stored, self.kind(stored), flat, 0, "")
        return Operand(self.buffer(stored), stored, self.kind(stored), flat, self.size(stored), self._row(stored))
