"""The C source of a plan: a pure function from a plan to text.

Each direction is three functions, each of which runs some rows of the batch through a few time steps: the values before
the loop, the loop, and the values after it. A fourth calls them in turn until the sequence is done (see driver.h).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..graph import Graph
from ..operations import PRODUCTS, VIEWS
from ..plan import Plan
from .contract import Kernel, Parts, Source
from .entry import Entry, declared, terms_of, write_totals
from .expression import c_type, is_short, sequence_type
from .loop import ARGUMENTS, Loop
from .parts import split
from .prelude import prelude
from .products import Packs
from .writer import Array, Writer

Thing = TypeVar("Thing")


def generate(plan: Plan) -> Source:
    """The source of both directions.

    Raises:
        UnsupportedStep: an operation or dtype of the loop has no C.
    """
    graph = plan.graph
    work = _multiply_adds(graph, plan.forward.loop)
    ways = [split(graph, plan.forward), *([split(graph, plan.backward)] if plan.backward is not None else [])]
    drops = _may_drop(graph, ways)
    text, forward = _direction(graph, ways[0], "forward", graph.state, graph.new_state, work, drops)
    texts, backward = [text], None
    if plan.backward is not None:
        text, backward = _direction(graph, ways[1], "backward", graph.d_new_state, graph.d_state, work, drops)
        texts.append(text)
    halves = any(node.op in PRODUCTS and is_short(node) for node in graph.nodes)
    return Source("\n".join([prelude(halves), *texts]), forward, backward)


def _multiply_adds(graph: Graph, nodes: Iterable[int]) -> int:
    """The work of one row in one step."""
    products = [index for index in nodes if graph.nodes[index].op in PRODUCTS]
    inner = {index: graph.row_shape(graph.nodes[index].args[0].index)[-1] for index in products}
    return sum(graph.row_size(index) * inner[index] for index in products)


def _direction(
    graph: Graph,
    parts: Parts,
    name: str,
    before: Sequence[int | None],
    after: Sequence[int | None],
    work: int,
    drops: bool,
) -> tuple[str, Kernel]:
    packs = Packs()
    seen = [index for index in before if index is not None]
    passed = _passed(parts)
    makes = _unique(i for part in parts.of_kernel for i in part.writes if i not in passed)
    results = [after[k] for k, index in enumerate(before) if index is not None]
    loop = Loop(
        Writer(graph, parts.loop, packs, passed, seen, {index for index in results if index is not None}),
        name == "forward",
        seen,
        results,
    )
    texts = [
        _Part(f"u_{name}_before", Writer(graph, parts.before, packs, passed)),
        _Part(f"u_{name}_loop", loop.writer, loop),
        _Part(f"u_{name}_after", Writer(graph, parts.after, packs, passed)),
    ]
    read = [i for part in parts.of_kernel for i in part.reads]
    read += [i for total in parts.totals for i in terms_of(graph, total)]
    kernel = Kernel(
        name,
        parts,
        constants=_unique(i for part in parts.of_kernel for i in part.constants),
        reads=_unique(i for i in read if i not in makes and i not in passed),
        makes=makes,
        totals=parts.totals,
        passed=passed,
        carried=tuple(k for k, index in enumerate(before) if index is not None),
        packed=tuple(pack.constant for pack in packs.found),
    )
    written = [text for text in texts if text.writer.part.writes or text.loop]
    pointers = _pointers(graph, kernel, seen)
    arrays = list(_unique(array for text in written for array in text.arrays()))
    blanks = [(i, graph.row_size(i), sequence_type(graph.nodes[i])) for i in makes] if drops else None
    pieces = [
        *(text.write(pointers, arrays) for text in written),
        _rows(name, written, loop, pointers, arrays, blanks),
        write_totals(graph, name, pointers, kernel),
        Entry(graph, kernel, pointers, packs, arrays, work).write(),
    ]
    return "\n".join(pieces), kernel


def _passed(parts: Parts) -> tuple[int, ...]:
    """What one part of the kernel writes for another and nobody else reads."""
    written = {index for part in parts.of_kernel for index in part.writes}
    return tuple(sorted(index for index in written if index not in parts.outside))


def _may_drop(graph: Graph, ways: list[Parts]) -> bool:
    """Whether rows that have ended may be left out: zeros stand for them, of which torch makes only sums."""
    by_torch = {index for parts in ways for index in parts.last} | {
        index for parts in ways[1:] for index in parts.first
    }
    of_rows = {index for index in by_torch if any(map(graph.is_rows, (index, *graph.nodes[index].operands())))}
    return all(graph.nodes[index].op in {*VIEWS, *PRODUCTS, "sum"} for index in of_rows)


def _unique(things: Iterable[Thing]) -> tuple[Thing, ...]:
    return tuple(dict.fromkeys(things))


def _placed(array: Array, arrays: list[Array]) -> str:
    """An array as a variable: where it lies in the scratch of the slice."""
    return f"{array.kind} *restrict {array.name} = (void *)(s->scratch + job->at[{arrays.index(array)}]);"


def _pointers(graph: Graph, kernel: Kernel, carried: Sequence[int]) -> dict[str, tuple[str, int]]:
    """The arguments by name: (C type, place). ``c`` has no rows, ``q`` is a sequence."""
    nodes = graph.nodes
    names = [(f"c{i}", f"const {c_type(nodes[i])}") for i in kernel.constants]
    names += [(f"q{i}", sequence_type(nodes[i])) for i in (*kernel.reads, *kernel.makes)]
    names += [(f"t{i}", c_type(nodes[i])) for i in kernel.totals]
    names += [(f"{name}{k}", c_type(nodes[i])) for k, i in enumerate(carried) for name in ARGUMENTS]
    return {name: (kind, place) for place, (name, kind) in enumerate(names)}


@dataclass(frozen=True)
class _Part:
    """The function of one part: all rows of a slice, some steps of time."""

    name: str
    writer: Writer
    loop: Loop | None = None

    def arrays(self) -> list[Array]:
        """What it needs of a slice's scratch."""
        return (self.loop or self.writer).scratch()

    def write(self, pointers: dict[str, tuple[str, int]], arrays: list[Array]) -> str:
        """Its text."""
        part = self.writer.part
        used = {*(f"c{i}" for i in part.constants), *(f"q{i}" for i in (*part.reads, *part.writes))}
        used |= set(self.loop.arguments()) if self.loop else set()
        lines = ["u_job *job = s->job;", "const long B = job->B; (void)B;", *declared(used, pointers)]
        lines += [f"{_placed(array, arrays)} (void){array.name};" for array in self.arrays()]
        lines += self.loop.body() if self.loop else self.writer.body()
        text = "\n".join("  " + line for line in lines)
        return f"static void {self.name}(const u_slice *s, long R, long low, long begin, long C) {{\n{text}\n}}\n"


def _rows(
    name: str,
    parts: list[_Part],
    loop: Loop,
    pointers: dict[str, tuple[str, int]],
    arrays: list[Array],
    blanks: list[tuple[int, int, str]] | None,
) -> str:
    """The function that runs a slice through all of time."""
    states = [array for array in loop.scratch() if array.name.startswith("state")]
    ends = [argument for argument in loop.arguments() if argument.startswith(("first", "last"))]
    used = {*ends, *(f"q{i}" for i, _, _ in blanks or ())}
    body = [
        "u_job *job = s->job;",
        "const long T = job->T;",
        *declared(used, pointers),
        *(_placed(array, arrays) for array in states),
        *loop.start(),
        "for (long chunk = 0; chunk < job->chunks; chunk++) {",
        f"const long place = {'chunk' if name == 'forward' else 'job->chunks - 1 - chunk'};",
        "const long begin = place * job->chunk, C = T - begin < job->chunk ? T - begin : job->chunk;",
        "const long low = job->reverse ? T - begin - C : begin;",
    ]
    if blanks is None:
        body.append("const long R = s->R;")
    else:
        body.append("const long R = u_active(s, low, C);")
        for i, size, kind in blanks:
            body.append(f"if (R < s->R) u_blank(s, low, C, R, {size}L, sizeof({kind}), q{i});")
    for part in parts:
        body += ["u_wait(s);", f"{'' if part.loop else 'if (R) '}{part.name}(s, R, low, begin, C);"]
    body += ["}", *loop.finish()]
    text = "\n".join("  " + line for line in body)
    return f"static void u_{name}_rows(const u_slice *s) {{\n{text}\n}}\n"
