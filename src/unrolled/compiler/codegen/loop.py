"""The driver of time: what stands around the stages of one step, the same for every cell.

``state`` is the carried value of each row, ``first`` and ``last`` the same before and after all steps. Forward,
``other`` is the state of the resets and ``spare`` what a masked row computes with. Backward the carried value is the
adjoint of the state, ``other`` its sum over the resets, and a masked row's is zero.
"""

from .together import Task, synchronised
from .writer import Array, Writer

ARGUMENTS = ("first", "last", "other", "spare")


class Loop:
    """Writes one direction of time.

    Args:
        writer: the stages of a step.
        forward: the direction.
        before: the carried values as a step sees them.
        after: the same after the step; None is zero.
    """

    def __init__(self, writer: Writer, forward: bool, before: list[int], after: list[int | None]):
        self.writer, self.forward, self.before, self.after = writer, forward, before, after

    def scratch(self) -> list[Array]:
        """The arrays of a slice."""
        kept = [Array(self.writer.kind(i), f"state{k}", self.writer.size(i), True) for k, i in enumerate(self.before)]
        return [*self.writer.scratch(), *kept]

    def arguments(self) -> list[str]:
        """The names of the carried values' arguments."""
        return [f"{name}{k}" for k in range(len(self.before)) for name in ARGUMENTS]

    def start(self) -> list[str]:
        """Before all steps."""
        return self._copies("state{k}", "first{k} + s->first * {n}L")

    def finish(self) -> list[str]:
        """After all steps."""
        return self._copies("last{k} + s->first * {n}L", "state{k}")

    def body(self) -> list[str]:
        """The steps from ``begin``, in the order of a forward run, C of them; ``low`` is the earliest in time."""
        order = "begin + step" if self.forward else "begin + C - 1 - step"
        return [
            "const long T = job->T;",
            "const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;",
            "for (long step = 0; step < C; step++) {",
            f"const long k = {order}, t = job->reverse ? T - 1 - k : k, row = t * B + s->first, c = t - low;",
            "(void)row; (void)c;",
            *self.writer.begin(),
            *synchronised([*self._seen(), *self.writer.tasks, *self._next()]),
            "}",
        ]

    def _carried(self) -> list[tuple[int, int, str, int]]:
        """Of each carried value: its place, its size, its C type, and its number."""
        w = self.writer
        return [(k, w.size(i), w.kind(i), i) for k, i in enumerate(self.before)]

    def _copies(self, target: str, source: str) -> list[str]:
        return [
            f"u_take(s, s->R, {n}L, sizeof({kind}), {target.format(k=k, n=n)}, {source.format(k=k, n=n)}, 0, 0);"
            for k, n, kind, _ in self._carried()
        ]

    def _seen(self) -> list[Task]:
        """The carried values as the step sees them."""
        tasks = []
        for k, n, kind, index in self._carried():
            of, seen, lines = f"R, {n}L, sizeof({kind})", self.writer.buffer(index), []
            if self.forward:
                lines.append(f"if (restart) u_take(s, {of}, state{k}, other{k} + s->first * {n}L, restart + row, 1);")
            lines.append(f"u_take(s, {of}, {seen}, state{k}, 0, 0);")
            if self.forward:
                lines.append(f"if (valid) u_take(s, {of}, {seen}, spare{k} + s->first * {n}L, valid + row, 0);")
            else:
                lines.append(f"if (valid) u_clear(s, {of}, {seen}, valid + row, 0);")
            tasks.append(Task(tuple(lines), {f"state{k}": (n,)}, {seen: (n,), f"state{k}": (n,)}))
        return tasks

    def _next(self) -> list[Task]:
        """The carried values after the step; a masked row holds its own."""
        tasks = []
        for (k, n, kind, _), result in zip(self._carried(), self.after, strict=True):
            of, lines, reads = f"R, {n}L, sizeof({kind})", [], {}
            if result is None:
                lines.append(f"u_clear(s, {of}, state{k}, valid ? valid + row : 0, 1);")
            else:
                source = self.writer.buffer(result)
                lines.append(f"u_take(s, {of}, state{k}, {source}, valid ? valid + row : 0, 1);")
                reads = {source: (n,)}
            if not self.forward:
                lines += [
                    "if (restart) for (long r = 0; r < R; r++) if (restart[row + r])",
                    f"  for (long j = u_from(s, {n}); j < u_to(s, {n}); j++) {{",
                    f"    other{k}[(s->first + r) * {n}L + j] += state{k}[r * {n}L + j];",
                    f"    state{k}[r * {n}L + j] = 0; }}",
                    "if (job->window && job->done + k > 0 && (job->done + k) % job->window == 0)",
                    f"  u_clear(s, s->R, {n}L, sizeof({kind}), state{k}, 0, 1);",
                ]
            tasks.append(Task(tuple(lines), reads, {f"state{k}": (n,)}))
        return tasks
