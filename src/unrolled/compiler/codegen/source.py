"""The C source of a plan: a pure function from a plan to text.

Each direction is one function that runs three parts: the rows before the loop, the loop, the rows after it. The rows
are cut into blocks; in the loop each block runs all time steps by itself, so threads never wait for each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..graph import Graph
from ..plan import Direction, Plan
from .contract import Kernel, Part, Parts, Source
from .expression import c_type, sequence_type
from .loop import ARGUMENTS, Loop
from .parts import split
from .prelude import prelude
from .products import Packs
from .writer import Writer

LOOP_ROWS = 32  # at most so many rows of the batch run through time together
ROWS = 48  # so many rows at once before and after the loop: what they need stays in a core's cache


def generate(plan: Plan) -> Source:
    """The source of both directions.

    Raises:
        UnsupportedStep: an operation or dtype of the loop has no C.
    """
    graph = plan.graph
    text, forward = _direction(graph, plan.forward, "forward", graph.state, graph.new_state)
    texts, backward = [text], None
    if plan.backward is not None:
        text, backward = _direction(graph, plan.backward, "backward", graph.d_new_state, graph.d_state)
        texts.append(text)
    return Source("\n".join([prelude(), *texts]), forward, backward)


def _direction(
    graph: Graph, direction: Direction, name: str, before: Sequence[int | None], after: Sequence[int | None]
) -> tuple[str, Kernel]:
    parts = split(graph, direction)
    carried = tuple(k for k, index in enumerate(before) if index is not None)
    kernel = _kernel(parts, name, carried)
    packs = Packs()
    seen = [index for index in before if index is not None]
    pointers = _pointers(graph, kernel, seen)
    results = [after[k] for k in carried]
    functions = [_Function(f"u_{name}_before", pointers, parts.before, ROWS, "job.T * job.B")]
    functions += [_Function(f"u_{name}_loop", pointers, parts.loop, LOOP_ROWS, "job.B")]
    functions += [_Function(f"u_{name}_after", pointers, parts.after, ROWS, "job.T * job.B")]
    texts, calls = [], []
    for function in functions:
        if function.part is parts.loop:
            written = Writer(graph, function.part, packs, seen, {index for index in results if index is not None})
            loop = Loop(written, name == "forward", seen, results)
            text, call = function.write(loop.scratch(), loop.body(), loop.arguments())
        elif function.part.writes:
            writer = Writer(graph, function.part, packs, (), set())
            body = ["const long row = first;", *writer.begin(), *writer.lines, *writer.end()]
            text, call = function.write(writer.scratch(), body, ())
        else:
            continue
        texts.append(text)
        calls.append(call)
    return "\n".join([*texts, _entry(name, pointers, kernel, packs, calls)]), kernel


def _kernel(parts: Parts, name: str, carried: tuple[int, ...]) -> Kernel:
    every = (parts.before, parts.loop, parts.after)
    makes = _unique(index for part in every for index in part.writes)
    reads = _unique(index for part in every for index in part.reads if index not in makes)
    constants = _unique(index for part in every for index in part.constants)
    return Kernel(name, parts, constants, reads, makes, carried)


def _unique(indices: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(indices))


def _pointers(graph: Graph, kernel: Kernel, carried: Sequence[int]) -> dict[str, tuple[str, int]]:
    """The arguments by name: (C type, place). ``c`` has no rows, ``q`` is a sequence."""
    nodes = graph.nodes
    names = [(f"c{i}", f"const {c_type(nodes[i])}") for i in kernel.constants]
    names += [(f"q{i}", sequence_type(nodes[i])) for i in (*kernel.reads, *kernel.makes)]
    names += [(f"{name}{k}", c_type(nodes[i])) for k, i in enumerate(carried) for name in ARGUMENTS]
    return {name: (kind, place) for place, (name, kind) in enumerate(names)}


@dataclass(frozen=True)
class _Function:
    """The function of one part: at most ``block`` rows at once, of ``rows``."""

    name: str
    pointers: dict[str, tuple[str, int]]
    part: Part
    block: int
    rows: str

    def write(self, scratch: list[tuple[str, str, int]], body: list[str], more: Iterable[str]) -> tuple[str, str]:
        """Its text, and the statement that runs it; ``more`` are arguments besides the values of the part."""
        used = {*(f"c{i}" for i in self.part.constants), *(f"q{i}" for i in (*self.part.reads, *self.part.writes))}
        used |= set(more)
        lines = [
            f"{kind} *restrict {argument} = job->p[{place}]; (void){argument};"
            for argument, (kind, place) in self.pointers.items()
            if argument in used
        ]
        sizes = []
        for kind, array, size in scratch:
            sizes.append(f"U_ROUND_UP({size}L * {self.block} * sizeof({kind}))")
            lines.append(f"{kind} *restrict {array} = (void *)scratch; (void){array};")
            lines.append(f"scratch += {sizes[-1]};")
        text = "\n".join("  " + line for line in [*lines, *body])
        call = f"u_run(&job, {self.name}, {self.rows}, {self.block}, {' + '.join(sizes or ['0'])});"
        return f"static void {self.name}(const u_job *job, long first, long R, char *scratch) {{\n{text}\n}}\n", call


def _entry(name: str, pointers: dict[str, tuple[str, int]], kernel: Kernel, packs: Packs, calls: list[str]) -> str:
    weights = [
        f"{kind} *c{i} = p[{place}]; (void)c{i};" for i in kernel.constants for kind, place in [pointers[f"c{i}"]]
    ]
    lines = [
        f"void *packed[{max(len(packs.found), 1)}] = {{0}};",
        "u_job job = {.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4],",
        "  .threads = n[5] > 0 ? n[5] : 1, .valid = valid, .restart = restart, .p = p, .packed = packed,",
        "  .parallel = parallel};",
        "if (job.T <= 0 || job.B <= 0) return 0;",
        *weights,
        *packs.statements(),
        *calls,
        *(["end:"] if packs.found else []),
        f"for (long i = 0; i < {len(packs.found)}; i++) free(packed[i]);",
        "return job.failed;",
    ]
    text = "\n".join("  " + line for line in lines)
    return (
        '__attribute__((visibility("default")))\n'
        f"int u_{name}(const long *n, const unsigned char *valid, const unsigned char *restart, void **p,\n"
        f"    u_parallel parallel) {{\n{text}\n}}\n"
    )
