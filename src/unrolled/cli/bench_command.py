"""The options of `unrolled bench`; what it does is in ``bench.py``, which needs torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ..bench.options import BY_DEFAULT, FULL, GROUPS, QUICK, QUICK_SECONDS, SECONDS, Options, parse_groups, parse_shape
from .errors import UsageProblem

Call = Callable[[], int]


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="About a minute: fewer shapes, fewer runs.")] = False,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            help=f"Groups, with commas between: {', '.join(GROUPS)}. \\[default: all but cells]",
            show_default=False,
            autocompletion=lambda: list(GROUPS),
        ),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            "--shape",
            metavar="TxBxH",
            help="Steps, batch size and features, such as 100x16x128; may be repeated. \\[default: a list]",
            show_default=False,
        ),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            "--cell", help="path.py:ClassName of your own: one more row, against its Python loop.", show_default=False
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads of every library.", show_default=False)
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            min=0,
            help=f"Of timed runs for each comparison. \\[default: {SECONDS:g}, with --quick {QUICK_SECONDS:g}]",
            show_default=False,
        ),
    ] = None,
    json_to: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the figures there; - prints them.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the ratios: .svg, .png or .pdf.", show_default=False),
    ] = None,
) -> Call:
    r"""Measure the speed on this machine, side by side with other libraries.

    Peers that are not installed are named as missing; pip install 'unrolled\[bench]'.

    Examples:
    unrolled bench --quick

    unrolled bench --json figures.json --plot ratios.svg

    unrolled bench --only cells

    unrolled bench --only cell --cell my_cell.py:MyCell --shape 200x32x128
    """
    try:
        groups = tuple(name for name in BY_DEFAULT if cell or name != "cell") if only is None else parse_groups(only)
    except ValueError as error:
        raise UsageProblem(f"--only: {error}") from error
    if "cell" in groups and cell is None:
        raise UsageProblem("--only: expected --cell path.py:ClassName beside the group cell, got none.")
    if cell is not None and "cell" not in groups:
        groups = (*groups, "cell")
    try:
        shapes = tuple(map(parse_shape, shape)) if shape else QUICK if quick else FULL
    except ValueError as error:
        raise UsageProblem(f"--shape: {error}") from error
    budget = seconds if seconds is not None else QUICK_SECONDS if quick else SECONDS
    options = Options(groups, shapes, threads, budget, quick)

    def call() -> int:
        from .bench import show

        return show(options, cell, json_to, plot)

    return call
