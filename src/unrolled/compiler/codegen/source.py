"""The C source of a plan's loops: a pure function from a plan to text.

Each direction is one function. The rows of the batch are cut into blocks, each of which runs all time steps by
itself, so threads never wait for each other. In a block every value of the loop is a buffer (rows, row size).
"""

from dataclasses import dataclass

from ..graph import Graph
from ..operations import REDUCTIONS
from ..plan import Direction, Plan
from .expression import C_TYPES, SUFFIXES, Body, Expressions, NeedsBuffer, c_type, counters
from .index import Affine, Index, flatten, variable
from .prelude import prelude
from .stages import Layout, Stage, lay_out

BLOCK_ROWS = 32

HELPERS = """
typedef void (*u_parallel)(void (*)(void *), void *, unsigned, unsigned);
#define u_abs_f fabsf
#define u_abs_d fabs
#define u_abs_l llabs
#define u_floor_f floorf
#define u_floor_d floor
#define u_ceil_f ceilf
#define u_ceil_d ceil
#define u_trunc_f truncf
#define u_trunc_d trunc
#define u_round_f rintf
#define u_round_d rint
#define u_fmod_f fmodf
#define u_fmod_d fmod
#define u_tan_f tanf
#define u_tan_d tan
#define u_asin_f asinf
#define u_asin_d asin
#define u_acos_f acosf
#define u_acos_d acos
#define u_atan_f atanf
#define u_atan_d atan
#define u_atan2_f atan2f
#define u_atan2_d atan2
#define u_sinh_f sinhf
#define u_sinh_d sinh
#define u_cosh_f coshf
#define u_cosh_d cosh
#define u_log2_f log2f
#define u_log2_d log2
#define U_REAL(S, T, FLOOR, TRUNC, FMOD) \\
  U_INLINE T u_sign_##S(T a) { return a != a ? a : (T)((a > 0) - (a < 0)); } \\
  U_INLINE T u_relu_##S(T a) { return a < 0 ? (T)0 : a; } \\
  U_INLINE T u_maximum_##S(T a, T b) { return a != a || a > b ? a : b; } \\
  U_INLINE T u_minimum_##S(T a, T b) { return a != a || a < b ? a : b; } \\
  U_INLINE T u_remainder_##S(T a, T b) { T m = FMOD(a, b); return m != 0 && ((b < 0) != (m < 0)) ? m + b : m; } \\
  U_INLINE T u_div_trunc_##S(T a, T b) { return TRUNC(a / b); } \\
  U_INLINE T u_div_floor_##S(T a, T b) { \\
    T m = FMOD(a, b), q = (a - m) / b; \\
    if (b == 0) return a / b; \\
    if (m != 0 && ((b < 0) != (m < 0))) q -= 1; \\
    if (q == 0) return (a / b) < 0 ? -(T)0 : (T)0; \\
    T low = FLOOR(q); return q - low > (T)0.5 ? low + 1 : low; }
#define U_ORDER_forward step
#define U_ORDER_backward (T - 1 - step)
U_REAL(f, float, floorf, truncf, fmodf)
U_REAL(d, double, floor, trunc, fmod)
U_INLINE long long u_sign_l(long long a) { return (a > 0) - (a < 0); }
U_INLINE long long u_relu_l(long long a) { return a < 0 ? 0 : a; }
U_INLINE long long u_maximum_l(long long a, long long b) { return a > b ? a : b; }
U_INLINE long long u_minimum_l(long long a, long long b) { return a < b ? a : b; }
U_INLINE long long u_floor_l(long long a) { return a; }
U_INLINE long long u_div_trunc_l(long long a, long long b) { return b ? a / b : 0; }
U_INLINE long long u_fmod_l(long long a, long long b) { return b ? a % b : 0; }
U_INLINE long long u_remainder_l(long long a, long long b) {
  long long m = b ? a % b : 0; return m && ((b < 0) != (m < 0)) ? m + b : m; }
U_INLINE long long u_div_floor_l(long long a, long long b) {
  if (!b) return 0; long long q = a / b; return a % b && ((a < 0) != (b < 0)) ? q - 1 : q; }
"""


@dataclass(frozen=True)
class Kernel:
    """One direction's function and what it is called with, in order: ``pointers`` of these values."""

    name: str
    constants: tuple[int, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    carried: tuple[int, ...]  # places of the state's tensors that are carried


@dataclass(frozen=True)
class Source:
    """The C text of a plan and the calls of its functions."""

    text: str
    forward: Kernel
    backward: Kernel | None


def generate(plan: Plan) -> Source:
    """The source of both directions.

    Raises:
        UnsupportedStep: an operation or dtype of the loop has no C.
    """
    graph = plan.graph
    carried = tuple(range(len(graph.state)))
    text, forward = _Writer(graph, plan.forward, "forward", carried, graph.state, graph.new_state).write()
    texts, backward = [text], None
    if plan.backward is not None:
        carried = tuple(k for k, index in enumerate(graph.d_new_state) if index is not None)
        before = tuple(graph.d_new_state[k] for k in carried)
        after = tuple(graph.d_state[k] for k in carried)
        text, backward = _Writer(graph, plan.backward, "backward", carried, before, after).write()
        texts.append(text)
    head = "#include <stdlib.h>\n#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"
    return Source("\n".join([head, prelude(), HELPERS, *texts]), forward, backward)


class _Writer:
    """Writes the function of one direction."""

    def __init__(
        self,
        graph: Graph,
        part: Direction,
        name: str,
        carried: tuple[int, ...],
        before: tuple[int | None, ...],
        after: tuple[int | None, ...],
    ):
        self.graph, self.part, self.name, self.carried = graph, part, name, carried
        self.before = [index for index in before if index is not None]
        self.after = list(after)
        results = {index for index in after if index is not None}
        self.layout: Layout = lay_out(graph, part, set(self.before), results)
        self.packs: list[tuple[str, str, str]] = []  # (size, pack statement, suffix) of each packed operand
        self.lines: list[str] = []

    # ------------------------------------------------------------------ the whole function

    def write(self) -> tuple[str, Kernel]:
        for stage in self.layout.stages:
            getattr(self, f"_{stage.kind}")(stage)
        body = "\n".join("    " + line for line in self.lines)
        kernel = Kernel(self.name, self.part.constants, self.part.reads, self.part.writes, self.carried)
        return _TEMPLATE.format(
            name=self.name,
            block_rows=BLOCK_ROWS,
            pointers="\n".join(self._pointers()),
            packs="\n".join(self._packs()),
            packed=max(len(self.packs), 1),
            scratch=self._scratch_size(),
            buffers="\n".join(self._buffers()),
            start="\n".join(self._start()),
            at_t="\n".join(self._at_t()),
            body=body,
            next="\n".join(self._next()),
            finish="\n".join(self._finish()),
        ), kernel

    def _size(self, index: int) -> int:
        return self.graph.row_size(index)

    def _type(self, index: int) -> str:
        return c_type(self.graph.nodes[index])

    def _pointers(self) -> list[str]:
        """The arguments, each under its name: c constants, r sequences read, w written, s carried."""
        names = [f"const {self._type(i)} *restrict c{i}" for i in self.part.constants]
        names += [f"const {self._type(i)} *restrict r{i}" for i in self.part.reads]
        names += [f"{self._type(i)} *restrict w{i}" for i in self.part.writes]
        for k, index in enumerate(self.before):
            kind = self._type(index)
            names += [f"const {kind} *restrict first{k}", f"{kind} *restrict last{k}"]
            names += [
                f"{'const ' if self._forward else ''}{kind} *restrict other{k}",
                f"const {kind} *restrict spare{k}",
            ]
        return [f"  {name} = p[{place}]; (void){name.split('restrict ')[1]};" for place, name in enumerate(names)]

    @property
    def _forward(self) -> bool:
        return self.name == "forward"

    def _packs(self) -> list[str]:
        lines = []
        for place, (size, pack, _) in enumerate(self.packs):
            lines.append(f"  job.packed[{place}] = malloc({size});")
            lines.append(f"  if (!job.packed[{place}]) {{ failed = 1; goto end; }}")
            lines.append(f"  {pack.format(packed=f'job.packed[{place}]')}")
        return lines

    def _own_buffers(self) -> list[int]:
        """Values with a buffer in the block's scratch: stored, and not written to a sequence at once."""
        return [index for index in sorted(self.layout.stored) if index not in self.part.writes]

    def _scratch(self) -> list[tuple[str, str, int]]:
        """Every buffer of a block: (C type, name, elements a row)."""
        found = [(self._type(index), f"b{index}", self._size(index)) for index in self._own_buffers()]
        for k, index in enumerate(self.before):
            found.append((self._type(index), f"state{k}", self._size(index)))
            if index not in self.part.writes:
                found.append((self._type(index), f"seen{k}", self._size(index)))
        return found

    def _scratch_size(self) -> str:
        return " + ".join(
            [f"U_ROUND_UP({size}L * {BLOCK_ROWS} * sizeof({kind}))" for kind, _, size in self._scratch()] or ["64"]
        )

    def _buffers(self) -> list[str]:
        lines = []
        for kind, name, size in self._scratch():
            lines.append(f"  {kind} *restrict {name} = (void *)scratch;")
            lines.append(f"  scratch += U_ROUND_UP({size}L * {BLOCK_ROWS} * sizeof({kind}));")
        return lines

    # ------------------------------------------------------------------ the driver of time

    def _start(self) -> list[str]:
        lines = []
        for k, index in enumerate(self.before):
            n, kind = self._size(index), self._type(index)
            lines.append(f"  memcpy(state{k}, first{k} + b0 * {n}L, R * {n}L * sizeof({kind}));")
        return lines

    def _at_t(self) -> list[str]:
        """Where this step's rows lie in each sequence, and the carried values as the step sees them."""
        lines = [f"    const {self._type(i)} *restrict x{i} = r{i} + row * {self._size(i)}L;" for i in self.part.reads]
        for i in self.part.writes:
            lines.append(f"    {self._type(i)} *restrict y{i} = w{i} + row * {self._size(i)}L;")
        for k, index in enumerate(self.before):
            n, kind = self._size(index), self._type(index)
            seen = f"y{index}" if index in self.part.writes else f"seen{k}"
            if self._forward:
                lines.append("    if (restart) for (long r = 0; r < R; r++) if (restart[row + r])")
                lines.append(f"      memcpy(state{k} + r * {n}L, other{k} + (b0 + r) * {n}L, {n}L * sizeof({kind}));")
            lines.append(f"    memcpy({seen}, state{k}, R * {n}L * sizeof({kind}));")
            lines.append("    if (valid) for (long r = 0; r < R; r++) if (!valid[row + r])")
            if self._forward:
                lines.append(f"      memcpy({seen} + r * {n}L, spare{k} + (b0 + r) * {n}L, {n}L * sizeof({kind}));")
            else:
                lines.append(f"      memset({seen} + r * {n}L, 0, {n}L * sizeof({kind}));")
        return lines

    def _next(self) -> list[str]:
        """The carried values after the step; a masked row holds its own."""
        lines = []
        for k, (index, result) in enumerate(zip(self.before, self.after, strict=True)):
            n, kind = self._size(index), self._type(index)
            source = "0" if result is None else None
            if source is None:
                assert result is not None
                buffer = self._buffer(result)
                source = f"{buffer}[r * {n}L + j]"
            lines.append("    for (long r = 0; r < R; r++) if (!valid || valid[row + r])")
            lines.append(f"      for (long j = 0; j < {n}; j++) state{k}[r * {n}L + j] = {source};")
            if not self._forward:
                lines.append("    if (restart) for (long r = 0; r < R; r++) if (restart[row + r])")
                lines.append(f"      for (long j = 0; j < {n}; j++) {{")
                lines.append(f"        other{k}[(b0 + r) * {n}L + j] += state{k}[r * {n}L + j];")
                lines.append(f"        state{k}[r * {n}L + j] = 0; }}")
                lines.append(f"    if (cut) memset(state{k}, 0, R * {n}L * sizeof({kind}));")
        return lines

    def _finish(self) -> list[str]:
        lines = []
        for k, index in enumerate(self.before):
            n, kind = self._size(index), self._type(index)
            lines.append(f"  memcpy(last{k} + b0 * {n}L, state{k}, R * {n}L * sizeof({kind}));")
        return lines

    # ------------------------------------------------------------------ the stages

    def _buffer(self, index: int) -> str:
        if index in self.before:
            return f"y{index}" if index in self.part.writes else f"seen{self.before.index(index)}"
        if index in self.part.writes:
            return f"y{index}"
        return f"x{index}" if index in self.part.reads else f"b{index}"

    def _load(self, index: int, at: str) -> str:
        if index in self.part.constants:
            return f"c{index}[{at}]"
        return f"{self._buffer(index)}[r * {self._size(index)}L + {at}]"

    def _expressions(self, without: set[int]) -> Expressions:
        return Expressions(self.graph, {*self.layout.stored, *self.layout.inputs} - without, self._load)

    def _note(self, stage: Stage) -> None:
        where = sorted({self.graph.nodes[i].where.rsplit("/", 1)[-1] for i in stage.nodes} - {""})
        what = ", ".join(f"{i} {self.graph.nodes[i].op}" for i in stage.nodes)
        self.lines.append(f"/* {stage.kind}: {what}{' at ' + ', '.join(where) if where else ''} */")

    def _nest(self, index: Index, statements: list[str]) -> None:
        """Loops over the rows and an index's variables around statements."""
        names = [(name, extent) for part in index for name, extent, _ in part.terms]
        self.lines.append("for (long r = 0; r < R; r++) {")
        self.lines += [f"for (long {name} = 0; {name} < {extent}; {name}++) {{" for name, extent in names]
        self.lines += statements
        self.lines.append("}" * (len(names) + 1))

    def _pass(self, stage: Stage) -> None:
        self._note(stage)
        body = Body()
        expressions = self._expressions(set(stage.nodes))
        stores = []
        domain: Index = ()
        for index in stage.nodes:
            shape = self.graph.row_shape(index)
            at = _counters_of(shape)
            domain = at
            value = expressions.element(index, at, body)
            stores.append(f"{self._buffer(index)}[r * {self._size(index)}L + {flatten(at, shape).c()}] = {value};")
        self._nest(domain, [*body.lines, *stores])

    def _cat(self, stage: Stage) -> None:
        self._note(stage)
        (index,) = stage.nodes
        node, shape = self.graph.nodes[index], self.graph.row_shape(index)
        parts, axis = node.args
        start = 0
        for part in parts:
            own = self.graph.row_shape(part.index)
            at = counters(own)
            body = Body()
            value = self._expressions({index}).element(part.index, at, body)
            target = tuple(a + Affine(start) if d == axis else a for d, a in enumerate(at))
            store = f"{self._buffer(index)}[r * {self._size(index)}L + {flatten(target, shape).c()}] = {value};"
            self._nest(at, [*body.lines, store])
            start += own[axis]

    def _reduction(self, stage: Stage) -> None:
        self._note(stage)
        (index,) = stage.nodes
        node, shape = self.graph.nodes[index], self.graph.row_shape(index)
        source = node.args[0].index
        own = self.graph.row_shape(source)
        axes = node.args[1]
        outer = tuple(Affine() if d in axes else variable(f"i{d}", size) for d, size in enumerate(own))
        inner = tuple(variable(f"i{d}", size) if d in axes else Affine() for d, size in enumerate(own))
        body = Body()
        at = tuple(a + b for a, b in zip(outer, inner, strict=True))
        value = self._expressions({index}).element(source, at, body)
        target = f"{self._buffer(index)}[r * {self._size(index)}L + {flatten(outer, shape).c()}]"
        loops = [(name, extent) for part in inner for name, extent, _ in part.terms]
        self._nest(outer, _REDUCERS[node.op](self, source, target, loops, body.lines, value, flatten(inner, own)))

    def _product(self, stage: Stage) -> None:
        self._note(stage)
        (index,) = stage.nodes
        graph, node = self.graph, self.graph.nodes[index]
        a, b = (ref.index for ref in node.args)
        batched = node.op == "bmm"
        shape_a, shape_b = graph.row_shape(a), graph.row_shape(b)
        groups = shape_a[0] if batched else 1
        m, k, n = (*shape_a[-2:], shape_b[-1])
        lead = (variable("g", groups),) if batched else ()
        expressions = self._expressions(set())
        place_a = expressions.place(a, (*lead, variable("i", m), variable("k", k)))
        place_b = expressions.place(b, (*lead, variable("k", k), variable("j", n)))
        if place_a is None or place_b is None:
            raise NeedsBuffer(a if place_a is None else b)
        s = SUFFIXES[node.dtype]
        target = f"{self._buffer(index)}"
        size = self._size(index)
        constants = self.part.constants
        if place_b[0] in constants and place_a[0] not in constants and (k == 1 or place_a[1].coefficient("k") == 1):
            self._dense(s, groups, m, k, n, place_a, place_b, ("i", "j"), target, size, (m * n, n))
        elif (
            place_a[0] in constants
            and place_b[0] not in constants
            and n == 1
            and (k == 1 or place_b[1].coefficient("k") == 1)
        ):
            self._dense(s, groups, 1, k, m, place_b, place_a, ("j", "i"), target, size, (m, m))
        else:
            self._small(s, groups, (m, k, n), place_a, place_b, target, size)

    def _dense(self, s, groups, m, k, n, rows, weight, names, target, size, strides) -> None:  # type: ignore[no-untyped-def]
        """Rows (R·m, K) times a constant (K, N) that is packed once a call."""
        row, column = names
        kind = C_TYPES[self.graph.nodes[rows[0]].dtype]
        base = f"c{weight[0]} + {weight[1].constant}"
        sk, sn, sg = (weight[1].coefficient(name) for name in ("k", column, "g"))
        one = f"u_packed_size{s}({k}, {n})"
        target_g = f"({kind} *){{packed}} + g * {one}"
        pack = f"for (long g = 0; g < {groups}; g++) u_pack{s}({k}, {n}, {base} + g * {sg}L, {sk}, {sn}, {target_g});"
        self.packs.append((f"{groups} * {one} * sizeof({kind})", pack, s))
        packed = f"(const {kind} *)job->packed[{len(self.packs) - 1}] + g * {one}"
        buffer, lda = self._buffer(rows[0]), self._size(rows[0])
        si, g_stride = rows[1].coefficient(row), rows[1].coefficient("g")
        a = f"{buffer} + {rows[1].constant} + g * {g_stride}L + i * {si}L"
        c = f"{target} + g * {strides[0]}L + i * {strides[1]}L"
        if m > 1 and groups == 1 and si * m == lda and rows[1].constant == 0 and si >= k:
            self.lines.append(
                f"{{ const long g = 0, i = 0; u_product{s}(R * {m}, {k}, {n}, {a}, {si}, {packed}, {c}, {n}, 0); }}"
            )
            return
        self.lines.append(f"for (long g = 0; g < {groups}; g++) for (long i = 0; i < {m}; i++)")
        self.lines.append(f"  u_product{s}(R, {k}, {n}, {a}, {lda}, {packed}, {c}, {size}, 0);")

    def _small(self, s, groups, sizes, place_a, place_b, target, size) -> None:  # type: ignore[no-untyped-def]
        """A product of each row's own matrices."""
        m, k, n = sizes

        def pointer(place: tuple[int, Affine]) -> str:
            index, at = place
            base = f"c{index}" if index in self.part.constants else f"{self._buffer(index)} + r * {self._size(index)}L"
            return f"{base} + {at.constant} + g * {at.coefficient('g')}L"

        a, b = place_a[1], place_b[1]
        self.lines.append(f"for (long r = 0; r < R; r++) for (long g = 0; g < {groups}; g++)")
        self.lines.append(
            f"  u_small_product{s}({m}, {k}, {n}, {pointer(place_a)}, {a.coefficient('i')}, {a.coefficient('k')}, "
            f"{pointer(place_b)}, {b.coefficient('k')}, {b.coefficient('j')}, "
            f"{target} + r * {size}L + g * {m * n}L, {n}, 1);"
        )


def _counters_of(shape: tuple[int, ...]) -> Index:
    """Loop variables named by their place among the axes that count, so that (n, 1) and (n,) are one loop."""
    names = iter(range(len(shape)))
    return tuple(variable(f"i{next(names)}", size) if size > 1 else Affine() for size in shape)


def _sum(writer, source, target, loops, lines, value, place):  # type: ignore[no-untyped-def]
    dtype = writer.graph.nodes[source].dtype
    if not dtype.is_floating_point:
        return ["long long sum = 0;", *_loops(loops, [*lines, f"sum += {value};"]), f"{target} = sum;"]
    s, lanes = SUFFIXES[dtype], "U_LANES_F" if SUFFIXES[dtype] == "_f" else "U_LANES_D"
    kind = C_TYPES[dtype]
    if not loops:
        return [*lines, f"{target} = {value};"]
    *outside, (name, extent) = loops
    inside = [
        f"long {name}0 = 0;",
        f"for (; {name}0 + {lanes} <= {extent}; {name}0 += {lanes}) for (long l = 0; l < {lanes}; l++) {{",
        f"const long {name} = {name}0 + l;",
        *lines,
        f"acc[l] += {value}; }}",
        f"for (long {name} = {name}0; {name} < {extent}; {name}++) {{",
        *lines,
        f"acc[{name} - {name}0] += {value}; }}",
    ]
    return [f"{kind} acc[{lanes}] = {{0}};", *_loops(outside, ["{", *inside, "}"]), f"{target} = u_sum_lanes{s}(acc);"]


def _extreme(name: str):  # type: ignore[no-untyped-def]
    def reduce(writer, source, target, loops, lines, value, place):  # type: ignore[no-untyped-def]
        node = writer.graph.nodes[source]
        kind, s = C_TYPES[node.dtype], SUFFIXES[node.dtype]
        start = ["int started = 0;", f"{kind} best = 0;"]
        update = f"best = started ? u_{name}{s}(best, {value}) : {value}; started = 1;"
        return [*start, *_loops(loops, [*lines, update]), f"{target} = best;"]

    return reduce


def _argument(sign: str):  # type: ignore[no-untyped-def]
    def reduce(writer, source, target, loops, lines, value, place):  # type: ignore[no-untyped-def]
        kind = C_TYPES[writer.graph.nodes[source].dtype]
        (name, _), *_ = loops or [("0", 1)]
        start = ["int started = 0;", f"{kind} best = 0;", "long long place = 0;"]
        update = (
            f"if (!started || (best == best && ({value} {sign} best || {value} != {value}))) "
            f"{{ best = {value}; place = {name}; started = 1; }}"
        )
        return [*start, *_loops(loops, [*lines, update]), f"{target} = place;"]

    return reduce


def _prod(writer, source, target, loops, lines, value, place):  # type: ignore[no-untyped-def]
    kind = C_TYPES[writer.graph.nodes[source].dtype]
    return [f"{kind} product = 1;", *_loops(loops, [*lines, f"product *= {value};"]), f"{target} = product;"]


def _loops(loops: list[tuple[str, int]], inside: list[str]) -> list[str]:
    opened = [f"for (long {name} = 0; {name} < {extent}; {name}++) {{" for name, extent in loops]
    return [*opened, *inside, "}" * len(loops)]


_REDUCERS = {
    "sum": _sum,
    "prod": _prod,
    "amax": _extreme("maximum"),
    "amin": _extreme("minimum"),
    "argmax": _argument(">"),
    "argmin": _argument("<"),
}
assert set(_REDUCERS) == set(REDUCTIONS)

_TEMPLATE = """
#ifndef U_ROUND_UP
#define U_ROUND_UP(bytes) (((bytes) + 63) / 64 * 64)
#endif

typedef struct {{
  long T, B, reverse, window, done, blocks, block_rows, next;
  const unsigned char *valid, *restart;
  void **pointers;
  void *packed[{packed}];
  long failed;
}} u_{name}_job;

static void u_{name}_block(const u_{name}_job *job, long b0, long R, char *scratch) {{
  const long T = job->T, B = job->B;
  const unsigned char *valid = job->valid, *restart = job->restart;
  void **p = job->pointers; (void)p;
{pointers}
{buffers}
{start}
  for (long step = 0; step < T; step++) {{
    const long k = U_ORDER_{name}, t = job->reverse ? T - 1 - k : k, row = t * B + b0;
    const int cut = job->window && job->done + k > 0 && (job->done + k) % job->window == 0;
    (void)cut;
{at_t}
{body}
{next}
  }}
{finish}
}}

static void u_{name}_worker(void *argument) {{
  u_{name}_job *job = argument;
  char *memory = malloc({scratch} + 64);
  if (!memory) {{ __atomic_store_n(&job->failed, 1, __ATOMIC_RELAXED); return; }}
  char *scratch = (char *)U_ROUND_UP((uintptr_t)memory);
  for (;;) {{
    const long block = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
    if (block >= job->blocks) break;
    const long b0 = block * job->block_rows;
    const long R = job->B - b0 < job->block_rows ? job->B - b0 : job->block_rows;
    u_{name}_block(job, b0, R, scratch);
  }}
  free(memory);
}}

__attribute__((visibility("default")))
int u_{name}(const long *n, const unsigned char *valid, const unsigned char *restart, void **p, u_parallel parallel) {{
  u_{name}_job job = {{.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4],
                      .valid = valid, .restart = restart, .pointers = p}};
  const long threads = n[5] > 0 ? n[5] : 1;
  int failed = 0;
  if (job.T <= 0 || job.B <= 0) return 0;
  job.block_rows = (job.B + threads - 1) / threads;
  if (job.block_rows > {block_rows}) job.block_rows = {block_rows};
  job.blocks = (job.B + job.block_rows - 1) / job.block_rows;
{pointers}
{packs}
  if (parallel && threads > 1 && job.blocks > 1) parallel(u_{name}_worker, &job, threads, 0);
  else u_{name}_worker(&job);
  failed = job.failed;
end:
  for (long i = 0; i < {packed}; i++) free(job.packed[i]);
  return failed;
}}
"""
