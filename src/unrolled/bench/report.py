"""The table that a person reads: 80 columns."""

import textwrap
from collections.abc import Iterator
from itertools import groupby

from .options import Shape
from .peers import MISSING_HINT
from .results import CellFigures, Growth, Results, Row
from .timing import Times

WIDTH = 80
ABOUT = {
    "invented": "a cell that nobody tuned for",
    "cell": "your cell",
    "step": "one step at a time, batch 1",
}


def report(results: Results) -> str:
    """Everything that was measured, as text."""
    parts = [*_machine(results), "", _wrapped(_legend())]
    key = lambda row: (row.group, row.name, row.mode, row.unit)  # noqa: E731
    for _, rows in groupby(sorted(results.rows, key=lambda row: _place(results, row)), key=key):
        parts += ["", *_table(list(rows))]
    for shape in dict.fromkeys(one.shape for one in results.cells):
        parts += ["", *_cells([one for one in results.cells if one.shape == shape])]
    if results.shares:
        parts += ["", *_shares(results)]
    for growth in results.growth:
        parts += ["", *_growth(growth)]
    if results.failures:
        parts += ["", "Could not be compared:"]
        for failure in results.failures:
            beside = f" with {failure.peer}" if failure.peer else ""
            parts.append(_wrapped(f"{failure.title}{beside}: {failure.reason}", "  "))
    if results.summary():
        parts += ["", *_summary(results)]
    end = f"Measured in {_minutes(results.seconds)}."
    parts += ["", end if results.complete else f"{end} Interrupted: this is what was measured until then."]
    return "\n".join(parts)


def _legend() -> str:
    return (
        "Ratios say how many times as long the peer takes: above 1, unrolled is faster. First of the best runs, "
        "then, in brackets, of the medians. Each shape is steps x batch x features, float32, peers checked to "
        "compute the same first and timed in turns."
    )


def _machine(results: Results) -> Iterator[str]:
    found = results.machine
    yield _wrapped(f"{found['processor']}, {found['instructions']}, {found['cores']} cores; {found['system']}")
    threads = ", ".join(f"{name} {count or 'not told'}" for name, count in results.threads.items())
    yield _wrapped(f"threads: {threads}")
    yield _wrapped(", ".join(f"{name} {version}" for name, version in results.versions.items() if version))
    for peer, packages in results.missing.items():
        yield _wrapped(f"missing: {peer} ({packages} not installed; {MISSING_HINT})")
    if results.peak is not None:
        peak = results.peak
        yield (f"measured peak, float32: {peak.one_thread:.0f} GFLOP/s of one thread, {peak.all_threads:.0f} of all")


def _place(results: Results, row: Row) -> int:
    """Rows of one table stand together, in the order in which the tables began."""
    kinds = list(dict.fromkeys(each.kind[:4] for each in results.rows))
    return kinds.index(row.kind[:4])


def _table(rows: list[Row]) -> Iterator[str]:
    """A line a shape, a column a peer."""
    first = rows[0]
    peers = list(dict.fromkeys(row.peer for row in rows))
    about = f" ({ABOUT[first.group]})" if first.group in ABOUT else ""
    mode = "inference" if first.mode == "step" else first.mode
    yield f"{first.name}{about}, {mode}" + (": peak memory" if first.unit == "bytes" else "")
    widths = [max(20, len(peer) + 2) for peer in peers]
    yield f"  {'shape':<14}{'unrolled':>12}" + "".join(
        f"{peer:>{width}}" for peer, width in zip(peers, widths, strict=True)
    )
    for shape in dict.fromkeys(row.shape for row in rows):
        of_shape = {row.peer: row for row in rows if row.shape == shape}
        ours = next(iter(of_shape.values())).ours
        cells = [
            f"{f'{row.best:.2f} ({row.median:.2f})' if (row := of_shape.get(peer)) else '-':>{width}}"
            for peer, width in zip(peers, widths, strict=True)
        ]
        yield f"  {shape!s:<14}{_amount(ours, first.unit):>12}{''.join(cells)}"


def _amount(times: Times, unit: str) -> str:
    if unit == "bytes":
        return f"{times.best / 1e6:.1f} MB"
    seconds = times.best
    for limit, factor, name in ((1e-3, 1e6, "µs"), (1, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {name}" if seconds * factor < 1000 else f"{seconds * factor:.0f} {name}"
    return f"{seconds:.3g} s"


def _cells(cells: list[CellFigures]) -> Iterator[str]:
    """A line a cell; below the table what the columns do not say."""
    yield f"Cells of the library, training, {cells[0].shape}"
    yield f"  {'cell':<18}{'parameters':>10}{'lines':>7}{'unrolled':>11}{'Python loop':>16}{'our LSTM':>14}"
    for one in cells:
        loop, lstm = (f"{ratio['best']:.2f} ({ratio['median']:.2f})" for ratio in one.ratios.values())
        lines = "-" if one.code_lines is None else one.code_lines
        amount = f"{_amount(one.ours, 'seconds')}{'*' if one.fallback else ''}"
        yield f"  {one.name:<18.18}{one.parameters:>10,}{lines:>7}{amount:>11}{loop:>16}{lstm:>14}"
    yield _wrapped(
        "parameters: those that are trained. lines: of code in the cell's file, without imports, docstrings, comments "
        "and empty lines. our LSTM: of as many features, compiled; above 1 the cell is faster.",
        "  ",
    )
    for one in cells:
        if one.fixed:
            yield _wrapped(f"{one.name}: {one.fixed:,} more numbers, which are not trained.", "  ")
        if one.fallback:
            yield _wrapped(f"* {one.name} has no kernel here and runs as a loop: {one.fallback}", "  ")


def _shares(results: Results) -> Iterator[str]:
    yield "LSTM, share of the measured peak: operations of its matrix products alone"
    for share in results.shares:
        yield (
            f"  {share.shape!s:<14}{share.mode:<12}{share.gflops:8.0f} GFLOP/s of {share.peak:.0f}"
            f"{100 * share.share:8.1f} %"
        )


def _growth(growth: Growth) -> Iterator[str]:
    what = {"T": "length", "B": "batch size"}[growth.along]
    yield f"LSTM, training, growth with the {what}"
    yield f"  {'shape':<14}{'unrolled':>12}   per step and row (1.00: linear)"
    for shape, times, relative in zip(growth.shapes, growth.times, growth.relative(), strict=True):
        yield f"  {shape!s:<14}{_amount(times, 'seconds'):>12}{relative:>7.2f}"


def _summary(results: Results) -> Iterator[str]:
    """The ratios over all shapes: geometric means."""
    yield f"{'Over all shapes':<33}{'peer':<18}{'mean':>6}{'least':>7}  at"
    for line in results.summary():
        mode = "memory" if line["unit"] == "bytes" else "one step" if line["mode"] == "step" else line["mode"]
        what, shape = f"{line['name']}, {mode}", Shape(**line["minimum_shape"])
        yield f"  {what:<31.30}{line['peer']:<18.17}{line['geometric_mean']:>6.2f}{line['minimum']:>7.2f}  {shape}"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)
