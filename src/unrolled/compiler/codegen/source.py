"""The C source of a plan: a pure function from a plan to text.

Each direction is one function that runs three parts: the rows before the loop, the loop, the rows after it. The rows
are cut into blocks; in the loop each block runs all time steps by itself, so threads never wait for each other.
"""

from collections.abc import Iterable, Sequence

from ..graph import Graph
from ..plan import Direction, Plan
from .contract import Kernel, Part, Parts, Source
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
    results = [after[k] for k in carried]
    loop = Loop(
        Writer(graph, parts.loop, packs, seen, {index for index in results if index is not None}),
        name == "forward",
        seen,
        results,
    )
    pointers = _pointers(graph, kernel, seen)
    functions, calls = [], []
    for phase, part in (("before", parts.before), ("after", parts.after)):
        if part.writes:
            writer = Writer(graph, part, packs, (), set())
            body = ["const long row = first;", *writer.begin(), *writer.lines, *writer.end()]
            functions.append(_function(f"u_{name}_{phase}", pointers, part, writer.scratch(), ROWS, body))
            size = _bytes(writer.scratch(), ROWS)
            calls.append((phase, f"u_run(&job, u_{name}_{phase}, job.T * job.B, {ROWS}, {size});"))
    body = ["const long T = job->T, B = job->B;", _FLAGS, *loop.body()]
    functions.append(_function(f"u_{name}_loop", pointers, parts.loop, loop.scratch(), LOOP_ROWS, body, carried=True))
    size = _bytes(loop.scratch(), LOOP_ROWS)
    calls.insert(
        int(bool(calls) and calls[0][0] == "before"),
        ("loop", f"u_run(&job, u_{name}_loop, job.B, {LOOP_ROWS}, {size});"),
    )
    return "\n".join([*functions, _entry(name, pointers, kernel, packs, [call for _, call in calls])]), kernel


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
    typed = Writer(graph, Part((), (), (), ()), Packs(), (), set())
    names = [(f"c{i}", f"const {typed.kind(i)}") for i in kernel.constants]
    names += [(f"q{i}", typed.kept_as(i)) for i in (*kernel.reads, *kernel.makes)]
    names += [(f"{name}{k}", typed.kind(i)) for k, i in enumerate(carried) for name in ARGUMENTS]
    return {name: (kind, place) for place, (name, kind) in enumerate(names)}


def _function(
    name: str,
    pointers: dict[str, tuple[str, int]],
    part: Part,
    scratch: list[tuple[str, str, int]],
    rows: int,
    body: list[str],
    *,
    carried: bool = False,
) -> str:
    used = {f"c{i}" for i in part.constants} | {f"q{i}" for i in (*part.reads, *part.writes)}
    used |= {f"{kind}{k}" for kind in ARGUMENTS for k in range(len(pointers))} if carried else set()
    lines = [
        f"{kind} *restrict {argument} = job->p[{place}]; (void){argument};"
        for argument, (kind, place) in pointers.items()
        if argument in used
    ]
    for kind, array, size in scratch:
        lines.append(f"{kind} *restrict {array} = (void *)scratch; (void){array};")
        lines.append(f"scratch += U_ROUND_UP({size}L * {rows} * sizeof({kind}));")
    text = "\n".join("  " + line for line in [*lines, *body])
    return f"static void {name}(const u_job *job, long first, long R, char *scratch) {{\n{text}\n}}\n"


def _bytes(scratch: list[tuple[str, str, int]], rows: int) -> str:
    return " + ".join([f"U_ROUND_UP({size}L * {rows} * sizeof({kind}))" for kind, _, size in scratch] or ["0"])


_FLAGS = "const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;"


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
