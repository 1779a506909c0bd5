"""A worked example as tables."""

from collections.abc import Sequence

from .equation.page import equation_lines
from .numbers import Gradient, Numbers
from .text import INDENT, paragraph, table


def page(found: Numbers) -> str:
    """The equations, the steps forward, and the terms of each gradient."""
    clock = found.equations.clock
    given = [*(f"{name} = {value:g}" for name, value in found.values.items())]
    given += [f"{name}(0) = {value:g}" for name, value in found.start.items()]
    lines = [found.equations.name, "", *equation_lines(found.equations)]
    lines += ["", *paragraph(", ".join(given), INDENT), "", "forward", *_steps(found, clock)]
    if not found.gradients:
        return "\n".join(
            [*lines, "", "back through time", *paragraph("The cell has no parameter: nothing is learned.", INDENT)]
        )
    steps = range(1, len(found.inputs) + 1)
    outputs = [name.replace(f"({clock})", f"({t})") for t in steps for name in found.output]
    lines += ["", *paragraph(f"back through time, L = {' + '.join(outputs)}")]
    text = (
        f"A parameter is the same in every step, so its gradient is a sum: of what each output, at step {clock}, gives "
        f"by way of the parameter's use in step s, that is {clock} - s steps earlier."
    )
    lines += paragraph(text, INDENT)
    for gradient in found.gradients:
        lines += ["", *_terms(found, gradient)]
    return "\n".join(lines)


def _steps(found: Numbers, clock: str) -> list[str]:
    rows: list[Sequence[str]] = [(clock, *found.columns)]
    for t, (x, *values) in enumerate(found.rows, 1):
        rows.append((str(t), f"{x:g}", *(f"{value:.5f}" for value in values)))
    lines: list[str] = []
    width = 6  # columns that fit beside one another
    for first in range(1, len(rows[0]), width):
        part = [(row[0], *row[first : first + width]) for row in rows]
        lines += ([""] if lines else []) + _table(part)
    return lines


def _terms(found: Numbers, gradient: Gradient) -> list[str]:
    steps = range(1, len(found.inputs) + 1)
    name = " + ".join(found.output) if len(found.output) > 1 else found.output[0]
    clock = found.equations.clock
    rows: list[Sequence[str]] = [(f"dL/d{gradient.symbol}", *(f"s = {s}" for s in steps), "sum")]
    for t in steps:
        terms = [gradient.at(t, s) for s in range(1, t + 1)]
        row = [f"{term:.5f}" for term in terms] + [""] * (len(steps) - t)
        rows.append((f"of {name.replace(f'({clock})', f'({t})')}", *row, f"{sum(terms):.5f}"))
    columns = [sum(gradient.at(t, s) for t in steps if t >= s) for s in steps]
    rows.append(("sum", *(f"{column:.5f}" for column in columns), f"{gradient.total:.5f}"))
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    return table(rows, right=range(1, len(rows[0])))
