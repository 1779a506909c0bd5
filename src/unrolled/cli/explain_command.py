"""The options of `unrolled explain`; what it does is in ``equation.py``, ``explain.py`` and ``diagnose.py``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from . import run_commands
from .errors import UsageProblem

Call = Callable[[], int]
STAGES = ("equation", "graph", "plan", "source")
NOTATIONS = ("elman", "unit", "state", "general", "neuron")


def _cell_names() -> list[str]:
    from .explain import cell_names

    return cell_names()


def explain(
    cell: Annotated[
        str,
        typer.Argument(
            metavar="CELL",
            help="A cell of the library, such as LSTM, or path.py:ClassName of your own; for its equation also "
            "path.py:function, a step; with --gradients also the folder of a run.",
            show_default=False,
            autocompletion=_cell_names,
        ),
    ],
    stage: Annotated[
        str,
        typer.Option(
            "--stage",
            help="equation: what the step computes; graph: its operations and those of its derivative; plan: what runs "
            "before, in and after the loop, and what it costs; source: the C.",
            autocompletion=lambda: list(STAGES),
        ),
    ] = "equation",
    notation: Annotated[
        str | None,
        typer.Option(
            "--notation",
            help="Symbols of the equation: elman, unit, state, general or neuron. \\[default: your own names]",
            show_default=False,
            autocompletion=lambda: list(NOTATIONS),
        ),
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="The equation as LaTeX alone.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write there: .svg or .mmd (Mermaid), the loop beside the unfolded graph; .tex, the equation; with "
            "--gradients a picture, .svg, .png or .pdf.",
            show_default=False,
        ),
    ] = None,
    numbers: Annotated[
        bool,
        typer.Option("--numbers", help="A small example by hand: forward, and back through time term by term."),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="With --numbers: of a parameter.", show_default=False),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option("--inputs", metavar="X,X,...", help="With --numbers. \\[default: 1,2,3]", show_default=False),
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            "--input-size", min=1, help="Features of x. \\[default: 128; of an equation 3]", show_default=False
        ),
    ] = None,
    hidden_size: Annotated[
        int | None,
        typer.Option(
            "--hidden-size", min=1, help="Features of the state. \\[default: 128; of an equation 8]", show_default=False
        ),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            help="Of parameters and input: float32, float64 or bfloat16.",
            autocompletion=lambda: ["float32", "float64", "bfloat16"],
        ),
    ] = "float32",
    no_backward: Annotated[
        bool, typer.Option("--no-backward", help="Without gradients, as when a model only predicts.")
    ] = False,
    steps: Annotated[
        int,
        typer.Option(
            "--steps", min=1, help="T of the sequence whose cost the plan totals, or that is looked back over."
        ),
    ] = 100,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="B of that sequence.")] = 16,
    whole: Annotated[
        bool, typer.Option("--whole", help="With --stage source: the hand-written C that comes before it, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
    gradients: Annotated[
        bool,
        typer.Option("--gradients", help="Instead: how far back gradients reach, in a trained run or a new cell."),
    ] = False,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="With --gradients: other data than the run's own.", show_default=False),
    ] = None,
    weights: run_commands.Weights = "best",
    own_cell: run_commands.OwnCell = None,
) -> Call:
    """Show a cell's equation, and what the compiler makes of it: nothing is trained or run.

    Examples:
    unrolled explain LSTM

    unrolled explain elman --numbers --set W_hh=0.9

    unrolled explain GRU --stage plan --hidden-size 64

    unrolled explain my_cell.py:MyCell --stage source > my_cell.c

    unrolled explain runs/book --gradients --output memory.svg
    """
    if stage not in STAGES:
        raise UsageProblem(f"--stage: expected one of {', '.join(STAGES)}, got {stage!r}.")
    if gradients:
        if stage != "equation" or whole or no_backward or numbers or latex or notation is not None:
            raise UsageProblem(
                "--gradients: expected none of --stage, --numbers, --notation, --latex, --whole, --no-backward."
            )

        def look() -> int:
            from .diagnose import Looking, show
            from .explain import Sizes

            looking = Looking(data or [], weights, own_cell, steps, batch_size)
            return show(cell, looking, Sizes(input_size, hidden_size), dtype, output, as_json=as_json)

        return look
    if data or own_cell is not None or weights != "best":
        raise UsageProblem("--data, --weights, --cell: expected --gradients with them.")
    if whole and stage != "source":
        raise UsageProblem(f"--whole: expected --stage source with it, got --stage {stage}.")
    if (settings or inputs) and not numbers:
        raise UsageProblem("--set, --inputs: expected --numbers with them.")
    if stage == "equation" or numbers:
        return _equation(
            cell, (input_size, hidden_size), dtype, (notation, latex, output, as_json), numbers, settings, inputs
        )
    if notation is not None or latex or output is not None:
        raise UsageProblem(f"--notation, --latex, --output: expected --stage equation with them, got --stage {stage}.")

    def call() -> int:
        from .explain import Sizes, show

        return show(
            cell,
            Sizes(input_size, hidden_size),
            dtype,
            stage=stage,
            backward=not no_backward,
            steps=steps,
            batch_size=batch_size,
            whole=whole,
            as_json=as_json,
        )

    return call


def _equation(
    cell: str,
    sizes: tuple[int | None, int | None],
    dtype: str,
    form: tuple[str | None, bool, Path | None, bool],
    numbers: bool,
    settings: list[str] | None,
    inputs: str | None,
) -> Call:
    """``explain`` at its first stage."""

    def call() -> int:
        from .equation import Form, show_equation, show_numbers
        from .explain import Sizes

        if numbers:
            return show_numbers(cell, Form(*form), inputs, settings or [])
        return show_equation(cell, Sizes(*sizes), dtype, Form(*form))

    return call
