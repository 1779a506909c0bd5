"""The functions of a kernel that are called from outside, and what stands around its slices: memory, packs, totals."""

from dataclasses import dataclass

from ..graph import Graph
from .contract import Kernel
from .expression import SUFFIXES, c_type
from .parts import total_of
from .products import Packs
from .writer import Array

KEPT = 63
"""So many packs may be kept between calls: the bits of a number."""

EXPORTED = '__attribute__((visibility("default")))'

AGAIN = f"""{EXPORTED} void u_forward_again(const u_call *call) {{
u_forward(call->n, 0, 0, call->p, call->packed, call->pool, call->habits, call->memory);
}}"""


def declared(used: set[str], pointers: dict[str, tuple[str, int]]) -> list[str]:
    """The arguments that are used, as variables."""
    return [
        f"{kind} *restrict {argument} = job->p[{place}]; (void){argument};"
        for argument, (kind, place) in pointers.items()
        if argument in used
    ]


def terms_of(graph: Graph, total: int) -> tuple[int, ...]:
    """The sequences of which a total is the sum."""
    found = total_of(graph, total)
    assert found is not None
    return found


def write_totals(graph: Graph, name: str, pointers: dict[str, tuple[str, int]], kernel: Kernel) -> str:
    """The function that sums over all rows: each thread some rows of every result."""
    used = {f"t{i}" for i in kernel.totals} | {f"q{i}" for total in kernel.totals for i in terms_of(graph, total)}
    lines = ["const long rows = job->T * job->B; (void)rows; (void)me; (void)team;", *declared(used, pointers)]
    lines.append("void *workspace = job->memory + job->totals + me * job->workspace; (void)workspace;")
    for total in kernel.totals:
        s, terms = SUFFIXES[graph.nodes[total].dtype], terms_of(graph, total)
        m = graph.row_size(terms[0])
        share = f"u_share({m}, me, team), u_share({m}, me + 1, team)"
        if len(terms) == 1:
            lines.append(f"u_total_rows{s}(rows, {m}, q{terms[0]}, {m}, t{total}, {share});")
        else:
            n = graph.row_size(terms[1])
            lines.append(f"u_total{s}(rows, {m}, {n}, q{terms[0]}, {m}, q{terms[1]}, {n}, t{total}, {n},")
            lines.append(f"  {share}, workspace);")
    text = "\n".join("  " + line for line in lines)
    return f"static void u_{name}_total(u_job *job, long me, long team) {{\n{text}\n}}\n"


@dataclass(frozen=True)
class Entry:
    """Writes what one direction's function does besides its slices.

    Args:
        graph: the step.
        kernel: the function.
        pointers: its arguments by name: (C type, place).
        packs: its packed weights.
        arrays: what a slice needs.
        work: the multiply-adds of a row in a step, by which the rows are shared among threads.
    """

    graph: Graph
    kernel: Kernel
    pointers: dict[str, tuple[str, int]]
    packs: Packs
    arrays: list[Array]
    work: int

    def write(self) -> str:
        """All of it."""
        parts = [*self._pack(), *self._place(), *self._memory(), *self._call()]
        return "\n".join([*parts, *([AGAIN] if self.kernel.name == "forward" else [])]) + "\n"

    def _weights(self, job: str) -> list[str]:
        """The weights that are packed, by name."""
        places = {i: self.pointers[f"c{i}"] for i in self.kernel.packed}
        return [f"{kind} *c{i} = {job}p[{place}]; (void)c{i};" for i, (kind, place) in places.items()]

    def _pack(self) -> list[str]:
        """A thread's share of packing the weights."""
        packs = [
            f"if (!(job->kept >> {k} & 1)) {pack.statement.format(packed=f'job->packed[{k}]')}"
            for k, pack in enumerate(self.packs.found)
        ]
        head = f"static void u_{self.kernel.name}_pack(u_job *job, long me, long team)"
        return [f"{head} {{ (void)job; (void)me; (void)team;", *self._weights("job->"), *packs, "}"]

    def _place(self) -> list[str]:
        """Where everything lies in the memory of a call: arrays of each slice that runs, packs, room for totals."""
        sizes = [
            f"at[{k}] = size; size += U_ROUND_UP({array.size}L * {'rows' if array.once else 'rows * job->chunk'} * "
            f"(long)sizeof({array.kind}));"
            for k, array in enumerate(self.arrays)
        ]
        packs = [
            f"if (!job->packed[{k}]) {{ job->packed[{k}] = job->memory + size; size += U_ROUND_UP({pack.size}); }}"
            for k, pack in enumerate(self.packs.found)
        ]
        nodes = self.graph.nodes
        rooms = [
            f"u_at_least(&job->workspace, U_ROUND_UP(u_total_workspace{SUFFIXES[nodes[i].dtype]}"
            f"({self.graph.row_size(terms[1])}) * (long)sizeof({c_type(nodes[i])})));"
            for i in self.kernel.totals
            if len(terms := terms_of(self.graph, i)) == 2
        ]
        return [
            f"static long u_{self.kernel.name}_place(u_job *job, long *at) {{ (void)at;",
            f"u_schedule(job, {self.work}.0);",
            "const long rows = job->slice; long size = 0; (void)rows;",
            *sizes,
            "job->scratch = size;",
            "size *= job->together ? 1 : job->threads;",
            *packs,
            "job->workspace = 0;",
            *rooms,
            "job->totals = size;",
            "return size + job->threads * job->workspace;",
            "}",
        ]

    def _memory(self) -> list[str]:
        """The bytes of each pack, and those of a call."""
        name, count = self.kernel.name, max(len(self.packs.found), 1)
        return [
            f"{EXPORTED} void u_{name}_packed(long *sizes) {{ (void)sizes;",
            *(f"sizes[{k}] = {pack.size};" for k, pack in enumerate(self.packs.found)),
            "}",
            f"{EXPORTED} long u_{name}_memory(const long *n, const u_habits *habits) {{",
            f"long at[{max(len(self.arrays), 1)}]; void *packed[{count}] = {{0}};",
            "u_job job = {.T = n[0], .B = n[1], .threads = n[5], .kept = n[6], .packed = packed,",
            "  .habits = habits};",
            f"return job.T > 0 && job.B > 0 ? u_{name}_place(&job, at) + 64 : 0;",
            "}",
        ]

    def _call(self) -> list[str]:
        """The function itself."""
        name, packs = self.kernel.name, self.packs.found
        holds = [
            f"if (job.kept >> {k} & 1 && !({pack.holds.format(packed=f'packed[{k}]')})) job.kept &= ~(1UL << {k});"
            for k, pack in enumerate(packs)
            if k < KEPT
        ]
        total = f"u_{name}_total" if self.kernel.totals else 0
        return [
            f"{EXPORTED} void u_{name}(const long *n, const unsigned char *valid, const unsigned char *restart,",
            "    void **p, void **packed, const u_pool *pool, const u_habits *habits, char *memory) {",
            f"long at[{max(len(self.arrays), 1)}];",
            "u_job job = {.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4], .threads = n[5],",
            "  .kept = n[6], .valid = valid, .restart = restart, .p = p, .packed = packed, .pool = pool,",
            "  .habits = habits, .at = at,",
            f"  .memory = (char *)U_ROUND_UP((uintptr_t)memory), .pack = u_{name}_pack, .run = u_{name}_rows,",
            f"  .total = {total}}}; (void)u_{name}_total;",
            "if (job.T <= 0 || job.B <= 0) return;",
            *(["if (job.kept) {", *self._weights("job."), *holds, "}"] if holds else []),
            f"if (job.kept == {(1 << min(len(packs), KEPT)) - 1}UL && {len(packs)} <= {KEPT}) job.pack = 0;",
            f"u_{name}_place(&job, at);",
            "u_run(&job);",
            "}",
        ]
