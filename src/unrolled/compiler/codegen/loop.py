"""The driver of time: what stands around the stages of one step, the same for every cell.

``state`` is the carried value of each row, ``first`` and ``last`` the same before and after all steps. Forward,
``other`` is the state of the resets and ``spare`` what a masked row computes with. Backward the carried value is the
adjoint of the state, ``other`` its sum over the resets, and a masked row's is zero.
"""

from .writer import Writer

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

    def scratch(self) -> list[tuple[str, str, int]]:
        """The arrays of a block."""
        kept = [(self.writer.kind(i), f"state{k}", self.writer.size(i)) for k, i in enumerate(self.before)]
        return [*self.writer.scratch(), *kept]

    def arguments(self) -> list[str]:
        """The names of the carried values' arguments."""
        return [f"{name}{k}" for k in range(len(self.before)) for name in ARGUMENTS]

    def body(self) -> list[str]:
        """All time steps of the rows ``first`` to ``first + R``."""
        order = "step" if self.forward else "T - 1 - step"
        return [
            "const long T = job->T, B = job->B;",
            "const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;",
            *self._copies("state{k}", "first{k} + first * {n}L"),
            "for (long step = 0; step < T; step++) {",
            f"const long k = {order}, t = job->reverse ? T - 1 - k : k, row = t * B + first;",
            *self.writer.begin(),
            *self._seen(),
            *self.writer.lines,
            *self.writer.end(),
            *self._next(),
            "}",
            *self._copies("last{k} + first * {n}L", "state{k}"),
        ]

    def _carried(self) -> list[tuple[int, int, str, str]]:
        """Of each carried value: its place, its size, its C type, and the array in which a step sees it."""
        w = self.writer
        return [(k, w.size(i), w.kind(i), w.buffer(i)) for k, i in enumerate(self.before)]

    def _copies(self, target: str, source: str) -> list[str]:
        return [
            f"memcpy({target.format(k=k, n=n)}, {source.format(k=k, n=n)}, R * {n}L * sizeof({kind}));"
            for k, n, kind, _ in self._carried()
        ]

    def _seen(self) -> list[str]:
        """The carried values as the step sees them."""
        lines = []
        for k, n, kind, seen in self._carried():
            one = f"{n}L * sizeof({kind})"
            if self.forward:
                lines.append("if (restart) for (long r = 0; r < R; r++) if (restart[row + r])")
                lines.append(f"  memcpy(state{k} + r * {n}L, other{k} + (first + r) * {n}L, {one});")
            lines.append(f"memcpy({seen}, state{k}, R * {one});")
            lines.append("if (valid) for (long r = 0; r < R; r++) if (!valid[row + r])")
            if self.forward:
                lines.append(f"  memcpy({seen} + r * {n}L, spare{k} + (first + r) * {n}L, {one});")
            else:
                lines.append(f"  memset({seen} + r * {n}L, 0, {one});")
        return lines

    def _next(self) -> list[str]:
        """The carried values after the step; a masked row holds its own."""
        lines = []
        for (k, n, kind, _), result in zip(self._carried(), self.after, strict=True):
            lines.append("for (long r = 0; r < R; r++) if (!valid || valid[row + r])")
            if result is None:
                lines.append(f"  memset(state{k} + r * {n}L, 0, {n}L * sizeof({kind}));")
            else:
                lines.append(
                    f"  memcpy(state{k} + r * {n}L, {self.writer.buffer(result)} + r * {n}L, {n}L * sizeof({kind}));"
                )
            if not self.forward:
                lines.append("if (restart) for (long r = 0; r < R; r++) if (restart[row + r])")
                lines.append(f"  for (long j = 0; j < {n}; j++) {{")
                lines.append(f"    other{k}[(first + r) * {n}L + j] += state{k}[r * {n}L + j];")
                lines.append(f"    state{k}[r * {n}L + j] = 0; }}")
                lines.append("if (job->window && job->done + k > 0 && (job->done + k) % job->window == 0)")
                lines.append(f"  memset(state{k}, 0, R * {n}L * sizeof({kind}));")
        return lines
